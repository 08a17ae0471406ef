/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/rootfs.h - a container's root file system, from host to guest
 */
#ifndef CONTAINER_ROOTFS_H
#define CONTAINER_ROOTFS_H

#include "base/error.h"
#include "sandbox/sandbox.h"

struct rootfs {
	int archive_fd; /* the built-in one, which needs no disk; else -1; owned, as all below */
	int disk_fd;    /* the image, else -1 */
	int dir_fd;     /* the directory the image is to be made from, else -1 */
	bool shared;    /* somebody else's image: mounted read-only below a writable layer */
	const char *fs; /* the image's file system; static */
};

#define ROOTFS_INIT { .archive_fd = -1, .disk_fd = -1, .dir_fd = -1 }
#define ROOTFS_SERIAL "rootfs"

/**
 * rootfs_open() - Open what @path names
 * @path:	Directory or image; NULL for the built-in one
 *
 * Of a directory only the empty image is made, so that a machine can boot
 * with it; rootfs_fill() must be over before the guest mounts it, and gives up
 * with -ECANCELED when @cancel_fd becomes readable.
 */
int rootfs_open(const char *path, struct rootfs *out, struct coffer_error *err);
int rootfs_fill(struct rootfs *rootfs, int cancel_fd, struct coffer_error *err);
void rootfs_close(struct rootfs *rootfs);

/* rootfs_mount() - Mount it in the sandbox as the root of container @id */
int rootfs_mount(const struct rootfs *rootfs, const char *id, struct agent *agent,
		 struct coffer_error *err);

#endif /* CONTAINER_ROOTFS_H */
