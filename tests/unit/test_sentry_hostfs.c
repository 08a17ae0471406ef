/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees of the host in the application kernel: by a process without capabilities and a gofer that
 * has some, and by one that has nobody to ask.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>

#include "sentry_gofer.h"

static struct child gofer_child;

static int group_setup(void **state)
{
	struct gofer *gofer;

	gofers_begin(&gofer_child, &gofer, 1);
	return 0;
}

static int group_teardown(void **state)
{
	gofers_end(&gofer_child);
	return 0;
}

/* ---- reading ---- */

static void test_reads(void **state)
{
	struct stat st;
	char target[64];

	host("cd %s/t && mkdir -p r/deep && echo hello >r/deep/file && ln -s deep/file r/link && "
	     "ln r/deep/file r/hard && mkfifo r/pipe", dir);
	assert_content(&shared, "/r/deep/file", "hello\n");
	assert_content(&shared, "/r/link", "hello\n");
	assert_int_equal(t_lstat(&shared, "/r/link", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(T_ON(&shared, "/r/link", WALK_NOFOLLOW,
			      inode->ops->readlink(inode, target, sizeof(target))), 9);
	assert_string_equal(target, "deep/file");
	assert_string_equal(t_list(&shared, "/r", NULL, NULL), "deep hard link pipe");
	assert_int_equal(t_exists(&shared, "/r/none"), -ENOENT);
	assert_int_equal(t_exists(&shared, "/r/hard/none"), -ENOTDIR);
	assert_int_equal(t_lstat(&shared, "/r/hard", &st), 0);
	assert_int_equal(st.st_nlink, 2);
}

static void test_two_names_are_one_inode(void **state)
{
	struct walk a = tree_walk(&shared), b = tree_walk(&shared);

	assert_int_equal(vfs_walk(&a, "/r/hard", 0), 0);
	assert_int_equal(vfs_walk(&b, "/r/deep/file", 0), 0);
	assert_ptr_equal(a.path.dentry->inode, b.path.dentry->inode);
	walk_end(&a);
	walk_end(&b);
}

static void test_numbers_agree(void **state)
{
	struct stat st;
	uint64_t ino;

	t_list(&shared, "/r", "hard", &ino);
	assert_int_equal(t_lstat(&shared, "/r/hard", &st), 0);
	assert_int_equal(st.st_ino, ino);
}

static void test_directory_offsets(void **state)
{
	struct tree_names names = { .sink = { tree_emit } };
	struct file *file;

	host("cd %s/t && mkdir many && cd many && for i in $(seq 1 500); do : >file$i; done", dir);
	assert_int_equal(t_open(&shared, "/many", O_RDONLY | O_DIRECTORY, 0, &file), 0);
	assert_int_equal(file->ops->readdir(file, &names.sink), 0);
	assert_int_equal(names.n, 500);
	assert_int_equal(file_seek(file, 0, SEEK_SET), 0);
	names.n = 0;
	assert_int_equal(file->ops->readdir(file, &names.sink), 0);
	assert_int_equal(names.n, 500);
	file_put(file);
}

static void test_sees_changes_of_the_host(void **state)
{
	struct stat st;

	assert_int_equal(t_exists(&shared, "/later"), -ENOENT);
	host("echo one >%s/t/later", dir);
	assert_content(&shared, "/later", "one\n");
	host("cd %s/t && echo other >x && mv x later && chmod 640 later", dir);
	assert_content(&shared, "/later", "other\n");
	assert_int_equal(t_lstat(&shared, "/later", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	host("rm %s/t/later", dir);
	assert_int_equal(t_exists(&shared, "/later"), -ENOENT);
	host("mkdir %s/t/later", dir);
	assert_int_equal(t_rmdir(&shared, "/later"), 0);
}

/* ---- what leads out ---- */

static void test_links_do_not_lead_out(void **state)
{
	struct file *file;

	host("cd %s/t && mkdir -p l && ln -s ../../outside l/up && ln -s %s/outside l/abs && ln -s "
	     "/ l/root && ln -s ../../../../../../etc l/etc", dir, dir);
	assert_int_equal(t_open(&shared, "/l/up", O_RDONLY, 0, &file), -ENOENT);
	assert_int_equal(t_open(&shared, "/l/abs", O_RDONLY, 0, &file), -ENOENT);
	assert_int_equal(t_open(&shared, "/../../outside", O_RDONLY, 0, &file), -ENOENT);
	assert_int_equal(t_open(&shared, "/l/etc/passwd", O_RDONLY, 0, &file), -ENOENT);
	assert_int_equal(t_open(&shared, "/l/up", O_RDONLY | O_NOFOLLOW, 0, &file), -ELOOP);
	/* What is made through a link is made inside */
	assert_int_equal(t_put(&shared, "/l/root/inside", "in"), 0);
	assert_content(&shared, "/inside", "in");
	assert_int_equal(host("test -e /inside"), 256);
	assert_int_equal(host("test -e %s/t/inside", dir), 0);
}

struct race {
	_Atomic bool stop;
};

static void *race_swap(void *data)
{
	struct race *race = data;

	while (!race->stop)
		host("cd %s/t/race && for i in 1 2 3 4 5 6 7 8 9; do mv -T d e && ln -s ../.. d && "
		     "rm d && mv -T e d; mv -T d/f d/g; ln -s ../../../outside d/f; rm d/f; mkfifo "
		     "d/f; rm d/f; mv -T d/g d/f; done", dir);
	return NULL;
}

/* A program of the host puts links and pipes where directories and files are, while we go through
 * them: nothing but the file is ever read, written, made or opened, and nothing blocks. */
static void test_race_with_links(void **state)
{
	struct race race = { 0 };
	unsigned done = 0, missed = 0;
	usec_t end = deadline_in(3 * USEC_PER_SEC);
	pthread_t thread;

	host("cd %s/t && mkdir -p race/d && echo good >race/d/f", dir);
	assert_int_equal(pthread_create(&thread, NULL, race_swap, &race), 0);
	while (deadline_left(end) || !done) {
		struct file *file;
		char buf[64] = "";

		if (t_open(&shared, "/race/d/f", O_RDWR | O_NONBLOCK, 0, &file) == 0) {
			bool pipe = S_ISFIFO(file->inode->attr.st_mode);

			if (!pipe && file_read_kernel(file, buf, sizeof(buf) - 1, 0) >= 0)
				assert_string_equal(buf, "good\n");
			file_put(file);
			done++;
		} else {
			missed++;
		}
		t_put(&shared, "/race/d/new", "new");
		t_chmod(&shared, "/race/d/new", 0600);
		t_chown(&shared, "/race/d/new", 7, 7);
		t_unlink(&shared, "/race/d/new");
	}
	race.stop = true;
	pthread_join(thread, NULL);
	print_message("opened %u times, missed %u\n", done, missed);
	assert_int_equal(host("test \"$(cat %s/outside)\" = secret && test $(stat -c %%a %s/outside) "
			      "= 600 && test $(stat -c %%u %s/outside) = 0 && test ! -e %s/new",
			      dir, dir, dir, dir), 0);
}

/* Reading a pipe or a device of the host would hang, or worse. */
static void test_specials_are_not_the_hosts(void **state)
{
	struct stat st;

	host("cd %s/t && mkdir -p s && mknod s/null c 1 3 && mkfifo s/pipe", dir);
	assert_int_equal(t_lstat(&shared, "/s/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(st.st_rdev, makedev(1, 3));
	/* The gofer opens neither, also when it is asked to */
	for (int i = 0; i < 2; i++) {
		struct walk walk = tree_walk(&shared);
		int fd;

		assert_int_equal(vfs_walk(&walk, "/s", 0), 0);
		walk_end(&walk);
		fd = (int)gofer_call(kernel.gofer, &(struct gofer_call){ .op = GOFER_TREE, .fd = -1,
									 .fd2 = -1 });
		assert_true(fd >= 0);
		assert_int_equal(gofer_call(kernel.gofer, &(struct gofer_call){
			.op = GOFER_OPEN, .fd = fd, .fd2 = -1, .name = "s" }) < 0, 0);
		assert_int_equal(gofer_call(kernel.gofer, &(struct gofer_call){
			.op = GOFER_OPEN, .fd = fd, .fd2 = -1, .name = i ? "null" : "pipe" }),
			-ENOENT);
		close(fd);
	}
}

/* ---- changing ---- */

static void test_makes_and_removes(void **state)
{
	struct stat st;

	assert_int_equal(t_mkdir(&shared, "/w", 0755), 0);
	assert_int_equal(t_mkdir(&shared, "/w", 0755), -EEXIST);
	assert_int_equal(t_put(&shared, "/w/f", "text"), 0);
	assert_int_equal(host("test \"$(cat %s/t/w/f)\" = text", dir), 0);
	assert_int_equal(t_symlink(&shared, "f", "/w/l"), 0);
	assert_content(&shared, "/w/l", "text");
	assert_int_equal(t_link(&shared, "/w/f", "/w/g"), 0);
	assert_int_equal(t_lstat(&shared, "/w/g", &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(t_make(&shared, "/w/p", S_IFIFO | 0600, 0, NULL), 0);
	assert_int_equal(t_make(&shared, "/w/s", S_IFSOCK | 0600, 0, NULL), 0);
	assert_string_equal(t_list(&shared, "/w", NULL, NULL), "f g l p s");
	assert_int_equal(t_rmdir(&shared, "/w"), -ENOTEMPTY);
	assert_int_equal(t_rename(&shared, "/w/g", "/w/h", 0), 0);
	assert_int_equal(t_exists(&shared, "/w/g"), -ENOENT);
	assert_content(&shared, "/w/h", "text");
	assert_int_equal(t_put(&shared, "/w/k", "other"), 0);
	assert_int_equal(t_rename(&shared, "/w/k", "/w/h", 2 /* RENAME_EXCHANGE */), 0);
	assert_content(&shared, "/w/h", "other");
	assert_content(&shared, "/w/k", "text");
	assert_int_equal(t_rename(&shared, "/w/k", "/w/h", 1 /* RENAME_NOREPLACE */), -EEXIST);
	assert_int_equal(t_rename(&shared, "/w", "/w/sub", 0), -EINVAL);
	for (const char *p = "fhklps"; *p; p++)
		assert_int_equal(t_unlink(&shared, (char[]){ '/', 'w', '/', *p, 0 }), 0);
	assert_int_equal(t_rmdir(&shared, "/w"), 0);
	assert_int_equal(host("test -e %s/t/w", dir), 256);
}

static void test_attributes(void **state)
{
	struct inode_attr times = { .mask = ATTR_ATIME | ATTR_MTIME, .atime = { 1000, 5 },
				    .mtime = { 2000, 7 } };
	struct stat st;

	assert_int_equal(t_put(&shared, "/a", "0123456789"), 0);
	assert_int_equal(t_chmod(&shared, "/a", 04751), 0);
	assert_int_equal(t_chown(&shared, "/a", 1234, 4321), 0);
	assert_int_equal(t_chmod(&shared, "/a", 06751), 0);
	assert_int_equal(t_setattr(&shared, "/a", times), 0);
	assert_int_equal(t_lstat(&shared, "/a", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 06751);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(st.st_gid, 4321);
	assert_int_equal(st.st_atim.tv_sec, 1000);
	assert_int_equal(st.st_mtim.tv_nsec, 7);
	assert_int_equal(t_truncate(&shared, "/a", 4), 0);
	assert_int_equal(t_lstat(&shared, "/a", &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_content(&shared, "/a", "0123");
	assert_int_equal(t_chmod(&shared, "/a", 0), 0);
	assert_content(&shared, "/a", "0123"); /* by the gofer */
	assert_int_equal(t_put(&shared, "/a", "more"), 0);
	assert_int_equal(t_truncate(&shared, "/a", 1 << 20), 0);
	assert_int_equal(host("test $(stat -c %%s %s/t/a) = 1048576", dir), 0);
	assert_int_equal(t_symlink(&shared, "x", "/al"), 0);
	assert_int_equal(t_chown(&shared, "/al", 55, 66), 0);
	assert_int_equal(t_lstat(&shared, "/al", &st), 0);
	assert_int_equal(st.st_uid, 55);
}

/* Everything in a directory that is another user's alone. */
static void test_foreign_directory(void **state)
{
	struct stat st;

	host("cd %s/t && mkdir foreign && echo x >foreign/f && chmod 600 foreign/f && mkdir foreign/d "
	     "&& chown -R 1000:1000 foreign && chmod 700 foreign", dir);
	assert_string_equal(t_list(&shared, "/foreign", NULL, NULL), "d f");
	assert_content(&shared, "/foreign/f", "x\n");
	assert_int_equal(t_put(&shared, "/foreign/g", "g"), 0);
	assert_int_equal(t_mkdir(&shared, "/foreign/e", 0700), 0);
	assert_int_equal(t_symlink(&shared, "f", "/foreign/l"), 0);
	assert_int_equal(t_link(&shared, "/foreign/f", "/foreign/h"), 0);
	assert_int_equal(t_rename(&shared, "/foreign/h", "/foreign/i", 0), 0);
	assert_int_equal(t_rename(&shared, "/foreign/i", "/moved", 0), 0);
	assert_int_equal(t_chmod(&shared, "/foreign/d", 0711), 0);
	assert_int_equal(t_lstat(&shared, "/foreign/d", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0711);
	assert_string_equal(t_list(&shared, "/foreign", NULL, NULL), "d e f g l");
	assert_int_equal(t_unlink(&shared, "/foreign/g"), 0);
	assert_int_equal(t_rmdir(&shared, "/foreign/e"), 0);
	assert_int_equal(host("touch %s/t/foreign/new", dir), 0);
	assert_int_equal(t_exists(&shared, "/foreign/new"), 0);
	assert_int_equal(t_unlink(&shared, "/moved"), 0);
}

static void test_made_by_another_user(void **state)
{
	struct cred *user = calloc(1, sizeof(*user));
	struct tree as_user = shared;
	struct stat st;

	*user = (struct cred){ .refs = 1, .uid = 77, .euid = 77, .fsuid = 77, .gid = 88,
			       .egid = 88, .fsgid = 88 };
	as_user.cred = user;
	host("cd %s/t && mkdir -m 1777 open && mkdir -m 3777 group && chgrp 99 group && chmod 3777 "
	     "group && echo x >open/root && chmod 644 open/root && mkdir -m 755 r755", dir);
	assert_int_equal(t_put(&as_user, "/open/f", "mine"), 0);
	assert_int_equal(t_lstat(&shared, "/open/f", &st), 0);
	assert_int_equal(st.st_uid, 77);
	assert_int_equal(st.st_gid, 88);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_int_equal(t_mkdir(&as_user, "/group/d", 0750), 0);
	assert_int_equal(t_lstat(&shared, "/group/d", &st), 0);
	assert_int_equal(st.st_gid, 99);
	assert_int_equal(st.st_mode, S_IFDIR | 02750);
	assert_int_equal(t_unlink(&as_user, "/open/root"), -EPERM); /* sticky */
	assert_int_equal(t_put(&as_user, "/open/root", "x"), -EACCES);
	assert_int_equal(t_chown(&as_user, "/open/f", 0, 0), -EPERM);
	assert_int_equal(t_put(&as_user, "/r755/nope", "x"), -EACCES);
	assert_int_equal(t_unlink(&as_user, "/open/f"), 0);
	free(user);
}

static void test_extended_attributes(void **state)
{
	char value[64], list[256];
	long n;

	assert_int_equal(t_put(&shared, "/x", "x"), 0);
	n = T_ON(&shared, "/x", 0, inode->ops->setxattr(inode, "user.a", "value", 5, 0));
	if (n == -EOPNOTSUPP) {
		print_message("the file system below %s has no user attributes\n", dir);
		skip();
	}
	assert_int_equal(n, 0);
	assert_int_equal(T_ON(&shared, "/x", 0, inode->ops->setxattr(inode, "user.a", "v", 1,
								     XATTR_CREATE)), -EEXIST);
	assert_int_equal(T_ON(&shared, "/x", 0, inode->ops->getxattr(inode, "user.a", value, 64)), 5);
	assert_int_equal(T_ON(&shared, "/x", 0, inode->ops->getxattr(inode, "user.a", NULL, 0)), 5);
	assert_int_equal(T_ON(&shared, "/x", 0, inode->ops->getxattr(inode, "user.a", value, 2)),
			 -ERANGE);
	assert_int_equal(T_ON(&shared, "/x", 0, inode->ops->getxattr(inode, "user.b", value, 64)),
			 -ENODATA);
	assert_int_equal(T_ON(&shared, "/x", 0,
			      inode->ops->getxattr(inode, "system.posix_acl_access", value, 64)),
			 -EOPNOTSUPP);
	assert_int_equal(T_ON(&shared, "/x", 0, inode->ops->listxattr(inode, list, sizeof(list))), 7);
	assert_string_equal(list, "user.a");
	/* Of a file that we may not open ourselves */
	assert_int_equal(t_chown(&shared, "/x", 1000, 1000), 0);
	assert_int_equal(t_chmod(&shared, "/x", 0), 0);
	assert_int_equal(T_ON(&shared, "/x", 0, inode->ops->getxattr(inode, "user.a", value, 64)), 5);
	assert_int_equal(T_ON(&shared, "/x", 0, inode->ops->setxattr(inode, "user.c", "c", 1, 0)), 0);
	assert_int_equal(T_ON(&shared, "/x", 0, inode->ops->listxattr(inode, NULL, 0)), 14);
	assert_int_equal(T_ON(&shared, "/x", 0, inode->ops->removexattr(inode, "user.a")), 0);
	assert_int_equal(T_ON(&shared, "/", 0, inode->ops->getxattr(inode, "user.a", value, 64)),
			 -ENODATA);
	/* What cannot be opened at all */
	assert_int_equal(t_symlink(&shared, "x", "/xl"), 0);
	assert_int_equal(T_ON(&shared, "/xl", WALK_NOFOLLOW, inode->ops->listxattr(inode, list, 256)),
			 0);
	assert_int_equal(T_ON(&shared, "/xl", WALK_NOFOLLOW,
			      inode->ops->setxattr(inode, "user.a", "v", 1, 0)), -EPERM);
}

/* ---- open files ---- */

static void test_open_file_outlives_its_name(void **state)
{
	struct file *file, *again;
	char buf[16] = "";

	assert_int_equal(t_put(&shared, "/gone", "still"), 0);
	assert_int_equal(t_open(&shared, "/gone", O_RDONLY, 0, &file), 0);
	assert_int_equal(t_open(&shared, "/gone", O_WRONLY | O_APPEND, 0, &again), 0);
	assert_int_equal(t_unlink(&shared, "/gone"), 0);
	assert_int_equal(file_write_kernel(again, " here", 5, -1), 5);
	file_put(again);
	assert_int_equal(file_read_kernel(file, buf, sizeof(buf) - 1, -1), 10);
	assert_string_equal(buf, "still here");
	assert_int_equal(file->inode->ops->refresh(file->inode), 0);
	assert_int_equal(file->inode->attr.st_nlink, 0);
	/* By its descriptor, through the gofer */
	assert_int_equal(vfs_open_path(&(struct vfs_path){ file->mount, file->dentry },
				       &tree_root_cred, NULL, O_RDWR, &again), 0);
	assert_int_equal(file_write_kernel(again, "X", 1, 0), 1);
	file_put(again);
	file_put(file);
}

static void test_append_and_seek(void **state)
{
	struct file *file;

	assert_int_equal(t_put(&shared, "/ap", "one"), 0);
	assert_int_equal(t_open(&shared, "/ap", O_WRONLY | O_APPEND, 0, &file), 0);
	host("printf two >>%s/t/ap", dir);
	assert_int_equal(file_write_kernel(file, "three", 5, -1), 5);
	file_put(file);
	assert_content(&shared, "/ap", "onetwothree");
	assert_int_equal(t_open(&shared, "/ap", O_RDWR, 0, &file), 0);
	assert_int_equal(file_seek(file, -5, SEEK_END), 6);
	assert_int_equal(file_seek(file, 1, SEEK_CUR), 7);
	assert_int_equal(file_seek(file, -100, SEEK_SET), -EINVAL);
	assert_int_equal(file->ops->fallocate(file, 0, 0, 1 << 20), 0);
	assert_int_equal(file_seek(file, 0, SEEK_END), 1 << 20);
	assert_int_equal(file->ops->fsync(file, true), 0);
	assert_int_equal(file_seek(file, 0, SEEK_DATA), 0);
	assert_int_equal(file_seek(file, 2 << 20, SEEK_DATA), -ENXIO);
	file_put(file);
	/* It is not the host's to refuse three bytes */
	assert_int_equal(t_open(&shared, "/ap", O_RDONLY | O_DIRECT, 0, &file), 0);
	assert_int_equal(file_read_kernel(file, (char[3]){ 0 }, 3, 1), 3);
	file_put(file);
}

static void test_mapping(void **state)
{
	struct mappable_range range;
	struct file *file;
	struct mappable *m;

	assert_int_equal(t_put(&shared, "/map", "mapped"), 0);
	assert_int_equal(t_open(&shared, "/map", O_RDONLY, 0, &file), 0);
	m = &file->inode->mapping;
	assert_non_null(m->ops);
	assert_int_equal(m->ops->translate(m, 0, 65536, false, &range), 0);
	assert_true(range.host_fd >= 0);
	assert_int_equal(range.offset, 0);
	assert_int_equal(range.len, 4096);
	assert_int_equal(m->ops->translate(m, 4096, 4096, false, &range), -ENXIO);
	assert_int_equal(m->ops->translate(m, 0, 4096, true, &range), -EACCES);
	file_put(file);
}

/* The host can run what a guest has written and closed. */
static void test_no_descriptor_for_writing_is_kept(void **state)
{
	assert_int_equal(t_put(&shared, "/prog", "#!/bin/true\n"), 0);
	host("cp /bin/true %s/t/bin", dir);
	assert_int_equal(t_truncate(&shared, "/bin", 100000), 0);
	assert_int_equal(t_chmod(&shared, "/bin", 0755), 0);
	assert_int_equal(t_chmod(&shared, "/prog", 0755), 0);
	assert_int_equal(host("%s/t/prog && %s/t/bin", dir, dir), 0);
}

static void test_tmpfile(void **state)
{
	struct file *file;
	struct walk to = tree_walk(&shared), from = tree_walk(&shared);
	int r = t_open(&shared, "/", O_TMPFILE | O_RDWR, 0640, &file);

	if (r == -EOPNOTSUPP)
		skip();
	assert_int_equal(r, 0);
	assert_int_equal(file_write_kernel(file, "unnamed", 7, 0), 7);
	from.path = (struct vfs_path){ file->mount, file->dentry };
	path_get(&from.path);
	assert_int_equal(vfs_link(&from, &to, "/named"), 0);
	walk_end(&from);
	walk_end(&to);
	file_put(file);
	assert_content(&shared, "/named", "unnamed");
	assert_int_equal(host("test $(stat -c %%a %s/t/named) = 640", dir), 0);
}

/* ---- other trees ---- */

static void test_read_only_tree(void **state)
{
	struct super *super;
	struct tree t;

	gofer_tree_open(TREE_READ_ONLY, HOSTFS_READ_ONLY, &t);
	assert_content(&t, "/file", "read\n");
	assert_int_equal(t_put(&t, "/file", "x"), -EROFS);
	assert_int_equal(t_mkdir(&t, "/d", 0755), -EROFS);
	tree_close(&t);
	/* The mount itself is: whatever the kernel's own idea is */
	gofer_tree_open(TREE_READ_ONLY, 0, &t);
	assert_int_equal(t_put(&t, "/file", "x"), -EROFS);
	assert_int_equal(t_chmod(&t, "/file", 0600), -EROFS);
	assert_int_equal(t_mkdir(&t, "/d", 0755), -EROFS);
	tree_close(&t);
	assert_int_equal(hostfs_new(7, 0, &super), -ENOENT);
}

static void test_single_file(void **state)
{
	struct tree t;

	gofer_tree_open(TREE_FILE, 0, &t);
	assert_string_equal(t_list(&t, "/", NULL, NULL), "seen");
	assert_content(&t, "/seen", "this\n");
	assert_int_equal(t_exists(&t, "/unseen"), -ENOENT);
	assert_int_equal(t_put(&t, "/seen", "changed"), 0);
	assert_int_equal(host("test \"$(cat %s/one/seen)\" = changed", dir), 0);
	assert_int_equal(t_put(&t, "/other", "x"), -EROFS);
	tree_close(&t);
}

/* A node is the host's: one of a device would be there for whoever reaches the directory. */
static void test_no_devices(void **state)
{
	assert_int_equal(t_make(&shared, "/null", S_IFCHR | 0666, makedev(1, 3), NULL), -EPERM);
	assert_int_equal(t_make(&shared, "/disk", S_IFBLK | 0666, makedev(8, 0), NULL), -EPERM);
	assert_int_equal(t_make(&shared, "/fifo", S_IFIFO | 0666, 0, NULL), 0);
	assert_int_equal(host("cd %s/t && test ! -e null && test ! -e disk && test -p fifo", dir), 0);
	assert_int_equal(t_unlink(&shared, "/fifo"), 0);
}

static void test_statfs_and_sync(void **state)
{
	struct statfs st;
	struct walk walk = tree_walk(&shared);
	struct super *super;

	assert_int_equal(vfs_walk(&walk, "/", 0), 0);
	super = walk.path.dentry->super;
	assert_int_equal(super->ops->statfs(super, &st), 0);
	assert_true(st.f_blocks > 0);
	assert_int_equal(super->ops->sync(super), 0);
	walk_end(&walk);
}

/* ---- descriptors ---- */

static unsigned count_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 20000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_descriptors_are_bounded(void **state)
{
	struct rlimit limit;
	struct tree t;
	unsigned before = count_descriptors(), after;

	host("cd %s/t && mkdir -p fds && cd fds && seq 1 6000 | xargs touch", dir);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	gofer_tree_open(TREE_SHARED, 0, &t);
	for (int i = 1; i <= 6000; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/fds/%d", i);
		assert_int_equal(t_exists(&t, path), 0);
	}
	after = count_descriptors();
	print_message("%u descriptors for 6000 files\n", after - before);
	assert_true(after - before < 5000);
	tree_close(&t);
	assert_int_equal(count_descriptors(), before);
}

/* Descriptors run out in a process of its own. */
static void test_few_descriptors(void **state)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		const struct rlimit limit = { 256, 256 };
		struct super *super;
		struct tree t;
		int fd, failed = 0;

		setrlimit(RLIMIT_NOFILE, &limit);
		kernel.gofer = NULL;
		fd = openat(AT_FDCWD, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || hostfs_new_fd(fd, 0, &super) < 0)
			_exit(1);
		tree_open(&t, super);
		for (int i = 1; i <= 3000; i++) {
			char path[48];

			snprintf(path, sizeof(path), "/t/fds/%d", i);
			failed += t_exists(&t, path) != 0;
		}
		_exit(failed > 0 ? 2 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- nobody to ask ---- */

static void test_without_a_gofer(void **state)
{
	struct gofer *gofer = kernel.gofer;
	struct super *super;
	struct stat st;
	struct tree t;

	kernel.gofer = NULL;
	assert_int_equal(hostfs_new_fd(gofer_path_open("t"), 0, &super), 0);
	tree_open(&t, super);
	assert_int_equal(t_mkdir(&t, "/ng", 0755), 0);
	assert_int_equal(t_put(&t, "/ng/f", "text"), 0);
	assert_int_equal(t_link(&t, "/ng/f", "/ng/g"), 0);
	assert_int_equal(t_rename(&t, "/ng/g", "/ng/h", 0), 0);
	assert_content(&t, "/ng/h", "text");
	assert_int_equal(t_chmod(&t, "/ng/f", 0400), 0);
	assert_int_equal(t_chmod(&t, "/ng", 0700), 0);
	assert_int_equal(t_lstat(&t, "/ng/f", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0400);
	assert_int_equal(t_chown(&t, "/ng/f", 5, 5), -EPERM);
	assert_int_equal(t_exists(&t, "/foreign/f"), -EACCES);
	assert_int_equal(t_make(&t, "/ng/dev", S_IFCHR | 0600, makedev(1, 3), NULL), -EPERM);
	assert_int_equal(t_put(&t, "/foreign/x", "x"), -EACCES);
	assert_string_equal(t_list(&t, "/ng", NULL, NULL), "f h");
	tree_close(&t);
	kernel.gofer = gofer;
}

/* ---- many at once ---- */

static void *work_many(void *data)
{
	unsigned id = (unsigned)(uintptr_t)data;

	for (int i = 0; i < 300; i++) {
		char a[32], b[32];

		snprintf(a, sizeof(a), "/par/%u", id);
		snprintf(b, sizeof(b), "/par/%u.moved", id);
		assert_int_equal(t_put(&shared, a, "data"), 0);
		assert_int_equal(t_chown(&shared, a, id, id), 0);
		assert_int_equal(t_rename(&shared, a, b, 0), 0);
		assert_int_equal(t_exists(&shared, a), -ENOENT);
		assert_int_equal(t_unlink(&shared, b), 0);
	}
	return NULL;
}

static void test_many_threads(void **state)
{
	pthread_t threads[8];

	assert_int_equal(t_mkdir(&shared, "/par", 0755), 0);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work_many, (void *)(i + 1)), 0);
	for (size_t i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_string_equal(t_list(&shared, "/par", NULL, NULL), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors_are_bounded),
		cmocka_unit_test(test_few_descriptors),
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_two_names_are_one_inode),
		cmocka_unit_test(test_numbers_agree),
		cmocka_unit_test(test_directory_offsets),
		cmocka_unit_test(test_sees_changes_of_the_host),
		cmocka_unit_test(test_links_do_not_lead_out),
		cmocka_unit_test(test_race_with_links),
		cmocka_unit_test(test_specials_are_not_the_hosts),
		cmocka_unit_test(test_makes_and_removes),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_foreign_directory),
		cmocka_unit_test(test_made_by_another_user),
		cmocka_unit_test(test_extended_attributes),
		cmocka_unit_test(test_open_file_outlives_its_name),
		cmocka_unit_test(test_append_and_seek),
		cmocka_unit_test(test_mapping),
		cmocka_unit_test(test_no_descriptor_for_writing_is_kept),
		cmocka_unit_test(test_tmpfile),
		cmocka_unit_test(test_read_only_tree),
		cmocka_unit_test(test_single_file),
		cmocka_unit_test(test_no_devices),
		cmocka_unit_test(test_statfs_and_sync),
		cmocka_unit_test(test_without_a_gofer),
		cmocka_unit_test(test_many_threads),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
