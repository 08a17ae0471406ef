/* SPDX-License-Identifier: Apache-2.0 */
/* Whole containers on this host: what the program sees and what its end leaves. */
#include "engine_run.h"

#include <stdio.h>
#include <string.h>

static void test_output_and_code(void **state)
{
	struct run *run = *state;

	run_args(run, "echo", "hello", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "hello\n");
	assert_int_equal(run->code, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_output_and_code, run_setup, run_teardown),
	};

	if (run_skip_unprivileged())
		return 77;
	return cmocka_run_group_tests_name("engine_run", tests, NULL, NULL);
}
