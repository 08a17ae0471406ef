/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks that have worked on container runtimes, one test a class; docs/hardening.md tells what
 * each of them stands for.  Others of them are in test_engine_root.c and test_engine_mount.c.
 */
#include "engine_run.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "engine/container.h"
#include "engine/idmap.h"
#include "engine/label.h"
#include "engine/namespaces.h"
#include "engine/sysctl.h"

/* A path below the root file system or beside it; valid until the next call. */
static const char *inside(struct run *run, const char *path)
{
	static char full[512];

	snprintf(full, sizeof(full), "%s%s", run->rootfs, path);
	return full;
}

static const char *outside(struct run *run, const char *path)
{
	static char full[512];

	snprintf(full, sizeof(full), "%s/%s", run->bundle, path);
	return full;
}

/* The image's own /dev, instead of a new one. */
static void use_dev_of_image(struct run *run)
{
	for (size_t i = 0; i < run->spec->mounts.n; i++)
		if (strcmp(run->spec->mounts.v[i].destination, "/dev") == 0)
			oci_str_set(&run->spec->mounts.v[i].destination, "/elsewhere", &run->err);
	assert_int_equal(mkdir(inside(run, "/dev"), 0755), 0);
}

/* @fn in a process with a mount namespace of its own. Return: what it returned, 0 to 100 */
static int with_own_mounts(int (*fn)(struct run *run), struct run *run)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(101);
		_exit(fn(run));
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- the way to a mount's place ---- */

/* In the background, until killed: a directory and a link out change places. */
static pid_t exchange(const char *a, const char *b)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
	}
	assert_true(pid > 0);
	return pid;
}

/* Another container with the same volume turns a component of the path into a link, and back. */
static void test_exchanged_component(void **state)
{
	struct run *run = *state;
	char a[512], victim[512];
	pid_t pid;

	snprintf(victim, sizeof(victim), "%s", run_beside(run, "victim", NULL));
	assert_int_equal(mkdir(inside(run, "/a"), 0755), 0);
	run_link(run, victim, "/b");
	run_mount(run, "/a/tmp", "tmpfs", "tmpfs", "size=64k");
	run_mount(run, "/a/x/y/file", "bind", run_beside(run, "file", "x"), "bind");
	run_args(run, "exit", NULL);
	snprintf(a, sizeof(a), "%s", inside(run, "/a"));
	pid = exchange(a, inside(run, "/b"));
	for (int i = 0; i < 30; i++)
		if (run_start(run) == 0)
			run_stop(run);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* Whatever became of the containers: nothing was made where the link leads. */
	assert_int_equal(rmdir(victim), 0);
}

static void test_root_is_a_link_to_mounts(void **state)
{
	struct run *run = *state;

	/* The root itself as the place of a mount would be a root that the image chose. */
	run_link(run, ".", "/self");
	run_mount(run, "/self", "tmpfs", "tmpfs", "size=64k");
	run_args(run, "exit", NULL);
	assert_int_equal(run_start(run), -EINVAL);
	assert_non_null(strstr(run->err.message, "is the container's root itself"));
}

static void test_sys_is_a_link(void **state)
{
	struct run *run = *state;

	assert_int_equal(mkdir(inside(run, "/other"), 0755), 0);
	run_link(run, "/other", "/sys");
	run_args(run, "exit", NULL);
	assert_int_equal(run_start(run), -ENOTDIR);
	assert_non_null(strstr(run->err.message, "/sys must be mounted on ordinary directory"));
}

/* ---- what is bound, and onto what ---- */

/* The image's /dev/null is a link to a file that must not be written to, or to be hidden. */
static void test_null_is_a_link(void **state)
{
	struct run *run = *state;
	const char *const masked[] = { "/secret", NULL };

	use_dev_of_image(run);
	run_link(run, "/proc/sys/kernel/hostname", "/dev/null");
	assert_int_equal(mknod(inside(run, "/secret"), S_IFREG | 0644, 0), 0);
	oci_strv_set(&run->spec->linux_->masked_paths, masked, &run->err);
	run_args(run, "exit", NULL);
	assert_int_equal(run_start(run), -EEXIST);
	assert_non_null(strstr(run->err.message, "/dev/null exists and is something else"));
}

