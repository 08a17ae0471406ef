/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/pipe_ring.h - a pipe as pipe.c and pipe_ring.c see it
 */
#ifndef SENTRY_VFS_PIPE_RING_H
#define SENTRY_VFS_PIPE_RING_H

#include "base/cleanup.h"
#include "sentry/vfs/pipe.h"

struct pipe {
	pthread_mutex_t lock;
	struct waitq readers, writers;
	struct waitq openers;	/* of a FIFO, that wait for the other side */
	struct pipe_piece *ring; /* nslots, a power of two */
	unsigned nslots, head, used;
	unsigned reserved;	/* slots without a piece that are nobody else's */
	size_t bytes;
	struct pipe_page *spare; /* NULL: none */
	unsigned nreaders, nwriters;
	unsigned reader_opens, writer_opens; /* ever */
	bool watched;		/* an epoll has looked on */
	unsigned files;		/* inode->lock */
};

struct pipe_file {
	struct file file;
	struct pipe *pipe;
	unsigned partners_before; /* how often the other side had been opened before this one was */
	bool fresh;		  /* it was not open then, and partners_before counts */
};

/* pipe_new() - Empty, and open by nobody. NULL: no memory */
struct pipe *pipe_new(void);
void pipe_free(struct pipe *pipe);
/* pipe_page_alloc(), pipe_page_drop() - By way of the page that is kept back. The pipe's lock held. */
struct pipe_page *pipe_page_alloc(struct pipe *pipe);
void pipe_page_drop(struct pipe *pipe, struct pipe_page *page);

static inline struct pipe *pipe_of(const struct file *file)
{
	return container_of(file, struct pipe_file, file)->pipe;
}

/* pipe_slot() - Number @at from the first one on */
static inline struct pipe_piece *pipe_slot(struct pipe *pipe, unsigned at)
{
	return &pipe->ring[(pipe->head + at) & (pipe->nslots - 1)];
}

static inline bool pipe_full(const struct pipe *pipe)
{
	return pipe->used + pipe->reserved >= pipe->nslots;
}

static inline void pipe_wake_readers(struct pipe *pipe)
{
	waitq_wake(&pipe->readers, POLLIN | POLLRDNORM);
}

static inline void pipe_wake_writers(struct pipe *pipe)
{
	waitq_wake(&pipe->writers, POLLOUT | POLLWRNORM);
}

#endif /* SENTRY_VFS_PIPE_RING_H */
