/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts: mapped ids, copies, places that are made, what may lie over /proc, propagation. */
#include "engine_run.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"

static struct oci_mount *last_mount(struct run *run)
{
	return &run->spec->mounts.v[run->spec->mounts.n - 1];
}

static void set_map(struct oci_id_mappings *maps, uint32_t inside, uint32_t outside, uint32_t size)
{
	maps->v = calloc(1, sizeof(*maps->v));
	assert_non_null(maps->v);
	maps->v[0] = (struct oci_id_mapping){ inside, outside, size };
	maps->n = 1;
}

static void map_mount(struct run *run, uint32_t inside, uint32_t outside)
{
	set_map(&last_mount(run)->uid_mappings, inside, outside, 1);
	set_map(&last_mount(run)->gid_mappings, inside, outside, 1);
}

static void add_user_namespace(struct run *run)
{
	oci_namespace_add(run->spec, "user", NULL, &run->err);
	set_map(&run->spec->linux_->uid_mappings, 0, 100000, 65536);
	set_map(&run->spec->linux_->gid_mappings, 0, 100000, 65536);
	assert_int_equal(chown(run->rootfs, 100000, 100000), 0);
}

/* A path below the root file system; valid until the next call. */
static const char *inside(struct run *run, const char *path)
{
	static char full[512];

	snprintf(full, sizeof(full), "%s%s", run->rootfs, path);
	return full;
}

static void make_dir(struct run *run, const char *path, mode_t mode)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(path_mkdirs(inside(run, path), 0755, &err), 0);
	assert_int_equal(chmod(inside(run, path), mode), 0);
}