static int mask_with_false_null(struct run *run)
{
	const char *const masked[] = { "/secret", NULL };

	if (mount(outside(run, "false"), "/dev/null", NULL, MS_BIND, NULL) < 0)
		return 1;
	oci_strv_set(&run->spec->linux_->masked_paths, masked, &run->err);
	if (run_start(run) == 0)
		return 2;
	return strstr(run->err.message, "/dev/null of the host is something else") ? 0 : 3;
}

/* The node that masks are made of is looked at, too. */
static void test_false_null_is_no_mask(void **state)
{
	struct run *run = *state;

	run_beside(run, "false", "not a device");
	assert_int_equal(mknod(inside(run, "/secret"), S_IFREG | 0644, 0), 0);
	run_args(run, "exit", NULL);
	assert_int_equal(with_own_mounts(mask_with_false_null, run), 0);
}

/* ---- a user namespace of others ---- */

/* In a child, until killed: a user namespace whose root is ours, and which gave up setgroups(2). */
static pid_t user_namespace(char path[64])
{
	static const char *const files[][2] = {
		{ "uid_map", "0 0 1\n" }, { "setgroups", "deny" }, { "gid_map", "0 0 1\n" }
	};
	char proc[32], byte;
	int ready[2], procfd;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWUSER) == 0 && write(ready[1], "", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	snprintf(proc, sizeof(proc), "/proc/%d", (int)pid);
	procfd = open(proc, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		assert_int_equal(io_write_file(procfd, files[i][0], files[i][1], NULL), 0);
	close(procfd);
	snprintf(path, 64, "/proc/%d/ns/user", (int)pid);
	return pid;
}

static void join_user_namespace(struct run *run, const char *path)
{
	struct oci_linux *l = run->spec->linux_;
	struct oci_namespace *v = reallocarray(l->namespaces.v, l->namespaces.n + 1, sizeof(*v));

	assert_non_null(v);
	l->namespaces.v = v;
	v[l->namespaces.n++] = (struct oci_namespace){ .type = strdup("user"),
						       .path = strdup(path) };
}

/* Its processes see whoever joins it, long before that one has another mount namespace. */
static void test_joining_is_not_traced(void **state)
{
	struct run *run = *state;
	struct ns_plan plan;
	char path[64];
	int status = 0;
	pid_t other = user_namespace(path), pid;

	join_user_namespace(run, path);
	assert_int_equal(ns_plan_spec(run->spec, &plan, &run->err), 0);
	pid = fork();
	if (pid == 0)
		_exit(ns_enter_bridge(&plan, -1, &run->err) < 0 ? 2 : prctl(PR_GET_DUMPABLE));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	ns_plan_free(&plan);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
}

static int join_with_group(struct run *run)
{
	const gid_t group = 54321;

	run_args(run, "id", NULL);
	if (setgroups(1, &group) < 0 || run_whole(run) < 0)
		return 1;
	return strstr(run->out, "groups\n") ? 0 : 2;
}

/* Nor does it get the caller's groups, which cannot be taken away in there. */
static void test_joining_without_groups(void **state)
{
	struct run *run = *state;
	char path[64];
	pid_t other = user_namespace(path);
	int r;

	join_user_namespace(run, path);
	r = with_own_mounts(join_with_group, run);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	assert_int_equal(r, 0);
}

/* What is mounted again is what the document names: not where the image leads. */
static void test_remount_by_link(void **state)
{
	struct run *run = *state;

	run_mount(run, "/volume", "bind", run_beside(run, "volume", NULL), "bind,ro");
	run_link(run, "/volume", "/link");
	run_mount(run, "/link", "none", "none", "remount,bind,rw");
	run_args(run, "write", "/volume/file", "x", NULL);
	assert_int_equal(run_start(run), -ELOOP);
	assert_int_equal(access(outside(run, "volume/file"), F_OK), -1);
}

/* What a process says that somebody has taken over during its set-up. */
static void test_unwanted_listener(void **state)
{
	struct run *run = *state;
	struct engine_container *c = NULL;

	assert_null(run->spec->linux_->seccomp);
	assert_int_equal(container_alloc("c", "/", run->spec, &c, &run->err), 0);
	assert_true(container_pass_listener(0, getpid(), c, &run->err) < 0);
	assert_non_null(strstr(run->err.message, "a listener that nobody wanted"));
	engine_release(c);
}

/* A console that leads to a file of /proc, to have a terminal where a mask belongs. */
static void test_console_is_a_link(void **state)
{
	struct run *run = *state;

	use_dev_of_image(run);
	assert_int_equal(mkdir(inside(run, "/dev/pts"), 0755), 0);
	run_link(run, "/proc/sysrq-trigger", "/dev/console");
	run->spec->process->terminal = true;
	run_args(run, "exit", NULL);
	assert_int_equal(run_start(run), -EEXIST);
	assert_non_null(strstr(run->err.message,
			       "/dev/console must be mounted on ordinary file"));
}

/* ---- writes to /proc ---- */

static int write_to_covered_proc(struct run *run)
{
	struct oci_pair pair = { (char *)"net.ipv4.ip_forward", (char *)"1" };
	struct oci_pairs pairs = { &pair, 1 };
	int fd;

	if (mount(outside(run, "file"), "/proc/sys/net/ipv4/ip_forward", NULL, MS_BIND, NULL) < 0)
		return 1;
	if (sysctl_apply(&pairs, &run->err) != -EXDEV)
		return 2;
	if (umount("/proc/sys/net/ipv4/ip_forward") < 0 ||
	    mount("t", "/proc/sys/net", "tmpfs", 0, NULL) < 0)
		return 3;
	fd = path_open_proc("sys/net/ipv4", O_PATH, &run->err);
	return fd == -EXDEV ? 0 : 4;
}

static int write_to_false_proc(struct run *run)
{
	struct oci_process process = { .selinux_label = (char *)"a:b:c" };
	struct coffer_error err = COFFER_ERROR_INIT;
	char *text = NULL;
	int r;

	if (mount(outside(run, "proc"), "/proc", NULL, MS_BIND | MS_REC, NULL) < 0)
		return 1;
	r = label_apply(&process, &run->err);
	if (r != -EXDEV || !strstr(run->err.message, "process.selinuxLabel: open /proc/"))
		return 2;
	if (io_read_file(AT_FDCWD, "/proc/self/attr/exec", 64, &text, NULL, &err) < 0)
		return 3;
	return strcmp(text, "untouched") == 0 ? 0 : 4;
}

/* Labels and sysctls end in the file that was meant or nowhere. */
static void test_proc_is_covered(void **state)
{
	struct run *run = *state;
	struct coffer_error err = COFFER_ERROR_INIT;
	char path[300];

	run_beside(run, "file", "0");
	assert_int_equal(with_own_mounts(write_to_covered_proc, run), 0);
	snprintf(path, sizeof(path), "%s/proc/self/attr", run->bundle);
	assert_int_equal(path_mkdirs(path, 0755, &err), 0);
	run_beside(run, "proc/self/attr/exec", "untouched");
	run_beside(run, "proc/self/attr/keycreate", "untouched");
	assert_int_equal(with_own_mounts(write_to_false_proc, run), 0);
}

/* A kernel without the module must not mean a container without its confinement. */
static void test_labels_are_not_dropped(void **state)
{
	struct run *run = *state;

	if (access("/sys/fs/selinux/enforce", F_OK) == 0)
		skip();
	oci_str_set(&run->spec->process->selinux_label, "a:b:c", &run->err);
	run_args(run, "exit", NULL);
	assert_int_equal(run_start(run), -EOPNOTSUPP);
	assert_non_null(strstr(run->err.message, "process.selinuxLabel: SELinux is not enabled"));
	oci_str_set(&run->spec->process->selinux_label, NULL, &run->err);
	oci_str_set(&run->spec->linux_->mount_label, "a:b:c", &run->err);
	assert_int_equal(run_start(run), -EOPNOTSUPP);
	assert_non_null(strstr(run->err.message, "linux.mountLabel: SELinux is not enabled"));
	oci_str_set(&run->spec->linux_->mount_label, NULL, &run->err);
	if (access("/sys/module/apparmor", F_OK) == 0)
		return;
	oci_str_set(&run->spec->process->apparmor_profile, "docker-default", &run->err);
	assert_int_equal(run_start(run), -EOPNOTSUPP);
	assert_non_null(strstr(run->err.message, "process.apparmorProfile: AppArmor is not"));
	oci_str_set(&run->spec->process->apparmor_profile, "unconfined", &run->err);
	assert_int_equal(run_whole(run), 0);
}

/* ---- descriptors ---- */

/* Directories of the host that a caller left open are no working directories, and are not there. */
static void test_leaked_descriptors(void **state)
{
	struct run *run = *state;
	int leaks[8];
	char cwd[64];

	for (size_t i = 0; i < 8; i++) {
		leaks[i] = open("/", O_RDONLY | O_DIRECTORY); /* and not close-on-exec */
		assert_true(leaks[i] >= 0);
	}
	run_args(run, "fds", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "0\n1\n2\n");
	for (int fd = 3; fd <= leaks[7] + 4; fd++) {
		snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d", fd);
		oci_str_set(&run->spec->process->cwd, cwd, &run->err);
		run_args(run, "cwd", NULL);
		assert_true(run_start(run) < 0);
		snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d/../..", fd);
		oci_str_set(&run->spec->process->cwd, cwd, &run->err);
		assert_true(run_start(run) < 0);
	}
	for (size_t i = 0; i < 8; i++)
		close(leaks[i]);
}

/* One that the caller wants to be there is no way to go, either; nor by an image's link. */
static void test_preserved_descriptor_as_directory(void **state)
{
	struct run *run = *state;
	int was = fcntl(3, F_DUPFD_CLOEXEC, 100), host = open("/", O_RDONLY | O_DIRECTORY);

	assert_true(host >= 0);
	assert_int_equal(dup2(host, 3), 3);
	run->preserve_fds = 1;
	run_args(run, "cwd", NULL);
	oci_str_set(&run->spec->process->cwd, "/proc/self/fd/3", &run->err);
	assert_true(run_start(run) < 0);
	run_link(run, "/proc/self/fd/3/etc", "/work");
	oci_str_set(&run->spec->process->cwd, "/work", &run->err);
	assert_true(run_start(run) < 0);
	close(3);
	if (was >= 0)
		dup2(was, 3);
	close(was);
	if (host != 3)
		close(host);
}

static void test_exec_directory(void **state)
{
	struct run *run = *state;
	struct oci_process process = *run->spec->process;
	char cwd[64];

	run_args(run, "wait", NULL);
	assert_int_equal(run_start(run), 0);
	run_read(run, "ready\n");
	process.args = run->spec->process->args;
	for (int fd = 3; fd < 20; fd++) {
		snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d", fd);
		process.cwd = cwd;
		assert_true(run_exec_process(run, &process) < 0);
	}
	assert_int_equal(run_stop(run), 0);
}

/* ---- groups and ids ---- */

static void test_cgroup_path_stays_below(void **state)
{
	struct run *run = *state;
	static const char *const paths[] = { "/../coffer-escape", "a/../../coffer-escape", ".." };

	run_args(run, "exit", NULL);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		oci_str_set(&run->spec->linux_->cgroups_path, paths[i], &run->err);
		assert_int_equal(run_start(run), -EINVAL);
	}
}

