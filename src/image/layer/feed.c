/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/feed.c - a blob's unpacked bytes, made ready by another thread
 *
 *	thread: read, unpack --> ring of chunks --> caller: hash, parse, write
 *
 * Both sides take about as long, so two processors halve the time.  The ring
 * bounds what is in memory; the caller has the chunk at its tail, the thread
 * fills the one at its head.
 *
 * Callers: reader.c.
 */
#include "image/layer/feed.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "image/layer/decompress.h"

#define FEED_CHUNKS	  6u
#define FEED_RATIO_BEYOND ((uint64_t)1 << 20) /* unpacked bytes to which no ratio applies */

struct feed_chunk {
	uint8_t *bytes; /* owned, FEED_CHUNK */
	size_t len;
	uint64_t taken;
};

struct feed {
	struct decompress *d; /* owned; the thread's */
	uint32_t ratio;
	pthread_t thread;
	bool started;
	bool holding; /* the caller has a chunk */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* With the lock. */
	struct feed_chunk ring[FEED_CHUNKS];
	unsigned first, count; /* filled ones, with the one the caller has */
	bool stop, ended;
	int result; /* when ended */
	struct coffer_error error;
};

/* Return: a chunk to fill, NULL: nobody wants more */
static struct feed_chunk *feed_claim(struct feed *f)
{
	struct feed_chunk *c = NULL;

	pthread_mutex_lock(&f->lock);
	while (!f->stop && f->count == FEED_CHUNKS)
		pthread_cond_wait(&f->changed, &f->lock);
	if (!f->stop)
		c = &f->ring[(f->first + f->count) % FEED_CHUNKS];
	pthread_mutex_unlock(&f->lock);
	return c;
}

static void feed_publish(struct feed *f)
{
	pthread_mutex_lock(&f->lock);
	f->count++;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static int feed_fill(struct feed *f, struct feed_chunk *c, uint64_t *given,
		     struct coffer_error *err)
{
	ssize_t n = decompress_read(f->d, c->bytes, FEED_CHUNK, err);

	if (n < 0)
		return (int)n;
	c->len = (size_t)n;
	c->taken = decompress_taken(f->d);
	*given += c->len;
	if (*given > FEED_RATIO_BEYOND && (*given - FEED_RATIO_BEYOND) / f->ratio > c->taken)
		return err_invalid(err, "it unpacks to more than %u times its size", f->ratio);
	return n > 0;
}

static void *feed_run(void *data)
{
	struct feed *f = data;
	struct coffer_error error = COFFER_ERROR_INIT;
	struct feed_chunk *c;
	uint64_t given = 0;
	int r = 0;

	while ((c = feed_claim(f))) {
		r = feed_fill(f, c, &given, &error);
		if (r <= 0)
			break;
		feed_publish(f);
	}
	pthread_mutex_lock(&f->lock);
	f->ended = true;
	f->result = r;
	f->error = error;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* Signals are the caller's business. */
static int feed_start(struct feed *f, struct coffer_error *err)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&f->thread, NULL, feed_run, f);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return err_sysn(err, r, "start a thread");
	f->started = true;
	return 0;
}

int feed_open(const struct layer_source *layer, const struct settings_limits *limits,
	      struct feed **out, struct coffer_error *err)
{
	CLEANUP(feed_freep) struct feed *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return err_nomem(err);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	f->ratio = limits->ratio ? limits->ratio : 1;
	for (unsigned i = 0; i < FEED_CHUNKS; i++) {
		f->ring[i].bytes = malloc(FEED_CHUNK);
		if (!f->ring[i].bytes)
			return err_nomem(err);
	}
	r = decompress_open(layer->fd, layer->size, layer->compression != MEDIA_PLAIN, &f->d, err);
	if (r == 0)
		r = feed_start(f, err);
	if (r == 0)
		*out = steal_ptr(f);
	return r;
}

int feed_next(struct feed *f, const uint8_t **bytes, size_t *n, uint64_t *taken,
	      struct coffer_error *err)
{
	int r = 1;

	pthread_mutex_lock(&f->lock);
	if (f->holding) {
		f->first = (f->first + 1) % FEED_CHUNKS;
		f->count--;
		pthread_cond_signal(&f->changed);
	}
	while (f->count == 0 && !f->ended)
		pthread_cond_wait(&f->changed, &f->lock);
	f->holding = f->count > 0;
	if (f->holding) {
		*bytes = f->ring[f->first].bytes;
		*n = f->ring[f->first].len;
		*taken = f->ring[f->first].taken;
	} else {
		r = f->result;
		if (r < 0 && err)
			*err = f->error;
	}
	pthread_mutex_unlock(&f->lock);
	return r;
}

void feed_free(struct feed *f)
{
	if (f->started) {
		pthread_mutex_lock(&f->lock);
		f->stop = true;
		pthread_cond_signal(&f->changed);
		pthread_mutex_unlock(&f->lock);
		pthread_join(f->thread, NULL);
	}
	for (unsigned i = 0; i < FEED_CHUNKS; i++)
		free(f->ring[i].bytes);
	if (f->d)
		decompress_free(f->d);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
}
