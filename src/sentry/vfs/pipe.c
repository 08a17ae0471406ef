/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/pipe.c - pipes and FIFOs
 *
 *	write -> page, page, page ... -> read
 *
 * A ring of slots, each a page or a part of one (pipe_ring.c). A write of at most PIPE_BUF bytes goes
 * in whole or not at all: it fills up the last page or takes one slot.
 *
 * Readers are woken when there was nothing, writers when there was no room; only an epoll that looks
 * on hears of every write, as it does on Linux. Nobody is woken under the lock.
 *
 * A FIFO's pipe lives while somebody has it open. Notification pipes (O_EXCL) are absent.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "sentry/task/task.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/pipe_ring.h"
#include "sentry/vfs/vfs.h"

/* --- read and write --- */

static void pipe_pop(struct pipe *pipe)
{
	struct pipe_piece *piece = pipe_slot(pipe, 0);

	pipe->bytes -= piece->len;
	pipe_page_drop(pipe, piece->page);
	*piece = (struct pipe_piece){ 0 };
	pipe->head++;
	pipe->used--;
}

static long pipe_read(struct file *file, struct user_io *io, int64_t offset)
{
	struct pipe *pipe = pipe_of(file);
	bool was_full;
	bool popped = false;
	long done = 0;

	pthread_mutex_lock(&pipe->lock);
	was_full = pipe_full(pipe);
	if (!pipe->used)
		done = pipe->nwriters ? -EAGAIN : 0;
	while (pipe->used && io->left) {
		struct pipe_piece *piece = pipe_slot(pipe, 0);
		size_t n = user_io_put(io, piece->page->data + piece->offset, piece->len);
		bool packet = piece->packet;

		if (n == 0 && piece->len) {
			done = done ? done : -EFAULT;
			break;
		}
		done += (long)n;
		piece->offset = (uint16_t)(piece->offset + n);
		piece->len = (uint16_t)(piece->len - n);
		pipe->bytes -= n;
		if (piece->len && !packet)
			break;
		pipe_pop(pipe);
		popped = true;
		if (packet)
			break;
	}
	pthread_mutex_unlock(&pipe->lock);
	if (popped && was_full)
		pipe_wake_writers(pipe);
	return done;
}

static void pipe_push(struct pipe *pipe, struct pipe_page *page, size_t len, bool packet)
{
	*pipe_slot(pipe, pipe->used++) =
		(struct pipe_piece){ .page = page, .len = (uint16_t)len, .packet = packet,
				      .open = !packet };
	pipe->bytes += len;
}

/* What is no whole page goes to the end of the last one, if it fits there. */
static size_t pipe_merge(struct pipe *pipe, struct user_io *io)
{
	size_t len = io->left % PIPE_PAGE;
	struct pipe_piece *last;

	if (!len || !pipe->used)
		return 0;
	last = pipe_slot(pipe, pipe->used - 1);
	if (!last->open || last->offset + last->len + len > PIPE_PAGE)
		return 0;
	len = user_io_get(io, last->page->data + last->offset + last->len, len);
	last->len = (uint16_t)(last->len + len);
	pipe->bytes += len;
	return len;
}

static long pipe_fill(struct pipe *pipe, struct user_io *io, bool packet)
{
	long done = packet ? 0 : (long)pipe_merge(pipe, io);

	while (io->left && !pipe_full(pipe)) {
		struct pipe_page *page = pipe_page_alloc(pipe);
		size_t n;

		if (!page)
			return done ? done : -ENOMEM;
		n = user_io_get(io, page->data, PIPE_PAGE);
		if (!n) {
			pipe_page_drop(pipe, page);
			return done ? done : -EFAULT;
		}
		pipe_push(pipe, page, n, packet);
		done += (long)n;
	}
	return done ? done : -EAGAIN;
}

static long pipe_write(struct file *file, struct user_io *io, int64_t offset)
{
	struct pipe *pipe = pipe_of(file);
	bool wake = false;
	long done = -EPIPE;

	pthread_mutex_lock(&pipe->lock);
	if (pipe->nreaders) {
		wake = !pipe->used || pipe->watched;
		done = pipe_fill(pipe, io, file->flags & O_DIRECT);
	}
	pthread_mutex_unlock(&pipe->lock);
	if (wake)
		pipe_wake_readers(pipe);
	return done;
}