static void make_file(struct run *run, const char *path, const char *text, mode_t mode)
{
	int fd = open(inside(run, path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* ---- mapped ids ---- */

static void test_idmap(void **state)
{
	struct run *run = *state;
	char file[300];

	run_beside(run, "data", NULL);
	snprintf(file, sizeof(file), "%s", run_beside(run, "data/file", "x"));
	assert_int_equal(chown(file, 1000, 1000), 0);
	run_mount(run, "/mapped", "bind", "data", "bind");
	map_mount(run, 1000, 7);
	run_mount(run, "/again", "bind", "data", "bind");
	map_mount(run, 1000, 7);
	run_mount(run, "/other", "bind", "data", "bind");
	map_mount(run, 1000, 8);
	run_mount(run, "/plain", "bind", "data", "bind");
	run_args(run, "stat", "/mapped/file", "/again/file", "/other/file", "/plain/file", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "/mapped/file: "), "- 0644 7:7 0:0");
	assert_string_equal(run_line(run, "/again/file: "), "- 0644 7:7 0:0");
	assert_string_equal(run_line(run, "/other/file: "), "- 0644 8:8 0:0");
	assert_string_equal(run_line(run, "/plain/file: "), "- 0644 1000:1000 0:0");
}

static void test_idmap_of_the_namespace(void **state)
{
	struct run *run = *state;

	add_user_namespace(run);
	run_beside(run, "data", NULL);
	run_beside(run, "data/file", "x");
	run_mount(run, "/mapped", "bind", "data", "bind,idmap");
	run_mount(run, "/plain", "bind", "data", "bind");
	run_args(run, "stat", "/mapped/file", "/plain/file", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "/mapped/file: "), "- 0644 0:0 0:0");
	assert_string_equal(run_line(run, "/plain/file: "), "- 0644 65534:65534 0:0");
}

static void test_idmap_recursive(void **state)
{
	struct run *run = *state;
	char inner[300];

	run_beside(run, "data", NULL);
	snprintf(inner, sizeof(inner), "%s", run_beside(run, "data/inner", NULL));
	assert_int_equal(mount("t", inner, "tmpfs", 0, "size=64k,uid=1000,gid=1000"), 0);
	run_mount(run, "/one", "bind", "data", "rbind,idmap");
	map_mount(run, 1000, 7);
	run_mount(run, "/tree", "bind", "data", "rbind,ridmap");
	map_mount(run, 1000, 7);
	run_args(run, "stat", "/one/inner", "/tree/inner", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(umount2(inner, MNT_DETACH), 0); /* whoever looks at it at this moment */
	assert_string_equal(run_line(run, "/one/inner: "), "d 1777 1000:1000 0:0");
	assert_string_equal(run_line(run, "/tree/inner: "), "d 1777 7:7 0:0");
}

static void test_idmap_refused(void **state)
{
	struct run *run = *state;

	run_beside(run, "data", NULL);
	run_mount(run, "/m", "bind", "data", "bind,idmap");
	run_args(run, "exit", NULL);
	assert_int_equal(run_start(run), -EINVAL);
	assert_non_null(strstr(run->err.message, "on /m: idmap without uidMappings takes a user"));
	oci_str_set(&last_mount(run)->type, "tmpfs", &run->err);
	oci_strv_set(&last_mount(run)->options, NULL, &run->err);
	map_mount(run, 0, 7);
	assert_int_equal(run_start(run), -EOPNOTSUPP);
	assert_non_null(strstr(run->err.message, "mounts[7]: ids can be mapped on a bind only"));
}

/* What the namespace's root could not walk to is opened before there is a namespace. */
static void test_user_namespace_inaccessible(void **state)
{
	struct run *run = *state;
	char dir[300];

	add_user_namespace(run);
	snprintf(dir, sizeof(dir), "%s", run_beside(run, "private", NULL));
	run_beside(run, "private/data", NULL);
	run_beside(run, "private/data/file", "seen\n");
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(chmod(run->bundle, 0700), 0);
	run_mount(run, "/data", "bind", "private/data", "bind,ro");
	run_args(run, "cat", "/data/file", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "seen\n");
	run_args(run, "stat", "/dev/null", "/dev/tty", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "/dev/null: "), "c 0666 65534:65534 1:3");
}

/* Its root may not make nodes; the parent does, and gives them to whom the document says. */
static void test_user_namespace_devices(void **state)
{
	struct run *run = *state;
	struct oci_device *d = calloc(3, sizeof(*d));

	add_user_namespace(run);
	d[0] = (struct oci_device){ .path = strdup("/dev/net/special"), .type = strdup("c"),
				    .major = 1, .minor = 5, .file_mode = { true, 0640 },
				    .uid = { true, 10 }, .gid = { true, 11 } };
	d[1] = (struct oci_device){ .path = strdup("/pipe"), .type = strdup("p") };
	d[2] = (struct oci_device){ .path = strdup("/dev/null"), .type = strdup("c"),
				    .major = 1, .minor = 3 };
	run->spec->linux_->devices.v = d;
	run->spec->linux_->devices.n = 3;
	run_args(run, "stat", "/dev/net/special", "/pipe", "/dev/null", "/dev/zero", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "/dev/net/special: "), "c 0640 10:11 1:5");
	assert_string_equal(run_line(run, "/pipe: "), "p 0666 0:0 0:0");
	assert_string_equal(run_line(run, "/dev/null: "), "c 0666 0:0 1:3");
	assert_string_equal(run_line(run, "/dev/zero: "), "c 0666 65534:65534 1:5");
	run_args(run, "open", "/dev/net/special", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "ok\n");
	d[0].uid.v = 100000;
	assert_int_equal(run_start(run), -EINVAL);
	assert_non_null(strstr(run->err.message, "linux.devices[0]: 100000:11 is nobody"));
}

