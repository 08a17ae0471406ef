/* SPDX-License-Identifier: Apache-2.0 */
/* Path resolution: nothing a hostile tree contains leads out of its root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/path.h"

/* state: dirfd of <tmp>, which holds root/ and outside/ */
static char tmp[64];

static int setup(void **state)
{
	static int dfd;

	strcpy(tmp, "/tmp/coffer-test-XXXXXX");
	if (!mkdtemp(tmp))
		return -1;
	dfd = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(dfd, "root", 0755);
	mkdirat(dfd, "outside", 0755);
	*state = &dfd;
	return dfd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	int dfd = *(int *)*state;

	path_remove_tree(dfd, "root", NULL);
	path_remove_tree(dfd, "outside", NULL);
	close(dfd);
	return rmdir(tmp);
}

static void test_links_stay_inside(void **state)
{
	int dfd = *(int *)*state;
	struct coffer_error e = COFFER_ERROR_INIT;
	autoclose int root = openat(dfd, "root", O_PATH | O_DIRECTORY);
	autoclose int fd = -1;
	char outside[128];
	struct stat st;

	snprintf(outside, sizeof(outside), "%s/outside", tmp);
	assert_int_equal(symlinkat(outside, root, "abs"), 0);
	assert_int_equal(symlinkat("../outside", root, "rel"), 0);
	assert_int_equal(symlinkat("/etc", root, "conf"), 0);

	/* ".." and absolute targets end inside the root. */
	assert_int_equal(path_open_in_root(root, "abs/x", O_WRONLY | O_CREAT, 0644, &e), -ENOENT);
	assert_int_equal(path_open_in_root(root, "rel/x", O_WRONLY | O_CREAT, 0644, &e), -ENOENT);
	assert_int_equal(path_open_in_root(root, "conf/passwd", O_RDONLY, 0, &e), -ENOENT);
	assert_int_equal(path_open_beneath(root, "rel", O_RDONLY, 0, &e), -EXDEV);
	assert_int_equal(path_open_beneath(root, "../outside", O_RDONLY, 0, &e), -EXDEV);
	fd = path_open_in_root(root, "../../x", O_WRONLY | O_CREAT, 0600, &e);
	assert_true(fd >= 0);
	assert_int_equal(fstatat(root, "x", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(fstatat(dfd, "outside/x", &st, 0), -1);
}

/* A mode that is of no use does no harm. */
static void test_directory_with_mode(void **state)
{
	int dfd = *(int *)*state;
	struct coffer_error e = COFFER_ERROR_INIT;
	autoclose int fd = path_open_in_root(dfd, "root", O_RDONLY | O_DIRECTORY, 0755, &e);

	if (fd < 0)
		fail_msg("%s", e.message);
}

static void test_mkdirs_in_root(void **state)
{
	int dfd = *(int *)*state;
	struct coffer_error e = COFFER_ERROR_INIT;
	autoclose int root = openat(dfd, "root", O_PATH | O_DIRECTORY);
	autoclose int a = -1, b = -1, c = -1;
	const char *name;
	struct stat st;

	a = path_mkdirs_in_root(root, "/a/b//c/", 0700, &e);
	assert_true(a >= 0);
	assert_int_equal(fstatat(root, "a/b/c", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(symlinkat("/a/b", root, "link"), 0);
	b = path_mkdirs_in_root(root, "link/d", 0755, &e);
	assert_true(b >= 0);
	assert_int_equal(fstatat(root, "a/b/d", &st, 0), 0);
	c = path_parent_in_root(root, "link/e/file", true, &name, &e);
	assert_true(c >= 0);
	assert_string_equal(name, "file");
	assert_int_equal(fstatat(root, "a/b/e", &st, 0), 0);
	assert_int_equal(path_parent_in_root(root, "a/..", true, &name, &e), -EINVAL);
	close(openat(dfd, "root/plain", O_CREAT | O_WRONLY, 0600));
	assert_int_equal(path_mkdirs_in_root(root, "plain/x", 0755, &e), -ENOTDIR);
}

static void test_remove_tree_keeps_link_targets(void **state)
{
	int dfd = *(int *)*state;
	struct coffer_error e = COFFER_ERROR_INIT;
	struct stat st;

	close(openat(dfd, "outside/keep", O_CREAT | O_WRONLY, 0600));
	mkdirat(dfd, "root/t", 0755);
	mkdirat(dfd, "root/t/u", 0755);
	close(openat(dfd, "root/t/u/f", O_CREAT | O_WRONLY, 0600));
	assert_int_equal(symlinkat("../../../outside", dfd, "root/t/u/out"), 0);
	assert_int_equal(path_remove_tree(dfd, "root/t", &e), 0);
	assert_int_equal(fstatat(dfd, "root/t", &st, 0), -1);
	assert_int_equal(fstatat(dfd, "outside/keep", &st, 0), 0);
	assert_int_equal(path_remove_tree(dfd, "root/none", &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_links_stay_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directory_with_mode, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mkdirs_in_root, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_tree_keeps_link_targets, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
