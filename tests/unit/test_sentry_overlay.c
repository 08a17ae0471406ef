/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlays in the application kernel: two lower layers of the host, and an upper one in memory or of
 * the host. Each test has fresh layers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/sysmacros.h>

#include "sentry/gofer/gofer.h"
#include "sentry/mm/memfile.h"
#include "sentry_tree.h"
#include "sentry_cross.h"

#define EXCHANGE  2
#define NOREPLACE 1

static char dir[] = "/tmp/coffer-overlay-XXXXXX";

enum upper { UPPER_NONE, UPPER_MEMORY, UPPER_HOST };

struct layers {
	struct tree lower[2], upper, t;
	enum upper kind;
};

/* "top" is looked at before "bottom". */
static const char layers_content[] =
	"umask 022 && rm -rf top bottom up && mkdir top bottom up && chmod 755 top bottom up && cd bottom && "
	"mkdir both below hidden opaque deep deep/er deep/er/est && echo b >both/b && echo low >both/c "
	"&& echo f >below/f && echo x >hidden/x && echo o >opaque/old && echo d >deep/er/est/f && echo "
	"plain >file && echo gone >gone && ln -s file link && echo hard >h1 && ln h1 h2 && mkfifo pipe "
	"&& printf 0123456789 >data && chown 12:34 data && chmod 4755 data && touch -d 2001-02-03 data "
	"&& touch -d 2002-03-04 below && cd ../top && mkdir both opaque && echo a >both/a && echo top "
	">both/c && mknod gone c 0 0 && mknod hidden c 0 0 && setfattr -n user.overlay.opaque -v y "
	"opaque && echo n >opaque/new";

static void host_tree(const char *name, unsigned flags, struct tree *t)
{
	struct super *super;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(hostfs_new_fd(fd, flags, &super), 0);
	tree_open(t, super);
}

static void mount_overlay(struct layers *l)
{
	struct vfs_path lower[2], upper = { 0 };
	struct super *super;

	mount_table_root(l->lower[0].mounts, &lower[0]);
	mount_table_root(l->lower[1].mounts, &lower[1]);
	if (l->kind != UPPER_NONE)
		mount_table_root(l->upper.mounts, &upper);
	assert_int_equal(overlay_new(lower, 2, l->kind == UPPER_NONE ? NULL : &upper, &super), 0);
	path_put(&lower[0]);
	path_put(&lower[1]);
	if (l->kind != UPPER_NONE)
		path_put(&upper);
	tree_open(&l->t, super);
}

/* Everything that is remembered is forgotten. */
static void mount_again(struct layers *l)
{
	tree_close(&l->t);
	mount_overlay(l);
}

static int setup(void **state, enum upper kind)
{
	struct layers *l = calloc(1, sizeof(*l));
	struct super *super;

	l->kind = kind;
	if (host("cd %s && %s", dir, layers_content) != 0) {
		print_message("layers cannot be made below %s\n", dir);
		free(l);
		return -1;
	}
	host_tree("top", HOSTFS_READ_ONLY, &l->lower[0]);
	host_tree("bottom", HOSTFS_READ_ONLY, &l->lower[1]);
	if (kind == UPPER_HOST)
		host_tree("up", 0, &l->upper);
	if (kind == UPPER_MEMORY) {
		assert_int_equal(tmpfs_new(0, 0755, &super), 0);
		tree_open(&l->upper, super);
	}
	mount_overlay(l);
	*state = l;
	return 0;
}

static int setup_none(void **state)
{
	return setup(state, UPPER_NONE);
}

static int setup_memory(void **state)
{
	return setup(state, UPPER_MEMORY);
}

static int setup_host(void **state)
{
	return setup(state, UPPER_HOST);
}

static int teardown(void **state)
{
	struct layers *l = *state;

	tree_close(&l->t);
	if (l->kind != UPPER_NONE)
		tree_close(&l->upper);
	tree_close(&l->lower[0]);
	tree_close(&l->lower[1]);
	free(l);
	return 0;
}

/* ---- looking ---- */

