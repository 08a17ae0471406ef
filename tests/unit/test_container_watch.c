/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_container_watch.c - the watcher, pause, events, statistics, phases, against a fake sandbox
 */
#include "fake_sandbox.h"

#include <stdlib.h>

#include "container/watch.h"

static const char *const test_args[] = { "sleep", "9", NULL };

static struct coffer_container *test_new(void)
{
	struct coffer_container_config cfg = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_process_config p = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_container *c;

	p.args = test_args;
	cfg.rootfs = fake_image;
	cfg.run_dir = fake_root;
	cfg.process = &p;
	assert_int_equal(container_new("watched", &cfg, fake_maker, &c, NULL), 0);
	return c;
}

static struct coffer_container *test_started(void)
{
	struct coffer_container *c = test_new();

	assert_int_equal(coffer_container_create(c, NULL), 0);
	assert_int_equal(coffer_container_start(c, NULL), 0);
	return c;
}

static int test_setup(void **state)
{
	fake_reset();
	watch_limits.heartbeat = 50 * USEC_PER_MSEC;
	watch_limits.time = 60 * USEC_PER_MSEC;
	watch_limits.silence = 300 * USEC_PER_MSEC;
	return 0;
}

static int fake_beats(void)
{
	int n;

	pthread_mutex_lock(&fake.lock);
	n = fake.beats;
	pthread_mutex_unlock(&fake.lock);
	return n;
}

static void fake_await_beats(int n)
{
	while (fake_beats() < n)
		usleep(1000);
}

static void fake_fall_silent(bool silent)
{
	pthread_mutex_lock(&fake.lock);
	fake.silent = silent;
	pthread_mutex_unlock(&fake.lock);
}

/* ---- the agent ---- */

static void test_heartbeat(void **state)
{
	struct coffer_container *c = test_started();

	fake_await_beats(6);
	assert_int_equal(coffer_container_state(c), COFFER_STATE_STARTED);
	coffer_container_free(c);
}

static void test_silent_agent(void **state)
{
	/* A beat that is sent meets the silence however late: counted from before them all. */
	usec_t begin = clock_now();
	struct coffer_container *c = test_started();
	struct coffer_death death = { .size = sizeof(death) };
	struct coffer_exit end;

	fake_await_beats(1);
	fake_fall_silent(true);
	assert_int_equal(coffer_process_wait(coffer_container_process(c), 60 * USEC_PER_SEC, &end,
					     NULL), 0);
	assert_int_equal(end.code, 137);
	/* The first beat comes after 200 ms, the verdict 300 ms after a beat. */
	assert_true(clock_now() - begin >= 500000);
	assert_int_equal(coffer_container_state(c), COFFER_STATE_ERRORED);
	assert_int_equal(coffer_container_death(c, &death, NULL), 0);
	assert_string_equal(death.process, "agent");
	assert_non_null(strstr(death.cause.message, "does not answer"));
	coffer_container_free(c);
	assert_int_equal(fake.frees, 1);
}

/* One that was stopped before it died is no death. */
static void test_stop_is_no_death(void **state)
{
	struct coffer_container *c = test_started();
	struct coffer_death death = { .size = sizeof(death) };

	fake_await_beats(1);
	assert_int_equal(coffer_container_stop(c, 0, NULL), 0);
	assert_int_equal(coffer_container_death(c, &death, NULL), -ENODATA);
	coffer_container_free(c);
}

static void *die_thread(void *data)
{
	fake_await("creating");
	fake_die("virtiofsd", SIGSEGV);
	return NULL;
}

/* In the middle of a start: the start tells why, and gives back. */
static void test_death_during_start(void **state)
{
	struct coffer_death death = { .size = sizeof(death) };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_container *c = test_new();
	pthread_t thread;

	assert_int_equal(coffer_container_create(c, NULL), 0);
	fake.create_hangs = true;
	assert_int_equal(pthread_create(&thread, NULL, die_thread, NULL), 0);
	assert_int_equal(coffer_container_start(c, &err), -ECONNRESET);
	pthread_join(thread, NULL);
	assert_non_null(strstr(err.message, "virtiofsd was killed by signal 11"));
	assert_int_equal(coffer_container_state(c), COFFER_STATE_ERRORED);
	assert_int_equal(coffer_container_death(c, &death, NULL), 0);
	assert_string_equal(death.process, "virtiofsd");
	assert_int_equal(fake.frees, 1);
	assert_int_equal(fake.connections, 0);
	coffer_container_free(c);
}

/* ---- pause ---- */

