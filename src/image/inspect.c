/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/inspect.c - what is known of images, as JSON
 *
 * Sizes are those of blobs as they are stored and transferred; docker, which
 * keeps files, gives those of files.
 */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "image/builtin.h"
#include "image/catalog.h"

#define INSPECT_NOBODY "<missing>" /* docker's id of what was built elsewhere */

/* ---- pieces ---- */

/* @text: NULL: "" */
static struct json_object *inspect_text(const char *text)
{
	return json_object_new_string(text ? text : "");
}

/* Put @value (taken over) at the end. */
static bool inspect_append(struct json_object *array, struct json_object *value)
{
	if (value && json_object_array_add(array, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

/* NULL, as docker, when there are none; so false can only be told by @ok. */
static struct json_object *inspect_words(char *const *list, bool *ok)
{
	struct json_object *array;

	if (!list)
		return NULL;
	array = json_object_new_array();
	*ok = *ok && array;
	for (; *ok && *list; list++)
		*ok = inspect_append(array, inspect_text(*list));
	return array;
}

/* "a", "b" to {"a": {}, "b": {}}; with @values "a=b" to {"a": "b"} */
static struct json_object *inspect_map(char *const *list, bool values, bool *ok)
{
	struct json_object *map;

	if (!list)
		return NULL;
	map = json_object_new_object();
	*ok = *ok && map;
	for (; *ok && *list; list++) {
		size_t n = values ? strcspn(*list, "=") : strlen(*list);
		autofree char *key = strndup(*list, n);

		*ok = key && json_add(map, key,
				      values ? inspect_text((*list)[n] ? *list + n + 1 : "")
					     : json_object_new_object());
	}
	return map;
}

static bool inspect_add_or_null(struct json_object *obj, const char *key, struct json_object *value,
				bool ok)
{
	if (ok && json_object_object_add(obj, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static bool inspect_add_words(struct json_object *obj, const char *key, char *const *list)
{
	bool ok = true;
	struct json_object *value = inspect_words(list, &ok);

	return inspect_add_or_null(obj, key, value, ok);
}

static bool inspect_add_map(struct json_object *obj, const char *key, char *const *list,
			    bool values)
{
	bool ok = true;
	struct json_object *value = inspect_map(list, values, &ok);

	return inspect_add_or_null(obj, key, value, ok);
}

static uint64_t inspect_size(const struct manifest *m)
{
	uint64_t size = m->config.size;

	for (size_t i = 0; i < m->nlayers; i++)
		size += m->layers[i].size;
	return size;
}

static int inspect_finish(struct json_object *doc, char **json, struct coffer_error *err)
{
	const char *text = doc ? json_object_to_json_string_ext(
				     doc, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
			       : NULL;

	*json = text ? strdup(text) : NULL;
	return *json ? 0 : err_nomem(err);
}

/* A name as people are shown it. @digest: and a digest behind it instead of the tag */
static struct json_object *inspect_name(const char *canonical, const struct digest *digest)
{
	char familiar[REFERENCE_TEXT_MAX];
	struct reference ref;

	if (reference_parse(canonical, NULL, &ref, NULL) < 0)
		return json_object_new_string(canonical);
	if (digest) {
		ref.tag[0] = '\0';
		ref.digest = *digest;
	}
	reference_familiar(&ref, familiar);
	return json_object_new_string(familiar);
}

/* ---- one image ---- */

/* The names of an image, and of what others have of it under a digest. */
struct inspect_names {
	const struct coffer_image *image;
	struct json_object *tags, *digests; /* owned */
};

static bool inspect_has(struct json_object *array, struct json_object *text)
{
	for (size_t i = 0; i < json_object_array_length(array); i++)
		if (json_object_equal(json_object_array_get_idx(array, i), text))
			return true;
	return false;
}

static bool inspect_append_once(struct json_object *array, struct json_object *text)
{
	if (!text || !inspect_has(array, text))
		return inspect_append(array, text);
	json_object_put(text);
	return true;
}

static int inspect_collect_name(void *data, const struct catalog_entry *e, struct coffer_error *err)
{
	struct inspect_names *n = data;
	struct reference ref;

	if (!digest_is_equal(&e->self->digest, &n->image->self.digest) || !e->top->ref_name)
		return 0;
	if (reference_parse(e->top->ref_name, NULL, &ref, NULL) == 0 && ref.tag[0] &&
	    !inspect_append_once(n->tags, inspect_name(e->top->ref_name, NULL)))
		return err_nomem(err);
	if (!inspect_append_once(n->digests, inspect_name(e->top->ref_name, &e->top->digest)))
		return err_nomem(err);
	return 0;
}

static int inspect_add_names(struct json_object *doc, const struct coffer_image *image,
			     struct coffer_error *err)
{
	struct inspect_names n = { .image = image,
				   .tags = json_object_new_array(),
				   .digests = json_object_new_array() };
	bool ok = n.tags && n.digests;
	int r = 0;

	if (ok && image->builtin)
		ok = inspect_append(n.tags, json_object_new_string(COFFER_IMAGE_BUILTIN ":latest"));
	else if (ok)
		r = catalog_walk(image->images, inspect_collect_name, &n, err);
	ok = json_add(doc, "RepoTags", n.tags) && ok;
	ok = json_add(doc, "RepoDigests", n.digests) && ok;
	return r < 0 ? r : ok ? 0 : err_nomem(err);
}

static struct json_object *inspect_config(const struct image_config *c)
{
	autojson struct json_object *obj = json_object_new_object();
	bool ok = obj && json_add(obj, "User", inspect_text(c->user)) &&
		  inspect_add_map(obj, "ExposedPorts", c->ports, false) &&
		  inspect_add_words(obj, "Env", c->env) && inspect_add_words(obj, "Cmd", c->cmd) &&
		  inspect_add_map(obj, "Volumes", c->volumes, false) &&
		  json_add(obj, "WorkingDir", inspect_text(c->workdir)) &&
		  inspect_add_words(obj, "Entrypoint", c->entrypoint) &&
		  inspect_add_map(obj, "Labels", c->labels, true);

	if (ok && c->stop_signal)
		ok = json_add(obj, "StopSignal", inspect_text(c->stop_signal));
	return ok ? steal_ptr(obj) : NULL;
}

static struct json_object *inspect_layers(const struct image_config *c)
{
	autojson struct json_object *obj = json_object_new_object();
	struct json_object *layers = json_object_new_array();
	bool ok = obj && layers && json_add(obj, "Type", inspect_text("layers"));

	for (size_t i = 0; ok && i < c->ndiff_ids; i++)
		ok = inspect_append(layers, inspect_text(c->diff_ids[i].text));
	ok = json_add(obj, "Layers", layers) && ok;
	return ok ? steal_ptr(obj) : NULL;
}

/* Where its root is, if it has been built; null otherwise. */
static int inspect_add_rootfs(struct json_object *doc, const struct coffer_image *image,
			      struct coffer_error *err)
{
	const struct image_config *c = &image->config;
	autofree char *path = NULL;
	struct digest chain;
	int r = -ENOENT;

	if (!image->builtin) {
		r = chain_id(c->diff_ids, c->ndiff_ids, &chain, err);
		if (r == 0)
			r = store_root_open(image->images->store, &chain, &path, err);
	}
	if (r < 0 && r != -ENOENT)
		return r;
	if (!inspect_add_or_null(doc, "Rootfs", r == 0 ? json_object_new_string(path) : NULL, true))
		return err_nomem(err);
	return 0;
}

static bool inspect_add_head(struct json_object *doc, const struct coffer_image *image)
{
	const struct image_config *c = &image->config;

	return json_add(doc, "Id", inspect_text(coffer_image_id(image))) &&
	       json_add(doc, "Digest", inspect_text(coffer_image_digest(image))) &&
	       json_add(doc, "Created", inspect_text(c->created)) &&
	       json_add(doc, "Author", inspect_text(c->author)) &&
	       json_add(doc, "Config", inspect_config(c)) &&
	       json_add(doc, "Architecture", inspect_text(c->platform.arch)) &&
	       json_add(doc, "Variant", inspect_text(c->platform.variant)) &&
	       json_add(doc, "Os", inspect_text(c->platform.os)) &&
	       json_add(doc, "Size",
			json_object_new_uint64(image->builtin ? builtin_size()
							      : inspect_size(&image->manifest))) &&
	       json_add(doc, "RootFS", inspect_layers(c));
}

int coffer_image_inspect(struct coffer_image *image, char **json, struct coffer_error *err)
{
	autojson struct json_object *doc = json_object_new_object();
	int r = doc && inspect_add_head(doc, image) ? 0 : err_nomem(err);

	if (r == 0)
		r = inspect_add_names(doc, image, err);
	if (r == 0)
		r = inspect_add_rootfs(doc, image, err);
	if (r == 0)
		r = inspect_finish(doc, json, err);
	return r < 0 ? err_wrap(err, "image %s", image->what) : 0;
}

/* ---- history ---- */

static struct json_object *inspect_step(const char *id, const struct image_history *h,
					uint64_t size)
{
	autojson struct json_object *obj = json_object_new_object();

	return obj && json_add(obj, "id", inspect_text(id)) &&
		       json_add(obj, "created", inspect_text(h->created)) &&
		       json_add(obj, "created_by", inspect_text(h->created_by)) &&
		       json_add(obj, "size", json_object_new_uint64(size)) &&
		       json_add(obj, "comment", inspect_text(h->comment))
		   ? steal_ptr(obj)
		   : NULL;
}

/* Newest first; layers that the history does not speak of come last, as steps of their own. */
static bool inspect_fill_history(struct json_object *array, const struct coffer_image *image)
{
	static const struct image_history nothing;
	const struct manifest *m = &image->manifest;
	const struct image_config *c = &image->config;
	size_t layers = 0, left = m->nlayers;
	const char *id = coffer_image_id(image);
	bool ok = true;

	for (size_t i = 0; i < c->nhistory; i++)
		layers += !c->history[i].empty_layer;
	for (size_t i = c->nhistory; ok && i-- > 0;) {
		const struct image_history *h = &c->history[i];
		/* More steps than layers: which is whose cannot be told. */
		bool has = !h->empty_layer && layers <= m->nlayers && left > 0;
		uint64_t size = has ? m->layers[--left].size : 0;

		ok = inspect_append(array, inspect_step(id, h, size));
		id = INSPECT_NOBODY;
	}
	while (ok && left > 0 && layers <= m->nlayers) {
		ok = inspect_append(array, inspect_step(id, &nothing, m->layers[--left].size));
		id = INSPECT_NOBODY;
	}
	return ok;
}

int coffer_image_history(struct coffer_image *image, char **json, struct coffer_error *err)
{
	autojson struct json_object *array = json_object_new_array();

	if (!array || !inspect_fill_history(array, image))
		return err_nomem(err);
	return inspect_finish(array, json, err);
}
