/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_sandbox_words.c - what a guest says: the agent's greeting, the console, vsock answers
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "sandbox/console.h"
#include "sandbox/hello.h"
#include "sandbox/hybrid.h"

static int hello(const char *line, struct agent_hello *out)
{
	return agent_hello_parse(line, strlen(line), out, NULL);
}

static void test_hello(void **state)
{
	struct agent_hello h;

	assert_int_equal(hello("{\"agent\":\"coffer-agent\",\"version\":\"0.1.0\","
			       "\"uptime_us\":1100000,\"init_us\":900000}", &h), 0);
	assert_string_equal(h.version, "0.1.0");
	assert_int_equal(h.uptime_usec, 1100000);
	assert_int_equal(h.init_usec, 900000);
	/* Odd numbers are nothing to fail for; escapes lose their effect. */
	assert_int_equal(hello("{\"agent\":\"coffer-agent\",\"version\":\"\\u001b[31m\","
			       "\"uptime_us\":-5,\"init_us\":\"x\"}", &h), 0);
	assert_string_equal(h.version, "?[31m");
	assert_int_equal(h.uptime_usec, 0);
	assert_int_equal(h.init_usec, 0);
}

static void test_hello_refused(void **state)
{
	static const char *const bad[] = { "", "hello", "{", "[]", "{}", "null", "\"coffer-agent\"",
					   "{\"agent\":\"other\"}", "{\"agent\":7}",
					   "{\"agent\":{\"agent\":{\"agent\":{}}}}",
					   "{\"agent\":\"coffer-agent\"" };
	struct agent_hello h;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(hello(bad[i], &h), -EPROTO);
}

struct console {
	char dir[32];
	int fd;
};

static void console_write(const struct console *c, const char *text, size_t n)
{
	autoclose int fd = openat(c->fd, "console.log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				  0600);

	assert_int_equal(write(fd, text, n), n);
}

static int console_setup(void **state)
{
	static struct console c;

	strcpy(c.dir, "/tmp/coffer-test-XXXXXX");
	assert_non_null(mkdtemp(c.dir));
	c.fd = open(c.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &c;
	return 0;
}

static int console_teardown(void **state)
{
	struct console *c = *state;

	close(c->fd);
	return path_remove_tree(AT_FDCWD, c->dir, NULL);
}

static void test_console(void **state)
{
	struct console *c = *state;
	char text[CONSOLE_TAIL_MAX];

	console_tail(c->fd, text);
	assert_string_equal(text, "");
	console_write(c, "one\r\n\r\ntwo\r\n", 12);
	console_tail(c->fd, text);
	assert_string_equal(text, "one | two");
	console_write(c, "1\n2\n3\n4\n5\n6\n7\n8\n9", 17);
	console_tail(c->fd, text);
	assert_string_equal(text, "4 | 5 | 6 | 7 | 8 | 9");
	console_write(c, "\033[2Jpanic\0\xff\n", 12);
	console_tail(c->fd, text);
	assert_string_equal(text, "?[2Jpanic??");
}

static void test_console_is_bounded(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct console *c = *state;
	char text[COFFER_ERROR_MESSAGE_MAX];
	char *big = malloc(1 << 20);

	memset(big, 'a', 1 << 20);
	console_write(c, big, 1 << 20);
	console_tail(c->fd, text);
	assert_true(strlen(text) > 400 && strlen(text) < sizeof(text));
	/* Of a message too long for both, the tail stays. */
	memset(err.message, 'm', sizeof(err.message) - 1);
	console_explain(c->fd, &err);
	assert_true(strlen(err.message) < sizeof(err.message));
	assert_string_equal(err.message + strlen(err.message) - 2, "a)");
	/* Whoever explains it once more adds nothing. */
	strcpy(err.message, "why");
	console_explain(c->fd, &err);
	strcpy(text, err.message);
	console_explain(c->fd, &err);
	assert_string_equal(err.message, text);
	for (int i = 0; i < 512; i++)
		big[i] = i % 2 ? '\n' : 'b';
	console_write(c, big, 512);
	console_tail(c->fd, text);
	assert_string_equal(text, "b | b | b | b | b | b");
	free(big);
}

static void test_console_that_is_none(void **state)
{
	struct console *c = *state;
	char text[CONSOLE_TAIL_MAX];

	assert_int_equal(symlinkat("/etc/passwd", c->fd, "console.log"), 0);
	console_tail(c->fd, text);
	assert_string_equal(text, "");
}

static int answer(const char *text, bool close_it)
{
	int sv[2], r;
	char rest = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(write(sv[1], text, strlen(text)), strlen(text));
	if (close_it)
		close(sv[1]);
	r = hybrid_dialled(sv[0], deadline_in(100 * USEC_PER_MSEC), NULL);
	/* What follows the line is left alone. */
	if (r == 0) {
		assert_int_equal(read(sv[0], &rest, 1), 1);
		assert_int_equal(rest, '!');
	}
	close(sv[0]);
	if (!close_it)
		close(sv[1]);
	return r;
}

static void test_hybrid_answers(void **state)
{
	assert_int_equal(answer("OK 1024\n!", true), 0);
	assert_int_equal(answer("", true), -ECONNREFUSED);
	assert_int_equal(answer("OK 10", true), -ECONNREFUSED);
	assert_int_equal(answer("OK 10", false), -ETIMEDOUT);
	assert_int_equal(answer("NO 1024\n!", true), -EPROTO);
	assert_int_equal(answer("OK 1111111111111111111111111111111111111111111\n", true), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_hello_refused),
		cmocka_unit_test_setup_teardown(test_console, console_setup, console_teardown),
		cmocka_unit_test_setup_teardown(test_console_is_bounded, console_setup,
						console_teardown),
		cmocka_unit_test_setup_teardown(test_console_that_is_none, console_setup,
						console_teardown),
		cmocka_unit_test(test_hybrid_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
