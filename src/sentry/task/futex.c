/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/futex.c - futex(2): wait, wake, requeue
 *
 *	the word's key and place (mm/user.h) -> bucket -> compare and queue -> sleep
 *	                                        bucket -> unqueue -> wake
 *
 * PI futexes are in futex_pi.c, what happens at a task's end in robust.c. Requeueing to PI futexes
 * is deliberately absent: no C library uses it any more.
 */
#include "sentry/task/futex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "sentry/mm/user.h"
#include "sentry/task/futex_queue.h"
#include "sentry/task/internal.h"
#include "sentry/task/timer.h"

/* A deadline of the guest, as wait_sleep() wants it */
struct futex_time {
	bool set;
	clockid_t clock;
	uint64_t until; /* nanoseconds of clock */
};

static usec_t futex_deadline(const struct futex_time *time)
{
	uint64_t now, left;

	if (!time->set)
		return USEC_INFINITY;
	now = clock_nanoseconds(time->clock);
	left = time->until > now ? time->until - now : 0;
	return deadline_in(left / 1000 + (left % 1000 != 0));
}

/* Return: 0, -EFAULT, -EINVAL */
static int futex_time_read(struct task *task, uint64_t addr, bool relative, clockid_t clock,
			   struct futex_time *time)
{
	struct timespec ts;
	uint64_t now;

	*time = (struct futex_time){ .set = addr, .clock = clock };
	if (!addr)
		return 0;
	if (user_read(task->mm, &ts, addr, sizeof(ts)))
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= 1000000000)
		return -EINVAL;
	time->until = ts.tv_sec >= INT64_MAX / 1000000000 ?
			      INT64_MAX :
			      (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	if (!relative)
		return 0;
	now = clock_nanoseconds(clock);
	time->until = time->until > INT64_MAX - now ? INT64_MAX : time->until + now;
	return 0;
}

/* Queue if the word still says @value. Return: 0, -EAGAIN, -EFAULT, -EINVAL */
static int futex_enqueue(struct task *task, uint64_t addr, bool shared, uint32_t value,
			 struct futex_waiter *waiter)
{
	struct futex_bucket *bucket;
	struct user_word word;
	int r;

	if (addr % sizeof(uint32_t))
		return -EINVAL;
	r = user_word_get(task->mm, addr, 0, shared, &word);
	if (r)
		return r;
	bucket = futex_bucket(&word.key);
	pthread_mutex_lock(&bucket->lock);
	if (atomic_load(word.word) == value) {
		waiter->key = word.key;
		waiter->task = task;
		futex_queue(bucket, waiter);
	} else {
		r = -EAGAIN;
	}
	pthread_mutex_unlock(&bucket->lock);
	user_word_put(&word);
	return r;
}

/* Return: 0 woken, -EAGAIN, -ETIMEDOUT, -ERESTARTSYS, -EFAULT, -EINVAL */
static int futex_wait(struct task *task, uint64_t addr, bool shared, uint32_t value, uint32_t bits,
		      const struct futex_time *time)
{
	struct futex_waiter waiter = { .bits = bits };
	struct wait wait;
	int r;

	if (!bits)
		return -EINVAL;
	wait_begin(&wait, task);
	r = futex_enqueue(task, addr, shared, value, &waiter);
	if (r)
		return r;
	while (!r && !futex_woken(&waiter)) {
		r = wait_sleep(&wait, futex_deadline(time));
		wait_reset(&wait);
		if (r == -ETIMEDOUT && clock_nanoseconds(time->clock) < time->until)
			r = 0; /* the clock was set back */
	}
	wait_end(&wait);
	/* Who was woken was woken, whatever else happened */
	return futex_dequeue(&waiter) ? r : 0;
}

/* restart_args: address, value, bits, shared, clock, until */
static long futex_wait_restart(struct task *task)
{
	const uint64_t *a = task->restart_args;
	const struct futex_time time = { true, (clockid_t)a[4], a[5] };
	int r = futex_wait(task, a[0], a[3], (uint32_t)a[1], (uint32_t)a[2], &time);

	if (r != -ERESTARTSYS)
		return r;
	task->restart = futex_wait_restart;
	return -ERESTART_RESTARTBLOCK;
}

