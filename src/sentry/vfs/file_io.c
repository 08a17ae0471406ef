/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/file_io.c - reading and writing open files
 *
 *	read(2) -> file_read() -> user_io_begin() -> file_ops.read() -> user_io_end()
 *	                       ^-------- file_wait() when it was -EAGAIN
 *
 * A call goes on until everything is done, or less came than was asked for; a pipe or a socket that
 * gave something is not asked again. What holds for all files is here: access, whose offset, the
 * place where an append begins, RLIMIT_FSIZE, SIGPIPE, set-id bits that a write takes away.
 *
 * Guest memory is looked up (mm->lock) before a regular file's write_lock is taken.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/uio.h>

#include "sentry/net/socket.h"
#include "sentry/task/task.h"
#include "sentry/vfs/open.h"

struct file_io {
	struct task *task;
	struct file *file;
	const struct iovec *iov;
	size_t niov, total, done;
	int64_t offset; /* -1: it has none */
	bool own;	/* the file's own, whose lock is held */
	bool append;
	bool no_wait;
	bool parks; /* instead of waiting */
	usec_t deadline; /* of the waiting, 0: it has not begun */
};

static int file_io_init(struct file_io *io, int64_t offset, int rwf_flags)
{
	struct file *file = io->file;

	for (size_t i = 0; i < io->niov; i++)
		io->total += io->iov[i].iov_len;
	io->no_wait = (file->flags & O_NONBLOCK) || (rwf_flags & RWF_NOWAIT);
	if (offset != -1) {
		if (offset < 0)
			return -EINVAL;
		if (!file->seekable)
			return -ESPIPE;
		io->offset = offset;
		return 0;
	}
	io->offset = -1;
	if (file->seekable) {
		pthread_mutex_lock(&file->offset_lock);
		io->own = true;
		io->offset = file->offset;
	}
	return 0;
}

static void file_io_end(struct file_io *io)
{
	if (!io->own)
		return;
	io->file->offset = io->offset;
	pthread_mutex_unlock(&io->file->offset_lock);
}

static void file_io_moved(struct file_io *io, long n)
{
	io->done += (size_t)n;
	if (io->offset >= 0)
		io->offset += n;
}

/* file_io_wait() - Return: 0 try again */
static int file_io_wait(struct file_io *io, uint32_t mask)
{
	int r;

	if (io->no_wait)
		return -EAGAIN;
	if (io->own)
		pthread_mutex_unlock(&io->file->offset_lock);
	if (!io->deadline)
		io->deadline = socket_deadline(io->file, mask);
	r = file_wait(io->task, io->file, mask, io->deadline);
	if (io->own) {
		pthread_mutex_lock(&io->file->offset_lock);
		io->offset = io->file->offset;
	}
	return r == -ETIMEDOUT ? -EAGAIN : r;
}

/* file_read_once() - *@asked: bytes that were wanted this time */
static long file_read_once(struct file_io *io, size_t *asked)
{
	struct user_io user;
	long n;
	int r = user_io_begin(&user, io->task->mm, io->iov, io->niov, io->done,
			      io->total - io->done, USER_TO_GUEST);

	if (r < 0)
		return r;
	*asked = user.left;
	n = io->file->ops->read(io->file, &user, io->offset);
	r = user_io_end(&user);
	return n > 0 && r < 0 ? r : n;
}

/* file_io_result() - What the call says after @r was the last try's answer */
static long file_io_result(const struct file_io *io, long r)
{
	return io->done ? (long)io->done : r;
}

/* What is left to do when all is read. */
static long file_read_end(struct file *file, long r)
{
	if (r > 0 && file->dentry)
		vfs_notify_path(file->dentry, IN_ACCESS);
	return r;
}

static bool file_io_park(struct file_io *io);

static long file_read_loop(struct file_io *io)
{
	size_t asked = 0;
	long r = 0;

	while (io->done < io->total) {
		r = file_read_once(io, &asked);
		if (r == -EAGAIN && io->parks && file_io_park(io))
			return TASK_PARKED;
		if (r == -EAGAIN && !io->done) {
			r = file_io_wait(io, POLLIN | POLLRDNORM);
			if (r < 0)
				break;
			continue;
		}
		if (r <= 0)
			break;
		file_io_moved(io, r);
		if ((size_t)r < asked || !io->file->seekable)
			break;
	}
	return file_io_result(io, r);
}

