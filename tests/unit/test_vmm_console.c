/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endless foreign text: the bounded console file, and the last lines for messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "vmm/console.h"

static char dir[] = "/tmp/coffer-test-XXXXXX";

static int make_dir(void **state)
{
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int remove_dir(void **state)
{
	return path_remove_tree(AT_FDCWD, dir, NULL);
}

static void test_small_console_is_whole(void **state)
{
	struct console c = CONSOLE_INIT;
	autofree char *text = NULL;

	assert_int_equal(console_open(&c, AT_FDCWD, "small", 8192, NULL), 0);
	console_write(&c, "hello\n", 6);
	console_write(&c, "world\n", 6);
	console_close(&c);
	assert_int_equal(io_read_file(AT_FDCWD, "small", 8192, &text, NULL, NULL), 0);
	assert_string_equal(text, "hello\nworld\n");
}

static void test_flood_keeps_both_ends(void **state)
{
	struct console c = CONSOLE_INIT;
	autofree char *text = NULL;
	const char *p;
	size_t len;
	char line[32];
	unsigned first = 0, last = 0;

	assert_int_equal(console_open(&c, AT_FDCWD, "flood", 16384, NULL), 0);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(line, sizeof(line), "line %06u\n", i);
		console_write(&c, line, strlen(line));
		assert_true(c.size < 16384);
	}
	console_close(&c);
	assert_int_equal(io_read_file(AT_FDCWD, "flood", 16384, &text, &len, NULL), 0);
	assert_memory_equal(text, "line 000000\nline 000001\n", 24);
	assert_string_equal(text + len - 12, "line 099999\n");
	p = strstr(text, "[... cut");
	assert_non_null(p);
	assert_int_equal(p - text, 8192 + 1);
	/* Behind the mark: a part of a line, then every line up to the last. */
	p = strchr(strchr(p, ']') + 6, '\n') + 1;
	for (; *p; p += 12) {
		assert_int_equal(sscanf(p, "line %06u\n", &last), 1);
		if (first)
			assert_int_equal(last, first + 1);
		first = last;
	}
	assert_int_equal(last, 99999);
	assert_true(len > 8192 + 3000);
}

static void test_large_writes(void **state)
{
	static char chunk[50000];
	struct console c = CONSOLE_INIT;

	memset(chunk, 'x', sizeof(chunk));
	assert_int_equal(console_open(&c, AT_FDCWD, "large", 8192, NULL), 0);
	for (int i = 0; i < 10; i++)
		console_write(&c, chunk, sizeof(chunk));
	assert_true(c.size < 8192);
	console_close(&c);
}

static void test_full_disk(void **state)
{
	struct rlimit before, small;
	struct console c = CONSOLE_INIT;
	char text[64];

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 8;
	assert_int_equal(console_open(&c, AT_FDCWD, "full", 8192, NULL), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	console_write(&c, "0123456789\n", 11);
	console_write(&c, "more\n", 5);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(c.fd, -1);
	assert_true(tail_last(&c.tail, 5, text, sizeof(text)));
	assert_string_equal(text, "0123456789 | more");
}

static void test_refuses_link(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct console c = CONSOLE_INIT;

	assert_int_equal(symlink("elsewhere", "link"), 0);
	assert_int_equal(console_open(&c, AT_FDCWD, "link", 8192, &err), -ELOOP);
}

static void test_tail_lines(void **state)
{
	const char *lines = "one\r\ntwo\n\n\nthree\x1b[2J\tq\xff\nfour";
	struct tail t = { .len = 0 };
	char text[128], tiny[8];

	assert_false(tail_last(&t, 3, text, sizeof(text)));
	tail_add(&t, "\r\n\r\n", 4);
	assert_false(tail_last(&t, 3, text, sizeof(text)));
	tail_add(&t, lines, strlen(lines));
	assert_true(tail_last(&t, 1, text, sizeof(text)));
	assert_string_equal(text, "four");
	assert_true(tail_last(&t, 3, text, sizeof(text)));
	assert_string_equal(text, "two | three?[2J q? | four");
	assert_true(tail_last(&t, 99, text, sizeof(text)));
	assert_string_equal(text, "one | two | three?[2J q? | four");
	assert_true(tail_last(&t, 99, tiny, sizeof(tiny)));
	assert_string_equal(tiny, " | four");
	assert_false(tail_last(&t, 99, tiny, 1));
}

static void test_tail_forgets(void **state)
{
	struct tail t = { .len = 0 };
	static char big[3 * TAIL_SIZE];
	char text[TAIL_SIZE + 1];

	memset(big, 'a', sizeof(big));
	tail_add(&t, "first\n", 6);
	tail_add(&t, big, TAIL_SIZE - 3);
	assert_int_equal(t.len, TAIL_SIZE);
	tail_add(&t, big, sizeof(big));
	assert_int_equal(t.len, TAIL_SIZE);
	tail_add(&t, "\nend\n", 5);
	assert_true(tail_last(&t, 1, text, sizeof(text)));
	assert_string_equal(text, "end");
}

static void test_tail_find(void **state)
{
	struct tail t = { .len = 0 };
	char text[64], tiny[13];
	const char *log = "[ 1.0] Kernel panic - not syncing: no\n[ 1.1] Kernel panic again\nrest";

	assert_false(tail_find(&t, "Kernel panic", text, sizeof(text)));
	tail_add(&t, log, strlen(log));
	assert_true(tail_find(&t, "Kernel panic", text, sizeof(text)));
	assert_string_equal(text, "Kernel panic again");
	assert_true(tail_find(&t, "Kernel panic", tiny, sizeof(tiny)));
	assert_string_equal(tiny, "Kernel panic");
	assert_false(tail_find(&t, "panic\n", text, sizeof(text)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_console_is_whole),
		cmocka_unit_test(test_flood_keeps_both_ends),
		cmocka_unit_test(test_large_writes),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_refuses_link),
		cmocka_unit_test(test_tail_lines),
		cmocka_unit_test(test_tail_forgets),
		cmocka_unit_test(test_tail_find),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
