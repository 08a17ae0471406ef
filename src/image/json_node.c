/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/json_node.c - a place in a foreign JSON document, and what has to be there
 *
 *	text --json_text_check()--> json-c's tree --> names told twice? --> nodes
 *
 * Members that nobody asks for are never looked at.  Callers: the documents,
 * settings and credentials of image/.
 */
#include "image/json_node.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json_text.h"
#include "image/json_twice.h"

#define NODE_PATH_MAX 320

/* node_is_markup() - What servers and proxies send instead of an answer */
static bool node_is_markup(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && strchr(" \t\r\n", text[i]))
		i++;
	return i < len && text[i] == '<';
}

static int node_parse(const char *what, const char *text, size_t len, struct json_object **tree,
		      struct coffer_error *err)
{
	autotokener struct json_tokener *tok = json_tokener_new_ex(JSON_NODE_DEPTH);
	enum json_tokener_error e;

	if (!tok)
		return err_nomem(err);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	*tree = json_tokener_parse_ex(tok, text, (int)len);
	e = json_tokener_get_error(tok);
	if (e == json_tokener_continue)
		return err_invalid(err, "%s: JSON ends early, after %zu bytes", what, len);
	if (e != json_tokener_success)
		return json_text_fail(what, text, json_tokener_get_parse_end(tok),
				      json_tokener_error_desc(e), err);
	return 0;
}

int json_node_read(const char *what, const void *text, size_t len, size_t max,
		   struct json_object **tree, struct coffer_error *err)
{
	autojson struct json_object *json = NULL;
	struct json_node root;
	int r;

	*tree = NULL;
	if (len > max)
		return err_invalid(err, "%s: %zu bytes, the limit is %zu", what, len, max);
	if (len == 0)
		return err_invalid(err, "%s: empty", what);
	if (node_is_markup(text, len))
		return err_invalid(err, "%s: a page of HTML or XML instead of JSON", what);
	r = json_text_check(what, text, len, err);
	if (r == 0)
		r = node_parse(what, text, len, &json, err);
	if (r < 0)
		return r;
	root = json_node_root(what, json);
	r = json_node_expect(&root, json_type_object, err);
	if (r == 0)
		r = json_twice_check(what, text, len, json, err);
	if (r == 0)
		*tree = steal_ptr(json);
	return r;
}

/* node_path() - "document: a.b[0]"; what does not fit is cut off in front of the last names */
static void node_path(const struct json_node *node, char buf[static NODE_PATH_MAX])
{
	const struct json_node *chain[JSON_NODE_DEPTH + 1];
	char quoted[JSON_QUOTE_MAX];
	size_t depth = 0, n = 0;

	for (; node && depth < ARRAY_SIZE(chain); node = node->up)
		chain[depth++] = node;
	for (size_t i = depth; i-- > 0 && n < NODE_PATH_MAX;) {
		const char *before = i == depth - 1 ? "" : i == depth - 2 ? ": " : ".";
		int r;

		if (chain[i]->name)
			r = snprintf(buf + n, NODE_PATH_MAX - n, "%s%s", before,
				     json_text_quote(quoted, chain[i]->name));
		else
			r = snprintf(buf + n, NODE_PATH_MAX - n, "[%zu]", chain[i]->index);
		n += (size_t)r;
	}
}

static void node_set(const struct json_node *node, enum coffer_error_kind kind,
		     struct coffer_error *err, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));
static void node_set(const struct json_node *node, enum coffer_error_kind kind,
		     struct coffer_error *err, const char *fmt, va_list ap)
{
	char path[NODE_PATH_MAX], why[NODE_PATH_MAX];

	node_path(node, path);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	err_set(err, kind, 0, "%s: %s", path, why);
}

