/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/run_image.c - the image of coffer run
 *
 * The built-in one is known by its name, before anything is opened: it costs
 * no more than a root file system of one's own.
 */
#include "cli/run_image.h"

#include <string.h>

#include "base/error.h"

int run_image_open(struct run_image *out, const struct cli *cli, const char *name,
		   struct coffer_error *err)
{
	*out = (struct run_image){ .name = name, .said.size = sizeof(out->said) };
	if (strcmp(name, COFFER_IMAGE_BUILTIN) == 0)
		return 0;
	return err_unsupported(err, "image %s: only " COFFER_IMAGE_BUILTIN " is there", name);
}

void run_image_close(struct run_image *image)
{
	*image = (struct run_image){ 0 };
}