/* Without a cgroup namespace a user namespace gets to see the host's v2 tree, not to write it. */
static void test_host_cgroups_are_readonly(void **state)
{
	struct run *run = *state;
	struct oci_linux *l = run->spec->linux_;
	struct oci_id_mapping all = { 0, 100000, 65536 };
	bool seen = false;

	oci_namespace_add(run->spec, "user", NULL, &run->err);
	run_drop_namespace(run, "cgroup");
	l->uid_mappings.v = memcpy(malloc(sizeof(all)), &all, sizeof(all));
	l->gid_mappings.v = memcpy(malloc(sizeof(all)), &all, sizeof(all));
	l->uid_mappings.n = l->gid_mappings.n = 1;
	assert_int_equal(chown(run->rootfs, 100000, 100000), 0);
	for (size_t i = 0; i < run->spec->mounts.n; i++)
		if (strcmp(run->spec->mounts.v[i].destination, "/sys/fs/cgroup") == 0)
			oci_strv_set(&run->spec->mounts.v[i].options, NULL, &run->err);
	run_args(run, "cat", "/proc/self/mountinfo", NULL);
	assert_int_equal(run_whole(run), 0);
	for (char *line = strtok(run->out, "\n"); line; line = strtok(NULL, "\n")) {
		if (!strstr(line, " - cgroup2 "))
			continue;
		seen = true;
		assert_non_null(strstr(line, " ro,"));
	}
	if (!seen)
		skip();
}

