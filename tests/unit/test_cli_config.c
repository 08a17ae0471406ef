/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cli_config.c - the configuration file
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cli/config.h"

static int config(const char *text, struct cli_config *cfg, struct coffer_error *err)
{
	return cli_config_parse(text, strlen(text), cfg, err);
}

static void test_config(void **state)
{
	autoconfig struct cli_config cfg = { 0 };

	assert_int_equal(config("{\"kernel\":\"/boot/k\",\"cpus\":2,\"memory\":\"512M\"}", &cfg,
				NULL), 0);
	assert_string_equal(cfg.kernel, "/boot/k");
	assert_int_equal(cfg.cpus, 2);
	assert_int_equal(cfg.memory, 512 << 20);
	/* A later document overrides what it names. */
	assert_int_equal(config(" {\"kernel\":\"/other\",\"memory\":1048576} ", &cfg, NULL), 0);
	assert_string_equal(cfg.kernel, "/other");
	assert_int_equal(cfg.cpus, 2);
	assert_int_equal(cfg.memory, 1 << 20);
}

static void test_bad_config(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "{\"kernal\":\"/k\"}", "kernal: unknown key" },
		{ "{\"kernel\":7}", "kernel: expected a string" },
		{ "{\"kernel\":\"k\"}", "kernel: k: not an absolute path" },
		{ "{\"kernel\":\"\"}", "kernel: empty or with a NUL byte" },
		{ "{\"kernel\":\"/a\\u0000b\"}", "kernel: empty or with a NUL byte" },
		{ "{\"cpus\":\"2\"}", "cpus: expected a positive integer" },
		{ "{\"cpus\":0}", "cpus: expected a positive integer" },
		{ "{\"cpus\":99999999999}", "cpus: expected a positive integer" },
		{ "{\"memory\":\"lots\"}", "memory: expected a size (such as \"256M\", or bytes)" },
		{ "{\"memory\":null}", "memory: expected a size (such as \"256M\", or bytes)" },
		{ "[]", "expected a JSON object" },
	};
	static const char *const broken[] = { "", "{", "{\"cpus\":1", "{} {}", "{\"a\":[[[[1]]]]}" };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autoconfig struct cli_config cfg = { 0 };
		struct coffer_error err = COFFER_ERROR_INIT;

		assert_int_equal(config(rows[i].text, &cfg, &err), -EINVAL);
		assert_string_equal(err.message, rows[i].message);
	}
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		autoconfig struct cli_config cfg = { 0 };
		struct coffer_error err = COFFER_ERROR_INIT;

		if (config(broken[i], &cfg, &err) != -EINVAL)
			fail_msg("accepted: %s", broken[i]);
		assert_non_null(strstr(err.message, "not JSON"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_bad_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
