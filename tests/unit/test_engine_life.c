/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a container: namespaces shared and joined, exec, kill, delete, and what is left. */
#include "engine_run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"

static const char *const ns_files[] = { "mnt", "pid", "net", "ipc", "uts", "cgroup", "time" };

static ino_t ns_of(const char *who, const char *file)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", who, file);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static struct child *init_child(struct run *run)
{
	return &engine_init(run->container)->child;
}

static size_t open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_exec_joins_everything(void **state)
{
	struct run *run = *state;
	char path[64], init[16];

	oci_namespace_add(run->spec, "time", NULL, &run->err);
	run_args(run, "wait", NULL);
	assert_int_equal(run_start(run), 0);
	snprintf(init, sizeof(init), "%d", engine_init(run->container)->child.pid);
	for (size_t i = 0; i < ARRAY_SIZE(ns_files); i++) {
		char expected[64];

		snprintf(path, sizeof(path), "/proc/self/ns/%s", ns_files[i]);
		assert_int_equal(run_exec(run, "link", path, NULL), 0);
		snprintf(expected, sizeof(expected), "%s:[%lu]\n", ns_files[i],
			 (unsigned long)ns_of(init, ns_files[i]));
		assert_string_equal(run->out, expected);
		assert_true(ns_of(init, ns_files[i]) != ns_of("self", ns_files[i]));
	}
	assert_int_equal(run_exec(run, "fds", NULL), 0);
	assert_string_equal(run->out, "0\n1\n2\n");
	assert_int_equal(run_exec(run, "exit", "7", NULL), 0);
	assert_int_equal(run->code, 7);
}

static void test_exec_cgroup_and_failures(void **state)
{
	struct run *run = *state;
	struct oci_process process;
	char *argv[] = { (char *)"nope", NULL };

	run_args(run, "wait", NULL);
	assert_int_equal(run_start(run), 0);
	assert_int_equal(run_exec(run, "cat", "/proc/self/cgroup", NULL), 0);
	assert_non_null(strstr(run->out, "0::/\n")); /* its own group is the root it sees */
	process = *run->spec->process;
	process.args = (struct oci_strv){ argv, 1 };
	assert_int_equal(run_exec_process(run, &process), -ENOENT);
	assert_non_null(strstr(run->err.message, "executable file not found in $PATH"));
	process.args.v[0] = (char *)"/payload";
	process.cwd = (char *)"/fresh";
	assert_int_equal(run_exec_process(run, &process), 0);
	process.cwd = (char *)"/payload";
	assert_int_equal(run_exec_process(run, &process), -ENOTDIR);
	assert_non_null(strstr(run->err.message, "exec in container"));
	assert_non_null(strstr(run->err.message, "working directory"));
}

static void test_exec_after_end(void **state)
{
	struct run *run = *state;
	siginfo_t si;

	run_args(run, "exit", NULL);
	assert_int_equal(run_start(run), 0);
	/* Dead, first not reaped, then reaped. */
	assert_true(io_wait(init_child(run)->pidfd, POLLIN, deadline_in(60 * USEC_PER_SEC)) > 0);
	assert_int_equal(run_exec(run, "exit", NULL), -EBUSY);
	assert_non_null(strstr(run->err.message, "init has ended"));
	assert_int_equal(child_wait(init_child(run), USEC_INFINITY, &si), 0);
	assert_int_equal(run_exec(run, "exit", NULL), -EBUSY);
	assert_int_equal(engine_start(run->container, &run->err), -EBUSY);
}

static void set_ns_path(struct run *run, const char *type, const char *who, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", who, file);
	run_drop_namespace(run, type);
	assert_int_equal(oci_namespace_add(run->spec, type, path, &run->err), 0);
}

/* A second container in the namespaces of the first, as in a pod. */
static void join(void **state, const char *type, const char *file)
{
	struct run *first = *state, *second;
	char init[16], path[64], expected[64];
	void *state2;

	run_args(first, "wait", NULL);
	assert_int_equal(run_start(first), 0);
	snprintf(init, sizeof(init), "%d", engine_init(first->container)->child.pid);
	run_setup(&state2);
	second = state2;
	set_ns_path(second, type, init, file);
	snprintf(path, sizeof(path), "/proc/self/ns/%s", file);
	run_args(second, "link", path, NULL);
	if (run_whole(second)) fail_msg("%s", second->err.message);
	snprintf(expected, sizeof(expected), "%s:[%lu]\n", file, (unsigned long)ns_of(init, file));
	assert_string_equal(second->out, expected);
	run_args(second, "wait", NULL);
	if (run_start(second)) fail_msg("%s", second->err.message);
	if (run_exec(second, "link", path, NULL))
		fail_msg("%s", second->err.message);
	assert_string_equal(second->out, expected);
	assert_int_equal(run_stop(second), 0);
	/* The first one does not mind. */
	assert_int_equal(run_exec(first, "stat", "/payload", NULL), 0);
	assert_non_null(strstr(first->out, "/payload: - "));
	run_teardown(&state2);
}

