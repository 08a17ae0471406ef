/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/config.c - an image's configuration: how to run it, and what it is made of
 *
 * Reading.  What is not known here (health checks, ONBUILD, a builder's own) is
 * not looked at, but kept for config_emit.c.  Callers: the rest of image/.
 */
#include <string.h>

#include "image/document.h"
#include "image/json_node.h"
#include "image/platform.h"

static void config_history_free(struct image_history *h)
{
	free(h->created);
	free(h->created_by);
	free(h->comment);
	free(h->author);
}

void image_config_free(struct image_config *c)
{
	char **const lists[] = { c->entrypoint, c->cmd, c->env, c->volumes, c->ports, c->labels };
	char *const texts[] = { c->created, c->author, c->user, c->workdir, c->stop_signal };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_node_strings_free(lists[i]);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	for (size_t i = 0; i < c->nhistory; i++)
		config_history_free(&c->history[i]);
	free(c->history);
	free(c->diff_ids);
	json_object_put(c->said);
	*c = (struct image_config){ 0 };
}

/* config_pair() - "key" of a set, "key=value" of a map */
static char *config_pair(const char *key, const char *value)
{
	char *text;

	if (!value)
		return strdup(key);
	return asprintf(&text, "%s=%s", key, value) < 0 ? NULL : text;
}

/* config_read_keys() - A set ({"80/tcp": {}}) or, with @pairs, a map of strings, as a list */
static int config_read_keys(const struct json_node *node, bool pairs, char ***out,
			    struct coffer_error *err)
{
	CLEANUP(json_node_strings_freep) char **list = NULL;
	int r = json_node_object(node, err);
	size_t n = 0;

	if (r < 0 || !node->json || json_object_object_length(node->json) == 0)
		return r;
	list = calloc((size_t)json_object_object_length(node->json) + 1, sizeof(*list));
	if (!list)
		return err_nomem(err);
	json_object_object_foreach(node->json, key, value)
	{
		struct json_node here = { .up = node, .name = key, .json = value };
		const char *text = NULL;

		if (pairs)
			r = json_node_text(&here, false, &text, err);
		if (r < 0)
			return r;
		list[n] = config_pair(key, pairs && !text ? "" : text);
		if (!list[n++])
			return err_nomem(err);
	}
	*out = steal_ptr(list);
	return 0;
}

static int config_read_run(const struct json_node *node, struct image_config *c,
			   struct coffer_error *err)
{
	const struct {
		const char *name;
		char **text;
		char ***strings, ***set, ***map;
	} rows[] = {
		{ .name = "Entrypoint", .strings = &c->entrypoint },
		{ .name = "Cmd", .strings = &c->cmd },
		{ .name = "Env", .strings = &c->env },
		{ .name = "Volumes", .set = &c->volumes },
		{ .name = "ExposedPorts", .set = &c->ports },
		{ .name = "Labels", .map = &c->labels },
		{ .name = "User", .text = &c->user },
		{ .name = "WorkingDir", .text = &c->workdir },
		{ .name = "StopSignal", .text = &c->stop_signal },
	};
	int r = json_node_object(node, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rows); i++) {
		struct json_node here = json_node_member(node, rows[i].name);

		if (rows[i].text)
			r = json_node_copy(&here, rows[i].text, err);
		else if (rows[i].strings)
			r = json_node_strings(&here, rows[i].strings, err);
		else
			r = config_read_keys(&here, rows[i].map,
					     rows[i].map ? rows[i].map : rows[i].set, err);
	}
	return r;
}

static int config_read_layers(const struct json_node *node, struct image_config *c,
			      struct coffer_error *err)
{
	struct json_node type = json_node_member(node, "type");
	struct json_node ids = json_node_member(node, "diff_ids");
	const char *text;
	size_t n = 0;
	int r = json_node_expect(node, json_type_object, err);

	if (r == 0)
		r = json_node_text(&type, true, &text, err);
	if (r == 0 && strcmp(text, "layers") != 0)
		return json_node_unsupported(&type, err, "\"%.40s\"; only \"layers\" is known",
					     text);
	if (r == 0)
		r = json_node_list(&ids, DOCUMENT_LAYERS_MAX, &n, err);
	if (r < 0 || n == 0)
		return r;
	c->diff_ids = calloc(n, sizeof(*c->diff_ids));
	if (!c->diff_ids)
		return err_nomem(err);
	for (; r == 0 && c->ndiff_ids < n; c->ndiff_ids++) {
		struct json_node here = json_node_element(&ids, c->ndiff_ids);

		r = json_node_digest(&here, &c->diff_ids[c->ndiff_ids], err);
	}
	return r;
}

