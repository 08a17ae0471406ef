/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups out of a container's files. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/path.h"
#include "engine/account.h"
#include "spec/passwd.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "\n"
			     "# comment\n"
			     "broken:x:12\n"
			     "bad:x:-1:0:::\n"
			     "app:x:1000:1001:App:/home/app:/bin/sh\n"
			     "4000:x:7:8::/seven:/bin/sh\n"
			     "homeless:x:9:9:::\n"
			     "last:x:2147483647:5:::/bin/sh";
static const char group[] = "root:x:0:\n"
			    "wheel:x:10:root,app\n"
			    "staff:x:50:other,app,other\n"
			    "again:x:50:app\n"
			    "near:x:51:apple,xapp\n"
			    "bad:x:y:app\n"
			    "4001:x:60:\n";

static const struct passwd_files files = { passwd, sizeof(passwd) - 1, group, sizeof(group) - 1 };

static struct passwd_user *look_up(const char *spec)
{
	static struct passwd_user u;
	struct coffer_error e = COFFER_ERROR_INIT;

	u = (struct passwd_user){ 0 };
	return passwd_lookup(&files, spec, &u, &e) == 0 ? &u : NULL;
}

static void check(const char *spec, uint32_t uid, uint32_t gid, const char *home)
{
	struct passwd_user *u = look_up(spec);

	assert_non_null(u);
	assert_int_equal(u->uid, uid);
	assert_int_equal(u->gid, gid);
	assert_string_equal(u->home, home);
}

static void test_names_and_numbers(void **state)
{
	check("root", 0, 0, "/root");
	check("app", 1000, 1001, "/home/app");
	check("1000", 1000, 1001, "/home/app");
	check("app:staff", 1000, 50, "/home/app");
	check("app:77", 1000, 77, "/home/app");
	check("123", 123, 0, "/");
	check("123:45", 123, 45, "/");
	check("2147483647", 2147483647, 5, "/");
	check("homeless", 9, 9, "/");
}

static void test_name_wins_over_number(void **state)
{
	check("4000", 7, 8, "/seven");
	check("app:4001", 1000, 60, "/home/app");
}

static void test_unknown_is_refused(void **state)
{
	static const char *const specs[] = {
		"",   ":",  "app:", ":staff", "nobody", "app:nogroup",		"2147483648",
		"-1", "+1", "1 ",   "broken", "bad",	"99999999999999999999", "app:staff:more"
	};

	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		assert_null(look_up(specs[i]));
}

static void test_groups_in_order_without_repeats(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	struct passwd_user u = { .groups = { 50, 99 }, .ngroups = 2 };
	static const uint32_t want[] = { 50, 99, 10, 1001 };

	assert_int_equal(passwd_lookup(&files, "app", &u, &e), 0);
	assert_int_equal(u.ngroups, 4);
	assert_memory_equal(u.groups, want, sizeof(want));
}

static void test_too_many_groups(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	static struct passwd_user u;
	char *text = malloc(64 * 2000), *p = text;
	struct passwd_files many = { passwd, sizeof(passwd) - 1, text, 0 };

	for (int i = 0; i < 2000; i++)
		p += sprintf(p, "g%d:x:%d:app\n", i, i + 5000);
	many.group_len = (size_t)(p - text);
	assert_true(passwd_lookup(&many, "app", &u, &e) < 0);
	assert_int_equal(u.ngroups, PASSWD_GROUPS_MAX);
	free(text);
}

static void test_empty_files(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	const struct passwd_files none = { 0 };
	struct passwd_user u = { 0 };

	assert_int_equal(passwd_lookup(&none, "0:0", &u, &e), 0);
	assert_int_equal(u.ngroups, 1);
	assert_true(passwd_lookup(&none, "root", &u, &e) < 0);
	assert_non_null(strstr(e.message, "root"));
}

/* ---- the whole way, in a root of its own ---- */

struct root {
	char dir[64];
	int fd;
};

static int setup_root(void **state)
{
	struct root *r = calloc(1, sizeof(*r));

	strcpy(r->dir, "/tmp/coffer-user-XXXXXX");
	if (!mkdtemp(r->dir))
		return -1;
	r->fd = open(r->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*state = r;
	return mkdirat(r->fd, "etc", 0755);
}

static int teardown_root(void **state)
{
	struct root *r = *state;

	path_remove_tree(AT_FDCWD, r->dir, NULL);
	close(r->fd);
	free(r);
	return 0;
}

static void put(const struct root *r, const char *path, const char *text)
{
	int fd = openat(r->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int resolve(const struct root *r, const char *username, struct oci_process *process,
		   struct coffer_error *e)
{
	assert_int_equal(oci_str_set(&process->user.username, username, e), 0);
	return account_resolve(r->fd, process, e);
}

static void test_resolve(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	auto_oci_process struct oci_process *p = calloc(1, sizeof(*p));
	struct root *r = *state;

	put(r, "etc/passwd", passwd);
	put(r, "etc/group", group);
	assert_int_equal(resolve(r, "app", p, &e), 0);
	assert_int_equal(p->user.uid, 1000);
	assert_int_equal(p->user.gid, 1001);
	assert_int_equal(p->user.additional_gids.n, 3);
	assert_string_equal(oci_env_get(p, "HOME"), "/home/app");
	assert_int_equal(resolve(r, "root", p, &e), 0);
	assert_string_equal(oci_env_get(p, "HOME"), "/home/app");
}

static void test_resolve_stays_in_the_root(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	auto_oci_process struct oci_process *p = calloc(1, sizeof(*p));
	struct root *r = *state;

	/* Absolute: to the test's own /etc/passwd, were it followed from there. */
	assert_int_equal(symlinkat("/etc/elsewhere", r->fd, "etc/passwd"), 0);
	put(r, "etc/elsewhere", "inside:x:5:6::/in:/bin/sh\n");
	assert_int_equal(resolve(r, "inside", p, &e), 0);
	assert_int_equal(p->user.uid, 5);
}

static void test_resolve_odd_files(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	auto_oci_process struct oci_process *p = calloc(1, sizeof(*p));
	struct root *r = *state;

	assert_int_equal(resolve(r, "12", p, &e), 0);
	assert_int_equal(mkfifoat(r->fd, "etc/passwd", 0644), 0);
	assert_true(resolve(r, "12", p, &e) < 0);
	assert_int_equal(unlinkat(r->fd, "etc/passwd", 0), 0);
	put(r, "etc/passwd", "");
	assert_int_equal(truncate(strcat(r->dir, "/etc/passwd"), PASSWD_FILE_MAX + 1), 0);
	r->dir[strlen(r->dir) - strlen("/etc/passwd")] = '\0';
	assert_true(resolve(r, "12", p, &e) < 0);
	assert_non_null(strstr(e.message, "large"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_numbers),
		cmocka_unit_test(test_name_wins_over_number),
		cmocka_unit_test(test_unknown_is_refused),
		cmocka_unit_test(test_groups_in_order_without_repeats),
		cmocka_unit_test(test_too_many_groups),
		cmocka_unit_test(test_empty_files),
		cmocka_unit_test_setup_teardown(test_resolve, setup_root, teardown_root),
		cmocka_unit_test_setup_teardown(test_resolve_stays_in_the_root, setup_root,
						teardown_root),
		cmocka_unit_test_setup_teardown(test_resolve_odd_files, setup_root, teardown_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
