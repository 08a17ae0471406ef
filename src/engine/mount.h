/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/mount.h - the mounts of a container, inside its root only
 */
#ifndef ENGINE_MOUNT_H
#define ENGINE_MOUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "spec/mount_options.h"
#include "engine/namespaces.h"
#include "spec/spec.h"

/* One mount, ready for the child. */
struct mount_plan {
	const struct oci_mount *spec; /* borrowed */
	const char *target; /* borrowed */
	const char *type;   /* borrowed, NULL for a bind */
	const char *source; /* borrowed or @owned */
	char *owned;        /* source joined with the bundle */
	struct mount_options options;
	int tree;           /* owned; the source, where only the parent may open it; else -1 */
	int late;           /* the child's: becomes read-only once everything is in it; else -1 */
};

struct cgroup;

struct mount_plans {
	struct mount_plan *v; /* owned */
	size_t n;
	int root;             /* owned; root.path, where only the parent may open it; else -1 */
	int *devices;         /* owned, with its descriptors; see device_tree_open() */
	size_t ndevices;
	const char *label;    /* linux.mountLabel; borrowed */
	const struct cgroup *cgroup; /* borrowed; NULL: the container has none of its own */
	bool cgroup_namespace;
	size_t done;          /* the child's: that many are mounted */
};

#define MOUNT_PLANS_INIT { .root = -1 }

/* mount_plan_spec() - In the parent. Relative sources of binds are taken from @bundle */
int mount_plan_spec(const struct oci_spec *spec, const char *bundle, struct mount_plans *out,
		    struct coffer_error *err);
/**
 * mount_plan_open() - In the parent: the trees that the child could not open or map
 * @root:	root.path, absolute
 *
 * Sources with mapped ids, and with a user namespace all of them: its root may lack the right to
 * walk there.
 */
int mount_plan_open(struct mount_plans *plans, const char *root, const struct oci_spec *spec,
		    const struct ns_plan *ns, struct coffer_error *err);
void mount_plans_free(struct mount_plans *plans);

/* mount_offline() - As mount_all(), up to the first whose content depends on the network namespace */
int mount_offline(struct mount_plans *plans, int rootfd, struct coffer_error *err);
/* mount_all() - In the child, in the order of the spec, below @rootfd */
int mount_all(struct mount_plans *plans, int rootfd, struct coffer_error *err);
/* mount_seal() - In the child, once all files are made: what is to be read-only becomes so */
int mount_seal(struct mount_plans *plans, struct coffer_error *err);

/**
 * mount_target() - Descriptor of a place to mount on, made when it is missing
 * @dir:	Make a directory, else an empty file
 *
 * Links are followed inside the root, a dangling one is made where it points; the root itself is
 * refused.
 *
 * Return: O_PATH descriptor or negative errno
 */
int mount_target(int rootfd, const char *path, bool dir, struct coffer_error *err);

/* mount_target_itself() - The same for what programs trust by its path: refused when the image has
 * a link there, or the other kind */
int mount_target_itself(int rootfd, const char *path, bool dir, struct coffer_error *err);

/* mount_at() - mount(2) on the place that @target refers to, whatever its path leads to by now */
int mount_at(int target, const char *source, const char *type, unsigned long flags,
	     const char *data);

/* mount_attach() - Put the detached mount @tree on @target. Return: 0 or -1 with errno */
int mount_attach(int tree, int target);

#endif /* ENGINE_MOUNT_H */