static void test_pause(void **state)
{
	struct coffer_container *c = test_started();
	struct coffer_process *init = coffer_container_process(c), *p;
	struct coffer_process_config cfg = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_stats stats = { .size = sizeof(stats) };
	int before;

	cfg.args = test_args;
	fake_await_beats(1);
	assert_int_equal(coffer_container_resume(c, NULL), -EBUSY);
	assert_int_equal(coffer_container_pause(c, NULL), 0);
	assert_int_equal(coffer_container_state(c), COFFER_STATE_PAUSED);
	assert_int_equal(coffer_container_pause(c, NULL), -EBUSY);
	assert_int_equal(coffer_process_kill(init, SIGTERM, NULL), -EBUSY);
	assert_int_equal(coffer_container_exec(c, NULL, &cfg, &p, NULL), -EBUSY);
	assert_int_equal(coffer_process_wait(init, 0, NULL, NULL), -ETIMEDOUT);
	assert_int_equal(coffer_container_stats(c, 0, &stats, NULL), 0);
	assert_int_equal(stats.categories, COFFER_STATS_COST);
	/* Silence is what a paused machine is expected to keep. */
	fake_fall_silent(true);
	before = fake_beats();
	usleep(600000);
	assert_true(fake_beats() <= before + 1);
	assert_int_equal(coffer_container_state(c), COFFER_STATE_PAUSED);
	fake_fall_silent(false);
	before = fake_beats();
	assert_int_equal(coffer_container_resume(c, NULL), 0);
	fake_await_beats(before + 1);
	assert_int_equal(coffer_container_exec(c, NULL, &cfg, &p, NULL), 0);
	coffer_container_free(c);
}

static void test_stop_while_paused(void **state)
{
	static const uint64_t graces[] = { 0, 3600 * USEC_PER_SEC };

	for (size_t i = 0; i < ARRAY_SIZE(graces); i++) {
		struct coffer_container *c = test_started();
		struct coffer_exit end;

		fake.ends_on_term = true;
		assert_int_equal(coffer_container_pause(c, NULL), 0);
		assert_int_equal(coffer_container_stop(c, graces[i], NULL), 0);
		assert_int_equal(coffer_container_state(c), COFFER_STATE_STOPPED);
		assert_int_equal(coffer_process_wait(coffer_container_process(c), 0, &end, NULL),
				 0);
		assert_int_equal(end.code, graces[i] ? 143 : 137);
		coffer_container_free(c);
	}
}

static void test_pause_that_fails(void **state)
{
	struct coffer_container *c = test_started();

	fake.fail = "pause";
	assert_int_equal(coffer_container_pause(c, NULL), -EIO);
	assert_int_equal(coffer_container_state(c), COFFER_STATE_STARTED);
	fake.fail = NULL;
	assert_int_equal(coffer_container_pause(c, NULL), 0);
	fake.fail = "resume";
	assert_int_equal(coffer_container_resume(c, NULL), -EIO);
	assert_int_equal(coffer_container_state(c), COFFER_STATE_PAUSED);
	fake.fail = NULL;
	coffer_container_free(c);
}

/* ---- events ---- */

static void test_next(struct coffer_events *events, enum coffer_event_type type)
{
	struct coffer_event e = { .size = sizeof(e) };

	assert_int_equal(coffer_events_next(events, 60 * USEC_PER_SEC, &e, NULL), 0);
	assert_string_equal(coffer_event_str(e.type), coffer_event_str(type));
	assert_true(e.at.tv_sec > 1000000000);
	if (type == COFFER_EVENT_EXEC) {
		assert_string_equal(e.process, "x");
		assert_int_equal(e.pid, 42);
	}
	if (type == COFFER_EVENT_DIE)
		assert_non_null(strstr(e.cause.message, "qemu"));
}

static void test_events(void **state)
{
	struct coffer_process_config cfg = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_event e = { .size = sizeof(e) };
	struct coffer_container *c = test_new();
	struct coffer_events *events;
	struct coffer_process *p;

	cfg.args = test_args;
	assert_int_equal(coffer_container_events(c, &events, NULL), 0);
	assert_int_equal(coffer_container_create(c, NULL), 0);
	assert_int_equal(coffer_container_start(c, NULL), 0);
	assert_int_equal(coffer_container_exec(c, "x", &cfg, &p, NULL), 0);
	test_next(events, COFFER_EVENT_CREATE);
	test_next(events, COFFER_EVENT_START);
	test_next(events, COFFER_EVENT_EXEC);
	assert_int_equal(io_wait(coffer_events_fd(events), POLLIN, 0), 0);
	assert_int_equal(coffer_events_next(events, 0, &e, NULL), -ETIMEDOUT);
	fake_end_named("x", 9);
	assert_true(io_wait(coffer_events_fd(events), POLLIN, deadline_in(60 * USEC_PER_SEC)) > 0);
	assert_int_equal(coffer_events_next(events, 60 * USEC_PER_SEC, &e, NULL), 0);
	assert_int_equal(e.type, COFFER_EVENT_EXIT);
	assert_int_equal(e.exit_code, 9);
	assert_string_equal(e.process, "x");
	assert_int_equal(coffer_container_pause(c, NULL), 0);
	assert_int_equal(coffer_container_resume(c, NULL), 0);
	test_next(events, COFFER_EVENT_PAUSE);
	test_next(events, COFFER_EVENT_RESUME);
	fake_die("qemu", SIGKILL);
	test_next(events, COFFER_EVENT_DIE);
	test_next(events, COFFER_EVENT_EXIT);
	coffer_events_free(events);
	coffer_container_free(c);
}

