/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_container_state.c - the container's state machine, against a fake sandbox
 */
#include "fake_sandbox.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char *const test_args[] = { "true", NULL };

static struct coffer_process_config test_process(int stream)
{
	struct coffer_process_config p = COFFER_PROCESS_CONFIG_INIT;

	p.args = test_args;
	if (stream >= 0)
		p.stdio[stream].mode = COFFER_STDIO_PIPE;
	return p;
}

static struct coffer_container *test_new(const char *id, const struct coffer_process_config *p)
{
	struct coffer_container_config cfg = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_container *c = NULL;

	cfg.rootfs = fake_image;
	cfg.run_dir = fake_root;
	cfg.process = p;
	assert_int_equal(container_new(id, &cfg, fake_maker, &c, &err), 0);
	return c;
}

static bool test_exists(const char *id)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", fake_root, id);
	return stat(path, &st) == 0;
}

/* The calls so far, and after them no more than the watcher's own connection, which comes when the
 * container has run for a moment. */
static void assert_calls(const char *calls)
{
	char log[sizeof(fake.log)];
	size_t n = strlen(calls);

	pthread_mutex_lock(&fake.lock);
	memcpy(log, fake.log, sizeof(log));
	pthread_mutex_unlock(&fake.lock);
	if (strncmp(log, calls, n) != 0 || (log[n] && strcmp(log + n, "connect ") != 0))
		fail_msg("\"%s\", not \"%s\"", log, calls);
}

static int test_setup(void **state)
{
	fake_reset();
	return 0;
}

static int test_teardown(void **state)
{
	fake_reset();
	return 0;
}

static void test_whole_life(void **state)
{
	struct coffer_process_config p = test_process(COFFER_STDOUT);
	struct coffer_container *c = test_new("life", &p);
	struct coffer_process *init = coffer_container_process(c);
	struct coffer_timing t = { .size = sizeof(t) };
	struct coffer_exit end;
	char text[8];
	int out;

	assert_int_equal(coffer_container_state(c), COFFER_STATE_INITIALIZED);
	assert_int_equal(coffer_container_create(c, NULL), 0);
	assert_int_equal(coffer_container_state(c), COFFER_STATE_CREATED);
	assert_true(test_exists("life"));
	assert_int_equal(coffer_process_pid(init), -1);
	assert_int_equal(coffer_container_start(c, NULL), 0);
	assert_int_equal(coffer_container_state(c), COFFER_STATE_STARTED);
	assert_int_equal(coffer_process_pid(init), 42);
	assert_calls("make boot ready connect prepare end_fd create start wait ");

	assert_int_equal(coffer_process_take_stream(init, COFFER_STDIN), -1);
	out = coffer_process_take_stream(init, COFFER_STDOUT);
	assert_true(out >= 0);
	assert_int_equal(coffer_process_take_stream(init, COFFER_STDOUT), -1);
	assert_int_equal(write(fake.streams[1], "hello", 5), 5);
	assert_int_equal(read(out, text, sizeof(text)), 5);
	close(out);

	assert_int_equal(coffer_process_wait(init, 0, &end, NULL), -ETIMEDOUT);
	fake_end_process(42);
	assert_int_equal(coffer_process_wait(init, COFFER_FOREVER, &end, NULL), 0);
	assert_int_equal(end.code, 42);
	assert_int_equal(end.exited_at.tv_sec, 1);
	/* A signal after the end is fine and goes nowhere. */
	assert_int_equal(coffer_process_kill(init, SIGTERM, NULL), 0);
	assert_int_equal(fake.last_signal, 0);

	coffer_container_timing(c, &t);
	assert_true(t.create_called > 0 && t.started >= t.created);
	assert_int_equal(t.agent_ready, 5);
	assert_int_equal(coffer_container_stop(c, 0, NULL), 0);
	assert_int_equal(coffer_container_stop(c, 0, NULL), 0);
	assert_int_equal(coffer_container_state(c), COFFER_STATE_STOPPED);
	assert_false(test_exists("life"));
	assert_int_equal(coffer_process_wait(init, 0, &end, NULL), 0);
	assert_int_equal(end.code, 42);
	coffer_container_free(c);
	assert_int_equal(fake.frees, 1);
}

