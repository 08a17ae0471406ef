/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/overlay_xattr.c - extended attributes through an overlay
 *
 * The overlay's own marks are attributes, too: a guest does not see them and cannot set them.
 */
#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/vfs/overlay.h"

static bool overlay_is_private(const char *name)
{
	return strncmp(name, "user.overlay.", 13) == 0 ||
	       strncmp(name, "trusted.overlay.", 16) == 0;
}

long overlay_getxattr(struct inode *inode, const char *name, void *value, size_t size)
{
	struct inode *real = overlay_real(overlay_of(inode));

	if (overlay_is_private(name))
		return -ENODATA;
	return real->ops->getxattr ? real->ops->getxattr(real, name, value, size) : -EOPNOTSUPP;
}

int overlay_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
		     int flags)
{
	struct overlay_inode *o = overlay_of(inode);
	struct inode *upper;
	int r;

	if (overlay_is_private(name))
		return -EPERM;
	r = overlay_copy_up(o, UINT64_MAX);
	if (r < 0)
		return r;
	upper = overlay_upper(o);
	r = upper->ops->setxattr ? upper->ops->setxattr(upper, name, value, size, flags) :
				   -EOPNOTSUPP;
	overlay_refresh(inode);
	return r;
}

/* Only what is there is worth a copy. */
int overlay_removexattr(struct inode *inode, const char *name)
{
	struct overlay_inode *o = overlay_of(inode);
	struct inode *upper;
	long there = overlay_getxattr(inode, name, NULL, 0);
	int r;

	if (there < 0)
		return (int)there;
	r = overlay_copy_up(o, UINT64_MAX);
	if (r < 0)
		return r;
	upper = overlay_upper(o);
	r = upper->ops->removexattr ? upper->ops->removexattr(upper, name) : -EOPNOTSUPP;
	overlay_refresh(inode);
	return r;
}

/* Return: bytes of names in *@list, which is allocated, or negative errno */
static long overlay_names(struct inode *real, char **list)
{
	long n;

	*list = NULL;
	if (!real->ops->listxattr)
		return 0;
	*list = malloc(XATTR_LIST_MAX);
	if (!*list)
		return -ENOMEM;
	n = real->ops->listxattr(real, *list, XATTR_LIST_MAX);
	return n == -EOPNOTSUPP ? 0 : n;
}

long overlay_listxattr(struct inode *inode, char *list, size_t size)
{
	autofree char *names = NULL;
	long n = overlay_names(overlay_real(overlay_of(inode)), &names);
	size_t kept = 0;

	for (long at = 0; at < n;) {
		size_t len = strnlen(names + at, (size_t)(n - at)) + 1;

		if (!overlay_is_private(names + at)) {
			if (size && kept + len > size)
				return -ERANGE;
			if (size)
				memcpy(list + kept, names + at, len);
			kept += len;
		}
		at += (long)len;
	}
	return n < 0 ? n : (long)kept;
}

/* What the upper layer cannot hold is lost, as with Linux's where it does not matter. */
void overlay_xattr_copy(struct inode *from, struct inode *to)
{
	autofree char *names = NULL, *value = NULL;
	long n = to->ops->setxattr ? overlay_names(from, &names) : 0;

	for (long at = 0, len; at < n; at += len) {
		long size;

		len = (long)strnlen(names + at, (size_t)(n - at)) + 1;
		if (at + len > n || overlay_is_private(names + at))
			continue;
		if (!value)
			value = malloc(XATTR_SIZE_MAX);
		if (!value)
			return;
		size = from->ops->getxattr(from, names + at, value, XATTR_SIZE_MAX);
		if (size >= 0)
			to->ops->setxattr(to, names + at, value, (size_t)size, 0);
	}
}
