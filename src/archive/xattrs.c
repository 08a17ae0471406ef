/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive/xattrs.c - extended attributes that travel in archives
 *
 * They are written as SCHILY.xattr.NAME, which every reader knows.
 *
 * Callers: archive/pack.c, archive/unpack_entry.c.
 */
#include "archive/xattrs.h"

#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "archive/pax_write.h"
#include "base/cleanup.h"

#define XATTRS_NAMES_MAX 65536 /* the kernel's own limits */
#define XATTRS_VALUE_MAX 65536

bool xattrs_travels(const char *name)
{
	static const char *const alone[] = { "security.capability", "system.posix_acl_access",
					     "system.posix_acl_default" };

	for (size_t i = 0; i < ARRAY_SIZE(alone); i++)
		if (strcmp(name, alone[i]) == 0)
			return true;
	return strncmp(name, "user.", 5) == 0;
}

static int xattrs_add(const char *path, const char *name, uint8_t *value, struct buf *b,
		      struct coffer_error *err)
{
	ssize_t n = getxattr(path, name, value, XATTRS_VALUE_MAX);
	char key[XATTR_NAME_MAX + 16];
	int r;

	/* It may be gone by now. */
	if (n < 0)
		return errno == ENODATA ? 0 : err_sys(err, "read attribute %s", name);
	snprintf(key, sizeof(key), "SCHILY.xattr.%s", name);
	r = pax_record(b, key, value, (size_t)n);
	return r < 0 ? err_sysn(err, r, "keep attribute %s", name) : 0;
}

int xattrs_collect(const char *path, struct buf *b, struct coffer_error *err)
{
	ssize_t n = listxattr(path, NULL, 0);
	autofree uint8_t *value = NULL;
	autofree char *names = NULL;
	int r = 0;

	/* Nearly every file has none; some file systems know none. */
	if (n <= 0)
		return n == 0 || errno == EOPNOTSUPP ? 0 : err_sys(err, "list attributes");
	names = malloc(XATTRS_NAMES_MAX + 1);
	value = malloc(XATTRS_VALUE_MAX);
	if (!names || !value)
		return err_nomem(err);
	n = listxattr(path, names, XATTRS_NAMES_MAX);
	if (n < 0)
		return err_sys(err, "list attributes");
	names[n] = '\0';
	for (const char *name = names; name < names + n && r == 0; name += strlen(name) + 1)
		if (xattrs_travels(name))
			r = xattrs_add(path, name, value, b, err);
	return r;
}