static long file_read_io(struct file_io *io, int64_t offset, int rwf_flags)
{
	struct file *file = io->file;
	long r;

	if (!file_readable(file))
		return -EBADF;
	if (!file->ops->read)
		return file->inode && S_ISDIR(file->inode->attr.st_mode) ? -EISDIR : -EINVAL;
	r = file_io_init(io, offset, rwf_flags);
	if (r < 0)
		return r;
	r = file_read_loop(io);
	file_io_end(io);
	return file_read_end(file, r);
}

long file_read(struct task *task, struct file *file, const struct iovec *iov, size_t niov,
	       int64_t offset, int rwf_flags)
{
	struct file_io io = { .task = task, .file = file, .iov = iov, .niov = niov };

	return file_read_io(&io, offset, rwf_flags);
}

/* --- parked reads: one buffer, no offset --- */

static void file_park_io(struct task *task, struct file_io *io)
{
	struct park *park = &task->park;

	*io = (struct file_io){ .task = task, .file = park->file, .iov = &park->iov, .niov = 1,
				.total = park->iov.iov_len, .offset = -1 };
}

static long file_park_finish(struct task *task)
{
	struct file_io io;
	size_t asked;

	file_park_io(task, &io);
	return file_read_end(io.file, file_read_once(&io, &asked));
}

static long file_park_resume(struct task *task)
{
	struct file_io io;

	file_park_io(task, &io);
	return file_read_end(io.file, file_read_loop(&io));
}

static void file_park_drop(struct task *task)
{
	file_put(steal_ptr(task->park.file));
}

static bool file_io_park(struct file_io *io)
{
	static const struct park_ops ops = { .finish = file_park_finish,
					     .resume = file_park_resume,
					     .drop = file_park_drop };
	struct park *park = &io->task->park;

	if (io->no_wait || io->niov != 1 || !park_possible(io->task) ||
	    socket_deadline(io->file, POLLIN) != USEC_INFINITY)
		return false;
	park_begin(io->task, &ops);
	/* What only the host wakes nobody finishes. */
	if (file_poll(io->file, POLLIN | POLLRDNORM | POLLERR | POLLHUP, &park->wait) ||
	    park->wait.nfds || park->wait.failed) {
		park_cancel(io->task);
		return false;
	}
	park->file = file_get(io->file);
	park->iov = io->iov[0];
	return true;
}

long file_read_or_park(struct task *task, struct file *file, const struct iovec *iov, size_t niov,
		       int64_t offset, int rwf_flags)
{
	struct file_io io = { .task = task, .file = file, .iov = iov, .niov = niov,
			      .parks = file->ops->parks };

	if (io.parks)
		park_turn();
	return file_read_io(&io, offset, rwf_flags);
}

static void file_signal(struct task *task, int sig)
{
	pthread_mutex_lock(&kernel.tasks_lock);
	signal_task_send(task, sig, NULL);
	pthread_mutex_unlock(&kernel.tasks_lock);
}

/* file_write_max() - How much RLIMIT_FSIZE lets through now, at most @want */
static size_t file_write_max(const struct file_io *io, size_t want)
{
	uint64_t limit = task_limit(io->task, RLIMIT_FSIZE);
	uint64_t at = (uint64_t)(io->append ? inode_attr(io->file->inode).st_size : io->offset);

	if (limit > INT64_MAX)
		limit = INT64_MAX;
	return at < limit && limit - at < want ? limit - at : want;
}

/* file_write_place() - Where it goes: with write_lock held */
static int file_write_place(struct file_io *io)
{
	struct inode *inode = io->file->inode;
	uint64_t limit = task_limit(io->task, RLIMIT_FSIZE);
	int r;

	if (io->append) {
		r = inode->ops->refresh ? inode->ops->refresh(inode) : 0;
		if (r < 0)
			return r;
		io->offset = inode_attr(inode).st_size;
	}
	if ((uint64_t)io->offset < limit && io->offset < INT64_MAX)
		return 0;
	if (limit < INT64_MAX)
		file_signal(io->task, SIGXFSZ);
	return -EFBIG;
}

