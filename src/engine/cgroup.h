/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup.h - the container's control group, whatever version the host has
 *
 *	cgroup_plan()    decides driver and paths; leaves no trace
 *	cgroup_save()    the decision as words, to be kept before anything is made
 *	cgroup_create()  makes the group(s), sets the limits
 *	clone3 into cgroup_clone_fd(), cgroup_place() when that is needed; first thing in the
 *	new process: cgroup_enter()
 *	cgroup_limit_devices(), cgroup_kill(), cgroup_freeze() ...
 *	cgroup_remove()
 *
 *	cgroup_open()    from the words, in a later process
 */
#ifndef ENGINE_CGROUP_H
#define ENGINE_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "engine/engine.h"
#include "spec/spec.h"

#define CGROUP_PATH_MAX 4096 /* bytes with the NUL */

struct cgroup; /* owned by the caller through a pointer; see cgroup_free() */

struct cgroup_plan_args {
	const struct oci_spec *spec;
	const char *id;
	enum engine_cgroup_manager manager;
	bool rootless; /* what we have no right to is left out, with one warning */
	bool own_kernel; /* nobody else reads the group's figures */
};

/* cgroup_plan() - @out is NULL when the container goes without a group: nothing asks for one and
 * the host gives none */
int cgroup_plan(const struct cgroup_plan_args *args, struct cgroup **out, struct coffer_error *err);
/* cgroup_save() - Words that name the group(s) for cgroup_open(); borrowed from @cg */
const struct oci_strv *cgroup_save(const struct cgroup *cg);
/* cgroup_open() - A group that exists, or is partly or wholly gone: then only kill and remove do
 * something. Empty words give NULL. */
int cgroup_open(const struct oci_strv *words, struct cgroup **out, struct coffer_error *err);
/* cgroup_free() - The object, not the group; NULL is fine */
void cgroup_free(struct cgroup *cg);

/* cgroup_create() - Make it; what was made before a failure is removed again. Groups that have
 * processes already are not ours: shared, with a warning, where the document names them, else
 * -EEXIST */
int cgroup_create(struct cgroup *cg, const struct oci_resources *res, struct coffer_error *err);
/* cgroup_clone_fd() - For clone3(CLONE_INTO_CGROUP); borrowed, -1: there is none to clone into */
int cgroup_clone_fd(const struct cgroup *cg);
/* cgroup_needs_place() - Must cgroup_place() follow the clone? (systemd) */
bool cgroup_needs_place(const struct cgroup *cg);
/* cgroup_place() - systemd makes the unit only now, around init, limits follow; else the process,
 * which could not be cloned into the group, is moved there */
int cgroup_place(struct cgroup *cg, pid_t pid, const struct oci_resources *res,
		 struct coffer_error *err);
/* cgroup_move() - Any process into every group, made by the manager now if it has not been */
int cgroup_move(struct cgroup *cg, pid_t pid, const struct oci_resources *res,
		struct coffer_error *err);
/* cgroup_enter() - By the new process itself, in our mount namespace and with one thread: into the
 * groups that it was not cloned into (v1), after cgroup_place() */
int cgroup_enter(const struct cgroup *cg, struct coffer_error *err);
/* cgroup_enter_below() - The calling process goes on into groups below those: see cgroup_below.c */
int cgroup_enter_below(const struct cgroup *cg, const char *const *words, size_t n,
		       struct coffer_error *err);
/* cgroup_join() - A further process that could not be cloned into the group (EBUSY): the container
 * has groups of its own below, init's own group is taken */
int cgroup_join(struct cgroup *cg, pid_t pid, pid_t init, struct coffer_error *err);

/* cgroup_limit_devices() - linux.resources.devices; apart, because set-up may use more of them */
int cgroup_limit_devices(const struct cgroup *cg, const struct oci_resources *res,
			 struct coffer_error *err);
/* cgroup_update() - Members of @res that are set, devices included */
int cgroup_update(struct cgroup *cg, const struct oci_resources *res, struct coffer_error *err);
/* cgroup_is_shared() - Are there, or were there, processes that are not the container's? Then it is
 * not to be killed, and is removed only when nobody is in it any more */
bool cgroup_is_shared(const struct cgroup *cg);
/* cgroup_kill() - Signal every process in it, also in groups below; frozen ones are thawed for
 * SIGKILL. Return: -ENOENT when the group is gone */
int cgroup_kill(const struct cgroup *cg, int sig, struct coffer_error *err);
/* cgroup_rescue() - Whoever does not end may have been moved to a foreign frozen group of v1: back
 * to ours, which lets go of it, and killed */
void cgroup_rescue(const struct cgroup *cg);
/* cgroup_freeze() - Waits a bounded time until it has taken effect */
int cgroup_freeze(const struct cgroup *cg, bool on, struct coffer_error *err);
/* cgroup_freezer_dir() - The group that freezes; borrowed, NULL: none */
const char *cgroup_freezer_dir(const struct cgroup *cg);
/* cgroup_frozen() - Return: 1, 0, negative errno */
int cgroup_frozen(const struct cgroup *cg, struct coffer_error *err);
/* cgroup_pids() - Processes of it and of groups below. @pids: malloc'd */
int cgroup_pids(const struct cgroup *cg, pid_t **pids, size_t *n, struct coffer_error *err);
int cgroup_stats(const struct cgroup *cg, struct engine_stats *out, struct coffer_error *err);
/* cgroup_remove() - Wait a bounded time for the processes to be gone, then remove what we made;
 * one that is gone already is fine */
int cgroup_remove(struct cgroup *cg, struct coffer_error *err);

/* ---- out of memory ---- */

struct cgroup_oom;

int cgroup_oom_open(const struct cgroup *cg, struct cgroup_oom **out, struct coffer_error *err);
/* cgroup_oom_fd() - Readable when something may have happened; borrowed */
int cgroup_oom_fd(const struct cgroup_oom *o);
/* cgroup_oom_read() - How many processes were killed since the last call. Return: 0; -ENODEV when
 * the group is gone */
int cgroup_oom_read(struct cgroup_oom *o, uint64_t *killed);
void cgroup_oom_free(struct cgroup_oom *o);

/* ---- for mounts ---- */

/* The container's group in one hierarchy, for mounts of type "cgroup". */
struct cgroup_hierarchy {
	const char *names;   /* "memory", "cpu,cpuacct", "name=systemd"; "" is v2; borrowed */
	const char *dir;     /* of the group, "/sys/fs/cgroup/cpu,cpuacct/a/b"; borrowed */
	size_t mount_len;    /* bytes of dir that are the hierarchy's mount point */
	int fd;              /* of dir, borrowed; -1: gone */
};

/* cgroup_hierarchy() - The @i-th. Return: false when there is none; a NULL @cg has none */
bool cgroup_hierarchy(const struct cgroup *cg, size_t i, struct cgroup_hierarchy *out);

#endif /* ENGINE_CGROUP_H */