static uint32_t pipe_poll(struct file *file, uint32_t mask, struct wait *wait)
{
	const struct pipe_file *pf = container_of(file, struct pipe_file, file);
	struct pipe *pipe = pf->pipe;
	uint32_t ready = 0;

	if (wait && file_readable(file))
		wait_on(wait, &pipe->readers, mask & ~(uint32_t)(POLLOUT | POLLWRNORM));
	if (wait && file_writable(file))
		wait_on(wait, &pipe->writers, mask & ~(uint32_t)(POLLIN | POLLRDNORM));
	pthread_mutex_lock(&pipe->lock);
	if (wait && wait->on)
		pipe->watched = true;
	if (file_readable(file)) {
		if (pipe->used)
			ready |= POLLIN | POLLRDNORM;
		if (!pipe->nwriters && !(pf->fresh && pf->partners_before == pipe->writer_opens))
			ready |= POLLHUP;
	}
	if (file_writable(file)) {
		if (!pipe_full(pipe))
			ready |= POLLOUT | POLLWRNORM;
		if (!pipe->nreaders)
			ready |= POLLERR;
	}
	pthread_mutex_unlock(&pipe->lock);
	return ready & (mask | POLLERR | POLLHUP);
}

static long pipe_ioctl(struct file *file, struct task *task, uint32_t cmd, uint64_t arg)
{
	struct pipe *pipe = pipe_of(file);
	int bytes;

	if (cmd != FIONREAD)
		return -ENOTTY;
	pthread_mutex_lock(&pipe->lock);
	bytes = (int)pipe->bytes;
	pthread_mutex_unlock(&pipe->lock);
	return user_write(task->mm, arg, &bytes, sizeof(bytes));
}

static int64_t pipe_seek(struct file *file, int64_t offset, int whence)
{
	return -ESPIPE;
}

/* --- open and close --- */

static void pipe_release(struct file *file)
{
	struct pipe *pipe = pipe_of(file);
	struct inode *inode = file->inode;
	bool last;

	pthread_mutex_lock(&pipe->lock);
	pipe->nreaders -= file_readable(file);
	pipe->nwriters -= file_writable(file);
	pthread_mutex_unlock(&pipe->lock);
	if (file_readable(file))
		waitq_wake(&pipe->writers, POLLOUT | POLLWRNORM | POLLERR);
	if (file_writable(file))
		waitq_wake(&pipe->readers, POLLIN | POLLRDNORM | POLLHUP);

	pthread_mutex_lock(&inode->lock);
	last = --pipe->files == 0;
	if (last)
		inode->fifo = NULL;
	pthread_mutex_unlock(&inode->lock);
	if (last)
		pipe_free(pipe);
	file_free_common(file);
	free(container_of(file, struct pipe_file, file));
}

static const struct file_ops pipe_ops = {
	.name = "pipe",
	.read = pipe_read,
	.parks = true,
	.write = pipe_write,
	.poll = pipe_poll,
	.seek = pipe_seek,
	.ioctl = pipe_ioctl,
	.release = pipe_release,
};

bool pipe_is(const struct file *file)
{
	return file->ops == &pipe_ops;
}

/* How often the side that @pf waits for has been opened. pipe->lock held. */
static unsigned pipe_partners(const struct pipe_file *pf)
{
	return file_readable(&pf->file) ? pf->pipe->writer_opens : pf->pipe->reader_opens;
}

