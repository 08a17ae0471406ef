/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_container_stress.c - many threads on one container, against a fake sandbox
 *
 * What is checked beside the results: no deadlock, and under the thread
 * sanitizer no race.
 */
#include "fake_sandbox.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "container/watch.h"

#define THREADS 12
#define EXECS	100

static const char *const test_args[] = { "sleep", "9", NULL };

static struct coffer_process_config test_process(void)
{
	struct coffer_process_config p = COFFER_PROCESS_CONFIG_INIT;

	p.args = test_args;
	return p;
}

static struct coffer_container *test_started(void)
{
	struct coffer_container_config cfg = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_process_config p = test_process();
	struct coffer_container *c;

	cfg.rootfs = fake_image;
	cfg.run_dir = fake_root;
	cfg.process = &p;
	assert_int_equal(container_new(NULL, &cfg, fake_maker, &c, NULL), 0);
	assert_int_equal(coffer_container_create(c, NULL), 0);
	assert_int_equal(coffer_container_start(c, NULL), 0);
	return c;
}

static int test_setup(void **state)
{
	fake_reset();
	fake.no_log = true;
	return 0;
}

/* ---- execs at once ---- */

struct execer {
	pthread_t thread;
	struct coffer_container *container;
	const char *id; /* NULL: any */
	struct coffer_process *process;
	int r;
};

static void *exec_thread(void *data)
{
	struct coffer_process_config p = test_process();
	struct execer *e = data;

	e->r = coffer_container_exec(e->container, e->id, &p, &e->process, NULL);
	return NULL;
}

static void test_exec_all(struct execer *e, struct coffer_container *c, const char *id)
{
	for (int i = 0; i < EXECS; i++) {
		e[i] = (struct execer){ .container = c, .id = id };
		assert_int_equal(pthread_create(&e[i].thread, NULL, exec_thread, &e[i]), 0);
	}
	for (int i = 0; i < EXECS; i++)
		pthread_join(e[i].thread, NULL);
}

static void test_one_name_for_many(void **state)
{
	struct coffer_container *c = test_started();
	struct execer e[EXECS];
	int won = 0;

	fake.delay = 20 * USEC_PER_MSEC;
	test_exec_all(e, c, "same");
	for (int i = 0; i < EXECS; i++) {
		won += e[i].r == 0;
		assert_true(e[i].r == 0 || e[i].r == -EEXIST);
	}
	assert_int_equal(won, 1);
	coffer_container_free(c);
}

/* None of one hundred gets on before all of them are under way. */
static void test_execs_side_by_side(void **state)
{
	struct coffer_container *c = test_started();
	struct execer e[EXECS];

	fake.creating = 0;
	fake.create_together = EXECS;
	fake.exits_at_once = true;
	test_exec_all(e, c, NULL);
	for (int i = 0; i < EXECS; i++) {
		struct coffer_exit end = { .code = -1 };

		assert_int_equal(e[i].r, 0);
		assert_int_equal(coffer_process_wait(e[i].process, 60 * USEC_PER_SEC, &end, NULL),
				 0);
		assert_int_equal(end.code, 0);
	}
	/* What is kept for the next call is little. */
	assert_true(fake.connections <= CONTAINER_AGENTS_MAX + 2);
	coffer_container_free(c);
	assert_int_equal(fake.connections, 0);
}

static void *delete_thread(void *data)
{
	struct execer *e = data;

	e->r = coffer_process_delete(e->process, true, NULL);
	return NULL;
}

static void test_many_delete_one(void **state)
{
	struct coffer_container *c = test_started();
	struct coffer_process_config cfg = test_process();
	struct execer e[10];

	for (int round = 0; round < 20; round++) {
		struct coffer_process *p;

		assert_int_equal(coffer_container_exec(c, "one", &cfg, &p, NULL), 0);
		for (int i = 0; i < 10; i++) {
			e[i] = (struct execer){ .process = p };
			assert_int_equal(pthread_create(&e[i].thread, NULL, delete_thread, &e[i]),
					 0);
		}
		for (int i = 0; i < 10; i++) {
			pthread_join(e[i].thread, NULL);
			assert_int_equal(e[i].r, 0);
		}
		assert_int_equal(coffer_container_find_process(c, "one", &p, NULL), -ENOENT);
	}
	coffer_container_free(c);
}

/* ---- everything at random ---- */