static long file_write_once(struct file_io *io, size_t *asked)
{
	struct inode *inode = io->file->inode;
	bool regular = inode && S_ISREG(inode->attr.st_mode);
	size_t want = io->total - io->done;
	size_t max = regular ? file_write_max(io, want) : want;
	struct user_io user;
	long n;

	n = user_io_begin(&user, io->task->mm, io->iov, io->niov, io->done, max, USER_FROM_GUEST);
	if (n < 0)
		return n;
	*asked = max < want ? SIZE_MAX : user.left; /* up to the limit is all there will be */
	if (regular) {
		pthread_mutex_lock(&inode->write_lock);
		n = file_write_place(io);
	}
	if (n == 0)
		n = io->file->ops->write(io->file, &user, io->offset);
	if (regular)
		pthread_mutex_unlock(&inode->write_lock);
	user_io_end(&user);
	return n;
}

static long file_write_loop(struct file_io *io)
{
	size_t asked = 0;
	long r = 0;

	while (io->done < io->total) {
		r = file_write_once(io, &asked);
		if (r == -EAGAIN) {
			/* A blocking write of a pipe is not done before all of it is. */
			r = file_io_wait(io, POLLOUT | POLLWRNORM);
			if (r < 0)
				break;
			continue;
		}
		if (r == -EPIPE)
			file_signal(io->task, SIGPIPE);
		if (r <= 0)
			break;
		file_io_moved(io, r);
		if ((size_t)r < asked && io->file->seekable)
			break;
	}
	return file_io_result(io, r);
}

/* file_write_strip() - A program that is written to does not run as its owner any more */
static void file_write_strip(struct task *task, struct inode *inode)
{
	struct inode_attr attr = { .mask = ATTR_MODE };
	uint32_t drop = permission_set_ids(inode, task->cred);

	if (!drop || cred_capable(task->cred, CAP_FSETID) || !inode->ops->setattr)
		return;
	pthread_mutex_lock(&inode->write_lock);
	attr.mode = inode->attr.st_mode & 07777 & ~drop;
	inode->ops->setattr(inode, &attr);
	pthread_mutex_unlock(&inode->write_lock);
}

long file_write(struct task *task, struct file *file, const struct iovec *iov, size_t niov,
		int64_t offset, int rwf_flags)
{
	struct file_io io = { .task = task, .file = file, .iov = iov, .niov = niov };
	long r;

	if (!file_writable(file))
		return -EBADF;
	if (!file->ops->write)
		return -EINVAL;
	r = file_io_init(&io, offset, rwf_flags);
	if (r < 0)
		return r;
	io.append = file->seekable && file->inode && S_ISREG(file->inode->attr.st_mode) &&
		    ((file->flags & O_APPEND) || (rwf_flags & RWF_APPEND));
	r = file_write_loop(&io);
	file_io_end(&io);
	if (r <= 0)
		return r;
	if (file->inode && S_ISREG(file->inode->attr.st_mode))
		file_write_strip(task, file->inode);
	if (file->dentry)
		vfs_notify_path(file->dentry, IN_MODIFY);
	if (file->ops->fsync && ((file->flags & O_DSYNC) || (rwf_flags & (RWF_DSYNC | RWF_SYNC))))
		file->ops->fsync(file, !(file->flags & O_SYNC & ~O_DSYNC));
	return r;
}

long file_read_kernel(struct file *file, void *buf, size_t len, int64_t offset)
{
	struct file_io io = { .file = file };
	struct user_io user;
	long n;
	int r;

	if (!file_readable(file) || !file->ops->read)
		return -EBADF;
	r = file_io_init(&io, offset, 0);
	if (r < 0)
		return r;
	user_io_kernel(&user, buf, len);
	n = file->ops->read(file, &user, io.offset);
	user_io_end(&user);
	if (n > 0)
		file_io_moved(&io, n);
	file_io_end(&io);
	return n;
}

long file_write_kernel(struct file *file, const void *buf, size_t len, int64_t offset)
{
	struct inode *inode = file->inode;
	bool regular = inode && S_ISREG(inode->attr.st_mode);
	struct file_io io = { .file = file };
	struct user_io user;
	long n;
	int r;

	if (!file_writable(file) || !file->ops->write)
		return -EBADF;
	r = file_io_init(&io, offset, 0);
	if (r < 0)
		return r;
	user_io_kernel(&user, (void *)buf, len);
	if (regular)
		pthread_mutex_lock(&inode->write_lock);
	if (regular && (file->flags & O_APPEND))
		io.offset = inode_attr(inode).st_size;
	n = file->ops->write(file, &user, io.offset);
	if (regular)
		pthread_mutex_unlock(&inode->write_lock);
	user_io_end(&user);
	if (n > 0)
		file_io_moved(&io, n);
	file_io_end(&io);
	return n;
}
