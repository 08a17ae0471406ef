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
#include "base/clock.h"
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
	char *shows;          /* what of the hierarchy is mounted, mostly "/"; owned; to plan */
	size_t root_len;      /* bytes of dir (or of mount) that are the mount point */
	int fd;               /* directory of the group; owned; -1: not opened (yet) */
	unsigned made;        /* how many components of the path, from the last, go with it */
	bool shared;          /* had processes of others when the container was made */
};

struct cgroup {
	const struct cgroup_ops *ops;
	char *unit;                /* the driver's word; owned; may be NULL */
	const struct oci_spec *spec; /* for the driver; borrowed; NULL after cgroup_open() */
	struct cgroup_tree *trees; /* owned */
	size_t n;
	bool exists;               /* made by us, or opened: something to kill and remove */
	bool rootless;
	bool optional;             /* the document asks for nothing there */
	bool warned;               /* that limits are left out */
	bool owned;                /* by @owner, who may divide it: v2 alone */
	uint32_t owner;
	bool account;              /* somebody else manages containers and reads their figures */
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
	/* Have the manager move a further process there, where we have no right to; or NULL */
	int (*join)(struct cgroup *cg, pid_t pid, struct coffer_error *err);
	/* Tell the manager of changed limits, before the files are written; NULL: nobody to tell */
	int (*update)(struct cgroup *cg, const struct oci_resources *res,
		      struct coffer_error *err);
	/* Have the manager end the unit; what is left of the groups is removed after it; or NULL */
	int (*stop)(struct cgroup *cg, struct coffer_error *err);
};

/* cgroup_systemd.c; absent from programs that are linked without it */
extern const struct cgroup_ops cgroup_systemd_ops __attribute__((weak));

/* ---- cgroup.c ---- */

/* cgroup_unified() - The v2 group, or NULL */
struct cgroup_tree *cgroup_unified(const struct cgroup *cg);
/* cgroup_find() - The v1 group of a controller, or NULL */
struct cgroup_tree *cgroup_find(const struct cgroup *cg, enum cgroup_controller controller);

/* cgroup_set_up() - Every group with its limits; cg->n is 0 afterwards when we go without */
int cgroup_set_up(struct cgroup *cg, const struct oci_resources *res, struct coffer_error *err);

/* ---- cgroup_place.c ---- */

/* cgroup_tree_may_enter() - v2, rootless: may we move a process from here to there? */
int cgroup_tree_may_enter(const struct cgroup_tree *t, struct coffer_error *err);

/* ---- cgroup_delegate.c ---- */

/* cgroup_find_owner() - Whose the group is to be, the host's number. Return: false: ours */
bool cgroup_find_owner(const struct oci_spec *spec, uint32_t *uid);
int cgroup_delegate(struct cgroup_tree *t, uint32_t uid, struct coffer_error *err);

/* ---- cgroup_hierarchies.c ---- */

/* cgroup_discover() - Fill cg->trees, directories are the mount points */
int cgroup_discover(struct cgroup *cg, struct coffer_error *err);
const char *cgroup_controller_name(enum cgroup_controller controller);
/* cgroup_parse_controllers() - Return: bits of "cpu,cpuacct" */
unsigned cgroup_parse_controllers(const char *names);
/* cgroup_find_line() - In the text of /proc/PID/cgroup, which is changed. Return: path or NULL */
char *cgroup_find_line(char *text, const struct cgroup_tree *t);
/* cgroup_path_below_mount() - Such a path as it is seen below @t's mount point: "/a/b" or "" */
const char *cgroup_path_below_mount(const struct cgroup_tree *t, const char *path);

/* ---- cgroup_tree.c ---- */

static inline bool cgroup_tree_is_v2(const struct cgroup_tree *t)
{
	return !t->names[0];
}

/* cgroup_tree_set_path() - @path: below the mount point; slashes are tidied, dots refused */
int cgroup_tree_set_path(struct cgroup_tree *t, const char *path, struct coffer_error *err);
/* cgroup_tree_count_missing() - Fill made, before anything is made */
void cgroup_tree_count_missing(struct cgroup_tree *t);
void cgroup_tree_free(struct cgroup_tree *t);
/* cgroup_tree_check() - Return: 0 when the group is missing or an empty one; 1: it has processes,
 * which is fine with @share, else -EEXIST; -errno */
int cgroup_tree_check(struct cgroup_tree *t, bool share, struct coffer_error *err);
/* cgroup_tree_make() - The group with its parents, and open it. @check: one that is in use is
 * refused, unless it is known to be shared; then it is marked */
