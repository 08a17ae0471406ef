/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/json_twice.c - equal names in one object of a JSON document
 *
 * The reader keeps the last of them without a word, others the first; so the
 * same bytes, of the same digest, would be two images.  Names are counted in
 * the text and in the tree, which is cheap; only when the tree has fewer are
 * they sorted to find out which it was.  Caller: json_node.c.
 */
#include "image/json_twice.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "image/json_node.h"

struct twice_name {
	size_t object; /* the how manieth it is */
	const char *s; /* as written, escapes and all */
	size_t n;
};

/* Walks the text, which is known to be JSON; @names is NULL while they are only counted. */
struct twice_walk {
	struct twice_name *names;
	size_t count;
	size_t open[JSON_NODE_DEPTH + 1]; /* objects and arrays that are not closed yet */
	size_t depth, objects;
};

static size_t twice_count_tree(struct json_object *json)
{
	size_t n = 0;

	if (json_object_is_type(json, json_type_array))
		for (size_t i = 0; i < json_object_array_length(json); i++)
			n += twice_count_tree(json_object_array_get_idx(json, i));
	if (!json_object_is_type(json, json_type_object))
		return n;
	json_object_object_foreach(json, key, value)
	{
		(void)key;
		n += 1 + twice_count_tree(value);
	}
	return n;
}

static void twice_structure(struct twice_walk *w, char c, const char *string, size_t n)
{
	if (c == '{' || c == '[') {
		if (w->depth < JSON_NODE_DEPTH)
			w->open[++w->depth] = ++w->objects;
	} else if ((c == '}' || c == ']') && w->depth > 0) {
		w->depth--;
	} else if (c == ':') {
		if (w->names)
			w->names[w->count] = (struct twice_name){ w->open[w->depth], string, n };
		w->count++;
	}
}

static void twice_walk(struct twice_walk *w, const char *text, size_t len)
{
	const char *string = text;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] != '"') {
			twice_structure(w, text[i], string, n);
			continue;
		}
		string = text + ++i;
		while (i < len && text[i] != '"')
			i += text[i] == '\\' ? 2 : 1;
		n = (size_t)(text + i - string);
	}
}

static int twice_compare(const void *a, const void *b)
{
	const struct twice_name *x = a, *y = b;
	int r;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	r = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);
	if (r != 0 || x->n == y->n)
		return r;
	return x->n < y->n ? -1 : 1;
}

/* twice_find() - One of the names that are there twice; NULL: they are written differently */
static const struct twice_name *twice_find(struct twice_name *names, size_t count)
{
	qsort(names, count, sizeof(*names), twice_compare);
	for (size_t i = 1; i < count; i++)
		if (twice_compare(&names[i - 1], &names[i]) == 0)
			return names[i - 1].s > names[i].s ? &names[i - 1] : &names[i];
	return NULL;
}

int json_twice_check(const char *what, const char *text, size_t len, struct json_object *tree,
		     struct coffer_error *err)
{
	static const char why[] = "a name twice in one object";
	autofree struct twice_name *names = NULL;
	struct twice_walk w = { 0 };
	const struct twice_name *at;

	twice_walk(&w, text, len);
	if (w.count == twice_count_tree(tree))
		return 0;
	names = calloc(w.count + 1, sizeof(*names));
	if (!names)
		return err_nomem(err);
	w = (struct twice_walk){ .names = names };
	twice_walk(&w, text, len);
	at = twice_find(names, w.count);
	if (!at)
		return err_invalid(err, "%s: %s", what, why);
	/* Up to behind the name, so that it is named. */
	return json_text_fail(what, text, (size_t)(at->s + at->n + 1 - text), why, err);
}