/* What its root may not mount is the host's: a /sys without a network; a group nobody has. */
static void test_user_namespace_fallbacks(void **state)
{
	struct run *run = *state;

	add_user_namespace(run);
	run->spec->linux_->uid_mappings.v[0].size = 1;
	run->spec->linux_->gid_mappings.v[0].size = 1;
	run_drop_namespace(run, "network");
	run_args(run, "cat", "/proc/self/mountinfo", NULL);
	assert_int_equal(run_whole(run), 0);
	for (char *line = strtok(run->out, "\n"); line; line = strtok(NULL, "\n")) {
		if (strstr(line, " / /sys "))
			assert_non_null(strstr(line, " / /sys ro,"));
		if (strstr(line, " /dev/pts "))
			assert_null(strstr(line, "gid="));
	}
	run_args(run, "ls", "/sys/class/net", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, 0);
	run_args(run, "stat", "/dev/pts/ptmx", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_true(run_line(run, "/dev/pts/ptmx: ")[0] == 'c');
}

/* ---- tmpcopyup ---- */

static void test_copy_up(void **state)
{
	struct run *run = *state;

	make_dir(run, "/d/sub", 0711);
	make_dir(run, "/d", 0750);
	make_file(run, "/d/sub/file", "text\n", 0640);
	assert_int_equal(chown(inside(run, "/d/sub/file"), 3, 4), 0);
	assert_int_equal(setxattr(inside(run, "/d/sub/file"), "user.note", "n", 1, 0), 0);
	make_file(run, "/d/setuid", "", 0755);
	assert_int_equal(chown(inside(run, "/d/setuid"), 5, 6), 0);
	assert_int_equal(chmod(inside(run, "/d/setuid"), 06755), 0);
	run_link(run, "/not/there", "/d/link");
	assert_int_equal(mkfifo(inside(run, "/d/pipe"), 0620), 0);
	assert_int_equal(chmod(inside(run, "/d/pipe"), 0620), 0);
	run_mount(run, "/d", "tmpfs", "tmpfs", "size=1m,tmpcopyup");
	run_args(run, "stat", "/d", "/d/sub", "/d/sub/file", "/d/setuid", "/d/link", "/d/pipe", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "/d: "), "d 0750 0:0 0:0");
	assert_string_equal(run_line(run, "/d/sub: "), "d 0711 0:0 0:0");
	assert_string_equal(run_line(run, "/d/sub/file: "), "- 0640 3:4 0:0");
	assert_string_equal(run_line(run, "/d/setuid: "), "- 6755 5:6 0:0");
	assert_string_equal(run_line(run, "/d/link: "), "l 0777 0:0 0:0");
	assert_string_equal(run_line(run, "/d/pipe: "), "p 0620 0:0 0:0");
	run_args(run, "link", "/d/link", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "/not/there\n");
	run_args(run, "cat", "/d/sub/file", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "text\n");
	/* What is written goes to the copy. */
	run_args(run, "write", "/d/new", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, 0);
	assert_int_equal(access(inside(run, "/d/new"), F_OK), -1);
}

static void test_copy_up_keeps_names_and_attributes(void **state)
{
	struct run *run = *state;
	char name[512];

	make_dir(run, "/d/sub", 0755);
	make_file(run, "/d/a", "one", 0644);
	assert_int_equal(setxattr(inside(run, "/d/a"), "user.note", "kept", 4, 0), 0);
	snprintf(name, sizeof(name), "%s", inside(run, "/d/a"));
	assert_int_equal(link(name, inside(run, "/d/sub/b")), 0);
	run_mount(run, "/d", "tmpfs", "tmpfs", "tmpcopyup");
	/* A write by one name is read by the other. */
	run_args(run, "wait", NULL);
	assert_int_equal(run_start(run), 0);
	assert_int_equal(run_exec(run, "write", "/d/a", "two", NULL), 0);
	assert_int_equal(run_exec(run, "cat", "/d/sub/b", NULL), 0);
	assert_string_equal(run->out, "two");
	assert_int_equal(run_exec(run, "xattr", "/d/a", "user.note", NULL), 0);
	assert_string_equal(run->out, "kept\n");
	assert_int_equal(run_stop(run), 0);
}

static void test_copy_up_readonly(void **state)
{
	struct run *run = *state;

	make_dir(run, "/d", 0755);
	make_file(run, "/d/a", "one\n", 0644);
	run_mount(run, "/d", "tmpfs", "tmpfs", "ro,tmpcopyup");
	run_args(run, "cat", "/d/a", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "one\n");
	run_args(run, "write", "/d/a", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, EROFS);
}

static void test_copy_up_refused(void **state)
{
	struct run *run = *state;
	static char big[1 << 16];

	make_dir(run, "/d/sub", 0755);
	assert_int_equal(mknod(inside(run, "/d/sub/disk"), S_IFBLK | 0600, makedev(8, 0)), 0);
	run_mount(run, "/d", "tmpfs", "tmpfs", "size=16k,tmpcopyup");
	run_args(run, "exit", NULL);
	assert_int_equal(run_start(run), -EOPNOTSUPP);
	assert_non_null(strstr(run->err.message,
			       "mounts[7] on /d: tmpcopyup: sub: disk: it is a device"));
	assert_int_equal(unlink(inside(run, "/d/sub/disk")), 0);
	memset(big, 'x', sizeof(big) - 1);
	make_file(run, "/d/big", big, 0644);
	assert_int_equal(run_start(run), -ENOSPC);
	assert_non_null(strstr(run->err.message, "tmpcopyup: big: copy"));
}

static void test_copy_up_too_deep(void **state)
{
	struct run *run = *state;
	char path[400] = "/d";

	for (int i = 0; i < 80; i++)
		strcat(path, "/x");
	make_dir(run, path, 0755);
	run_mount(run, "/d", "tmpfs", "tmpfs", "tmpcopyup");
	run_args(run, "exit", NULL);
	assert_int_equal(run_start(run), -ELOOP);
	assert_non_null(strstr(run->err.message, "nested too deep"));
}

