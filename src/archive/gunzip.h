/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive/gunzip.h - bytes of a descriptor that may be compressed
 */
#ifndef ARCHIVE_GUNZIP_H
#define ARCHIVE_GUNZIP_H

#include <sys/types.h>

#include "base/cleanup.h"

struct gunzip;

/* gunzip_new() - @fd: blocking, borrowed. NULL: no memory */
struct gunzip *gunzip_new(int fd);
void gunzip_free(struct gunzip *z);
DEFINE_CLEANUP(struct gunzip *, gunzip_free);
/* gunzip_read() - What does not begin as gzip is passed on as it is. Return: @n bytes, fewer at the
 * end, or negative errno; -EBADMSG: damaged */
ssize_t gunzip_read(struct gunzip *z, void *out, size_t n);

#endif /* ARCHIVE_GUNZIP_H */
