/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/feed.h - a blob's unpacked bytes, made ready by another thread
 */
#ifndef IMAGE_LAYER_FEED_H
#define IMAGE_LAYER_FEED_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/layer/layer.h"

#define FEED_CHUNK ((size_t)256 << 10) /* a multiple of tar's 512, so records are never cut */

struct feed;

/* feed_open() - @layer, @limits: borrowed until the end */
int feed_open(const struct layer_source *layer, const struct settings_limits *limits,
	      struct feed **out, struct coffer_error *err);
/**
 * feed_next() - The next bytes; those before are gone then
 * @taken:	Set to how much of the blob they and all before came from
 *
 * Return: 1, 0 at the end, or negative errno
 */
int feed_next(struct feed *f, const uint8_t **bytes, size_t *n, uint64_t *taken,
	      struct coffer_error *err);
void feed_free(struct feed *f);
DEFINE_CLEANUP(struct feed *, feed_free);

#endif /* IMAGE_LAYER_FEED_H */
