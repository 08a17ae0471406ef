/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/io.c - read and write in all their forms
 *
 * Arguments become an array of struct iovec and an offset; file_read() and file_write() do the
 * rest. What moves bytes between two files is in splice.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/task.h"
#include "sentry/vfs/pipe.h"
#include "sentry/vfs/splice.h"
#include "sentry/vfs/vfs.h"

#define IO_SPLICE_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

typedef long (*io_call)(struct task *task, struct file *file, const struct iovec *iov, size_t niov,
			int64_t offset, int rwf_flags);

/* A buffer of the guest's, all of it below the end of its addresses, cut as Linux does. */
static int io_buffer(uint64_t addr, uint64_t len, struct iovec *iov)
{
	if (len > GUEST_END || addr > GUEST_END - len)
		return -EFAULT;
	iov->iov_base = (void *)addr;
	iov->iov_len = len < MAX_RW_COUNT ? len : MAX_RW_COUNT;
	return 0;
}

static long io_plain(struct task *task, const uint64_t args[6], io_call call)
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	struct iovec iov;
	int r;

	if (!file)
		return -EBADF;
	r = io_buffer(args[1], args[2], &iov);
	return r ? r : call(task, file, &iov, 1, -1, 0);
}

static long io_read(struct task *task, const uint64_t args[6])
{
	return io_plain(task, args, file_read_or_park);
}

static long io_write(struct task *task, const uint64_t args[6])
{
	return io_plain(task, args, file_write);
}

/* No file goes on that far. */
static int io_range(int64_t offset, size_t len)
{
	int64_t end;

	return offset >= 0 && __builtin_add_overflow(offset, len, &end) ? -EINVAL : 0;
}

static long io_positioned(struct task *task, const uint64_t args[6], io_call call)
{
	autofile struct file *file = NULL;
	struct iovec iov;
	int r;

	if ((int64_t)args[3] < 0)
		return -EINVAL;
	file = fd_get(task, (int)args[0]);
	if (!file)
		return -EBADF;
	if (!file->seekable)
		return -ESPIPE;
	r = io_buffer(args[1], args[2], &iov);
	if (!r)
		r = io_range(args[3], args[2]);
	return r ? r : call(task, file, &iov, 1, (int64_t)args[3], 0);
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
	if (flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND))
		return -EOPNOTSUPP;
	r = user_iovec(task->mm, args[1], args[2], &iov, &total);
	if (!r)
		r = io_range(offset, total);
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

/* --- from file to file --- */

/* A guest's offset, or the file's own where @addr is 0. */
static int io_end_init(struct task *task, struct splice_end *end, struct file *file, uint64_t addr)
{
	int r = 0;

	end->file = file;
	end->offset = -1;
	if (addr) {
		r = user_read(task->mm, &end->offset, addr, sizeof(end->offset));
		if (!r && end->offset < 0)
			r = -EINVAL;
	}
	return r;
}

/* How far it went, for the guest that said where. */
static long io_end_tell(struct task *task, const struct splice_end *end, uint64_t addr, long result)
{
	if (addr && result > 0 && user_write(task->mm, addr, &end->offset, sizeof(end->offset)))
		return -EFAULT;
	return result;
}

static int64_t io_offset(struct file *file)
{
	int64_t offset;

	pthread_mutex_lock(&file->offset_lock);
	offset = file->offset;
	pthread_mutex_unlock(&file->offset_lock);
	return offset;
}

/* A file's own offset, used as if it had been given: a part that could not be written is not lost. */
static long io_copy(struct task *task, struct splice_end *in, struct splice_end *out, size_t len)
{
	bool own = in->offset < 0;
	long n;

	if (own)
		in->offset = io_offset(in->file);
	n = splice_copy(task, in, out, len);
	if (own && n > 0) {
		pthread_mutex_lock(&in->file->offset_lock);
		in->file->offset = in->offset;
		pthread_mutex_unlock(&in->file->offset_lock);
	}
	return n;
}

static long io_sendfile(struct task *task, const uint64_t args[6])
{
	autofile struct file *to = fd_get(task, (int)args[0]);
	autofile struct file *from = to ? fd_get(task, (int)args[1]) : NULL;
	size_t len = args[3] < MAX_RW_COUNT ? args[3] : MAX_RW_COUNT;
	struct splice_end out;
	struct splice_end in;
	long r;

	if (!from || !file_readable(from) || !file_writable(to))
		return -EBADF;
	if (!from->seekable || !from->ops->read || to->flags & O_APPEND)
		return -EINVAL;
	r = io_end_init(task, &in, from, args[2]);
	if (!r)
		r = io_range(args[2] ? in.offset : io_offset(from), args[3]);
	if (r)
		return r;
	io_end_init(task, &out, to, 0);
	return io_end_tell(task, &in, args[2], io_copy(task, &in, &out, len));
}

static int io_range_check(const struct splice_end *in, const struct splice_end *out, size_t len)
{
	const struct inode *from = in->file->inode;
	const struct inode *to = out->file->inode;
	int64_t end;

	if (!from || !to)
		return -EINVAL;
	if (S_ISDIR(from->attr.st_mode) || S_ISDIR(to->attr.st_mode))
		return -EISDIR;
	if (!S_ISREG(from->attr.st_mode) || !S_ISREG(to->attr.st_mode))
		return -EINVAL;
	if (!file_readable(in->file) || !file_writable(out->file) || out->file->flags & O_APPEND)
		return -EBADF;
	if (__builtin_add_overflow(in->offset, (int64_t)len, &end) ||
	    __builtin_add_overflow(out->offset, (int64_t)len, &end))
		return -EOVERFLOW;
	if (from == to && in->offset < out->offset + (int64_t)len &&
	    out->offset < in->offset + (int64_t)len)
		return -EINVAL;
	return 0;
}

