/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/io.c - read and write in all their forms
 *
 * Arguments become an array of struct iovec and an offset; file_read() and file_write() do the
 * rest. What moves bytes between two files is in splice.c.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/task.h"
#include "sentry/vfs/file.h"

typedef long (*io_call)(struct task *task, struct file *file, const struct iovec *iov, size_t niov,
			int64_t offset, int rwf_flags);

static long io_plain(struct task *task, const uint64_t args[6], io_call call)
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	struct iovec iov = {
		.iov_base = (void *)args[1],
		.iov_len = args[2] < MAX_RW_COUNT ? args[2] : MAX_RW_COUNT,
	};

	return file ? call(task, file, &iov, 1, -1, 0) : -EBADF;
}

static long io_read(struct task *task, const uint64_t args[6])
{
	return io_plain(task, args, file_read);
}

static long io_write(struct task *task, const uint64_t args[6])
{
	return io_plain(task, args, file_write);
}

static long io_positioned(struct task *task, const uint64_t args[6], io_call call)
{
	autofile struct file *file = NULL;
	struct iovec iov = {
		.iov_base = (void *)args[1],
		.iov_len = args[2] < MAX_RW_COUNT ? args[2] : MAX_RW_COUNT,
	};

	if ((int64_t)args[3] < 0)
		return -EINVAL;
	file = fd_get(task, (int)args[0]);
	if (!file)
		return -EBADF;
	if (!file->seekable)
		return -ESPIPE;
	return call(task, file, &iov, 1, (int64_t)args[3], 0);
}

static long io_pread64(struct task *task, const uint64_t args[6])
{
	return io_positioned(task, args, file_read);
}

static long io_pwrite64(struct task *task, const uint64_t args[6])
{
	return io_positioned(task, args, file_write);
}

/* @offset -1: the file's own. */
static long io_vector(struct task *task, const uint64_t args[6], int64_t offset, int flags,
		      io_call call)
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	autofree struct iovec *iov = NULL;
	size_t total;
	int r;

	if (!file)
		return -EBADF;
	if (offset >= 0 && !file->seekable)
		return -ESPIPE;
	r = user_iovec(task->mm, args[1], args[2], &iov, &total);
	if (r)
		return r;
	return call(task, file, iov, args[2], offset, flags);
}

static long io_readv(struct task *task, const uint64_t args[6])
{
	return io_vector(task, args, -1, 0, file_read);
}

static long io_writev(struct task *task, const uint64_t args[6])
{
	return io_vector(task, args, -1, 0, file_write);
}

/* The offset comes in two halves, of which x86-64 takes the lower one as the whole. */
static long io_preadv(struct task *task, const uint64_t args[6])
{
	int64_t offset = (int64_t)args[3];

	return offset < 0 ? -EINVAL : io_vector(task, args, offset, 0, file_read);
}

static long io_pwritev(struct task *task, const uint64_t args[6])
{
	int64_t offset = (int64_t)args[3];

	return offset < 0 ? -EINVAL : io_vector(task, args, offset, 0, file_write);
}

static long io_preadv2(struct task *task, const uint64_t args[6])
{
	int64_t offset = (int64_t)args[3];

	return offset < -1 ? -EINVAL : io_vector(task, args, offset, (int)args[5], file_read);
}

static long io_pwritev2(struct task *task, const uint64_t args[6])
{
	int64_t offset = (int64_t)args[3];

	return offset < -1 ? -EINVAL : io_vector(task, args, offset, (int)args[5], file_write);
}

static const struct syscall_row io_rows[] = {
	{ SYS_read, "read", io_read, { ARG_FD, ARG_OUT, ARG_UINT } },
	{ SYS_write, "write", io_write, { ARG_FD, ARG_IN, ARG_UINT } },
	{ SYS_pread64, "pread64", io_pread64, { ARG_FD, ARG_OUT, ARG_UINT, ARG_INT } },
	{ SYS_pwrite64, "pwrite64", io_pwrite64, { ARG_FD, ARG_IN, ARG_UINT, ARG_INT } },
	{ SYS_readv, "readv", io_readv, { ARG_FD, ARG_HEX, ARG_UINT } },
	{ SYS_writev, "writev", io_writev, { ARG_FD, ARG_HEX, ARG_UINT } },
	{ SYS_preadv, "preadv", io_preadv, { ARG_FD, ARG_HEX, ARG_UINT, ARG_INT } },
	{ SYS_pwritev, "pwritev", io_pwritev, { ARG_FD, ARG_HEX, ARG_UINT, ARG_INT } },
	{ SYS_preadv2, "preadv2", io_preadv2,
	  { ARG_FD, ARG_HEX, ARG_UINT, ARG_INT, ARG_INT, ARG_HEX } },
	{ SYS_pwritev2, "pwritev2", io_pwritev2,
	  { ARG_FD, ARG_HEX, ARG_UINT, ARG_INT, ARG_INT, ARG_HEX } },
};

const struct syscall_family syscalls_io = SYSCALL_FAMILY("io", io_rows);