static void test_copy_up_too_many(void **state)
{
	struct run *run = *state;
	char dir[512], path[530];
	int r;

	make_dir(run, "/d", 0755);
	snprintf(dir, sizeof(dir), "%s", inside(run, "/d"));
	assert_int_equal(mount("t", dir, "tmpfs", 0, "nr_inodes=0"), 0);
	for (int i = 0; i <= 65536; i++) {
		snprintf(path, sizeof(path), "%s/%d", dir, i);
		assert_int_equal(mknod(path, S_IFIFO | 0600, 0), 0);
	}
	run_mount(run, "/d", "tmpfs", "tmpfs", "nr_inodes=0,tmpcopyup");
	run_args(run, "exit", NULL);
	r = run_start(run);
	assert_int_equal(umount2(dir, MNT_DETACH), 0);
	assert_int_equal(r, -E2BIG);
	assert_non_null(strstr(run->err.message, "more than 65536 entries"));
}

/* ---- places ---- */

static void test_bind_other_kinds(void **state)
{
	struct run *run = *state;
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char pipe[300];

	assert_true(snprintf(name.sun_path, sizeof(name.sun_path), "%s/sock", run->bundle) <
		    (int)sizeof(name.sun_path));
	assert_int_equal(bind(sock, (struct sockaddr *)&name, sizeof(name)), 0);
	snprintf(pipe, sizeof(pipe), "%s/pipe", run->bundle);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	run_mount(run, "/run/app.sock", "bind", name.sun_path, "bind");
	run_mount(run, "/run/pipe", "bind", pipe, "bind,ro");
	run_mount(run, "/made/null", "bind", "/dev/null", "bind");
	run_args(run, "stat", "/run/app.sock", "/run/pipe", "/made/null", NULL);
	assert_int_equal(run_whole(run), 0);
	close(sock);
	assert_true(run_line(run, "/run/app.sock: ")[0] == 's');
	assert_true(run_line(run, "/run/pipe: ")[0] == 'p');
	assert_non_null(strstr(run_line(run, "/made/null: "), " 1:3"));
}