struct chaos {
	struct coffer_container *container;
	atomic_bool stop;
	atomic_int calls;
};

static void chaos_exec(struct coffer_container *c)
{
	struct coffer_process_config cfg = test_process();
	struct coffer_process *p;

	if (coffer_container_exec(c, NULL, &cfg, &p, NULL) < 0)
		return;
	coffer_process_wait(p, USEC_PER_MSEC, NULL, NULL);
	coffer_process_kill(p, SIGKILL, NULL);
	coffer_process_wait(p, 5 * USEC_PER_SEC, NULL, NULL);
	coffer_process_delete(p, true, NULL);
}

static void chaos_look(struct coffer_container *c)
{
	struct coffer_stats stats = { .size = sizeof(stats) };
	struct coffer_timing timing = { .size = sizeof(timing) };
	struct coffer_phase phases[COFFER_PHASES_MAX];

	coffer_container_state(c);
	coffer_container_stats(c, 0, &stats, NULL);
	coffer_container_timing(c, &timing);
	coffer_container_phases(c, phases);
	coffer_process_pid(coffer_container_process(c));
}

static void chaos_events(struct coffer_container *c)
{
	struct coffer_event event = { .size = sizeof(event) };
	struct coffer_events *events;

	if (coffer_container_events(c, &events, NULL) < 0)
		return;
	while (coffer_events_next(events, USEC_PER_MSEC, &event, NULL) == 0)
		;
	coffer_events_free(events);
}

static void *chaos_thread(void *data)
{
	struct chaos *x = data;
	struct coffer_container *c = x->container;
	unsigned seed = (unsigned)(uintptr_t)&seed ^ (unsigned)clock_now();

	while (!atomic_load(&x->stop)) {
		switch (rand_r(&seed) % 10) {
		case 0:
			coffer_container_pause(c, NULL);
			break;
		case 1:
		case 2:
			coffer_container_resume(c, NULL);
			break;
		case 3:
			coffer_process_kill(coffer_container_process(c), SIGUSR1, NULL);
			break;
		case 4:
			coffer_process_wait(coffer_container_process(c), USEC_PER_MSEC, NULL,
					    NULL);
			break;
		case 5:
			chaos_look(c);
			break;
		case 6:
			chaos_events(c);
			break;
		default:
			chaos_exec(c);
		}
		atomic_fetch_add(&x->calls, 1);
	}
	return NULL;
}

/* @end: what happens to the container in the middle of it. */
static void test_chaos(void (*end)(struct coffer_container *c))
{
	struct chaos x = { .container = test_started() };
	pthread_t threads[THREADS];
	struct coffer_exit status;

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, chaos_thread, &x), 0);
	usleep(600000);
	while (atomic_load(&x.calls) <= THREADS)
		usleep(1000);
	end(x.container);
	assert_int_equal(coffer_process_wait(coffer_container_process(x.container),
					     60 * USEC_PER_SEC, &status, NULL),
			 0);
	assert_int_equal(status.code, 137);
	usleep(50000);
	atomic_store(&x.stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	coffer_container_free(x.container);
	assert_int_equal(fake.frees, 1);
	assert_int_equal(fake.connections, 0);
}

static void chaos_stop(struct coffer_container *c)
{
	assert_int_equal(coffer_container_stop(c, 0, NULL), 0);
	assert_int_equal(coffer_container_state(c), COFFER_STATE_STOPPED);
}

static void chaos_die(struct coffer_container *c)
{
	struct coffer_exit status;

	fake_die("qemu", SIGKILL);
	assert_int_equal(coffer_process_wait(coffer_container_process(c), 60 * USEC_PER_SEC,
					     &status, NULL),
			 0);
	assert_int_equal(coffer_container_state(c), COFFER_STATE_ERRORED);
}

static void test_chaos_and_stop(void **state)
{
	watch_limits.heartbeat = watch_limits.time = 10 * USEC_PER_MSEC;
	test_chaos(chaos_stop);
}

static void test_chaos_and_death(void **state)
{
	test_chaos(chaos_die);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_one_name_for_many, test_setup),
		cmocka_unit_test_setup(test_execs_side_by_side, test_setup),
		cmocka_unit_test_setup(test_many_delete_one, test_setup),
		cmocka_unit_test_setup(test_chaos_and_stop, test_setup),
		cmocka_unit_test_setup(test_chaos_and_death, test_setup),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, fake_group_setup, fake_group_teardown);
}
