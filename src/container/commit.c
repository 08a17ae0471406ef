/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/commit.c - what a container has written, as an image
 *
 *	export.c --> layer/writer.h --> blob --> checked as if it were unpacked
 *	base's configuration + changes + that layer --> image_create()
 *
 * With a base it is one layer more: what the container has written over the
 * root it was made of.  Without one, or with the built-in image, which has no
 * layers, the whole root becomes the image's only layer.
 *
 * The layer comes out of a machine that may be hostile, so that it is read
 * once more before it has a name; what is refused then is nobody's, and goes
 * with the lease.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "container/export.h"
#include "image/images.h"
#include "image/layer/layer.h"
#include "image/layer/writer.h"

#define COMMIT_CREATED_BY_MAX 4096

struct commit {
	struct coffer_container *c; /* borrowed, as all that is the caller's */
	struct coffer_images *images;
	struct coffer_image *base; /* NULL: none */
	const char *const *changes;
	const char *message;
	bool pause;
	struct progress progress;
	struct store_lease *lease; /* owned, as what follows */
	struct layer_writer *writer;
	uint64_t taken; /* bytes of the archive */
	struct descriptor layer;
	struct digest diff_id;
	struct image_config config;
	struct manifest manifest;
	struct json_object *inspect; /* of the container */
};

static void commit_free(struct commit *m)
{
	layer_writer_free(m->writer);
	/* It is still ours when there is no image. */
	if (m->lease)
		store_lease_end(m->lease, NULL);
	descriptor_free(&m->layer);
	image_config_free(&m->config);
	manifest_free(&m->manifest);
	json_object_put(m->inspect);
}

/* ---- the layer ---- */

static int commit_take(void *data, const void *bytes, size_t n, struct coffer_error *err)
{
	struct commit *m = data;
	uint64_t most = m->images->settings.limits.bytes;

	/* The container's files are looked at when they are all here: too late for the disk. */
	if (n > most - m->taken)
		return err_invalid(err, "the layer has more than %llu bytes",
				   (unsigned long long)most);
	m->taken += n;
	return layer_writer_put(m->writer, bytes, n, err);
}

static int commit_write_layer(struct commit *m, struct coffer_error *err)
{
	bool docker = m->base && m->base->manifest.type && m->base->manifest.type->docker;
	struct export e = { .container = m->c,
			    .progress = &m->progress,
			    .layer = m->base && !m->base->builtin,
			    .pause = m->pause,
			    .take = commit_take,
			    .data = m };
	int r = layer_writer_new(m->images->store, m->progress.cancel_fd, &m->writer, err);

	if (r == 0)
		r = export_run(&e, err);
	if (r == 0)
		r = layer_writer_finish(m->writer, m->lease, docker, &m->layer, &m->diff_id, err);
	return r;
}

static int commit_check_layer(struct commit *m, struct coffer_error *err)
{
	const struct layer_watch watch = { .cancel_fd = m->progress.cancel_fd };
	struct layer_source layer = { .blob = m->layer.digest,
				      .compression = m->layer.type->compression,
				      .diff_id = m->diff_id };
	struct digest found;
	autoclose int fd = store_blob_open(m->images->store, &m->layer.digest, &layer.size, err);

	if (fd < 0)
		return fd == -ENOENT ? err_internal(err, "the layer has gone from the store") : fd;
	layer.fd = fd;
	return layer_diff_id(&layer, &m->images->settings.limits, &watch, &found, err);
}

/* ---- the configuration ---- */

static int commit_inspect(struct commit *m, struct coffer_error *err)
{
	autofree char *text = NULL;
	int r = coffer_container_inspect(m->c, &text, err);

	if (r < 0)
		return r;
	m->inspect = json_tokener_parse(text);
	return m->inspect ? 0 : err_nomem(err);
}

static const char *commit_said(const struct commit *m, const char *key)
{
	struct json_object *value = NULL;
	const char *text = NULL;

	if (json_object_object_get_ex(m->inspect, key, &value))
		text = json_object_get_string(value);
	return text && *text ? text : NULL;
}

/* A copy that can be changed. */
static int commit_copy_config(struct commit *m, struct coffer_error *err)
{
	autobuf struct buf text = BUF_INIT(DOCUMENT_CONFIG_MAX);
	int r;

	if (!m->base)
		return platform_parse(commit_said(m, "Platform"), &m->config.platform, err);
	r = image_config_emit(&m->base->config, &text, err);
	return r < 0 ? r : image_config_parse(buf_data(&text), text.len, &m->config, err);
}

static int commit_change(struct commit *m, struct coffer_error *err)
{
	int r = 0;

	for (const char *const *line = m->changes; r == 0 && line && *line; line++)
		r = image_config_change(&m->config, *line, err);
	return r;
}

static char *commit_now(void)
{
	time_t now = time(NULL);
	char text[sizeof("2000-01-01T00:00:00Z")];
	struct tm tm;

	gmtime_r(&now, &tm);
	return strftime(text, sizeof(text), "%FT%TZ", &tm) ? strdup(text) : NULL;
}