static void test_layers_are_one(void **state)
{
	struct tree *t = &((struct layers *)*state)->t;
	struct stat st;

	assert_string_equal(t_list(t, "/", NULL, NULL),
			    "below both data deep file h1 h2 link opaque pipe");
	assert_string_equal(t_list(t, "/both", NULL, NULL), "a b c");
	assert_string_equal(t_list(t, "/opaque", NULL, NULL), "new");
	assert_content(t, "/both/c", "top\n");
	assert_content(t, "/both/b", "b\n");
	assert_content(t, "/link", "plain\n");
	assert_content(t, "/deep/er/est/f", "d\n");
	assert_int_equal(t_exists(t, "/gone"), -ENOENT);
	assert_int_equal(t_exists(t, "/hidden"), -ENOENT);
	assert_int_equal(t_exists(t, "/hidden/x"), -ENOENT);
	assert_int_equal(t_exists(t, "/opaque/old"), -ENOENT);
	assert_int_equal(t_lstat(t, "/data", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 04755);
	assert_int_equal(st.st_uid, 12);
	assert_int_equal(st.st_size, 10);
	assert_int_equal(t_lstat(t, "/both", &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(t_lstat(t, "/h1", &st), 0);
	assert_int_equal(st.st_nlink, 2);
}

static void test_read_only(void **state)
{
	struct tree *t = &((struct layers *)*state)->t;

	assert_int_equal(t_put(t, "/file", "x"), -EROFS);
	assert_int_equal(t_mkdir(t, "/d", 0755), -EROFS);
	assert_int_equal(t_unlink(t, "/file"), -EROFS);
	assert_int_equal(t_chmod(t, "/file", 0600), -EROFS);
}

static void test_numbers_agree(void **state)
{
	struct layers *l = *state;
	static const char *const names[] = { "both", "below", "file", "data", "link", "h1" };

	assert_int_equal(t_chmod(&l->t, "/data", 0600), 0);
	assert_int_equal(t_put(&l->t, "/below/f", "new"), 0);
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			char path[32];
			struct stat st;
			uint64_t ino = 0;

			snprintf(path, sizeof(path), "/%s", names[i]);
			t_list(&l->t, "/", names[i], &ino);
			assert_int_equal(t_lstat(&l->t, path, &st), 0);
			assert_int_equal(st.st_ino, ino);
		}
		mount_again(l);
	}
}

/* ---- copying up ---- */

static void test_copy_up(void **state)
{
	struct layers *l = *state;
	struct stat before, after, dir_before, dir_after;

	assert_int_equal(t_lstat(&l->t, "/data", &before), 0);
	assert_int_equal(t_setattr(&l->t, "/data", (struct inode_attr){ .mask = ATTR_ATIME,
								       .atime = { 5, 6 } }), 0);
	assert_int_equal(t_lstat(&l->t, "/data", &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_equal(after.st_uid, 12);
	assert_int_equal(after.st_gid, 34);
	assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	assert_int_equal(after.st_atim.tv_sec, 5);
	assert_int_equal(after.st_size, 10);
	assert_content(&l->t, "/data", "0123456789");
	assert_content(&l->upper, "/data", "0123456789");

	assert_int_equal(t_lstat(&l->t, "/below", &dir_before), 0);
	assert_int_equal(t_chmod(&l->t, "/below/f", 0600), 0);
	assert_int_equal(t_lstat(&l->t, "/below", &dir_after), 0);
	assert_int_equal(dir_after.st_mtim.tv_sec, dir_before.st_mtim.tv_sec);
	assert_int_equal(dir_after.st_ino, dir_before.st_ino);
	mount_again(l);
	assert_int_equal(t_lstat(&l->t, "/data", &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_content(&l->t, "/below/f", "f\n");
	assert_string_equal(t_list(&l->t, "/below", NULL, NULL), "f");
	assert_int_equal(host("cd %s/bottom && test $(stat -c %%a below/f) = 644", dir), 0);
}

static void test_copy_up_of_all_kinds(void **state)
{
	struct layers *l = *state;
	struct stat st;
	char target[16] = "";

	assert_int_equal(t_chown(&l->t, "/link", 5, 6), 0);
	assert_int_equal(t_lstat(&l->t, "/link", &st), 0);
	assert_int_equal(st.st_uid, 5);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(T_ON(&l->t, "/link", WALK_NOFOLLOW,
			      inode->ops->readlink(inode, target, sizeof(target))), 4);
	assert_string_equal(target, "file");
	assert_int_equal(t_chmod(&l->t, "/pipe", 0611), 0);
	assert_int_equal(t_lstat(&l->t, "/pipe", &st), 0);
	assert_int_equal(st.st_mode, S_IFIFO | 0611);
	assert_int_equal(t_chmod(&l->t, "/deep/er/est", 0700), 0);
	assert_content(&l->t, "/deep/er/est/f", "d\n");
	assert_int_equal(t_put(&l->t, "/deep/er/est/g", "g"), 0);
	mount_again(l);
	assert_string_equal(t_list(&l->t, "/deep/er/est", NULL, NULL), "f g");
	assert_int_equal(t_lstat(&l->t, "/deep/er/est", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
}

static void test_copy_up_of_holes(void **state)
{
	struct layers *l = *state;
	struct stat st;
	char buf[8] = "";
	struct file *file;

	host("cd %s/bottom && truncate -s 40M sparse && printf end | dd of=sparse bs=1 seek=41943037 "
	     "conv=notrunc 2>/dev/null", dir);
	assert_int_equal(t_chmod(&l->t, "/sparse", 0600), 0);
	assert_int_equal(t_lstat(&l->t, "/sparse", &st), 0);
	assert_int_equal(st.st_size, 40 << 20);
	assert_true(st.st_blocks * 512 < 1 << 20);
	assert_int_equal(t_open(&l->t, "/sparse", O_RDONLY, 0, &file), 0);
	assert_int_equal(file_read_kernel(file, buf, 8, (40 << 20) - 3), 3);
	assert_string_equal(buf, "end");
	file_put(file);
	/* Only what is left is copied */
	assert_int_equal(t_truncate(&l->t, "/data", 3), 0);
	assert_content(&l->t, "/data", "012");
	assert_int_equal(t_truncate(&l->t, "/file", 8), 0);
	assert_int_equal(t_lstat(&l->t, "/file", &st), 0);
	assert_int_equal(st.st_size, 8);
	assert_content(&l->t, "/file", "plain\n");
}

static void test_open_files_follow(void **state)
{
	struct layers *l = *state;
	struct mappable_range range;
	struct file *reader, *writer;
	char buf[32] = "";

	assert_int_equal(t_open(&l->t, "/file", O_RDONLY, 0, &reader), 0);
	assert_int_equal(file_read_kernel(reader, buf, 3, -1), 3);
	assert_int_equal(reader->inode->mapping.ops->translate(&reader->inode->mapping, 0, 4096,
							       false, &range), 0);
	assert_true(range.host_fd >= 0);
	assert_int_equal(t_open(&l->t, "/file", O_RDWR, 0, &writer), 0);
	assert_ptr_equal(reader->inode, writer->inode);
	assert_int_equal(file_write_kernel(writer, "PLAIN and more", 14, 0), 14);
	assert_int_equal(file_read_kernel(reader, buf, sizeof(buf) - 1, -1), 11);
	assert_memory_equal(buf, "IN and more", 11);
	assert_int_equal(file_seek(reader, 0, SEEK_END), 14);
	assert_int_equal(reader->inode->mapping.ops->translate(&reader->inode->mapping, 0, 4096,
							       false, &range), 0);
	if (range.host_fd < 0)
		memfile_put(kernel.memory, range.offset, range.len);
	file_put(reader);
	file_put(writer);
	assert_content(&l->t, "/file", "PLAIN and more");
	assert_int_equal(host("test \"$(cat %s/bottom/file)\" = plain", dir), 0);
}

static void test_open_file_without_a_name(void **state)
{
	struct layers *l = *state;
	struct file *file, *writer;
	char buf[16] = "";

	assert_int_equal(t_open(&l->t, "/file", O_RDONLY, 0, &file), 0);
	assert_int_equal(t_unlink(&l->t, "/file"), 0);
	assert_int_equal(t_exists(&l->t, "/file"), -ENOENT);
	assert_int_equal(file->inode->ops->refresh(file->inode), 0);
	assert_int_equal(file->inode->attr.st_nlink, 0);
	assert_int_equal(vfs_open_path(&(struct vfs_path){ file->mount, file->dentry },
				       &tree_root_cred, NULL, O_RDWR, &writer), 0);
	assert_int_equal(file_write_kernel(writer, "P", 1, 0), 1);
	file_put(writer);
	assert_int_equal(file_read_kernel(file, buf, sizeof(buf) - 1, 0), 6);
	assert_string_equal(buf, "Plain\n");
	file_put(file);
	assert_int_equal(t_exists(&l->t, "/file"), -ENOENT);
}

static void test_names_of_one_lower_file(void **state)
{
	struct layers *l = *state;
	struct stat st, other;

	assert_int_equal(t_put(&l->t, "/h1", "changed"), 0);
	assert_content(&l->t, "/h2", "changed");
	assert_int_equal(t_lstat(&l->t, "/h1", &st), 0);
	assert_int_equal(t_lstat(&l->t, "/h2", &other), 0);
	assert_int_equal(st.st_ino, other.st_ino);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(t_unlink(&l->t, "/h1"), 0);
	super_trim(l->t.mounts ? mount_super(({ struct vfs_path p; mount_table_root(l->t.mounts, &p);
						struct mount *m = p.mount; path_put(&p); m; })) : NULL, 0);
	assert_content(&l->t, "/h2", "changed");
	assert_int_equal(t_lstat(&l->t, "/h2", &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(t_link(&l->t, "/h2", "/h3"), 0);
	assert_content(&l->t, "/h3", "changed");
	assert_int_equal(t_lstat(&l->t, "/h3", &st), 0);
	assert_int_equal(st.st_nlink, 2);
	/* The other way: what is put aside comes back by a rename over it, and goes at the end */
	assert_int_equal(t_put(&l->t, "/new", "new"), 0);
	assert_int_equal(t_unlink(&l->t, "/h3"), 0);
	assert_string_equal(t_list(&l->t, "/", NULL, NULL),
			    "below both data deep file h2 link new opaque pipe");
	assert_content(&l->t, "/h2", "changed");
	assert_int_equal(t_rename(&l->t, "/new", "/h2", 0), 0);
	assert_content(&l->t, "/h2", "new");
	assert_string_equal(t_list(&l->upper, "/", NULL, NULL), "h1 h2");
}

/* The name that is moved is not the one that was seen first. */
static void test_move_one_of_two_names(void **state)
{
	struct layers *l = *state;
	struct stat st;

	assert_int_equal(t_exists(&l->t, "/h1"), 0);
	assert_int_equal(t_rename(&l->t, "/h2", "/both/h2", 0), 0);
	assert_content(&l->t, "/both/h2", "hard\n");
	assert_int_equal(t_exists(&l->t, "/h2"), -ENOENT);
	assert_content(&l->t, "/h1", "hard\n");
	assert_int_equal(t_lstat(&l->t, "/h1", &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(t_rename(&l->t, "/h1", "/file", EXCHANGE), 0);
	assert_content(&l->t, "/h1", "plain\n");
	assert_content(&l->t, "/file", "hard\n");
}

/* As a package manager does it: each name is linked aside, replaced, and the old one removed. */
static void test_replace_names_one_by_one(void **state)
{
	struct layers *l = *state;

	for (int i = 1; i <= 2; i++) {
		char name[8], aside[16], new[16];

		snprintf(name, sizeof(name), "/h%d", i);
		snprintf(aside, sizeof(aside), "/h%d.tmp", i);
		snprintf(new, sizeof(new), "/h%d.new", i);
		assert_int_equal(t_put(&l->t, new, "new"), 0);
		assert_int_equal(t_link(&l->t, name, aside), 0);
		assert_int_equal(t_rename(&l->t, new, name, 0), 0);
		assert_int_equal(t_unlink(&l->t, aside), 0);
	}
	assert_content(&l->t, "/h1", "new");
	assert_content(&l->t, "/h2", "new");
	assert_string_equal(t_list(&l->upper, "/", NULL, NULL), "h1 h2");
}

/* ---- names ---- */

static void test_remove(void **state)
{
	struct layers *l = *state;

	assert_int_equal(t_unlink(&l->t, "/both/c"), 0);
	assert_int_equal(t_exists(&l->t, "/both/c"), -ENOENT);
	assert_int_equal(t_rmdir(&l->t, "/both"), -ENOTEMPTY);
	assert_int_equal(t_unlink(&l->t, "/both/a"), 0);
	assert_int_equal(t_unlink(&l->t, "/both/b"), 0);
	assert_string_equal(t_list(&l->t, "/both", NULL, NULL), "");
	assert_int_equal(t_rmdir(&l->t, "/both"), 0);
	assert_int_equal(t_exists(&l->t, "/both"), -ENOENT);
	mount_again(l);
	assert_int_equal(t_exists(&l->t, "/both"), -ENOENT);
	assert_int_equal(t_mkdir(&l->t, "/both", 0700), 0);
	assert_string_equal(t_list(&l->t, "/both", NULL, NULL), "");
	assert_int_equal(t_exists(&l->t, "/both/a"), -ENOENT);
	mount_again(l);
	assert_string_equal(t_list(&l->t, "/both", NULL, NULL), "");
	assert_int_equal(t_put(&l->t, "/both/a", "again"), 0);
	assert_string_equal(t_list(&l->t, "/both", NULL, NULL), "a");
	assert_int_equal(t_unlink(&l->t, "/both/a"), 0);
	assert_int_equal(t_rmdir(&l->t, "/both"), 0);
	assert_int_equal(t_unlink(&l->t, "/none"), -ENOENT);
	/* One that was changed before */
	assert_int_equal(t_chmod(&l->t, "/data", 0600), 0);
	assert_int_equal(t_unlink(&l->t, "/data"), 0);
	assert_int_equal(t_exists(&l->t, "/data"), -ENOENT);
	mount_again(l);
	assert_int_equal(t_exists(&l->t, "/data"), -ENOENT);
	assert_int_equal(t_put(&l->t, "/data", "other"), 0);
	assert_content(&l->t, "/data", "other");
	assert_int_equal(t_put(&l->t, "/gone", "back"), 0);
	assert_content(&l->t, "/gone", "back");
	assert_int_equal(t_unlink(&l->t, "/gone"), 0);
	mount_again(l);
	assert_int_equal(t_exists(&l->t, "/gone"), -ENOENT);
	assert_int_equal(host("test \"$(cat %s/bottom/gone)\" = gone", dir), 0);
}

static void test_rename_files(void **state)
{
	struct layers *l = *state;
	struct stat before, after;

	assert_int_equal(t_lstat(&l->t, "/file", &before), 0);
	assert_int_equal(t_rename(&l->t, "/file", "/both/moved", 0), 0);
	assert_int_equal(t_exists(&l->t, "/file"), -ENOENT);
	assert_content(&l->t, "/both/moved", "plain\n");
	assert_int_equal(t_lstat(&l->t, "/both/moved", &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	/* Over one of a lower layer, over a whiteout, and back */
	assert_int_equal(t_rename(&l->t, "/both/moved", "/both/c", 0), 0);
	assert_content(&l->t, "/both/c", "plain\n");
	assert_int_equal(t_rename(&l->t, "/both/c", "/gone", 0), 0);
	assert_content(&l->t, "/gone", "plain\n");
	assert_int_equal(t_exists(&l->t, "/both/c"), -ENOENT);
	assert_int_equal(t_rename(&l->t, "/gone", "/file", NOREPLACE), 0);
	assert_int_equal(t_rename(&l->t, "/file", "/data", NOREPLACE), -EEXIST);
	assert_int_equal(t_rename(&l->t, "/file", "/data", EXCHANGE), 0);
	assert_content(&l->t, "/data", "plain\n");
	assert_content(&l->t, "/file", "0123456789");
	mount_again(l);
	assert_content(&l->t, "/data", "plain\n");
	assert_content(&l->t, "/file", "0123456789");
	assert_int_equal(t_exists(&l->t, "/gone"), -ENOENT);
	assert_string_equal(t_list(&l->t, "/both", NULL, NULL), "a b");
	assert_int_equal(t_rename(&l->t, "/h1", "/h2", 0), 0); /* one file: nothing happens */
	assert_string_equal(t_list(&l->t, "/", NULL, NULL),
			    "below both data deep file h1 h2 link opaque pipe");
}

static void test_rename_directories(void **state)
{
	struct layers *l = *state;

	assert_int_equal(t_rename(&l->t, "/below", "/elsewhere", 0), -EXDEV);
	assert_int_equal(t_mkdir(&l->t, "/new", 0755), 0);
	assert_int_equal(t_put(&l->t, "/new/f", "in new"), 0);
	assert_int_equal(t_rename(&l->t, "/new", "/both", 0), -ENOTEMPTY);
	assert_int_equal(t_rename(&l->t, "/new", "/hidden", 0), 0);
	assert_string_equal(t_list(&l->t, "/hidden", NULL, NULL), "f");
	mount_again(l);
	assert_string_equal(t_list(&l->t, "/hidden", NULL, NULL), "f");
	/* Over an emptied directory of a lower layer */
	assert_int_equal(t_unlink(&l->t, "/below/f"), 0);
	assert_int_equal(t_rename(&l->t, "/hidden", "/below", 0), 0);
	assert_string_equal(t_list(&l->t, "/below", NULL, NULL), "f");
	assert_content(&l->t, "/below/f", "in new");
	assert_int_equal(t_exists(&l->t, "/hidden"), -ENOENT);
	mount_again(l);
	assert_content(&l->t, "/below/f", "in new");
	assert_int_equal(t_exists(&l->t, "/hidden"), -ENOENT);
	assert_int_equal(t_mkdir(&l->t, "/one", 0755), 0);
	assert_int_equal(t_mkdir(&l->t, "/one/two", 0755), 0);
	assert_int_equal(t_rename(&l->t, "/one", "/one/two/three", 0), -EINVAL);
	assert_int_equal(t_rename(&l->t, "/one/two", "/two", 0), 0);
	assert_int_equal(t_rename(&l->t, "/one", "/two", EXCHANGE), 0);
	assert_int_equal(t_rename(&l->t, "/file", "/two", 0), -EISDIR);
	assert_int_equal(t_rename(&l->t, "/two", "/file", 0), -ENOTDIR);
}

static void test_links(void **state)
{
	struct layers *l = *state;
	struct stat st;

	assert_int_equal(t_link(&l->t, "/file", "/both/linked"), 0);
	assert_int_equal(t_lstat(&l->t, "/file", &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(t_put(&l->t, "/both/linked", "two names"), 0);
	assert_content(&l->t, "/file", "two names");
	assert_int_equal(t_link(&l->t, "/file", "/gone"), 0);
	assert_int_equal(t_link(&l->t, "/file", "/data"), -EEXIST);
	assert_int_equal(t_unlink(&l->t, "/file"), 0);
	assert_int_equal(t_lstat(&l->t, "/gone", &st), 0);
	assert_int_equal(st.st_nlink, 2);
	mount_again(l);
	assert_content(&l->t, "/gone", "two names");
	assert_int_equal(t_lstat(&l->t, "/both/linked", &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(t_exists(&l->t, "/file"), -ENOENT);
}

static void test_marks_are_ours(void **state)
{
	struct layers *l = *state;
	char value[8], list[512];

	assert_int_equal(t_make(&l->t, "/white", S_IFCHR | 0600, 0, NULL), -EPERM);
	assert_int_equal(T_ON(&l->t, "/below", 0,
			      inode->ops->setxattr(inode, "user.overlay.opaque", "y", 1, 0)), -EPERM);
	assert_int_equal(T_ON(&l->t, "/opaque", 0,
			      inode->ops->getxattr(inode, "user.overlay.opaque", value, 8)),
			 -ENODATA);
	assert_int_equal(T_ON(&l->t, "/opaque", 0,
			      inode->ops->listxattr(inode, list, sizeof(list))), 0);
	assert_int_equal(t_chmod(&l->t, "/file", 0640), 0);
	assert_int_equal(T_ON(&l->t, "/file", 0, inode->ops->listxattr(inode, list, sizeof(list))), 0);
}

static void test_attributes_come_along(void **state)
{
	struct layers *l = *state;
	char value[16] = "";

	host("cd %s/bottom && setfattr -n user.color -v blue file", dir);
	assert_int_equal(t_chmod(&l->t, "/file", 0640), 0);
	assert_int_equal(T_ON(&l->t, "/file", 0,
			      inode->ops->getxattr(inode, "user.color", value, 16)), 4);
	assert_string_equal(value, "blue");
	assert_int_equal(T_ON(&l->t, "/file", 0, inode->ops->removexattr(inode, "user.color")), 0);
	assert_int_equal(T_ON(&l->t, "/file", 0, inode->ops->removexattr(inode, "user.color")),
			 -ENODATA);
	assert_int_equal(T_ON(&l->t, "/data", 0,
			      inode->ops->setxattr(inode, "user.size", "big", 3, 0)), 0);
	assert_content(&l->t, "/data", "0123456789");
}

static void test_deep_trees(void **state)
{
	struct layers *l = *state;
	char path[4000] = "";

	host("cd %s/bottom && for i in $(seq 1 900); do mkdir d && cd d || exit; done; echo deep >f",
	     dir);
	for (int i = 0; i < 900; i++)
		strcat(path, "/d");
	strcat(path, "/f");
	assert_content(&l->t, path, "deep\n");
	assert_int_equal(t_put(&l->t, path, "changed"), 0);
	assert_content(&l->t, path, "changed");
	mount_again(l);
	assert_content(&l->t, path, "changed");
}

/* ---- many at once ---- */

struct work {
	struct layers *l;
	unsigned id;
};

static void *work_many(void *data)
{
	struct work *w = data;
	struct tree *t = &w->l->t;

	for (int i = 0; i < 200; i++) {
		char name[32], other[32];
		struct file *file;

		snprintf(name, sizeof(name), "/both/%u", w->id);
		snprintf(other, sizeof(other), "/opaque/%u", w->id);
		assert_int_equal(t_put(t, name, "data"), 0);
		assert_int_equal(t_rename(t, name, other, 0), 0);
		if (t_open(t, "/file", O_RDWR | O_CREAT, 0644, &file) == 0) {
			assert_int_equal(file_write_kernel(file, "plain\n", 6, 0), 6);
			file_put(file);
		}
		if (i % 7 == (int)w->id)
			t_unlink(t, "/file");
		assert_int_equal(t_unlink(t, other), 0);
	}
	return NULL;
}

static void test_many_threads(void **state)
{
	struct layers *l = *state;
	struct work work[6];
	pthread_t threads[6];

	for (unsigned i = 0; i < 6; i++) {
		work[i] = (struct work){ l, i };
		assert_int_equal(pthread_create(&threads[i], NULL, work_many, &work[i]), 0);
	}
	for (unsigned i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	assert_string_equal(t_list(&l->t, "/both", NULL, NULL), "a b c");
	assert_string_equal(t_list(&l->t, "/opaque", NULL, NULL), "new");
}

/* All threads want one file at once: one copy, and nobody's bytes are lost. */
static void *work_append(void *data)
{
	struct work *w = data;
	struct file *file;

	assert_int_equal(t_open(&w->l->t, "/file", O_WRONLY | O_APPEND, 0, &file), 0);
	for (int i = 0; i < 200; i++)
		assert_int_equal(file_write_kernel(file, "x", 1, -1), 1);
	file_put(file);
	return NULL;
}

static atomic_bool looked_enough;

/* Sizes only grow while it is appended to. */
static void *work_look(void *data)
{
	struct work *w = data;
	struct stat st;
	off_t last = 0;

	while (!atomic_load(&looked_enough)) {
		assert_int_equal(t_lstat(&w->l->t, "/file", &st), 0);
		assert_true(st.st_size >= last);
		last = st.st_size;
	}
	return NULL;
}

static void test_one_copy(void **state)
{
	struct layers *l = *state;
	struct work work = { l, 0 };
	pthread_t threads[8], looker;
	struct stat st;

	atomic_store(&looked_enough, false);
	assert_int_equal(pthread_create(&looker, NULL, work_look, &work), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work_append, &work), 0);
	for (unsigned i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&looked_enough, true);
	pthread_join(looker, NULL);
	assert_int_equal(t_lstat(&l->t, "/file", &st), 0);
	assert_int_equal(st.st_size, 6 + 1600);
}

static void test_crossing(void **state)
{
	struct layers *l = *state;

	cross_all(&l->t);
	cross_owner(&l->t);
}

static void test_crossing_in_memory(void **state)
{
	struct super *super;
	struct tree t;

	assert_int_equal(tmpfs_new(16 << 20, 0755, &super), 0);
	tree_open(&t, super);
	cross_all(&t);
	cross_owner(&t);
	tree_close(&t);
}

static struct child gofer_child = CHILD_INIT;

static int group_setup(void **state)
{
	const struct gofer_config gofer = { .ports_fd = -1, .log_fd = -1 };
	struct coffer_error err = COFFER_ERROR_INIT;
	int socket;

	if (geteuid() != 0) {
		print_message("needs root for whiteouts and files of several users\n");
		exit(77);
	}
	umask(0);
	assert_non_null(mkdtemp(dir));
	host_start();
	if (host("cd %s && touch x && setfattr -n user.overlay.opaque -v y x", dir) != 0) {
		print_message("no user attributes below %s\n", dir);
		exit(77);
	}
	/* What changes attributes of the host. */
	if (gofer_start(&gofer, &gofer_child, &socket, &err) < 0 ||
	    gofer_attach(socket, &kernel.gofer, &err) < 0 ||
	    memfile_new(0, &kernel.memory, &err) < 0)
		fail_msg("%s", err.message);
	return 0;
}

static int group_teardown(void **state)
{
	gofer_free(steal_ptr(kernel.gofer));
	child_end(&gofer_child);
	host("rm -rf %s", dir);
	return 0;
}

#define ON_BOTH(f)                                                    \
	{ #f ", memory", f, setup_memory, teardown, NULL },           \
	{ #f ", host", f, setup_host, teardown, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_layers_are_one, setup_none, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup_none, teardown),
		ON_BOTH(test_layers_are_one),
		ON_BOTH(test_numbers_agree),
		ON_BOTH(test_copy_up),
		ON_BOTH(test_copy_up_of_all_kinds),
		ON_BOTH(test_copy_up_of_holes),
		ON_BOTH(test_open_files_follow),
		ON_BOTH(test_open_file_without_a_name),
		ON_BOTH(test_names_of_one_lower_file),
		ON_BOTH(test_move_one_of_two_names),
		ON_BOTH(test_replace_names_one_by_one),
		ON_BOTH(test_remove),
		ON_BOTH(test_rename_files),
		ON_BOTH(test_rename_directories),
		ON_BOTH(test_links),
		ON_BOTH(test_marks_are_ours),
		ON_BOTH(test_attributes_come_along),
		ON_BOTH(test_deep_trees),
		ON_BOTH(test_many_threads),
		ON_BOTH(test_one_copy),
		ON_BOTH(test_crossing),
		cmocka_unit_test(test_crossing_in_memory),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
