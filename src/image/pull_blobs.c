/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/pull_blobs.c - blobs are fetched, and a root file system is built of them meanwhile
 *
 *	caller's thread   parts opened --> registry_fetch() --> each committed when it is whole
 *	builder's thread  waits for the configuration, then for each layer from the bottom up
 *
 * Whoever fails first makes the other give up, and its error counts.
 *
 * Parts are held while they are written, and who else wants one waits.  So that
 * two pulls never wait for each other, each opens its parts in the order of
 * their digests, as many as are fetched in one go, and has given back all of
 * them before it opens the next.  The builder waits for blobs, but nobody who
 * holds a part waits for a builder.
 */
#include <string.h>

#include "base/thread.h"
#include "image/blobset.h"
#include "image/pull_internal.h"
#include "image/rootfs.h"

#define PULL_BATCH 64 /* parts that are open at once */

/* What there is to fetch, by its number in the blobset. */
struct pull_item {
	struct store_part *part; /* owned, while it is fetched */
	bool here;		 /* below the lock */
};

struct pull_state {
	struct pull *p;
	struct blobset set;
	struct pull_item *items;  /* owned */
	size_t batch[PULL_BATCH]; /* what registry_fetch() numbers */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool failed;
	struct coffer_error build_err;
	int build_result;
};

/* Of a manifest that is here, all is. The main one comes first: it is waited for. */
static int pull_list(struct pull_state *s, struct coffer_error *err)
{
	const struct pull *p = s->p;
	int r = 0;

	if (p->main >= 0 && !p->manifests[p->main].here)
		r = blobset_add(&s->set, &p->manifests[p->main].manifest, err);
	for (size_t i = 0; i < p->nmanifests && r == 0; i++)
		if ((ssize_t)i != p->main && !p->manifests[i].here)
			r = blobset_add(&s->set, &p->manifests[i].manifest, err);
	if (r == 0)
		r = blobset_seal(&s->set, err);
	if (r < 0)
		return r;
	s->items = calloc(s->set.count + 1, sizeof(*s->items));
	return s->items ? 0 : err_nomem(err);
}

/* ---- fetching ---- */

static void pull_set_here(struct pull_state *s, size_t number)
{
	pthread_mutex_lock(&s->lock);
	s->items[number].here = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static int pull_done(void *data, size_t number, struct coffer_error *err)
{
	struct pull_state *s = data;
	struct pull_item *item = &s->items[s->batch[number]];
	int r = store_part_commit(item->part, NULL, NULL, err);

	store_part_close(steal_ptr(item->part));
	if (r == 0)
		pull_set_here(s, s->batch[number]);
	return r;
}

static int pull_open_part(struct pull_state *s, size_t number, struct coffer_error *err)
{
	struct store *store = s->p->images->store;
	const struct descriptor *d = s->set.list[number];
	int r = store_lease_add(s->p->lease, &d->digest, err);

	if (r == 0)
		r = store_part_open(store, &d->digest, d->size, s->p->progress.cancel_fd,
				    &s->items[number].part, err);
	if (r > 0) {
		progress_tell(&s->p->progress, COFFER_PROGRESS_BLOB_HAVE, d->digest.text, d->size,
			      d->size);
		pull_set_here(s, number);
	}
	return r < 0 ? err_wrap(err, "blob %s", d->digest.text) : 0;
}

/* Blobs from @first on, up to @end; their parts are opened by digest. */
static int pull_open_parts(struct pull_state *s, size_t first, size_t end, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; i < s->set.count && r == 0; i++)
		if (s->set.sorted[i] >= first && s->set.sorted[i] < end)
			r = pull_open_part(s, s->set.sorted[i], err);
	return r;
}

static int pull_fetch_batch(struct pull_state *s, size_t first, size_t end,
			    struct coffer_error *err)
{
	struct registry_blob blobs[PULL_BATCH];
	size_t count = 0;
	int r = pull_open_parts(s, first, end, err);

