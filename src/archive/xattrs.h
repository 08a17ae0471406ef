/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive/xattrs.h - extended attributes that travel in archives
 */
#ifndef ARCHIVE_XATTRS_H
#define ARCHIVE_XATTRS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * xattrs_travels() - Whether the attribute @name is copied
 *
 * Those of users, capabilities and access lists are.  What is the kernel's or
 * a file system's own (trusted.overlay.*, security.selinux) means something
 * else at the other end, or lets an archive speak to an overlay.
 */
bool xattrs_travels(const char *name);

/* xattrs_collect() - Append those of the file at @path to @b as records */
int xattrs_collect(const char *path, struct buf *b, struct coffer_error *err);

#endif /* ARCHIVE_XATTRS_H */