static int config_read_step(const struct json_node *node, struct image_history *h,
			    struct coffer_error *err)
{
	const struct {
		const char *name;
		char **dst;
	} rows[] = {
		{ "created", &h->created },
		{ "created_by", &h->created_by },
		{ "comment", &h->comment },
		{ "author", &h->author },
	};
	struct json_node empty = json_node_member(node, "empty_layer");
	int r = json_node_bool(&empty, &h->empty_layer, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rows); i++) {
		struct json_node here = json_node_member(node, rows[i].name);

		r = json_node_copy(&here, rows[i].dst, err);
	}
	return r;
}

static int config_read_history(const struct json_node *node, struct image_config *c,
			       struct coffer_error *err)
{
	size_t n;
	int r = json_node_list(node, JSON_NODE_LIST, &n, err);

	if (r < 0 || n == 0)
		return r;
	c->history = calloc(n, sizeof(*c->history));
	if (!c->history)
		return err_nomem(err);
	for (; r == 0 && c->nhistory < n; c->nhistory++) {
		struct json_node here = json_node_element(node, c->nhistory);

		r = json_node_expect(&here, json_type_object, err);
		if (r == 0)
			r = config_read_step(&here, &c->history[c->nhistory], err);
	}
	return r;
}

static int config_read(const struct json_node *root, struct image_config *c,
		       struct coffer_error *err)
{
	struct json_node created = json_node_member(root, "created");
	struct json_node author = json_node_member(root, "author");
	struct json_node run = json_node_member(root, "config");
	struct json_node rootfs = json_node_member(root, "rootfs");
	struct json_node history = json_node_member(root, "history");
	int r = platform_read(root, true, &c->platform, err);

	if (r == 0)
		r = json_node_copy(&created, &c->created, err);
	if (r == 0)
		r = json_node_copy(&author, &c->author, err);
	if (r == 0)
		r = config_read_run(&run, c, err);
	if (r == 0)
		r = config_read_layers(&rootfs, c, err);
	if (r == 0)
		r = config_read_history(&history, c, err);
	return r;
}

int image_config_parse(const void *text, size_t len, struct image_config *out,
		       struct coffer_error *err)
{
	struct json_object *tree;
	struct json_node root;
	int r;

	*out = (struct image_config){ 0 };
	r = json_node_read("image configuration", text, len, DOCUMENT_CONFIG_MAX, &tree, err);
	if (r < 0)
		return r;
	out->said = tree;
	root = json_node_root("image configuration", tree);
	r = config_read(&root, out, err);
	if (r < 0)
		image_config_free(out);
	return r;
}

/* The views of lists that nobody writes through. */
static const char *const *config_list(char **list)
{
	return (const char *const *)list;
}

void image_config_view(const struct image_config *c, struct coffer_image_config *out)
{
	const struct coffer_image_config view = {
		.size = out->size,
		.entrypoint = config_list(c->entrypoint),
		.cmd = config_list(c->cmd),
		.env = config_list(c->env),
		.volumes = config_list(c->volumes),
		.ports = config_list(c->ports),
		.labels = config_list(c->labels),
		.user = c->user,
		.workdir = c->workdir,
		.stop_signal = c->stop_signal,
	};

	/* One built against an older header has a shorter one. */
	memcpy(out, &view, out->size < sizeof(view) ? out->size : sizeof(view));
}

int chain_id(const struct digest *diff_ids, size_t count, struct digest *out,
	     struct coffer_error *err)
{
	char text[2 * DIGEST_TEXT_MAX];
	int r = count > 0 ? 0 : digest_of("", 0, out, err);

	for (size_t i = 0; r == 0 && i < count; i++) {
		if (i == 0) {
			*out = diff_ids[0];
			continue;
		}
		snprintf(text, sizeof(text), "%s %s", out->text, diff_ids[i].text);
		r = digest_of(text, strlen(text), out, err);
	}
	return r;
}
