/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/catalog.c - which images there are in a store
 *
 * Read anew from index.json and the documents below it for every call: others
 * change the store meanwhile, and a copy would have to be told.
 */
#define LOG_CATEGORY "image"
#include "image/catalog.h"

#include <string.h>

#include "base/log.h"
#include "image/visited.h"

int catalog_append(struct index *x, const struct descriptor *d, struct coffer_error *err)
{
	struct descriptor *list = reallocarray(x->list, x->count + 1, sizeof(*list));

	if (!list)
		return err_nomem(err);
	x->list = list;
	if (descriptor_copy(&list[x->count], d) < 0)
		return err_nomem(err);
	x->count++;
	return 0;
}

static bool catalog_is_same(const struct descriptor *a, const struct descriptor *b)
{
	return digest_is_equal(&a->digest, &b->digest) && a->has_platform == b->has_platform &&
	       strcmp(a->platform.os, b->platform.os) == 0 &&
	       strcmp(a->platform.arch, b->platform.arch) == 0 &&
	       strcmp(a->platform.variant, b->platform.variant) == 0;
}

static int catalog_append_manifest(struct coffer_images *images, const struct descriptor *d,
				   struct index *out, struct coffer_error *err)
{
	autoclose int fd = -1;

	for (size_t i = 0; i < out->count; i++)
		if (catalog_is_same(&out->list[i], d))
			return 0;
	if (out->count == VISITED_MAX)
		return err_invalid(err, "more than %d manifests", VISITED_MAX);
	fd = store_blob_open(images->store, &d->digest, NULL, err);
	return fd < 0 ? steal_fd(&fd) : catalog_append(out, d, err);
}

static int catalog_collect(struct coffer_images *images, const struct descriptor *d, unsigned depth,
			   struct visited *visited, struct index *out, struct coffer_error *err)
{
	autobuf struct buf text = BUF_INIT(DOCUMENT_MANIFEST_MAX);
	CLEANUP(index_free) struct index x = { 0 };
	int r;

	/* What builders add about an image is no image. */
	if (d->has_platform && strcmp(d->platform.os, "unknown") == 0)
		return 0;
	if (d->type && d->type->kind == MEDIA_MANIFEST)
		return catalog_append_manifest(images, d, out, err);
	if (!d->type || d->type->kind != MEDIA_INDEX)
		return 0;
	if (depth == DOCUMENT_INDEX_DEPTH)
		return err_invalid(err, "index %s: indices in indices, too deep", d->digest.text);
	r = visited_add(visited, &d->digest, err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = store_blob_read(images->store, &d->digest, DOCUMENT_MANIFEST_MAX, &text, err);
	if (r == 0)
		r = index_parse(buf_data(&text), text.len, d->media_type, &x, err);
	for (size_t i = 0; i < x.count && r == 0; i++) {
		r = catalog_collect(images, &x.list[i], depth + 1, visited, out, err);
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

int catalog_manifests(struct coffer_images *images, const struct descriptor *top, struct index *out,
		      struct coffer_error *err)
{
	CLEANUP(visited_free) struct visited visited = { 0 };

	return catalog_collect(images, top, 0, &visited, out, err);
}

static int catalog_visit(struct coffer_images *images, const struct descriptor *top,
			 int (*fn)(void *data, const struct catalog_entry *e,
				   struct coffer_error *err),
			 void *data, struct coffer_error *err)
{
	CLEANUP(index_free) struct index manifests = { 0 };
	struct coffer_error why = COFFER_ERROR_INIT;
	int r = catalog_manifests(images, top, &manifests, &why);

	if (r < 0 && r != -ENOENT)
		log_warning("%s", why.message);
	r = 0;
	for (size_t i = 0; i < manifests.count && r == 0; i++) {
		CLEANUP(manifest_free) struct manifest m = { 0 };
		const struct catalog_entry e = { top, &manifests.list[i], &m };

		r = image_load_manifest(images, e.self, &m, &why);
		if (r < 0 && r != -ENOENT)
			log_warning("%s", why.message);
		r = r < 0 ? 0 : fn(data, &e, err);
	}
	return r;
}

int catalog_walk(struct coffer_images *images,
		 int (*fn)(void *data, const struct catalog_entry *e, struct coffer_error *err),
		 void *data, struct coffer_error *err)
{
	CLEANUP(index_free) struct index names = { 0 };
	int r = store_names(images->store, &names, err);

	for (size_t i = 0; i < names.count && r == 0; i++)
		r = catalog_visit(images, &names.list[i], fn, data, err);
	return r;
}
