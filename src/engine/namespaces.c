/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/namespaces.c - which namespaces a process gets, new or joined
 *
 * The parent reads linux.namespaces into a plan (and opens the paths, so that
 * a wrong one fails before anything is forked).  The child or its helper
 * carries the plan out.  Orders that matter:
 *
 * - Namespaces are joined before a new user namespace is made, because what is
 *   joined belongs to the outer one; what is made new belongs to the inner one.
 * - When a user namespace is joined, the others are tried first as we are and
 *   those refused are tried again from within.
 * - The cgroup namespace is made last, by the child itself: its root is the
 *   cgroup of the process that asks, and clone3() would take the parent's.
 * - A network namespace that the parent lends is entered before anything looks
 *   at it: the first mount that does, hooks, sysctls.
 * - Clock offsets can be written only while nobody lives in the time
 *   namespace, so it is unshared before the clone.
 *
 * Callers: container.c and exec.c (plans), launch.c (the entering).
 */
#include "engine/namespaces.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "engine/idmap.h"
#include "engine/sync.h"
#include "engine/user.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define NS_OWN_NETWORK "/proc/self/ns/net"

static const struct {
	const char *type; /* in the spec */
	const char *file; /* in /proc/self/ns */
	uint64_t flag;
} ns_table[] = {
	{ "mount", "mnt", CLONE_NEWNS },    { "pid", "pid", CLONE_NEWPID },
	{ "network", "net", CLONE_NEWNET }, { "ipc", "ipc", CLONE_NEWIPC },
	{ "uts", "uts", CLONE_NEWUTS },	    { "cgroup", "cgroup", CLONE_NEWCGROUP },
	{ "time", "time", CLONE_NEWTIME },  { "user", "user", CLONE_NEWUSER },
};
_Static_assert(ARRAY_SIZE(ns_table) == NS_COUNT, "one descriptor a row");

static int ns_find(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(ns_table); i++)
		if (strcmp(ns_table[i].type, type) == 0)
			return (int)i;
	return -1;
}

/* Entering the user namespace one is in already is refused by the kernel, so leave it out. */
static bool ns_is_ours(int fd, const char *file)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", file);
	return stat(path, &ours) == 0 && fstat(fd, &theirs) == 0 && ours.st_ino == theirs.st_ino &&
	       ours.st_dev == theirs.st_dev;
}

static int ns_plan_path(struct ns_plan *plan, int row, const char *path, struct coffer_error *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int type;

	if (fd < 0)
		return err_sys(err, "linux.namespaces: open %s", path);
	type = ioctl(fd, NS_GET_NSTYPE);
	if (type < 0 || (uint64_t)type != ns_table[row].flag)
		return err_invalid(err, "linux.namespaces: %s is not a %s namespace", path,
				   ns_table[row].type);
	if (ns_is_ours(fd, ns_table[row].file))
		return 0;
	plan->join |= ns_table[row].flag;
	plan->fds[row] = steal_fd(&fd);
	return 0;
}

static int ns_plan_check(const struct ns_plan *plan, const struct oci_user *user,
			 struct coffer_error *err)
{
	const struct oci_linux *l = plan->linux_;

	if (!ns_has(plan, CLONE_NEWNS))
		return err_unsupported(err, "linux.namespaces: a mount namespace is required");
	if (l->time_offsets.n > 0 && !(plan->create & CLONE_NEWTIME))
		return err_invalid(err, "linux.timeOffsets needs a new time namespace");
	if (plan->create & CLONE_NEWUSER)
		return idmap_check(l, user, err);
	if (plan->join & CLONE_NEWUSER)
		return 0; /* it has maps; those of the document are a courtesy to other runtimes */
	if (l->uid_mappings.n > 0 || l->gid_mappings.n > 0)
		return err_invalid(err, "linux.uidMappings needs a user namespace");
	if (geteuid() != 0)
		return err_invalid(err, "linux.namespaces: an ordinary user's container needs a "
					"user namespace");
	return 0;
}

int ns_plan_spec(const struct oci_spec *spec, struct ns_plan *out, struct coffer_error *err)
{
	const struct oci_linux *l = spec->linux_;
	int row, r;

	*out = (struct ns_plan)NS_PLAN_INIT;
	out->linux_ = l;
	out->keep_groups = user_keeps_groups(spec);
	for (size_t i = 0; i < l->namespaces.n; i++) {
		const struct oci_namespace *ns = &l->namespaces.v[i];

		row = ns_find(ns->type);
		if (row < 0)
			return err_unsupported(err, "linux.namespaces: unknown type %s", ns->type);
		if (ns->path) {
			r = ns_plan_path(out, row, ns->path, err);
			if (r < 0)
				return r;
		} else {
			out->create |= ns_table[row].flag;
		}
	}
	out->bridge = (out->join & (CLONE_NEWPID | CLONE_NEWUSER)) ||
		      ((out->create & CLONE_NEWUSER) && out->join) || l->time_offsets.n > 0;
	return ns_plan_check(out, &spec->process->user, err);
}