static long futex_wait_timed(struct task *task, uint64_t addr, bool shared, uint32_t value,
			     uint32_t bits, const struct futex_time *time)
{
	uint64_t *a = task->restart_args;

	if (!time->set)
		return futex_wait(task, addr, shared, value, bits, time);
	a[0] = addr;
	a[1] = value;
	a[2] = bits;
	a[3] = shared;
	a[4] = (uint64_t)time->clock;
	a[5] = time->until;
	return futex_wait_restart(task);
}

/* @bucket locked */
static long futex_wake_key(struct futex_bucket *bucket, const struct user_key *key, unsigned max,
			   uint32_t bits, struct futex_batch *batch)
{
	struct futex_waiter *next;
	long woken = 0;

	for (struct futex_waiter *w = bucket->first; w && woken < max; w = next) {
		next = w->next;
		if (!futex_same(&w->key, key) || !(w->bits & bits))
			continue;
		if (w->pi)
			return -EINVAL;
		futex_batch_add(batch, w);
		woken++;
	}
	return woken;
}

long futex_wake(struct mm *mm, uint64_t addr, bool shared, unsigned max, uint32_t bits)
{
	struct futex_batch batch = { .n = 0 };
	struct futex_bucket *bucket;
	struct user_word word;
	long r;

	if (addr % sizeof(uint32_t) || !bits)
		return -EINVAL;
	r = user_word_get(mm, addr, 0, shared, &word);
	if (r)
		return r;
	bucket = futex_bucket(&word.key);
	pthread_mutex_lock(&bucket->lock);
	r = futex_wake_key(bucket, &word.key, max, bits, &batch);
	pthread_mutex_unlock(&bucket->lock);
	user_word_put(&word);
	futex_batch_wake(&batch);
	return r;
}

/* Wake @wake of those on @from, and let @move wait on @to from now on. Both locked. */
static long futex_move(struct futex_bucket *from, const struct user_key *from_key,
		       struct futex_bucket *to, const struct user_key *to_key, unsigned wake,
		       unsigned move, struct futex_batch *batch)
{
	struct futex_waiter *next;
	unsigned woken = 0, moved = 0;

	for (struct futex_waiter *w = from->first; w && (woken < wake || moved < move); w = next) {
		next = w->next;
		if (!futex_same(&w->key, from_key))
			continue;
		if (w->pi)
			return -EINVAL;
		if (woken < wake) {
			futex_batch_add(batch, w);
			woken++;
		} else {
			if (!futex_same(from_key, to_key))
				futex_requeue(w, to, to_key);
			moved++;
		}
	}
	return (long)woken + moved;
}

struct futex_pair {
	struct user_word first, second;
};

static void futex_pair_put(struct futex_pair *pair)
{
	user_word_put(&pair->first);
	user_word_put(&pair->second);
}

static int futex_pair_get(struct task *task, uint64_t first, uint64_t second, bool shared,
			  bool write, struct futex_pair *pair)
{
	int r;

	if (first % sizeof(uint32_t) || second % sizeof(uint32_t))
		return -EINVAL;
	r = user_word_get(task->mm, first, 0, shared, &pair->first);
	if (r)
		return r;
	r = user_word_get(task->mm, second, write, shared, &pair->second);
	if (r)
		user_word_put(&pair->first);
	return r;
}

/* @expected: NULL for FUTEX_REQUEUE */
static long futex_requeue_call(struct task *task, const uint64_t args[6], bool shared,
			       const uint32_t *expected)
{
	struct futex_batch batch = { .n = 0 };
	struct futex_bucket *from, *to;
	struct futex_pair pair;
	long r;

	if ((int32_t)args[2] < 0 || (int32_t)args[3] < 0)
		return -EINVAL;
	r = futex_pair_get(task, args[0], args[4], shared, false, &pair);
	if (r)
		return r;
	from = futex_bucket(&pair.first.key);
	to = futex_bucket(&pair.second.key);
	futex_lock_two(from, to);
	if (expected && atomic_load(pair.first.word) != *expected)
		r = -EAGAIN;
	else
		r = futex_move(from, &pair.first.key, to, &pair.second.key, (unsigned)args[2],
			       (unsigned)args[3], &batch);
	futex_unlock_two(from, to);
	futex_pair_put(&pair);
	futex_batch_wake(&batch);
	return r;
}

