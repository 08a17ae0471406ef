/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/aside.c - work on a tree of files of other users, in a child
 *
 *	child: [new user namespace --> "mapped?" <-- maps written] --> fn() --> verdict
 *
 * The files of an image belong to many users.  Who may not give files away can
 * within a user namespace of its own; root needs none, but a umask of its own
 * all the same, which threads do not have.
 *
 * The C library's fork, not spawn_fork(): fn() allocates, and the child of a
 * process with threads may only do so when the allocator knows of the fork.
 *
 * Callers: bundle.c.
 */
#include "container/aside.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/spawn.h"
#include "engine/idmap.h"

enum aside_kind { ASIDE_MAP, ASIDE_TELLS, ASIDE_ENDS };

struct aside_message {
	enum aside_kind kind;
	int result;
	uint64_t number;
	struct coffer_error err;
};

struct aside {
	int fd; /* to the parent */
};

/* ---- in the child ---- */

void aside_tell(struct aside *a, uint64_t number)
{
	const struct aside_message m = { .kind = ASIDE_TELLS, .number = number };

	send(a->fd, &m, sizeof(m), MSG_NOSIGNAL);
}

static int aside_enter(struct aside *a, struct coffer_error *err)
{
	const struct aside_message m = { .kind = ASIDE_MAP };
	char done;

	if (unshare(CLONE_NEWUSER) < 0)
		return err_sys(err, "make a user namespace");
	/* For whoever writes our maps. */
	prctl(PR_SET_DUMPABLE, 1);
	if (send(a->fd, &m, sizeof(m), MSG_NOSIGNAL) < 0 || recv(a->fd, &done, 1, 0) != 1)
		return err_set(err, COFFER_ERR_INTERRUPTED, ECONNRESET, "nobody maps our ids");
	/* Raw calls: these are for this thread, which is alone. The groups that one has are no
	 * right within the namespace, so those that may not be dropped are no harm. */
	syscall(SYS_setgroups, 0UL, NULL);
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
		return err_sys(err, "become root of a user namespace");
	return 0;
}

static _Noreturn void aside_child(const struct aside_args *args, int fd, pid_t parent)
{
	struct aside_message m = { .kind = ASIDE_ENDS };
	struct aside a = { .fd = fd };
	sigset_t all;

	/* Those of a terminal are for our parent, who ends us when it has had enough. */
	spawn_reset_signals();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	umask(0);
	if (args->ids)
		m.result = aside_enter(&a, &m.err);
	/* After the change of ids, which would clear it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (m.result == 0 && getppid() == parent)
		m.result = args->fn(&a, args->data, &m.err);
	send(fd, &m, sizeof(m), MSG_NOSIGNAL);
	_exit(0);
}

/* ---- here ---- */

static int aside_map(const struct aside_args *args, int fd, const struct child *child,
		     struct coffer_error *err)
{
	int r = idmap_write(args->ids, child->pid, err);

	if (r == 0 && send(fd, "", 1, MSG_NOSIGNAL) != 1)
		return err_sys(err, "wake the child");
	return r;
}

/* Return: 0 when there is a message, or the end */
static int aside_wait(const struct aside_args *args, int fd, struct coffer_error *err)
{
	struct pollfd fds[] = { { .fd = fd, .events = POLLIN },
				{ .fd = args->cancel_fd, .events = POLLIN } };
	int r;

	do
		r = poll(fds, ARRAY_SIZE(fds), -1);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(err, "poll");
	return fds[1].revents ? err_set(err, COFFER_ERR_CANCELLED, 0, "given up") : 0;
}

static int aside_listen(const struct aside_args *args, int fd, const struct child *child,
			struct coffer_error *err)
{
	struct aside_message m = { .kind = ASIDE_TELLS };
	int r = 0;

	while (r == 0 && m.kind != ASIDE_ENDS) {
		ssize_t n;

		r = aside_wait(args, fd, err);
		n = r < 0 ? 0 : recv(fd, &m, sizeof(m), 0);
		if (r == 0 && n != sizeof(m))
			r = err_internal(err, "the child that works on the files died");
		else if (r == 0 && m.kind == ASIDE_MAP)
			r = aside_map(args, fd, child, err);
		else if (r == 0 && m.kind == ASIDE_TELLS && args->told)
			args->told(args->data, m.number);
	}
	if (r == 0 && m.result < 0 && err)
		*err = m.err;
	return r == 0 ? m.result : r;
}

int aside_run(const struct aside_args *args, struct coffer_error *err)
{
	autochild struct child child = CHILD_INIT;
	autoclose int fd = -1, theirs = -1;
	sigset_t all, before;
	pid_t parent = getpid();
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(err, "socketpair");
	fd = sv[0];
	theirs = sv[1];
	/* Else a handler of ours could run in the child. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	child.pid = fork();
	if (child.pid == 0)
		aside_child(args, theirs, parent);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (child.pid < 0) {
		child.pid = 0;
		return err_sys(err, "fork");
	}
	child.pidfd = (int)syscall(SYS_pidfd_open, child.pid, 0);
	close_fd(&theirs);
	return aside_listen(args, fd, &child, err);
}