static int ns_plan_ended(int errnum, struct coffer_error *err)
{
	if (errnum == ENOENT || errnum == ESRCH)
		return err_state(err, "the container's init has ended");
	return err_sysn(err, errnum, "look at the container's namespaces");
}

/* Return: 1 when the process has another one than we, 0, negative errno */
static int ns_plan_differs(int procfd, const char *file, struct coffer_error *err)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", file);
	if (stat(path, &ours) < 0) /* a kernel without this kind */
		return errno == ENOENT ? 0 : err_sys(err, "stat %s", path);
	if (fstatat(procfd, path + strlen("/proc/self/"), &theirs, 0) < 0)
		return ns_plan_ended(errno, err);
	return ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev;
}

int ns_plan_join_pid(pid_t pid, int pidfd, struct ns_plan *out, struct coffer_error *err)
{
	autoclose int procfd = -1;
	char path[32];
	int r;

	*out = (struct ns_plan)NS_PLAN_INIT;
	out->pidfd = pidfd;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (procfd < 0)
		return ns_plan_ended(errno, err);
	/* Alive now, so the directory just opened is its and not a later process's. */
	if (syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) < 0 && errno != EPERM)
		return ns_plan_ended(errno, err);
	for (size_t i = 0; i < ARRAY_SIZE(ns_table); i++) {
		r = ns_plan_differs(procfd, ns_table[i].file, err);
		if (r < 0)
			return r;
		out->join |= r ? ns_table[i].flag : 0;
	}
	out->rootfd = openat(procfd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (out->rootfd < 0)
		return ns_plan_ended(errno, err);
	out->bridge = (out->join & CLONE_NEWPID) != 0;
	return 0;
}

void ns_plan_free(struct ns_plan *plan)
{
	close_fd(&plan->rootfd);
	close_fd(&plan->home);
	for (size_t i = 0; i < NS_COUNT; i++)
		close_fd(&plan->fds[i]);
}

void ns_lend_network(struct ns_plan *plan)
{
	/* In a user namespace of its own it would belong to that one. */
	if (plan->bridge || !(plan->create & CLONE_NEWNET) || ns_has(plan, CLONE_NEWUSER))
		return;
	/* Whoever is root of a user namespace only may leave ours, and not come back. */
	plan->home = open(NS_OWN_NETWORK, O_RDONLY | O_CLOEXEC);
	plan->lent = plan->home >= 0 && setns(plan->home, CLONE_NEWNET) == 0;
}

uint64_t ns_clone_flags(const struct ns_plan *plan)
{
	uint64_t flags = plan->create & ~(uint64_t)CLONE_NEWCGROUP;

	if (plan->lent)
		flags &= ~(uint64_t)CLONE_NEWNET;
	/* The helper has unshared these two before it clones. */
	if (plan->bridge)
		flags &= ~(uint64_t)(CLONE_NEWUSER | CLONE_NEWTIME);
	return flags;
}

/* Ids of the user namespace's root, so that files we make have an owner there. */
static int ns_become_root(struct coffer_error *err)
{
	/* EINVAL: the namespace maps no root; then we stay who we are. */
	if (setresgid(0, 0, 0) < 0 && errno != EINVAL)
		return err_sys(err, "become group 0 of the user namespace");
	if (setresuid(0, 0, 0) < 0 && errno != EINVAL)
		return err_sys(err, "become root of the user namespace");
	return 0;
}

static int ns_map(int sock, struct coffer_error *err)
{
	int r = sync_ask(sock, SYNC_MAP, -1, err);

	return r < 0 ? r : ns_become_root(err);
}

/* One pass over the paths. @later: rows that were refused, for another try from within. */
static int ns_join_paths(const struct ns_plan *plan, unsigned rows, unsigned *later,
			 struct coffer_error *err)
{
	for (unsigned i = 0; i < NS_COUNT; i++) {
		if (!(rows & 1U << i) || plan->fds[i] < 0)
			continue;
		if (setns(plan->fds[i], (int)ns_table[i].flag) == 0)
			continue;
		if (errno != EPERM || !later)
			return err_sys(err, "join the %s namespace", ns_table[i].type);
		*later |= 1U << i;
	}
	return 0;
}

