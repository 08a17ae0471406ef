/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/digest.h - names of content by its hash, and computing them
 *
 * "sha256:" and 64 hexadecimal digits, or "sha512:" and 128 (image-spec 1.0,
 * descriptor.md, "Registered Algorithms").  Others are unsupported.
 */
#ifndef IMAGE_DIGEST_H
#define IMAGE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

#define DIGEST_TEXT_MAX 136 /* with the terminator */

/* Always valid, or empty. */
struct digest {
	char text[DIGEST_TEXT_MAX];
};

static inline bool digest_is_equal(const struct digest *a, const struct digest *b)
{
	return strcmp(a->text, b->text) == 0;
}
static inline bool digest_is_empty(const struct digest *d)
{
	return d->text[0] == '\0';
}

/* digest_parse() - Errors: invalid-argument, unsupported (the algorithm) */
int digest_parse(const char *text, struct digest *out, struct coffer_error *err);
/* digest_hex() - What is behind the colon; digest_algorithm(): "sha256", static */
const char *digest_hex(const struct digest *d);
const char *digest_algorithm(const struct digest *d);

struct hasher;

/* hasher_new() - @like: a digest of the algorithm to use; NULL: sha256 */
int hasher_new(const struct digest *like, struct hasher **out, struct coffer_error *err);
void hasher_update(struct hasher *h, const void *data, size_t n);
/* hasher_end() - The digest of all that came; @h can only be freed then */
int hasher_end(struct hasher *h, struct digest *out, struct coffer_error *err);
void hasher_free(struct hasher *h);
DEFINE_CLEANUP(struct hasher *, hasher_free);

/* digest_of() - Of some bytes, with sha256 */
int digest_of(const void *data, size_t n, struct digest *out, struct coffer_error *err);

#endif /* IMAGE_DIGEST_H */
