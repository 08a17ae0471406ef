/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/mount_internal.h - between the files that make mounts
 */
#ifndef ENGINE_MOUNT_INTERNAL_H
#define ENGINE_MOUNT_INTERNAL_H

#include <string.h>

#include "engine/mount.h"

/* mount_is_late() - A read-only tmpfs: files and mount points are made in it first */
static inline bool mount_is_late(const struct mount_plan *m)
{
	return (m->options.flags & MS_RDONLY) && m->type && strcmp(m->type, "tmpfs") == 0;
}

/* ---- mount.c ---- */

/* mount_set_attr() - On @fd's mount, or with @tree on all below, too; nothing asked for is fine.
 * Return: 0 or -1 with errno */
int mount_set_attr(int fd, bool tree, const struct mount_attr *attr);

/* ---- mount_new.c ---- */

/**
 * mount_new_data() - The data of mount(2): the document's words and what belongs with them
 * @target:	The directory below; a tmpfs looks like it unless told otherwise
 * @label:	linux.mountLabel or NULL
 */
int mount_new_data(const struct mount_plan *m, int target, const char *label,
		   char data[MOUNT_DATA_MAX], struct coffer_error *err);
/**
 * mount_new_detached() - The file system, mounted nowhere yet
 * @data:	As above, without the label
 *
 * Return: descriptor of its root, or negative errno
 */
int mount_new_detached(const struct mount_plan *m, const char *data, const char *label,
		       struct coffer_error *err);

/* ---- mount_idmap.c ---- */

struct mount_idmap_cache {
	const struct oci_id_mappings *uid, *gid; /* of @ns; borrowed */
	int ns;                                  /* owned; a user namespace with them, or -1 */
};

#define MOUNT_IDMAP_CACHE_INIT { .ns = -1 }

/* mount_idmap() - Map the ids of the detached mount m->tree; in the parent */
int mount_idmap(const struct mount_plan *m, const struct oci_linux *linux_,
		const struct ns_plan *ns, struct mount_idmap_cache *cache,
		struct coffer_error *err);

/* ---- mount_cgroup.c ---- */

int mount_cgroup(struct mount_plan *m, const struct mount_plans *plans, int target,
		 struct coffer_error *err);

/* ---- mount_copy.c ---- */

/* mount_copy_up() - What directory @below holds, into the (empty) directory @root */
int mount_copy_up(int below, int root, struct coffer_error *err);

#endif /* ENGINE_MOUNT_INTERNAL_H */
