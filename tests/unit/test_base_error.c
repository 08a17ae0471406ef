/* SPDX-License-Identifier: Apache-2.0 */
/* The error object: codes, text, context chain, truncation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void test_leaf_and_context(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;

	errno = ENOENT;
	assert_int_equal(err_sys(&e, "open %s", "/x"), -ENOENT);
	assert_int_equal(err_wrap(&e, "create container %s", "c1"), -ENOENT);
	assert_string_equal(e.message, "create container c1: open /x: No such file or directory");
	assert_int_equal(e.kind, COFFER_ERR_NOT_FOUND);
	assert_int_equal(e.err, ENOENT);
}

static void test_kind_gives_errno(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;

	assert_int_equal(err_invalid(&e, "process.cwd: not absolute"), -EINVAL);
	assert_string_equal(coffer_error_kind_str(e.kind), "invalid-argument");
	assert_int_equal(err_timeout(&e, "agent"), -ETIMEDOUT);
	assert_string_equal(coffer_error_kind_str((enum coffer_error_kind)99), "internal");
	assert_int_equal(err_set(NULL, COFFER_ERR_NOT_FOUND, 0, "no object"), -ENOENT);
}

static void test_truncates(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	char big[4096];

	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_internal(&e, "%s", big);
	assert_int_equal(strlen(e.message), sizeof(e.message) - 1);
	assert_int_equal(err_wrap(&e, "outer"), -EIO);
	assert_memory_equal(e.message, "outer: aaa", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaf_and_context),
		cmocka_unit_test(test_kind_gives_errno),
		cmocka_unit_test(test_truncates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
