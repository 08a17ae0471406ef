/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/tar.h - a tar archive, entry by entry, from a descriptor
 */
#ifndef SENTRY_CONTROL_TAR_H
#define SENTRY_CONTROL_TAR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "base/error.h"

#define TAR_EXTENTS_MAX 16384

struct tar;

struct tar_extent {
	uint64_t off, len;
};

struct tar_entry {
	const char *path, *link; /* as they are in the archive: hostile; link "" without one */
	uint32_t mode;		 /* permission bits and S_IFMT; 0 type: hard link */
	uint32_t uid, gid;
	dev_t rdev;
	uint64_t size;		 /* of the file */
	struct timespec mtime;
	const struct buf *xattrs; /* "name\0", length as size_t, value; one after the other */
};

/* tar_new() - @fd: blocking, borrowed */
int tar_new(int fd, struct tar **out, struct coffer_error *err);
/* tar_gunzip() - Before anything is read: it may be compressed */
int tar_gunzip(struct tar *t, struct coffer_error *err);
void tar_free(struct tar *t);
DEFINE_CLEANUP(struct tar *, tar_free);

/* tar_next() - *@entry belongs to @t and is good until the next call. Return: 1, 0: the end, or negative
 * errno; what is wrong with the archive is INVALID_ARGUMENT */
int tar_next(struct tar *t, const struct tar_entry **entry, struct coffer_error *err);
/* tar_data() - Of the entry: a piece of it, and where in the file it goes. Return: bytes, 0: that was
 * all, or negative errno */
long tar_data(struct tar *t, const void **data, uint64_t *offset, struct coffer_error *err);

/* tar_xattr() - Take one from the head of what is left: @pos begins at 0. Return: whether there was one */
bool tar_xattr(const struct tar_entry *e, size_t *pos, const char **name, const void **value,
	       size_t *len);

#endif /* SENTRY_CONTROL_TAR_H */