/* Lengths that came from outside are counted before they are written. */
static void test_too_many_mappings(void **state)
{
	static struct oci_id_mapping maps[IDMAP_LINES_MAX + 1];
	struct oci_id_mappings list = { maps, IDMAP_LINES_MAX + 1 };
	static char text[IDMAP_TEXT_MAX];
	int n;

	for (size_t i = 0; i < list.n; i++)
		maps[i] = (struct oci_id_mapping){ UINT32_MAX, UINT32_MAX, UINT32_MAX };
	assert_int_equal(idmap_format(&list, text), -EINVAL);
	list.n--;
	n = idmap_format(&list, text);
	assert_int_equal(n, strlen(text));
}

/* Capabilities that a file could pick up are those the document names, none by default. */
static void test_nothing_to_inherit(void **state)
{
	struct run *run = *state;

	run_args(run, "wait", NULL);
	assert_int_equal(run_start(run), 0);
	assert_int_equal(run_exec(run, "status", "CapInh", "CapPrm", NULL), 0);
	assert_string_equal(run_line(run, "CapInh:\t"), "0000000000000000");
	assert_string_not_equal(run_line(run, "CapPrm:\t"), "0000000000000000");
	assert_int_equal(run_stop(run), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, run_setup, run_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_exchanged_component),
		TEST(test_root_is_a_link_to_mounts),
		TEST(test_sys_is_a_link),
		TEST(test_null_is_a_link),
		TEST(test_false_null_is_no_mask),
		TEST(test_joining_is_not_traced),
		TEST(test_joining_without_groups),
		TEST(test_remount_by_link),
		TEST(test_unwanted_listener),
		TEST(test_console_is_a_link),
		TEST(test_proc_is_covered),
		TEST(test_labels_are_not_dropped),
		TEST(test_leaked_descriptors),
		TEST(test_preserved_descriptor_as_directory),
		TEST(test_exec_directory),
		TEST(test_cgroup_path_stays_below),
		TEST(test_host_cgroups_are_readonly),
		TEST(test_too_many_mappings),
		TEST(test_nothing_to_inherit),
	};

	if (run_skip_unprivileged())
		return 77;
	return cmocka_run_group_tests_name("engine_harden", tests, NULL, NULL);
}
