/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/launch.c - a process in its namespaces and cgroup, from clone to execve
 *
 *	direct:   parent --clone3(namespaces, cgroup)--> child: main()
 *	bridged:  parent --clone3(cgroup)--> helper: joins, makes
 *	                                     helper --clone3(sibling)--> child: main()
 *
 * The helper is in the way for about a millisecond, so the direct form is
 * taken whenever the plan allows.  The first clone goes straight into the
 * cgroup: nothing of the container ever runs outside of it.
 *
 * Groups of version 1 are entered by the child itself, before anything else.
 * Where groups are systemd's to make, or busy, its first question is to be
 * placed.
 *
 * The clone is raw, without the C library's fork handlers, and memory is
 * copied, not shared.  So the child may allocate only if the parent had one
 * thread; engine.h says so to the callers.
 *
 * Both ends talk as sync.h says.  The parent never waits without limit: a
 * child that hangs in its set-up is killed.
 *
 * The debug messages name the three moments as runc does: there are programs
 * that look for these words.
 */
#define LOG_CATEGORY "engine"
#include "engine/launch.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/idmap.h"
#include "engine/rlimit.h"
#include "engine/sync.h"

#define LAUNCH_BUDGET	     (20 * USEC_PER_SEC) /* for one step of the child */
#define LAUNCH_HELPER_BUDGET USEC_PER_SEC	 /* for the helper's exit */
#define LAUNCH_LOOK	     (100 * USEC_PER_MSEC) /* between looks whether it can go on at all */

static long launch_clone(uint64_t flags, int cgroup, int *pidfd)
{
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		/* A sibling takes the exit signal of its creator. */
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
	};

	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	return syscall(SYS_clone3, &args, sizeof(args));
}

static bool launch_needs_place(const struct launch *l)
{
	return l->place && (l->place_always || l->cgroup < 0);
}

/* In the helper. Return: 0 in the real child, negative errno; the helper itself ends here. */
static int launch_bridge(const struct launch *l, int sock, struct coffer_error *err)
{
	int pidfd = -1, r;
	long pid;

	r = ns_enter_bridge(l->ns, sock, err);
	if (r < 0)
		return r;
	/* From its birth on the child can be seen from a joined pid namespace: no tracing. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(err, "forbid tracing");
	pid = launch_clone(ns_clone_flags(l->ns) | CLONE_PARENT, -1, &pidfd);
	if (pid < 0)
		return err_sys(err, "clone3");
	if (pid == 0)
		return 0;
	r = sync_send(sock, SYNC_FORKED, (int32_t)pid, pidfd);
	if (r < 0)
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	_exit(r < 0 ? 127 : 0);
}

static _Noreturn void launch_child(const struct launch *l, int sock)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = 0;

	spawn_reset_signals();
	rlimit_apply_early(l->program);
	if (launch_needs_place(l))
		r = sync_ask(sock, SYNC_PLACE, -1, &err);
	if (r == 0 && l->groups)
		r = cgroup_enter(l->groups, &err);
	if (r == 0 && l->groups)
		r = cgroup_enter_below(l->groups, l->below, l->nbelow, &err);
	if (r == 0 && l->ns->bridge)
		r = launch_bridge(l, sock, &err);
	if (r == 0)
		r = ns_enter_child(l->ns, sock, &err);
	if (r < 0)
		err_wrap(&err, "namespaces");
	/* A parent that died before this is missed at the next report. */
	else if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		err_sys(&err, "ask to die with the parent");
	else
		l->main(l->data, &sock, &err);
	sync_send_error(sock, &err);
	_exit(127);
}

/* ---- the parent's side ---- */

static int launch_on_error(struct launch *l, struct sync_msg *msg, int *fd,
			   struct coffer_error *err)
{
	if ((unsigned)msg->err.kind >= COFFER_ERR_KIND_COUNT || msg->err.kind == COFFER_ERR_NONE ||
	    msg->err.err <= 0)
		return err_internal(err, "unreadable report from the container's process");
	if (err)
		*err = msg->err;
	return -msg->err.err;
}

static int launch_born(struct launch *l, struct coffer_error *err)
{
	l->forked = true;
	log_debug("child process in init(): %d sets itself up", (int)l->process.child.pid);
	return l->born ? l->born(l->process.child.pid, l->parent_data, err) : 0;
}

static int launch_on_forked(struct launch *l, struct sync_msg *msg, int *fd,
			    struct coffer_error *err)
{
	autochild struct child helper = CHILD_INIT;
	siginfo_t si;

	if (l->forked || *fd < 0 || msg->pid <= 0)
		return err_internal(err, "unexpected fork of the container's process");
	helper = child_steal(&l->process.child);
	l->process.child = (struct child){ .pid = msg->pid, .pidfd = steal_fd(fd) };
	/* It is about to exit; one that is kept from that, by a freezer say, is killed. */
	child_wait(&helper, deadline_in(clock_budget(LAUNCH_HELPER_BUDGET)), &si);
	return launch_born(l, err);
}

