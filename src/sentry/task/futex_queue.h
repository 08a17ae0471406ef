/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/futex_queue.h - who waits on which word; for the futex files of this room
 */
#ifndef SENTRY_TASK_FUTEX_QUEUE_H
#define SENTRY_TASK_FUTEX_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sentry/mm/user.h"

struct task;

#define FUTEX_BUCKETS 64

struct futex_waiter;

struct futex_bucket {
	pthread_mutex_t lock; /* a leaf, like that of a wait queue */
	struct futex_waiter *first, *last;
};

/* On the stack of who waits. */
struct futex_waiter {
	struct futex_waiter *prev, *next;
	struct futex_bucket *_Atomic bucket; /* NULL: woken, or never queued */
	struct user_key key;
	struct task *task;
	uint32_t bits;
	bool pi;	      /* is to own the word when it is woken */
	const struct task *owner; /* pi: who has it, which is not looked into */
	bool abandoned;	      /* pi: woken because the owner is gone */
};

struct futex_bucket *futex_bucket(const struct user_key *key);
struct futex_bucket *futex_bucket_at(unsigned index); /* below FUTEX_BUCKETS */
/* futex_lock_two() - Both, in the order that everybody takes them; they may be one */
void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b);
void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b);

static inline bool futex_same(const struct user_key *a, const struct user_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}

/* With the bucket's lock */
void futex_queue(struct futex_bucket *bucket, struct futex_waiter *waiter);
void futex_unqueue(struct futex_waiter *waiter);
/* futex_requeue() - To the end of another bucket, for another word. Both locked */
void futex_requeue(struct futex_waiter *waiter, struct futex_bucket *to,
		   const struct user_key *key);

/* futex_dequeue() - Off the queue if it still is there. Return: false: it was woken */
bool futex_dequeue(struct futex_waiter *waiter);

static inline bool futex_woken(struct futex_waiter *waiter)
{
	return !atomic_load(&waiter->bucket);
}

/* Those that are to be woken when the locks are gone: a woken waiter's memory may be gone at once,
 * so their tasks are held. */
#define FUTEX_BATCH 16

struct futex_batch {
	struct task *tasks[FUTEX_BATCH];
	unsigned n;
};

/* futex_batch_add() - Unqueue and note; a full batch wakes right away. Bucket locked */
void futex_batch_add(struct futex_batch *batch, struct futex_waiter *waiter);
void futex_batch_wake(struct futex_batch *batch);

/* --- futex_pi.c --- */

/* futex_pi_lock() - LOCK_PI (@try: TRYLOCK_PI). @deadline: of CLOCK_MONOTONIC in microseconds */
long futex_pi_lock(struct task *task, uint64_t addr, bool shared, bool try, uint64_t deadline);
long futex_pi_unlock(struct task *task, uint64_t addr, bool shared);
/* futex_pi_abandon() - @task ends: who waits for what it owned gets it, marked so */
void futex_pi_abandon(struct task *task);

#endif /* SENTRY_TASK_FUTEX_QUEUE_H */