/* What FUTEX_WAKE_OP does to a word. Return: 0 with the old value, -ENOSYS */
static int futex_operate(_Atomic uint32_t *word, uint32_t op, uint32_t arg, uint32_t *old)
{
	switch (op) {
	case FUTEX_OP_SET:
		*old = atomic_exchange(word, arg);
		return 0;
	case FUTEX_OP_ADD:
		*old = atomic_fetch_add(word, arg);
		return 0;
	case FUTEX_OP_OR:
		*old = atomic_fetch_or(word, arg);
		return 0;
	case FUTEX_OP_ANDN:
		*old = atomic_fetch_and(word, ~arg);
		return 0;
	case FUTEX_OP_XOR:
		*old = atomic_fetch_xor(word, arg);
		return 0;
	default:
		return -ENOSYS;
	}
}

/* Return: 0 or 1, -ENOSYS */
static int futex_compare(uint32_t cmp, int32_t old, int32_t arg)
{
	switch (cmp) {
	case FUTEX_OP_CMP_EQ:
		return old == arg;
	case FUTEX_OP_CMP_NE:
		return old != arg;
	case FUTEX_OP_CMP_LT:
		return old < arg;
	case FUTEX_OP_CMP_LE:
		return old <= arg;
	case FUTEX_OP_CMP_GT:
		return old > arg;
	case FUTEX_OP_CMP_GE:
		return old >= arg;
	default:
		return -ENOSYS;
	}
}

static int32_t futex_signed12(uint32_t value)
{
	return (int32_t)(value << 20) >> 20;
}

static long futex_wake_op(struct task *task, const uint64_t args[6], bool shared)
{
	uint32_t op = (uint32_t)args[5], old, value = (uint32_t)futex_signed12(op >> 12 & 0xfff);
	struct futex_batch batch = { .n = 0 };
	struct futex_bucket *a, *b;
	struct futex_pair pair;
	long r, more;

	if (op >> 28 & FUTEX_OP_OPARG_SHIFT)
		value = UINT32_C(1) << (value & 31);
	r = futex_pair_get(task, args[0], args[4], shared, true, &pair);
	if (r)
		return r;
	a = futex_bucket(&pair.first.key);
	b = futex_bucket(&pair.second.key);
	futex_lock_two(a, b);
	r = futex_operate(pair.second.word, op >> 28 & 7, value, &old);
	if (!r) {
		more = futex_compare(op >> 24 & 15, (int32_t)old, futex_signed12(op & 0xfff));
		r = futex_wake_key(a, &pair.first.key, (unsigned)args[2], UINT32_MAX, &batch);
		if (more > 0 && r >= 0)
			more = futex_wake_key(b, &pair.second.key, (unsigned)args[3], UINT32_MAX,
					      &batch);
		r = r < 0 ? r : more < 0 ? more : r + more;
	}
	futex_unlock_two(a, b);
	futex_pair_put(&pair);
	futex_batch_wake(&batch);
	return r;
}

static long futex_wait_call(struct task *task, const uint64_t args[6], bool shared, bool bitset,
			    clockid_t clock)
{
	struct futex_time time;
	int r = futex_time_read(task, args[3], !bitset, clock, &time);

	return r ? r :
		   futex_wait_timed(task, args[0], shared, (uint32_t)args[2],
				    bitset ? (uint32_t)args[5] : FUTEX_BITSET_MATCH_ANY, &time);
}

static long futex_lock_call(struct task *task, const uint64_t args[6], bool shared,
			    clockid_t clock)
{
	struct futex_time time;
	int r = futex_time_read(task, args[3], false, clock, &time);

	return r ? r : futex_pi_lock(task, args[0], shared, false, futex_deadline(&time));
}

