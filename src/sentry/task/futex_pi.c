/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/futex_pi.c - futexes that have an owner
 *
 * The word holds its owner's number. Who unlocks writes the number of the first that waits, which
 * so owns it before it has woken up. Priorities are not inherited: there are none here, and waiters
 * are served in order.
 *
 * An owner that ends wakes all that wait for its words (futex_pi_abandon()); the first of them to
 * look takes the word, marked FUTEX_OWNER_DIED. So nobody touches a word but through its own
 * address space.
 */
#include <errno.h>
#include <linux/futex.h>

#include "sentry/mm/user.h"
#include "sentry/task/futex_queue.h"
#include "sentry/task/internal.h"
#include "sentry/task/task.h"

static _Atomic unsigned futex_pi_waiters;

/* Who the word says has it: a reference in *@owner, NULL if there is nobody of that number */
static int pi_owner(struct task *task, uint32_t value, struct task **owner)
{
	int tid = (int)(value & FUTEX_TID_MASK);

	*owner = NULL;
	if (!tid)
		return 0;
	if (tid == task->tid)
		return -EDEADLK;
	pthread_mutex_lock(&kernel.tasks_lock);
	*owner = task_find(task->process->container, tid);
	if (*owner)
		task_get(*owner);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return 0;
}

static bool pi_has_waiters(const struct futex_bucket *bucket, const struct user_key *key)
{
	for (const struct futex_waiter *w = bucket->first; w; w = w->next)
		if (w->pi && futex_same(&w->key, key))
			return true;
	return false;
}

/*
 * Bucket locked. @value: what the word said when @owner was looked up; @orphan: its owner is known
 * to be gone. Return: 0 taken, -EINPROGRESS queued, -EAGAIN the word has changed, -ESRCH nobody has
 * the number in it, -EBUSY it is owned and @try
 */
static int pi_lock_locked(struct task *task, struct futex_bucket *bucket, struct user_word *word,
			  uint32_t value, struct task *owner, bool orphan, bool try,
			  struct futex_waiter *waiter)
{
	uint32_t next = (uint32_t)task->tid | (value & FUTEX_OWNER_DIED);

	if (owner && atomic_load(&owner->futexes_left))
		orphan = true;
	if (!(value & FUTEX_TID_MASK) || orphan) {
		if (orphan)
			next |= FUTEX_OWNER_DIED;
		if (pi_has_waiters(bucket, &word->key))
			next |= FUTEX_WAITERS;
		return atomic_compare_exchange_strong(word->word, &value, next) ? 0 : -EAGAIN;
	}
	if (!owner)
		return atomic_load(word->word) == value ? -ESRCH : -EAGAIN;
	if (try)
		return atomic_load(word->word) == value ? -EBUSY : -EAGAIN;
	if (!atomic_compare_exchange_strong(word->word, &value, value | FUTEX_WAITERS))
		return -EAGAIN;
	*waiter = (struct futex_waiter){ .key = word->key, .task = task, .pi = true,
					 .owner = owner, .bits = UINT32_MAX };
	atomic_fetch_add(&futex_pi_waiters, 1);
	futex_queue(bucket, waiter);
	return -EINPROGRESS;
}

static int pi_lock_try(struct task *task, uint64_t addr, bool shared, bool try,
		       uint32_t *orphan, struct futex_waiter *waiter)
{
	struct futex_bucket *bucket;
	struct user_word word;
	struct task *owner;
	uint32_t value;
	int r = user_word_get(task->mm, addr, 1, shared, &word);

	if (r)
		return r;
	value = atomic_load(word.word);
	r = pi_owner(task, value, &owner);
	if (!r) {
		bucket = futex_bucket(&word.key);
		pthread_mutex_lock(&bucket->lock);
		r = pi_lock_locked(task, bucket, &word, value, owner,
				   !owner && *orphan && (value & FUTEX_TID_MASK) == *orphan, try,
				   waiter);
		pthread_mutex_unlock(&bucket->lock);
		*orphan = value & FUTEX_TID_MASK;
	}
	task_put(owner);
	user_word_put(&word);
	return r;
}

