/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/rootfs.h - the container's root: prepared, hidden parts, entered
 */
#ifndef ENGINE_ROOTFS_H
#define ENGINE_ROOTFS_H

#include <stdbool.h>

#include "base/error.h"
#include "spec/spec.h"

/**
 * rootfs_prepare() - Stop propagation to the outside and make the root a mount of its own
 * @path:	Directory, absolute
 * @tree:	The same as a detached mount (borrowed), or -1: open it here
 * @word:	linux.rootfsPropagation or NULL
 *
 * Return: descriptor of the new mount's root, or negative errno
 */
int rootfs_prepare(const char *path, int tree, const char *word, struct coffer_error *err);

/**
 * rootfs_prepare_shared() - The same in a mount namespace that others live in: the root stays in
 *			     its place and nothing of theirs changes
 */
int rootfs_prepare_shared(const char *path, int tree, struct coffer_error *err);

/* rootfs_show() - Move the root mount over @path, where names lead into it: for hooks that know it
 * by its place outside. Over "/" again before anything else is done */
int rootfs_show(int rootfd, const char *path, struct coffer_error *err);

/* rootfs_hide() - linux.maskedPaths and linux.readonlyPaths; missing ones are fine */
int rootfs_hide(int rootfd, const struct oci_linux *linux_, struct coffer_error *err);

/* rootfs_set_readonly() - The root mount itself, not what is mounted in it */
int rootfs_set_readonly(int rootfd, struct coffer_error *err);

/* rootfs_enter() - Make it "/", with nothing of the old root left in the namespace. @no_pivot: the
 * old root is a ramdisk, which stays below, without its mounts */
int rootfs_enter(int rootfd, bool no_pivot, const char *word, struct coffer_error *err);
/* rootfs_enter_shared() - Make it "/" for us alone */
int rootfs_enter_shared(int rootfd, struct coffer_error *err);

#endif /* ENGINE_ROOTFS_H */
