/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/pipe_ring.c - what is in a pipe: pages, slots, and pieces on their way elsewhere
 *
 * Pages come when they are needed, so an idle pipe costs next to nothing, and one is kept back, so
 * a ping-pong allocates nothing. They are counted, because tee(2) shares them. There is a bound to
 * the slots of all pipes, beyond which new ones are small, and to the pages in them.
 *
 * splice-like calls take pieces out and put some in without the lock; see pipe.h.
 */
#include "sentry/vfs/pipe_ring.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/vfs/bound.h"

#define PIPE_SLOTS     16u
#define PIPE_SLOTS_LOW 2u    /* of a new one when there are too many */
#define PIPE_SLOTS_MAX 256u  /* fs.pipe-max-size */
#define PIPE_SLOTS_ALL 16384 /* fs.pipe-user-pages-soft, of all together */

static _Atomic unsigned pipe_slots_all;

/* Those that hold something: an eighth of the memory. */
static struct bound pipe_pages = { .each = 8 * PIPE_PAGE, .least = 1024, .most = 32768 };

/* --- memory --- */

struct pipe_page *pipe_page_new(void)
{
	struct pipe_page *page;

	if (!bound_take(&pipe_pages, 1))
		return NULL;
	page = malloc(sizeof(*page));
	if (page)
		atomic_init(&page->refs, 1);
	else
		bound_give(&pipe_pages, 1);
	return page;
}

void pipe_page_put(struct pipe_page *page)
{
	if (atomic_fetch_sub(&page->refs, 1) != 1)
		return;
	bound_give(&pipe_pages, 1);
	free(page);
}

static struct pipe_page *pipe_page_get(struct pipe_page *page)
{
	atomic_fetch_add(&page->refs, 1);
	return page;
}

struct pipe_page *pipe_page_alloc(struct pipe *pipe)
{
	return pipe->spare ? steal_ptr(pipe->spare) : pipe_page_new();
}

void pipe_page_drop(struct pipe *pipe, struct pipe_page *page)
{
	if (!pipe->spare && page->refs == 1)
		pipe->spare = page;
	else
		pipe_page_put(page);
}

struct pipe *pipe_new(void)
{
	struct pipe *pipe = calloc(1, sizeof(*pipe));

	if (!pipe)
		return NULL;
	pipe->nslots = pipe_slots_all < PIPE_SLOTS_ALL ? PIPE_SLOTS : PIPE_SLOTS_LOW;
	pipe->ring = calloc(pipe->nslots, sizeof(*pipe->ring));
	if (!pipe->ring) {
		free(pipe);
		return NULL;
	}
	pthread_mutex_init(&pipe->lock, NULL);
	waitq_init(&pipe->readers);
	waitq_init(&pipe->writers);
	waitq_init(&pipe->openers);
	atomic_fetch_add(&pipe_slots_all, pipe->nslots);
	return pipe;
}

void pipe_free(struct pipe *pipe)
{
	for (unsigned i = 0; i < pipe->used; i++)
		pipe_page_put(pipe_slot(pipe, i)->page);
	if (pipe->spare)
		pipe_page_put(pipe->spare);
	atomic_fetch_sub(&pipe_slots_all, pipe->nslots);
	waitq_destroy(&pipe->readers);
	waitq_destroy(&pipe->writers);
	waitq_destroy(&pipe->openers);
	pthread_mutex_destroy(&pipe->lock);
	free(pipe->ring);
	free(pipe);
}

/* --- size --- */

long pipe_get_size(struct file *file)
{
	return pipe_is(file) ? (long)(pipe_of(file)->nslots * PIPE_PAGE) : -EBADF;
}

