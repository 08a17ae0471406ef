/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/cpio.h - an archive of files as a file system's content
 */
#ifndef SENTRY_VFS_CPIO_H
#define SENTRY_VFS_CPIO_H

#include "base/error.h"
#include "sentry/vfs/vfs.h"

/**
 * cpio_unpack() - A cpio archive ("newc", as of initial RAM disks) into a directory
 * @fd:	Read from its beginning, borrowed
 * @at:	Directory, of a file system that can be written
 *
 * What it says of names is not trusted: no ".." and no link leads anywhere. A name that is there
 * already is replaced, unless it is a directory.
 *
 * Return: 0 or negative errno; -EBADMSG: no such archive; then some of it may have been unpacked
 */
int cpio_unpack(int fd, const struct vfs_path *at, struct coffer_error *err);

#endif /* SENTRY_VFS_CPIO_H */
