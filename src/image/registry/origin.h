/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/origin.h - who an URL belongs to, and where a Location leads
 *
 * With libcurl's own parser, so that what is judged here is where it connects.
 */
#ifndef IMAGE_REGISTRY_ORIGIN_H
#define IMAGE_REGISTRY_ORIGIN_H

#include <stdbool.h>

#include "base/error.h"

#define ORIGIN_URL_MAX 8192 /* signed URLs of object stores have two thousand characters */

struct origin {
	bool secure;	/* https */
	char host[256]; /* of an IPv6 address with its brackets */
	unsigned port;
};

/* origin_parse() - Errors: invalid-argument (malformed, neither http nor https, a user in it) */
int origin_parse(const char *url, struct origin *out, struct coffer_error *err);
bool origin_is_equal(const struct origin *a, const struct origin *b);
/* origin_is_loopback() - Nobody else sees what goes there */
bool origin_is_loopback(const struct origin *o);
bool origin_host_is_loopback(const char *host);
/* origin_resolve() - @location as seen from @base; *@out is malloc'd */
int origin_resolve(const char *base, const char *location, char **out, struct coffer_error *err);

#endif /* IMAGE_REGISTRY_ORIGIN_H */
