/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/exchange/import.c - the tar of a root file system as an image of one layer
 *
 * The tar becomes the layer as it is, packed or not; it is gone through once to
 * learn its diff id and that it can be unpacked.
 *
 * Callers: the public API.
 */
#include <string.h>
#include <time.h>

#include "image/exchange/exchange.h"
#include "image/layer/layer.h"

static char *import_now(void)
{
	char text[32];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return strdup(text);
}

/* import_layer() - Put the input into the store, and find out what it is */
static int import_layer(struct exchange *x, int fd, struct descriptor *out, struct digest *diff_id,
			struct coffer_error *err)
{
	struct layer_watch watch = { .cancel_fd = x->progress->cancel_fd };
	struct layer_source layer = { 0 };
	autoclose int blob = -1;
	int r = stream_put(x, fd, &out->digest, &out->size, err);

	if (r < 0)
		return r;
	blob = store_blob_open(x->images->store, &out->digest, NULL, err);
	if (blob < 0)
		return blob == -ENOENT ? err_internal(err, "the layer is gone") : steal_fd(&blob);
	r = exchange_layer_type(blob, out, err);
	if (r < 0)
		return r;
	layer.fd = blob;
	layer.size = out->size;
	layer.blob = out->digest;
	layer.compression = out->type->compression;
	return layer_diff_id(&layer, &x->images->settings.limits, &watch, diff_id, err);
}

/* import_config() - What is known before the input has been read */
static int import_config(struct image_config *c, const char *platform, const char *const *changes,
			 const char *message, struct coffer_error *err)
{
	int r = platform_parse(platform, &c->platform, err);

	for (size_t i = 0; r == 0 && changes && changes[i]; i++)
		r = image_config_change(c, changes[i], err);
	if (r < 0)
		return r;
	c->created = import_now();
	c->diff_ids = calloc(1, sizeof(*c->diff_ids));
	c->history = calloc(1, sizeof(*c->history));
	if (!c->created || !c->diff_ids || !c->history)
		return err_nomem(err);
	c->ndiff_ids = 1;
	c->nhistory = 1;
	c->history->created = strdup(c->created);
	c->history->comment = strdup(message ? message : "imported");
	return c->history->created && c->history->comment ? 0 : err_nomem(err);
}

static int import_all(struct exchange *x, int fd, const char *name, struct image_config *config,
		      struct coffer_image **out, struct coffer_error *err)
{
	CLEANUP(manifest_free) struct manifest m = { 0 };
	int r;

	m.layers = calloc(1, sizeof(*m.layers));
	if (!m.layers)
		return err_nomem(err);
	m.nlayers = 1;
	r = import_layer(x, fd, &m.layers[0], &config->diff_ids[0], err);
	if (r < 0)
		return r;
	return image_create(x->images, config, &m, name, steal_ptr(x->lease), out, err);
}

int coffer_images_import(struct coffer_images *images, int fd, const char *name,
			 const char *const *changes, const char *message,
			 const struct coffer_transfer *how, struct coffer_image **out,
			 struct coffer_error *err)
{
	CLEANUP(image_config_free) struct image_config config = { 0 };
	struct exchange x = { 0 };
	struct progress progress;
	struct reference ref;
	int r = progress_open(&progress, how, err);

	if (r < 0)
		return r;
	/* What can be wrong with the question is found before much has been read. */
	if (name)
		r = images_reference_new(images, name, &ref, err);
	if (r == 0)
		r = import_config(&config, progress.how.platform, changes, message, err);
	if (r == 0)
		r = exchange_open(&x, images, &progress, err);
	if (r == 0)
		r = import_all(&x, fd, name, &config, out, err);
	exchange_close(&x);
	progress_close(&progress);
	return r < 0 && r != -ECANCELED ? err_wrap(err, "import") : r;
}
