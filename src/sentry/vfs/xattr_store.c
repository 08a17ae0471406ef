/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/xattr_store.c - extended attributes of a file in memory: a short list
 */
#include "sentry/vfs/xattr_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

struct xattr_item {
	struct xattr_item *next;
	size_t size;
	char *value; /* behind the name */
	char name[];
};

static struct xattr_item **xattr_store_find(const struct xattr_store *store, const char *name)
{
	struct xattr_item *const *link = &store->first;

	while (*link && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return (struct xattr_item **)link;
}

long xattr_store_get(const struct xattr_store *store, const char *name, void *value, size_t size)
{
	const struct xattr_item *item = *xattr_store_find(store, name);

	if (!item)
		return -ENODATA;
	if (size == 0)
		return (long)item->size;
	if (size < item->size)
		return -ERANGE;
	memcpy(value, item->value, item->size);
	return (long)item->size;
}

static size_t xattr_store_cost(const char *name, size_t size)
{
	return strlen(name) + 1 + size;
}

static void xattr_store_drop(struct xattr_store *store, struct xattr_item **link)
{
	struct xattr_item *item = *link;

	*link = item->next;
	store->bytes -= xattr_store_cost(item->name, item->size);
	free(item);
}

int xattr_store_set(struct xattr_store *store, const char *name, const void *value, size_t size,
		    int flags)
{
	struct xattr_item **link = xattr_store_find(store, name), *item;
	size_t cost = xattr_store_cost(name, size);
	size_t old = *link ? xattr_store_cost(name, (*link)->size) : 0;

	if (*link && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!*link && (flags & XATTR_REPLACE))
		return -ENODATA;
	if (store->bytes - old + cost > XATTR_STORE_MAX)
		return -ENOSPC;
	item = malloc(sizeof(*item) + cost);
	if (!item)
		return -ENOMEM;
	memcpy(item->name, name, cost - size);
	item->value = item->name + (cost - size);
	item->size = size;
	if (size)
		memcpy(item->value, value, size);
	if (*link)
		xattr_store_drop(store, link);
	item->next = store->first;
	store->first = item;
	store->bytes += cost;
	return 0;
}

long xattr_store_list(const struct xattr_store *store, char *list, size_t size)
{
	size_t total = 0;

	for (const struct xattr_item *item = store->first; item; item = item->next) {
		size_t len = strlen(item->name) + 1;

		if (size && total + len > size)
			return -ERANGE;
		if (size)
			memcpy(list + total, item->name, len);
		total += len;
	}
	return (long)total;
}

int xattr_store_remove(struct xattr_store *store, const char *name)
{
	struct xattr_item **link = xattr_store_find(store, name);

	if (!*link)
		return -ENODATA;
	xattr_store_drop(store, link);
	return 0;
}

void xattr_store_free(struct xattr_store *store)
{
	while (store->first)
		xattr_store_drop(store, &store->first);
}
