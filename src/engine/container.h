/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/container.h - struct engine_container, for the parent's files
 */
#ifndef ENGINE_CONTAINER_H
#define ENGINE_CONTAINER_H

#include "engine/cgroup.h"
#include "engine/engine.h"
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
	char *rootfs;                 /* owned; absolute */
	const struct oci_spec *spec;  /* borrowed */
	struct ns_plan ns;            /* paths are closed once init has them */
	struct mount_plans mounts;    /* needed until init is created */
	struct seccomp_filter seccomp; /* for init and every exec */
	struct cgroup cgroup;
	struct launch launch;         /* init */
	enum container_state state;
};

/**
 * container_fill_init() - What init and exec need alike
 * @null:	Filled with a descriptor of /dev/null when @stdio lacks one; the caller owns it
 */
int container_fill_init(const struct engine_container *c, const struct oci_process *process,
			const struct engine_stdio *stdio, struct init *out, int *null,
			struct coffer_error *err);

#endif /* ENGINE_CONTAINER_H */
