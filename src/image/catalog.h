/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/catalog.h - which images there are in a store
 */
#ifndef IMAGE_CATALOG_H
#define IMAGE_CATALOG_H

#include "image/images.h"

/* catalog_manifests() - Append @top's manifests that are here, through all indices. -ENOENT without
 * an error filled when @top itself is not */
int catalog_manifests(struct coffer_images *images, const struct descriptor *top, struct index *out,
		      struct coffer_error *err);

/* catalog_append() - A copy of @d */
int catalog_append(struct index *x, const struct descriptor *d, struct coffer_error *err);

/* One image: a manifest, and one of the entries that lead to it. */
struct catalog_entry {
	const struct descriptor *top; /* with the name, if it has any */
	const struct descriptor *self;
	const struct manifest *manifest;
};

/**
 * catalog_walk() - Every image by every name
 * @fn:		Returns 0; 1: that is enough; negative: that is an error
 *
 * What vanishes meanwhile, or is broken, is left out.
 *
 * Return: what @fn returned last
 */
int catalog_walk(struct coffer_images *images,
		 int (*fn)(void *data, const struct catalog_entry *e, struct coffer_error *err),
		 void *data, struct coffer_error *err);

#endif /* IMAGE_CATALOG_H */
