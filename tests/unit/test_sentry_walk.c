/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks over mounts, rights, what is remembered of names, and many walks at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>

#include "base/cleanup.h"
#include "sentry_world.h"

static const struct {
	const char *path;
	uint32_t mode;
	const char *target;
} tree[] = {
	{ "/a", S_IFDIR | 0755, NULL },
	{ "/a/b", S_IFDIR | 0755, NULL },
	{ "/a/b/c", S_IFDIR | 0755, NULL },
	{ "/a/b/c/f", S_IFREG | 0644, NULL },
	{ "/m", S_IFDIR | 0755, NULL },
	{ "/m/hidden", S_IFREG | 0644, NULL },
	{ "/bind", S_IFDIR | 0755, NULL },
	{ "/file", S_IFREG | 0644, NULL },
	{ "/to-f", S_IFLNK | 0777, "a/b/c/f" },
	{ "/abs", S_IFLNK | 0777, "/a/b" },
	{ "/up", S_IFLNK | 0777, "../../../../a/b/../b/c" },
	{ "/loop", S_IFLNK | 0777, "loop" },
	{ "/loop2", S_IFLNK | 0777, "a/b/loop3" },
	{ "/a/b/loop3", S_IFLNK | 0777, "/loop2/x" },
	{ "/dangling", S_IFLNK | 0777, "nowhere/at/all" },
	{ "/into", S_IFLNK | 0777, "m/inner" },
	{ "/slash", S_IFLNK | 0777, "file/" },
};

static struct world *tree_new(void)
{
	struct world *w = world_new();

	for (size_t i = 0; i < ARRAY_SIZE(tree); i++)
		assert_int_equal(world_make(w, &w->root, tree[i].path, tree[i].mode, tree[i].target),
				 0);
	return w;
}

static struct vfs_path find(struct world *w, const char *path)
{
	struct vfs_path out;

	assert_int_equal(world_find(w, &w->root, path, 0, &out), 0);
	return out;
}

/* mount_here() - A new file system with a directory "inner" and a file in it */
static void mount_here(struct world *w, const char *path, unsigned flags)
{
	struct vfs_path at = find(w, path);
	struct super *super;
	char name[PATH_MAX];

	assert_int_equal(tmpfs_new(0, 0755, &super), 0);
	assert_int_equal(mount_add(w->mounts, &at, super, 0, path), 0);
	path_put(&at);
	snprintf(name, sizeof(name), "%s/inner", path);
	assert_int_equal(world_make(w, &w->root, name, S_IFDIR | 0755, NULL), 0);
	snprintf(name, sizeof(name), "%s/inner/g", path);
	assert_int_equal(world_make(w, &w->root, name, S_IFREG | 0644, NULL), 0);
	at = find(w, path);
	assert_int_equal(mount_remount(w->mounts, &at, flags), 0);
	path_put(&at);
}

