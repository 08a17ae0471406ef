/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/exchange/layout.c - OCI image layouts
 *
 *	oci-layout, index.json, blobs/ALGORITHM/HEX
 *
 * A directory is gone through from its index.json: what that leads to is copied
 * from the bottom up, everything else left alone.  Of a tar all blobs are in the
 * store by now.  An index may lack some of its platforms, but not all.
 *
 * Callers: load.c, save.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/path.h"
#include "image/catalog.h"
#include "image/exchange/exchange.h"

#define LAYOUT_INDEX "application/vnd.oci.image.index.v1+json"
#define LAYOUT_FILE  "{\"imageLayoutVersion\":\"1.0.0\"}"

static void layout_file(const struct digest *d, char out[EXCHANGE_NAME_MAX])
{
	snprintf(out, EXCHANGE_NAME_MAX, "blobs/%s/%s", digest_algorithm(d), digest_hex(d));
}

/* Once: a small index can name another a thousand times. Return: 1: it has been; 0; negative errno
 */
static int layout_visit(struct exchange *x, const struct descriptor *d, int depth,
			struct coffer_error *err)
{
	if (depth > DOCUMENT_INDEX_DEPTH)
		return err_invalid(err, "index %s: is below too many others", d->digest.text);
	return visited_add(&x->visited, &d->digest, err);
}

/* ---- what is in the store ---- */

/* layout_check_blob() - It is here, as large as it is said to be */
static int layout_check_blob(struct exchange *x, const struct descriptor *d,
			     struct coffer_error *err)
{
	uint64_t size = 0;
	autoclose int fd = -1;
	int r = store_lease_add(x->lease, &d->digest, err);

	if (r < 0)
		return r;
	fd = store_blob_open(x->images->store, &d->digest, &size, err);
	if (fd == -ENOENT)
		return err_invalid(err, "blob %s: is missing", d->digest.text);
	if (fd < 0)
		return steal_fd(&fd);
	if (size != d->size)
		return err_invalid(err, "blob %s: has %llu bytes, not %llu", d->digest.text,
				   (unsigned long long)size, (unsigned long long)d->size);
	return 0;
}

static int layout_check_image(struct exchange *x, const struct descriptor *self,
			      struct coffer_error *err)
{
	CLEANUP(image_config_free) struct image_config config = { 0 };
	CLEANUP(manifest_free) struct manifest m = { 0 };
	int r = image_load_manifest(x->images, self, &m, err);

	if (r == -ENOENT)
		return err_invalid(err, "manifest %s: is missing", self->digest.text);
	if (r == 0)
		r = manifest_check_image(&m, err);
	if (r == 0)
		r = layout_check_blob(x, &m.config, err);
	for (size_t i = 0; r == 0 && i < m.nlayers; i++)
		r = layout_check_blob(x, &m.layers[i], err);
	return r < 0 ? r : image_load_config(x->images, &m, &config, err);
}

/* Names that are none are not a reason to refuse the image. */
static const char *layout_name(struct exchange *x, const char *said, char out[REFERENCE_TEXT_MAX])
{
	struct reference ref;

	if (!said || images_reference_new(x->images, said, &ref, NULL) < 0)
		return NULL;
	reference_canonical(&ref, out);
	return out;
}

/* layout_choose() - Of an index the one image that was asked for; NULL when it is not there */
static const struct descriptor *layout_choose(struct exchange *x, const struct descriptor *d,
					      const struct index *manifests,
					      struct coffer_error *err)
{
	const char *wanted = x->progress->how.platform;
	struct platform platform;
	int r;

	if (!wanted || !d->type || d->type->kind != MEDIA_INDEX)
		return d;
	r = platform_parse(wanted, &platform, err);
	if (r == 0)
		r = index_choose(manifests, &platform, err);
	return r < 0 ? NULL : &manifests->list[r];
}

static int layout_adopt_one(struct exchange *x, const struct descriptor *d, struct index *out,
			    struct coffer_error *err)
{
	CLEANUP(index_free) struct index manifests = { 0 };
	const struct descriptor *chosen;
	char name[REFERENCE_TEXT_MAX];
	int r = layout_check_blob(x, d, err);

	if (r == 0)
		r = catalog_manifests(x->images, d, &manifests, err);
	if (r == 0 && manifests.count == 0)
		r = err_invalid(err, "index %s: none of its images is there", d->digest.text);
	for (size_t i = 0; r == 0 && i < manifests.count; i++)
		r = layout_check_image(x, &manifests.list[i], err);
	if (r < 0)
		return r;
	chosen = layout_choose(x, d, &manifests, err);
	if (!chosen)
		return err_wrap(err, "index %s", d->digest.text);
	return exchange_append(out, chosen, layout_name(x, d->ref_name, name), err);
}

