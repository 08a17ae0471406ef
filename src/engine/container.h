/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/container.h - struct engine_container, for the parent's files
 */
#ifndef ENGINE_CONTAINER_H
#define ENGINE_CONTAINER_H

#include "engine/cgroup.h"
#include "engine/engine.h"
#include "engine/hooks.h"
#include "engine/init.h"
#include "engine/launch.h"
#include "engine/mount.h"
#include "engine/namespaces.h"
#include "engine/seccomp_filter.h"

enum container_state {
	CONTAINER_CREATED, /* init waits before execve */
	CONTAINER_STARTED, /* it has been told to go */
};

struct engine_container {
	char *id;                     /* owned */
	char *bundle;                 /* owned */
	char *rootfs;                 /* owned; absolute */
	const struct oci_spec *spec;  /* borrowed */
	struct ns_plan ns;            /* of init, empty once init is created */
	struct mount_plans mounts;    /* the same */
	struct seccomp_filter seccomp; /* for init and every exec */
	bool seccomp_ready;
	struct cgroup *cgroup;        /* owned; NULL: none */
	struct launch launch;         /* init */
	enum container_state state;
	bool adopted;                 /* init is another process' child */
	/* While it is being created. */
	const struct engine_create_args *args;
};

/* container_alloc() - With copies of the names, and what all of them start from */
int container_alloc(const char *id, const char *bundle, const struct oci_spec *spec,
		  struct engine_container **out, struct coffer_error *err);

/**
 * container_fill_init() - What init and exec need alike
 * @null:	Filled with a descriptor of /dev/null when @stdio lacks one; the caller owns it
 */
int container_fill_init(struct engine_container *c, const struct oci_process *process,
			const struct engine_stdio *stdio, struct init *out, int *null,
			struct coffer_error *err);

/**
 * container_make() - Plan, record, cgroup, then the @rest, which may be NULL; undone on failure
 * @verb:	For errors: "create", "restore"
 */
int container_make(const struct engine_create_args *args, const char *verb,
		   int (*rest)(struct engine_container *c, struct coffer_error *err),
		   struct engine_container **out, struct coffer_error *err);
/* container_record() - Have the caller keep what is known. @pid: of init, 0: there is none yet */
int container_record(const struct engine_container *c, pid_t pid, struct coffer_error *err);
/* container_hooks() - Record, then the hooks that run when the namespaces are there.
 * @data: the container, whose document has hooks */
int container_hooks(pid_t pid, void *data, struct coffer_error *err);

/* container_hook_state() - What hooks are told while the container is @status */
struct hook_state container_hook_state(const struct engine_container *c, const char *status,
				       pid_t pid);

/* container_pass_listener() - launch.listener of init and of an exec. @data: the container */
int container_pass_listener(int listener, pid_t pid, void *data, struct coffer_error *err);

/* container_owns_cgroup() - Is all that is in its cgroup the container's? */
bool container_owns_cgroup(const struct engine_container *c);
/* container_has_pid_namespace() - Is the end of init the end of all? */
bool container_has_pid_namespace(const struct engine_container *c);

#endif /* ENGINE_CONTAINER_H */
