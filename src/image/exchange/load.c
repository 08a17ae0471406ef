/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/exchange/load.c - images of an archive or a layout into the store
 *
 *	directory --> layout_read ---------------------------+
 *	tar --> intake --> index.json?    --> layout_adopt   +--> names
 *	               --> manifest.json? --> docker_archive +
 *
 * Names are given when all images have been found to be whole.  Where there are
 * both, index.json counts: it keeps the manifests that there were.
 *
 * Callers: the public API.
 */
#include <string.h>
#include <sys/stat.h>

#include "image/exchange/exchange.h"

static int load_tar(struct exchange *x, int fd, struct index *out, struct coffer_error *err)
{
	CLEANUP(intake_free) struct intake in = { .x = x };
	int r = intake_run(&in, fd, err);

	if (r < 0)
		return r;
	if (in.index.len > 0)
		return layout_adopt(x, buf_data(&in.index), in.index.len, out, err);
	if (in.docker.len > 0)
		return docker_archive_read(x, &in, out, err);
	return err_invalid(err,
			   "it has neither an index.json nor a manifest.json: it is no archive "
			   "of images (import takes the files of a root)");
}

/* What is told of an image without a name. */
static int load_tell_id(struct exchange *x, const struct descriptor *d,
			void (*loaded)(void *data, const char *name), void *data,
			struct coffer_error *err)
{
	CLEANUP(manifest_free) struct manifest m = { 0 };
	int r;

	if (d->type && d->type->kind == MEDIA_INDEX) {
		loaded(data, d->digest.text);
		return 0;
	}
	r = image_load_manifest(x->images, d, &m, err);
	if (r == 0)
		loaded(data, m.config.digest.text);
	return r;
}

static int load_name(struct exchange *x, const struct descriptor *d,
		     void (*loaded)(void *data, const char *name), void *data,
		     struct coffer_error *err)
{
	char text[REFERENCE_TEXT_MAX];
	struct reference ref;
	int r = store_name_set(x->images->store, d->ref_name, d, err);

	if (r < 0 || !loaded)
		return r;
	if (!d->ref_name)
		return load_tell_id(x, d, loaded, data, err);
	r = reference_parse(d->ref_name, NULL, &ref, err);
	if (r < 0)
		return r;
	reference_familiar(&ref, text);
	loaded(data, text);
	return 0;
}

static int load_all(struct exchange *x, int fd, void (*loaded)(void *data, const char *name),
		    void *data, struct coffer_error *err)
{
	CLEANUP(index_free) struct index images = { 0 };
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "the archive");
	r = S_ISDIR(st.st_mode) ? layout_read(x, fd, &images, err) : load_tar(x, fd, &images, err);
	if (r == 0 && images.count == 0)
		r = err_invalid(err, "there is no image in it");
	for (size_t i = 0; r == 0 && i < images.count; i++)
		r = load_name(x, &images.list[i], loaded, data, err);
	return r;
}

int coffer_images_load(struct coffer_images *images, int fd, const struct coffer_transfer *how,
		       void (*loaded)(void *data, const char *name), void *data,
		       struct coffer_error *err)
{
	struct exchange x = { 0 };
	struct progress progress;
	int r = progress_open(&progress, how, err);

	if (r < 0)
		return r;
	r = exchange_open(&x, images, &progress, err);
	if (r == 0)
		r = load_all(&x, fd, loaded, data, err);
	exchange_close(&x);
	progress_close(&progress);
	return r < 0 && r != -ECANCELED ? err_wrap(err, "load") : r;
}