/* What a link names is made where other runtimes make it, in the root. */
static void test_dangling_links(void **state)
{
	struct run *run = *state;

	make_dir(run, "/etc", 0755);
	make_dir(run, "/var", 0755);
	run_link(run, "../run/resolve/stub.conf", "/etc/resolv.conf");
	run_link(run, "/run", "/var/run");
	run_link(run, "/../../../elsewhere/file", "/etc/far");
	run_mount(run, "/etc/resolv.conf", "bind", run_beside(run, "resolv", "dns\n"), "bind");
	run_mount(run, "/var/run/lock", "tmpfs", "tmpfs", "size=64k");
	run_mount(run, "/etc/far", "bind", run_beside(run, "far", "far\n"), "bind");
	run_args(run, "cat", "/run/resolve/stub.conf", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "dns\n");
	run_args(run, "cat", "/elsewhere/file", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "far\n");
	run_args(run, "stat", "/run/lock", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_true(run_line(run, "/run/lock: ")[0] == 'd');
	assert_int_equal(access("/elsewhere", F_OK), -1);
}

static void test_link_loop(void **state)
{
	struct run *run = *state;

	run_link(run, "b/x", "/a");
	run_link(run, "a/x", "/b");
	run_mount(run, "/a/c", "tmpfs", "tmpfs", "size=64k");
	run_args(run, "exit", NULL);
	assert_int_equal(run_start(run), -ELOOP);
	assert_non_null(strstr(run->err.message, "mounts[7] on /a/c"));
}

/* A read-only tmpfs becomes so when what is mounted in it has its place. */
static void test_readonly_tmpfs(void **state)
{
	struct run *run = *state;

	run_mount(run, "/fixed", "tmpfs", "tmpfs", "ro,size=64k");
	run_mount(run, "/fixed/a/file", "bind", run_beside(run, "file", "deep\n"), "bind");
	for (size_t i = 0; i < run->spec->mounts.n; i++)
		if (strcmp(run->spec->mounts.v[i].destination, "/dev") == 0)
			oci_strv_add(&run->spec->mounts.v[i].options, "ro", &run->err);
	run_args(run, "cat", "/fixed/a/file", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "deep\n");
	run_args(run, "write", "/fixed/new", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, EROFS);
	run_args(run, "write", "/dev/new", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, EROFS);
	run_args(run, "write", "/dev/null", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, 0);
}

static void test_remount(void **state)
{
	struct run *run = *state;

	run_mount(run, "/t", "tmpfs", "tmpfs", "size=64k");
	run_mount(run, "/t", "none", "none", "remount,ro");
	run_args(run, "write", "/t/f", "x", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, EROFS);
}

/* ---- /proc ---- */

static void refuse_mount(struct run *run, const char *to, const char *type, const char *from,
			 const char *options)
{
	size_t n = run->spec->mounts.n;

	run_mount(run, to, type, from, options);
	run_args(run, "exit", NULL);
	assert_int_equal(run_start(run), -EPERM);
	assert_non_null(strstr(run->err.message, "cannot be mounted because it is inside /proc"));
	/* Back to what it was; the entry's strings are freed with the next one's. */
	oci_str_set(&last_mount(run)->destination, "/unused", &run->err);
	oci_str_set(&last_mount(run)->type, "tmpfs", &run->err);
	oci_str_set(&last_mount(run)->source, "tmpfs", &run->err);
	oci_strv_set(&last_mount(run)->options, NULL, &run->err);
	assert_int_equal(run->spec->mounts.n, n + 1);
}

static void test_proc_is_not_covered(void **state)
{
	struct run *run = *state;
	char dir[300];

	snprintf(dir, sizeof(dir), "%s", run_beside(run, "fake", NULL));
	refuse_mount(run, "/proc", "bind", dir, "bind");
	refuse_mount(run, "/proc", "tmpfs", "tmpfs", "size=64k");
	refuse_mount(run, "//proc//", "tmpfs", "tmpfs", "size=64k");
	refuse_mount(run, "/proc/self/attr", "tmpfs", "tmpfs", "size=64k");
	refuse_mount(run, "/proc/sys", "bind", "/proc", "bind");
	run_link(run, "/proc/sys", "/elsewhere");
	refuse_mount(run, "/elsewhere/net", "bind", dir, "bind");
}

static void test_proc_files_may_be_covered(void **state)
{
	struct run *run = *state;
	char file[300];

	snprintf(file, sizeof(file), "%s", run_beside(run, "cpuinfo", "one processor\n"));
	run_mount(run, "/proc/cpuinfo", "bind", file, "bind");
	run_mount(run, "/proc//uptime", "bind", file, "bind");
	run_args(run, "cat", "/proc/cpuinfo", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "one processor\n");
	/* The host's procfs instead of a new one is the document's choice. */
	for (size_t i = 0; i < run->spec->mounts.n; i++) {
		struct oci_mount *m = &run->spec->mounts.v[i];

		if (strcmp(m->destination, "/proc") != 0)
			continue;
		oci_str_set(&m->type, "bind", &run->err);
		oci_str_set(&m->source, "/proc", &run->err);
		oci_strv_add(&m->options, "rbind", &run->err);
	}
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "one processor\n");
}

/* ---- root ---- */

/* In a process with a mount namespace of its own; @fn returns its exit code. */
static int apart(int (*fn)(struct run *run, const char *path), struct run *run, const char *path)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(101);
		_exit(fn(run, path));
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Whoever takes the container's root away sees the old one. Return: 0 when it lacks @path */
static int look_below_root(struct run *run, const char *path)
{
	struct stat over, below;
	char file[64];
	int ns;

	snprintf(file, sizeof(file), "/proc/%d/ns/mnt", (int)engine_init(run->container)->child.pid);
	ns = open(file, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNS) < 0 || stat("/", &over) < 0)
		return 1;
	if (umount2("/", MNT_DETACH) < 0 || setns(ns, CLONE_NEWNS) < 0 || stat("/", &below) < 0)
		return 2;
	if (over.st_ino == below.st_ino && over.st_dev == below.st_dev)
		return 3;
	return access(path, F_OK) < 0 && errno == ENOENT ? 0 : 4;
}

