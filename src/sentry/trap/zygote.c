/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap/zygote.c - the process all stubs come from
 *
 * It is executed once, from bytes that are part of this library, with three descriptors: the
 * memory file, the file of control pages and slots, a socket. It is asked for a process by a byte
 * on the socket, and answers with the child's id and the child's own socket. The child is ours
 * (CLONE_PARENT), its id is good until we reap it. Nobody gets a SIGCHLD for any of them.
 *
 * Killed with the thread that started it, and so are its children; their sockets' ends tell them
 * as well. Likelier to be killed when memory is short than the sentry is.
 */
#include "sentry/trap/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <elf.h>

#include "base/cleanup.h"
#include "base/io.h"

#define ZYGOTE_STACK (16 * 1024)
#define ZYGOTE_WAIT  (10 * USEC_PER_SEC)

/* stub/program.S */
extern const uint8_t trap_stub_program[];
extern const uint64_t trap_stub_program_size;

struct zygote_child {
	int program;
	int fds[3];
	int error;
};

/* Between vfork and exec, on the parent's memory. */
static int zygote_exec(void *data)
{
	struct zygote_child *child = data;
	const struct rlimit none = { 0, 0 };
	char *const argv[] = { (char *)"coffer-stub", NULL };
	char *const envp[] = { NULL };
	int fds[3];
	int adj;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	adj = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (adj >= 0 && write(adj, "500", 3) < 0)
		close(adj); /* then it is as likely as we are */
	for (int i = 0; i < 3; i++)
		fds[i] = fcntl(child->fds[i], F_DUPFD_CLOEXEC, 10);
	for (int i = 0; i < 3; i++)
		if (fds[i] < 0 || dup2(fds[i], i) < 0)
			goto failed;
	if (syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		goto failed;
	setrlimit(RLIMIT_CORE, &none);
	syscall(SYS_execveat, child->program, "", argv, envp, AT_EMPTY_PATH);
failed:
	child->error = errno;
	_exit(1);
}

static int zygote_program(struct coffer_error *err)
{
	autoclose int fd = -1;

#ifdef MFD_EXEC
	fd = memfd_create("coffer-stub", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
#else
	fd = memfd_create("coffer-stub", MFD_CLOEXEC | MFD_ALLOW_SEALING | 0x10u);
#endif
	if (fd < 0 && errno == EINVAL) /* a kernel that does not know the flag does not need it */
		fd = memfd_create("coffer-stub", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(err, "memory for the stub program");
	if (io_write_full(fd, trap_stub_program, trap_stub_program_size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return err_sys(err, "write the stub program");
	return steal_fd(&fd);
}

/* The vdso is the same for all processes of this kernel, but for where it is. */
static size_t zygote_vdso_size(void)
{
	const uint8_t *own = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *head = (const void *)own;
	size_t size = 0;

	if (!own)
		return 0;
	const Elf64_Phdr *ph = (const void *)(own + head->e_phoff);

	for (int i = 0; i < head->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_vaddr + ph[i].p_memsz > size)
			size = ph[i].p_vaddr + ph[i].p_memsz;
	return PAGE_UP(size);
}

static int zygote_spawn(struct trap_pool *pool, int program, int sock, pid_t *pid,
			struct coffer_error *err)
{
	struct zygote_child child = {
		.program = program, .fds = { pool->memory_fd, pool->control_fd, sock },
	};
	sigset_t all, old;
	autofree char *stack = aligned_alloc(16, ZYGOTE_STACK);

	if (!stack)
		return err_nomem(err);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	*pid = clone(zygote_exec, stack + ZYGOTE_STACK, CLONE_VM | CLONE_VFORK, &child);
	if (*pid < 0)
		child.error = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!child.error)
		return 0;
	if (*pid > 0)
		waitpid(*pid, NULL, __WALL);
	return err_sysn(err, child.error, "start the zygote");
}

static int zygote_hear(struct trap_pool *pool, struct coffer_error *err)
{
	struct trap_hello hello;

	if (io_wait(pool->zygote_sock, POLLIN, deadline_in(clock_budget(ZYGOTE_WAIT))) <= 0 ||
	    recv(pool->zygote_sock, &hello, sizeof(hello), 0) != sizeof(hello))
		return err_internal(err, "the zygote does not answer");
	if (hello.error)
		return err_sysn(err, (int)hello.error, "the zygote");
	pool->vdso = hello.vdso;
	pool->vdso_size = hello.vdso ? zygote_vdso_size() : 0;
	return 0;
}

int trap_zygote_start(struct trap_pool *pool, struct coffer_error *err)
{
	autoclose int program = zygote_program(err);
	autoclose int theirs = -1;
	int pair[2];
	pid_t pid;
	int r;

	if (program < 0)
		return program;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socket of the zygote");
	pool->zygote_sock = pair[0];
	theirs = pair[1];
	trap_area_control(pool, 0)->signal = pool->how == TRAP_SIGNAL;
	r = zygote_spawn(pool, program, theirs, &pid, err);
	if (r < 0)
		return r;
	pool->zygote_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pool->zygote_pidfd < 0) {
		r = err_sys(err, "hold the zygote");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, __WALL);
		return r;
	}
	close_fd(&theirs);
	return zygote_hear(pool, err);
}

void trap_zygote_end(struct trap_pool *pool)
{
	if (pool->zygote_pidfd >= 0) {
		siginfo_t si;

		syscall(SYS_pidfd_send_signal, pool->zygote_pidfd, SIGKILL, NULL, 0);
		waitid(P_PIDFD, (id_t)pool->zygote_pidfd, &si, WEXITED | __WALL);
	}
	close_fd(&pool->zygote_pidfd);
	close_fd(&pool->zygote_sock);
}

/* The zygote is nobody's but ours: what it says is true, unless it is dead. */
static int zygote_ask(struct trap_pool *pool, unsigned area, struct trap_reply *reply, int *sock)
{
	struct trap_control *control = trap_area_control(pool, 0);
	size_t nfds = 1;

	control->area.control = (uint64_t)area * PAGE_SIZE;
	control->area.slots = trap_area_offset(pool, area);
	control->area.slots_len = pool->slot_size;
	control->what = TRAP_DO_STUB;
	if (io_send(pool->zygote_sock, "", 1, 0) != 1)
		return -EAGAIN;
	if (io_recv_fds(pool->zygote_sock, reply, sizeof(*reply), sock, &nfds) != sizeof(*reply))
		return -EAGAIN;
	return reply->id < 0 ? (int)reply->id : nfds == 1 ? 0 : -EAGAIN;
}

int trap_zygote_fork(struct trap_pool *pool, unsigned area, pid_t *pid, int *pidfd, int *sock)
{
	struct trap_reply reply = { 0 };
	siginfo_t si;
	int r;

	*sock = -1;
	pthread_mutex_lock(&pool->zygote_lock);
	r = zygote_ask(pool, area, &reply, sock);
	pthread_mutex_unlock(&pool->zygote_lock);
	if (r < 0)
		return r;
	*pid = (pid_t)reply.id;
	*pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
	if (*pidfd >= 0)
		return 0;
	r = -errno;
	syscall(SYS_tgkill, *pid, *pid, SIGKILL);
	waitid(P_PID, (id_t)*pid, &si, WEXITED | __WALL);
	close_fd(sock);
	return r;
}
