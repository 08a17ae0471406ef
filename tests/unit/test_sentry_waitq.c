/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping and waking: who is woken, and that nobody sleeps through it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/thread.h"
#include "sentry/task/task.h"

#define TURNS 20000

static void task_here(struct task *task)
{
	memset(task, 0, sizeof(*task));
	task->host_tid = gettid();
}

/* --- entries --- */

struct counted {
	struct wait_entry entry;
	unsigned woken;
	bool counts;
};

static bool counted_wake(struct wait_entry *entry, uint32_t events)
{
	struct counted *c = (struct counted *)entry;

	(void)events;
	c->woken++;
	return c->counts;
}

static void counted_add(struct waitq *q, struct counted *c, uint32_t mask, bool exclusive)
{
	*c = (struct counted){ .entry = { .mask = mask, .exclusive = exclusive,
					  .wake = counted_wake }, .counts = true };
	waitq_add(q, &c->entry);
}

static void test_masks(void **state)
{
	struct waitq q;
	struct counted in, out;

	(void)state;
	waitq_init(&q);
	assert_true(waitq_empty(&q));
	counted_add(&q, &in, POLLIN, false);
	counted_add(&q, &out, POLLOUT, false);
	waitq_wake(&q, POLLIN);
	assert_int_equal(in.woken, 1);
	assert_int_equal(out.woken, 0);
	waitq_wake(&q, POLLHUP); /* whatever is asked for */
	assert_int_equal(in.woken, 2);
	assert_int_equal(out.woken, 1);
	waitq_remove(&in.entry);
	waitq_remove(&in.entry);
	waitq_wake(&q, POLLIN | POLLOUT);
	assert_int_equal(in.woken, 2);
	assert_int_equal(out.woken, 2);
	waitq_remove(&out.entry);
	assert_true(waitq_empty(&q));
	waitq_destroy(&q);
}

static void test_exclusive(void **state)
{
	struct waitq q;
	struct counted plain[2], one[3];

	(void)state;
	waitq_init(&q);
	counted_add(&q, &one[0], POLLIN, true);
	counted_add(&q, &plain[0], POLLIN, false);
	counted_add(&q, &one[1], POLLIN, true);
	counted_add(&q, &one[2], POLLIN, true);
	counted_add(&q, &plain[1], POLLIN, false);
	one[0].counts = false; /* it did not take it, so the next one is asked */
	waitq_wake(&q, POLLIN);
	assert_int_equal(one[0].woken, 1);
	assert_int_equal(one[1].woken, 1);
	assert_int_equal(one[2].woken, 0);
	assert_int_equal(plain[0].woken, 1);
	assert_int_equal(plain[1].woken, 1);
	assert_int_equal(waitq_wake_some(&q, POLLIN, 2), 2);
	assert_int_equal(one[0].woken, 2);
	assert_int_equal(plain[0].woken, 2);
	assert_int_equal(one[1].woken, 2);
	assert_int_equal(one[2].woken, 0);
	for (int i = 0; i < 3; i++)
		waitq_remove(&one[i].entry);
	for (int i = 0; i < 2; i++)
		waitq_remove(&plain[i].entry);
	waitq_destroy(&q);
}

/* --- sleeping --- */

static void test_sleep_results(void **state)
{
	struct waitq q;
	struct task task;
	struct wait wait;

	(void)state;
	task_here(&task);
	waitq_init(&q);
	wait_begin(&wait, &task);
	wait_on(&wait, &q, POLLIN);
	assert_int_equal(wait_sleep(&wait, 1), -ETIMEDOUT); /* long ago */
	assert_false(wait_woken(&wait));
	waitq_wake(&q, POLLIN);
	assert_true(wait_woken(&wait));
	assert_int_equal(wait_sleep(&wait, USEC_INFINITY), 0);
	wait_reset(&wait);
	assert_false(wait_woken(&wait));
	assert_true(waitq_empty(&q));
	task.interrupted = true;
	assert_int_equal(wait_sleep(&wait, USEC_INFINITY), -ERESTARTSYS);
	wait_end(&wait);
	waitq_destroy(&q);
}

/* More queues than fit, several times over: all are left again. */
static void test_many_queues(void **state)
{
	enum { N = 200 };
	static struct waitq q[N];
	struct task task;
	struct wait wait;

	(void)state;
	task_here(&task);
	for (int i = 0; i < N; i++)
		waitq_init(&q[i]);
	wait_begin(&wait, &task);
	for (int round = 1; round <= N; round += 33) {
		wait_reset(&wait);
		for (int i = 0; i < round; i++)
			wait_on(&wait, &q[i], POLLIN);
		waitq_wake(&q[round - 1], POLLIN);
		assert_int_equal(wait_sleep(&wait, USEC_INFINITY), 0);
	}
	wait_end(&wait);
	for (int i = 0; i < N; i++) {
		assert_true(waitq_empty(&q[i]));
		waitq_destroy(&q[i]);
	}
}

