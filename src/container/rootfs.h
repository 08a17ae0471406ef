/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/rootfs.h - a container's root file system, from host to guest
 */
#ifndef CONTAINER_ROOTFS_H
#define CONTAINER_ROOTFS_H

#include "coffer/container.h"

#include "base/error.h"
#include "container/disk.h"
#include "container/guest.h"
#include "container/layer.h"
#include "sandbox/sandbox.h"

/* Where it comes from. */
enum rootfs_kind {
	ROOTFS_BUILTIN, /* an archive that the guest finds unpacked */
	ROOTFS_COPY,	/* a directory, copied into an image of our own */
	ROOTFS_SHARE,	/* a directory, live */
	ROOTFS_IMAGE,	/* an image of the caller's */
};

struct rootfs {
	enum rootfs_kind kind;
	int archive_fd;	  /* owned, -1: none; as is dir_fd */
	int dir_fd;	  /* the directory that is copied or shared */
	struct disk disk; /* the image */
	bool read_only;	  /* nothing is written to the disk or the directory itself */
	struct layer layer;
	char device[DISK_DEVICE_MAX];
	char tag[SANDBOX_TAG_MAX + 1]; /* of the share */
};

#define ROOTFS_INIT                                                                                \
	{                                                                                          \
		.archive_fd = -1, .dir_fd = -1, .disk = DISK_INIT, .layer = LAYER_INIT             \
	}

/**
 * rootfs_open() - Open the root that @config names, and its layer
 *
 * Of a directory that is copied only the empty image is made, so that a machine
 * can boot with it; rootfs_fill() must be over before the guest mounts it, and
 * gives up with -ECANCELED when @cancel_fd becomes readable.
 */
int rootfs_open(const struct coffer_container_config *config, struct rootfs *out,
		struct coffer_error *err);
int rootfs_attach(struct rootfs *rootfs, struct sandbox_config *sandbox, struct coffer_error *err);
int rootfs_fill(struct rootfs *rootfs, int cancel_fd, struct coffer_error *err);
void rootfs_close(struct rootfs *rootfs);

/* rootfs_mount() - Mount it below @base, at @root */
void rootfs_mount(const struct rootfs *rootfs, const char *base, const char *root,
		  struct guest_steps *g);
/* rootfs_unmount() - Undo it, if anything of it outlives the machine */
void rootfs_unmount(const struct rootfs *rootfs, const char *base, const char *root,
		    struct guest_steps *g);

#endif /* CONTAINER_ROOTFS_H */
