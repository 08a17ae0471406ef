/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures out of a control group's files: present, absent, unlimited, nonsense.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/usage.h"

static void test_values(void **state)
{
	static const char text[] = "anon 4096\nfile 12\nfile_mapped 13\nslab 18446744073709551615\n";

	assert_int_equal(usage_value(text, "anon"), 4096);
	assert_int_equal(usage_value(text, "file"), 12);
	assert_int_equal(usage_value(text, "file_mapped"), 13);
	assert_true(usage_value(text, "slab") == UINT64_MAX);
	assert_int_equal(usage_value(text, "mapped"), 0);
	assert_int_equal(usage_value(text, "fil"), 0);
	assert_int_equal(usage_value("", "anon"), 0);
	assert_int_equal(usage_value("", ""), 0);
	assert_int_equal(usage_value("42\n", ""), 42);
	assert_true(usage_value("max\n", "") == UINT64_MAX);
	assert_int_equal(usage_value("-1\n", ""), 0);
	assert_int_equal(usage_value("nonsense", ""), 0);
	assert_int_equal(usage_value("anon \n", "anon"), 0);
	assert_int_equal(usage_value("anon", "anon"), 0);
}

static void test_io(void **state)
{
	static const char text[] =
	    "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"
	    "254:16 \n"
	    "nonsense\n"
	    "8: rbytes=9\n"
	    "8:1 wios=7 rbytes=x\n"
	    "9:2 rbytes=5";
	Sc__BlockIOEntry *v = NULL;

	assert_int_equal(usage_parse_io(text, &v), 4);
	assert_int_equal(v[0].major, 254);
	assert_int_equal(v[0].minor, 0);
	assert_int_equal(v[0].read_bytes, 1);
	assert_int_equal(v[0].write_bytes, 2);
	assert_int_equal(v[0].read_operations, 3);
	assert_int_equal(v[0].write_operations, 4);
	assert_int_equal(v[1].minor, 16);
	assert_int_equal(v[1].read_bytes, 0);
	assert_int_equal(v[2].major, 8);
	assert_int_equal(v[2].write_operations, 7);
	assert_int_equal(v[2].read_bytes, 0);
	assert_int_equal(v[3].read_bytes, 5);
	free(v);
	v = NULL;
	assert_int_equal(usage_parse_io("", &v), 0);
	free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_io),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
