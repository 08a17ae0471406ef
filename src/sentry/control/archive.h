/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/archive.h - ArchiveStat, ArchiveGet, ArchivePut
 *
 *	archive.c      the methods, and a thread for each transfer, also for copy.c
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
	bool rooted, absolute, keep_types, keep_owners; /* put, see archive/unpack.h */
	bool gzip;		/* it is compressed; put: it may be */
	struct file *file;	/* copy.c: a reference */
	uint64_t size;		/* copy.c: how much is to be sent at most */
	_Atomic bool stop;	/* nobody wants it any more */
	uint64_t count;		/* filled: bytes, entries */
};

struct archive_job {
	struct archive_job *next, **link; /* in archive_jobs */
	const struct control_container *container; /* NULL: of the machine's own files */
	struct grpc_call *call; /* NULL: the client gave up */
	struct archive_work work;
	int (*run)(struct archive_work *work, struct coffer_error *err); /* in the thread */
	void (*reply)(const struct archive_job *job); /* on the loop: result and err are known */
	struct coffer_error err;
	int result;
	pthread_t thread;
	int event_fd;
	struct loop_source *source;
};

/* archive_new() - One that is on the list and has nothing yet */
int archive_new(const struct control_container *c, struct archive_job **out,
		struct coffer_error *err);
/* archive_dial() - The host's port becomes work.sock */
int archive_dial(struct archive_job *job, uint32_t port, struct coffer_error *err);
/* archive_start() - @call is answered by job->reply() when the thread is done; on failure @job is as it
 * was */
int archive_start(struct archive_job *job, struct control *control, struct grpc_call *call,
		  struct coffer_error *err);
void archive_free(struct archive_job *job); /* one that was not started */

#define ARCHIVE_DEPTH_MAX 400

/* archive_begin() - A walk from @at by who may do everything. walk_end() it */
void archive_begin(const struct vfs_path *at, struct walk *walk);
/* archive_each() - Call @fn for every name in a directory but the dots. What is made meanwhile may be
 * missing. Return: 0, what @fn returned, or negative errno */
int archive_each(const struct vfs_path *dir, int (*fn)(const char *name, void *data), void *data);

int archive_get_run(struct archive_work *work, struct coffer_error *err);
int archive_put_run(struct archive_work *work, struct coffer_error *err);

#endif /* SENTRY_CONTROL_ARCHIVE_H */
