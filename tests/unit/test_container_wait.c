/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_container_wait.c - many threads on one process: wait, kill, stop, loss
 */
#include "fake_sandbox.h"

#include <pthread.h>
#include <stdlib.h>

#define WAITERS 50

static const char *const test_args[] = { "sleep", "9", NULL };

struct waiter {
	pthread_t thread;
	struct coffer_process *process;
	struct coffer_exit end;
	struct coffer_error err;
	int r;
};

static void *waiter_thread(void *data)
{
	struct waiter *w = data;

	w->r = coffer_process_wait(w->process, COFFER_FOREVER, &w->end, &w->err);
	return NULL;
}

static struct coffer_container *test_started(void)
{
	struct coffer_container_config cfg = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_process_config p = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_container *c;

	p.args = test_args;
	cfg.rootfs = fake_image;
	cfg.run_dir = fake_root;
	cfg.process = &p;
	assert_int_equal(container_new(NULL, &cfg, fake_maker, &c, NULL), 0);
	assert_int_equal(coffer_container_create(c, NULL), 0);
	assert_int_equal(coffer_container_start(c, NULL), 0);
	return c;
}

static void test_start_waiters(struct waiter *w, struct coffer_container *c)
{
	for (int i = 0; i < WAITERS; i++) {
		w[i] = (struct waiter){ .process = coffer_container_process(c) };
		assert_int_equal(pthread_create(&w[i].thread, NULL, waiter_thread, &w[i]), 0);
	}
	usleep(20000);
}

static void test_join_waiters(struct waiter *w)
{
	for (int i = 0; i < WAITERS; i++)
		pthread_join(w[i].thread, NULL);
}

static int test_setup(void **state)
{
	fake_reset();
	return 0;
}

/* All are told the same, and none of them keeps the kill from going through. */
static void test_many_waiters_and_kill(void **state)
{
	struct coffer_container *c = test_started();
	struct waiter w[WAITERS];

	test_start_waiters(w, c);
	assert_int_equal(coffer_process_kill(coffer_container_process(c), SIGKILL, NULL), 0);
	test_join_waiters(w);
	for (int i = 0; i < WAITERS; i++) {
		assert_int_equal(w[i].r, 0);
		assert_int_equal(w[i].end.code, 137);
		assert_int_equal(w[i].end.exited_at.tv_sec, 1);
	}
	coffer_container_free(c);
}

static void test_stop_frees_waiters(void **state)
{
	struct coffer_container *c = test_started();
	struct waiter w[WAITERS];

	test_start_waiters(w, c);
	assert_int_equal(coffer_container_stop(c, 0, NULL), 0);
	test_join_waiters(w);
	for (int i = 0; i < WAITERS; i++) {
		assert_int_equal(w[i].r, 0);
		assert_int_equal(w[i].end.code, 137);
	}
	coffer_container_free(c);
}

static void test_stop_with_grace(void **state)
{
	struct coffer_container *c = test_started();
	struct coffer_exit end;
	usec_t begin;

	/* An hour nobody would wait for. */
	fake.ends_on_term = true;
	assert_int_equal(coffer_container_stop(c, 3600 * USEC_PER_SEC, NULL), 0);
	assert_int_equal(coffer_process_wait(coffer_container_process(c), 0, &end, NULL), 0);
	assert_int_equal(end.code, 143);
	coffer_container_free(c);

	fake_reset();
	c = test_started();
	begin = clock_now();
	assert_int_equal(coffer_container_stop(c, 300 * USEC_PER_MSEC, NULL), 0);
	assert_true(clock_now() - begin >= 300000);
	assert_int_equal(coffer_process_wait(coffer_container_process(c), 0, &end, NULL), 0);
	assert_int_equal(end.code, 137);
	coffer_container_free(c);
}

/* The machine goes away: everybody learns why, and the container gives everything back. */
static void test_lost_machine(void **state)
{
	struct coffer_container *c = test_started();
	struct coffer_death death = { .size = sizeof(death) };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct waiter w[WAITERS];

	assert_int_equal(coffer_container_death(c, &death, &err), -ENODATA);
	test_start_waiters(w, c);
	fake_die("qemu", SIGKILL);
	test_join_waiters(w);
	for (int i = 0; i < WAITERS; i++) {
		assert_int_equal(w[i].r, 0);
		assert_int_equal(w[i].end.code, 137);
	}
	assert_int_equal(coffer_container_state(c), COFFER_STATE_ERRORED);
	assert_int_equal(coffer_container_death(c, &death, NULL), 0);
	assert_string_equal(death.process, "qemu");
	assert_int_equal(death.signal, SIGKILL);
	assert_string_equal(death.console, "last words");
	assert_non_null(strstr(death.cause.message, "qemu was killed by signal 9"));
	assert_int_equal(coffer_process_kill(coffer_container_process(c), SIGTERM, &err),
			 -ECONNRESET);
	coffer_container_free(c);
	assert_int_equal(fake.frees, 1);
	assert_int_equal(fake.connections, 0);
}

static void test_timeout_and_descriptor(void **state)
{
	struct coffer_container *c = test_started();
	struct coffer_process *p = coffer_container_process(c);
	int fd = coffer_process_wait_fd(p);
	struct coffer_exit end;
	usec_t begin = clock_now();

	assert_int_equal(coffer_process_wait(p, 200 * USEC_PER_MSEC, &end, NULL), -ETIMEDOUT);
	assert_true(clock_now() - begin >= 200000);
	assert_true(fd >= 0);
	assert_int_equal(io_wait(fd, POLLIN, 0), 0);
	fake_end_process(7);
	assert_true(io_wait(fd, POLLIN, deadline_in(60 * USEC_PER_SEC)) > 0);
	assert_int_equal(coffer_process_wait(p, 0, &end, NULL), 0);
	assert_int_equal(end.code, 7);
	/* For ever, also for those who come late. */
	assert_true(io_wait(fd, POLLIN, 0) > 0);
	assert_int_equal(coffer_process_wait(p, 0, &end, NULL), 0);
	coffer_container_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_many_waiters_and_kill, test_setup),
		cmocka_unit_test_setup(test_stop_frees_waiters, test_setup),
		cmocka_unit_test_setup(test_stop_with_grace, test_setup),
		cmocka_unit_test_setup(test_lost_machine, test_setup),
		cmocka_unit_test_setup(test_timeout_and_descriptor, test_setup),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, fake_group_setup, fake_group_teardown);
}
