/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: descriptors, timers, signals, removal inside a batch, deferred tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"

struct peer {
	struct loop_source *mine, *others;
	int calls;
};

/* Both descriptors are ready in one batch; whoever runs first removes the other. */
static void on_ready_remove_other(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct peer *p = data;

	p->calls++;
	loop_remove(p[0].others);
	loop_remove(src);
}

static void test_removed_source_is_not_called(void **state)
{
	autoclose int a0 = -1, a1 = -1, b0 = -1, b1 = -1;
	CLEANUP(loop_freep) struct loop *loop = NULL;
	struct coffer_error e = COFFER_ERROR_INIT;
	struct peer a = { 0 }, b = { 0 };
	int p[2];

	assert_int_equal(pipe(p), 0);
	a0 = p[0], a1 = p[1];
	assert_int_equal(pipe(p), 0);
	b0 = p[0], b1 = p[1];
	assert_int_equal(loop_new(&loop, &e), 0);
	assert_int_equal(loop_add_fd(loop, a0, EPOLLIN, on_ready_remove_other, &a, &a.mine, &e), 0);
	assert_int_equal(loop_add_fd(loop, b0, EPOLLIN, on_ready_remove_other, &b, &b.mine, &e), 0);
	a.others = b.mine;
	b.others = a.mine;
	assert_int_equal(write(a1, "x", 1), 1);
	assert_int_equal(write(b1, "x", 1), 1);
	assert_int_equal(loop_step(loop, deadline_in(60 * USEC_PER_SEC), &e), 0);
	assert_int_equal(a.calls + b.calls, 1);
	assert_int_equal(loop_step(loop, deadline_in(1000), &e), 0);
	assert_int_equal(a.calls + b.calls, 1);
}

struct ticker {
	struct loop *loop;
	int n;
};

static void on_tick(struct loop_source *src, void *data)
{
	struct ticker *t = data;

	if (++t->n == 3)
		loop_quit(t->loop, 42);
}

static void test_timer_repeats_and_quit_code(void **state)
{
	CLEANUP(loop_freep) struct loop *loop = NULL;
	struct coffer_error e = COFFER_ERROR_INIT;
	struct loop_source *timer;
	struct ticker t = { 0 };

	assert_int_equal(loop_new(&loop, &e), 0);
	t.loop = loop;
	assert_int_equal(loop_add_timer(loop, on_tick, &t, &timer, &e), 0);
	assert_int_equal(loop_arm(timer, 0, 1000), 0);
	assert_int_equal(loop_run(loop, &e), 42);
	assert_int_equal(t.n, 3);
}

static void on_signal(struct loop_source *src, const struct signalfd_siginfo *si, void *data)
{
	*(int *)data = (int)si->ssi_signo;
}

static void test_signal(void **state)
{
	CLEANUP(loop_freep) struct loop *loop = NULL;
	struct coffer_error e = COFFER_ERROR_INIT;
	sigset_t set;
	int got = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	assert_int_equal(loop_new(&loop, &e), 0);
	assert_int_equal(loop_add_signals(loop, &set, on_signal, &got, NULL, &e), 0);
	kill(getpid(), SIGUSR1);
	assert_int_equal(loop_step(loop, deadline_in(60 * USEC_PER_SEC), &e), 0);
	assert_int_equal(got, SIGUSR1);
}

static void count(void *data)
{
	++*(int *)data;
}

static void test_deferred_runs_once(void **state)
{
	CLEANUP(loop_freep) struct loop *loop = NULL;
	struct coffer_error e = COFFER_ERROR_INIT;
	int n = 0;

	assert_int_equal(loop_new(&loop, &e), 0);
	assert_int_equal(loop_defer(loop, count, &n), 0);
	assert_int_equal(loop_defer(loop, count, &n), 0);
	assert_int_equal(loop_step(loop, 0, &e), 0);
	assert_int_equal(loop_step(loop, 0, &e), 0);
	assert_int_equal(n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_removed_source_is_not_called),
		cmocka_unit_test(test_timer_repeats_and_quit_code),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_deferred_runs_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
