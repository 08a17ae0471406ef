/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/file_ioctl.c - ioctl(2): what holds for every file, the rest is the file's
 *
 * Numbers and structures are checked by whoever knows them; what nobody knows is ENOTTY.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "sentry/mm/user.h"
#include "sentry/syscalls/file_calls.h"
#include "base/cleanup.h"
#include "sentry/task/task.h"
#include "sentry/vfs/vfs.h"

/* ioctl_flag() - FIONBIO, FIOASYNC: an int says on or off */
static long ioctl_flag(struct task *task, struct file *file, uint32_t flag, uint64_t arg)
{
	uint32_t flags;
	int on, r = user_read(task->mm, &on, arg, sizeof(on));

	if (r < 0)
		return r;
	flags = on ? file->flags | flag : file->flags & ~flag;
	if (file->ops->set_flags)
		r = file->ops->set_flags(file, flags);
	if (r == 0 && (flags ^ file->flags) & O_ASYNC)
		r = file_set_async(file, task, flags & O_ASYNC);
	if (r == 0)
		atomic_store(&file->flags, flags);
	return r;
}

static long ioctl_left(struct task *task, struct file *file, uint64_t arg)
{
	struct stat st;
	int left, r = file_stat(file, &st);

	if (r < 0)
		return r;
	left = (int)(st.st_size - file->offset);
	return user_write(task->mm, arg, &left, sizeof(left));
}

static long ioctl_size(struct task *task, struct file *file, uint64_t arg)
{
	struct stat st;
	int64_t size;
	int r = file_stat(file, &st);

	if (r < 0)
		return r;
	size = st.st_size;
	return user_write(task->mm, arg, &size, sizeof(size));
}

static long ioctl_block(struct task *task, struct file *file, uint64_t arg)
{
	struct stat st;
	int block, r = file_stat(file, &st);

	if (r < 0)
		return r;
	block = (int)st.st_blksize;
	return user_write(task->mm, arg, &block, sizeof(block));
}

/* ioctl_regular() - What Linux's VFS does itself for regular files */
static long ioctl_regular(struct task *task, struct file *file, uint32_t cmd, uint64_t arg)
{
	switch (cmd) {
	case FIONREAD:
		return ioctl_left(task, file, arg);
	case FICLONE:
	case FICLONERANGE:
		return -EOPNOTSUPP;
	case FIBMAP:
		return -EPERM;
	default:
		return -ENOTTY;
	}
}

long file_ioctl(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	uint32_t cmd = (uint32_t)args[1];
	mode_t type;
	long r;

	if (!file)
		return -EBADF;
	type = file->inode ? file->inode->attr.st_mode & S_IFMT : 0;
	switch (cmd) {
	case FIOCLEX:
	case FIONCLEX:
		return fd_set_cloexec(task, (int)args[0], cmd == FIOCLEX);
	case FIONBIO:
		return ioctl_flag(task, file, O_NONBLOCK, args[2]);
	case FIOASYNC:
		return ioctl_flag(task, file, O_ASYNC, args[2]);
	case FIOQSIZE:
		return type == S_IFREG || type == S_IFDIR || type == S_IFLNK ?
			       ioctl_size(task, file, args[2]) :
			       -ENOTTY;
	case FIGETBSZ:
		return file->dentry ? ioctl_block(task, file, args[2]) : -EINVAL;
	default:
		break;
	}
	r = file->ops->ioctl ? file->ops->ioctl(file, task, cmd, args[2]) : -ENOTTY;
	return r == -ENOTTY && type == S_IFREG ? ioctl_regular(task, file, cmd, args[2]) : r;
}
