/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/list.c - all images of a store, as JSON
 *
 * One row for each manifest of each thing that has a name: an index of which
 * two platforms are here is two rows.  Names of the same thing share their rows.
 */
#include <string.h>

#include "base/json.h"
#include "image/builtin.h"
#include "image/catalog.h"

struct list {
	struct coffer_images *images;
	struct json_object *rows; /* owned */
};

/* The row of this image, or NULL. */
static struct json_object *list_find(const struct list *list, const struct catalog_entry *e)
{
	for (size_t i = 0; i < json_object_array_length(list->rows); i++) {
		struct json_object *row = json_object_array_get_idx(list->rows, i);
		const char *top = json_object_get_string(json_object_object_get(row, "digest"));
		const char *self = json_object_get_string(json_object_object_get(row, "manifest"));

		if (strcmp(top, e->top->digest.text) == 0 &&
		    strcmp(self, e->self->digest.text) == 0)
			return row;
	}
	return NULL;
}

static bool list_add_name(struct json_object *row, const char *canonical)
{
	struct json_object *names = json_object_object_get(row, "names"), *name;
	char familiar[REFERENCE_TEXT_MAX];
	struct reference ref;

	if (!canonical)
		return true;
	if (reference_parse(canonical, NULL, &ref, NULL) < 0)
		snprintf(familiar, sizeof(familiar), "%s", canonical);
	else
		reference_familiar(&ref, familiar);
	name = json_object_new_string(familiar);
	if (name && json_object_array_add(names, name) == 0)
		return true;
	json_object_put(name);
	return false;
}

struct list_row {
	const char *id, *digest, *manifest, *created, *platform;
	uint64_t size;
	bool builtin;
};

static struct json_object *list_append(struct list *list, const struct list_row *r)
{
	autojson struct json_object *row = json_object_new_object();
	bool ok = row && json_add(row, "names", json_object_new_array()) &&
		  json_add(row, "id", json_object_new_string(r->id)) &&
		  json_add(row, "digest", json_object_new_string(r->digest)) &&
		  json_add(row, "manifest", json_object_new_string(r->manifest)) &&
		  json_add(row, "created", json_object_new_string(r->created ? r->created : "")) &&
		  json_add(row, "size", json_object_new_uint64(r->size)) &&
		  json_add(row, "platform", json_object_new_string(r->platform)) &&
		  json_add(row, "builtin", json_object_new_boolean(r->builtin));

	if (!ok || json_object_array_add(list->rows, row) < 0)
		return NULL;
	return steal_ptr(row);
}

static int list_visit(void *data, const struct catalog_entry *e, struct coffer_error *err)
{
	struct list *list = data;
	CLEANUP(image_config_free) struct image_config config = { 0 };
	char platform[IMAGE_PLATFORM_MAX];
	struct json_object *row = list_find(list, e);
	struct list_row r = {
		.id = e->manifest->config.digest.text,
		.digest = e->top->digest.text,
		.manifest = e->self->digest.text,
		.platform = platform,
		.size = e->manifest->config.size,
	};

	if (row)
		return list_add_name(row, e->top->ref_name) ? 0 : err_nomem(err);
	/* What is broken is for coffer_images_check() to tell. */
	if (image_load_config(list->images, e->manifest, &config, NULL) < 0)
		return 0;
	platform_format(&config.platform, platform);
	r.created = config.created;
	for (size_t i = 0; i < e->manifest->nlayers; i++)
		r.size += e->manifest->layers[i].size;
	row = list_append(list, &r);
	return row && list_add_name(row, e->top->ref_name) ? 0 : err_nomem(err);
}

/* Times are RFC 3339 and compare as text, but for zones, which nobody writes there. */
static int list_compare(const void *a, const void *b)
{
	struct json_object *const *x = a, *const *y = b;

	return strcmp(json_object_get_string(json_object_object_get(*y, "created")),
		      json_object_get_string(json_object_object_get(*x, "created")));
}

/* Unless the store has one by that name. */
static int list_add_builtin(struct list *list, struct coffer_error *err)
{
	CLEANUP(coffer_image_freep) struct coffer_image *image = NULL;
	struct json_object *row;
	struct list_row r = { .builtin = true };
	int found = coffer_image_find(list->images, COFFER_IMAGE_BUILTIN, NULL, &image, NULL);

	if (found < 0 || !image->builtin)
		return 0;
	r.id = r.digest = r.manifest = builtin_id;
	r.platform = image->platform;
	r.size = builtin_size();
	row = list_append(list, &r);
	return row && list_add_name(row, COFFER_IMAGE_BUILTIN) ? 0 : err_nomem(err);
}

int coffer_images_list(struct coffer_images *images, char **json, struct coffer_error *err)
{
	autojson struct json_object *rows = json_object_new_array();
	struct list list = { .images = images, .rows = rows };
	int r = rows ? catalog_walk(images, list_visit, &list, err) : err_nomem(err);

	if (r == 0)
		json_object_array_sort(rows, list_compare);
	if (r == 0)
		r = list_add_builtin(&list, err);
	if (r < 0)
		return r;
	*json = strdup(json_object_to_json_string_ext(rows, JSON_C_TO_STRING_PLAIN |
								JSON_C_TO_STRING_NOSLASHESCAPE));
	return *json ? 0 : err_nomem(err);
}