static void paths(void **state)
{
	static const struct {
		const char *path;
		unsigned flags;
		const char *where; /* or the errno */
	} cases[] = {
		{ "/", 0, "/" },
		{ "", 0, "ENOENT" },
		{ "", WALK_EMPTY, "/" },
		{ "/../..", 0, "/" },
		{ "to-f", 0, "/a/b/c/f" },
		{ "to-f", WALK_NOFOLLOW, "/to-f" },
		{ "to-f/", WALK_NOFOLLOW, "ENOTDIR" },
		{ "abs/c", 0, "/a/b/c" },
		{ "abs/../b//.//c/", 0, "/a/b/c" },
		{ "up/f", 0, "/a/b/c/f" },
		{ "up", WALK_NO_SYMLINKS, "ELOOP" },
		{ "up", WALK_BENEATH, "EXDEV" },
		{ "up", WALK_IN_ROOT, "/a/b/c" },
		{ "abs", WALK_BENEATH, "EXDEV" },
		{ "/a", WALK_BENEATH, "EXDEV" },
		{ "loop", 0, "ELOOP" },
		{ "loop2", 0, "ELOOP" },
		{ "dangling", 0, "ENOENT" },
		{ "slash", 0, "ENOTDIR" },
		{ "file/x", 0, "ENOTDIR" },
		{ "file", WALK_DIRECTORY, "ENOTDIR" },
		{ "m/hidden", 0, "ENOENT" },
		{ "m", 0, "/m" },
		{ "m", WALK_NO_XDEV, "EXDEV" },
		{ "into/g", 0, "/m/inner/g" },
		{ "m/inner/../../a", 0, "/a" },
		{ "m/inner/../..", WALK_NO_XDEV, "EXDEV" },
		{ "bind/c/f", 0, "/bind/c/f" },
		{ "bind/../file", 0, "/file" },
		{ "bind/c/../../a/b/c", 0, "/a/b/c" },
	};
	struct world *w = tree_new();
	struct vfs_path at, what;
	char buf[PATH_MAX], longest[PATH_MAX + 1];

	mount_here(w, "/m", 0);
	at = find(w, "/bind");
	what = find(w, "/a/b");
	assert_int_equal(mount_bind(w->mounts, &at, &what, 0, false), 0);
	path_put(&at);
	path_put(&what);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *where = world_where(w, cases[i].path, cases[i].flags, buf);

		if (strcmp(where, cases[i].where) != 0) {
			print_error("\"%s\" %x: %s, not %s\n", cases[i].path, cases[i].flags, where,
				    cases[i].where);
			fail();
		}
	}
	memset(longest, '/', PATH_MAX);
	longest[PATH_MAX] = 0;
	assert_string_equal(world_where(w, longest, 0, buf), "ENAMETOOLONG");
	longest[PATH_MAX - 1] = 0;
	assert_string_equal(world_where(w, longest, 0, buf), "/");
	memset(longest, 'x', NAME_MAX + 1);
	longest[NAME_MAX + 1] = 0;
	assert_string_equal(world_where(w, longest, 0, buf), "ENAMETOOLONG");
	longest[NAME_MAX] = 0;
	assert_string_equal(world_where(w, longest, 0, buf), "ENOENT");
	world_free(w);
}

/* A root of one's own: nothing above it, whatever a link says */
static void rooted(void **state)
{
	struct world *w = tree_new();
	struct vfs_path b = find(w, "/a/b"), f;
	char buf[PATH_MAX];

	assert_int_equal(world_make(w, &w->root, "/a/b/out", S_IFLNK | 0777, "../../../file"), 0);
	assert_int_equal(world_make(w, &w->root, "/a/b/etc", S_IFLNK | 0777, "/file"), 0);
	fs_context_set_root(w->fs, &b);
	assert_string_equal(world_where(w, "/..", 0, buf), "/");
	assert_string_equal(world_where(w, "/c/../../..", 0, buf), "/");
	assert_string_equal(world_where(w, "/out", 0, buf), "ENOENT");
	assert_string_equal(world_where(w, "/etc", 0, buf), "ENOENT");
	/* The working directory is still outside: that is chroot(2)'s way out, and its name says so. */
	assert_string_equal(world_where(w, "a", 0, buf), "(unreachable)/a");
	assert_int_equal(world_find(w, &w->root, "a/b/c/f", 0, &f), 0);
	path_put(&f);
	path_put(&b);
	world_free(w);
}

static int unlink_path(struct world *w, const struct cred *cred, const char *path, bool dir)
{
	struct walk walk = world_walk(w, cred);
	int r = vfs_unlink(&walk, path, dir);

	walk_end(&walk);
	return r;
}

static int rename_path(struct world *w, const struct cred *cred, const char *from, const char *to)
{
	struct walk a = world_walk(w, cred), b = world_walk(w, cred);
	int r = vfs_rename(&a, from, &b, to, 0);

	walk_end(&a);
	walk_end(&b);
	return r;
}

