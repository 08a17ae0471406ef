/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/spawn.c - child processes that report their own failure to the parent
 *
 * spawn_exec():  parent --clone3(pidfd)--> child
 *                                          descriptors, session, pdeathsig, hook, execve
 *                parent <--struct coffer_error over a close-on-exec pipe, or EOF = execve done
 *
 * The child runs only async-signal-safe calls plus the hook, so a threaded
 * parent (libcoffer's users) may call this; the hook has the same duty.
 */
#include "base/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"

#define SPAWN_FDS_MAX 128
#define SPAWN_STRANGER_BUDGET (5 * USEC_PER_SEC) /* for the end of a process that others reap */

/*
 * Caught signals would run the parent's handlers, ignored and blocked ones
 * would stay so over execve.  By raw calls, since glibc keeps 32 and 33 to
 * itself and would let what we inherited of those pass on.  All zeros is
 * SIG_DFL without flags on every architecture.
 */
void spawn_reset_signals(void)
{
	static const uint64_t default_action[8];
	static const uint64_t none;

	for (int sig = 1; sig < NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, default_action, NULL, sizeof(none));
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
}

int spawn_fork(unsigned long clone_flags, struct child *out, struct coffer_error *err)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = clone_flags | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	sigset_t all, before;
	int errnum;
	long pid;

	/* Else a handler of the parent could run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	/* Filters of system calls can't look into its argument and so let only the old one pass. */
	if (pid < 0 && errno == ENOSYS)
		pid = syscall(SYS_clone, clone_flags | CLONE_PIDFD | SIGCHLD, NULL, &pidfd, NULL,
			      0UL);
	if (pid == 0) {
		spawn_reset_signals();
		return 0;
	}
	errnum = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return err_sysn(err, errnum, "clone3");
	*out = (struct child){ .pid = (pid_t)pid, .pidfd = pidfd };
	return 1;
}

/* First out of the targets' way, then onto the targets: a source may be another's target. */
static int spawn_place_fds(const struct spawn_args *args, int *report, struct coffer_error *err)
{
	int moved[SPAWN_FDS_MAX];
	int low = 3, fd;

	if (args->nfds > SPAWN_FDS_MAX)
		return err_invalid(err, "too many descriptors to inherit");
	for (size_t i = 0; i < args->nfds; i++)
		if (args->fds[i].target >= low)
			low = args->fds[i].target + 1;
	for (size_t i = 0; i < args->nfds; i++) {
		moved[i] = fcntl(args->fds[i].fd, F_DUPFD_CLOEXEC, low);
		if (moved[i] < 0)
			return err_sys(err, "duplicate descriptor %d", args->fds[i].fd);
	}
	fd = fcntl(*report, F_DUPFD_CLOEXEC, low);
	if (fd < 0)
		return err_sys(err, "duplicate descriptor");
	*report = fd;
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int std = 0; std < 3; std++)
		if (fd >= 0 && dup2(fd, std) < 0)
			return err_sys(err, "open standard descriptor %d", std);
	for (size_t i = 0; i < args->nfds; i++)
		if (dup2(moved[i], args->fds[i].target) < 0)
			return err_sys(err, "place descriptor %d", args->fds[i].target);
	return 0;
}

static void spawn_close_others(const struct spawn_args *args)
{
	/* Everything above the standard three dies at execve, except the wanted ones. */
	syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
	for (size_t i = 0; i < args->nfds; i++)
		if (args->fds[i].target >= 3)
			io_set_cloexec(args->fds[i].target, false);
}

static int spawn_child(const struct spawn_args *args, pid_t parent, int *report,
		       struct coffer_error *err)
{
	static const char *const empty[] = { NULL };
	const char *const *envp = args->envp ? args->envp : empty;
	int r;

	r = spawn_place_fds(args, report, err);
	if (r < 0)
		return r;
	if (args->new_session && setsid() < 0)
		return err_sys(err, "setsid");
	spawn_close_others(args);
	if (args->hook) {
		r = args->hook(args->hook_data, err);
		if (r < 0)
			return r;
	}
	/* After the hook: changing ids clears the death signal. */
	if (args->pdeathsig) {
		if (prctl(PR_SET_PDEATHSIG, args->pdeathsig) < 0)
			return err_sys(err, "set parent death signal");
		if (getppid() != parent && getppid() != 0)
			return err_set(err, COFFER_ERR_INTERRUPTED, 0, "parent died");
	}
	execve(args->path, (char *const *)args->argv, (char *const *)envp);
	return err_sys(err, "execute %s", args->path);
}