static int launch_continue(struct launch *l, struct coffer_error *err)
{
	int r = sync_send(l->sock, SYNC_CONTINUE, 0, -1);

	return r < 0 ? err_sysn(err, r, "answer the container's process") : 0;
}

/* Before any answer but that to SYNC_PLACE, so that the child knows what comes when. */
static int launch_lend_network(struct launch *l, struct coffer_error *err)
{
	autoclose int fd = l->ns->lent ? ns_make_network(l->ns, err) : -1;
	int r;

	if (!l->ns->lent || fd < 0)
		return l->ns->lent ? fd : 0;
	r = sync_send(l->sock, SYNC_NETWORK, 0, fd);
	/* EPIPE: it has died meanwhile; its report may still be in the socket. */
	return r < 0 && r != -EPIPE ? err_sysn(err, r, "send the network namespace") : 0;
}

static int launch_on_place(struct launch *l, struct sync_msg *msg, int *fd,
			   struct coffer_error *err)
{
	int r = l->place ? l->place(l->process.child.pid, l->parent_data, err)
			 : err_internal(err, "unexpected question for a cgroup");

	if (r == 0)
		r = launch_continue(l, err);
	return r < 0 ? r : launch_lend_network(l, err);
}

static int launch_on_map(struct launch *l, struct sync_msg *msg, int *fd, struct coffer_error *err)
{
	int r = idmap_write(l->ns->linux_, l->process.child.pid, err);

	return r < 0 ? r : launch_continue(l, err);
}

static int launch_on_hooks(struct launch *l, struct sync_msg *msg, int *fd,
			   struct coffer_error *err)
{
	int r = l->hooks ? l->hooks(l->process.child.pid, l->parent_data, err)
			 : err_internal(err, "unexpected question for hooks");

	return r < 0 ? r : launch_continue(l, err);
}

static int launch_on_listener(struct launch *l, struct sync_msg *msg, int *fd,
			      struct coffer_error *err)
{
	autoclose int listener = steal_fd(fd);
	int r;

	if (!l->listener)
		return err_internal(err, "unexpected listener of a filter");
	if (listener < 0)
		listener = (int)syscall(SYS_pidfd_getfd, l->process.child.pidfd, msg->pid, 0);
	if (listener < 0 && errno == EPERM) {
		/* As an ordinary user; a filter mostly lets it be sent. */
		r = sync_send(l->sock, SYNC_LISTENER, 0, -1);
		return r < 0 ? err_sysn(err, r, "ask for the filter's listener") : 0;
	}
	if (listener < 0)
		return err_sys(err, "take the filter's listener");
	r = l->listener(listener, l->process.child.pid, l->parent_data, err);
	return r < 0 ? r : launch_continue(l, err);
}

static int launch_on_created(struct launch *l, struct sync_msg *msg, int *fd,
			     struct coffer_error *err)
{
	l->process.ptmx = steal_fd(fd);
	return 0;
}

static int launch_on_exec(struct launch *l, struct sync_msg *msg, int *fd, struct coffer_error *err)
{
	log_debug("setns_init: about to exec in process %d", (int)l->process.child.pid);
	return 0;
}

static int (*const launch_handlers[])(struct launch *l, struct sync_msg *msg, int *fd,
				      struct coffer_error *err) = {
	[SYNC_ERROR] = launch_on_error,     [SYNC_PLACE] = launch_on_place,
	[SYNC_FORKED] = launch_on_forked,   [SYNC_MAP] = launch_on_map,
	[SYNC_HOOKS] = launch_on_hooks,     [SYNC_CREATED] = launch_on_created,
	[SYNC_EXEC] = launch_on_exec,	    [SYNC_LISTENER] = launch_on_listener,
};

/* The socket was closed without execve: say what became of the process. */
static int launch_lost(struct launch *l, struct coffer_error *err)
{
	siginfo_t si = { 0 };

	if (child_wait(&l->process.child, deadline_in(clock_budget(USEC_PER_SEC)), &si) < 0)
		return err_set(err, COFFER_ERR_INTERRUPTED, 0, "process left its set-up");
	if (si.si_code == CLD_EXITED)
		return err_set(err, COFFER_ERR_INTERRUPTED, 0,
			       "process exited with status %d during its set-up", si.si_status);
	return err_set(err, COFFER_ERR_INTERRUPTED, 0,
		       "process was killed by signal %d during its set-up", si.si_status);
}

/* Who is root in a pid namespace can stop what joins it. */
static bool launch_is_stopped(const struct launch *l)
{
	siginfo_t si = { 0 };

	return waitid(P_PIDFD, (id_t)l->process.child.pidfd, &si, WSTOPPED | WNOHANG | WNOWAIT) ==
		       0 &&
	       si.si_pid != 0;
}

/* The next message. Return: its type, 0 at the end of file, or negative errno with @err filled */
static int launch_receive(struct launch *l, struct sync_msg *msg, int *fd,
			  struct coffer_error *err)
{
	usec_t deadline =
		l->patient ? USEC_INFINITY : deadline_in(clock_budget(LAUNCH_BUDGET));
	int type;