int cgroup_tree_make(struct cgroup_tree *t, bool check, struct coffer_error *err);
/* cgroup_tree_fd() - Open on first use. Return: borrowed descriptor; -ENOENT: it is gone */
int cgroup_tree_fd(struct cgroup_tree *t);
/* cgroup_tree_add() - Move a process into it */
int cgroup_tree_add(struct cgroup_tree *t, pid_t pid, struct coffer_error *err);
/* cgroup_tree_enter() - v1: move the calling process, which has one thread, into it */
int cgroup_tree_enter(struct cgroup_tree *t, struct coffer_error *err);
/* cgroup_tree_is_marked() - Has somebody come to share it since it was made? */
bool cgroup_tree_is_marked(struct cgroup_tree *t);
/* cgroup_tree_leave() - Remove it, unless others are in it */
int cgroup_tree_leave(struct cgroup_tree *t, struct coffer_error *err);
/* cgroup_tree_remove() - With groups below and parents that are ours; waits until @deadline for
 * processes that are on their way out */
int cgroup_tree_remove(struct cgroup_tree *t, usec_t deadline, struct coffer_error *err);

/* A callback for each group; the first -errno is the walk's, which goes on */
typedef int (*cgroup_visit)(int fd, void *data, struct coffer_error *err);
/* cgroup_tree_walk() - Groups below @fd, parents first, not @fd itself */
int cgroup_tree_walk(int fd, cgroup_visit visit, void *data, struct coffer_error *err);
/* cgroup_event() - Is @key of the v2 file cgroup.events 1? */
bool cgroup_event(int fd, const char *key);

/* ---- cgroup_kill.c, cgroup_freeze.c ---- */

/* cgroup_tree_kill() - Whoever is left in this hierarchy */
void cgroup_tree_kill(struct cgroup_tree *t);
int cgroup_freeze_for(const struct cgroup *cg, bool on, usec_t budget, struct coffer_error *err);
/* cgroup_thaw() - By every switch there is */
void cgroup_thaw(const struct cgroup *cg);
/* cgroup_wait_event() - Until @key of the v2 file cgroup.events is @on. Return: 0, -ETIMEDOUT,
 * -errno */
int cgroup_wait_event(int fd, const char *key, bool on, usec_t deadline);

/* ---- cgroup_limits.c ---- */

/* cgroup_limit() - linux.resources but for devices */
int cgroup_limit(struct cgroup *cg, const struct oci_resources *res, struct coffer_error *err);
/**
 * cgroup_set() - Write a setting; on v2 its controller is switched on if need be
 * @t:		NULL: no hierarchy has the controller
 * @file:	"memory.max"; the controller is its first word
 *
 * Return: 0; -EOPNOTSUPP when controller or file are not there; -errno
 */
int cgroup_set(struct cgroup_tree *t, const char *file, struct coffer_error *err, const char *fmt,
	       ...) __attribute__((format(printf, 4, 5)));
/* cgroup_get() - The number that a file begins with; "max" is UINT64_MAX. Return: 0 or -errno */
int cgroup_get(struct cgroup_tree *t, const char *file, uint64_t *value);

typedef int cgroup_limiter(struct cgroup_tree *t, const struct oci_resources *res,
			   struct coffer_error *err);

/* cgroup_v1_limits.c, cgroup_v1_devices.c */
cgroup_limiter cgroup_v1_limit_memory, cgroup_v1_limit_cpu, cgroup_v1_limit_blkio,
	cgroup_v1_limit_net_cls, cgroup_v1_limit_net_prio, cgroup_v1_limit_devices;
/* cgroup_v1_inherit_cpuset() - A group without processors and memory takes no process */
int cgroup_v1_inherit_cpuset(const struct cgroup_tree *t, struct coffer_error *err);

/* cgroup_v2_limits.c, cgroup_v2_devices.c */
cgroup_limiter cgroup_v2_limit_memory, cgroup_v2_limit_cpu, cgroup_v2_limit_io,
	cgroup_v2_limit_devices;
/* cgroup_v2_enable() - Switch @file's controller on for the group, as far as the host lets us */
void cgroup_v2_enable(const struct cgroup_tree *t, const char *file);
/* cgroup_v2_enable_all() - Every controller that the host has */
void cgroup_v2_enable_all(struct cgroup_tree *t);
/* cgroup_v2_weight() - cpu.shares (2 to 262144) to cpu.weight (1 to 10000) */
uint64_t cgroup_v2_weight(uint64_t shares);

/* ---- cgroup_devices.c ---- */

#define DEVICE_ANY   (-1)
#define DEVICE_MKNOD 1U
#define DEVICE_READ  2U
#define DEVICE_WRITE 4U
#define DEVICE_ALL   (DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE)

struct device_rule {
	int64_t major, minor; /* or DEVICE_ANY */
	unsigned access;      /* DEVICE_READ ... */
	char type;            /* 'b' or 'c' */
	bool allow;
};

struct device_rules {
	struct device_rule *v; /* owned; a later one wins */
	size_t n;
	bool allow; /* where none matches */
};

int cgroup_parse_devices(const struct oci_resources *res, struct device_rules *out,
			 struct coffer_error *err);
void cgroup_free_devices(struct device_rules *rules);
/* cgroup_parse_access() - "rwm" to bits. Return: 0 or -EINVAL */
int cgroup_parse_access(const char *text, unsigned *access);

#endif /* ENGINE_CGROUP_INTERNAL_H */
