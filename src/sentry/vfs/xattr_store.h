/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/xattr_store.h - extended attributes of a file in memory
 */
#ifndef SENTRY_VFS_XATTR_STORE_H
#define SENTRY_VFS_XATTR_STORE_H

#include <stddef.h>

#define XATTR_STORE_MAX 65536 /* bytes of a file's names and values */

struct xattr_item;

struct xattr_store {
	struct xattr_item *first;
	size_t bytes;
};

/* As getxattr(2) and its like; the caller locks. */
long xattr_store_get(const struct xattr_store *store, const char *name, void *value, size_t size);
int xattr_store_set(struct xattr_store *store, const char *name, const void *value, size_t size,
		    int flags);
long xattr_store_list(const struct xattr_store *store, char *list, size_t size);
int xattr_store_remove(struct xattr_store *store, const char *name);
void xattr_store_free(struct xattr_store *store);

#endif /* SENTRY_VFS_XATTR_STORE_H */