	while ((type = sync_recv(l->sock, msg, fd)) == -EAGAIN) {
		if (launch_is_stopped(l))
			return err_set(err, COFFER_ERR_INTERRUPTED, 0,
				       "process was stopped from inside during its set-up");
		if (deadline_left(deadline) == 0)
			return err_timeout(err, "process does not finish its set-up");
	}
	return type < 0 ? err_sysn(err, type, "read report of the container's process") : type;
}

/* One message. Return: its type, or negative errno with @err filled */
static int launch_serve_one(struct launch *l, struct coffer_error *err)
{
	autoclose int fd = -1;
	struct sync_msg msg;
	int type, r;

	type = launch_receive(l, &msg, &fd, err);
	if (type == 0)
		return launch_lost(l, err);
	if (type < 0)
		return type;
	if ((size_t)type >= ARRAY_SIZE(launch_handlers) || !launch_handlers[type])
		return err_internal(err, "unexpected report %d", type);
	r = launch_handlers[type](l, &msg, &fd, err);
	return r < 0 ? r : type;
}

/*
 * Serve messages until @want has come.  Helper and child speak independently,
 * so the child may be heard before the helper has said who it is; we need
 * both, also after a failure, or the child could not be reaped.
 */
static int launch_serve(struct launch *l, int want, struct coffer_error *err)
{
	bool done = false;
	int type;

	while (!done || !l->forked) {
		type = launch_serve_one(l, err);
		if (type < 0) {
			/* One that waits for an answer is not to wait for it in vain. */
			if (!l->forked)
				shutdown(l->sock, SHUT_WR);
			while (!l->forked && launch_serve_one(l, NULL) >= 0)
				;
			return type;
		}
		done |= type == want;
	}
	return 0;
}

static int launch_limit_waits(const struct launch *l, struct coffer_error *err)
{
	const struct timeval tv = { .tv_usec = LAUNCH_LOOK };

	if (setsockopt(l->sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0)
		return err_sys(err, "limit the waiting time");
	return 0;
}

static long launch_clone_first(struct launch *l, int *pidfd)
{
	uint64_t flags = l->ns->bridge ? 0 : ns_clone_flags(l->ns);
	long pid = launch_clone(flags, l->cgroup, pidfd);

	if (pid >= 0 || (errno != EBUSY && errno != EACCES) || l->cgroup < 0 || !l->place)
		return pid;
	l->cgroup = -1;
	return launch_clone(flags, -1, pidfd);
}

int launch_start(struct launch *l, struct coffer_error *err)
{
	autoclose int theirs = -1;
	int pair[2], pidfd = -1, r;
	long pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socketpair");
	l->sock = pair[0];
	theirs = pair[1];
	r = launch_limit_waits(l, err);
	if (r < 0)
		return r;
	pid = launch_clone_first(l, &pidfd);
	if (pid < 0)
		return err_sys(err, "clone3");
	if (pid == 0) {
		close(l->sock);
		launch_child(l, theirs);
	}
	l->process.child = (struct child){ .pid = (pid_t)pid, .pidfd = pidfd };
	close_fd(&theirs);
	log_debug("nsexec container setup: %s %d cloned", l->ns->bridge ? "helper" : "process",
		  (int)pid);
	r = launch_needs_place(l) ? 0 : launch_lend_network(l, err);
	if (r == 0 && !l->ns->bridge)
		r = launch_born(l, err);
	return r < 0 ? r : launch_serve(l, SYNC_CREATED, err);
}

int launch_send_to_gate(struct launch *l, struct coffer_error *err)
{
	int r = launch_continue(l, err);

	close_fd(&l->sock);
	return r;
}

static int launch_await_exec(struct launch *l, struct coffer_error *err)
{
	struct sync_msg msg;
	int r, fd = -1;

	/* A socket that came through a gate has no limit yet. */
	r = launch_limit_waits(l, err);
	if (r < 0)
		return r;
	r = sync_send(l->sock, SYNC_CONTINUE, 0, -1);
	/* EPIPE: it has died meanwhile; its report may still be in the socket. */
	if (r < 0 && r != -EPIPE)
		return err_sysn(err, r, "start the process");
	r = launch_serve(l, SYNC_EXEC, err);
	if (r < 0)
		return r;
	while ((r = launch_receive(l, &msg, &fd, err)) == SYNC_LISTENER) {
		r = launch_on_listener(l, &msg, &fd, err);
		if (r < 0)
			return r;
	}
	close_fd(&fd);
	if (r == SYNC_ERROR)
		return launch_on_error(l, &msg, &fd, err);
	if (r > 0)
		return err_internal(err, "unexpected report %d", r);
	return r < 0 ? err_wrap(err, "wait for execve") : 0;
}

int launch_go(struct launch *l, struct coffer_error *err)
{
	int r = launch_await_exec(l, err);

	if (r < 0)
		launch_end(l);
	close_fd(&l->sock);
	return r;
}

void launch_end(struct launch *l)
{
	child_end(&l->process.child);
	close_fd(&l->process.ptmx);
	close_fd(&l->sock);
}
