/* SPDX-License-Identifier: Apache-2.0 */
/* The root of a container: mounts, devices, hidden paths, and images that try to lead us out. */
#include "engine_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"

static void test_default_devices(void **state)
{
	struct run *run = *state;

	run_args(run, "stat", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
		 "/dev/tty", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "/dev/null: "), "c 0666 0:0 1:3");
	assert_string_equal(run_line(run, "/dev/zero: "), "c 0666 0:0 1:5");
	assert_string_equal(run_line(run, "/dev/full: "), "c 0666 0:0 1:7");
	assert_string_equal(run_line(run, "/dev/random: "), "c 0666 0:0 1:8");
	assert_string_equal(run_line(run, "/dev/urandom: "), "c 0666 0:0 1:9");
	assert_string_equal(run_line(run, "/dev/tty: "), "c 0666 0:0 5:0");
	run_args(run, "link", "/dev/ptmx", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "pts/ptmx\n");
	run_args(run, "link", "/dev/fd", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "/proc/self/fd\n");
}

static void test_spec_devices(void **state)
{
	struct run *run = *state;
	struct oci_device *d = calloc(2, sizeof(*d));

	d[0] = (struct oci_device){ .path = strdup("/dev/net/special"), .type = strdup("c"),
				    .major = 10, .minor = 200, .file_mode = { true, 0640 },
				    .uid = { true, 3 }, .gid = { true, 4 } };
	d[1] = (struct oci_device){ .path = strdup("/pipe"), .type = strdup("p") };
	run->spec->linux_->devices.v = d;
	run->spec->linux_->devices.n = 2;
	run_args(run, "stat", "/dev/net/special", "/pipe", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "/dev/net/special: "), "c 0640 3:4 10:200");
	assert_string_equal(run_line(run, "/pipe: "), "p 0666 0:0 0:0");
}

/* An image's idea of /dev/null is not taken. */
static void test_device_exists(void **state)
{
	struct run *run = *state;
	char path[256];

	for (size_t i = 0; i < run->spec->mounts.n; i++)
		if (strcmp(run->spec->mounts.v[i].destination, "/dev") == 0)
			oci_str_set(&run->spec->mounts.v[i].destination, "/elsewhere", &run->err);
	snprintf(path, sizeof(path), "%s/dev", run->rootfs);
	assert_int_equal(mkdir(path, 0755), 0);
	strcat(path, "/null");
	assert_int_equal(mknod(path, S_IFREG | 0644, 0), 0);
	run_args(run, "exit", NULL);
	assert_int_equal(run_start(run), -EEXIST);
	assert_non_null(strstr(run->err.message, "devices: /dev/null exists"));
	/* The right one is. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mknod(path, S_IFCHR | 0666, 1 << 8 | 3), 0);
	assert_int_equal(run_whole(run), 0);
}

static void test_bind(void **state)
{
	struct run *run = *state;

	run_beside(run, "shared", NULL);
	run_beside(run, "shared/file", "inside\n");
	run_mount(run, "/mnt/dir", "bind", "shared", "bind,ro"); /* relative to the bundle */
	run_args(run, "cat", "/mnt/dir/file", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "inside\n");
	run_args(run, "write", "/mnt/dir/file", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, EROFS);
}

static void test_bind_file(void **state)
{
	struct run *run = *state;

	run_mount(run, "/etc/app.conf", NULL, run_beside(run, "conf", "conf\n"), "bind,rw,nosuid");
	run_args(run, "write", "/etc/app.conf", "CONF", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, 0);
	run_args(run, "cat", "/etc/app.conf", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "CONF\n");
}

/* "ro" is about one mount, "rro" about all below it. */
static void test_bind_recursive_readonly(void **state)
{
	struct run *run = *state;
	char path[256];

	snprintf(path, sizeof(path), "%s", run_beside(run, "outer", NULL));
	run_beside(run, "outer/inner", NULL);
	snprintf(path, sizeof(path), "%s/outer/inner", run->bundle);
	assert_int_equal(mount("t", path, "tmpfs", 0, "size=64k"), 0);
	run_mount(run, "/ro", "bind", "outer", "rbind,ro");
	run_mount(run, "/rro", "bind", "outer", "rbind,rro");
	run_args(run, "write", "/ro/inner/f", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, 0);
	run_args(run, "write", "/ro/f", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, EROFS);
	run_args(run, "write", "/rro/inner/f", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, EROFS);
	assert_int_equal(umount2(path, MNT_DETACH), 0); /* whoever looks at it at this moment */
}