static void test_host_descriptors(void **state)
{
	enum { N = 9 };
	int pipes[N][2];
	struct task task;
	struct wait wait;

	(void)state;
	task_here(&task);
	wait_begin(&wait, &task);
	for (int i = 0; i < N; i++) {
		assert_int_equal(pipe(pipes[i]), 0);
		wait_on_host(&wait, pipes[i][0], POLLIN);
	}
	assert_int_equal(wait_sleep(&wait, 1), -ETIMEDOUT);
	assert_int_equal(write(pipes[N - 1][1], "x", 1), 1);
	assert_int_equal(wait_sleep(&wait, USEC_INFINITY), 0);
	task_wake(&task);
	assert_int_equal(wait_sleep(&wait, USEC_INFINITY), 0);
	wait_end(&wait);
	for (int i = 0; i < N; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
}

static struct waitq *collected_queue;
static int collected_fd;

static void collect_queue(struct wait *wait, struct waitq *q, uint32_t mask)
{
	(void)wait;
	(void)mask;
	collected_queue = q;
}

static void collect_fd(struct wait *wait, int fd, uint32_t mask)
{
	(void)wait;
	(void)mask;
	collected_fd = fd;
}

static void test_collecting(void **state)
{
	struct waitq q;
	struct wait wait;

	(void)state;
	waitq_init(&q);
	wait_begin(&wait, NULL);
	wait.on = collect_queue;
	wait.on_host = collect_fd;
	wait_on(&wait, &q, POLLIN);
	wait_on_host(&wait, 77, POLLIN);
	assert_true(waitq_empty(&q));
	assert_ptr_equal(collected_queue, &q);
	assert_int_equal(collected_fd, 77);
	wait_end(&wait);
	waitq_destroy(&q);
}

/* --- nobody sleeps through it: two threads take turns as fast as they can --- */

static struct waitq turn_queue = WAITQ_INIT;
static atomic_int turn;
static int turn_fd[2]; /* never readable: makes the sleep a poll */

struct turns {
	int me;
	bool poll;
};

static void *turns_run(void *data)
{
	const struct turns *t = data;
	struct task task;
	struct wait wait;

	task_here(&task);
	wait_begin(&wait, &task);
	for (int i = 0; i < TURNS; i++) {
		for (;;) {
			wait_reset(&wait);
			wait_on(&wait, &turn_queue, POLLIN);
			if (t->poll)
				wait_on_host(&wait, turn_fd[0], POLLIN);
			if (atomic_load(&turn) % 2 == t->me)
				break;
			if (wait_sleep(&wait, USEC_INFINITY))
				break;
		}
		atomic_fetch_add(&turn, 1);
		waitq_wake(&turn_queue, POLLIN);
	}
	wait_end(&wait);
	return NULL;
}

static void turns_both(bool first_polls, bool second_polls)
{
	struct turns turns[2] = { { 0, first_polls }, { 1, second_polls } };
	pthread_t threads[2];

	atomic_store(&turn, 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(thread_start(&threads[i], 0, turns_run, &turns[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&turn), 2 * TURNS);
	assert_true(waitq_empty(&turn_queue));
}

static void test_turns(void **state)
{
	(void)state;
	turns_both(false, false);
}

static void test_turns_poll(void **state)
{
	(void)state;
	assert_int_equal(pipe(turn_fd), 0);
	turns_both(true, false);
	turns_both(true, true);
	close(turn_fd[0]);
	close(turn_fd[1]);
}

/* An interruption is seen by a sleep that begins before or after it. */

static atomic_int interrupt_round;

static void *interrupted_run(void *data)
{
	struct task *task = data;
	struct wait wait;

	task->host_tid = gettid();
	for (int i = 1; i <= TURNS; i++) {
		wait_begin(&wait, task);
		atomic_store(&interrupt_round, i);
		while (wait_sleep(&wait, USEC_INFINITY) != -ERESTARTSYS)
			wait_reset(&wait);
		wait_end(&wait);
		atomic_store(&task->interrupted, false);
	}
	return NULL;
}

static void test_interrupt(void **state)
{
	static struct task task;
	pthread_t thread;

	(void)state;
	atomic_store(&task.watch, TASK_SETTLING);
	assert_int_equal(thread_start(&thread, 0, interrupted_run, &task), 0);
	for (int i = 1; i <= TURNS; i++) {
		while (atomic_load(&interrupt_round) != i)
			sched_yield();
		task_interrupt(&task);
		while (i < TURNS && atomic_load(&interrupt_round) == i)
			sched_yield();
	}
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_masks),	      cmocka_unit_test(test_exclusive),
		cmocka_unit_test(test_sleep_results), cmocka_unit_test(test_many_queues),
		cmocka_unit_test(test_host_descriptors), cmocka_unit_test(test_collecting),
		cmocka_unit_test(test_turns),	      cmocka_unit_test(test_turns_poll),
		cmocka_unit_test(test_interrupt),
	};

	wait_signal_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