static void mounts(void **state)
{
	struct world *w = tree_new();
	struct vfs_path m, inner, c;
	struct fs_context *other;
	struct file *file;
	char buf[PATH_MAX];

	mount_here(w, "/m", 0);
	mount_here(w, "/m/inner", 0); /* one on the other */
	mount_here(w, "/m", 0);	      /* and over both */
	assert_string_equal(world_where(w, "/m/inner/inner", 0, buf), "ENOENT");
	m = find(w, "/m");
	assert_int_equal(mount_remove(w->mounts, &m, false), 0);
	assert_int_equal(mount_remove(w->mounts, &m, false), -EINVAL);
	path_put(&m);
	assert_string_equal(world_where(w, "/m/inner/inner/g", 0, buf), "/m/inner/inner/g");
	assert_int_equal(unlink_path(w, &w->root, "/m", true), -EBUSY);
	assert_int_equal(rename_path(w, &w->root, "/m", "/n"), -EBUSY);
	assert_int_equal(rename_path(w, &w->root, "/m/inner/inner/g", "/g"), -EXDEV);

	/* A copy of the table is another world. */
	other = fs_context_copy(w->fs);
	assert_int_equal(fs_context_unshare_mounts(other), 0);

	m = find(w, "/m");
	assert_int_equal(mount_remove(w->mounts, &m, false), -EBUSY); /* something is on it */
	path_put(&m);
	inner = find(w, "/m/inner");
	assert_int_equal(world_open(w, &w->root, "/m/inner/inner/g", O_RDONLY, 0, &file), 0);
	assert_int_equal(mount_remove(w->mounts, &inner, false), -EBUSY); /* a file is open */
	c = find(w, "/a/b/c");
	assert_int_equal(mount_move(w->mounts, &inner, &c), 0);
	path_put(&c);
	assert_string_equal(world_where(w, "/a/b/c/inner/g", 0, buf), "/a/b/c/inner/g");
	assert_string_equal(world_where(w, "/m/inner/inner", 0, buf), "ENOENT");
	assert_int_equal(rename_path(w, &w->root, "/a/b", "/a/bb"), 0);
	assert_string_equal(world_where(w, "/a/bb/c/inner/g", 0, buf), "/a/bb/c/inner/g");
	assert_int_equal(mount_move(w->mounts, &inner, &inner), -ELOOP);
	assert_int_equal(mount_remove(w->mounts, &inner, true), 0);
	assert_string_equal(world_where(w, "/a/bb/c/inner", 0, buf), "ENOENT");
	assert_string_equal(world_where(w, "/a/bb/c/f", 0, buf), "/a/bb/c/f");
	assert_int_equal(file_read_kernel(file, buf, 10, 0), 0);
	file_put(file);
	path_put(&inner);

	struct fs_context *mine = w->fs;

	w->fs = other;
	assert_string_equal(world_where(w, "/m/inner/inner/g", 0, buf), "/m/inner/inner/g");
	w->fs = mine;
	fs_context_put(other);
	world_free(w);
}

