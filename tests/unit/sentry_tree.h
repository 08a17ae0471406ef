/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system of the application kernel, used by path, as its first user or another one; and a
 * program of the host beside it that changes what is below.
 */
#ifndef TESTS_SENTRY_TREE_H
#define TESTS_SENTRY_TREE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sentry/kernel.h"
#include "sentry/task/cred.h"
#include "sentry/vfs/vfs.h"

static struct cred tree_root_cred = { .refs = 1, .cap_effective = UINT64_MAX,
				      .cap_permitted = UINT64_MAX };

struct tree {
	struct mount_table *mounts;
	struct fs_context *fs;
	struct cred *cred;
};

/* @super's reference is taken over */
static inline void tree_open(struct tree *t, struct super *super)
{
	t->mounts = mount_table_new(super, 0);
	assert_non_null(t->mounts);
	t->fs = fs_context_new(t->mounts);
	assert_non_null(t->fs);
	t->fs->umask = 0;
	t->cred = &tree_root_cred;
}

static inline void tree_close(struct tree *t)
{
	fs_context_put(t->fs);
	mount_table_put(t->mounts);
}

static inline struct walk tree_walk(struct tree *t)
{
	return (struct walk){ .fs = t->fs, .cred = t->cred };
}

static inline int t_open(struct tree *t, const char *path, int flags, int mode, struct file **out)
{
	struct walk walk = tree_walk(t);
	int r = vfs_open(&walk, path, (uint32_t)flags, (uint32_t)mode, 0, out);

	walk_end(&walk);
	return r;
}

static inline int t_stat_how(struct tree *t, const char *path, unsigned how, struct stat *st)
{
	struct walk walk = tree_walk(t);
	int r = vfs_walk(&walk, path, how);

	if (r == 0)
		r = vfs_stat(&walk.path, st);
	walk_end(&walk);
	return r;
}

static inline int t_lstat(struct tree *t, const char *path, struct stat *st)
{
	return t_stat_how(t, path, WALK_NOFOLLOW, st);
}

static inline int t_exists(struct tree *t, const char *path)
{
	struct stat st;

	return t_lstat(t, path, &st);
}

static inline int t_make(struct tree *t, const char *path, uint32_t mode, uint64_t rdev,
			 const char *target)
{
	struct vfs_create args = { .mode = mode, .rdev = rdev, .target = target };
	struct walk walk = tree_walk(t);
	int r = vfs_create(&walk, path, &args);

	walk_end(&walk);
	return r;
}

static inline int t_mkdir(struct tree *t, const char *path, uint32_t mode)
{
	return t_make(t, path, S_IFDIR | mode, 0, NULL);
}

static inline int t_symlink(struct tree *t, const char *target, const char *path)
{
	return t_make(t, path, S_IFLNK | 0777, 0, target);
}

static inline int t_unlink(struct tree *t, const char *path)
{
	struct walk walk = tree_walk(t);
	int r = vfs_unlink(&walk, path, false);

	walk_end(&walk);
	return r;
}

static inline int t_rmdir(struct tree *t, const char *path)
{
	struct walk walk = tree_walk(t);
	int r = vfs_unlink(&walk, path, true);

	walk_end(&walk);
	return r;
}

static inline int t_rename(struct tree *t, const char *from, const char *to, unsigned flags)
{
	struct walk a = tree_walk(t), b = tree_walk(t);
	int r = vfs_rename(&a, from, &b, to, flags);

	walk_end(&a);
	walk_end(&b);
	return r;
}

static inline int t_link(struct tree *t, const char *from, const char *to)
{
	struct walk a = tree_walk(t), b = tree_walk(t);
	int r = vfs_walk(&a, from, WALK_NOFOLLOW);

	if (r == 0)
		r = vfs_link(&a, &b, to);
	walk_end(&a);
	walk_end(&b);
	return r;
}

/* With the path's inode. */
#define T_ON(tree_, path_, how_, expr_)                             \
	({                                                          \
		struct walk walk_ = tree_walk(tree_);               \
		long r_ = vfs_walk(&walk_, path_, how_);            \
		if (r_ == 0) {                                      \
			struct inode *inode = walk_.path.dentry->inode; \
			(void)inode;                                \
			r_ = (expr_);                               \
		}                                                   \
		walk_end(&walk_);                                   \
		r_;                                                 \
	})

static inline int t_setattr(struct tree *t, const char *path, struct inode_attr attr)
{
	return (int)T_ON(t, path, WALK_NOFOLLOW, vfs_setattr(&walk_.path, t->cred, &attr));
}

static inline int t_chmod(struct tree *t, const char *path, uint32_t mode)
{
	return t_setattr(t, path, (struct inode_attr){ .mask = ATTR_MODE, .mode = mode });
}

