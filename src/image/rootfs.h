/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/rootfs.h - layers of the store to a root file system of the store
 */
#ifndef IMAGE_ROOTFS_H
#define IMAGE_ROOTFS_H

#include "image/images.h"
#include "image/progress.h"

/* What is to be built. All of it is borrowed. */
struct rootfs_job {
	struct coffer_images *images;
	struct store_lease *lease; /* has the layers' digests; gets the chain's */
	const struct manifest *manifest;
	const struct image_config *config;
	const char *what; /* the image, for progress */
	struct progress *progress;
	/* Wait until a layer is in the store, or that will never be; NULL: all are */
	int (*await)(void *data, size_t layer, struct coffer_error *err);
	void *data;
};

/* rootfs_build() - @path: set to a malloc'd path. Quick when it has been built before */
int rootfs_build(const struct rootfs_job *job, char **path, struct coffer_error *err);

#endif /* IMAGE_ROOTFS_H */
