/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/reference.h - names of images, as docker writes them
 *
 *	[registry[:port]/]path[/path...][:tag][@digest]
 *
 * The grammar of github.com/distribution/reference: what stands before the
 * first slash is a registry if it has a dot or a colon, or is "localhost", or
 * has an upper-case letter; a path without a slash on docker.io is
 * "library/PATH".
 */
#ifndef IMAGE_REFERENCE_H
#define IMAGE_REFERENCE_H

#include "base/cleanup.h"
#include "base/error.h"
#include "image/digest.h"

#define REFERENCE_NAME_MAX 255 /* registry and path */
#define REFERENCE_TAG_MAX  128
#define REFERENCE_DEFAULT_REGISTRY "docker.io"
#define REFERENCE_DEFAULT_TAG      "latest"

struct reference {
	char registry[REFERENCE_NAME_MAX + 1]; /* "docker.io", "localhost:5000" */
	char path[REFERENCE_NAME_MAX + 1];     /* "library/redis" */
	char tag[REFERENCE_TAG_MAX + 1];       /* "": none, which only happens with a digest */
	struct digest digest;                  /* empty: none */
};

#define REFERENCE_TEXT_MAX (REFERENCE_NAME_MAX * 2 + REFERENCE_TAG_MAX + DIGEST_TEXT_MAX + 4)

/**
 * reference_parse() - @text as a reference, defaults filled in
 * @registry:	For names without one; NULL: docker.io
 */
int reference_parse(const char *text, const char *registry, struct reference *out,
		    struct coffer_error *err);
/* reference_is_registry() - @s is a registry's name: host or address, perhaps with a port */
bool reference_is_registry(const char *s);
/* reference_canonical() - "docker.io/library/redis:latest": what the store keeps */
void reference_canonical(const struct reference *ref, char out[REFERENCE_TEXT_MAX]);
/* reference_familiar() - "redis:latest": what people are shown */
void reference_familiar(const struct reference *ref, char out[REFERENCE_TEXT_MAX]);

#endif /* IMAGE_REFERENCE_H */
