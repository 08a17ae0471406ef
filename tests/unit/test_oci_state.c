/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_oci_state.c - a container's directory: ids, lock, state.json, status
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "base/procinfo.h"
#include "engine/engine.h"
#include "oci/status.h"

static char test_root[64];

static int test_setup(void **state)
{
	snprintf(test_root, sizeof(test_root), "/tmp/coffer-state-XXXXXX");
	return mkdtemp(test_root) ? 0 : -1;
}

static int test_teardown(void **state)
{
	return path_remove_tree(AT_FDCWD, test_root, NULL);
}

static void test_ids(void **state)
{
	static const char *const good[] = { "a", "A_0+,-.z", "...", "-", "0" };
	static const char *const bad[] = { "", ".", "..", "a/b", "a b", "a\n", "\xc3\xa4", "a:b", "a@" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(state_check_id(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(state_check_id(bad[i], NULL), -EINVAL);
}

static void test_directory(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct state_dir dir = STATE_DIR_INIT, other = STATE_DIR_INIT;

	assert_int_equal(state_dir_open(test_root, "c", STATE_UNLOCKED, false, &dir, &err), -ENOENT);
	assert_non_null(strstr(err.message, "does not exist"));
	assert_int_equal(state_dir_create(test_root, "c", &dir, &err), 0);
	assert_int_equal(state_dir_create(test_root, "c", &other, &err), -EEXIST);
	assert_non_null(strstr(err.message, "already exists"));
	assert_int_equal(state_dir_open(test_root, "c", STATE_UNLOCKED, false, &other, &err), 0);
	assert_true(state_dir_busy(&other));
	assert_false(state_dir_busy(&dir));
	state_dir_unlock(&dir);
	assert_false(state_dir_busy(&other));
	/* Others read along, but who changes waits for them. */
	state_dir_close(&other);
	assert_int_equal(state_dir_open(test_root, "c", STATE_SHARED, false, &other, &err), 0);
	assert_int_equal(state_dir_open(test_root, "c", STATE_SHARED, false, &dir, &err), 0);
	state_dir_close(&other);
	assert_int_equal(state_dir_remove(&dir, test_root, "c", &err), 0);
	state_dir_close(&dir);
	assert_int_equal(state_dir_open(test_root, "c", STATE_EXCLUSIVE, true, &dir, &err), -ENOENT);
}

/* The lock is released by unlocking, though a child still has a copy. */
static void test_lock_of_child(void **state)
{
	struct state_dir dir = STATE_DIR_INIT, other = STATE_DIR_INIT;
	int fds[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(state_dir_create(test_root, "c", &dir, NULL), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[1]);
		_exit(read(fds[0], &c, 1) == 0 ? 0 : 1);
	}
	state_dir_unlock(&dir);
	assert_int_equal(state_dir_open(test_root, "c", STATE_EXCLUSIVE, false, &other, NULL), 0);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	state_dir_close(&other);
	assert_int_equal(state_dir_remove(&dir, test_root, "c", NULL), 0);
	state_dir_close(&dir);
}

/* Who waited for a deletion learns that there is nothing any more. */
static void test_lock_after_removal(void **state)
{
	struct state_dir dir = STATE_DIR_INIT, other = STATE_DIR_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	int status;
	pid_t pid;

	assert_int_equal(state_dir_create(test_root, "c", &dir, NULL), 0);
	pid = fork();
	if (pid == 0)
		_exit(state_dir_open(test_root, "c", STATE_EXCLUSIVE, true, &other, &err) == -ENOENT ? 0 : 1);
	usleep(50000);
	assert_int_equal(state_dir_remove(&dir, test_root, "c", &err), 0);
	state_dir_unlock(&dir);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(state_dir_relock(&dir, "c", &err), -ENOENT);
	state_dir_close(&dir);
}

/* A removal that comes late: two deletions and a creation have been there meanwhile. */
static void test_late_removal(void **state)
{
	struct state_dir dir = STATE_DIR_INIT, next = STATE_DIR_INIT;

	assert_int_equal(state_dir_create(test_root, "c", &dir, NULL), 0);
	assert_int_equal(state_dir_remove(&dir, test_root, "c", NULL), 0);
	assert_int_equal(state_dir_create(test_root, "c", &next, NULL), 0);
	assert_int_equal(io_replace_file(next.fd, STATE_CONFIG, "{}", 2, 0600, NULL), 0);
	assert_int_equal(state_dir_remove(&dir, test_root, "c", NULL), 0);
	state_dir_close(&dir);
	assert_int_equal(faccessat(next.fd, STATE_CONFIG, F_OK, 0), 0);
	assert_int_equal(faccessat(next.fd, STATE_LOCK, F_OK, 0), 0);
	assert_int_equal(state_dir_remove(&next, test_root, "c", NULL), 0);
	state_dir_close(&next);
}

static void test_round_trip(void **state)
{
	autostate struct state a = { 0 }, b = { 0 };
	struct state_dir dir = STATE_DIR_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	auto_oci_spec struct oci_spec *spec = NULL;
	char created[STATE_CREATED_MAX];

	assert_int_equal(oci_spec_default(&spec, &err), 0);
	assert_int_equal(oci_pairs_set(&spec->annotations, "k/\"\n", "v\\", &err), 0);
	assert_int_equal(state_fill("c", "/a bundle", spec, &a, &err), 0);
	assert_string_equal(a.rootfs, "/a bundle/rootfs");
	a.pid = 17;
	a.start_time = UINT64_MAX;
	a.created = UINT64_C(1700000000000000007);
	a.systemd = true;
	assert_int_equal(oci_strv_add(&a.cgroup, "cgroupfs", &err), 0);
	assert_int_equal(oci_strv_add(&a.cgroup, "", &err), 0);
	assert_int_equal(state_dir_create(test_root, "c", &dir, &err), 0);
	assert_int_equal(state_read(&dir, &b, &err), -ENOENT);
	/* Without init; then with it, over and over. */
	a.pid = 0;
	assert_int_equal(state_write_first(&dir, &a, &err), 0);
	assert_int_equal(state_read(&dir, &b, &err), 0);
	assert_int_equal(b.pid, 0);
	state_free(&b);
	a.pid = 17;
	assert_int_equal(state_write(&dir, &a, false, &err), 0);
	assert_int_equal(state_write(&dir, &a, true, &err), 0);
	assert_int_equal(state_read(&dir, &b, &err), 0);
	assert_string_equal(b.id, "c");
	assert_string_equal(b.bundle, "/a bundle");
	assert_string_equal(b.rootfs, "/a bundle/rootfs");
	assert_string_equal(b.oci_version, OCI_VERSION);
	assert_int_equal(b.pid, 17);
	assert_true(b.start_time == UINT64_MAX && b.systemd && !b.rootless);
	assert_int_equal(b.cgroup.n, 2);
	assert_string_equal(b.cgroup.v[1], "");
	assert_string_equal(json_object_get_string(json_object_object_get(b.annotations, "k/\"\n")),
			    "v\\");
	state_created(&b, created);
	assert_string_equal(created, "2023-11-14T22:13:20.000000007Z");
	assert_int_equal(state_dir_remove(&dir, test_root, "c", NULL), 0);
	state_dir_close(&dir);
}

static void test_broken(void **state)
{
	static const char *const texts[] = {
		"", "{", "[]", "null", "{}", "{\"version\":2}", "{\"version\":1}",
		"{\"version\":1,\"ociVersion\":1,\"id\":[],\"bundle\":{},\"rootfs\":null}",
		"{\"version\":1,\"ociVersion\":\"\",\"id\":\"\",\"bundle\":\"\",\"rootfs\":\"\","
		"\"created\":1,\"pid\":1,\"startTime\":\"1\",\"cgroup\":[]}",
		"{\"version\":1,\"ociVersion\":\"\",\"id\":\"\",\"bundle\":\"\",\"rootfs\":\"\","
		"\"created\":1,\"pid\":1,\"startTime\":1,\"cgroup\":[null]}",
	};
	struct state_dir dir = STATE_DIR_INIT;

	assert_int_equal(state_dir_create(test_root, "c", &dir, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		struct state s = { 0 };

		assert_int_equal(io_replace_file(dir.fd, STATE_FILE, texts[i], strlen(texts[i]), 0600, NULL), 0);
		assert_true(state_read(&dir, &s, &err) < 0);
		assert_int_equal(err.kind, COFFER_ERR_INTERNAL);
	}
	assert_int_equal(state_dir_remove(&dir, test_root, "c", NULL), 0);
	state_dir_close(&dir);
}

static void test_status(void **state)
{
	struct state_dir dir = STATE_DIR_INIT, reader = STATE_DIR_INIT;
	struct state s = { 0 };
	pid_t pid;
	int fd;

	assert_int_equal(state_dir_create(test_root, "c", &dir, NULL), 0);
	assert_int_equal(state_dir_open(test_root, "c", STATE_UNLOCKED, false, &reader, NULL), 0);
	fd = openat(dir.fd, STATE_CREATING, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(state_read(&reader, &s, NULL), -ENOENT);
	/* Its maker is at work, or was killed. */
	assert_int_equal(status_get(&reader, &s, NULL), STATUS_CREATING);
	assert_int_equal(status_get(&dir, &s, NULL), STATUS_STOPPED);
	/* A process that lives, but by its start time is another one; then the right one. */
	s.pid = getpid();
	s.start_time = 1;
	assert_int_equal(status_get(&dir, &s, NULL), STATUS_STOPPED);
	assert_int_equal(procinfo_start_time(s.pid, &s.start_time, NULL), 0);
	assert_int_equal(status_get(&dir, &s, NULL), STATUS_RUNNING);
	fd = engine_gate_listen(dir.fd, NULL);
	assert_true(fd >= 0);
	assert_int_equal(status_get(&dir, &s, NULL), STATUS_CREATED);
	/* Nobody listens there any more, though the name is left. */
	close(fd);
	assert_int_equal(status_get(&dir, &s, NULL), STATUS_RUNNING);
	/* It has ended, but its parent has not asked for it. */
	pid = fork();
	if (pid == 0)
		_exit(0);
	s.pid = pid;
	waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
	assert_int_equal(procinfo_start_time(pid, &s.start_time, NULL), 0);
	assert_int_equal(status_get(&dir, &s, NULL), STATUS_STOPPED);
	waitpid(pid, NULL, 0);
	state_dir_close(&reader);
	assert_int_equal(state_dir_remove(&dir, test_root, "c", NULL), 0);
	state_dir_close(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_lock_of_child),
		cmocka_unit_test(test_lock_after_removal),
		cmocka_unit_test(test_late_removal),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_status),
	};

	return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