/* The words of the container's program. */
static char *commit_created_by(const struct commit *m)
{
	autobuf struct buf b = BUF_INIT(COMMIT_CREATED_BY_MAX);
	const char *path = commit_said(m, "Path");
	struct json_object *args = NULL;

	if (buf_printf(&b, "%s", path ? path : "") < 0)
		return strdup("");
	json_object_object_get_ex(m->inspect, "Args", &args);
	for (size_t i = 0;
	     json_object_is_type(args, json_type_array) && i < json_object_array_length(args); i++)
		if (buf_printf(&b, " %s",
			       json_object_get_string(json_object_array_get_idx(args, i))) < 0)
			break;
	return buf_steal_str(&b);
}

/* Images may say nothing of their layers' history; then nobody knows it. */
static size_t commit_history_missing(const struct image_config *c)
{
	size_t layers = 0;

	for (size_t i = 0; i < c->nhistory; i++)
		layers += !c->history[i].empty_layer;
	return layers < c->ndiff_ids ? c->ndiff_ids - layers : 0;
}

static int commit_add_history(struct commit *m, struct coffer_error *err)
{
	struct image_config *c = &m->config;
	size_t missing = commit_history_missing(c);
	struct image_history *h = reallocarray(c->history, c->nhistory + missing + 1, sizeof(*h));

	if (!h)
		return err_nomem(err);
	c->history = h;
	memset(h + c->nhistory, 0, (missing + 1) * sizeof(*h));
	c->nhistory += missing + 1;
	h = &c->history[c->nhistory - 1];
	h->created = commit_now();
	h->created_by = commit_created_by(m);
	h->comment = m->message ? strdup(m->message) : NULL;
	return h->created && h->created_by && (h->comment || !m->message) ? 0 : err_nomem(err);
}

static int commit_add_diff_id(struct commit *m, struct coffer_error *err)
{
	struct image_config *c = &m->config;
	struct digest *ids = reallocarray(c->diff_ids, c->ndiff_ids + 1, sizeof(*ids));

	if (!ids)
		return err_nomem(err);
	ids[c->ndiff_ids++] = m->diff_id;
	c->diff_ids = ids;
	free(c->created);
	c->created = commit_now();
	return c->created ? 0 : err_nomem(err);
}

static int commit_make_config(struct commit *m, struct coffer_error *err)
{
	int r = commit_inspect(m, err);

	if (r == 0)
		r = commit_copy_config(m, err);
	return r < 0 ? r : commit_change(m, err);
}

/* ---- the image ---- */

static int commit_make_manifest(struct commit *m, struct coffer_error *err)
{
	const struct manifest *base = m->base ? &m->base->manifest : NULL;
	size_t n = base ? base->nlayers : 0;
	int r = 0;

	if (n >= DOCUMENT_LAYERS_MAX)
		return err_invalid(err, "more than %d layers", DOCUMENT_LAYERS_MAX);
	m->manifest.type = base ? base->type : NULL;
	m->manifest.layers = calloc(n + 1, sizeof(*m->manifest.layers));
	if (!m->manifest.layers)
		return err_nomem(err);
	for (; r == 0 && m->manifest.nlayers < n; m->manifest.nlayers++) {
		const struct descriptor *d = &base->layers[m->manifest.nlayers];

		r = store_lease_add(m->lease, &d->digest, err);
		if (r == 0 && descriptor_copy(&m->manifest.layers[m->manifest.nlayers], d) < 0)
			r = err_nomem(err);
	}
	if (r == 0) {
		m->manifest.layers[m->manifest.nlayers++] = m->layer;
		m->layer = (struct descriptor){ 0 };
	}
	return r;
}

static int commit_run(struct commit *m, const char *name, struct coffer_image **out,
		      struct coffer_error *err)
{
	struct reference ref;
	/* What may be refused at once comes before what takes long. */
	int r = name ? images_reference_new(m->images, name, &ref, err) : 0;

	if (r == 0)
		r = commit_make_config(m, err);
	if (r == 0)
		r = store_lease_open(m->images->store, &m->lease, err);
	if (r == 0)
		r = commit_write_layer(m, err);
	if (r == 0)
		r = commit_check_layer(m, err);
	if (r == 0)
		r = commit_make_manifest(m, err);
	if (r == 0)
		r = commit_add_history(m, err);
	if (r == 0)
		r = commit_add_diff_id(m, err);
	if (r < 0)
		return r;
	return image_create(m->images, &m->config, &m->manifest, name, steal_ptr(m->lease), out,
			    err);
}

int coffer_container_commit(struct coffer_container *c, struct coffer_images *images,
			    struct coffer_image *base, const char *name, const char *const *changes,
			    const char *message, bool pause, const struct coffer_transfer *how,
			    struct coffer_image **out, struct coffer_error *err)
{
	CLEANUP(commit_free)
	struct commit m = { .c = c,
			    .images = images,
			    .base = base,
			    .changes = changes,
			    .message = message,
			    .pause = pause };
	struct coffer_error own = COFFER_ERROR_INIT;
	int r = progress_open(&m.progress, how, &own);

	if (r == 0) {
		r = commit_run(&m, name, out, &own);
		progress_close(&m.progress);
	}
	if (r == 0)
		return 0;
	r = err_wrap(&own, "commit container %s", c->id);
	if (err)
		*err = own;
	return r;
}
