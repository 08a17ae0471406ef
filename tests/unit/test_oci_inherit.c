/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_oci_inherit.c - descriptors that are passed on, pid files, tables, statistics as JSON
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "base/table.h"
#include "oci/inherit.h"
#include "oci/stats.h"

/* In a child, whose descriptors are its own. Return: its exit code */
static int test_in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A hole is held by something that execve closes, the others stay as they are. */
static int test_holes_child(void)
{
	struct stat st;
	unsigned n;

	close_range(3, ~0U, 0);
	if (dup2(0, 4) != 4 || inherit_prepare(3, NULL, &n, NULL) < 0 || n != 3)
		return 1;
	for (int fd = 3; fd < 6; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (fstat(fd, &st) < 0 || flags != (fd == 4 ? 0 : FD_CLOEXEC))
			return 2;
	}
	return open("/", O_PATH) == 6 ? 0 : 3;
}

static int test_full_child(void)
{
	unsigned n;

	close_range(3, ~0U, 0);
	for (int fd = 3; fd < 6; fd++)
		if (dup2(0, fd) != fd)
			return 1;
	return inherit_prepare(3, NULL, &n, NULL) == 0 && fcntl(6, F_GETFD) < 0 ? 0 : 2;
}

static int test_listen_child(void)
{
	auto_oci_process struct oci_process *p = calloc(1, sizeof(*p));
	char self[16];
	unsigned n;

	close_range(3, ~0U, 0);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_PID", "1", 1);
	if (inherit_prepare(0, p, &n, NULL) < 0 || n != 0 || p->env.n != 0)
		return 1;
	snprintf(self, sizeof(self), "%d", (int)getpid());
	setenv("LISTEN_PID", self, 1);
	if (inherit_prepare(3, p, &n, NULL) < 0 || n != 5)
		return 2;
	if (strcmp(oci_env_get(p, "LISTEN_FDS"), "2") != 0)
		return 3;
	if (strcmp(oci_env_get(p, "LISTEN_PID"), "1") != 0)
		return 4;
	setenv("LISTEN_FDS", "99999999999", 1);
	return inherit_prepare(0, p, &n, NULL) == 0 && n == 0 ? 0 : 5;
}

static void test_descriptors(void **state)
{
	assert_int_equal(test_in_child(test_holes_child), 0);
	assert_int_equal(test_in_child(test_full_child), 0);
	assert_int_equal(test_in_child(test_listen_child), 0);
}

static void test_pid_file(void **state)
{
	char dir[] = "/tmp/coffer-pid-XXXXXX", path[64], link[64];
	struct stat st;
	autofree char *text = NULL;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pid", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(inherit_write_pid(path, 4711, NULL), 0);
	assert_int_equal(inherit_write_pid(path, 12, NULL), 0);
	/* What is no file stays what it is. */
	assert_int_equal(symlink("/dev/null", link), 0);
	assert_int_equal(inherit_write_pid(link, 12, NULL), 0);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(unlink(link), 0);
	assert_int_equal(io_read_file(AT_FDCWD, path, 100, &text, NULL, NULL), 0);
	assert_string_equal(text, "12");
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(inherit_write_pid(path, 1, NULL), -ENOENT);
}

static void test_table(void **state)
{
	static const char *const titles[] = { "ID", "STATUS", "LAST" };
	CLEANUP(table_free) struct table t = TABLE_INIT(titles, 3);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	table_add(&t, (const char *[]){ "a", "running", "x" });
	table_add(&t, (const char *[]){ "a-rather-long-id", "b\n\033[c", "the last" });
	assert_int_equal(table_print(&t, out, NULL), 0);
	fclose(out);
	assert_string_equal(text, "ID                 STATUS      LAST\n"
				  "a                  running     x\n"
				  "a-rather-long-id   b??[c       the last\n");
	free(text);
}

static void test_stats(void **state)
{
	struct stats_value raw[] = { { "anon", 5 } };
	const struct engine_stats s = {
		.cpu = { .set = true, .total = 30, .user = 10, .kernel = 20 },
		.memory = { .set = true,
			    .usage = { .usage = 7, .limit = UINT64_MAX },
			    .raw = raw,
			    .raw_n = 1 },
		.pids = { .set = true, .current = 3 },
	};
	autojson struct json_object *obj = stats_json(&s);

	assert_string_equal(
	    json_object_to_json_string_ext(json_object_object_get(obj, "cpu"), 0),
	    "{\"usage\":{\"total\":30,\"kernel\":20,\"user\":10},\"throttling\":{}}");
	assert_string_equal(
	    json_object_to_json_string_ext(json_object_object_get(obj, "memory"), 0),
	    "{\"usage\":{\"limit\":18446744073709551615,\"usage\":7,\"failcnt\":0},"
	    "\"swap\":{\"limit\":0,\"failcnt\":0},\"kernel\":{\"limit\":0,\"failcnt\":0},"
	    "\"kernelTCP\":{\"limit\":0,\"failcnt\":0},\"raw\":{\"anon\":5}}");
	assert_string_equal(json_object_to_json_string_ext(json_object_object_get(obj, "pids"), 0),
			    "{\"current\":3}");
	assert_null(json_object_object_get(obj, "network_interfaces"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_pid_file),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