/* Return: 0 it is ours, -EAGAIN look again, -ETIMEDOUT, -ERESTARTNOINTR */
static int pi_sleep(struct wait *wait, usec_t deadline, struct futex_waiter *waiter)
{
	int r = 0;

	while (!r && !futex_woken(waiter)) {
		r = wait_sleep(wait, deadline);
		wait_reset(wait);
	}
	if (!futex_dequeue(waiter))
		r = waiter->abandoned ? -EAGAIN : 0;
	atomic_fetch_sub(&futex_pi_waiters, 1);
	return r == -ERESTARTSYS ? -ERESTARTNOINTR : r;
}

long futex_pi_lock(struct task *task, uint64_t addr, bool shared, bool try, uint64_t deadline)
{
	struct futex_waiter waiter;
	uint32_t orphan = 0;
	struct wait wait;
	int r;

	if (addr % sizeof(uint32_t))
		return -EINVAL;
	wait_begin(&wait, task);
	do {
		if (atomic_load(&task->interrupted) && task_must_end(task)) {
			r = -ERESTARTNOINTR;
			break;
		}
		wait_reset(&wait);
		r = pi_lock_try(task, addr, shared, try, &orphan, &waiter);
		if (r == -EINPROGRESS)
			r = pi_sleep(&wait, deadline, &waiter);
		else if (r != -EAGAIN)
			orphan = 0;
	} while (r == -EAGAIN);
	wait_end(&wait);
	return r == -EBUSY ? -EAGAIN : r;
}

/* Bucket locked. The one that is to have it next, and what the word then says */
static struct futex_waiter *pi_heir(struct futex_bucket *bucket, const struct user_key *key)
{
	for (struct futex_waiter *w = bucket->first; w; w = w->next)
		if (w->pi && futex_same(&w->key, key))
			return w;
	return NULL;
}

static int pi_unlock_locked(struct task *task, struct futex_bucket *bucket, struct user_word *word,
			    struct futex_batch *batch)
{
	uint32_t value = atomic_load(word->word), next = 0;
	struct futex_waiter *heir;

	if ((value & FUTEX_TID_MASK) != (uint32_t)task->tid)
		return -EPERM;
	heir = pi_heir(bucket, &word->key);
	if (heir)
		next = FUTEX_WAITERS | (uint32_t)heir->task->tid;
	if (!atomic_compare_exchange_strong(word->word, &value, next))
		return -EAGAIN;
	if (!heir)
		return 0;
	for (struct futex_waiter *w = bucket->first; w; w = w->next)
		if (w->pi && futex_same(&w->key, &word->key))
			w->owner = heir->task;
	futex_batch_add(batch, heir);
	return 0;
}

long futex_pi_unlock(struct task *task, uint64_t addr, bool shared)
{
	struct futex_batch batch = { .n = 0 };
	struct futex_bucket *bucket;
	struct user_word word;
	int r;

	if (addr % sizeof(uint32_t))
		return -EINVAL;
	r = user_word_get(task->mm, addr, 1, shared, &word);
	if (r)
		return r;
	bucket = futex_bucket(&word.key);
	pthread_mutex_lock(&bucket->lock);
	/* Another thread of the guest may write to the word all the time: not for ever */
	for (int i = 0; i < 1000; i++) {
		r = pi_unlock_locked(task, bucket, &word, &batch);
		if (r != -EAGAIN)
			break;
	}
	pthread_mutex_unlock(&bucket->lock);
	user_word_put(&word);
	futex_batch_wake(&batch);
	return r;
}

void futex_pi_abandon(struct task *task)
{
	struct futex_batch batch = { .n = 0 };

	atomic_store(&task->futexes_left, true);
	for (unsigned i = 0; i < FUTEX_BUCKETS && atomic_load(&futex_pi_waiters); i++) {
		struct futex_bucket *bucket = futex_bucket_at(i);
		struct futex_waiter *next;

		pthread_mutex_lock(&bucket->lock);
		for (struct futex_waiter *w = bucket->first; w; w = next) {
			next = w->next;
			if (!w->pi || w->owner != task)
				continue;
			w->abandoned = true;
			futex_batch_add(&batch, w);
		}
		pthread_mutex_unlock(&bucket->lock);
	}
	futex_batch_wake(&batch);
}
