/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_sandbox_rundir.c - run directories: making, locking, sweeping
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/path.h"
#include "sandbox/rundir.h"

static char test_root[64];

static int test_setup(void **state)
{
	strcpy(test_root, "/tmp/coffer-test-XXXXXX");
	assert_non_null(mkdtemp(test_root));
	return 0;
}

static int test_teardown(void **state)
{
	return path_remove_tree(AT_FDCWD, test_root, NULL);
}

static bool test_exists(const char *name)
{
	autofree char *path = path_join(test_root, name);

	return access(path, F_OK) == 0;
}

static void test_make(const char *name, const char *file)
{
	autofree char *path = path_join(test_root, name);
	autofree char *inner = path_join(path, file);
	autoclose int fd = -1;

	assert_int_equal(path_mkdirs(path, 0700, NULL), 0);
	fd = open(inner, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
}

static void test_make_and_remove(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct rundir *a, *b;
	struct stat st;

	assert_int_equal(rundir_create(test_root, "one", &a, &err), 0);
	assert_true(test_exists("one/lock"));
	assert_true(test_exists("one/vm"));
	assert_int_equal(fstat(a->fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(rundir_create(test_root, "one", &b, &err), -EEXIST);
	assert_int_equal(err.kind, COFFER_ERR_ALREADY_EXISTS);
	assert_null(b);
	assert_int_equal(rundir_create(test_root, "two", &b, NULL), 0);
	assert_true(test_exists("one/vm"));
	rundir_remove(a);
	assert_false(test_exists("one"));
	assert_int_equal(rundir_create(test_root, "one", &a, NULL), 0);
	rundir_remove(a);
	rundir_remove(b);
	rundir_remove(NULL);
}

static void test_clear_vm(void **state)
{
	struct rundir *dir;
	autoclose int fd = -1;

	assert_int_equal(rundir_create(test_root, "one", &dir, NULL), 0);
	fd = openat(dir->vm_fd, "vsock.sock", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(rundir_clear_vm(dir, NULL), 0);
	assert_false(test_exists("one/vm/vsock.sock"));
	assert_true(test_exists("one/vm"));
	rundir_remove(dir);
}

/* Empty, with a lock that nobody holds, with what a monitor left, and of a namesake: all swept. */
static void test_stale(void **state)
{
	autofree char *stale1 = path_join(test_root, "stale1");
	struct rundir *dir;

	assert_int_equal(mkdir(stale1, 0700), 0);
	test_make("stale2", "lock");
	test_make("stale2/vm", "console.log");
	test_make("three", "lock");
	assert_int_equal(rundir_create(test_root, "three", &dir, NULL), 0);
	assert_false(test_exists("stale1"));
	assert_false(test_exists("stale2"));
	assert_true(test_exists("three/vm"));
	rundir_remove(dir);
}

/* What is no run directory stays: hidden names, files, links, folders of somebody else's. */
static void test_sweep_is_careful(void **state)
{
	autofree char *outside = path_join(test_root, ".outside");
	autofree char *link = path_join(test_root, "link");
	struct rundir *dir;

	test_make(".outside", "precious");
	test_make("letters", "precious");
	test_make("lists", "lock");
	test_make("lists", "precious");
	assert_int_equal(symlink(outside, link), 0);
	assert_int_equal(rundir_create(test_root, "one", &dir, NULL), 0);
	assert_true(test_exists("letters/precious"));
	assert_true(test_exists("lists/lock"));
	assert_true(test_exists("lists/precious"));
	assert_true(test_exists(".outside/precious"));
	assert_true(test_exists("link"));
	rundir_remove(dir);
}

static void test_killed_owner(void **state)
{
	struct rundir *dir;
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		close(ready[0]);
		if (rundir_create(test_root, "victim", &dir, NULL) == 0 &&
		    write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	assert_int_equal(rundir_create(test_root, "victim", &dir, NULL), -EEXIST);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(test_exists("victim"));
	assert_int_equal(rundir_create(test_root, "other", &dir, NULL), 0);
	assert_false(test_exists("victim"));
	rundir_remove(dir);
}

/* The sandbox of an owner that was killed has ended when its directory is gone. */
static void test_machine_is_awaited(void **state)
{
	struct rundir *dir;
	pid_t machine;

	assert_int_equal(rundir_create(test_root, "one", &dir, NULL), 0);
	machine = fork();
	if (machine == 0) {
		usleep(300000);
		_exit(0);
	}
	assert_int_equal(rundir_note_machine(dir, machine, NULL), 0);
	assert_true(test_exists("one/machine"));
	clock_set_scale(30); /* on a busy machine it may take as long */
	rundir_remove(dir);
	clock_set_scale(1);
	assert_int_equal(waitpid(machine, NULL, WNOHANG), machine);
	assert_false(test_exists("one"));
	assert_int_equal(rundir_create(test_root, "one", &dir, NULL), 0);
	assert_int_equal(rundir_note_machine(dir, machine, NULL), -ESRCH);
	rundir_remove(dir);
}

/* A record keeps a directory over its owner's end, whichever way that comes. */
static void test_kept(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct rundir *dir, *look;

	assert_int_equal(rundir_create(test_root, "one", &dir, NULL), 0);
	test_make("one", "record.json");
	test_make("one", "control.sock");
	test_make("one/log", "stdout");
	test_make("one/vm", "console.log");
	assert_int_equal(rundir_open(test_root, "one", true, &look, &err), -EBUSY);
	assert_int_equal(err.kind, COFFER_ERR_INVALID_STATE);
	assert_int_equal(rundir_open(test_root, "one", false, &look, &err), 0);
	assert_true(look->vm_fd >= 0);
	assert_true(rundir_is_live(look));
	assert_true(rundir_is_live(dir));
	rundir_close(dir);
	assert_false(rundir_is_live(look));
	rundir_remove(look); /* not its owner */
	assert_true(test_exists("one/log/stdout"));
	assert_true(test_exists("one/record.json"));
	assert_false(test_exists("one/vm"));
	assert_false(test_exists("one/control.sock"));
	assert_int_equal(rundir_create(test_root, "one", &dir, &err), -EEXIST);

	assert_int_equal(rundir_open(test_root, "one", true, &dir, &err), 0);
	assert_true(test_exists("one/vm"));
	rundir_remove(dir);
	assert_false(test_exists("one"));
	assert_int_equal(rundir_open(test_root, "one", true, &dir, &err), -ENOENT);
	assert_int_equal(err.kind, COFFER_ERR_NOT_FOUND);
}

/* Of a stopped container the sweep takes what belonged to its machine; cut short, it goes on. */
static void test_sweep_keeps(void **state)
{
	struct rundir *dir;

	test_make("kept", "lock");
	test_make("kept", "record.json");
	test_make("kept", "record.json.77.tmp");
	test_make("kept", "control.sock");
	test_make("kept", "log");
	test_make("kept/vm", "console.log");
	test_make("halfway", "lock");
	test_make("halfway", "log");
	assert_int_equal(rundir_create(test_root, "one", &dir, NULL), 0);
	assert_true(test_exists("kept/record.json"));
	assert_true(test_exists("kept/log"));
	assert_false(test_exists("kept/vm"));
	assert_false(test_exists("kept/control.sock"));
	assert_false(test_exists("kept/record.json.77.tmp"));
	assert_false(test_exists("halfway"));
	rundir_remove(dir);
}

static void test_list(void **state)
{
	struct rundir_list list;
	struct rundir *dir;

	assert_int_equal(rundir_list(test_root, &list, NULL), 0);
	assert_int_equal(list.n, 0);
	test_make("foreign", "lock");
	test_make("foreign", "precious");
	test_make("stale", "lock");
	test_make("two", "lock");
	test_make("two", "record.json");
	assert_int_equal(rundir_create(test_root, "one", &dir, NULL), 0);
	assert_int_equal(rundir_list(test_root, &list, NULL), 0);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.v[0].id, "one");
	assert_true(list.v[0].live);
	assert_string_equal(list.v[1].id, "two");
	assert_false(list.v[1].live);
	rundir_list_free(&list);
	rundir_remove(dir);
}

static void test_refused_roots(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct rundir *dir;

	assert_int_equal(rundir_create("relative", "one", &dir, &err), -EINVAL);
	assert_int_equal(chmod(test_root, 0777), 0);
	assert_int_equal(rundir_create(test_root, "one", &dir, &err), -EPERM);
	assert_non_null(strstr(err.message, test_root));
	assert_int_equal(chmod(test_root, 0700), 0);
	assert_int_equal(rundir_create(test_root, "../one", &dir, &err), -EINVAL);
}

/* In pairs of namesakes: one gets the name or is told that it is taken, nothing else. */
static void test_many_at_once(void **state)
{
	enum { N = 16 };
	int good = 0;

	for (int i = 0; i < N; i++) {
		if (fork() == 0) {
			struct rundir *dir;
			char id[8];

			snprintf(id, sizeof(id), "c%d", i / 2);
			for (int k = 0; k < 100; k++) {
				int r = rundir_create(test_root, id, &dir, NULL);

				if (r < 0 && r != -EEXIST)
					_exit(1);
				rundir_remove(dir);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < N; i++) {
		int status;

		assert_true(wait(&status) > 0);
		good += status == 0;
	}
	assert_int_equal(good, N);
	/* Nothing is left: the folder can be removed as an empty one. */
	assert_int_equal(rmdir(test_root), 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, test_setup, test_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_make_and_remove),
		TEST(test_clear_vm),
		TEST(test_stale),
		TEST(test_sweep_is_careful),
		TEST(test_killed_owner),
		TEST(test_machine_is_awaited),
		TEST(test_kept),
		TEST(test_sweep_keeps),
		TEST(test_list),
		TEST(test_refused_roots),
		TEST(test_many_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