static void bind_recursive(void **state)
{
	struct world *w = tree_new();
	struct vfs_path root, at, gone;
	struct buf out = BUF_INIT(1 << 16);
	char buf[PATH_MAX];

	mount_here(w, "/m", MNT_NOSUID | MNT_READ_ONLY);
	mount_here(w, "/a/b/c", 0);
	root = find(w, "/");
	at = find(w, "/bind");
	assert_int_equal(mount_bind(w->mounts, &at, &root, 0, true), 0);
	assert_string_equal(world_where(w, "/bind/a/b/c/inner/g", 0, buf), "/bind/a/b/c/inner/g");
	assert_string_equal(world_where(w, "/bind/bind/bind", 0, buf), "ENOENT");
	assert_int_equal(world_make(w, &w->root, "/bind/m/x", S_IFREG | 0644, NULL), -EROFS);
	assert_int_equal(mount_print(w->mounts, &root, false, &out), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_non_null(strstr((const char *)buf_data(&out), "/m /bind/m tmpfs ro,nosuid 0 0\n"));
	buf_free(&out);
	gone = find(w, "/bind");
	assert_int_equal(mount_remove(w->mounts, &gone, true), 0);
	assert_string_equal(world_where(w, "/bind/a", 0, buf), "ENOENT");
	assert_string_equal(world_where(w, "/a/b/c/inner/g", 0, buf), "/a/b/c/inner/g");
	path_put(&gone);
	path_put(&at);

	/* Another root: with the old one on it, then without. */
	gone = find(w, "/m");
	at = find(w, "/m/inner");
	assert_int_equal(mount_pivot_to(w->fs, &gone, &at), 0);
	assert_string_equal(world_where(w, "/inner/file", 0, buf), "/inner/file");
	assert_string_equal(world_where(w, "/inner/a/b/c/inner/g", 0, buf), "/inner/a/b/c/inner/g");
	path_put(&gone);
	path_put(&at);
	gone = find(w, "/inner");
	assert_int_equal(mount_remove(w->mounts, &gone, true), 0);
	assert_string_equal(world_where(w, "/inner/g", 0, buf), "/inner/g");
	path_put(&gone);
	path_put(&root);
	world_free(w);
}

/* A root that is on the new one cannot be put on it: it would hang on itself. */
static void pivot_upwards(void **state)
{
	struct world *w = tree_new();
	struct vfs_path outer, inner, root;
	char buf[PATH_MAX];

	mount_here(w, "/m", 0);
	mount_here(w, "/m/inner", 0);
	outer = find(w, "/m");
	inner = find(w, "/m/inner");
	root = find(w, "/");
	fs_context_set_root(w->fs, &inner);
	assert_int_equal(mount_pivot_to(w->fs, &outer, &outer), -EINVAL);
	fs_context_set_root(w->fs, &root);
	assert_int_equal(mount_move(w->mounts, &outer, &inner), -ELOOP);
	assert_string_equal(world_where(w, "/m/inner", 0, buf), "/m/inner");
	path_put(&outer);
	path_put(&inner);
	path_put(&root);
	world_free(w);
}

/* Ten thousand deep or wide: bounded, and no recursion */
static void many_mounts(void **state)
{
	struct world *w = tree_new();
	struct vfs_path at = find(w, "/bind"), what = find(w, "/a");
	int r = 0, n = 0;

	for (; r == 0 && n < 2 * MOUNTS_MAX; n++) {
		r = mount_bind(w->mounts, &at, &what, 0, false);
	}
	assert_int_equal(r, -ENOSPC);
	/* Each is on the one before. */
	path_put(&at);
	at = find(w, "/bind");
	assert_int_equal(mount_remove(w->mounts, &at, false), 0);
	path_put(&at);
	path_put(&what);
	world_free(w);
}

static void rights(void **state)
{
	static const struct {
		uint32_t mode, uid, gid;
		int mask;
		int user, root;
	} cases[] = {
		{ S_IFREG | 0600, 1000, 0, 6, 0, 0 },	    { S_IFREG | 0477, 1000, 0, 2, -EACCES, 0 },
		{ S_IFREG | 0060, 0, 50, 6, 0, 0 },	    { S_IFREG | 0006, 0, 50, 4, -EACCES, 0 },
		{ S_IFREG | 0006, 0, 0, 6, 0, 0 },	    { S_IFREG | 0666, 0, 0, 1, -EACCES, -EACCES },
		{ S_IFREG | 0667, 0, 0, 1, 0, 0 },	    { S_IFDIR | 0000, 0, 0, 1, -EACCES, 0 },
		{ S_IFDIR | 0700, 1000, 1000, 7, 0, 0 },    { S_IFREG | 0070, 0, 1000, 7, 0, 0 },
		{ S_IFREG | 0000, 1000, 1000, 4, -EACCES, 0 },
	};
	struct world *w = world_new();
	struct inode inode = { .super = w->super };

	w->user.ngroups = 1;
	memcpy((char *)&w->user + offsetof(struct cred, groups), &(uint32_t){ 50 }, 4);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		inode.attr.st_mode = cases[i].mode;
		inode.attr.st_uid = cases[i].uid;
		inode.attr.st_gid = cases[i].gid;
		assert_int_equal(vfs_permission(&inode, &w->user, cases[i].mask), cases[i].user);
		assert_int_equal(vfs_permission(&inode, &w->root, cases[i].mask), cases[i].root);
	}
	world_free(w);
}