/* A reader that is too slow is told how much it missed, in its place. */
static void test_lost_events(void **state)
{
	struct coffer_event e = { .size = sizeof(e) };
	struct coffer_container *c = test_started();
	struct coffer_events *slow, *quick;
	uint64_t seen = 0, lost = 0;

	assert_int_equal(coffer_container_events(c, &slow, NULL), 0);
	assert_int_equal(coffer_container_events(c, &quick, NULL), 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(coffer_container_pause(c, NULL), 0);
		assert_int_equal(coffer_container_resume(c, NULL), 0);
		test_next(quick, COFFER_EVENT_PAUSE);
		test_next(quick, COFFER_EVENT_RESUME);
	}
	while (coffer_events_next(slow, 0, &e, NULL) == 0) {
		seen += e.type != COFFER_EVENT_LOST;
		lost += e.type == COFFER_EVENT_LOST ? e.count : 0;
	}
	assert_int_equal(seen + lost, 2000);
	assert_true(lost > 0 && seen > 100);
	coffer_events_free(slow);
	/* Freed in the wrong order: no event any more, but nothing worse. */
	coffer_container_free(c);
	e.size = sizeof(e);
	assert_int_equal(coffer_events_next(quick, COFFER_FOREVER, &e, NULL), -ECONNRESET);
	coffer_events_free(quick);
}

/* Whoever never stops talking is listened to, and not to the end of all else. */
static void test_endless_events(void **state)
{
	struct coffer_container *c = test_started();
	struct coffer_exit end;
	int before;

	pthread_mutex_lock(&fake.lock);
	fake.chatty = true;
	pthread_mutex_unlock(&fake.lock);
	before = fake_beats();
	fake_await_beats(before + 5);
	fake_end_process(3);
	assert_int_equal(coffer_process_wait(coffer_container_process(c), 60 * USEC_PER_SEC, &end,
					     NULL), 0);
	assert_int_equal(end.code, 3);
	coffer_container_free(c);
}

/* ---- numbers ---- */

static void test_stats(void **state)
{
	struct coffer_container *c = test_started();
	struct coffer_stats stats = { .size = sizeof(stats) };
	struct coffer_error err = COFFER_ERROR_INIT;

	/* The fake's answer has no container in it. */
	assert_int_equal(coffer_container_stats(c, 0, &stats, &err), -EPROTO);
	assert_int_equal(coffer_container_stats(c, 1 << 9, &stats, NULL), -EINVAL);
	assert_int_equal(coffer_container_stats(c, COFFER_STATS_COST, &stats, NULL), 0);
	assert_int_equal(stats.categories, COFFER_STATS_COST);
	assert_int_equal(stats.cost.monitor_pss, 50);
	assert_int_equal(stats.cost.machine_pss, 1000);
	assert_int_equal(stats.cost.fs_cpu, 7);
	assert_int_equal(stats.cost.guest_memory, UINT64_C(256) << 20);
	coffer_container_stop(c, 0, NULL);
	stats.size = sizeof(stats);
	assert_int_equal(coffer_container_stats(c, COFFER_STATS_COST, &stats, NULL), -EBUSY);
	coffer_container_free(c);
}

static void test_phases(void **state)
{
	struct coffer_timing t = { .size = sizeof(t) };
	struct coffer_phase phases[COFFER_PHASES_MAX];
	struct coffer_container *c = test_started();
	usec_t end, sum = 0;
	size_t n = coffer_container_phases(c, phases);

	coffer_container_timing(c, &t);
	assert_true(n >= 4);
	end = phases[0].begin;
	assert_int_equal(end, t.create_called);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(phases[i].begin, end);
		end += phases[i].duration;
		sum += phases[i].duration;
	}
	assert_int_equal(end, t.started);
	assert_int_equal(sum, t.started - t.create_called);
	coffer_container_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_heartbeat, test_setup),
		cmocka_unit_test_setup(test_silent_agent, test_setup),
		cmocka_unit_test_setup(test_stop_is_no_death, test_setup),
		cmocka_unit_test_setup(test_death_during_start, test_setup),
		cmocka_unit_test_setup(test_pause, test_setup),
		cmocka_unit_test_setup(test_stop_while_paused, test_setup),
		cmocka_unit_test_setup(test_pause_that_fails, test_setup),
		cmocka_unit_test_setup(test_events, test_setup),
		cmocka_unit_test_setup(test_lost_events, test_setup),
		cmocka_unit_test_setup(test_endless_events, test_setup),
		cmocka_unit_test_setup(test_stats, test_setup),
		cmocka_unit_test_setup(test_phases, test_setup),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, fake_group_setup, fake_group_teardown);
}
