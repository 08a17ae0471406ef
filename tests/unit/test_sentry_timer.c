/* SPDX-License-Identifier: Apache-2.0 */
/* Timers go off in order, once, and never after they were called off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "sentry/task/timer.h"

#define FAR UINT64_C(3600000000000)
#define N   200

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fired = PTHREAD_COND_INITIALIZER;
static struct timer *order[N + 1];
static unsigned count;

static void note(struct timer *timer)
{
	pthread_mutex_lock(&lock);
	if (count <= N)
		order[count] = timer;
	count++;
	pthread_cond_signal(&fired);
	pthread_mutex_unlock(&lock);
}

static void wait_count(unsigned n)
{
	pthread_mutex_lock(&lock);
	while (count < n)
		pthread_cond_wait(&fired, &lock);
	pthread_mutex_unlock(&lock);
}

static int setup(void **state)
{
	(void)state;
	count = 0;
	return timers_start(NULL);
}

static int teardown(void **state)
{
	(void)state;
	timers_stop();
	return 0;
}

static void test_order(void **state)
{
	static struct timer timers[N];
	static uint64_t when[N];
	uint64_t start, ahead = 20000000;
	unsigned seed = 1;

	(void)state;
	do { /* All of them are armed before the first is due. */
		start = clock_nanoseconds(CLOCK_MONOTONIC) + ahead;
		for (int i = 0; i < N; i++)
			timer_cancel(&timers[i]);
		count = 0;
		for (int i = 0; i < N; i++) {
			timers[i] = (struct timer){ .fn = note };
			when[i] = start + (uint64_t)(rand_r(&seed) % 100) * 1000;
			assert_int_equal(timer_arm(&timers[i], CLOCK_MONOTONIC, FAR + start), 0);
		}
		for (int i = 0; i < N; i++) /* once more, to another time */
			assert_int_equal(timer_arm(&timers[i], CLOCK_MONOTONIC, when[i]), 0);
		ahead *= 2;
	} while (clock_nanoseconds(CLOCK_MONOTONIC) >= start);
	wait_count(N);
	for (int i = 1; i < N; i++)
		assert_true(when[order[i - 1] - timers] <= when[order[i] - timers]);
	assert_int_equal(count, N);
}

static void test_cancel(void **state)
{
	static struct timer timers[N];
	uint64_t now = clock_nanoseconds(CLOCK_MONOTONIC);
	unsigned seed = 7;

	(void)state;
	for (int i = 0; i < N; i++) {
		timers[i] = (struct timer){ .fn = note };
		assert_int_equal(timer_arm(&timers[i], CLOCK_BOOTTIME,
					   now + FAR + (uint64_t)(rand_r(&seed) % 1000)), 0);
	}
	for (int i = 0; i < N; i += 2)
		timer_cancel(&timers[i]);
	for (int i = 0; i < N; i += 2)
		timer_cancel(&timers[i]); /* nothing to call off */
	for (int i = 1; i < N; i += 2)
		assert_int_equal(timer_arm(&timers[i], CLOCK_MONOTONIC, 1), 0);
	wait_count(N / 2);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal((order[i] - timers) % 2, 1);
	assert_int_equal(timer_arm(&timers[1], CLOCK_REALTIME, 1), 0);
	wait_count(N / 2 + 1);
	assert_int_equal(timer_arm(&timers[1], CLOCK_MONOTONIC, 0), 0);
}

/* A callback may arm its timer again, and free it. */

static void again(struct timer *timer)
{
	pthread_mutex_lock(&lock);
	count++;
	pthread_cond_signal(&fired);
	pthread_mutex_unlock(&lock);
	if (count < 100)
		timer_arm(timer, CLOCK_MONOTONIC, 1);
}

static void test_again(void **state)
{
	struct timer timer = { .fn = again };

	(void)state;
	assert_int_equal(timer_arm(&timer, CLOCK_MONOTONIC, 1), 0);
	wait_count(100);
	timer_cancel(&timer);
	assert_int_equal(count, 100);
}

static void freeing(struct timer *timer)
{
	timer_cancel(timer); /* from itself: does not wait */
	free(timer);
	note(NULL);
}

static void test_freeing(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		struct timer *timer = calloc(1, sizeof(*timer));

		assert_non_null(timer);
		timer->fn = freeing;
		assert_int_equal(timer_arm(timer, CLOCK_MONOTONIC, 1), 0);
	}
	wait_count(100);
}

/* After timer_cancel() the callback does not run, even one that arms again while it is waited for. */

static atomic_int running;

static void restless(struct timer *timer)
{
	atomic_fetch_add(&running, 1);
	sched_yield();
	timer_arm(timer, CLOCK_MONOTONIC, 1);
	atomic_fetch_sub(&running, 1);
	note(timer);
}

static void test_cancel_running(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		struct timer timer = { .fn = restless };
		unsigned before;

		count = 0;
		assert_int_equal(timer_arm(&timer, CLOCK_MONOTONIC, 1), 0);
		wait_count(2);
		timer_cancel(&timer);
		assert_int_equal(atomic_load(&running), 0);
		before = count;
		sched_yield();
		assert_int_equal(count, before);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order), TEST(test_cancel), TEST(test_again), TEST(test_freeing),
		TEST(test_cancel_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
