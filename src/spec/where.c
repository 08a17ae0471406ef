/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/where.c - naming the place in the document that an error is about
 *
 * Walkers keep a chain of struct spec_where frames on their stack and nothing
 * else; the text is made only when something fails.  Keys of maps and quoted
 * values are foreign bytes: they are shortened and made printable, so that an
 * error stays one harmless line.
 */
#include "spec/schema.h"

#include <stdio.h>

/* Deep enough for every chain the tables can make. */
#define WHERE_PATH_MAX	512
#define WHERE_DEPTH_MAX 16

/* where_append_member() - "a.b", or "a" at the start of the path */
static size_t where_append_member(char *buf, size_t n, const char *name)
{
	int r = snprintf(buf + n, WHERE_PATH_MAX - n, "%s%s", n > 0 ? "." : "", name);

	return r < 0 ? n : n + (size_t)r;
}

static size_t where_append(char *buf, size_t n, const struct spec_where *w)
{
	char quoted[JSON_QUOTE_MAX];
	int r;

	if (w->name == NULL)
		r = snprintf(buf + n, WHERE_PATH_MAX - n, "[%zu]", w->index);
	else if (w->key)
		r = snprintf(buf + n, WHERE_PATH_MAX - n, "[\"%s\"]", json_text_quote(quoted, w->name));
	else
		return where_append_member(buf, n, w->name);
	return r < 0 ? n : n + (size_t)r;
}

static void where_format(char buf[static WHERE_PATH_MAX], const struct spec_where *at,
			 const char *member)
{
	const struct spec_where *chain[WHERE_DEPTH_MAX];
	size_t depth = 0, n = 0;

	for (; at != NULL && depth < WHERE_DEPTH_MAX; at = at->up)
		chain[depth++] = at;
	while (depth > 0 && n < WHERE_PATH_MAX)
		n = where_append(buf, n, chain[--depth]);
	if (member != NULL && n < WHERE_PATH_MAX)
		n = where_append_member(buf, n, member);
	if (n == 0)
		(void)snprintf(buf, WHERE_PATH_MAX, "config");
}

int spec_fail(const struct spec_where *at, const char *member, struct coffer_error *err,
	      const char *fmt, ...)
{
	char path[WHERE_PATH_MAX] = "", why[WHERE_PATH_MAX];
	va_list ap;

	where_format(path, at, member);
	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return err_invalid(err, "%s: %s", path, why);
}