	for (size_t i = first; i < end && r == 0; i++) {
		if (!s->items[i].part)
			continue;
		s->batch[count] = i;
		blobs[count++] = (struct registry_blob){ s->set.list[i], s->items[i].part };
	}
	if (r == 0 && count > 0)
		r = registry_fetch(s->p->registry, blobs, count, pull_done, s, err);
	for (size_t i = first; i < end; i++)
		if (s->items[i].part)
			store_part_close(steal_ptr(s->items[i].part));
	return r;
}

static int pull_fetch(struct pull_state *s, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; i < s->set.count && r == 0; i += PULL_BATCH) {
		size_t left = s->set.count - i;

		r = pull_fetch_batch(s, i, i + (left < PULL_BATCH ? left : PULL_BATCH), err);
	}
	return r;
}

/* ---- building ---- */

static int pull_await(struct pull_state *s, const struct digest *d, struct coffer_error *err)
{
	ssize_t number = blobset_find(&s->set, d);
	bool here;

	if (number < 0)
		return 0;
	pthread_mutex_lock(&s->lock);
	while (!s->items[number].here && !s->failed)
		pthread_cond_wait(&s->changed, &s->lock);
	here = s->items[number].here;
	pthread_mutex_unlock(&s->lock);
	return here ? 0 : err_set(err, COFFER_ERR_CANCELLED, 0, "blob %s did not come", d->text);
}

static int pull_await_layer(void *data, size_t layer, struct coffer_error *err)
{
	struct pull_state *s = data;

	return pull_await(s, &s->p->manifests[s->p->main].manifest.layers[layer].digest, err);
}

/* An image without an index says only here what it is for. */
static int pull_check_platform(const struct pull *p, const struct image_config *config,
			       struct coffer_error *err)
{
	struct descriptor d = p->manifests[p->main].self;
	const struct index one = { .list = &d, .count = 1 };
	int r;

	if (!p->progress.how.platform)
		return 0;
	d.has_platform = true;
	d.platform = config->platform;
	r = index_choose(&one, &p->want, err);
	return r < 0 ? r : 0;
}

static int pull_build(struct pull_state *s, struct coffer_error *err)
{
	struct pull *p = s->p;
	const struct manifest *m = &p->manifests[p->main].manifest;
	CLEANUP(image_config_free) struct image_config config = { 0 };
	const struct rootfs_job job = {
		.images = p->images,
		.lease = p->lease,
		.manifest = m,
		.config = &config,
		.what = p->what,
		.progress = &p->progress,
		.await = pull_await_layer,
		.data = s,
	};
	autofree char *path = NULL;
	int r = pull_await(s, &m->config.digest, err);

	if (r == 0)
		r = image_load_config(p->images, m, &config, err);
	if (r == 0)
		r = pull_check_platform(p, &config, err);
	/* Of other systems' images there is no root file system to be made. */
	if (r < 0 || strcmp(config.platform.os, "linux") != 0)
		return r;
	return rootfs_build(&job, &path, err);
}

static void *pull_build_thread(void *data)
{
	struct pull_state *s = data;

	s->build_result = pull_build(s, &s->build_err);
	if (s->build_result < 0)
		progress_cancel(&s->p->progress);
	return NULL;
}

static void pull_fail(struct pull_state *s)
{
	progress_cancel(&s->p->progress);
	pthread_mutex_lock(&s->lock);
	s->failed = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static int pull_fetch_and_build(struct pull_state *s, struct coffer_error *err)
{
	pthread_t builder = { 0 };
	int r = s->p->main >= 0 ? thread_start(&builder, 0, pull_build_thread, s) : 0;

	if (r < 0)
		return err_sysn(err, r, "start a thread");
	r = pull_fetch(s, err);
	if (r < 0)
		pull_fail(s);
	if (s->p->main < 0)
		return r;
	pthread_join(builder, NULL);
	/* Who gave up because of the other does not count. */
	if (s->build_result < 0 && (r == 0 || s->build_err.kind != COFFER_ERR_CANCELLED)) {
		r = s->build_result;
		if (err)
			*err = s->build_err;
	}
	return r;
}

int pull_blobs(struct pull *p, struct coffer_error *err)
{
	struct pull_state s = {
		.p = p,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
	int r = pull_list(&s, err);

	if (r == 0)
		r = pull_fetch_and_build(&s, err);
	free(s.items);
	blobset_free(&s.set);
	return r;
}
