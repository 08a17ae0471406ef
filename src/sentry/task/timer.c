/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/timer.c - one thread with a heap of deadlines for each clock
 *
 *	timer_arm() -> heap of its clock -> the thread sleeps until the first of all -> fn()
 *
 * The realtime clock may be set: while a timer of it is armed, the thread looks at it every few
 * seconds. Callbacks run without the lock; timer_cancel() waits for one that runs.
 */
#include "sentry/task/timer.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/thread.h"

#define TIMER_STACK	 (64ul << 10)
#define TIMER_SECOND	 UINT64_C(1000000000)
#define TIMER_LOOK_AGAIN (10 * TIMER_SECOND)
#define TIMER_CLOCKS	 3

struct timer_heap {
	clockid_t clock;
	struct timer **v;
	unsigned n, cap;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed, idle; /* something is due earlier; a callback is over */
	struct timer_heap heaps[TIMER_CLOCKS];
	struct timer *running;
	pthread_t thread;
	bool started, stop;
} timers = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.idle = PTHREAD_COND_INITIALIZER,
	.heaps = { { .clock = CLOCK_MONOTONIC },
		   { .clock = CLOCK_REALTIME },
		   { .clock = CLOCK_BOOTTIME } },
};

uint64_t clock_nanoseconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * TIMER_SECOND + (uint64_t)ts.tv_nsec;
}

static struct timer_heap *timer_heap(clockid_t clock)
{
	for (unsigned i = 1; i < TIMER_CLOCKS; i++)
		if (timers.heaps[i].clock == clock)
			return &timers.heaps[i];
	return &timers.heaps[0];
}

static void timer_place(struct timer_heap *h, unsigned i, struct timer *timer)
{
	h->v[i] = timer;
	timer->index = i;
}

/* Where @timer belongs when place @i is free */
static void timer_sift(struct timer_heap *h, unsigned i, struct timer *timer)
{
	while (i && h->v[(i - 1) / 2]->when > timer->when) {
		timer_place(h, i, h->v[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		unsigned child = 2 * i + 1;

		if (child >= h->n)
			break;
		if (child + 1 < h->n && h->v[child + 1]->when < h->v[child]->when)
			child++;
		if (h->v[child]->when >= timer->when)
			break;
		timer_place(h, i, h->v[child]);
		i = child;
	}
	timer_place(h, i, timer);
}

static void timer_remove(struct timer *timer)
{
	struct timer_heap *h = timer_heap(timer->clock);
	struct timer *last;

	if (!timer->when)
		return;
	last = h->v[--h->n];
	if (last != timer)
		timer_sift(h, timer->index, last);
	timer->when = 0;
}

static int timer_insert(struct timer *timer, clockid_t clock, uint64_t when)
{
	struct timer_heap *h = timer_heap(clock);

	if (h->n == h->cap) {
		unsigned cap = h->cap ? h->cap * 2 : 16;
		struct timer **v = realloc(h->v, cap * sizeof(struct timer *));

		if (!v)
			return -ENOMEM;
		h->v = v;
		h->cap = cap;
	}
	timer->clock = h->clock;
	timer->when = when;
	timer_sift(h, h->n++, timer);
	return 0;
}

int timer_arm(struct timer *timer, clockid_t clock, uint64_t when)
{
	int r = 0;

	pthread_mutex_lock(&timers.lock);
	timer_remove(timer);
	if (when && !timer->cancelled) {
		r = timer_insert(timer, clock, when);
		if (!r && !timer->index)
			pthread_cond_signal(&timers.changed);
	}
	pthread_mutex_unlock(&timers.lock);
	return r;
}

void timer_cancel(struct timer *timer)
{
	pthread_mutex_lock(&timers.lock);
	timer_remove(timer);
	if (!pthread_equal(pthread_self(), timers.thread)) {
		timer->cancelled = true;
		while (timers.running == timer)
			pthread_cond_wait(&timers.idle, &timers.lock);
		timer->cancelled = false;
	}
	pthread_mutex_unlock(&timers.lock);
}

/* One that is due, out of its heap; else NULL, with *@wait the nanoseconds until there may be one,
 * 0: never */
static struct timer *timer_next(uint64_t *wait)
{
	*wait = 0;
	for (unsigned i = 0; i < TIMER_CLOCKS; i++) {
		struct timer_heap *h = &timers.heaps[i];
		struct timer *first = h->n ? h->v[0] : NULL;
		uint64_t now, left;

		if (!first)
			continue;
		now = clock_nanoseconds(h->clock);
		if (first->when <= now) {
			timer_remove(first);
			return first;
		}
		left = first->when - now;
		if (h->clock == CLOCK_REALTIME && left > TIMER_LOOK_AGAIN)
			left = TIMER_LOOK_AGAIN;
		if (!*wait || left < *wait)
			*wait = left;
	}
	return NULL;
}

static void timer_sleep(uint64_t wait)
{
	uint64_t until = clock_nanoseconds(CLOCK_MONOTONIC);
	struct timespec ts;

	if (!wait || wait > (uint64_t)INT64_MAX - until) {
		pthread_cond_wait(&timers.changed, &timers.lock);
		return;
	}
	until += wait;
	ts = (struct timespec){ (time_t)(until / TIMER_SECOND), (long)(until % TIMER_SECOND) };
	pthread_cond_timedwait(&timers.changed, &timers.lock, &ts);
}

static void *timer_main(void *data)
{
	(void)data;
	pthread_mutex_lock(&timers.lock);
	while (!timers.stop) {
		uint64_t wait;
		struct timer *timer = timer_next(&wait);

		if (!timer) {
			timer_sleep(wait);
			continue;
		}
		timers.running = timer;
		pthread_mutex_unlock(&timers.lock);
		timer->fn(timer); /* which may free it */
		pthread_mutex_lock(&timers.lock);
		timers.running = NULL;
		pthread_cond_broadcast(&timers.idle);
	}
	pthread_mutex_unlock(&timers.lock);
	return NULL;
}

int timers_start(struct coffer_error *err)
{
	pthread_condattr_t attr;
	int r;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&timers.changed, &attr);
	pthread_condattr_destroy(&attr);
	timers.stop = false;
	r = thread_start(&timers.thread, TIMER_STACK, timer_main, NULL);
	if (r)
		return err_sysn(err, r, "start the thread of timers");
	timers.started = true;
	return 0;
}

void timers_stop(void)
{
	if (!timers.started)
		return;
	pthread_mutex_lock(&timers.lock);
	timers.stop = true;
	pthread_cond_signal(&timers.changed);
	pthread_mutex_unlock(&timers.lock);
	pthread_join(timers.thread, NULL);
	timers.started = false;
	for (unsigned i = 0; i < TIMER_CLOCKS; i++) {
		free(timers.heaps[i].v);
		timers.heaps[i] = (struct timer_heap){ .clock = timers.heaps[i].clock };
	}
	pthread_cond_destroy(&timers.changed);
}
