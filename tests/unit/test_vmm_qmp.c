/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The QMP client against a QEMU that behaves, one that does not, and one that is hostile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "vmm/qmp.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"

struct fixture {
	struct loop *loop;
	struct qmp *qmp;
	int peer;
	unsigned ready, events, closes, done, failed;
	char event[64], close_message[COFFER_ERROR_MESSAGE_MAX], error[COFFER_ERROR_MESSAGE_MAX];
	bool free_in_event;
};

static void on_ready(void *data)
{
	((struct fixture *)data)->ready++;
}

static void on_event(const char *event, struct json_object *info, void *data)
{
	struct fixture *f = data;

	f->events++;
	snprintf(f->event, sizeof(f->event), "%s%s", event, info ? "+data" : "");
	if (f->free_in_event) {
		qmp_free(f->qmp);
		f->qmp = NULL;
	}
}

static void on_close(const struct coffer_error *err, void *data)
{
	struct fixture *f = data;

	f->closes++;
	snprintf(f->close_message, sizeof(f->close_message), "%s", err->message);
}

static void on_done(const struct coffer_error *err, struct json_object *ret, void *data)
{
	struct fixture *f = data;

	f->done++;
	assert_true(!err == !!ret);
	if (err) {
		f->failed++;
		snprintf(f->error, sizeof(f->error), "%s", err->message);
	}
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct qmp_args args = { .on_ready = on_ready, .on_event = on_event,
				 .on_close = on_close, .data = f };
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(loop_new(&f->loop, NULL), 0);
	args.sock = sv[0];
	f->peer = sv[1];
	io_set_nonblock(f->peer, true);
	assert_int_equal(qmp_new(f->loop, &args, &f->qmp, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	qmp_free(f->qmp);
	loop_free(f->loop);
	close_fd(&f->peer);
	free(f);
	return 0;
}

static void say(struct fixture *f, const char *text)
{
	assert_int_equal(write(f->peer, text, strlen(text)), strlen(text));
	assert_int_equal(loop_step(f->loop, deadline_in(60 * USEC_PER_SEC), NULL), 0);
}

static const char *heard(struct fixture *f)
{
	static char text[4096];
	ssize_t n = read(f->peer, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void negotiate(struct fixture *f)
{
	say(f, GREETING);
	assert_string_equal(heard(f), "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
	say(f, "{\"return\": {}, \"id\": 1}\r\n");
	assert_int_equal(f->ready, 1);
}

static void test_negotiation(void **state)
{
	struct fixture *f = *state;

	negotiate(f);
	say(f, GREETING); /* a second one is not answered */
	assert_string_equal(heard(f), "");
	assert_int_equal(f->closes, 0);
}

static void test_bytes_one_by_one(void **state)
{
	struct fixture *f = *state;

	for (const char *p = GREETING; *p; p++)
		say(f, (char[]){ *p, '\0' });
	assert_string_equal(heard(f), "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
}

static void test_command(void **state)
{
	struct fixture *f = *state;

	negotiate(f);
	assert_int_equal(qmp_command(f->qmp, "stop", on_done, f, NULL), 0);
	assert_string_equal(heard(f), "{\"execute\":\"stop\",\"id\":2}\n");
	say(f, "{\"event\": \"STOP\"}\n{\"return\": {}, \"id\": 2}\n");
	assert_int_equal(f->events, 1);
	assert_string_equal(f->event, "STOP");
	assert_int_equal(f->done, 1);
	assert_int_equal(f->failed, 0);
	say(f, "{\"return\": {}, \"id\": 2}\n"); /* no longer outstanding */
	assert_int_equal(f->done, 1);
}

static void test_command_refused(void **state)
{
	struct fixture *f = *state;

	negotiate(f);
	assert_int_equal(qmp_command(f->qmp, "cont", on_done, f, NULL), 0);
	say(f, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": 2}\n");
	assert_int_equal(f->failed, 1);
	assert_string_equal(f->error, "qemu: no");
	assert_int_equal(qmp_command(f->qmp, "cont", on_done, f, NULL), 0);
	say(f, "{\"error\": 7, \"id\": 3}\n");
	assert_int_equal(f->failed, 2);
}

static void test_event_data(void **state)
{
	struct fixture *f = *state;

	say(f, "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\n");
	assert_string_equal(f->event, "SHUTDOWN+data");
	say(f, "{\"event\": \"SHUTDOWN\", \"data\": [1]}\n");
	assert_string_equal(f->event, "SHUTDOWN");
	say(f, "{\"event\": 5}\n{\"event\": null}\n{}\n");
	assert_int_equal(f->events, 2);
	assert_int_equal(f->closes, 0);
}

static void test_free_in_callback(void **state)
{
	struct fixture *f = *state;

	negotiate(f);
	assert_int_equal(qmp_command(f->qmp, "stop", on_done, f, NULL), 0);
	f->free_in_event = true;
	say(f, "{\"event\": \"A\"}\n{\"event\": \"B\"}\n");
	assert_int_equal(f->events, 1);
	assert_int_equal(f->failed, 1);
	assert_string_equal(f->error, "the machine has ended");
}

static void test_too_many_commands(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct fixture *f = *state;

	negotiate(f);
	for (int i = 0; i < QMP_PENDING_MAX; i++)
		assert_int_equal(qmp_command(f->qmp, "stop", on_done, f, &err), 0);
	assert_true(qmp_command(f->qmp, "stop", on_done, f, &err) < 0);
	assert_string_equal(err.message, "qemu: stop: does not answer");
	assert_int_equal(f->done, 0);
}

static void test_breaches_close(void **state)
{
	static const char *const lines[] = {
		"hello\n", "[]\n", "7\n", "{\"event\": \n", "{\"a\":1} {\"b\":2\n", "\xff\xfe\n",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct fixture *f;
		void *one;

		setup(&one);
		f = one;
		say(f, lines[i]);
		if (i != 4) /* the rest of a line behind an object is not looked at */
			assert_int_equal(f->closes, 1);
		assert_true(f->closes <= 1);
		if (f->closes)
			assert_true(qmp_command(f->qmp, "stop", NULL, NULL, NULL) < 0);
		teardown(&one);
	}
}

static void test_endless_line(void **state)
{
	struct fixture *f = *state;
	char chunk[4096];

	memset(chunk, ' ', sizeof(chunk));
	for (int i = 0; i < 64 && !f->closes; i++) {
		(void)!write(f->peer, chunk, sizeof(chunk));
		loop_step(f->loop, deadline_in(60 * USEC_PER_SEC), NULL);
	}
	assert_int_equal(f->closes, 1);
	assert_string_equal(f->close_message, "qemu: line is too long");
}

static void test_hang_up(void **state)
{
	struct fixture *f = *state;

	negotiate(f);
	assert_int_equal(qmp_command(f->qmp, "stop", on_done, f, NULL), 0);
	close_fd(&f->peer);
	loop_step(f->loop, deadline_in(60 * USEC_PER_SEC), NULL);
	assert_int_equal(f->closes, 1);
	qmp_free(f->qmp);
	f->qmp = NULL;
	assert_int_equal(f->failed, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_negotiation),
		TEST(test_bytes_one_by_one),
		TEST(test_command),
		TEST(test_command_refused),
		TEST(test_event_data),
		TEST(test_free_in_callback),
		TEST(test_too_many_commands),
		cmocka_unit_test(test_breaches_close),
		TEST(test_endless_line),
		TEST(test_hang_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