static long io_copy_file_range(struct task *task, const uint64_t args[6])
{
	autofile struct file *from = fd_get(task, (int)args[0]);
	autofile struct file *to = from ? fd_get(task, (int)args[2]) : NULL;
	size_t len = args[4] < MAX_RW_COUNT ? args[4] : MAX_RW_COUNT;
	struct splice_end out;
	struct splice_end in;
	long r;

	if (!to)
		return -EBADF;
	r = io_end_init(task, &in, from, args[1]);
	if (!r)
		r = io_end_init(task, &out, to, args[3]);
	if (r)
		return r;
	if (args[5])
		return -EINVAL;
	r = io_range_check(&(struct splice_end){ from, args[1] ? in.offset : io_offset(from) },
			   &(struct splice_end){ to, args[3] ? out.offset : io_offset(to) }, len);
	if (!r)
		r = io_copy(task, &in, &out, len);
	return io_end_tell(task, &in, args[1], io_end_tell(task, &out, args[3], r));
}

static long io_splice_move(struct task *task, struct splice_end *in, struct splice_end *out,
			   size_t len, uint32_t flags)
{
	bool nonblock = flags & SPLICE_F_NONBLOCK;

	if (pipe_is(in->file) && pipe_is(out->file)) {
		if (in->file->inode == out->file->inode)
			return -EINVAL;
		return splice_pipes(task, in->file, out->file, len, nonblock);
	}
	if (pipe_is(in->file)) {
		if (out->file->flags & O_APPEND || !out->file->ops->write)
			return -EINVAL;
		return splice_from_pipe(task, in->file, out, len, nonblock);
	}
	if (!pipe_is(out->file) || !in->file->ops->read)
		return -EINVAL;
	return splice_to_pipe(task, in, out->file, len, nonblock);
}

/* An offset is only for what has one. */
static int io_splice_end(struct task *task, struct splice_end *end, struct file *file,
			 uint64_t addr)
{
	if (addr && pipe_is(file))
		return -ESPIPE;
	if (addr && !file->seekable)
		return -EINVAL;
	return io_end_init(task, end, file, addr);
}

static long io_splice(struct task *task, const uint64_t args[6])
{
	autofile struct file *from = NULL;
	autofile struct file *to = NULL;
	size_t len = args[4] < MAX_RW_COUNT ? args[4] : MAX_RW_COUNT;
	struct splice_end out;
	struct splice_end in;
	long r;

	if (!len)
		return 0;
	if (args[5] & ~(uint64_t)IO_SPLICE_FLAGS)
		return -EINVAL;
	from = fd_get(task, (int)args[0]);
	to = from ? fd_get(task, (int)args[2]) : NULL;
	if (!to || !file_readable(from) || !file_writable(to))
		return -EBADF;
	r = io_splice_end(task, &in, from, args[1]);
	if (!r)
		r = io_splice_end(task, &out, to, args[3]);
	if (!r)
		r = io_splice_move(task, &in, &out, len, (uint32_t)args[5]);
	return io_end_tell(task, &in, args[1], io_end_tell(task, &out, args[3], r));
}

static long io_tee(struct task *task, const uint64_t args[6])
{
	autofile struct file *from = NULL;
	autofile struct file *to = NULL;
	size_t len = args[2] < MAX_RW_COUNT ? args[2] : MAX_RW_COUNT;

	if (args[3] & ~(uint64_t)IO_SPLICE_FLAGS)
		return -EINVAL;
	if (!len)
		return 0;
	from = fd_get(task, (int)args[0]);
	to = from ? fd_get(task, (int)args[1]) : NULL;
	if (!to || !file_readable(from) || !file_writable(to))
		return -EBADF;
	if (!pipe_is(from) || !pipe_is(to) || from->inode == to->inode)
		return -EINVAL;
	return splice_tee(task, from, to, len, args[3] & SPLICE_F_NONBLOCK);
}

/* Pages are copied, gifts too: to the guest that is the same. */
static long io_vmsplice(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = NULL;
	int flags = args[3] & SPLICE_F_NONBLOCK ? RWF_NOWAIT : 0;

	if (args[3] & ~(uint64_t)IO_SPLICE_FLAGS)
		return -EINVAL;
	file = fd_get(task, (int)args[0]);
	if (!file || !pipe_is(file))
		return -EBADF;
	return io_vector(task, args, -1, flags, file_writable(file) ? file_write : file_read);
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
	{ SYS_sendfile, "sendfile", io_sendfile, { ARG_FD, ARG_FD, ARG_HEX, ARG_UINT } },
	{ SYS_copy_file_range, "copy_file_range", io_copy_file_range,
	  { ARG_FD, ARG_HEX, ARG_FD, ARG_HEX, ARG_UINT, ARG_HEX } },
	{ SYS_splice, "splice", io_splice,
	  { ARG_FD, ARG_HEX, ARG_FD, ARG_HEX, ARG_UINT, ARG_HEX } },
	{ SYS_tee, "tee", io_tee, { ARG_FD, ARG_FD, ARG_UINT, ARG_HEX } },
	{ SYS_vmsplice, "vmsplice", io_vmsplice, { ARG_FD, ARG_HEX, ARG_UINT, ARG_HEX } },
};

const struct syscall_family syscalls_io = SYSCALL_FAMILY("io", io_rows);