static void test_join_network(void **state)
{
	join(state, "network", "net");
}

static void test_join_pid(void **state)
{
	join(state, "pid", "pid");
}

static void test_join_wrong(void **state)
{
	struct run *run = *state;

	run_args(run, "exit", NULL);
	set_ns_path(run, "network", "self", "uts");
	assert_int_equal(run_start(run), -EINVAL);
	assert_non_null(strstr(run->err.message, "is not a network namespace"));
	set_ns_path(run, "network", "self", "nothing");
	assert_int_equal(run_start(run), -ENOENT);
	set_ns_path(run, "network", "self", "net");
	set_ns_path(run, "mount", "self", "mnt");
	assert_int_equal(run_start(run), -EOPNOTSUPP);
	assert_non_null(strstr(run->err.message, "a mount namespace is required"));
}

static void add_maps(struct run *run)
{
	struct oci_linux *l = run->spec->linux_;

	oci_namespace_add(run->spec, "user", NULL, &run->err);
	l->uid_mappings.v = calloc(1, sizeof(*l->uid_mappings.v));
	l->gid_mappings.v = calloc(1, sizeof(*l->gid_mappings.v));
	l->uid_mappings.v[0] = (struct oci_id_mapping){ 0, 100000, 65536 };
	l->gid_mappings.v[0] = (struct oci_id_mapping){ 0, 200000, 65536 };
	l->uid_mappings.n = l->gid_mappings.n = 1;
	assert_int_equal(chown(run->rootfs, 100000, 200000), 0);
}

static void test_user_namespace(void **state)
{
	struct run *run = *state;

	add_maps(run);
	run_args(run, "cat", "/proc/self/uid_map", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_non_null(strstr(run->out, "100000      65536"));
	run_args(run, "stat", "/dev/null", "/dev/pts/ptmx", "/proc/self", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "/dev/null: "), "c 0666 65534:65534 1:3");
	run->spec->process->user.uid = 1000;
	run->spec->process->oom_score_adj = (struct oci_opt_i32){ true, 100 };
	run_args(run, "wait", NULL);
	assert_int_equal(run_start(run), 0);
	assert_int_equal(run_exec(run, "id", NULL), 0);
	assert_string_equal(run_line(run, "uid "), "1000 1000 1000");
	assert_int_equal(run_exec(run, "status", "Uid", "CapBnd", NULL), 0);
	assert_int_equal(run_exec(run, "cat", "/proc/self/uid_map", NULL), 0);
	assert_non_null(strstr(run->out, "100000      65536"));
}