static void test_again_after_stop(void **state)
{
	struct coffer_process_config p = test_process(-1);
	struct coffer_container *c = test_new("again", &p);
	struct coffer_exit end;

	for (unsigned char i = 1; i <= 2; i++) {
		assert_int_equal(coffer_container_create(c, NULL), 0);
		assert_int_equal(coffer_process_wait(coffer_container_process(c), 0, &end, NULL),
				 -EBUSY);
		assert_int_equal(coffer_container_start(c, NULL), 0);
		fake_end_process(i);
		assert_int_equal(coffer_process_wait(coffer_container_process(c), COFFER_FOREVER,
						     &end, NULL), 0);
		assert_int_equal(end.code, i);
		assert_int_equal(coffer_container_stop(c, 0, NULL), 0);
	}
	coffer_container_free(c);
	assert_int_equal(fake.boots, 2);
	assert_int_equal(fake.frees, 2);
}

static void test_wrong_states(void **state)
{
	struct coffer_process_config p = test_process(-1);
	struct coffer_container *c = test_new("wrong", &p);
	struct coffer_process *init = coffer_container_process(c), *other;
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(coffer_container_start(c, &err), -EBUSY);
	assert_int_equal(err.kind, COFFER_ERR_INVALID_STATE);
	assert_int_equal(coffer_container_stop(c, 0, NULL), -EBUSY);
	assert_int_equal(coffer_process_kill(init, SIGTERM, NULL), -EBUSY);
	assert_int_equal(coffer_process_close_stdin(init, NULL), -EBUSY);
	assert_int_equal(coffer_process_wait(init, 0, NULL, NULL), -EBUSY);
	assert_int_equal(coffer_process_wait_fd(init), -1);

	assert_int_equal(coffer_container_create(c, NULL), 0);
	assert_int_equal(coffer_container_create(c, NULL), -EBUSY);
	assert_int_equal(coffer_process_kill(init, SIGTERM, NULL), -EBUSY);
	assert_int_equal(coffer_container_exec(c, NULL, &p, &other, NULL), -EBUSY);
	assert_int_equal(coffer_container_start(c, NULL), 0);
	assert_int_equal(coffer_container_start(c, NULL), -EBUSY);
	assert_int_equal(coffer_process_kill(init, 0, NULL), -EINVAL);
	assert_int_equal(coffer_process_kill(init, 65, NULL), -EINVAL);
	assert_int_equal(coffer_process_kill(init, SIGUSR1, NULL), 0);
	assert_int_equal(fake.last_signal, SIGUSR1);
	assert_int_equal(coffer_process_resize(init, 24, 80, NULL), -EOPNOTSUPP);
	assert_int_equal(coffer_process_close_stdin(init, NULL), 0);
	coffer_container_free(c);
	assert_false(test_exists("wrong"));
}

static void test_failing_create(void **state)
{
	static const char *const calls[] = { "make",    "boot",    "ready",
					      "connect", "prepare", "end_fd" };

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		struct coffer_process_config p = test_process(-1);
		struct coffer_container *c = test_new("failing", &p);
		struct coffer_error err = COFFER_ERROR_INIT, again = COFFER_ERROR_INIT;

		fake_reset();
		fake.fail = calls[i];
		assert_int_equal(coffer_container_create(c, &err), -EIO);
		assert_non_null(strstr(err.message, calls[i]));
		assert_non_null(strstr(err.message, "create container failing"));
		assert_int_equal(coffer_container_state(c), COFFER_STATE_ERRORED);
		assert_false(test_exists("failing"));
		assert_int_equal(fake.frees, i > 0);
		assert_int_equal(fake.connections, 0);
		/* Whatever is called next gives the stored cause. */
		fake.fail = NULL;
		assert_int_equal(coffer_container_create(c, &again), -EIO);
		assert_string_equal(err.message, again.message);
		assert_int_equal(coffer_container_stop(c, 0, NULL), -EIO);
		assert_int_equal(coffer_process_wait(coffer_container_process(c), 0, NULL, &again),
				 -EIO);
		assert_string_equal(err.message, again.message);
		coffer_container_free(c);
	}
}

static void test_failing_start(void **state)
{
	struct coffer_process_config p = test_process(COFFER_STDIN);
	struct coffer_container *c = test_new("nostart", &p);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_exit end;

	fake.fail = "start";
	assert_int_equal(coffer_container_create(c, NULL), 0);
	assert_int_equal(coffer_container_start(c, &err), -ENOENT);
	assert_int_equal(coffer_container_state(c), COFFER_STATE_ERRORED);
	/* The agent's verdict is the exit code. */
	assert_int_equal(coffer_process_wait(coffer_container_process(c), 0, &end, NULL), 0);
	assert_int_equal(end.code, 127);
	assert_int_equal(coffer_process_take_stream(coffer_container_process(c), COFFER_STDIN), -1);
	coffer_container_free(c);
	assert_int_equal(fake.frees, 1);
}

