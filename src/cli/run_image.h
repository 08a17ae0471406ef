/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/run_image.h - the image that a container is made of
 */
#ifndef CLI_RUN_IMAGE_H
#define CLI_RUN_IMAGE_H

#include "cli/images.h"

/* Zero-initialised: none. */
struct run_image {
	const char *name;             /* as the user has it, borrowed; NULL: no image */
	struct coffer_images *images; /* owned; NULL: built in */
	struct coffer_image *image;   /* owned, and all of the following */
	const char *rootfs;           /* NULL: built in */
	const char *id, *platform;    /* NULL: built in, which is as the library has it */
	struct coffer_image_config said;
};

/* run_image_open() - With its root file system. The built-in one costs next to nothing */
int run_image_open(struct run_image *out, const char *name, enum images_pull pull,
		   const struct coffer_transfer *how, struct coffer_error *err);
void run_image_close(struct run_image *image);

#endif /* CLI_RUN_IMAGE_H */