static int chown_path(struct world *w, const char *path, uint32_t uid, uint32_t gid, uint32_t mode)
{
	struct inode_attr attr = { .mask = ATTR_UID | ATTR_GID, .uid = uid, .gid = gid };
	struct vfs_path at;
	int r = world_find(w, &w->root, path, WALK_NOFOLLOW, &at);

	if (r == 0)
		r = vfs_setattr(&at, &w->root, &attr);
	attr = (struct inode_attr){ .mask = ATTR_MODE, .mode = mode };
	if (r == 0)
		r = vfs_setattr(&at, &w->root, &attr);
	path_put(&at);
	return r;
}

static struct stat stat_path(struct world *w, const char *path)
{
	struct vfs_path at = find(w, path);
	struct stat st;

	assert_int_equal(vfs_stat(&at, &st), 0);
	path_put(&at);
	return st;
}

static void shared_directories(void **state)
{
	struct world *w = world_new();
	struct cred *u = &w->user;
	struct file *file;

	/* Sticky: only one's own goes. */
	assert_int_equal(world_make(w, &w->root, "/tmp", S_IFDIR | 01777, NULL), 0);
	assert_int_equal(world_make(w, &w->root, "/tmp/roots", S_IFREG | 0666, NULL), 0);
	assert_int_equal(world_make(w, u, "/tmp/mine", S_IFREG | 0644, NULL), 0);
	assert_int_equal(unlink_path(w, u, "/tmp/roots", false), -EPERM);
	assert_int_equal(rename_path(w, u, "/tmp/roots", "/tmp/x"), -EPERM);
	assert_int_equal(rename_path(w, u, "/tmp/mine", "/tmp/roots"), -EPERM);
	assert_int_equal(rename_path(w, u, "/tmp/mine", "/tmp/x"), 0);
	assert_int_equal(unlink_path(w, u, "/tmp/x", false), 0);

	/* Without rights to names or to pass. */
	assert_int_equal(world_make(w, &w->root, "/closed", S_IFDIR | 0755, NULL), 0);
	assert_int_equal(world_make(w, &w->root, "/closed/f", S_IFREG | 0666, NULL), 0);
	assert_int_equal(world_make(w, u, "/closed/g", S_IFREG | 0644, NULL), -EACCES);
	assert_int_equal(unlink_path(w, u, "/closed/f", false), -EACCES);
	assert_int_equal(world_open(w, u, "/closed/g", O_CREAT | O_RDWR, 0644, &file), -EACCES);
	assert_int_equal(world_open(w, u, "/closed/f", O_CREAT | O_RDWR, 0644, &file), 0);
	file_put(file);
	assert_int_equal(chown_path(w, "/closed", 0, 0, 0700), 0);
	assert_int_equal(world_open(w, u, "/closed/f", O_RDWR, 0, &file), -EACCES);
	assert_int_equal(world_make(w, u, "/closed/../x", S_IFREG | 0644, NULL), -EACCES);
	assert_int_equal(world_make(w, u, "/tmp/dev", S_IFCHR | 0644, NULL), -EPERM);

	/* The group goes down a setgid directory, and with it the bit. */
	assert_int_equal(world_make(w, &w->root, "/team", S_IFDIR | 0777, NULL), 0);
	assert_int_equal(chown_path(w, "/team", 0, 77, 02777), 0);
	assert_int_equal(world_make(w, u, "/team/d", S_IFDIR | 0755, NULL), 0);
	assert_int_equal(world_make(w, u, "/team/d/f", S_IFREG | 02755, NULL), 0);
	assert_int_equal(stat_path(w, "/team/d").st_mode, S_IFDIR | 02755);
	assert_int_equal(stat_path(w, "/team/d").st_gid, 77);
	assert_int_equal(stat_path(w, "/team/d/f").st_gid, 77);
	assert_int_equal(stat_path(w, "/team/d/f").st_mode, S_IFREG | 0755);

	/* A mode is created as it is, whatever it forbids to oneself. */
	assert_int_equal(world_open(w, u, "/tmp/none", O_CREAT | O_RDWR, 0, &file), 0);
	file_put(file);
	assert_int_equal(world_open(w, u, "/tmp/none", O_RDWR, 0, &file), -EACCES);
	/* set-id bits do not outlive a new owner. */
	assert_int_equal(chown_path(w, "/tmp/none", 1000, 1000, 06755), 0);
	assert_int_equal(chown_path(w, "/tmp/none", 0, 0, 0), 0);
	world_free(w);
}