/* At whatever step: all is given back, and a failed exec harms nobody. */
static void test_failing_launches(void **state)
{
	static const char *const calls[] = { "create", "wait" };

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		struct coffer_process_config p = test_process(COFFER_STDOUT);
		struct coffer_container *c = test_new("nolaunch", &p);
		struct coffer_error err = COFFER_ERROR_INIT;
		struct coffer_process *x;

		fake_reset();
		assert_int_equal(coffer_container_create(c, NULL), 0);
		assert_int_equal(coffer_container_start(c, NULL), 0);
		fake.fail = calls[i];
		assert_int_equal(coffer_container_exec(c, "x", &p, &x, &err), -EIO);
		assert_null(x);
		assert_int_equal(coffer_container_find_process(c, "x", &x, NULL), -ENOENT);
		fake.fail = NULL;
		assert_int_equal(coffer_container_exec(c, "x", &p, &x, NULL), 0);
		coffer_container_free(c);
		assert_int_equal(fake.connections, 0);

		fake_reset();
		c = test_new("nolaunch", &p);
		assert_int_equal(coffer_container_create(c, NULL), 0);
		fake.fail = calls[i];
		assert_int_equal(coffer_container_start(c, &err), -EIO);
		assert_int_equal(coffer_container_state(c), COFFER_STATE_ERRORED);
		assert_int_equal(fake.frees, 1);
		assert_int_equal(fake.connections, 0);
		assert_false(test_exists("nolaunch"));
		assert_int_equal(coffer_process_wait(coffer_container_process(c), 0, NULL, NULL),
				 -EIO);
		coffer_container_free(c);
	}
}

/* A disk that outlives the machine is unmounted and written first, and a failure of that is told. */
static void test_stop_in_order(void **state)
{
	static const char *const fails[] = { NULL, "Kill", "Umount", "Sync" };

	for (size_t i = 0; i < ARRAY_SIZE(fails); i++) {
		struct coffer_container_config cfg = COFFER_CONTAINER_CONFIG_INIT;
		struct coffer_process_config p = test_process(-1);
		struct coffer_error err = COFFER_ERROR_INIT;
		struct coffer_container *c;
		struct coffer_exit end;
		bool told = i >= 2;

		fake_reset();
		cfg.rootfs = fake_image;
		cfg.layer.kind = COFFER_LAYER_NONE;
		cfg.run_dir = fake_root;
		cfg.process = &p;
		assert_int_equal(container_new("order", &cfg, fake_maker, &c, NULL), 0);
		assert_int_equal(coffer_container_create(c, &err), 0);
		assert_int_equal(coffer_container_start(c, NULL), 0);
		fake.fail = fails[i];
		assert_int_equal(coffer_container_stop(c, 0, &err), told ? -EIO : 0);
		assert_int_equal(coffer_container_state(c),
				 told ? COFFER_STATE_ERRORED : COFFER_STATE_STOPPED);
		if (told)
			assert_non_null(strstr(err.message, "stop container order"));
		/* Every step of it, whatever failed. */
		assert_non_null(strstr(fake.log, "Umount"));
		assert_non_null(strstr(strstr(fake.log, "Umount"), "Sync"));
		assert_non_null(strstr(strstr(fake.log, "Sync"), "stop"));
		assert_int_equal(fake.frees, 1);
		assert_int_equal(fake.connections, 0);
		assert_false(test_exists("order"));
		assert_int_equal(coffer_process_wait(coffer_container_process(c), 0, &end, NULL),
				 0);
		assert_int_equal(end.code, 137);
		coffer_container_free(c);
	}
}

static void test_streams_that_do_not_come(void **state)
{
	struct coffer_process_config p = test_process(COFFER_STDOUT);
	struct coffer_container *c = test_new("nostream", &p);
	struct coffer_error err = COFFER_ERROR_INIT;
	usec_t begin = clock_now();

	fake.no_streams = true;
	assert_int_equal(coffer_container_create(c, NULL), 0);
	assert_int_equal(coffer_container_start(c, &err), -ETIMEDOUT);
	assert_int_equal(err.kind, COFFER_ERR_TIMEOUT);
	assert_true(clock_now() - begin >= 2900000);
	coffer_container_free(c);
}

static void test_missing_rootfs(void **state)
{
	struct coffer_container_config cfg = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_process_config p = test_process(-1);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_container *c;

	cfg.rootfs = "/nonexistent/rootfs";
	cfg.run_dir = fake_root;
	cfg.process = &p;
	assert_int_equal(container_new("missing", &cfg, fake_maker, &c, NULL), 0);
	assert_int_equal(coffer_container_create(c, &err), -ENOENT);
	assert_int_equal(err.kind, COFFER_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "/nonexistent/rootfs"));
	assert_int_equal(fake.boots, 0);
	assert_false(test_exists("missing"));
	coffer_container_free(c);
}

