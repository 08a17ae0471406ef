/* SPDX-License-Identifier: Apache-2.0 */
/* What only a program that looks for mistakes does: ranges on themselves, memory whose advice and
 * mappings do not end where the kernel's pieces do, tables shared with who executes, rights of
 * processes that are half somebody else's. Needs root on the host. */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

#include "guest.h"

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)

enum { USER = 1000, OTHER = 1001 };

static void show(const char *what, long r)
{
	printf("%s: %s\n", what, guest_answer(r));
}

static char *map(size_t pages, int prot, int flags)
{
	char *p = mmap(NULL, pages * PAGE, prot, flags | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		perror("mmap");
	return p;
}

static void become(uid_t uid)
{
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		perror("become");
}

/* --- memory --- */

static void remap_onto_itself(void)
{
	char *p = map(4, RW, MAP_SHARED);
	unsigned char vec[4];

	show("a copy onto itself",
	     syscall(SYS_mremap, p, 0, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p));
	show("first page", mincore(p, PAGE, vec));
	show("second page", mincore(p + PAGE, PAGE, vec));
	show("a copy over all of it",
	     syscall(SYS_mremap, p + PAGE, 0, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE));
	show("what is left", mincore(p + PAGE, PAGE, vec));
	p = map(4, RW, MAP_PRIVATE);
	show("private", syscall(SYS_mremap, p, 0, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p));
	show("moved onto itself",
	     syscall(SYS_mremap, p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p));
	show("moved to its second half",
	     syscall(SYS_mremap, p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE));
}

/* Areas that lie side by side, advised and protected one by one, then forked. */
static void fork_side_by_side(int advice, const char *what)
{
	char *p = map(64, RW, MAP_PRIVATE);
	unsigned char vec[1];
	int status;

	memset(p, 'a', 64 * PAGE);
	madvise(p + 32 * PAGE, 16 * PAGE, advice);
	for (int i = 0; i < 64; i += 16) {
		mprotect(p + (size_t)i * PAGE, 16 * PAGE, PROT_READ);
		mprotect(p + (size_t)i * PAGE, 16 * PAGE, RW);
	}
	if (!fork()) {
		for (int i = 0; i < 64; i += 8) {
			char *at = p + (size_t)i * PAGE;

			printf("%s: page %d: %s %d\n", what, i,
			       mincore(at, PAGE, vec) ? "none" : "there",
			       mincore(at, PAGE, vec) ? -1 : *at);
		}
		fflush(stdout);
		_exit(0);
	}
	wait(&status);
	guest_show_status(what, status);
	munmap(p, 64 * PAGE);
}

static void fork_advice(void)
{
	fork_side_by_side(MADV_WIPEONFORK, "wiped");
	fork_side_by_side(MADV_DONTFORK, "not forked");
}

/* Pages are asked for that may not be read, or are not there. */
static void populate(void)
{
	static const int rights[] = { PROT_NONE, PROT_WRITE, PROT_EXEC, PROT_READ };
	int fd = memfd_create("short", 0);
	char *p;

	for (size_t i = 0; i < COUNT(rights); i++) {
		p = map(4, rights[i], MAP_PRIVATE | MAP_POPULATE);
		show("read", madvise(p, 4 * PAGE, MADV_POPULATE_READ));
		show("write", madvise(p, 4 * PAGE, MADV_POPULATE_WRITE));
		p = map(4, RW, MAP_PRIVATE);
		mprotect(p + PAGE, PAGE, rights[i]);
		show("part of it", madvise(p, 4 * PAGE, MADV_POPULATE_READ));
	}
	if (ftruncate(fd, PAGE))
		perror("ftruncate");
	p = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	show("beyond a file", madvise(p, 4 * PAGE, MADV_POPULATE_READ));
	fd = open("/proc/self/exe", O_RDONLY);
	p = mmap(NULL, 4096 * PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	show("beyond a program", madvise(p, 4096 * PAGE, MADV_POPULATE_READ));
	printf("and it is %s\n", memcmp(p, "\177ELF", 4) ? "another" : "one");
}

/* Vectors whose parts lie side by side, or do not, in every order. */
static void vectors(void)
{
	static const int orders[][6] = { { 0, 2, 4, 6, 7, 9 }, { 0, 1, 3, 5, 7, 8 },
					 { 9, 7, 5, 3, 4, 5 }, { 0, 1, 2, 3, 4, 5 } };
	char *p = map(10, RW, MAP_PRIVATE);
	int fd = open("/dev/zero", O_RDONLY);

	for (size_t i = 0; i < COUNT(orders); i++) {
		struct iovec iov[6];

		memset(p, 'a', 10 * PAGE);
		for (int k = 0; k < 6; k++)
			iov[k] = (struct iovec){ p + (size_t)orders[i][k] * PAGE, PAGE };
		printf("%zd bytes:", readv(fd, iov, 6));
		for (size_t k = 0; k < 10; k++)
			printf(" %d %d", p[k * PAGE], p[k * PAGE + PAGE - 1]);
		printf("\n");
	}
}

/* --- events of a guest's own --- */

static const uint8_t event_start[] = { 0x8b, 0x46, 0x08, 0x48, 0xc1, 0xe0, 0x20 };
static sigjmp_buf fault_out;

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(fault_out, 1);
}

/* Where the application kernel's own code begins to tell of a signal; on a host there is none. */
static uint64_t event_find(void)
{
	const uint8_t *volatile at = (const uint8_t *)0x7e0000000000;

	signal(SIGSEGV, on_fault);
	if (!sigsetjmp(fault_out, 1))
		for (; (uint64_t)at < 0x7e0000001000; at++)
			if (!memcmp((const void *)at, event_start, sizeof(event_start)))
				break;
	signal(SIGSEGV, SIG_DFL);
	return (uint64_t)at & 0xfff ? (uint64_t)at : 0;
}

static void event_forge(uint64_t at, uint64_t sig, uint64_t code)
{
	static uint64_t info[16];

	info[1] = code;
	__asm__ volatile("xor %%edx, %%edx\n"
			 "jmp *%0" : : "r"(at), "D"(sig), "S"(info) : "rdx", "memory");
}

static void forged_events(void)
{
	static const uint32_t signals[] = { 0,	    1,	     9,		 19,	     32,	33,
					    64,	    65,	     1000,	 0x40000000, 0x7fffffff,
					    1u << 31, ~0u,   0xffff0000 };
	uint64_t at = event_find();

	for (size_t i = 0; i < 2 * COUNT(signals) && at; i++) {
		pid_t pid = fork();

		if (!pid) {
			event_forge(at, signals[i / 2], i % 2 ? 0x7fffffff : 1);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	printf("nobody else has noticed\n");
}

/* --- tables that are shared with who executes --- */

static int on_its_own(int (*fn)(void *), unsigned long flags)
{
	static char stack[64 << 10] __attribute__((aligned(16)));
	int status = -1;
	pid_t pid = clone(fn, stack + sizeof(stack), (int)flags | SIGCHLD, NULL);

	if (pid < 0)
		perror("clone");
	waitpid(pid, &status, 0);
	return status;
}

static int exec_nothing(void *data)
{
	(void)data;
	execl("/proc/self/exe", "guest", "nothing", NULL);
	return 99;
}

static void exec_shared_files(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	guest_show_status("executed", on_its_own(exec_nothing, CLONE_FILES));
	show("its descriptor of ours", fcntl(fd, F_GETFD));
}

static int close_it(void *data)
{
	(void)data;
	close(100);
	return 0;
}

static void shared_files(void)
{
	dup2(1, 100);
	guest_show_status("closed", on_its_own(close_it, CLONE_FILES));
	show("closed by another", fcntl(100, F_GETFD));
}

/* --- rights --- */

static uint64_t permitted(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	syscall(SYS_capget, &head, data);
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

static void only_kill(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	data[0].permitted = data[0].effective = 1u << CAP_KILL;
	show("all others dropped", syscall(SYS_capset, &head, data));
}

static void exec_show_rights(void)
{
	int status;

	if (!fork()) {
		execl("/proc/self/exe", "guest", "rights", NULL);
		_exit(99);
	}
	wait(&status);
	guest_show_status("executed", status);
}

/* Root has all it may have again by executing something, unless that is forbidden for ever. */
static void exec_gains(void)
{
	only_kill();
	exec_show_rights();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	exec_show_rights();
}

/* A child with the ids that are given, which waits; with a descriptor 100. */
static pid_t idle(uid_t uid, uid_t euid, uid_t suid)
{
	int ready[2];
	pid_t pid;
	char c;

	if (pipe(ready))
		perror("pipe");
	pid = fork();
	if (!pid) {
		dup2(1, 100);
		if (setresgid(uid, euid, suid) || setresuid(uid, euid, suid))
			perror("ids");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (write(ready[1], "", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	if (read(ready[0], &c, 1) != 1)
		perror("read");
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void try_all(const char *who, pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	char byte;
	struct iovec here = { &byte, 1 }, there = { &byte, 1 };
	struct rlimit limit;
	size_t len;
	void *head;
	siginfo_t forged = { .si_signo = SIGCONT, .si_code = SI_USER };

	printf("%s:\n", who);
	show(" kill", kill(pid, 0));
	show(" SIGCONT", kill(pid, SIGCONT));
	show(" pidfd_send_signal", syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0));
	show(" forged", syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, &forged, 0));
	show(" sigqueue", syscall(SYS_rt_sigqueueinfo, pid, SIGCONT, &forged));
	show(" pidfd_getfd", syscall(SYS_pidfd_getfd, pidfd, 100, 0));
	show(" process_vm_readv", process_vm_readv(pid, &here, 1, &there, 1, 0));
	show(" process_vm_writev", process_vm_writev(pid, &here, 1, &there, 1, 0));
	show(" get_robust_list", syscall(SYS_get_robust_list, pid, &head, &len));
	show(" prlimit", prlimit(pid, RLIMIT_CPU, NULL, &limit));
	show(" prlimit set", prlimit(pid, RLIMIT_CPU, &limit, NULL));
	errno = 0;
	show(" getpriority", getpriority(PRIO_PROCESS, (id_t)pid) == -1 && errno ? -1 : 0);
	show(" setpriority", setpriority(PRIO_PROCESS, (id_t)pid, 5));
	show(" sched_setparam", sched_setparam(pid, &(struct sched_param){ 0 }));
	show(" sched_setaffinity", sched_setaffinity(pid, 8, (cpu_set_t *)"\1\0\0\0\0\0\0"));
	show(" ioprio_set", syscall(SYS_ioprio_set, 1, pid, 2 << 13 | 4));
	show(" setpgid", setpgid(pid, 0));
	close(pidfd);
}

static void others(void)
{
	const struct {
		const char *who;
		pid_t pid;
	} all[] = {
		{ "root", idle(0, 0, 0) },
		{ "another", idle(OTHER, OTHER, OTHER) },
		{ "the same, not to be looked into", idle(USER, USER, USER) },
		{ "started by us, now root", idle(USER, 0, 0) },
		{ "root for a while us", idle(0, USER, 0) },
		{ "half another", idle(USER, OTHER, USER) },
	};
	int status;
	pid_t pid = fork();

	if (!pid) {
		become(USER);
		prctl(PR_SET_DUMPABLE, 1);
		for (size_t i = 0; i < COUNT(all); i++)
			try_all(all[i].who, all[i].pid);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	for (size_t i = 0; i < COUNT(all); i++)
		kill(all[i].pid, SIGKILL);
	while (wait(NULL) > 0)
		;
}

/* --- time that does not fit --- */

static void times(void)
{
	const struct timespec most = { INT64_MAX, 999999999 }, less = { -1, 0 };
	const struct itimerval far = { { INT64_MAX, 999999 }, { INT64_MAX, 0 } };
	struct itimerspec its = { most, most };
	struct itimerval now;
	timer_t timer;
	int nothing = 0;

	signal(SIGALRM, SIG_IGN);
	alarm(1);
	show("negative", nanosleep(&less, NULL));
	show("far away", setitimer(ITIMER_REAL, &far, NULL));
	getitimer(ITIMER_REAL, &now);
	printf("and is: %s\n", now.it_value.tv_sec > 1000000 ? "far" : "near");
	show("virtual", setitimer(ITIMER_VIRTUAL, &far, NULL));
	show("profile", setitimer(ITIMER_PROF, &far, NULL));
	show("timer", timer_create(CLOCK_REALTIME, NULL, &timer));
	show("far", timer_settime(timer, TIMER_ABSTIME, &its, NULL));
	show("far from now", timer_settime(timer, 0, &its, NULL));
	show("futex", syscall(SYS_futex, &nothing, 0 /* WAIT */, 1, &most, NULL, 0));
	show("futex, negative", syscall(SYS_futex, &nothing, 0, 0, &less, NULL, 0));
	timer_delete(timer);
}

int main(int argc, char **argv)
{
	static const struct guest_case cases[] = {
		{ "remap_onto_itself", remap_onto_itself },
		{ "fork_advice", fork_advice },
		{ "populate", populate },
		{ "vectors", vectors },
		{ "forged_events", forged_events },
		{ "shared_files", shared_files },
		{ "exec_shared_files", exec_shared_files },
		{ "exec_gains", exec_gains },
		{ "others", others },
		{ "times", times },
	};

	if (argc == 2 && strcmp(argv[1], "nothing") == 0)
		return 0;
	if (argc == 2 && strcmp(argv[1], "rights") == 0) {
		printf("permitted: %s\n", permitted() == 1u << CAP_KILL ? "kill" : "more");
		return 0;
	}
	if (geteuid() != 0) {
		printf("only root can be somebody else\n");
		return 77;
	}
	return guest_run(cases, COUNT(cases), argc, argv);
}
