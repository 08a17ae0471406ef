/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/file.c - a document as people read and edit it
 *
 * What strict decoders demand of one that is handed over to them (emit.c), no
 * reader of a config.json does.
 */
#include <string.h>

#include "base/json.h"
#include "spec/spec.h"

static bool file_is_empty(struct json_object *obj)
{
	return json_object_is_type(obj, json_type_null) ||
	       (json_object_is_type(obj, json_type_string) &&
		json_object_get_string_len(obj) == 0) ||
	       (json_object_is_type(obj, json_type_array) && json_object_array_length(obj) == 0);
}

/* Members that say nothing are in the way of who edits; some decoders want them, files do not. */
static void file_prune(struct json_object *obj)
{
	if (json_object_is_type(obj, json_type_array))
		for (size_t i = 0; i < json_object_array_length(obj); i++)
			file_prune(json_object_array_get_idx(obj, i));
	if (!json_object_is_type(obj, json_type_object))
		return;
	/* The iteration knows its next entry before this one is deleted. */
	json_object_object_foreach(obj, key, value)
	{
		if (file_is_empty(value))
			json_object_object_del(obj, key);
		else
			file_prune(value);
	}
}

char *oci_spec_to_file(const struct oci_spec *spec, struct coffer_error *err)
{
	autofree char *line = oci_spec_to_json(spec, err);
	autojson struct json_object *obj = NULL;
	const char *text = NULL;
	char *copy;

	if (!line)
		return NULL;
	obj = json_tokener_parse(line);
	if (obj) {
		file_prune(obj);
		text = json_object_to_json_string_ext(
		    obj, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_PRETTY_TAB |
			     JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
	}
	copy = text ? strdup(text) : NULL;
	if (!copy)
		err_nomem(err);
	return copy;
}
