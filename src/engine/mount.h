/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/mount.h - the mounts of a container, inside its root only
 */
#ifndef ENGINE_MOUNT_H
#define ENGINE_MOUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "engine/mount_options.h"
#include "spec/spec.h"

/* One mount, ready for the child. */
struct mount_plan {
	const char *target; /* borrowed */
	const char *type;   /* borrowed, NULL for a bind */
	const char *source; /* borrowed or @owned */
	char *owned;        /* source joined with the bundle */
	struct mount_options options;
};

struct mount_plans {
	struct mount_plan *v; /* owned */
	size_t n;
};

/* mount_plan_spec() - In the parent. Relative sources of binds are taken from @bundle */
int mount_plan_spec(const struct oci_spec *spec, const char *bundle, struct mount_plans *out,
		    struct coffer_error *err);
void mount_plans_free(struct mount_plans *plans);

/* mount_all() - In the child, in the order of the spec, below @rootfd */
int mount_all(const struct mount_plans *plans, int rootfd, struct coffer_error *err);

/**
 * mount_target() - Descriptor of a place to mount on, made when it is missing
 * @dir:	Make a directory, else an empty file
 *
 * Links are followed inside the root; the root itself is refused.
 *
 * Return: O_PATH descriptor or negative errno
 */
int mount_target(int rootfd, const char *path, bool dir, struct coffer_error *err);

/* mount_at() - mount(2) on the place that @target refers to, whatever its path leads to by now */
int mount_at(int target, const char *source, const char *type, unsigned long flags,
	     const char *data);

/* mount_attach() - Put the detached mount @tree on @target. Return: 0 or -1 with errno */
int mount_attach(int tree, int target);

#endif /* ENGINE_MOUNT_H */
