/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/config_emit.c - an image's configuration as text
 *
 * Onto a copy of what was read, if it was: what is not known here goes through
 * unchanged, and what is known stands where it stood.  Equal configurations
 * give equal texts.  Callers: the rest of image/.
 */
#include <string.h>

#include "base/json_text.h"
#include "image/document.h"
#include "image/json_node.h"
#include "image/platform.h"

/* emit_set() - @value for @key, or nothing; false: no memory. @value is taken over */
static bool emit_set(struct json_object *obj, const char *key, bool there,
		     struct json_object *value)
{
	if (there)
		return json_add(obj, key, value);
	json_object_object_del(obj, key);
	return true;
}

static bool emit_text(struct json_object *obj, const char *key, const char *text)
{
	return emit_set(obj, key, text, text ? json_object_new_string(text) : NULL);
}

/* emit_child() - The object at @key, made if it is not there */
static struct json_object *emit_child(struct json_object *obj, const char *key)
{
	struct json_object *child = json_object_object_get(obj, key);

	if (child)
		return child;
	child = json_object_new_object();
	return json_add(obj, key, child) ? child : NULL;
}

static struct json_object *emit_strings(char **list)
{
	autojson struct json_object *array = json_object_new_array();

	for (; array && list && *list; list++) {
		struct json_object *text = json_object_new_string(*list);

		if (!text || json_object_array_add(array, text) < 0) {
			json_object_put(text);
			return NULL;
		}
	}
	return array ? steal_ptr(array) : NULL;
}

/* emit_set_of() - {"80/tcp": {}} */
static struct json_object *emit_set_of(char **list)
{
	autojson struct json_object *set = json_object_new_object();

	for (; set && list && *list; list++)
		if (!json_add(set, *list, json_object_new_object()))
			return NULL;
	return set ? steal_ptr(set) : NULL;
}

/* emit_map_of() - {"key": "value"} of "key=value" */
static struct json_object *emit_map_of(char **list)
{
	autojson struct json_object *map = json_object_new_object();

	for (; map && list && *list; list++) {
		size_t n = strcspn(*list, "=");
		autofree char *key = strndup(*list, n);
		const char *value = *list + n + ((*list)[n] == '=');

		if (!key || !json_add(map, key, json_object_new_string(value)))
			return NULL;
	}
	return map ? steal_ptr(map) : NULL;
}

static bool emit_run(struct json_object *run, const struct image_config *c)
{
	const struct {
		const char *name;
		char **list;
		struct json_object *(*emit)(char **list);
	} lists[] = {
		{ "ExposedPorts", c->ports, emit_set_of },     { "Env", c->env, emit_strings },
		{ "Entrypoint", c->entrypoint, emit_strings }, { "Cmd", c->cmd, emit_strings },
		{ "Volumes", c->volumes, emit_set_of },	       { "Labels", c->labels, emit_map_of },
	};

	if (!run || !emit_text(run, "User", c->user))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (!emit_set(run, lists[i].name, lists[i].list,
			      lists[i].list ? lists[i].emit(lists[i].list) : NULL))
			return false;
	return emit_text(run, "WorkingDir", c->workdir) &&
	       emit_text(run, "StopSignal", c->stop_signal);
}

static bool emit_layers(struct json_object *rootfs, const struct image_config *c)
{
	struct json_object *ids = json_object_new_array();

	if (!rootfs || !emit_text(rootfs, "type", "layers") || !json_add(rootfs, "diff_ids", ids))
		return false;
	for (size_t i = 0; i < c->ndiff_ids; i++) {
		struct json_object *id = json_object_new_string(c->diff_ids[i].text);

		if (!id || json_object_array_add(ids, id) < 0) {
			json_object_put(id);
			return false;
		}
	}
	return true;
}

static struct json_object *emit_step(const struct image_history *h)
{
	autojson struct json_object *step = json_object_new_object();

	if (!step || !emit_text(step, "created", h->created) ||
	    !emit_text(step, "created_by", h->created_by) ||
	    !emit_text(step, "author", h->author) || !emit_text(step, "comment", h->comment))
		return NULL;
	if (h->empty_layer && !json_add(step, "empty_layer", json_object_new_boolean(true)))
		return NULL;
	return steal_ptr(step);
}

static struct json_object *emit_history(const struct image_config *c)
{
	autojson struct json_object *list = json_object_new_array();

	for (size_t i = 0; list && i < c->nhistory; i++) {
		struct json_object *step = emit_step(&c->history[i]);

		if (!step || json_object_array_add(list, step) < 0) {
			json_object_put(step);
			return NULL;
		}
	}
	return list ? steal_ptr(list) : NULL;
}

/* emit_platform() - The same one written in another way ("arm64" with "v8") stays as it is */
static bool emit_platform(struct json_object *json, const struct image_config *c)
{
	struct json_node root = json_node_root("", json);
	struct platform said;

	if (platform_read(&root, true, &said, NULL) == 0 && strcmp(said.os, c->platform.os) == 0 &&
	    strcmp(said.arch, c->platform.arch) == 0 &&
	    strcmp(said.variant, c->platform.variant) == 0)
		return true;
	return emit_text(json, "architecture", c->platform.arch) &&
	       emit_text(json, "os", c->platform.os) &&
	       emit_text(json, "variant", c->platform.variant[0] ? c->platform.variant : NULL);
}

int image_config_emit(const struct image_config *c, struct buf *out, struct coffer_error *err)
{
	autojson struct json_object *json = NULL;
	size_t before = out->len;
	int r;

	if (!c->said)
		json = json_object_new_object();
	else if (json_object_deep_copy(c->said, &json, NULL) < 0)
		return err_nomem(err);
	if (!json || !emit_text(json, "created", c->created) ||
	    !emit_text(json, "author", c->author) || !emit_platform(json, c) ||
	    !emit_run(emit_child(json, "config"), c) ||
	    !emit_layers(emit_child(json, "rootfs"), c) ||
	    !emit_set(json, "history", c->history, c->history ? emit_history(c) : NULL))
		return err_nomem(err);
	r = json_node_emit(json, out, err);
	/* Texts that do not come from a document may be anything, and nobody could read that. */
	if (r == 0)
		r = json_text_check("image configuration", (const char *)buf_data(out) + before,
				    out->len - before, err);
	return r;
}