static void test_tmpfs(void **state)
{
	struct run *run = *state;
	char path[256];

	run_mount(run, "/scratch", "tmpfs", "tmpfs", "size=64k,mode=1777,noexec");
	/* Without a mode it looks like the directory that it covers. */
	snprintf(path, sizeof(path), "%s/private", run->rootfs);
	assert_int_equal(mkdir(path, 0700), 0);
	run_mount(run, "/private", "tmpfs", "tmpfs", "size=64k");
	run_args(run, "stat", "/scratch", "/private", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "/scratch: "), "d 1777 0:0 0:0");
	assert_string_equal(run_line(run, "/private: "), "d 0700 0:0 0:0");
}

static void test_readonly_root(void **state)
{
	struct run *run = *state;

	run->spec->root->readonly = true;
	run_args(run, "write", "/file", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, EROFS);
	/* What is mounted in it is not. */
	run_args(run, "write", "/dev/shm/file", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, 0);
}

static void test_masked_and_readonly_paths(void **state)
{
	struct run *run = *state;
	const char *const masked[] = { "/secret", "/secrets", "/not/there", NULL };
	const char *const readonly[] = { "/fixed", "/gone", NULL };
	char path[256];

	snprintf(path, sizeof(path), "%s/secrets", run->rootfs);
	assert_int_equal(mkdir(path, 0755), 0);
	strcat(path, "/key");
	assert_int_equal(mknod(path, S_IFREG | 0644, 0), 0);
	snprintf(path, sizeof(path), "%s/secret", run->rootfs);
	assert_int_equal(mknod(path, S_IFREG | 0644, 0), 0);
	snprintf(path, sizeof(path), "%s/fixed", run->rootfs);
	assert_int_equal(mkdir(path, 0755), 0);
	oci_strv_set(&run->spec->linux_->masked_paths, masked, &run->err);
	oci_strv_set(&run->spec->linux_->readonly_paths, readonly, &run->err);
	run_args(run, "ls", "/secrets", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "");
	assert_int_equal(run->code, 0);
	run_args(run, "stat", "/secret", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_non_null(strstr(run_line(run, "/secret: "), " 1:3"));
	run_args(run, "write", "/fixed/f", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, EROFS);
	run_args(run, "write", "/secrets/f", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, EROFS);
}

static void test_proc_is_protected(void **state)
{
	struct run *run = *state;

	run_args(run, "write", "/proc/sys/kernel/hostname", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, EROFS);
	run_args(run, "cat", "/proc/timer_list", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "");
}

/* Nothing of the host's tree is left, and what is mounted here is not seen there. */
static void test_only_its_own_mounts(void **state)
{
	struct run *run = *state;
	char *info;
	char host[256];

	snprintf(host, sizeof(host), "%s", run_beside(run, "host", NULL));
	assert_int_equal(mount("host-only", host, "tmpfs", 0, "size=64k"), 0);
	run_args(run, "cat", "/proc/self/mountinfo", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(umount2(host, MNT_DETACH), 0);
	assert_null(strstr(run->out, "host-only"));
	assert_null(strstr(run->out, " shared:"));
	assert_non_null(strstr(run->out, "/rootfs / "));
	assert_int_equal(io_read_file(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &info, NULL, NULL),
			 0);
	assert_null(strstr(info, run->bundle));
	free(info);
}

static void test_propagation(void **state)
{
	struct run *run = *state;

	oci_str_set(&run->spec->linux_->rootfs_propagation, "shared", &run->err);
	run_args(run, "cat", "/proc/self/mountinfo", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_non_null(strstr(run->out, " shared:"));
	oci_str_set(&run->spec->linux_->rootfs_propagation, "unbindable", &run->err);
	assert_int_equal(run_whole(run), 0);
	assert_non_null(strstr(run->out, " unbindable "));
}

/* ---- hostile images ---- */

static bool host_has(struct run *run, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", run->bundle, name);
	return lstat(path, &st) == 0;
}

static void make_inside(struct run *run, const char *path)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	char full[512];

	snprintf(full, sizeof(full), "%s%s", run->rootfs, path);
	assert_int_equal(path_mkdirs(full, 0755, &err), 0);
}

/* Where the image's links lead is inside the root, whatever they say. */
static void test_links_stay_inside(void **state)
{
	struct run *run = *state;
	char path[256], up[300];

	/* The same path outside and inside; only the one inside may be touched. */
	snprintf(path, sizeof(path), "%s", run_beside(run, "victim", NULL));
	snprintf(up, sizeof(up), "../../../../../../..%s", path);
	run_link(run, up, "/relative");
	run_link(run, path, "/absolute");
	make_inside(run, path);
	run_mount(run, "/relative/a", "tmpfs", "tmpfs", "size=64k");
	run_mount(run, "/absolute/b", "tmpfs", "tmpfs", "size=64k");
	run_mount(run, "/absolute/c/file", "bind", run_beside(run, "conf", "x"), "bind");
	run_args(run, "stat", "/relative/a", "/absolute/b", "/absolute/c/file", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "/relative/a: "), "d 0755 0:0 0:0");
	assert_string_equal(run_line(run, "/absolute/c/file: "), "- 0644 0:0 0:0");
	assert_false(host_has(run, "victim/a"));
	assert_false(host_has(run, "victim/b"));
	assert_false(host_has(run, "victim/c"));
}

static void test_dev_is_a_link(void **state)
{
	struct run *run = *state;

	make_inside(run, "/etc");
	run_link(run, "/etc", "/dev");
	run_args(run, "stat", "/etc/null", "/dev/pts/ptmx", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "/etc/null: "), "c 0666 0:0 1:3");
	assert_false(access("/etc/null", F_OK) == 0);
}

