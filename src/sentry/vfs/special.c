/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/special.c - opening what is no file of a file system: FIFOs, sockets, device nodes
 *
 * A device node is known by its number, wherever it lies; what is not in the table here does not
 * exist (ENXIO), so a node in a host's tree never reaches the host's device.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/open.h"
#include "sentry/vfs/pipe.h"

#define SPECIAL_RANDOM_CHUNK 65536ul /* at a time, so that a signal is seen */

static long special_read_null(struct file *file, struct user_io *io, int64_t offset)
{
	return 0;
}

static long special_write_null(struct file *file, struct user_io *io, int64_t offset)
{
	size_t n = io->left;

	user_io_advance(io, n);
	return (long)n;
}

static long special_read_zero(struct file *file, struct user_io *io, int64_t offset)
{
	return (long)user_io_zero(io, io->left);
}

static long special_write_full(struct file *file, struct user_io *io, int64_t offset)
{
	return -ENOSPC;
}

static long special_read_random(struct file *file, struct user_io *io, int64_t offset)
{
	long done = 0;

	while (io->left) {
		size_t n = io->iov->iov_len;
		ssize_t got = 0;

		if (n > SPECIAL_RANDOM_CHUNK)
			n = SPECIAL_RANDOM_CHUNK;
		if (n)
			got = getrandom(io->iov->iov_base, n, 0);
		if (got < 0)
			return done ? done : -EIO;
		done += got;
		if (n)
			user_io_advance(io, (size_t)got);
		else
			break;
	}
	return done;
}

/* An offset that is always 0. */
static int64_t special_seek(struct file *file, int64_t offset, int whence)
{
	return whence > SEEK_END ? -EINVAL : 0;
}

static const struct file_ops special_null_ops = {
	.read = special_read_null,
	.write = special_write_null,
	.seek = special_seek,
	.release = file_release_plain,
};

static const struct file_ops special_zero_ops = {
	.read = special_read_zero,
	.write = special_write_null,
	.seek = special_seek,
	.release = file_release_plain,
};

static const struct file_ops special_full_ops = {
	.read = special_read_zero,
	.write = special_write_full,
	.seek = special_seek,
	.release = file_release_plain,
};

static const struct file_ops special_random_ops = {
	.read = special_read_random,
	.write = special_write_null,
	.seek = special_seek,
	.release = file_release_plain,
};

/* special_open_plain() - One that has only operations, which take an offset and make nothing of it */
static int special_open_plain(const struct file_ops *ops, const struct vfs_path *path,
			      struct inode *inode, uint32_t flags, struct file **out)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	file_init(file, ops, flags, path, inode);
	file->seekable = true;
	*out = file;
	return 0;
}

static int special_open_tty(struct task *task, uint32_t flags, struct file **out)
{
	struct tty *tty = task ? tty_of_task(task) : NULL;
	int r = tty ? tty_open(tty, flags, out) : -ENXIO;

	tty_put(tty);
	return r;
}

static int special_open_ptmx(struct task *task, uint32_t flags, struct file **out)
{
	struct super *devpts = task ? task->process->container->devpts : NULL;
	struct tty *tty = NULL;
	int r = devpts ? pty_open(devpts, flags, out, &tty) : -ENXIO;

	tty_put(tty);
	return r;
}

static const struct {
	unsigned major, minor;
	const struct file_ops *ops; /* or */
	int (*open)(struct task *task, uint32_t flags, struct file **out);
} special_devices[] = {
	{ 1, 3, &special_null_ops, NULL },   { 1, 5, &special_zero_ops, NULL },
	{ 1, 7, &special_full_ops, NULL },   { 1, 8, &special_random_ops, NULL },
	{ 1, 9, &special_random_ops, NULL }, { 5, 0, NULL, special_open_tty },
	{ 5, 2, NULL, special_open_ptmx },
};

static int special_open_device(struct inode *inode, const struct vfs_path *path, uint32_t flags,
			       struct task *task, struct file **out)
{
	dev_t dev = inode->attr.st_rdev;

	for (size_t i = 0; i < ARRAY_SIZE(special_devices); i++) {
		if (special_devices[i].major != major(dev) ||
		    special_devices[i].minor != minor(dev))
			continue;
		if (special_devices[i].open)
			return special_devices[i].open(task, flags, out);
		if (special_devices[i].ops == &special_zero_ops)
			inode->mapping.ops = &mm_zero_ops;
		return special_open_plain(special_devices[i].ops, path, inode, flags, out);
	}
	return -ENXIO;
}

int special_open(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		 struct task *task, struct file **out)
{
	switch (inode->attr.st_mode & S_IFMT) {
	case S_IFIFO:
		return task ? pipe_open_fifo(task, inode, path, flags, out) : -ENXIO;
	case S_IFCHR:
		return special_open_device(inode, path, flags, task, out);
	default:
		return -ENXIO;
	}
}
