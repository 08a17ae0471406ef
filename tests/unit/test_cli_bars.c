/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cli_bars.c - how a transfer of images goes, for people
 */
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "cli/bars.h"

#define BLOB "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void tell(struct bars *bars, enum coffer_progress_kind kind, const char *what,
		 uint64_t done, uint64_t total)
{
	const struct coffer_progress p = { .kind = kind, .what = what, .done = done,
					   .total = total };

	bars_tell(bars, &p);
}

static void test_line(void **state)
{
	struct bar bar = { .what = BLOB, .done = 25000000, .total = 100000000, .rate = 2500000 };
	char line[512];

	assert_int_equal(bars_line(&bar, 80, line, sizeof(line)), 79);
	assert_non_null(strstr(line, "0123456789ab  [="));
	assert_non_null(strstr(line, ">  "));
	assert_non_null(strstr(line, "]  25MB/100MB  2.5MB/s  ETA 30s"));
	/* It follows the window, and gives way to the numbers. */
	for (size_t columns = 0; columns < 700; columns++) {
		size_t n = bars_line(&bar, columns, line, sizeof(line));

		assert_true(columns ? n < columns : n == 0);
		assert_int_equal(strlen(line), n);
	}
	bars_line(&bar, 40, line, sizeof(line));
	assert_null(strchr(line, '['));
	/* What is not known is not told. */
	bar = (struct bar){ .what = "x", .build = true, .done = 5 };
	bars_line(&bar, 80, line, sizeof(line));
	assert_string_equal(line, "root          5B");
	/* More than there should be is no more than all of it. */
	bar = (struct bar){ .what = "x", .done = 50, .total = 10, .rate = 5 };
	assert_int_equal(bars_line(&bar, 80, line, sizeof(line)), 79);
	assert_null(strchr(line, '>'));
}

static void test_plain(void **state)
{
	char path[] = "/tmp/bars-XXXXXX", text[1024] = "";
	autoclose int fd = mkostemp(path, O_CLOEXEC);
	struct bars bars;

	assert_true(fd >= 0);
	unlink(path);
	bars_begin(&bars, fd);
	tell(&bars, COFFER_PROGRESS_RESOLVED, "sha256:42", 0, 0);
	tell(&bars, COFFER_PROGRESS_BLOB, BLOB, 0, 2000);
	tell(&bars, COFFER_PROGRESS_BLOB, BLOB, 1000, 2000);
	tell(&bars, COFFER_PROGRESS_BUILD, "box", 10, 2000);
	tell(&bars, COFFER_PROGRESS_BLOB_HAVE, "sha256:aaaaaaaaaaaaaaaaaa", 0, 500);
	tell(&bars, COFFER_PROGRESS_RETRY, "503\033[2J\nbad", 0, 0);
	tell(&bars, COFFER_PROGRESS_BLOB_DONE, BLOB, 2000, 2000);
	tell(&bars, COFFER_PROGRESS_BUILD_DONE, "box", 2000, 2000);
	bars_end(&bars);
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "digest: sha256:42\n"
				  "0123456789ab: 2kB\n"
				  "aaaaaaaaaaaa: there already, 500B\n"
				  "trying again: 503?[2J?bad\n"
				  "0123456789ab: done, 2kB\n"
				  "root: built\n");
}

/* More at once than there is room for is not drawn, and forgotten. */
static void test_terminal(void **state)
{
	struct winsize size = { .ws_row = 5, .ws_col = 60 };
	char text[65536], name[32];
	size_t n = 0, up = 0;
	struct bars bars;
	int ours, theirs;

	setenv("TERM", "xterm", 1);
	assert_int_equal(openpty(&ours, &theirs, NULL, NULL, &size), 0);
	fcntl(ours, F_SETFL, O_NONBLOCK);
	bars_begin(&bars, theirs);
	assert_true(bars.terminal);
	for (int i = 0; i < BARS_MAX * 2; i++) {
		ssize_t got;

		snprintf(name, sizeof(name), "sha256:%d", i);
		tell(&bars, COFFER_PROGRESS_BLOB, name, 1, 100);
		assert_true(bars.drawn <= 4);
		got = read(ours, text + n, sizeof(text) - n - 1);
		n += got > 0 ? (size_t)got : 0;
	}
	/* What was drawn with more columns fills more rows now. */
	size.ws_col = 30;
	ioctl(theirs, TIOCSWINSZ, &size);
	tell(&bars, COFFER_PROGRESS_BLOB_DONE, "sha256:1", 100, 100);
	for (int i = 0; i < BARS_MAX * 2; i++) {
		snprintf(name, sizeof(name), "sha256:%d", i);
		tell(&bars, COFFER_PROGRESS_BLOB_DONE, name, 100, 100);
	}
	bars_end(&bars);
	assert_int_equal(bars.drawn, 0);
	n += (size_t)read(ours, text + n, sizeof(text) - n - 1);
	text[n] = '\0';
	for (const char *p = text; (p = strstr(p, "\033[")); p++)
		up += strncmp(p, "\033[8A", 4) == 0;
	assert_int_equal(up, 1);
	close(ours);
	close(theirs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