static void test_no_pivot(void **state)
{
	struct run *run = *state;
	char host[300], mark[320];
	int seen;

	snprintf(host, sizeof(host), "%s", run_beside(run, "host", NULL));
	snprintf(mark, sizeof(mark), "%s/mark", host);
	assert_int_equal(mount("host-only", host, "tmpfs", 0, "size=64k"), 0);
	assert_int_equal(mkdir(mark, 0755), 0);
	run->no_pivot = true;
	run_args(run, "ls", "/../..", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_non_null(strstr(run->out, "payload"));
	run_args(run, "wait", NULL);
	assert_int_equal(run_start(run), 0);
	run_read(run, "ready\n");
	seen = apart(look_below_root, run, mark);
	assert_int_equal(umount2(host, MNT_DETACH), 0);
	assert_int_equal(seen, 0);
	assert_int_equal(run_stop(run), 0);
}

static int start_in_chroot(struct run *run, const char *root)
{
	static const char *const parts[] = { "/proc", "/sys", "/dev", "/tmp" };
	char path[320];

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", root, parts[i]);
		if (mkdir(path, 0755) < 0 ||
		    mount(parts[i], path, NULL, MS_BIND | MS_REC, NULL) < 0)
			return 1;
	}
	if (chroot(root) < 0 || chdir("/") < 0)
		return 2;
	if (run_start(run) != -EINVAL)
		return 3;
	return strstr(run->err.message, "set the propagation of /") ? 0 : 4;
}

/* There the rest of the tree would stay in the container's namespace. */
static void test_no_pivot_in_chroot(void **state)
{
	struct run *run = *state;
	char root[300];

	snprintf(root, sizeof(root), "%s", run_beside(run, "root", NULL));
	run->no_pivot = true;
	run_args(run, "exit", NULL);
	assert_int_equal(apart(start_in_chroot, run, root), 0);
}

static void test_propagation_of_binds(void **state)
{
	struct run *run = *state;
	char shared[300];

	snprintf(shared, sizeof(shared), "%s", run_beside(run, "shared", NULL));
	assert_int_equal(mount("peers", shared, "tmpfs", 0, "size=64k"), 0);
	assert_int_equal(mount(NULL, shared, NULL, MS_SHARED, NULL), 0);
	oci_str_set(&run->spec->linux_->rootfs_propagation, "rslave", &run->err);
	run_mount(run, "/slave", "bind", shared, "rbind,rslave");
	run_mount(run, "/private", "bind", shared, "rbind,rprivate");
	run_mount(run, "/unbindable", "tmpfs", "tmpfs", "size=64k,unbindable");
	run_args(run, "cat", "/proc/self/mountinfo", NULL);
	assert_int_equal(run_whole(run), 0);
	for (char *line = strtok(run->out, "\n"); line; line = strtok(NULL, "\n")) {
		if (strstr(line, " /slave "))
			assert_non_null(strstr(line, " master:"));
		if (strstr(line, " /private "))
			assert_null(strstr(line, " master:"));
		if (strstr(line, " /unbindable "))
			assert_non_null(strstr(line, " unbindable "));
		assert_null(strstr(line, " shared:"));
	}
	oci_str_set(&run->spec->linux_->rootfs_propagation, "rshared", &run->err);
	run_mount(run, "/peer", "bind", shared, "rbind,rshared");
	assert_int_equal(run_whole(run), 0);
	for (char *line = strtok(run->out, "\n"); line; line = strtok(NULL, "\n"))
		if (strstr(line, " /peer "))
			assert_non_null(strstr(line, " shared:"));
	assert_int_equal(umount2(shared, MNT_DETACH), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, run_setup, run_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_idmap),
		TEST(test_idmap_of_the_namespace),
		TEST(test_idmap_recursive),
		TEST(test_idmap_refused),
		TEST(test_user_namespace_inaccessible),
		TEST(test_user_namespace_devices),
		TEST(test_user_namespace_fallbacks),
		TEST(test_copy_up),
		TEST(test_copy_up_keeps_names_and_attributes),
		TEST(test_copy_up_readonly),
		TEST(test_copy_up_refused),
		TEST(test_copy_up_too_deep),
		TEST(test_copy_up_too_many),
		TEST(test_bind_other_kinds),
		TEST(test_dangling_links),
		TEST(test_link_loop),
		TEST(test_readonly_tmpfs),
		TEST(test_remount),
		TEST(test_proc_is_not_covered),
		TEST(test_proc_files_may_be_covered),
		TEST(test_no_pivot),
		TEST(test_no_pivot_in_chroot),
		TEST(test_propagation_of_binds),
	};

	if (run_skip_unprivileged())
		return 77;
	return cmocka_run_group_tests_name("engine_mount", tests, NULL, NULL);
}