static void test_names(void **state)
{
	static const char *const bad[] = { "", "../x", "a/b", ".x", "-x", "_x", "a b", "a\n",
		"0123456789012345678901234567890123456789012345678901234567890123x" };
	struct coffer_container_config cfg = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_process_config p = test_process(-1);
	struct coffer_container *c;

	cfg.process = &p;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(container_new(bad[i], &cfg, fake_maker, &c, NULL), -EINVAL);
		assert_null(c);
	}
	assert_int_equal(container_new(NULL, &cfg, fake_maker, &c, NULL), 0);
	assert_int_equal(strspn(coffer_container_id(c), "0123456789abcdef"), 12);
	assert_int_equal(strlen(coffer_container_id(c)), 12);
	coffer_container_free(c);
}

static void test_taken_name(void **state)
{
	struct coffer_process_config p = test_process(-1);
	struct coffer_container *a = test_new("same", &p), *b = test_new("same", &p);
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(coffer_container_create(a, NULL), 0);
	assert_int_equal(coffer_container_create(b, &err), -EEXIST);
	assert_int_equal(err.kind, COFFER_ERR_ALREADY_EXISTS);
	assert_true(test_exists("same"));
	coffer_container_free(b);
	assert_true(test_exists("same"));
	assert_int_equal(coffer_container_start(a, NULL), 0);
	coffer_container_free(a);
	assert_false(test_exists("same"));
}

static void *test_cancel_thread(void *data)
{
	fake_await("boot");
	coffer_container_cancel(data);
	return NULL;
}

static void test_cancel(void **state)
{
	struct coffer_process_config p = test_process(-1);
	struct coffer_container *c = test_new("cancel", &p);
	struct coffer_error err = COFFER_ERROR_INIT;
	pthread_t thread;

	fake.fail = "never ready";
	assert_int_equal(pthread_create(&thread, NULL, test_cancel_thread, c), 0);
	assert_int_equal(coffer_container_create(c, &err), -ECANCELED);
	assert_int_equal(err.kind, COFFER_ERR_CANCELLED);
	pthread_join(thread, NULL);
	coffer_container_free(c);

	/* One that comes between create and start counts for the start. */
	fake_reset();
	c = test_new("cancel", &p);
	assert_int_equal(coffer_container_create(c, NULL), 0);
	coffer_container_cancel(c);
	assert_int_equal(coffer_container_start(c, &err), -ECANCELED);
	coffer_container_free(c);
}

static void test_exec(void **state)
{
	struct coffer_process_config p = test_process(-1);
	struct coffer_container *c = test_new("exec", &p);
	struct coffer_process *a, *b;
	struct coffer_exit end;

	assert_int_equal(coffer_container_create(c, NULL), 0);
	assert_int_equal(coffer_container_start(c, NULL), 0);
	/* Only create and start can be given up. */
	coffer_container_cancel(c);
	assert_int_equal(coffer_container_exec(c, "one", &p, &a, NULL), 0);
	assert_int_equal(coffer_container_exec(c, "one", &p, &b, NULL), -EEXIST);
	assert_int_equal(coffer_container_exec(c, "exec", &p, &b, NULL), -EEXIST);
	assert_int_equal(coffer_container_exec(c, "a/b", &p, &b, NULL), -EINVAL);
	assert_null(b);
	fake_end_process(3);
	assert_int_equal(coffer_process_wait(a, COFFER_FOREVER, &end, NULL), 0);
	assert_int_equal(end.code, 3);
	/* A failed one leaves its name free, here and with the agent. */
	fake.fail = "create";
	assert_null(strstr(fake.log, "remove"));
	assert_int_equal(coffer_container_exec(c, "two", &p, &b, NULL), -EIO);
	assert_non_null(strstr(fake.log, "remove"));
	fake.fail = NULL;
	assert_int_equal(coffer_container_exec(c, "two", &p, &b, NULL), 0);
	assert_int_equal(coffer_container_exec(c, NULL, &p, &b, NULL), 0);
	assert_int_equal(coffer_container_state(c), COFFER_STATE_STARTED);
	coffer_container_free(c);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, test_setup, test_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_whole_life),
		TEST(test_again_after_stop),
		TEST(test_wrong_states),
		TEST(test_failing_create),
		TEST(test_failing_start),
		TEST(test_failing_launches),
		TEST(test_stop_in_order),
		TEST(test_streams_that_do_not_come),
		TEST(test_missing_rootfs),
		TEST(test_names),
		TEST(test_taken_name),
		TEST(test_cancel),
		TEST(test_exec),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, fake_group_setup, fake_group_teardown);
}