int layout_adopt(struct exchange *x, const void *index, size_t len, struct index *out,
		 struct coffer_error *err)
{
	CLEANUP(index_free) struct index images = { 0 };
	int r = index_parse(index, len, LAYOUT_INDEX, &images, err);

	if (r < 0)
		return err_wrap(err, "index.json");
	for (size_t i = 0; r == 0 && i < images.count; i++) {
		r = layout_adopt_one(x, &images.list[i], out, err);
		if (r < 0)
			r = err_wrap(err, "image %zu of index.json", i);
	}
	return r;
}

/* ---- a directory ---- */

static int layout_open(int dir, const struct digest *d, struct coffer_error *err)
{
	char file[EXCHANGE_NAME_MAX];

	layout_file(d, file);
	return path_open_beneath(dir, file,
				 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0, err);
}

static int layout_copy_data(struct exchange *x, int fd, struct store_part *part,
			    const struct descriptor *d, struct coffer_error *err)
{
	for (;;) {
		ssize_t n = pread(fd, x->chunk, EXCHANGE_CHUNK, (off_t)store_part_offset(part));
		int r;

		if (n <= 0)
			return n < 0 ? err_sys(err, "read") : 0;
		r = store_part_write(part, x->chunk, (size_t)n, err);
		if (r == 0)
			r = progress_check(x->progress, err);
		if (r < 0)
			return r;
		progress_tell(x->progress, COFFER_PROGRESS_BLOB, d->digest.text,
			      store_part_offset(part), d->size);
	}
}

static int layout_copy(struct exchange *x, int dir, const struct descriptor *d,
		       struct coffer_error *err)
{
	CLEANUP(store_part_closep) struct store_part *part = NULL;
	autoclose int fd = -1;
	int r = store_lease_add(x->lease, &d->digest, err);

	if (r == 0)
		r = store_part_open(x->images->store, &d->digest, d->size, x->progress->cancel_fd,
				    &part, err);
	if (r == 1)
		progress_tell(x->progress, COFFER_PROGRESS_BLOB_HAVE, d->digest.text, d->size,
			      d->size);
	if (r != 0)
		return r < 0 ? r : 0;
	fd = layout_open(dir, &d->digest, err);
	r = fd < 0 ? fd : layout_copy_data(x, fd, part, d, err);
	if (r == 0)
		r = store_part_commit(part, NULL, NULL, err);
	if (r < 0)
		return err_wrap(err, "blob %s", d->digest.text);
	progress_tell(x->progress, COFFER_PROGRESS_BLOB_DONE, d->digest.text, d->size, d->size);
	return 0;
}

static int layout_copy_tree(struct exchange *x, int dir, const struct descriptor *d, int depth,
			    struct coffer_error *err);

static int layout_copy_index(struct exchange *x, int dir, const struct index *list, int depth,
			     struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->count; i++) {
		autoclose int fd = layout_open(dir, &list->list[i].digest, NULL);

		if (fd == -ENOENT)
			continue;
		r = layout_copy_tree(x, dir, &list->list[i], depth + 1, err);
	}
	return r;
}

static int layout_copy_manifest(struct exchange *x, int dir, const struct manifest *m,
				struct coffer_error *err)
{
	int r = layout_copy(x, dir, &m->config, err);

	for (size_t i = 0; r == 0 && i < m->nlayers; i++)
		r = layout_copy(x, dir, &m->layers[i], err);
	return r;
}

