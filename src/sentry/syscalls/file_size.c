/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/file_size.c - offsets, sizes, and what is on the disk
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>

#include "sentry/syscalls/file_calls.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/permission.h"

long file_lseek(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);

	if (!file)
		return -EBADF;
	if ((unsigned)args[2] > SEEK_HOLE)
		return -EINVAL;
	return file_seek(file, (int64_t)args[1], (int)args[2]);
}

/* size_limit() - RLIMIT_FSIZE says how far a file may reach */
static int size_limit(struct task *task, uint64_t end)
{
	if (end <= task_limit(task, RLIMIT_FSIZE))
		return 0;
	pthread_mutex_lock(&kernel.tasks_lock);
	signal_task_send(task, SIGXFSZ, NULL);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return -EFBIG;
}

long file_truncate_path(struct task *task, const uint64_t args[6])
{
	autopath struct path_arg arg = PATH_ARG_INIT;
	struct inode_attr attr = { .mask = ATTR_SIZE | ATTR_MTIME_NOW, .size = args[1] };
	struct inode *inode;
	int r;

	if ((int64_t)args[1] < 0)
		return -EINVAL;
	r = path_arg_walk(&arg, task, AT_FDCWD, args[0], 0);
	if (r < 0)
		return r;
	inode = arg.walk.path.dentry->inode;
	if (!S_ISREG(inode->attr.st_mode))
		return S_ISDIR(inode->attr.st_mode) ? -EISDIR : -EINVAL;
	r = permission_path(&arg.walk.path, task->cred, MAY_WRITE);
	if (r == 0)
		r = size_limit(task, args[1]);
	return r < 0 ? r : vfs_setattr(&arg.walk.path, task->cred, &attr);
}

long file_ftruncate(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	struct inode_attr attr = { .mask = ATTR_SIZE | ATTR_MTIME_NOW, .size = args[1] };
	struct vfs_path path;
	int r;

	if ((int64_t)args[1] < 0)
		return -EINVAL;
	if (!file)
		return -EBADF;
	if (!file->dentry || !S_ISREG(file->inode->attr.st_mode) || !file_writable(file))
		return -EINVAL;
	path = (struct vfs_path){ file->mount, file->dentry };
	r = size_limit(task, args[1]);
	return r < 0 ? r : vfs_setattr(&path, task->cred, &attr);
}

/* size_fallocate_mode() - Known, and possible together */
static bool size_fallocate_mode(int mode)
{
	const int exclusive = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE |
			      FALLOC_FL_ZERO_RANGE | FALLOC_FL_INSERT_RANGE |
			      FALLOC_FL_UNSHARE_RANGE;
	int what = mode & exclusive;

	if ((mode & ~(exclusive | FALLOC_FL_KEEP_SIZE)) || (what & (what - 1)))
		return false;
	return !(what & FALLOC_FL_PUNCH_HOLE) || (mode & FALLOC_FL_KEEP_SIZE);
}

long file_fallocate(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	int64_t offset = (int64_t)args[2], len = (int64_t)args[3], end;
	int mode = (int)args[1], r = 0;
	mode_t type;

	if (!file)
		return -EBADF;
	if (offset < 0 || len <= 0)
		return -EINVAL;
	if (!size_fallocate_mode(mode))
		return -EOPNOTSUPP;
	if (!file_writable(file))
		return -EBADF;
	type = file->inode ? file->inode->attr.st_mode & S_IFMT : 0;
	if (type != S_IFREG)
		return type == S_IFIFO ? -ESPIPE : type == S_IFDIR ? -EISDIR : -ENODEV;
	if (__builtin_add_overflow(offset, len, &end))
		return -EFBIG;
	if (!file->ops->fallocate)
		return -EOPNOTSUPP;
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		r = size_limit(task, (uint64_t)end);
	if (r < 0)
		return r;
	pthread_mutex_lock(&file->inode->write_lock);
	r = file->ops->fallocate(file, mode, offset, len);
	pthread_mutex_unlock(&file->inode->write_lock);
	return r;
}

static long size_sync(struct task *task, int fd, bool data_only)
{
	autofile struct file *file = fd_get(task, fd);
	mode_t type;

	if (!file)
		return -EBADF;
	if (file->ops->fsync)
		return file->ops->fsync(file, data_only);
	type = file->inode ? file->inode->attr.st_mode & S_IFMT : 0;
	return type == S_IFREG || type == S_IFDIR ? 0 : -EINVAL;
}

long file_fsync(struct task *task, const uint64_t args[6])
{
	return size_sync(task, (int)args[0], false);
}

long file_fdatasync(struct task *task, const uint64_t args[6])
{
	return size_sync(task, (int)args[0], true);
}

long file_sync(struct task *task, const uint64_t args[6])
{
	mount_table_sync(task->fs->mounts);
	return 0;
}

long file_syncfs(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	struct super *super = file && file->mount ? mount_super(file->mount) : NULL;

	if (!file)
		return -EBADF;
	return super && super->ops->sync ? super->ops->sync(super) : 0;
}

/* size_range() - What calls about a part of a file check */
static int size_range(const struct file *file)
{
	mode_t type = file->inode ? file->inode->attr.st_mode & S_IFMT : S_IFSOCK;

	return type == S_IFIFO || type == S_IFSOCK ? -ESPIPE : 0;
}

long file_sync_range(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	int64_t end;
	int r;

	if (!file)
		return -EBADF;
	if ((args[3] & ~(uint64_t)7) || (int64_t)args[1] < 0 || (int64_t)args[2] < 0 ||
	    __builtin_add_overflow((int64_t)args[1], (int64_t)args[2], &end))
		return -EINVAL;
	r = size_range(file);
	return r == 0 && file->ops->fsync && args[3] ? file->ops->fsync(file, true) : r;
}

long file_fadvise(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	int r;

	if (!file)
		return -EBADF;
	r = size_range(file);
	if (r < 0)
		return r;
	return (int64_t)args[2] < 0 || (unsigned)args[3] > POSIX_FADV_NOREUSE ? -EINVAL : 0;
}

long file_readahead(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);

	if (!file || !file_readable(file))
		return -EBADF;
	return file->inode && S_ISREG(file->inode->attr.st_mode) ? 0 : -EINVAL;
}
