/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/visited.c - documents that have been followed
 *
 * Callers: catalog.c, pull.c, push.c.
 */
#include "image/visited.h"

#include <search.h>
#include <stdlib.h>

static int visited_compare(const void *a, const void *b)
{
	const struct digest *x = a, *y = b;

	return strcmp(x->text, y->text);
}

int visited_add(struct visited *v, const struct digest *d, struct coffer_error *err)
{
	struct digest *copy;

	if (tfind(d, &v->tree, visited_compare))
		return 1;
	if (v->count == VISITED_MAX)
		return err_invalid(err, "more than %d indices and manifests", VISITED_MAX);
	copy = malloc(sizeof(*copy));
	if (!copy)
		return err_nomem(err);
	*copy = *d;
	if (!tsearch(copy, &v->tree, visited_compare)) {
		free(copy);
		return err_nomem(err);
	}
	v->count++;
	return 0;
}

void visited_free(struct visited *v)
{
	tdestroy(v->tree, free);
	*v = (struct visited){ 0 };
}
