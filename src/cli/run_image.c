/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/run_image.c - the image that a container is made of
 *
 * The built-in one is known by its name, without a store: it costs no more
 * than a root file system of one's own.
 */
#include "cli/run_image.h"

#include <string.h>

#include "base/error.h"

static int run_image_find(struct run_image *out, enum images_pull pull,
			  const struct coffer_transfer *how, struct coffer_error *err)
{
	int r;

	if (strcmp(out->name, COFFER_IMAGE_BUILTIN) == 0)
		return coffer_image_find(NULL, out->name, how->platform, &out->image, err);
	r = coffer_images_open(NULL, &out->images, err);
	if (r == 0)
		r = images_get(out->images, out->name, pull, how, &out->image, err);
	if (r == 0)
		r = coffer_image_rootfs(out->image, how, &out->rootfs, err);
	if (r < 0)
		return r;
	out->id = coffer_image_id(out->image);
	out->platform = coffer_image_platform(out->image);
	return 0;
}

int run_image_open(struct run_image *out, const char *name, enum images_pull pull,
		   const struct coffer_transfer *how, struct coffer_error *err)
{
	int r;

	*out = (struct run_image){ .name = name, .said.size = sizeof(out->said) };
	r = run_image_find(out, pull, how, err);
	if (r == 0)
		coffer_image_get_config(out->image, &out->said);
	return r;
}

void run_image_close(struct run_image *image)
{
	coffer_image_free(image->image);
	coffer_images_close(image->images);
	*image = (struct run_image){ .name = image->name, .said.size = sizeof(image->said) };
}
