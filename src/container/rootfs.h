/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/rootfs.h - a container's root file system, from host to guest
 */
#ifndef CONTAINER_ROOTFS_H
#define CONTAINER_ROOTFS_H

#include "base/error.h"
#include "sandbox/sandbox.h"

struct rootfs {
	int disk_fd;    /* the image; owned */
	int dir_fd;     /* the directory it is to be made from, else -1; owned */
	bool shared;    /* somebody else's image: mounted read-only below a writable layer */
	const char *fs; /* its file system's name; static */
};

#define ROOTFS_INIT { .disk_fd = -1, .dir_fd = -1 }
#define ROOTFS_SERIAL "rootfs"

/**
 * rootfs_open() - Open what @path names
 * @path:	Directory or image; NULL for the built-in image
 *
 * Of a directory only the empty image is made, so that a machine can boot
 * with it; rootfs_fill() must be over before the guest mounts it.
 */
int rootfs_open(const char *path, struct rootfs *out, struct coffer_error *err);
int rootfs_fill(struct rootfs *rootfs, struct coffer_error *err);
void rootfs_close(struct rootfs *rootfs);

/* rootfs_mount() - Mount it in the sandbox as the root of container @id */
int rootfs_mount(const struct rootfs *rootfs, const char *id, struct agent *agent,
		 struct coffer_error *err);

#endif /* CONTAINER_ROOTFS_H */
