/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/run_image.h - what a container is made of: an image, or the root of --rootfs
 */
#ifndef CLI_RUN_IMAGE_H
#define CLI_RUN_IMAGE_H

#include "cli/cli.h"
#include "coffer/coffer.h"
#include "coffer/image.h"

/* Zero-initialised: no image. */
struct run_image {
	const char *name; /* as the user has it; NULL: no image */
	struct coffer_image_config said;
};

/* run_image_open() - The built-in one needs nothing to be opened */
int run_image_open(struct run_image *out, const struct cli *cli, const char *name,
		   struct coffer_error *err);
void run_image_close(struct run_image *image);

#endif /* CLI_RUN_IMAGE_H */
