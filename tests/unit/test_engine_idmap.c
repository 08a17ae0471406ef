/* SPDX-License-Identifier: Apache-2.0 */
/* Id maps of a user namespace: what is refused before it is made, and how they are written */

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/spawn.h"
#include "engine/idmap.h"

static struct oci_id_mapping one[] = { { 0, 1000, 1 } };
static struct oci_id_mapping two[] = { { 0, 1000, 1 }, { 1, 100000, 65536 } };
static struct oci_id_mapping last[] = { { 4294967290U, 7, 5 } };

static int check(const struct oci_id_mapping *v, size_t n, const struct oci_user *user,
		 struct coffer_error *err)
{
	struct oci_linux l = { 0 };

	l.uid_mappings.v = l.gid_mappings.v = (struct oci_id_mapping *)v;
	l.uid_mappings.n = l.gid_mappings.n = n;
	*err = (struct coffer_error)COFFER_ERROR_INIT;
	return idmap_check(&l, user, err);
}

static void expect_refused(const struct oci_user *user, const char *field)
{
	struct coffer_error err;

	assert_int_equal(check(two, 2, user, &err), -EINVAL);
	assert_non_null(strstr(err.message, field));
}

static void test_check(void **state)
{
	uint32_t good[] = { 0, 65536 }, bad[] = { 0, 65537 };
	struct oci_user user = { .additional_gids = { good, 2 } };
	struct coffer_error err;

	assert_int_equal(check(two, 2, &user, &err), 0);
	user.uid = 65536;
	user.gid = 1;
	assert_int_equal(check(two, 2, &user, &err), 0);
	expect_refused(&(struct oci_user){ .uid = 65537 }, "process.user.uid: 65537");
	expect_refused(&(struct oci_user){ .gid = 70000 }, "process.user.gid: 70000");
	user.additional_gids.v = bad;
	expect_refused(&user, "process.user.additionalGids: 65537");
	assert_int_equal(check(NULL, 0, &(struct oci_user){ 0 }, &err), -EINVAL);
	assert_non_null(strstr(err.message, "linux.uidMappings"));
	assert_int_equal(check(two, IDMAP_LINES_MAX + 1, &(struct oci_user){ 0 }, &err), -EINVAL);
}

static void test_contains(void **state)
{
	const struct oci_id_mappings maps = { last, 1 };

	assert_false(idmap_contains(&maps, 4294967289U));
	assert_true(idmap_contains(&maps, 4294967290U));
	assert_true(idmap_contains(&maps, 4294967294U));
	assert_false(idmap_contains(&maps, 4294967295U));
	assert_false(idmap_contains(&maps, 0));
}

static void test_format(void **state)
{
	static struct oci_id_mapping most[IDMAP_LINES_MAX + 1];
	struct oci_id_mappings maps = { two, 2 };
	char text[IDMAP_TEXT_MAX];

	assert_int_equal(idmap_format(&maps, text), strlen("0 1000 1\n1 100000 65536\n"));
	assert_string_equal(text, "0 1000 1\n1 100000 65536\n");
	for (size_t i = 0; i < ARRAY_SIZE(most); i++)
		most[i] = (struct oci_id_mapping){ UINT32_MAX, UINT32_MAX, UINT32_MAX };
	maps = (struct oci_id_mappings){ most, IDMAP_LINES_MAX };
	assert_int_equal(idmap_format(&maps, text), IDMAP_TEXT_MAX - 1);
	maps.n++;
	assert_int_equal(idmap_format(&maps, text), -EINVAL);
}

/* A child in a new user namespace, made by user 1000, that waits for its end. */
static void make_child(struct child *child)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = spawn_fork(CLONE_NEWUSER, child, &err);

	if (r < 0)
		skip();
	if (r == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed assertion leaves us behind */
		for (;;)
			pause();
	}
}

static void read_map(const struct child *child, const char *file, char **out)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)child->pid, file);
	assert_int_equal(io_read_file(AT_FDCWD, path, 65536, out, NULL, NULL), 0);
}

static void test_write_own_id(void **state)
{
	struct oci_id_mapping uid = { 0, getuid(), 1 }, gid = { 0, getgid(), 1 };
	struct oci_linux l = { .uid_mappings = { &uid, 1 }, .gid_mappings = { &gid, 1 } };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct child child = CHILD_INIT;
	char expected[64];
	char *map, *groups;

	make_child(&child);
	assert_int_equal(idmap_write(&l, child.pid, &err), 0);
	read_map(&child, "gid_map", &map);
	read_map(&child, "setgroups", &groups);
	snprintf(expected, sizeof(expected), "%10u %10u %10u\n", 0, (unsigned)getgid(), 1);
	assert_string_equal(map, expected);
	/* Given up only where the kernel asks for it. */
	assert_string_equal(groups, geteuid() == 0 ? "allow\n" : "deny\n");
	free(map);
	free(groups);
	child_end(&child);
}

static void test_write_once(void **state)
{
	struct oci_linux l = { .uid_mappings = { one, 1 }, .gid_mappings = { one, 1 } };
	struct oci_id_mapping own = { 0, getuid(), 1 };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct child child = CHILD_INIT;

	l.uid_mappings.v = &own;
	make_child(&child);
	setenv("PATH", "/nowhere", 1);
	if (geteuid() == 0)
		assert_int_equal(idmap_write(&l, child.pid, &err), 0);
	/* Now the kernel refuses, and there is no program to ask. */
	assert_int_equal(idmap_write(&l, child.pid, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "linux."));
	assert_non_null(strstr(err.message, "idmap, which is not in PATH"));
	child_end(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),	   cmocka_unit_test(test_contains),
		cmocka_unit_test(test_format),	   cmocka_unit_test(test_write_own_id),
		cmocka_unit_test(test_write_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
