/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/exchange/exchange.c - what loading, saving and importing have in common
 *
 * Callers: the other files here.
 */
#include <string.h>

#include "image/exchange/exchange.h"
#include "image/layer/decompress.h"

#define EXCHANGE_LAYER "application/vnd.oci.image.layer.v1.tar"

int exchange_open(struct exchange *x, struct coffer_images *images, struct progress *progress,
		  struct coffer_error *err)
{
	*x = (struct exchange){ .images = images, .progress = progress };
	x->chunk = malloc(EXCHANGE_CHUNK);
	return x->chunk ? store_lease_open(images->store, &x->lease, err) : err_nomem(err);
}

void exchange_close(struct exchange *x)
{
	/* What it could not remove is unused, which a prune finds out, too. */
	if (x->lease)
		store_lease_end(x->lease, NULL);
	visited_free(&x->visited);
	free(x->chunk);
	*x = (struct exchange){ 0 };
}

int exchange_append(struct index *x, const struct descriptor *d, const char *name,
		    struct coffer_error *err)
{
	if (x->count >= DOCUMENT_INDEX_MAX)
		return err_invalid(err, "more than %d images", DOCUMENT_INDEX_MAX);
	return index_append(x, d, name, err);
}

int exchange_layer_type(int fd, struct descriptor *out, struct coffer_error *err)
{
	static const struct {
		const struct decompress_format *format;
		const char *type;
	} types[] = {
		{ &decompress_gzip, EXCHANGE_LAYER "+gzip" },
		{ &decompress_zstd, EXCHANGE_LAYER "+zstd" },
		{ &decompress_xz, EXCHANGE_LAYER "+xz" },
	};
	const char *type = EXCHANGE_LAYER;
	char head[8] = { 0 };

	if (pread(fd, head, sizeof(head), 0) < 0)
		return err_sys(err, "read a layer");
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (memcmp(head, types[i].format->magic, types[i].format->magic_len) == 0)
			type = types[i].type;
	out->media_type = strdup(type);
	out->type = media_type_find(type);
	return out->media_type ? 0 : err_nomem(err);
}
