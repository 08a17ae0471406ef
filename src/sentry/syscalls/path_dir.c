/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/path_dir.c - working directory, root, and what is in a directory
 *
 * Entries are laid out in a buffer of our own and copied out at the end, so that a file system's
 * readdir() holds its locks over our memory only.
 */
#include <dirent.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/inotify.h>

#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/path_calls.h"
#include "sentry/vfs/permission.h"

#define PATH_DENTS_MAX 65536u /* bytes of one getdents */

/* path_enter() - A place to work in, or under */
static int path_enter(struct task *task, const struct vfs_path *path)
{
	return permission_path(path, task->cred, MAY_EXEC);
}

long path_chdir(struct task *task, const uint64_t args[6])
{
	autopath struct path_arg arg = PATH_ARG_INIT;
	int r = path_arg_walk(&arg, task, AT_FDCWD, args[0], WALK_DIRECTORY);

	if (r == 0)
		r = path_enter(task, &arg.walk.path);
	if (r == 0)
		fs_context_set_cwd(task->fs, &arg.walk.path);
	return r;
}

long path_fchdir(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get_path(task, (int)args[0]);
	struct vfs_path path;
	int r;

	if (!file)
		return -EBADF;
	if (!file->dentry || !dentry_is_dir(file->dentry))
		return -ENOTDIR;
	path = (struct vfs_path){ file->mount, file->dentry };
	r = path_enter(task, &path);
	if (r == 0)
		fs_context_set_cwd(task->fs, &path);
	return r;
}

long path_chroot(struct task *task, const uint64_t args[6])
{
	autopath struct path_arg arg = PATH_ARG_INIT;
	int r = path_arg_walk(&arg, task, AT_FDCWD, args[0], WALK_DIRECTORY);

	if (r == 0)
		r = path_enter(task, &arg.walk.path);
	if (r == 0 && !cred_capable(task->cred, CAP_SYS_CHROOT))
		r = -EPERM;
	if (r == 0)
		fs_context_set_root(task->fs, &arg.walk.path);
	return r;
}

long path_getcwd(struct task *task, const uint64_t args[6])
{
	autofree char *text = malloc(PATH_MAX);
	struct vfs_path root, cwd;
	bool gone;
	int r;

	if (!text)
		return -ENOMEM;
	fs_context_root(task->fs, &root);
	fs_context_cwd(task->fs, &cwd);
	gone = cwd.dentry->unlinked;
	r = vfs_path_name(&cwd, &root, text, PATH_MAX);
	path_put(&cwd);
	path_put(&root);
	if (gone)
		return -ENOENT;
	if (r < 0)
		return r == -ERANGE ? -ENAMETOOLONG : r;
	if ((uint64_t)r + 1 > args[1])
		return -ERANGE;
	gone = user_write(task->mm, args[0], text, (size_t)r + 1) < 0;
	return gone ? -EFAULT : r + 1;
}

/* getdents(2)'s and getdents64(2)'s entries differ in where the type is. */
struct path_dents {
	struct dir_sink sink; /* first */
	char *buf;
	size_t size, len;
	bool old;
	bool short_buf; /* not even one entry fitted */
};

struct path_dent64 {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

struct path_dent {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	char name[]; /* zero, padding, and in the last byte the type */
};

static int path_dents_emit(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
			   unsigned char type, int64_t next)
{
	struct path_dents *d = (struct path_dents *)sink;
	size_t head = d->old ? offsetof(struct path_dent, name) :
			       offsetof(struct path_dent64, name);
	size_t reclen = (head + len + (d->old ? 2 : 1) + 7) & ~(size_t)7;
	char *at = d->buf + d->len;

	if (reclen > d->size - d->len) {
		d->short_buf = d->len == 0;
		return 1;
	}
	memset(at, 0, reclen);
	((struct path_dent *)at)->ino = ino;
	((struct path_dent *)at)->off = next;
	((struct path_dent *)at)->reclen = (uint16_t)reclen;
	memcpy(at + head, name, len);
	if (d->old)
		at[reclen - 1] = (char)type;
	else
		((struct path_dent64 *)at)->type = type;
	d->len += reclen;
	return 0;
}

static long path_do_getdents(struct task *task, const uint64_t args[6], bool old)
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	size_t size = (unsigned)args[2] < PATH_DENTS_MAX ? (unsigned)args[2] : PATH_DENTS_MAX;
	autofree char *buf = NULL;
	struct path_dents d = { .sink.emit = path_dents_emit, .size = size, .old = old };
	int64_t before;
	int r;

	if (!file)
		return -EBADF;
	if (!file->ops->readdir)
		return -ENOTDIR;
	if (file->dentry && file->dentry->unlinked)
		return -ENOENT;
	d.buf = buf = malloc(size + 1);
	if (!buf)
		return -ENOMEM;
	pthread_mutex_lock(&file->offset_lock);
	before = file->offset;
	r = file->ops->readdir(file, &d.sink);
	if (r == 0 && d.len)
		r = user_write(task->mm, args[1], buf, d.len);
	if (r < 0)
		file->offset = before;
	pthread_mutex_unlock(&file->offset_lock);
	if (r < 0)
		return r;
	return d.short_buf ? -EINVAL : (long)d.len;
}

long path_getdents(struct task *task, const uint64_t args[6])
{
	return path_do_getdents(task, args, true);
}

long path_getdents64(struct task *task, const uint64_t args[6])
{
	return path_do_getdents(task, args, false);
}
