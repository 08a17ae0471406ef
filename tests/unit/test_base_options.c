/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_base_options.c - option tables and sizes
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/options.h"

struct fields {
	bool flag;
	const char *text;
	struct opt_list list;
	unsigned count;
	uint64_t size;
	const char *word;
};

static const char *const test_words[] = { "red", "green", NULL };

#define FIELD(member) offsetof(struct fields, member)
static const struct opt_row test_rows[] = {
	{ "flag", 'f', OPT_FLAG, FIELD(flag), NULL, "A flag" },
	{ "text", 0, OPT_STRING, FIELD(text), "TEXT", "A text" },
	{ "list", 'l', OPT_LIST, FIELD(list), "WORD", "A list" },
	{ "count", 'c', OPT_COUNT, FIELD(count), "N", "A count", 1, 64 },
	{ "size", 's', OPT_SIZE, FIELD(size), "SIZE", "A size", 1 << 20, UINT64_C(1) << 40 },
	{ "word", 0, OPT_WORD, FIELD(word), "WORD", "A word", .words = test_words },
};

static int parse(struct fields *f, int *rest, struct coffer_error *err, ...)
{
	char *argv[16] = { (char *)"test" };
	int argc = 1;
	va_list ap;

	va_start(ap, err);
	while ((argv[argc] = va_arg(ap, char *)))
		argc++;
	va_end(ap);
	*f = (struct fields){ 0 };
	return opt_parse(test_rows, ARRAY_SIZE(test_rows), 0, argc, argv, f, rest, err);
}

static void test_good(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct fields f;
	int rest;

	assert_int_equal(parse(&f, &rest, &err, "-f", "--text=a", "-l", "1", "--list", "2", "-c3",
			       "-s", "64m", "--word", "green", "cmd", "-f", "--nope", NULL), 0);
	assert_true(f.flag);
	assert_string_equal(f.text, "a");
	assert_int_equal(f.list.n, 2);
	assert_string_equal(f.list.v[1], "2");
	assert_null(f.list.v[2]);
	assert_int_equal(f.count, 3);
	assert_int_equal(f.size, 64 << 20);
	assert_string_equal(f.word, "green");
	assert_int_equal(rest, 12);
	opt_list_free(&f.list);

	assert_int_equal(parse(&f, &rest, &err, "-f", "--", "-f", NULL), 0);
	assert_int_equal(rest, 3);
	assert_int_equal(parse(&f, &rest, &err, NULL), 0);
	assert_int_equal(rest, 1);
}

static void test_bad(void **state)
{
	static const struct {
		const char *word, *value, *message;
	} rows[] = {
		{ "--nope", NULL, "unknown option --nope" },
		{ "-x", NULL, "unknown option -x" },
		{ "-fx", NULL, "unknown option -x" },
		{ "--text", NULL, "option --text needs an argument" },
		{ "-c", NULL, "option -c needs an argument" },
		{ "--flag=maybe", NULL, "option --flag: maybe: not true or false" },
		{ "-c", "0", "option --count: 0: must be 1 to 64" },
		{ "-c", "65", "option --count: 65: must be 1 to 64" },
		{ "-c", "-1", "option --count: -1: not a number" },
		{ "-c", "3x", "option --count: 3x: not a number" },
		{ "-c", "99999999999999999999", "option --count: 99999999999999999999: not a number" },
		{ "-s", "1k", "option --size: 1k: must be 1M to 1048576M" },
		{ "-s", "x", "option --size: x: not a size (such as 256M or 1g)" },
		{ "--word", "blue", "option --word: blue: must be one of red, green" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		struct fields f;
		int rest;

		assert_int_equal(parse(&f, &rest, &err, rows[i].word, rows[i].value, NULL), -EINVAL);
		assert_string_equal(err.message, rows[i].message);
	}
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 }, { "1", 1 }, { "123b", 123 }, { "1k", 1024 }, { "1K", 1024 },
		{ "2kb", 2048 }, { "3MiB", 3 << 20 }, { "256M", 256 << 20 }, { "1g", 1 << 30 },
		{ "1.5g", 3u << 29 }, { "0.25k", 256 }, { "1t", UINT64_C(1) << 40 },
		{ "1.0000000001k", 1024 },
	};
	static const char *const bad[] = { "", "k", "-1", "1x", "1kk", "1 k", "1.", ".5k", "1kbx",
					   "18446744073709551616", "99999999999t", "0x10" };
	uint64_t n;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(opt_parse_size(good[i].text, &n), 0);
		assert_int_equal(n, good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(opt_parse_size(bad[i], &n), -EINVAL);
}

/* Of a program whose options stand anywhere, long ones also with one dash. */
static void test_anywhere(void **state)
{
	char *argv[] = { (char *)"test", (char *)"first", (char *)"-flag=false", (char *)"second",
			 (char *)"-text", (char *)"-1", (char *)"-c3", (char *)"-l", (char *)"a",
			 (char *)"--", (char *)"-f", NULL };
	char *unknown[] = { (char *)"test", (char *)"-xflag", NULL };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct fields f = { .flag = true };
	int rest;

	assert_int_equal(opt_parse(test_rows, ARRAY_SIZE(test_rows), OPT_ANYWHERE | OPT_ONE_DASH,
				   ARRAY_SIZE(argv) - 1, argv, &f, &rest, &err), 0);
	assert_false(f.flag);
	assert_string_equal(f.text, "-1");
	assert_int_equal(f.count, 3);
	assert_int_equal(f.list.n, 1);
	assert_int_equal(rest, 8);
	assert_string_equal(argv[8], "first");
	assert_string_equal(argv[9], "second");
	assert_string_equal(argv[10], "-f");
	opt_list_free(&f.list);
	assert_int_equal(opt_parse(test_rows, ARRAY_SIZE(test_rows), OPT_ONE_DASH, 2, unknown, &f,
				   &rest, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
