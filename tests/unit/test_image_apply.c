/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_image_apply.c - what an image says, into the configuration of a container
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "coffer/container.h"
#include "coffer/image.h"

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const char *const apply_none[] = { NULL };

struct applied {
	struct coffer_container_config config;
	struct coffer_process_config process;
	void *block;
	struct coffer_error err;
};
#define APPLIED                                                                 \
	{ .config = COFFER_CONTAINER_CONFIG_INIT, .process = COFFER_PROCESS_CONFIG_INIT }

static void applied_free(struct applied *a)
{
	free(a->block);
}

static const struct coffer_image_config image = {
	.size = sizeof(struct coffer_image_config),
	.entrypoint = LIST("/entry", "-x"),
	.cmd = LIST("serve"),
	.env = LIST("PATH=/p", "A=image", "AB=image"),
	.labels = LIST("tier=image", "os=none"),
	.user = "app",
	.workdir = "/srv",
	.stop_signal = "SIGQUIT",
};

static int apply(const struct coffer_image_config *said, const char *const *entrypoint,
		 struct applied *a)
{
	return coffer_image_apply(said, entrypoint, &a->config, &a->process, &a->block, &a->err);
}

static void assert_list(const char *const *list, const char *const *expected)
{
	for (; *expected; list++, expected++) {
		assert_non_null(*list);
		assert_string_equal(*list, *expected);
	}
	assert_null(*list);
}

static void test_all_of_the_image(void **state)
{
	CLEANUP(applied_free) struct applied a = APPLIED;

	assert_int_equal(apply(&image, NULL, &a), 0);
	assert_list(a.process.args, LIST("/entry", "-x", "serve"));
	assert_list(a.process.env, image.env);
	assert_list(a.config.labels, image.labels);
	assert_string_equal(a.process.user, "app");
	assert_string_equal(a.process.cwd, "/srv");
	assert_string_equal(a.config.stop_signal, "SIGQUIT");
}

static void test_the_caller_wins(void **state)
{
	CLEANUP(applied_free) struct applied a = APPLIED;

	a.process.args = LIST("check", "--all");
	a.process.env = LIST("A=mine", "C=mine");
	a.process.user = "0";
	a.process.cwd = "/";
	a.config.labels = LIST("os=mine");
	a.config.stop_signal = "INT";
	assert_int_equal(apply(&image, NULL, &a), 0);
	assert_list(a.process.args, LIST("/entry", "-x", "check", "--all"));
	assert_list(a.process.env, LIST("PATH=/p", "AB=image", "A=mine", "C=mine"));
	assert_list(a.config.labels, LIST("tier=image", "os=mine"));
	assert_string_equal(a.process.user, "0");
	assert_string_equal(a.process.cwd, "/");
	assert_string_equal(a.config.stop_signal, "INT");
}

static void test_another_entry_point(void **state)
{
	CLEANUP(applied_free) struct applied alone = APPLIED, with = APPLIED, none = APPLIED;

	assert_int_equal(apply(&image, LIST("sh"), &alone), 0);
	assert_list(alone.process.args, LIST("sh"));
	with.process.args = LIST("-c", "id");
	assert_int_equal(apply(&image, LIST("sh"), &with), 0);
	assert_list(with.process.args, LIST("sh", "-c", "id"));
	none.process.args = LIST("id");
	assert_int_equal(apply(&image, apply_none, &none), 0);
	assert_list(none.process.args, LIST("id"));
}

static void test_nothing_said(void **state)
{
	const struct coffer_image_config silent = { .size = sizeof(silent), .user = "" };
	CLEANUP(applied_free) struct applied a = APPLIED, none = APPLIED;

	a.process.args = LIST("true");
	assert_int_equal(apply(&silent, NULL, &a), 0);
	assert_list(a.process.args, LIST("true"));
	assert_null(a.process.env);
	assert_null(a.process.user);
	assert_null(a.process.cwd);
	assert_null(a.config.labels);
	assert_null(a.config.stop_signal);
	assert_int_equal(apply(&silent, NULL, &none), -EINVAL);
	assert_int_equal(none.err.kind, COFFER_ERR_INVALID_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_the_image),
		cmocka_unit_test(test_the_caller_wins),
		cmocka_unit_test(test_another_entry_point),
		cmocka_unit_test(test_nothing_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
