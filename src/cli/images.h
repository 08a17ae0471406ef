/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/images.h - what commands on images share
 */
#ifndef CLI_IMAGES_H
#define CLI_IMAGES_H

#include "base/cleanup.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/transfer.h"
#include "coffer/image.h"

DEFINE_CLEANUP(struct coffer_images *, coffer_images_close);
DEFINE_CLEANUP(struct coffer_image *, coffer_image_free);
#define autoimages CLEANUP(coffer_images_closep)
#define autoimage  CLEANUP(coffer_image_freep)

#define IMAGES_ID_SHOWN 12 /* digits of an id, unless all are wanted */

/* When an image is asked of its registry. */
enum images_pull {
	IMAGES_PULL_MISSING,
	IMAGES_PULL_ALWAYS,
	IMAGES_PULL_NEVER,
};
/* "missing" ..., NULL-terminated, in the order of the enum; for OPT_WORD */
extern const char *const images_pull_words[];
/* images_pull_parse() - One of the words, or NULL: missing */
enum images_pull images_pull_parse(const char *word);

/* images_get() - An image of the store, or one that is pulled. @how: with the platform */
int images_get(struct coffer_images *images, const char *name, enum images_pull pull,
	       const struct coffer_transfer *how, struct coffer_image **out,
	       struct coffer_error *err);

/**
 * images_each() - Do the same to several, told by the name on stdout
 *
 * One that fails is told and does not keep the others from it.
 *
 * Return: exit code
 */
int images_each(int n, char *names[],
		int (*fn)(struct coffer_images *images, const char *name, void *data,
			  struct coffer_error *err),
		void *data);

/* images_failed() - Tell it. Return: exit code */
int images_failed(const struct coffer_error *err);

/* images_short() - "sha256:0123..." as people are shown it. @out: of any size */
void images_short(const char *digest, bool whole, char *out, size_t size);

/* images_parse() - What the library tells. To be put */
int images_parse(const char *text, struct json_object **out, struct coffer_error *err);

/* images_created() - "2 hours ago", or "N/A" when @text says no time */
void images_created(const char *text, char *out, size_t size);

#endif /* CLI_IMAGES_H */