static int spawn_pipe(int *rd, int *wr, struct coffer_error *err)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	*rd = p[0];
	*wr = p[1];
	return 0;
}

/* The child's side of parent_hook: a byte comes when it is done, the end when it failed. */
static void spawn_wait_for_parent(int *rd, int *wr)
{
	char done;

	close_fd(wr);
	if (*rd >= 0 && io_read_full(*rd, &done, 1) != 1)
		_exit(127);
	close_fd(rd);
}

static int spawn_do_for_child(const struct spawn_args *args, pid_t child, int wr,
			      struct coffer_error *err)
{
	int r = args->parent_hook ? args->parent_hook(args->hook_data, child, err) : 0;

	if (r < 0 || wr < 0)
		return r;
	r = io_write_full(wr, "", 1);
	return r < 0 ? err_sysn(err, r, "wake the child") : 0;
}

int spawn_exec(const struct spawn_args *args, struct child *out, struct coffer_error *err)
{
	autoclose int rd = -1, wr = -1, gate_rd = -1, gate_wr = -1;
	struct coffer_error child_err = COFFER_ERROR_INIT;
	autochild struct child child = CHILD_INIT;
	pid_t parent = getpid();
	ssize_t n;
	int r;

	r = spawn_pipe(&rd, &wr, err);
	if (r == 0 && args->parent_hook)
		r = spawn_pipe(&gate_rd, &gate_wr, err);
	if (r == 0)
		r = spawn_fork(args->clone_flags, &child, err);
	if (r < 0)
		return err_wrap(err, "start %s", args->path);
	if (r == 0) {
		spawn_wait_for_parent(&gate_rd, &gate_wr);
		spawn_child(args, parent, &wr, &child_err);
		io_write_full(wr, &child_err, sizeof(child_err));
		_exit(127);
	}
	close_fd(&wr);
	r = spawn_do_for_child(args, child.pid, gate_wr, err);
	if (r < 0)
		return err_wrap(err, "start %s", args->path);
	n = io_read_full(rd, &child_err, sizeof(child_err));
	if (n == (ssize_t)sizeof(child_err)) {
		err_wrap(&child_err, "start %s", args->path);
		if (err)
			*err = child_err;
		return -child_err.err;
	}
	if (n != 0)
		return err_sysn(err, n < 0 ? (int)n : EIO, "start %s: read child's report", args->path);
	*out = child_steal(&child);
	return 0;
}

int child_wait(struct child *c, usec_t deadline, siginfo_t *si)
{
	int r;

	if (c->pid == 0)
		return -ECHILD;
	if (deadline != USEC_INFINITY) {
		r = io_wait(c->pidfd, POLLIN, deadline);
		if (r <= 0)
			return r < 0 ? r : -ETIMEDOUT;
	}
	do {
		r = waitid(P_PIDFD, (id_t)c->pidfd, si, WEXITED);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	close_fd(&c->pidfd);
	c->pid = 0;
	return 0;
}

int child_kill(const struct child *c, int sig)
{
	if (c->pid == 0)
		return -ESRCH;
	if (syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0) < 0 && errno != ESRCH)
		return -errno;
	return 0;
}

void child_end(struct child *c)
{
	int saved_errno = errno;
	siginfo_t si;

	if (c->pid != 0) {
		child_kill(c, SIGKILL);
		/* One that is not ours to reap is to be gone as well. */
		if (child_wait(c, USEC_INFINITY, &si) == -ECHILD)
			io_wait(c->pidfd, POLLIN, deadline_in(SPAWN_STRANGER_BUDGET));
	}
	close_fd(&c->pidfd);
	c->pid = 0;
	errno = saved_errno;
}

int spawn_exit_code(const siginfo_t *si)
{
	return si->si_code == CLD_EXITED ? si->si_status & 0xff : 128 + si->si_status;
}

int spawn_signal_parse(const char *name)
{
	char *end;
	long n;

	if (*name >= '0' && *name <= '9') {
		n = strtol(name, &end, 10);
		return *end || n < 0 || n > 64 ? -EINVAL : (int)n;
	}
	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	if (strncasecmp(name, "RTMIN+", 6) == 0 && name[6] >= '0' && name[6] <= '9') {
		n = strtol(name + 6, &end, 10);
		return *end || n > 64 - 34 ? -EINVAL : 34 + (int)n;
	}
	for (int sig = 1; sig < 32; sig++) {
		const char *abbrev = sigabbrev_np(sig);

		if (abbrev && strcasecmp(name, abbrev) == 0)
			return sig;
	}
	return -EINVAL;
}