/* A side of @inode's pipe, counted as open; the pipe is made if nobody has it open. */
static struct pipe_file *pipe_file_new(struct inode *inode, const struct vfs_path *path,
				       uint32_t flags)
{
	struct pipe_file *pf = calloc(1, sizeof(*pf));
	struct pipe *pipe;

	if (!pf)
		return NULL;
	pthread_mutex_lock(&inode->lock);
	if (!inode->fifo)
		inode->fifo = pipe_new();
	pf->pipe = pipe = inode->fifo;
	if (pipe)
		pipe->files++;
	pthread_mutex_unlock(&inode->lock);
	if (!pipe) {
		free(pf);
		return NULL;
	}
	file_init(&pf->file, &pipe_ops, flags & (O_ACCMODE | O_NONBLOCK | O_DIRECT | O_APPEND),
		  anon_path_is(path) ? NULL : path, inode);

	pthread_mutex_lock(&pipe->lock);
	if (file_writable(&pf->file)) {
		pipe->nwriters++;
		pipe->writer_opens++;
	}
	if (file_readable(&pf->file)) {
		pipe->nreaders++;
		pipe->reader_opens++;
	}
	pf->fresh = file_readable(&pf->file) ? !pipe->nwriters : !pipe->nreaders;
	pf->partners_before = pipe_partners(pf);
	pthread_mutex_unlock(&pipe->lock);
	return pf;
}

static void pipe_inode_free(struct inode *inode)
{
	inode_fini(inode);
	free(inode);
}

static const struct inode_ops pipe_inode_ops = { .free = pipe_inode_free };

int pipe_open(uint32_t flags, struct file **reader, struct file **writer)
{
	struct inode *inode = anon_inode_new(&pipe_inode_ops, sizeof(*inode), S_IFIFO | 0600);
	struct pipe_file *r;
	struct pipe_file *w;

	if (!inode)
		return -ENOMEM;
	r = pipe_file_new(inode, NULL, (flags & O_NONBLOCK) | O_RDONLY);
	w = r ? pipe_file_new(inode, NULL, (flags & (O_NONBLOCK | O_DIRECT)) | O_WRONLY) : NULL;
	inode_put(inode);
	if (!w) {
		if (r)
			file_put(&r->file);
		return -ENOMEM;
	}
	r->fresh = false;
	*reader = &r->file;
	*writer = &w->file;
	return 0;
}

/* --- FIFOs --- */

/* Also somebody who has left again meanwhile. */
static bool pipe_partner_came(const struct pipe_file *pf)
{
	bool came;

	pthread_mutex_lock(&pf->pipe->lock);
	came = pipe_partners(pf) != pf->partners_before;
	pthread_mutex_unlock(&pf->pipe->lock);
	return came;
}

static int pipe_await_partner(struct task *task, const struct pipe_file *pf)
{
	struct wait wait;
	int r = 0;

	wait_begin(&wait, task);
	for (;;) {
		wait_reset(&wait);
		wait_on(&wait, &pf->pipe->openers, POLLIN);
		if (pipe_partner_came(pf))
			break;
		r = wait_sleep(&wait, USEC_INFINITY);
		if (r)
			break;
	}
	wait_end(&wait);
	return r;
}

/* What opening means for the other side, and whether it is waited for. */
static int pipe_meet_partner(struct task *task, struct pipe_file *pf, uint32_t flags)
{
	bool nonblock = flags & O_NONBLOCK, alone = pf->fresh;

	if ((flags & O_ACCMODE) == O_WRONLY && nonblock && alone)
		return -ENXIO;
	waitq_wake(&pf->pipe->openers, POLLIN);
	pf->fresh = alone && nonblock;
	if ((flags & O_ACCMODE) == O_RDWR || nonblock || !alone)
		return 0;
	return pipe_await_partner(task, pf);
}

int pipe_open_fifo(struct task *task, struct inode *inode, const struct vfs_path *path,
		   uint32_t flags, struct file **out)
{
	struct pipe_file *pf;
	int r;

	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if (hostfd_is(inode))
		return hostfd_reopen(inode, path, flags, out);
	pf = pipe_file_new(inode, path, flags);
	if (!pf)
		return -ENOMEM;
	/* A pipe without a name that is opened once more had both sides from the beginning. */
	if (inode->ops == &pipe_inode_ops) {
		pf->fresh = false;
	} else {
		r = pipe_meet_partner(task, pf, flags);
		if (r) {
			file_put(&pf->file);
			return r;
		}
	}
	*out = &pf->file;
	return 0;
}