/* layout_copy_tree() - What an index or a manifest leads to, then itself */
static int layout_copy_tree(struct exchange *x, int dir, const struct descriptor *d, int depth,
			    struct coffer_error *err)
{
	CLEANUP(index_free) struct index list = { 0 };
	CLEANUP(manifest_free) struct manifest m = { 0 };
	autofree char *text = NULL;
	size_t len = 0;
	autoclose int fd = -1;
	int r = layout_visit(x, d, depth, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = fd = layout_open(dir, &d->digest, err);
	if (r >= 0)
		r = io_read_stream(fd, d->digest.text, DOCUMENT_MANIFEST_MAX, &text, &len, err);
	if (r < 0)
		return err_wrap(err, "blob %s", d->digest.text);
	if (d->type && d->type->kind == MEDIA_INDEX) {
		r = index_parse(text, len, d->media_type, &list, err);
		if (r == 0)
			r = layout_copy_index(x, dir, &list, depth, err);
	} else {
		r = manifest_parse(text, len, d->media_type, &m, err);
		if (r == 0)
			r = layout_copy_manifest(x, dir, &m, err);
	}
	if (r < 0)
		return err_wrap(err, "blob %s", d->digest.text);
	return layout_copy(x, dir, d, err);
}

int layout_read(struct exchange *x, int dir, struct index *out, struct coffer_error *err)
{
	CLEANUP(index_free) struct index images = { 0 };
	autofree char *text = NULL;
	size_t len = 0;
	autoclose int fd = path_open_beneath(
	    dir, "index.json", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0, err);
	int r = fd;

	if (fd >= 0)
		r = io_read_stream(fd, "index.json", DOCUMENT_MANIFEST_MAX, &text, &len, err);
	if (r >= 0)
		r = index_parse(text, len, LAYOUT_INDEX, &images, err);
	if (r < 0)
		return err_wrap(err, "not an OCI image layout");
	for (size_t i = 0; r == 0 && i < images.count; i++) {
		r = layout_copy_tree(x, dir, &images.list[i], 0, err);
		if (r < 0)
			r = err_wrap(err, "image %zu of index.json", i);
	}
	return r < 0 ? r : layout_adopt(x, text, len, out, err);
}

/* ---- writing ---- */

static int layout_put(struct exchange *x, struct sink *s, const struct digest *d,
		      struct coffer_error *err)
{
	char file[EXCHANGE_NAME_MAX];

	layout_file(d, file);
	return sink_put_blob(s, x, file, d, err);
}

static int layout_put_manifest(struct exchange *x, struct sink *s, const struct manifest *m,
			       const struct descriptor *self, struct coffer_error *err)
{
	int r = layout_put(x, s, &m->config.digest, err);

	for (size_t i = 0; r == 0 && i < m->nlayers; i++)
		r = layout_put(x, s, &m->layers[i].digest, err);
	return r < 0 ? r : layout_put(x, s, &self->digest, err);
}

static int layout_put_index(struct exchange *x, struct sink *s, const struct descriptor *top,
			    int depth, struct coffer_error *err)
{
	CLEANUP(index_free) struct index list = { 0 };
	autobuf struct buf text = BUF_INIT(0);
	int r = layout_visit(x, top, depth, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = store_blob_read(x->images->store, &top->digest, DOCUMENT_MANIFEST_MAX, &text, err);
	if (r == -ENOENT)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "%s: not in the store",
			       top->digest.text);
	if (r == 0)
		r = index_parse(buf_data(&text), text.len, top->media_type, &list, err);
	for (size_t i = 0; r == 0 && i < list.count; i++) {
		CLEANUP(manifest_free) struct manifest m = { 0 };

		if (list.list[i].type && list.list[i].type->kind == MEDIA_INDEX) {
			r = layout_put_index(x, s, &list.list[i], depth + 1, err);
			continue;
		}
		r = image_load_manifest(x->images, &list.list[i], &m, err);
		if (r == -ENOENT)
			r = err_set(err, COFFER_ERR_NOT_FOUND, 0,
				    "%s: not in the store: pull all platforms first",
				    list.list[i].digest.text);
		if (r == 0)
			r = layout_put_manifest(x, s, &m, &list.list[i], err);
	}
	return r < 0 ? r : layout_put(x, s, &top->digest, err);
}

int layout_write(struct exchange *x, struct sink *s, const struct coffer_image *image,
		 const char *name, bool all, struct index *out, struct coffer_error *err)
{
	bool index = all && image->top.type && image->top.type->kind == MEDIA_INDEX;
	int r;

	if (index)
		r = layout_put_index(x, s, &image->top, 0, err);
	else
		r = layout_put_manifest(x, s, &image->manifest, &image->self, err);
	return r < 0 ? r : exchange_append(out, index ? &image->top : &image->self, name, err);
}

int layout_finish(struct sink *s, const struct index *x, struct coffer_error *err)
{
	autobuf struct buf text = BUF_INIT(DOCUMENT_MANIFEST_MAX);
	struct index typed = *x;
	int r;

	typed.type = media_type_find(LAYOUT_INDEX);
	r = index_emit(&typed, &text, err);
	if (r == 0)
		r = sink_put(s, "oci-layout", LAYOUT_FILE, strlen(LAYOUT_FILE), err);
	return r < 0 ? r : sink_put(s, "index.json", buf_data(&text), text.len, err);
}