static void test_proc_is_a_link_up(void **state)
{
	struct run *run = *state;

	run_link(run, "/..", "/proc");
	run_args(run, "exit", NULL);
	assert_int_equal(run_start(run), -ENOTDIR);
	assert_non_null(strstr(run->err.message, "mount: mounts[0] on /proc: /proc must be mounted "
						 "on ordinary directory"));
}

static void test_shm_is_a_link_out(void **state)
{
	struct run *run = *state;
	char path[256];

	/* No tmpfs on /dev, so that the image's own is used. */
	for (size_t i = 0; i < run->spec->mounts.n; i++)
		if (strcmp(run->spec->mounts.v[i].destination, "/dev") == 0)
			oci_str_set(&run->spec->mounts.v[i].destination, "/elsewhere", &run->err);
	snprintf(path, sizeof(path), "%s/dev", run->rootfs);
	assert_int_equal(mkdir(path, 0755), 0);
	run_link(run, "/../../../../tmp/coffer-victim", "/dev/shm");
	run_args(run, "stat", "/tmp/coffer-victim", NULL);
	/* Leading nowhere: made, inside. */
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "/tmp/coffer-victim: "), "d 1777 0:0 0:0");
	assert_false(access("/tmp/coffer-victim", F_OK) == 0);
}

/* A working directory, a masked path and a terminal's console by way of links. */
static void test_other_paths_are_links(void **state)
{
	struct run *run = *state;
	const char *const masked[] = { "/mask", NULL };

	make_inside(run, "/etc");
	run_link(run, "/../../../../../../../etc", "/work");
	run_link(run, "/etc/hostname", "/mask");
	oci_str_set(&run->spec->process->cwd, "/work/made-by-a-test", &run->err);
	oci_strv_set(&run->spec->linux_->masked_paths, masked, &run->err);
	run_args(run, "cwd", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "/etc/made-by-a-test\n");
	assert_false(access("/etc/made-by-a-test", F_OK) == 0);
}

static void test_magic_link(void **state)
{
	struct run *run = *state;

	run_mount(run, "/proc/self/cwd/x", "tmpfs", "tmpfs", "size=64k");
	run_args(run, "exit", NULL);
	assert_true(run_start(run) < 0);
	assert_non_null(strstr(run->err.message, "mounts[7] on /proc/self/cwd/x"));
}

static void test_escape_by_chroot(void **state)
{
	struct run *run = *state;
	struct oci_capabilities *caps = run->spec->process->capabilities;
	struct oci_strv *sets[] = { &caps->bounding, &caps->effective, &caps->permitted };

	for (size_t i = 0; i < 3; i++)
		oci_strv_add(sets[i], "CAP_SYS_CHROOT", &run->err);
	run_args(run, "link", "/proc/1/root/../../../..", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, EINVAL); /* a directory: nowhere above the root */
	run_args(run, "ls", "/../../..", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_non_null(strstr(run->out, "payload"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, run_setup, run_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_default_devices),
		TEST(test_spec_devices),
		TEST(test_device_exists),
		TEST(test_bind),
		TEST(test_bind_file),
		TEST(test_bind_recursive_readonly),
		TEST(test_tmpfs),
		TEST(test_readonly_root),
		TEST(test_masked_and_readonly_paths),
		TEST(test_proc_is_protected),
		TEST(test_only_its_own_mounts),
		TEST(test_propagation),
		TEST(test_links_stay_inside),
		TEST(test_dev_is_a_link),
		TEST(test_proc_is_a_link_up),
		TEST(test_shm_is_a_link_out),
		TEST(test_other_paths_are_links),
		TEST(test_magic_link),
		TEST(test_escape_by_chroot),
	};

	if (run_skip_unprivileged())
		return 77;
	return cmocka_run_group_tests_name("engine_root", tests, NULL, NULL);
}
