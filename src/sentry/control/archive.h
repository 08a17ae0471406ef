/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/archive.h - ArchiveStat, ArchiveGet, ArchivePut
 *
 *	archive.c      the methods, and a thread for each transfer
 *	archive_get.c  a tree of the container as an archive
 *	archive_put.c  an archive's entries as files of the container
 *	tar.c          an archive, entry by entry
 */
#ifndef SENTRY_CONTROL_ARCHIVE_H
#define SENTRY_CONTROL_ARCHIVE_H

#include <stdatomic.h>

#include "sentry/control/rpc.h"
#include "sentry/vfs/vfs.h"

RPC_METHOD(archive_stat);
RPC_METHOD(archive_get);
RPC_METHOD(archive_put);

/* archive_stop() - End the transfers of @container, before it goes */
void archive_stop(const struct control_container *container);

/* What a transfer's thread works on. */
struct archive_work {
	int sock;		/* blocking */
	struct vfs_path at;	/* references */
	struct vfs_path root;	/* of the container, likewise; put: what links lead in */
	char *name;		/* owned; get: of the archive's root */
	bool alone, layer;	/* get: what is mounted below is left out; an overlay's upper directory */
	bool rooted, keep_types, keep_owners; /* put, see archive/unpack.h */
	_Atomic bool stop;	/* nobody wants it any more */
	uint64_t count;		/* filled: bytes, entries */
};

#define ARCHIVE_DEPTH_MAX 400

/* archive_begin() - A walk from @at by who may do everything. walk_end() it */
void archive_begin(const struct vfs_path *at, struct walk *walk);
/* archive_each() - Call @fn for every name in a directory but the dots. What is made meanwhile may be
 * missing. Return: 0, what @fn returned, or negative errno */
int archive_each(const struct vfs_path *dir, int (*fn)(const char *name, void *data), void *data);

int archive_get_run(struct archive_work *work, struct coffer_error *err);
int archive_put_run(struct archive_work *work, struct coffer_error *err);

#endif /* SENTRY_CONTROL_ARCHIVE_H */