long futex_call(struct task *task, const uint64_t args[6])
{
	uint32_t op = (uint32_t)args[1], cmd = op & FUTEX_CMD_MASK, expected = (uint32_t)args[5];
	clockid_t clock = op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
	bool shared = !(op & FUTEX_PRIVATE_FLAG);

	if ((op & FUTEX_CLOCK_REALTIME) && cmd != FUTEX_WAIT && cmd != FUTEX_WAIT_BITSET &&
	    cmd != FUTEX_LOCK_PI2)
		return -ENOSYS;
	switch (cmd) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		return futex_wait_call(task, args, shared, cmd == FUTEX_WAIT_BITSET, clock);
	case FUTEX_WAKE:
		return futex_wake(task->mm, args[0], shared, (unsigned)args[2],
				  FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAKE_BITSET:
		return futex_wake(task->mm, args[0], shared, (unsigned)args[2], expected);
	case FUTEX_REQUEUE:
		return futex_requeue_call(task, args, shared, NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue_call(task, args, shared, &expected);
	case FUTEX_WAKE_OP:
		return futex_wake_op(task, args, shared);
	case FUTEX_LOCK_PI:
		return futex_lock_call(task, args, shared, CLOCK_REALTIME);
	case FUTEX_LOCK_PI2:
		return futex_lock_call(task, args, shared, clock);
	case FUTEX_TRYLOCK_PI:
		return futex_pi_lock(task, args[0], shared, true, USEC_INFINITY);
	case FUTEX_UNLOCK_PI:
		return futex_pi_unlock(task, args[0], shared);
	default:
		return -ENOSYS;
	}
}

/* --- futex_waitv --- */

#define WAITV_MAX   FUTEX_WAITV_MAX
#define WAITV_FLAGS (FUTEX_32 | FUTEX_PRIVATE_FLAG)

static int waitv_enqueue(struct task *task, const struct futex_waitv *v, unsigned n,
			 struct futex_waiter *waiters)
{
	for (unsigned i = 0; i < n; i++) {
		int r;

		waiters[i].bits = FUTEX_BITSET_MATCH_ANY;
		r = futex_enqueue(task, v[i].uaddr, !(v[i].flags & FUTEX_PRIVATE_FLAG),
				  (uint32_t)v[i].val, &waiters[i]);
		if (r)
			return r;
	}
	return 0;
}

static bool waitv_any(struct futex_waiter *waiters, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (futex_woken(&waiters[i]))
			return true;
	return false;
}

static long waitv_wait(struct task *task, const struct futex_waitv *v, unsigned n,
		       struct futex_waiter *waiters, const struct futex_time *time)
{
	struct wait wait;
	long woken = -1;
	int r;

	wait_begin(&wait, task);
	r = waitv_enqueue(task, v, n, waiters);
	while (!r && !waitv_any(waiters, n)) {
		r = wait_sleep(&wait, futex_deadline(time));
		wait_reset(&wait);
		if (r == -ETIMEDOUT && clock_nanoseconds(time->clock) < time->until)
			r = 0;
	}
	for (unsigned i = 0; i < n; i++)
		if (waiters[i].task && !futex_dequeue(&waiters[i]))
			woken = i;
	wait_end(&wait);
	return woken >= 0 ? woken : r;
}

long futex_waitv(struct task *task, const uint64_t args[6])
{
	unsigned n = (unsigned)args[1];
	clockid_t clock = (clockid_t)args[4];
	struct futex_time time;
	autofree struct futex_waitv *v = NULL;
	autofree struct futex_waiter *waiters = NULL;
	long r;

	if ((uint32_t)args[2] || !n || n > WAITV_MAX || !args[0])
		return -EINVAL;
	if (args[3] && clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)
		return -EINVAL;
	r = futex_time_read(task, args[3], false, clock, &time);
	if (r)
		return r;
	v = malloc(n * sizeof(*v));
	waiters = calloc(n, sizeof(*waiters));
	if (!v || !waiters)
		return -ENOMEM;
	if (user_read(task->mm, v, args[0], n * sizeof(*v)))
		return -EFAULT;
	for (unsigned i = 0; i < n; i++)
		if ((v[i].flags & ~(uint32_t)WAITV_FLAGS) || v[i].__reserved ||
		    !(v[i].flags & FUTEX_32))
			return -EINVAL;
	return waitv_wait(task, v, n, waiters, &time);
}
