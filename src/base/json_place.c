/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/json_place.c - where in the document an offset of its text is
 *
 * For errors of the text itself, before there is a tree to walk.  The text is
 * read once more from its start, which costs nothing while nothing is wrong;
 * it may be no JSON at all, so what comes out is a help to the reader and
 * trusted by nobody.
 */
#include "base/json_text.h"

#include <ctype.h>
#include <stdio.h>

#define PLACE_DEPTH_MAX 8
#define PLACE_TEXT_MAX	160

/* An object or array that is not closed yet. */
struct place_level {
	const char *key; /* of the member that is read; NULL before it is known */
	size_t len, index;
	bool list;
};

struct place {
	struct place_level levels[PLACE_DEPTH_MAX];
	size_t depth; /* may be more than there is room for */
};

static struct place_level *place_top(struct place *p)
{
	return p->depth > 0 && p->depth <= PLACE_DEPTH_MAX ? &p->levels[p->depth - 1] : NULL;
}

/* place_string() - From behind the quote. Return: offset of the one that closes it, or @end */
static size_t place_string(struct place *p, const char *json, size_t i, size_t end)
{
	struct place_level *top = place_top(p);
	size_t start = i;

	while (i < end && json[i] != '"')
		i += json[i] == '\\' ? 2 : 1;
	if (i > end)
		i = end;
	if (top && !top->list && !top->key) {
		top->key = json + start;
		top->len = i - start;
	}
	return i;
}

static void place_structure(struct place *p, char c)
{
	struct place_level *top;

	if (c == '{' || c == '[') {
		p->depth++;
		top = place_top(p);
		if (top)
			*top = (struct place_level){ .list = c == '[' };
	} else if (c == ',') {
		top = place_top(p);
		if (top)
			*top = (struct place_level){ .list = top->list, .index = top->index + 1 };
	} else if ((c == '}' || c == ']') && p->depth > 0) {
		p->depth--;
	}
}

static size_t place_key(char *buf, size_t size, const struct place_level *level, bool first)
{
	size_t n = 0;

	if (!first && n < size)
		buf[n++] = '.';
	for (size_t i = 0; i < level->len && n < size; i++)
		buf[n++] = isprint((unsigned char)level->key[i]) ? level->key[i] : '?';
	return n;
}

static void place_format(const struct place *p, char buf[static PLACE_TEXT_MAX])
{
	const size_t most = PLACE_TEXT_MAX - sizeof("[18446744073709551615]...");
	size_t n = 0, i;

	for (i = 0; i < p->depth && i < PLACE_DEPTH_MAX && n < most; i++) {
		const struct place_level *level = &p->levels[i];

		if (level->list)
			n += (size_t)snprintf(buf + n, PLACE_TEXT_MAX - n, "[%zu]", level->index);
		else if (level->key)
			n += place_key(buf + n, most - n, level, n == 0);
	}
	snprintf(buf + n, PLACE_TEXT_MAX - n, "%s", i < p->depth ? "..." : "");
}

int json_text_fail(const char *what, const char *json, size_t offset, const char *why,
		   struct coffer_error *err)
{
	struct place p = { 0 };
	char where[PLACE_TEXT_MAX];

	for (size_t i = 0; i < offset; i++) {
		if (json[i] == '"')
			i = place_string(&p, json, i + 1, offset);
		else
			place_structure(&p, json[i]);
	}
	place_format(&p, where);
	return err_invalid(err, "%s: JSON at offset %zu: %s%s%s", what, offset, why,
			   where[0] ? ", in " : "", where);
}
