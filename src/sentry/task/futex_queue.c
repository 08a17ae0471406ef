/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/futex_queue.c - buckets of waiters
 *
 * A waiter is in the bucket of its word's key. Comparing the word and queueing happen under the
 * bucket's lock, and so does looking for waiters after a change of the word, which is all that
 * keeps a wake-up from being lost. A waiter that requeueing moves changes its bucket under both
 * locks; who takes it off looks which one it is.
 */
#include "sentry/task/futex_queue.h"

#include "sentry/task/task.h"

static struct futex_bucket futex_buckets[FUTEX_BUCKETS] = {
	[0 ... FUTEX_BUCKETS - 1] = { .lock = PTHREAD_MUTEX_INITIALIZER }
};

struct futex_bucket *futex_bucket(const struct user_key *key)
{
	uint64_t h = key->object * UINT64_C(0x9e3779b97f4a7c15) ^ key->offset;

	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return &futex_buckets[h >> 58];
}

struct futex_bucket *futex_bucket_at(unsigned index)
{
	return &futex_buckets[index];
}

void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	pthread_mutex_lock(a < b ? &a->lock : &b->lock);
	if (a != b)
		pthread_mutex_lock(a < b ? &b->lock : &a->lock);
}

void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	pthread_mutex_unlock(&a->lock);
	if (a != b)
		pthread_mutex_unlock(&b->lock);
}

void futex_queue(struct futex_bucket *bucket, struct futex_waiter *waiter)
{
	waiter->next = NULL;
	waiter->prev = bucket->last;
	if (bucket->last)
		bucket->last->next = waiter;
	else
		bucket->first = waiter;
	bucket->last = waiter;
	atomic_store(&waiter->bucket, bucket);
}

static void futex_unlink(struct futex_bucket *bucket, struct futex_waiter *waiter)
{
	if (waiter->prev)
		waiter->prev->next = waiter->next;
	else
		bucket->first = waiter->next;
	if (waiter->next)
		waiter->next->prev = waiter->prev;
	else
		bucket->last = waiter->prev;
}

void futex_unqueue(struct futex_waiter *waiter)
{
	futex_unlink(atomic_load(&waiter->bucket), waiter);
	atomic_store(&waiter->bucket, NULL); /* the last touch: it may return now */
}

void futex_requeue(struct futex_waiter *waiter, struct futex_bucket *to,
		   const struct user_key *key)
{
	futex_unlink(atomic_load(&waiter->bucket), waiter);
	waiter->key = *key;
	futex_queue(to, waiter);
}

bool futex_dequeue(struct futex_waiter *waiter)
{
	struct futex_bucket *bucket;

	while ((bucket = atomic_load(&waiter->bucket))) {
		pthread_mutex_lock(&bucket->lock);
		if (atomic_load(&waiter->bucket) == bucket) {
			futex_unqueue(waiter);
			pthread_mutex_unlock(&bucket->lock);
			return true;
		}
		pthread_mutex_unlock(&bucket->lock);
	}
	return false;
}

void futex_batch_wake(struct futex_batch *batch)
{
	for (unsigned i = 0; i < batch->n; i++) {
		task_wake(batch->tasks[i]);
		task_put(batch->tasks[i]);
	}
	batch->n = 0;
}

void futex_batch_add(struct futex_batch *batch, struct futex_waiter *waiter)
{
	if (batch->n == FUTEX_BATCH)
		futex_batch_wake(batch);
	batch->tasks[batch->n++] = task_get(waiter->task);
	futex_unqueue(waiter);
}
