/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_internal.h - between the files of the control group's room
 *
 * A host has one hierarchy (v2) or several (v1, often with v2 beside them).
 * In each of them the container has one group, a struct cgroup_tree; struct
 * cgroup is all of them.  Whoever makes the groups is the driver (struct
 * cgroup_ops): cgroupfs (NULL functions: we make them), or systemd.  Limits,
 * signals, freezing and figures go to the groups' files with either.
 */
#ifndef ENGINE_CGROUP_INTERNAL_H
#define ENGINE_CGROUP_INTERNAL_H

#include "base/cleanup.h"
#include "engine/cgroup.h"

#define CGROUP_FILE_MAX ((size_t)1 << 20)
#define CGROUP_ROOT	"/sys/fs/cgroup"

enum cgroup_controller {
	CGROUP_CPU,
	CGROUP_CPUACCT,
	CGROUP_CPUSET,
	CGROUP_MEMORY,
	CGROUP_DEVICES,
	CGROUP_FREEZER,
	CGROUP_BLKIO,
	CGROUP_PIDS,
	CGROUP_HUGETLB,
	CGROUP_RDMA,
	CGROUP_NET_CLS,
	CGROUP_NET_PRIO,
	CGROUP_PERF_EVENT,
	CGROUP_MISC,
	CGROUP_CONTROLLER_COUNT,
};

/* The container's group in one hierarchy. */
struct cgroup_tree {
	char *names;          /* "memory", "cpu,cpuacct", "name=systemd"; "" is v2; owned */
	unsigned controllers; /* v1: bits by enum cgroup_controller */
	char *dir;            /* the group: mount point, '/', path; owned; NULL: not decided yet */
	char *own;            /* where we are: "/a/b" below the mount point; owned; plan only */
	size_t root_len;      /* bytes of dir (or of mount) that are the mount point */
	int fd;               /* directory of the group; owned; -1: not opened (yet) */
	unsigned made;        /* how many components of the path, from the last, go with it */
};

struct cgroup {
	const struct cgroup_ops *ops;
	char *unit;                /* the driver's word; owned; may be NULL */
	const struct oci_spec *spec; /* for the driver; borrowed; NULL after cgroup_open() */
	struct cgroup_tree *trees; /* owned */
	size_t n;
	bool rootless;
	bool optional;             /* the document asks for nothing there */
	bool warned;               /* that limits are left out */
	struct oci_strv words;     /* owned */
};

struct cgroup_ops {
	const char *name; /* first of the words that are kept */
	/* Decide every tree's path with cgroup_tree_set_path(), and cg->unit */
	int (*plan)(struct cgroup *cg, const struct cgroup_plan_args *args,
		    struct coffer_error *err);
	/*
	 * Have the manager make the unit with @pid in it.  Groups that it did not make are made
	 * by us afterwards, @pid is put into them, limits are written.  NULL: groups are there
	 * before the process.
	 */
	int (*start)(struct cgroup *cg, pid_t pid, const struct oci_resources *res,
		     struct coffer_error *err);
	/* Tell the manager of changed limits, before the files are written; NULL: nobody to tell */
	int (*update)(struct cgroup *cg, const struct oci_resources *res,
		      struct coffer_error *err);
	/* Have the manager end the unit; what is left of the groups is removed afterwards; or NULL */
	int (*stop)(struct cgroup *cg, struct coffer_error *err);
};

/* cgroup_systemd.c; absent from programs that are linked without it */
extern const struct cgroup_ops cgroup_systemd_ops __attribute__((weak));

/* ---- cgroup.c ---- */

/* cgroup_unified() - The v2 group, or NULL */
struct cgroup_tree *cgroup_unified(const struct cgroup *cg);
/* cgroup_find() - The v1 group of a controller, or NULL */
struct cgroup_tree *cgroup_find(const struct cgroup *cg, enum cgroup_controller controller);

/* ---- cgroup_tree.c ---- */

static inline bool cgroup_tree_is_v2(const struct cgroup_tree *t)
{
	return !t->names[0];
}

/* cgroup_tree_set_path() - @path: below the hierarchy's root, "a/b"; fills dir */
int cgroup_tree_set_path(struct cgroup_tree *t, const char *path, struct coffer_error *err);
void cgroup_tree_free(struct cgroup_tree *t);
/* cgroup_tree_check() - Return: 0 when the group is missing or an empty one, -EEXIST, -errno */
int cgroup_tree_check(struct cgroup_tree *t, struct coffer_error *err);
/* cgroup_tree_make() - The group with its parents, and open it */
int cgroup_tree_make(struct cgroup_tree *t, struct coffer_error *err);
/* cgroup_tree_fd() - Open on first use. Return: borrowed descriptor; -ENOENT: it is gone */
int cgroup_tree_fd(struct cgroup_tree *t);
/* cgroup_tree_add() - Move a process into it (0: the caller itself) */
int cgroup_tree_add(struct cgroup_tree *t, pid_t pid, struct coffer_error *err);
/* cgroup_tree_remove() - With groups below and parents that are ours; waits for processes that
 * are on their way out */
int cgroup_tree_remove(struct cgroup_tree *t, struct coffer_error *err);

/* A callback for each group; -errno ends the walk */
typedef int (*cgroup_visit)(int parent, const char *name, int fd, void *data,
			    struct coffer_error *err);
/* cgroup_tree_walk() - Groups below @fd, children before their parent, not @fd itself */
int cgroup_tree_walk(int fd, cgroup_visit visit, void *data, struct coffer_error *err);
/* cgroup_event() - Is @key of the v2 file cgroup.events 1? */
bool cgroup_event(int fd, const char *key);

/* ---- limits; one of @t's hierarchy ---- */

int cgroup_v2_limit(struct cgroup_tree *t, const struct oci_resources *res,
		    struct coffer_error *err);
int cgroup_v2_limit_devices(struct cgroup_tree *t, const struct oci_resources *res,
			    struct coffer_error *err);
/* cgroup_v2_weight() - cpu.shares (2 to 262144) to cpu.weight (1 to 10000) */
uint64_t cgroup_v2_weight(uint64_t shares);

#endif /* ENGINE_CGROUP_INTERNAL_H */