static void executed(void **state)
{
	struct world *w = world_new();
	struct file *file, *again;
	struct inode *inode;

	assert_int_equal(world_open(w, &w->root, "/p", O_CREAT | O_WRONLY, 0755, &file), 0);
	inode = inode_get(file->inode);
	assert_int_equal(inode_deny_write(inode), -ETXTBSY);
	file_put(file);
	assert_int_equal(inode_deny_write(inode), 0);
	assert_int_equal(world_open(w, &w->root, "/p", O_WRONLY, 0, &file), -ETXTBSY);
	assert_int_equal(world_open(w, &w->root, "/p", O_WRONLY | O_TRUNC, 0, &file), -ETXTBSY);
	assert_int_equal(world_open(w, &w->root, "/p", O_RDONLY, 0, &file), 0);
	inode_allow_write(inode);
	assert_int_equal(world_open(w, &w->root, "/p", O_RDWR, 0, &again), 0);
	file_put(again);
	file_put(file);
	inode_put(inode);
	world_free(w);
}

/* A file without a name gets one, unless it was opened not to */
static void unnamed(void **state)
{
	struct world *w = tree_new();
	struct walk from = world_walk(w, &w->root), to = world_walk(w, &w->root);
	struct file *file;

	assert_int_equal(world_open(w, &w->root, "/a", O_TMPFILE | O_RDWR, 0600, &file), 0);
	assert_int_equal(file_write_kernel(file, "x", 1, 0), 1);
	assert_int_equal(file->inode->attr.st_nlink, 0);
	from.path = (struct vfs_path){ file->mount, file->dentry };
	path_get(&from.path);
	assert_int_equal(vfs_link(&from, &to, "/a/named"), 0);
	file_put(file);
	assert_int_equal(stat_path(w, "/a/named").st_size, 1);
	assert_int_equal(stat_path(w, "/a/named").st_nlink, 1);
	path_put(&from.path);
	assert_int_equal(world_open(w, &w->root, "/a", O_TMPFILE | O_RDWR | O_EXCL, 0600, &file), 0);
	from.path = (struct vfs_path){ file->mount, file->dentry };
	path_get(&from.path);
	assert_int_equal(vfs_link(&from, &to, "/a/named2"), -ENOENT);
	file_put(file);
	assert_int_equal(world_open(w, &w->root, "/a", O_TMPFILE | O_RDONLY, 0600, &file), -EINVAL);
	walk_end(&from);
	walk_end(&to);
	world_free(w);
}

