/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/decompress.h - a blob's bytes as they were before they were packed
 */
#ifndef IMAGE_LAYER_DECOMPRESS_H
#define IMAGE_LAYER_DECOMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"

struct decompress;

/**
 * decompress_open() - What @fd (borrowed, read by offset) has in its first @size bytes
 * @packed:	Something that is not packed is an error
 *
 * gzip, zstd and xz are told by how they begin; all else is taken as it is.
 */
int decompress_open(int fd, uint64_t size, bool packed, struct decompress **out,
		    struct coffer_error *err);
/* decompress_read() - Fill @out; less only at the end. Return: bytes, or negative errno */
ssize_t decompress_read(struct decompress *d, uint8_t *out, size_t n, struct coffer_error *err);
/* decompress_taken() - Bytes of the blob that have been read */
uint64_t decompress_taken(const struct decompress *d);
void decompress_free(struct decompress *d);
DEFINE_CLEANUP(struct decompress *, decompress_free);

/* ---- for the files that know a format ---- */

#define DECOMPRESS_END 1 /* here the data could end: more is another member, or garbage */

/* Moves what it takes and what it gives. */
struct decompress_span {
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len;
	bool last; /* nothing comes after @in */
};

struct decompress_format {
	const char *name;
	uint8_t magic[6];
	uint8_t magic_len;
	/* start() - Return: 0 with *@state, -ENOSYS: not on this machine, other negative errno */
	int (*start)(void **state, struct coffer_error *err);
	/* step() - Do some of @s. After DECOMPRESS_END the next call begins a new member. Return: 0,
	 * DECOMPRESS_END or negative errno; neither taken nor given at the end: it is cut off */
	int (*step)(void *state, struct decompress_span *s, struct coffer_error *err);
	void (*stop)(void *state);
};

extern const struct decompress_format decompress_gzip, decompress_gzip_fast, decompress_zstd,
	decompress_xz;

#endif /* IMAGE_LAYER_DECOMPRESS_H */