static int ns_join_process(const struct ns_plan *plan, struct coffer_error *err)
{
	if (plan->join && setns(plan->pidfd, (int)plan->join) < 0)
		return errno == ESRCH ? err_state(err, "the container's init has ended")
				      : err_sys(err, "join the container's namespaces");
	/* A mount namespace is entered at its topmost root, which need not be that of init. */
	if (plan->rootfd >= 0 && (fchdir(plan->rootfd) < 0 || chroot(".") < 0))
		return err_sys(err, "enter the container's root");
	return 0;
}

static int ns_join(const struct ns_plan *plan, struct coffer_error *err)
{
	const unsigned user = 1U << (NS_COUNT - 1); /* the table's last row */
	bool by_user = (plan->join & CLONE_NEWUSER) != 0;
	unsigned later = 0;
	int r;

	/* From here on those who live there may see and trace us, unless: */
	if ((plan->pidfd >= 0 || by_user) && prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(err, "forbid tracing");
	/* One that has given up setgroups(2) would leave us the caller's. */
	if (by_user && !plan->keep_groups && setgroups(0, NULL) < 0 && errno != EPERM)
		return err_sys(err, "drop the caller's groups");
	if (plan->pidfd >= 0) {
		r = ns_join_process(plan, err);
		if (r < 0)
			return r;
	} else {
		r = ns_join_paths(plan, ~user, by_user ? &later : NULL, err);
		if (r == 0)
			r = ns_join_paths(plan, user, NULL, err);
		if (r == 0)
			r = ns_join_paths(plan, later, NULL, err);
		if (r < 0)
			return r;
	}
	return by_user ? ns_become_root(err) : 0;
}

static int ns_set_clocks(const struct ns_plan *plan, struct coffer_error *err)
{
	const struct oci_linux *l = plan->linux_;
	char text[128];
	int r;

	if (unshare(CLONE_NEWTIME) < 0)
		return err_sys(err, "make the time namespace");
	/* The change of user has given our /proc files to the first root; take them back. */
	if (prctl(PR_SET_DUMPABLE, 1) < 0)
		return err_sys(err, "own /proc/self");
	for (size_t i = 0; i < l->time_offsets.n; i++) {
		const struct oci_time_offset *o = &l->time_offsets.v[i];

		snprintf(text, sizeof(text), "%.16s %" PRId64 " %" PRIu32 "\n", o->clock, o->secs,
			 o->nanosecs);
		r = io_write_file(AT_FDCWD, "/proc/self/timens_offsets", text, err);
		if (r < 0)
			return err_wrap(err, "linux.timeOffsets");
	}
	return 0;
}

int ns_enter_bridge(const struct ns_plan *plan, int sock, struct coffer_error *err)
{
	int r = ns_join(plan, err);

	if (r == 0 && (plan->create & CLONE_NEWUSER)) {
		if (unshare(CLONE_NEWUSER) < 0)
			return err_sys(err, "make the user namespace");
		r = ns_map(sock, err);
	}
	if (r == 0 && (plan->create & CLONE_NEWTIME))
		r = ns_set_clocks(plan, err);
	return r;
}

int ns_enter_child(const struct ns_plan *plan, int sock, struct coffer_error *err)
{
	int r = 0;

	if (!plan->bridge) {
		if (plan->create & CLONE_NEWUSER)
			r = ns_map(sock, err);
		if (r == 0)
			r = ns_join(plan, err);
	}
	if (r == 0 && (plan->create & CLONE_NEWCGROUP) && unshare(CLONE_NEWCGROUP) < 0)
		return err_sys(err, "make the cgroup namespace");
	return r;
}

int ns_make_network(const struct ns_plan *plan, struct coffer_error *err)
{
	autoclose int made = -1;
	int r = 0;

	if (unshare(CLONE_NEWNET) < 0)
		return err_sys(err, "make the network namespace");
	made = open(NS_OWN_NETWORK, O_RDONLY | O_CLOEXEC);
	if (made < 0)
		r = err_sys(err, "open %s", NS_OWN_NETWORK);
	if (setns(plan->home, CLONE_NEWNET) < 0)
		r = err_sys(err, "return to our network namespace");
	return r < 0 ? r : steal_fd(&made);
}

int ns_enter_network(const struct ns_plan *plan, int sock, struct coffer_error *err)
{
	autoclose int fd = -1;
	struct sync_msg msg;
	int r;

	if (!plan->lent)
		return 0;
	r = sync_recv(sock, &msg, &fd);
	if (r == 0)
		return err_set(err, COFFER_ERR_INTERRUPTED, 0, "parent went away");
	if (r < 0)
		return err_sysn(err, r, "wait for the network namespace");
	if (r != SYNC_NETWORK || fd < 0)
		return err_internal(err, "unexpected message %d from parent", r);
	return setns(fd, CLONE_NEWNET) < 0 ? err_sys(err, "join the network namespace") : 0;
}