/* Clock offsets in a new user namespace: both have to be made before the child is. */
static void test_user_and_time_namespace(void **state)
{
	struct run *run = *state;

	add_maps(run);
	set_ns_path(run, "uts", "self", "uts"); /* ours: nothing to join */
	run->spec->linux_->time_offsets.v = calloc(1, sizeof(struct oci_time_offset));
	run->spec->linux_->time_offsets.v[0] =
		(struct oci_time_offset){ strdup("boottime"), 1000000, 0 };
	run->spec->linux_->time_offsets.n = 1;
	oci_namespace_add(run->spec, "time", NULL, &run->err);
	oci_str_set(&run->spec->hostname, NULL, &run->err);
	run_args(run, "cat", "/proc/self/uid_map", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_non_null(strstr(run->out, "100000      65536"));
}

static void test_time_namespace(void **state)
{
	struct run *run = *state;
	struct oci_time_offset *o = calloc(2, sizeof(*o));
	struct timespec mono_before, boot_before, now;
	long long mono, boot;

	o[0] = (struct oci_time_offset){ strdup("monotonic"), 5000000, 0 };
	o[1] = (struct oci_time_offset){ strdup("boottime"), 7000000, 0 };
	run->spec->linux_->time_offsets.v = o;
	run->spec->linux_->time_offsets.n = 2;
	oci_namespace_add(run->spec, "time", NULL, &run->err);
	run_args(run, "clocks", NULL);
	clock_gettime(CLOCK_MONOTONIC, &mono_before);
	clock_gettime(CLOCK_BOOTTIME, &boot_before);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(sscanf(run->out, "%lld %lld", &mono, &boot), 2);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_in_range(mono - 5000000, mono_before.tv_sec, now.tv_sec);
	clock_gettime(CLOCK_BOOTTIME, &now);
	assert_in_range(boot - 7000000, boot_before.tv_sec, now.tv_sec);
	run_drop_namespace(run, "time");
	assert_int_equal(run_start(run), -EINVAL);
}

/* ---- the end ---- */

static void test_kill_all(void **state)
{
	struct run *run = *state;
	siginfo_t si;

	run_args(run, "orphans", "20", NULL);
	assert_int_equal(run_start(run), 0);
	run_read(run, "ready\n");
	/* Init dies of it, the others ignore it. */
	assert_int_equal(engine_kill_all(run->container, SIGKILL, &run->err), 0);
	assert_int_equal(child_wait(init_child(run), deadline_in(60 * USEC_PER_SEC), &si), 0);
	assert_int_equal(spawn_exit_code(&si), 128 + SIGKILL);
	/* The pipe's end comes when the last of them is gone. */
	run_read(run, NULL);
	assert_int_equal(run_stop(run), 0);
}

static void test_signal_all(void **state)
{
	struct run *run = *state;
	siginfo_t si;

	/* Without its own pid namespace, so that init is no special process. */
	run_drop_namespace(run, "pid");
	run_args(run, "wait", NULL);
	assert_int_equal(run_start(run), 0);
	run_read(run, "ready\n");
	assert_int_equal(engine_kill_all(run->container, SIGTERM, &run->err), 0);
	assert_int_equal(child_wait(init_child(run), deadline_in(60 * USEC_PER_SEC), &si), 0);
	assert_int_equal(spawn_exit_code(&si), 128 + SIGTERM);
}

/* Orphans that outlive init where no pid namespace ends with it. */
static void test_delete_ends_orphans(void **state)
{
	struct run *run = *state;

	run_drop_namespace(run, "pid");
	run_args(run, "orphans", "5", NULL);
	assert_int_equal(run_start(run), 0);
	run_read(run, "ready\n");
	assert_int_equal(run_stop(run), 0);
	run_read(run, NULL);
}

static void test_delete_created(void **state)
{
	struct run *run = *state;
	struct engine_create_args args = {
		.id = run->id, .bundle = run->bundle, .spec = run->spec, .stdio = { -1, -1, -1 }, .gate = -1 };

	run_args(run, "exit", NULL);
	assert_int_equal(engine_create(&args, &run->container, &run->err), 0);
	assert_int_equal(run_stop(run), 0);
}

static void test_nothing_is_left(void **state)
{
	struct run *run = *state;
	size_t fds = 0;
	char *info, path[128];

	for (int i = 0; i < 30; i++) {
		if (i == 5)
			fds = open_fds();
		if (i % 3 == 0) {
			run_args(run, "exit", "3", NULL);
			assert_int_equal(run_whole(run), 0);
		} else if (i % 3 == 1) {
			const char *const nope[] = { "nope", NULL };

			run_program(run, nope);
			assert_int_equal(run_start(run), -ENOENT);
		} else {
			run_args(run, "wait", NULL);
			assert_int_equal(run_start(run), 0);
			assert_int_equal(run_exec(run, "exit", NULL), 0);
			assert_int_equal(run_stop(run), 0);
		}
	}
	assert_int_equal(open_fds(), fds);
	assert_int_equal(io_read_file(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &info, NULL, NULL),
			 0);
	assert_null(strstr(info, run->bundle));
	free(info);
	snprintf(path, sizeof(path), "/sys/fs/cgroup/unified/coffer/%s", run->id);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "/sys/fs/cgroup/coffer/%s", run->id);
	assert_int_equal(access(path, F_OK), -1);
	/* No child, not even a dead one. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_same_id_twice(void **state)
{
	struct run *run = *state;
	struct engine_create_args args = {
		.id = run->id, .bundle = run->bundle, .spec = run->spec, .stdio = { -1, -1, -1 }, .gate = -1 };
	struct engine_container *again = NULL;

	run_args(run, "wait", NULL);
	assert_int_equal(run_start(run), 0);
	assert_int_equal(engine_create(&args, &again, &run->err), -EEXIST);
	assert_non_null(strstr(run->err.message, "it has processes"));
	/* The one that runs was not hurt. */
	assert_int_equal(run_exec(run, "exit", "5", NULL), 0);
	assert_int_equal(run->code, 5);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, run_setup, run_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_exec_joins_everything),
		TEST(test_exec_cgroup_and_failures),
		TEST(test_exec_after_end),
		TEST(test_join_network),
		TEST(test_join_pid),
		TEST(test_join_wrong),
		TEST(test_user_namespace),
		TEST(test_user_and_time_namespace),
		TEST(test_time_namespace),
		TEST(test_kill_all),
		TEST(test_signal_all),
		TEST(test_delete_ends_orphans),
		TEST(test_delete_created),
		TEST(test_nothing_is_left),
		TEST(test_same_id_twice),
	};

	if (run_skip_unprivileged())
		return 77;
	return cmocka_run_group_tests_name("engine_life", tests, NULL, NULL);
}
