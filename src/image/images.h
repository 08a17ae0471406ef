/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/images.h - what stands behind struct coffer_images and struct coffer_image
 *
 * For the files that implement include/coffer/image.h, wherever they are.
 */
#ifndef IMAGE_IMAGES_H
#define IMAGE_IMAGES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "coffer/image.h"
#include "image/document.h"
#include "image/reference.h"
#include "image/settings.h"
#include "image/store/store.h"

#define IMAGE_PLATFORM_MAX 100
#define IMAGE_DOCUMENTS_BYTES                                                                      \
	((size_t)64 << 20) /* of manifests that one transfer keeps in memory */

DEFINE_CLEANUP(struct coffer_images *, coffer_images_close);
DEFINE_CLEANUP(struct coffer_image *, coffer_image_free);

struct coffer_images {
	struct store *store;
	struct settings settings;
	char *dir; /* the store's; owned */
};

struct coffer_image {
	struct coffer_images *images; /* borrowed */
	/* Has the digests of @top and @self, so that all below them stays. NULL: built in */
	struct store_lease *lease;
	bool builtin;		/* COFFER_IMAGE_BUILTIN itself: no lease, no blobs, no layers */
	struct descriptor top;	/* what the name stands for: an index, or @self */
	struct descriptor self; /* its manifest */
	struct manifest manifest;
	struct image_config config;
	char platform[IMAGE_PLATFORM_MAX];
	char *name; /* owned; canonical, for the store; NULL: found by its id, or without a name */
	char *what; /* owned; what people are shown, and errors say: the familiar name or the id */
	pthread_mutex_t lock; /* of what follows */
	char *rootfs;	      /* owned; NULL: not asked for yet */
};

/* images_reference() - A name as people write it, with the settings' default registry */
int images_reference(struct coffer_images *images, const char *name, struct reference *out,
		     struct coffer_error *err);
/* images_reference_new() - One that something is to be called from now on: without a digest */
int images_reference_new(struct coffer_images *images, const char *name, struct reference *out,
			 struct coffer_error *err);

/* image_new() - One that has nothing yet. Return: NULL without memory, @err filled */
struct coffer_image *image_new(struct coffer_images *images, struct coffer_error *err);

/**
 * image_open() - An image that is in the store
 * @top:	An index or a manifest
 * @name:	Canonical, or NULL; copied
 * @platform:	As for coffer_image_find()
 * @lease:	Has @top's digest; taken over, also when this fails
 *
 * Errors: not-found (nothing for @platform, or a blob is missing), invalid-argument (malformed)
 */
int image_open(struct coffer_images *images, const struct descriptor *top, const char *name,
	       const char *platform, struct store_lease *lease, struct coffer_image **out,
	       struct coffer_error *err);

/* image_take() - The same with a lease of its own */
int image_take(struct coffer_images *images, const struct descriptor *top, const char *name,
	       const char *platform, struct coffer_image **out, struct coffer_error *err);

/**
 * image_create() - Put a configuration and a manifest into the store, and name the image
 * @config:	Its platform, diff ids and history are complete
 * @manifest:	Its layers are, and are in the store; its config is filled in here, and its
 *		type if it has none
 * @lease:	Has the layers' digests; taken over, also when this fails
 * @name:	As people write it; NULL: none, and it is there until a prune
 * @out:	May be NULL
 */
int image_create(struct coffer_images *images, const struct image_config *config,
		 struct manifest *manifest, const char *name, struct store_lease *lease,
		 struct coffer_image **out, struct coffer_error *err);

/* image_load_manifest() - From the store. -ENOENT without an error filled when it is not there */
int image_load_manifest(struct coffer_images *images, const struct descriptor *self,
			struct manifest *out, struct coffer_error *err);
/* image_load_config() - Of @manifest, which it is checked against */
int image_load_config(struct coffer_images *images, const struct manifest *manifest,
		      struct image_config *out, struct coffer_error *err);

#endif /* IMAGE_IMAGES_H */
