/* SPDX-License-Identifier: Apache-2.0 */
/* test_rpc_text.c - time-outs, percent encoding, cleaned text, statuses */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "rpc/grpc.h"
#include "rpc/grpc_text.h"

static int parse(const char *s, usec_t *out)
{
	return grpc_timeout_parse((const uint8_t *)s, strlen(s), out);
}

static void test_timeout_parse(void **state)
{
	static const struct {
		const char *text;
		usec_t usec;
	} good[] = {
		{ "0n", 0 },
		{ "1n", 1 },
		{ "1000n", 1 },
		{ "1001n", 2 },
		{ "7u", 7 },
		{ "100m", 100000 },
		{ "3S", 3000000 },
		{ "2M", 120000000 },
		{ "1H", UINT64_C(3600000000) },
		{ "0001S", 1000000 },
		{ "99999999H", UINT64_C(99999999) * 3600000000 },
	};
	static const char *const bad[] = { "",	  "S",	 "1",	"-1S",	      "1s", "1.5S", " 1S",
					   "1S ", "+1S", "1SS", "123456789S", "1h", "1\xff" };
	usec_t usec;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(parse(good[i].text, &usec), 0);
		assert_int_equal(usec, good[i].usec);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse(bad[i], &usec), -EINVAL);
}

static void test_timeout_format(void **state)
{
	static const struct {
		usec_t usec;
		const char *text;
	} rows[] = {
		{ 0, "0u" },
		{ 1, "1u" },
		{ 99999999, "99999999u" },
		{ 100000000, "100000m" },
		{ 100000001, "100001m" },
		{ UINT64_C(99999999000), "99999999m" },
		{ UINT64_C(99999999001), "100000S" },
		{ UINT64_C(100000000) * USEC_PER_SEC, "1666667M" },
		{ USEC_INFINITY - 1, "99999999H" },
	};
	char out[GRPC_TIMEOUT_MAX];
	usec_t back;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		grpc_timeout_format(rows[i].usec, out);
		assert_string_equal(out, rows[i].text);
		assert_int_equal(parse(out, &back), 0);
	}
}

static void test_percent(void **state)
{
	static const char text[] = "100% \n\x01\x7f~\xc3\xbc";
	char enc[64], dec[64];

	size_t n = grpc_percent_encode(text, enc, sizeof(enc));

	assert_int_equal(n, strlen(enc));
	assert_string_equal(enc, "100%25 %0A%01%7F~%C3%BC");
	grpc_percent_decode((const uint8_t *)enc, strlen(enc), dec, sizeof(dec));
	assert_string_equal(dec, text);
	/* Cut between characters, never inside an escape. */
	assert_int_equal(grpc_percent_encode("ab%", enc, 5), 2);
	assert_string_equal(enc, "ab");
	assert_int_equal(grpc_percent_encode("abcdef", enc, 4), 3);
	grpc_percent_decode((const uint8_t *)"%4%zz%00%", 9, dec, sizeof(dec));
	assert_string_equal(dec, "%4%zz?%");
	assert_int_equal(grpc_percent_decode((const uint8_t *)"abcdef", 6, dec, 4), 3);
}

static void test_utf8(void **state)
{
	static const char *const good[] = { "",
					    "a",
					    "\xc2\x80",
					    "\xe0\xa0\x80",
					    "\xed\x9f\xbf",
					    "\xef\xbf\xbf",
					    "\xf0\x90\x80\x80",
					    "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80",
					   "\xc0\x80",
					   "\xc1\xbf",
					   "\xc2",
					   "\xe0\x9f\xbf",
					   "\xed\xa0\x80",
					   "\xe1\x80",
					   "\xf0\x8f\xbf\xbf",
					   "\xf4\x90\x80\x80",
					   "\xf5\x80\x80\x80",
					   "\xe1\x80\x41",
					   "\xf1\x80\x80" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(grpc_text_utf8((const uint8_t *)good[i], strlen(good[i])),
				 strlen(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(grpc_text_utf8((const uint8_t *)bad[i], strlen(bad[i])), 0);
	assert_int_equal(grpc_text_utf8((const uint8_t *)"ab\0c", 4), 2);
}

static void test_clean(void **state)
{
	char out[16];

	grpc_text_clean("a\nb\x1b[31m\x7f", out, sizeof(out));
	assert_string_equal(out, "a?b?[31m?");
	grpc_text_clean("\xc2\x9b!\xc3\xbc\xff\xe2\x82", out, sizeof(out));
	assert_string_equal(out, "?!\xc3\xbc???");
	/* Never half a character. */
	grpc_text_clean("abc\xc3\xbc", out, 5);
	assert_string_equal(out, "abc");
	grpc_text_clean("abc\xc3\xbc", out, 6);
	assert_string_equal(out, "abc\xc3\xbc");
}

static void test_status(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	for (int k = 0; k < COFFER_ERR_KIND_COUNT; k++) {
		if (k == COFFER_ERR_EMPTY)
			continue;
		assert_int_equal(grpc_status_to_kind(grpc_status_from_kind(k)), k);
	}
	assert_int_equal(grpc_status_from_kind(COFFER_ERR_EMPTY), GRPC_INTERNAL);
	assert_int_equal(grpc_status_from_kind(999), GRPC_INTERNAL);
	assert_int_equal(grpc_status_to_kind(99), COFFER_ERR_INTERNAL);
	assert_string_equal(grpc_status_str(GRPC_UNAVAILABLE), "UNAVAILABLE");
	assert_string_equal(grpc_status_str(17), "UNKNOWN");
	assert_int_equal(grpc_status_to_error(GRPC_NOT_FOUND, "Stat", "", &err), -ENOENT);
	assert_string_equal(err.message, "Stat: status NOT_FOUND");
	assert_int_equal(grpc_status_to_error(GRPC_OK, "Stat", "x", &err), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timeout_parse), cmocka_unit_test(test_timeout_format),
		cmocka_unit_test(test_percent),	      cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_clean),	      cmocka_unit_test(test_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
