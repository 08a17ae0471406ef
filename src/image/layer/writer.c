/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/writer.c - a tar archive becomes a layer's blob
 *
 *	archive --> hash (diff id)
 *	        '-> gzip --> part of the store, which hashes it (digest)
 *
 * Equal archives give equal blobs: gzip's header has neither name nor time.
 *
 * Callers: container/commit.c; whatever else makes layers.
 */
#include "image/layer/writer.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define WRITER_BUFFER (256u << 10)
#define WRITER_LEVEL  3			/* most of what gzip can do, in a third of the time */
#define WRITER_CHUNK  ((size_t)1 << 30) /* zlib counts in 32 bits */

struct layer_writer {
	struct store_part *part; /* owned, as all here */
	struct hasher *hasher;
	bool has_z;
	z_stream z;
	uint64_t size; /* of the blob */
	uint8_t out[WRITER_BUFFER];
};

void layer_writer_free(struct layer_writer *w)
{
	if (!w)
		return;
	if (w->part)
		store_part_close(w->part);
	if (w->hasher)
		hasher_free(w->hasher);
	if (w->has_z)
		deflateEnd(&w->z);
	free(w);
}

int layer_writer_new(struct store *store, int cancel_fd, struct layer_writer **out,
		     struct coffer_error *err)
{
	CLEANUP(layer_writer_freep) struct layer_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_nomem(err);
	/* 16: gzip's header. */
	w->has_z = deflateInit2(&w->z, WRITER_LEVEL, Z_DEFLATED, MAX_WBITS + 16, 8,
				Z_DEFAULT_STRATEGY) == Z_OK;
	if (!w->has_z)
		return err_nomem(err);
	r = hasher_new(NULL, &w->hasher, err);
	if (r == 0)
		r = store_part_open(store, NULL, UINT64_MAX, cancel_fd, &w->part, err);
	if (r == 0)
		*out = steal_ptr(w);
	return r;
}

static int layer_writer_deflate(struct layer_writer *w, const void *data, size_t n, int flush,
				struct coffer_error *err)
{
	int r = 0;

	w->z.next_in = (Bytef *)data;
	w->z.avail_in = (uInt)n;
	do {
		size_t got;

		w->z.next_out = w->out;
		w->z.avail_out = WRITER_BUFFER;
		if (deflate(&w->z, flush) == Z_STREAM_ERROR)
			return err_internal(err, "compress the layer");
		got = WRITER_BUFFER - w->z.avail_out;
		w->size += got;
		if (got > 0)
			r = store_part_write(w->part, w->out, got, err);
	} while (r == 0 && w->z.avail_out == 0);
	return r;
}

int layer_writer_put(struct layer_writer *w, const void *data, size_t n, struct coffer_error *err)
{
	const uint8_t *p = data;
	int r = 0;

	hasher_update(w->hasher, data, n);
	while (r == 0 && n > 0) {
		size_t k = n < WRITER_CHUNK ? n : WRITER_CHUNK;

		r = layer_writer_deflate(w, p, k, Z_NO_FLUSH, err);
		p += k;
		n -= k;
	}
	return r;
}

int layer_writer_finish(struct layer_writer *w, struct store_lease *lease, bool docker,
			struct descriptor *out, struct digest *diff_id, struct coffer_error *err)
{
	const char *type = docker ? "application/vnd.docker.image.rootfs.diff.tar.gzip"
				  : "application/vnd.oci.image.layer.v1.tar+gzip";
	int r = layer_writer_deflate(w, NULL, 0, Z_FINISH, err);

	if (r == 0)
		r = hasher_end(w->hasher, diff_id, err);
	if (r == 0)
		r = store_part_commit(w->part, lease, &out->digest, err);
	if (r < 0)
		return r;
	out->type = media_type_find(type);
	out->size = w->size;
	out->media_type = strdup(type);
	return out->media_type ? 0 : err_nomem(err);
}
