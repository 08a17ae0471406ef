/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/writer.h - a tar archive becomes a layer's blob
 */
#ifndef IMAGE_LAYER_WRITER_H
#define IMAGE_LAYER_WRITER_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/digest.h"
#include "image/document.h"
#include "image/store/store.h"

struct layer_writer;

/* layer_writer_new() - @cancel_fd: -1: never */
int layer_writer_new(struct store *store, int cancel_fd, struct layer_writer **out,
		     struct coffer_error *err);
/* layer_writer_put() - More of the archive, which is not looked into */
int layer_writer_put(struct layer_writer *w, const void *data, size_t n, struct coffer_error *err);
/**
 * layer_writer_finish() - That was all: the blob is in the store
 * @lease:	Gets its digest
 * @docker:	Which of the two media types it is to have
 * @out:	Empty, or one to be freed before
 * @diff_id:	Digest of the archive
 */
int layer_writer_finish(struct layer_writer *w, struct store_lease *lease, bool docker,
			struct descriptor *out, struct digest *diff_id, struct coffer_error *err);
void layer_writer_free(struct layer_writer *w);
DEFINE_CLEANUP(struct layer_writer *, layer_writer_free);

#endif /* IMAGE_LAYER_WRITER_H */
