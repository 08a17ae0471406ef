/* SPDX-License-Identifier: Apache-2.0 */
/* Which paths of requests lie in a container's root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/guestpath.h"

static const char *rest(const char *path)
{
	size_t n = guestpath_split("/run/container", path);

	return n ? path + n : "elsewhere";
}

static void test_below_a_root(void **state)
{
	assert_string_equal(rest("/run/container/c1/rootfs/etc/passwd"), "/etc/passwd");
	assert_string_equal(rest("/run/container/c1/rootfs"), "");
	assert_string_equal(rest("/run/container/c1/rootfs/"), "/");
	assert_string_equal(rest("//run///container//c1//rootfs//etc"), "//etc");
	assert_string_equal(rest("/run/container/c1/rootfs/../../x"), "/../../x");
	assert_string_equal(rest("/run/container/..x/rootfs/a"), "/a");
}

static void test_elsewhere(void **state)
{
	static const char *const paths[] = {
		"",
		"/",
		"/run",
		"/run/container",
		"/run/container/",
		"/run/container/c1",
		"/run/container/c1/",
		"/run/container/c1/rootfsx",
		"/run/container/c1/upper/diff",
		"/run/container/../rootfs/x",
		"/run/container/./rootfs/x",
		"/run/containers/c1/rootfs/x",
		"/runcontainer/c1/rootfs",
		"/tmp/run/container/c1/rootfs",
		"/run/container/rootfs/x",
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_string_equal(rest(paths[i]), "elsewhere");
}

static void test_open(void **state)
{
	const struct agent agent = { .state_dir = "/nowhere/at/all" };
	struct coffer_error e = COFFER_ERROR_INIT;
	struct guestpath gp = GUESTPATH_INIT;

	assert_int_equal(guestpath_open(&agent, "relative", &gp, &e), -EINVAL);
	assert_int_equal(guestpath_open(&agent, "", &gp, &e), -EINVAL);
	assert_int_equal(guestpath_open(&agent, "/nowhere/at/all/c/rootfs/x", &gp, &e), -ENOENT);
	assert_int_equal(guestpath_open(&agent, "/nowhere/at/all/c/rootfs", &gp, &e), 0);
	assert_string_equal(gp.path, "/nowhere/at/all/c/rootfs");
	guestpath_free(&gp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_below_a_root),
		cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