static inline int t_chown(struct tree *t, const char *path, uint32_t uid, uint32_t gid)
{
	return t_setattr(t, path, (struct inode_attr){ .mask = ATTR_UID | ATTR_GID, .uid = uid,
						       .gid = gid });
}

static inline int t_truncate(struct tree *t, const char *path, uint64_t size)
{
	return t_setattr(t, path, (struct inode_attr){ .mask = ATTR_SIZE, .size = size });
}

static inline int t_put(struct tree *t, const char *path, const char *text)
{
	struct file *file;
	long n;
	int r = t_open(t, path, O_WRONLY | O_CREAT | O_TRUNC, 0644, &file);

	if (r < 0)
		return r;
	n = file_write_kernel(file, text, strlen(text), -1);
	file_put(file);
	return n == (long)strlen(text) ? 0 : n < 0 ? (int)n : -EIO;
}

/* The first bytes of a file, terminated; static. NULL: errno is set */
static inline const char *t_get(struct tree *t, const char *path)
{
	static char buf[8192];
	struct file *file;
	long n;
	int r = t_open(t, path, O_RDONLY, 0, &file);

	if (r == 0) {
		n = file_read_kernel(file, buf, sizeof(buf) - 1, 0);
		file_put(file);
		if (n >= 0) {
			buf[n] = '\0';
			return buf;
		}
		r = (int)n;
	}
	errno = -r;
	return NULL;
}

#define assert_content(t, path, text)                                                           \
	do {                                                                                   \
		const char *got_ = t_get(t, path);                                             \
		if (!got_)                                                                     \
			fail_msg("%s: %s", path, strerror(errno));                             \
		assert_string_equal(got_, text);                                               \
	} while (0)

struct tree_names {
	struct dir_sink sink;
	char text[65536]; /* "name name " in order of arrival, sorted by t_list() */
	unsigned n;
	uint64_t ino;	  /* of @want */
	const char *want;
};

static int tree_emit(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		     unsigned char type, int64_t next)
{
	struct tree_names *names = (struct tree_names *)sink;
	char own[NAME_MAX + 1];

	assert_true(len > 0 && len <= NAME_MAX);
	memcpy(own, name, len);
	own[len] = '\0';
	assert_int_equal(strlen(own), len);
	if (strcmp(own, ".") == 0 || strcmp(own, "..") == 0)
		return 0;
	if (names->want && strcmp(names->want, own) == 0)
		names->ino = ino;
	if (strlen(names->text) + len + 2 < sizeof(names->text))
		sprintf(names->text + strlen(names->text), "%s ", own);
	names->n++;
	return 0;
}

static int tree_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "a b c" sorted; static. @want: that name's number goes to *@ino; both may be NULL */
static inline const char *t_list(struct tree *t, const char *path, const char *want, uint64_t *ino)
{
	static struct tree_names names;
	static char sorted[65536];
	char *words[4096], *save = NULL;
	struct file *file;
	size_t n = 0;
	int r = t_open(t, path, O_RDONLY | O_DIRECTORY, 0, &file);

	if (r < 0)
		return strerror(-r);
	names = (struct tree_names){ .sink = { tree_emit }, .want = want };
	r = file->ops->readdir(file, &names.sink);
	file_put(file);
	if (r < 0)
		return strerror(-r);
	if (ino)
		*ino = names.ino;
	for (char *w = strtok_r(names.text, " ", &save); w && n < 4096;
	     w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	qsort(words, n, sizeof(*words), tree_compare);
	*sorted = '\0';
	for (size_t i = 0; i < n; i++)
		sprintf(sorted + strlen(sorted), "%s%s", i ? " " : "", words[i]);
	return sorted;
}

/* --- a shell of the host, with all rights; started before ours are given up --- */

static int host_socket = -1;

static void host_start(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	if (fork() == 0) {
		char line[8192];
		ssize_t n;

		close(pair[0]);
		while ((n = recv(pair[1], line, sizeof(line) - 1, 0)) > 0) {
			int status;

			line[n] = '\0';
			status = system(line);
			if (send(pair[1], &status, sizeof(status), 0) < 0)
				break;
		}
		_exit(0);
	}
	close(pair[1]);
	host_socket = pair[0];
}

/* Return: its exit status */
static int host(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int host(const char *format, ...)
{
	char line[8192];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	assert_true(send(host_socket, line, strlen(line), 0) > 0);
	assert_true(recv(host_socket, &status, sizeof(status), 0) == sizeof(status));
	return status;
}

static inline void drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	assert_int_equal(syscall(SYS_capset, &head, none), 0);
}

#endif /* TESTS_SENTRY_TREE_H */
