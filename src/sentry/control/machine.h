/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/machine.h - what the contract's paths mean outside of containers
 *
 * The contract was made for a guest of its own: it mounts disks and shares at paths of the guest,
 * and then a container on top. So there is a mount table that no process ever runs in:
 *
 *	/busybox                        what the archive of the configuration holds
 *	/init                           what a container may bind in front of its program
 *	/run/virtiofs/<tag> ...         where the host asks for its mounts
 *	/run/container/<id>/rootfs      a container's root, made of them
 *
 * Sources of mounts: a share's tag (virtiofs), a disk's /dev/vda, a path (bind), layers (overlay).
 */
#ifndef SENTRY_CONTROL_MACHINE_H
#define SENTRY_CONTROL_MACHINE_H

#include "base/error.h"
#include "sentry/config.h"
#include "sentry/vfs/vfs.h"
#include "spec/spec.h"

#define MACHINE_STATE_DIR "/run/container"

struct sandbox_container;

/* Who the kernel itself is: every right. Borrowed */
struct cred *machine_cred(void);

int machine_start(const struct sentry_config *config, struct coffer_error *err);
struct mount_table *machine_mounts(void); /* borrowed */

struct machine_mount {
	const char *type, *source, *destination;
	const struct oci_strv *options;
};

/* machine_mount() - The Mount call; makes the mount point */
int machine_mount(const struct machine_mount *mount, struct coffer_error *err);
int machine_unmount(const char *path, int flags, struct coffer_error *err);
/* machine_forget() - The root of a container that is no more, and its directories if they are empty */
void machine_forget(const char *id);

/* machine_mount_in() - The same for a container's document: @destination within @root of @fs, the
 * source of a bind within fs's own root. @container for proc, cgroup and devpts */
int machine_mount_in(struct fs_context *fs, const struct vfs_path *root,
		     struct sandbox_container *container, const struct machine_mount *mount,
		     struct coffer_error *err);

/**
 * machine_walk() - Begin a walk to a path of the contract
 * @rest:	Set to what is left to walk, in @path
 *
 * Below a container's rootfs it is resolved in there, by the view of its processes once it has
 * some; otherwise in the machine. walk_end() it.
 */
int machine_walk(struct walk *walk, const char *path, const char **rest, struct coffer_error *err);
/* machine_walk_container() - A path as processes of a container see it */
void machine_walk_container(struct walk *walk, struct sandbox_container *container);
/* machine_walk_at() - From there on, whatever it is */
void machine_walk_at(struct walk *walk, const struct vfs_path *at);
/* machine_find_own() - A path of the machine itself, also below a container's root: where that has
 * mounts of its own, what is beneath. References in @out */
int machine_find_own(const char *path, struct vfs_path *out, struct coffer_error *err);
/* machine_mkdirs() - With parents; what is there already is fine if it is a directory */
int machine_mkdirs(struct walk *from, const char *path, uint32_t mode, struct coffer_error *err);

#endif /* SENTRY_CONTROL_MACHINE_H */