int(json_node_fail)(const struct json_node *node, struct coffer_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	node_set(node, COFFER_ERR_INVALID_ARGUMENT, err, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int(json_node_unsupported)(const struct json_node *node, struct coffer_error *err, const char *fmt,
			   ...)
{
	va_list ap;

	va_start(ap, fmt);
	node_set(node, COFFER_ERR_UNSUPPORTED, err, fmt, ap);
	va_end(ap);
	return -EOPNOTSUPP;
}

int json_node_expect(const struct json_node *node, json_type type, struct coffer_error *err)
{
	static const char *const names[] = {
		[json_type_null] = "null",	   [json_type_boolean] = "true or false",
		[json_type_double] = "a fraction", [json_type_int] = "an integer",
		[json_type_object] = "an object",  [json_type_array] = "an array",
		[json_type_string] = "a string",
	};

	if (!node->json)
		return json_node_fail(node, err, "missing");
	if (!json_object_is_type(node->json, type))
		return json_node_fail(node, err, "expected %s, got %s", names[type],
				      names[json_object_get_type(node->json)]);
	return 0;
}

int json_node_text(const struct json_node *node, bool required, const char **out,
		   struct coffer_error *err)
{
	int r;

	*out = NULL;
	if (!node->json && !required)
		return 0;
	r = json_node_expect(node, json_type_string, err);
	if (r < 0)
		return r;
	*out = json_object_get_string(node->json);
	return required && **out == '\0' ? json_node_fail(node, err, "empty") : 0;
}

int json_node_copy(const struct json_node *node, char **out, struct coffer_error *err)
{
	const char *text;
	int r = json_node_text(node, false, &text, err);

	*out = NULL;
	if (r < 0 || !text || *text == '\0')
		return r;
	*out = strdup(text);
	return *out ? 0 : err_nomem(err);
}

int json_node_fit(const struct json_node *node, bool required, char *dst, size_t size,
		  struct coffer_error *err)
{
	const char *text;
	int r = json_node_text(node, required, &text, err);

	*dst = '\0';
	if (r < 0 || !text)
		return r;
	if (strlen(text) >= size)
		return json_node_fail(node, err, "longer than %zu bytes", size - 1);
	memcpy(dst, text, strlen(text) + 1);
	return 0;
}

int json_node_size(const struct json_node *node, uint64_t *out, struct coffer_error *err)
{
	int r = json_node_expect(node, json_type_int, err);
	int64_t n;

	if (r < 0)
		return r;
	n = json_object_get_int64(node->json);
	if (n < 0)
		return json_node_fail(node, err, "negative");
	if (n == INT64_MAX)
		return json_node_fail(node, err, "too large");
	*out = (uint64_t)n;
	return 0;
}

int json_node_bool(const struct json_node *node, bool *out, struct coffer_error *err)
{
	int r = node->json ? json_node_expect(node, json_type_boolean, err) : 0;

	*out = r == 0 && node->json && json_object_get_boolean(node->json);
	return r;
}

int json_node_digest(const struct json_node *node, struct digest *out, struct coffer_error *err)
{
	struct coffer_error why = COFFER_ERROR_INIT;
	const char *text;
	int r = json_node_text(node, true, &text, err);

	if (r < 0)
		return r;
	r = digest_parse(text, out, &why);
	if (r == -EOPNOTSUPP)
		return json_node_unsupported(node, err, "%s", why.message);
	return r < 0 ? json_node_fail(node, err, "%s", why.message) : 0;
}

int json_node_object(const struct json_node *node, struct coffer_error *err)
{
	int r = node->json ? json_node_expect(node, json_type_object, err) : 0;

	if (r == 0 && node->json && json_object_object_length(node->json) > JSON_NODE_LIST)
		return json_node_fail(node, err, "more than %d members", JSON_NODE_LIST);
	return r;
}

int json_node_list(const struct json_node *node, size_t max, size_t *count,
		   struct coffer_error *err)
{
	int r = node->json ? json_node_expect(node, json_type_array, err) : 0;

	*count = 0;
	if (r < 0 || !node->json)
		return r;
	*count = json_object_array_length(node->json);
	if (*count <= max)
		return 0;
	r = json_node_fail(node, err, "%zu elements, the limit is %zu", *count, max);
	*count = 0;
	return r;
}

int json_node_strings(const struct json_node *node, char ***out, struct coffer_error *err)
{
	CLEANUP(json_node_strings_freep) char **list = NULL;
	size_t count;
	int r = json_node_list(node, JSON_NODE_LIST, &count, err);

	*out = NULL;
	if (r < 0 || count == 0)
		return r;
	list = calloc(count + 1, sizeof(*list));
	if (!list)
		return err_nomem(err);
	for (size_t i = 0; i < count; i++) {
		struct json_node here = json_node_element(node, i);

		r = json_node_expect(&here, json_type_string, err);
		if (r < 0)
			return r;
		list[i] = strdup(json_object_get_string(here.json));
		if (!list[i])
			return err_nomem(err);
	}
	*out = steal_ptr(list);
	return 0;
}

void json_node_strings_free(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

int json_node_emit(struct json_object *json, struct buf *out, struct coffer_error *err)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
	    json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	int r = text ? buf_append(out, text, len) : -ENOMEM;

	if (r == -ENOMEM)
		return err_nomem(err);
	return r < 0 ? err_sysn(err, r, "%zu bytes of JSON", len) : 0;
}