/* The pieces in a ring of another size, from its begin on. */
static int pipe_resize(struct pipe *pipe, unsigned nslots)
{
	struct pipe_piece *ring;

	if (pipe->used + pipe->reserved > nslots)
		return -EBUSY;
	if (nslots > pipe->nslots && pipe_slots_all + nslots - pipe->nslots > PIPE_SLOTS_ALL)
		return -EPERM;
	ring = calloc(nslots, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	for (unsigned i = 0; i < pipe->used; i++)
		ring[i] = *pipe_slot(pipe, i);
	free(pipe->ring);
	atomic_fetch_add(&pipe_slots_all, nslots - pipe->nslots);
	pipe->ring = ring;
	pipe->nslots = nslots;
	pipe->head = 0;
	return 0;
}

long pipe_set_size(struct file *file, uint64_t size)
{
	unsigned nslots = 1;
	struct pipe *pipe;
	bool was_full;
	int r = 0;

	if (!pipe_is(file))
		return -EBADF;
	if (size > UINT64_C(1) << 31)
		return -EINVAL;
	if (size > PIPE_SLOTS_MAX * PIPE_PAGE)
		return -EPERM;
	while (nslots * PIPE_PAGE < size)
		nslots *= 2;
	pipe = pipe_of(file);
	pthread_mutex_lock(&pipe->lock);
	was_full = pipe_full(pipe);
	if (nslots != pipe->nslots)
		r = pipe_resize(pipe, nslots);
	pthread_mutex_unlock(&pipe->lock);
	if (!r && was_full)
		pipe_wake_writers(pipe);
	return r ? r : (long)nslots * PIPE_PAGE;
}

/* --- pieces --- */

long pipe_take(struct file *file, struct pipe_piece *out)
{
	struct pipe *pipe = pipe_of(file);
	long r;

	*out = (struct pipe_piece){ 0 };
	pthread_mutex_lock(&pipe->lock);
	r = pipe->nwriters ? -EAGAIN : 0;
	if (pipe->used) {
		struct pipe_piece *piece = pipe_slot(pipe, 0);

		*out = *piece;
		*piece = (struct pipe_piece){ 0 };
		pipe->bytes -= out->len;
		pipe->head++;
		pipe->used--;
		pipe->reserved++;
		r = out->len;
	}
	pthread_mutex_unlock(&pipe->lock);
	return r;
}

void pipe_taken(struct file *file, struct pipe_piece *rest)
{
	struct pipe *pipe = pipe_of(file);
	bool was_full;
	bool put_back = rest->len;

	pthread_mutex_lock(&pipe->lock);
	was_full = pipe_full(pipe);
	pipe->reserved--;
	if (put_back) {
		pipe->head--;
		pipe->used++;
		*pipe_slot(pipe, 0) = *rest;
		pipe->bytes += rest->len;
	} else {
		pipe_page_drop(pipe, rest->page);
	}
	pthread_mutex_unlock(&pipe->lock);
	*rest = (struct pipe_piece){ 0 };
	if (put_back)
		pipe_wake_readers(pipe);
	else if (was_full)
		pipe_wake_writers(pipe);
}

long pipe_peek(struct file *file, unsigned at, struct pipe_piece *out)
{
	struct pipe *pipe = pipe_of(file);
	long r;

	*out = (struct pipe_piece){ 0 };
	pthread_mutex_lock(&pipe->lock);
	r = pipe->nwriters ? -EAGAIN : 0;
	if (at < pipe->used) {
		*out = *pipe_slot(pipe, at);
		pipe_page_get(out->page);
		r = out->len;
	}
	pthread_mutex_unlock(&pipe->lock);
	return r;
}

int pipe_reserve(struct file *file)
{
	struct pipe *pipe = pipe_of(file);
	int r = 0;

	pthread_mutex_lock(&pipe->lock);
	if (!pipe->nreaders)
		r = -EPIPE;
	else if (pipe_full(pipe))
		r = -EAGAIN;
	else
		pipe->reserved++;
	pthread_mutex_unlock(&pipe->lock);
	return r;
}

void pipe_commit(struct file *file, struct pipe_piece *piece)
{
	struct pipe *pipe = pipe_of(file);
	bool wake_readers = false;
	bool wake_writers = false;

	pthread_mutex_lock(&pipe->lock);
	if (piece->len) {
		wake_readers = !pipe->used || pipe->watched;
		*pipe_slot(pipe, pipe->used++) = *piece;
		pipe->bytes += piece->len;
	} else {
		wake_writers = pipe_full(pipe);
		if (piece->page)
			pipe_page_drop(pipe, piece->page);
	}
	pipe->reserved--;
	pthread_mutex_unlock(&pipe->lock);
	*piece = (struct pipe_piece){ 0 };
	if (wake_readers)
		pipe_wake_readers(pipe);
	if (wake_writers)
		pipe_wake_writers(pipe);
}
