/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/namespaces.h - which namespaces a process gets, new or joined
 */
#ifndef ENGINE_NAMESPACES_H
#define ENGINE_NAMESPACES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "spec/spec.h"

#define NS_COUNT 8

/*
 * Made by the parent, carried out by the child.  Direct: one clone3() makes
 * every new namespace and the child joins the rest.  Bridged: a short-lived
 * helper joins and makes first and clones the real child as its sibling; needed
 * when the child must be born into a joined pid namespace, when a user
 * namespace has to be entered before others are made, and for clock offsets.
 *
 * A network namespace takes as long to make as all the rest of the clone.  The
 * parent can do that while the child mounts, so with ns_lend_network() it does.
 */
struct ns_plan {
	uint64_t create;      /* CLONE_NEW* to make */
	uint64_t join;        /* CLONE_NEW* to enter */
	int fds[NS_COUNT];    /* by path, in the table's order; owned, -1: not by path */
	int pidfd;            /* whose namespaces to enter instead; borrowed, -1: by path */
	int rootfd;           /* the root to end up in, after joining by pidfd; owned, or -1 */
	bool keep_groups;     /* those of the caller, into a user namespace that is joined */
	bool bridge;
	bool lent;            /* the parent makes the network namespace, and sends it */
	int home;             /* then: the parent's own; owned, or -1 */
	const struct oci_linux *linux_; /* maps and offsets; borrowed */
};

#define NS_PLAN_INIT { .fds = { -1, -1, -1, -1, -1, -1, -1, -1 }, .pidfd = -1, .rootfd = -1, \
		       .home = -1 }

/* ns_plan_spec() - The plan of a container's init. Opens the paths, checks the ids. */
int ns_plan_spec(const struct oci_spec *spec, struct ns_plan *out, struct coffer_error *err);
/**
 * ns_plan_join_pid() - Enter those namespaces of a process that are not ours already
 * @pid:	The process, in our pid namespace and its /proc
 * @pidfd:	Of the same process; borrowed, must stay open until the plan is carried out
 * @out:	The caller ends it with ns_plan_free(), on failure too
 *
 * The entering ends in the root that @pid has now, also where that is none of a mount
 * namespace (a root changed by chroot alone).
 */
int ns_plan_join_pid(pid_t pid, int pidfd, struct ns_plan *out, struct coffer_error *err);
void ns_plan_free(struct ns_plan *plan);

/* ns_has() - Does the container have its own (or a joined) one of CLONE_NEW* @flag? */
static inline bool ns_has(const struct ns_plan *plan, uint64_t flag)
{
	return ((plan->create | plan->join) & flag) != 0;
}

/* ns_lend_network() - The parent is to make the network namespace, if it may and nobody can tell */
void ns_lend_network(struct ns_plan *plan);

/* ns_clone_flags() - What clone3() itself makes for the process that will exec */
uint64_t ns_clone_flags(const struct ns_plan *plan);

/**
 * ns_enter_bridge() - In the helper: everything that comes before the real child's clone
 * ns_enter_child() - In the child: what is left after it
 * @sock:	To ask the parent for the user namespace's maps
 */
int ns_enter_bridge(const struct ns_plan *plan, int sock, struct coffer_error *err);
int ns_enter_child(const struct ns_plan *plan, int sock, struct coffer_error *err);

/* ns_make_network() - In the parent, which is back in its own when this returns. Return: descriptor */
int ns_make_network(const struct ns_plan *plan, struct coffer_error *err);
/* ns_enter_network() - In the child: wait for the one that the parent lends, if it does */
int ns_enter_network(const struct ns_plan *plan, int sock, struct coffer_error *err);

#endif /* ENGINE_NAMESPACES_H */