/* The cache stays within its bound, however many names there are or are asked for */
static void cache(void **state)
{
	struct world *w = tree_new();
	char name[64], buf[PATH_MAX];

	w->super->dentries_max = 200;
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "/a/n%d", i);
		if (i % 2)
			assert_int_equal(world_make(w, &w->root, name, S_IFREG | 0644, NULL), 0);
		snprintf(name, sizeof(name), "/a/nothing%d", i);
		assert_string_equal(world_where(w, name, 0, buf), "ENOENT");
		assert_true(w->super->ndentries <= 202);
		if (i % 100 == 0)
			assert_string_equal(world_where(w, "/up/f", 0, buf), "/a/b/c/f");
	}
	for (int i = 1; i < 5000; i += 2) {
		snprintf(name, sizeof(name), "/a/n%d", i);
		assert_string_equal(world_where(w, name, 0, buf), name);
	}
	super_trim(w->super, 0);
	super_trim(w->super, 0);
	assert_int_equal(w->super->ndentries, 0);
	assert_string_equal(world_where(w, "/up/f", 0, buf), "/a/b/c/f");
	world_free(w);
}

/* --- many at once --- */

#define ROUNDS 1500

struct walker {
	struct world *w;
	unsigned number;
};

static void *walker_run(void *data)
{
	struct walker *me = data;
	struct world *w = me->w;
	char mine[64], other[64];
	struct vfs_path at;
	struct file *file;

	snprintf(mine, sizeof(mine), "/a/b/t%u", me->number);
	snprintf(other, sizeof(other), "/a/b/c/t%u", me->number);
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(world_open(w, &w->root, mine, O_CREAT | O_EXCL | O_RDWR, 0644, &file),
				 0);
		assert_int_equal(world_find(w, &w->root, "/up/../c/f", 0, &at), 0);
		path_put(&at);
		assert_int_equal(rename_path(w, &w->root, mine, other), 0);
		assert_int_equal(world_find(w, &w->root, mine, 0, &at), -ENOENT);
		/* Whole directories move below the others' feet. */
		if (i % 50 == 0)
			rename_path(w, &w->root, "/a/b/shared", "/m/shared");
		if (i % 50 == 25)
			rename_path(w, &w->root, "/m/shared", "/a/b/shared");
		if (world_find(w, &w->root, "/a/b/shared/x/y", 0, &at) == 0)
			path_put(&at);
		assert_int_equal(unlink_path(w, &w->root, other, false), 0);
		file_put(file);
	}
	return NULL;
}

static void *trimmer_run(void *data)
{
	struct walker *me = data;

	for (int i = 0; i < ROUNDS / 10; i++) {
		super_trim(me->w->super, 0);
		struct vfs_path at = find(me->w, "/bind"), what = find(me->w, "/a");

		assert_int_equal(mount_bind(me->w->mounts, &at, &what, 0, true), 0);
		path_put(&at);
		at = find(me->w, "/bind");
		assert_int_equal(mount_remove(me->w->mounts, &at, true), 0);
		path_put(&at);
		path_put(&what);
	}
	return NULL;
}

static void at_once(void **state)
{
	struct world *w = tree_new();
	struct walker walkers[4];
	pthread_t threads[5];

	w->super->dentries_max = 12;
	assert_int_equal(world_make(w, &w->root, "/a/b/shared", S_IFDIR | 0755, NULL), 0);
	assert_int_equal(world_make(w, &w->root, "/a/b/shared/x", S_IFDIR | 0755, NULL), 0);
	assert_int_equal(world_make(w, &w->root, "/a/b/shared/x/y", S_IFREG | 0644, NULL), 0);
	for (unsigned i = 0; i < 4; i++) {
		walkers[i] = (struct walker){ w, i };
		assert_int_equal(pthread_create(&threads[i], NULL, walker_run, &walkers[i]), 0);
	}
	assert_int_equal(pthread_create(&threads[4], NULL, trimmer_run, &walkers[0]), 0);
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),	cmocka_unit_test(rooted),
		cmocka_unit_test(mounts),	cmocka_unit_test(bind_recursive),
		cmocka_unit_test(pivot_upwards),
		cmocka_unit_test(many_mounts),	cmocka_unit_test(rights),
		cmocka_unit_test(shared_directories), cmocka_unit_test(executed),
		cmocka_unit_test(unnamed),	cmocka_unit_test(cache),
		cmocka_unit_test(at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
