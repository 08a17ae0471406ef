/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/hostfs_file.c - regular files of the host that are open
 *
 *	read(2) -> preadv2 of the host, straight into guest memory
 *	mmap(2) -> the host's descriptor, mapped in the stub: its page cache is shared
 *
 * All that have a file open share one descriptor of the host for reading and one for writing: what
 * is of a struct file (offset, O_APPEND) is given with each call. The one for writing is
 * closed with its last user, so that the host may run what was written. The one for reading stays
 * as long as any: a mapping may have got it.
 *
 * It is opened by the name it was last seen under, in a way that opening anything else by mistake
 * does nothing (O_NONBLOCK, O_NOCTTY, O_NOFOLLOW, on a mount without devices), and compared; else by
 * the gofer, which can open the very object.
 *
 * O_DIRECT does nothing. Locks are the sentry's own (vfs/lock.c): programs of the host do not see
 * them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sentry/kernel.h"
#include "sentry/vfs/hostfs.h"

struct hostfs_file {
	struct file file;
	int fd; /* the inode's; good while we count as a user */
	bool write;
};

static struct hostfs_file *hostfs_file_of(struct file *file)
{
	return (struct hostfs_file *)file;
}

/* By its name, if it still has that. inode.lock held */
static int hostfs_open_by_name(struct hostfs_inode *h, int flags)
{
	int fd, r = 0;
	struct stat st;

	if (h->open) {
		fd = fcntl(h->fd, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? -errno : fd;
	}
	if (!h->parent)
		return -ENOENT;
	fd = openat(h->parent->fd, h->name,
		    flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (st.st_ino != h->ino || st.st_dev != h->dev)
		r = -ESTALE;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static int hostfs_open_object(struct hostfs_inode *h, int flags)
{
	int r = hostfs_open_by_name(h, flags);

	if (r >= 0 || r == -EMFILE || r == -ENFILE || r == -EROFS || r == -ETXTBSY || !kernel.gofer)
		return r;
	return (int)gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_OPEN, .fd = h->fd, .fd2 = -1, .args = { (uint64_t)flags } });
}

int hostfs_data_get(struct hostfs_inode *h, bool write)
{
	int fd;

	pthread_mutex_lock(&h->inode.lock);
	fd = h->data_fd[write];
	if (fd < 0) {
		fd = hostfs_fd_room() ? hostfs_open_object(h, write ? O_RDWR : O_RDONLY) : -ENFILE;
		/* Who may only write it may still do that */
		if (fd == -EACCES && write)
			fd = hostfs_open_object(h, O_WRONLY);
		if (fd >= 0) {
			h->data_fd[write] = fd;
			hostfs_fd_count(1);
		}
	}
	if (fd >= 0)
		h->users[write]++;
	pthread_mutex_unlock(&h->inode.lock);
	return fd;
}

void hostfs_data_put(struct hostfs_inode *h, bool write)
{
	int closing[2] = { -1, -1 };

	pthread_mutex_lock(&h->inode.lock);
	h->users[write]--;
	if (!h->users[1])
		closing[1] = steal_fd(&h->data_fd[1]);
	if (!h->users[0] && !h->users[1])
		closing[0] = steal_fd(&h->data_fd[0]);
	pthread_mutex_unlock(&h->inode.lock);
	hostfs_fd_count(-(closing[0] >= 0) - (closing[1] >= 0));
	close_fd(&closing[0]);
	close_fd(&closing[1]);
}

static long hostfs_file_read(struct file *file, struct user_io *io, int64_t offset)
{
	int niov = io->niov < IOV_MAX ? (int)io->niov : IOV_MAX;
	ssize_t n = preadv2(hostfs_file_of(file)->fd, io->iov, niov, offset, 0);

	if (n < 0)
		return -errno;
	user_io_advance(io, (size_t)n);
	return n;
}

/* Under the inode's write_lock; somebody on the host may append as well. */
static long hostfs_file_write(struct file *file, struct user_io *io, int64_t offset)
{
	uint32_t flags = atomic_load_explicit(&file->flags, memory_order_relaxed);
	int niov = io->niov < IOV_MAX ? (int)io->niov : IOV_MAX;
	struct inode *inode = file->inode;
	ssize_t n;

	n = pwritev2(hostfs_file_of(file)->fd, io->iov, niov, offset,
		     flags & O_APPEND ? RWF_APPEND : 0);
	if (n < 0)
		return -errno;
	user_io_advance(io, (size_t)n);
	pthread_mutex_lock(&inode->lock);
	if (inode->attr.st_size < offset + n)
		inode->attr.st_size = offset + n;
	atomic_fetch_add_explicit(&hostfs_of(inode)->fills, 1, memory_order_relaxed);
	pthread_mutex_unlock(&inode->lock);
	return n;
}

/* Where data and holes are, the host knows; the place of its own descriptor means nothing. */
static int64_t hostfs_file_seek(struct file *file, int64_t offset, int whence)
{
	int64_t r;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return file_seek_plain(file, offset, whence);
	r = lseek(hostfs_file_of(file)->fd, offset, whence);
	if (r < 0)
		return -errno;
	pthread_mutex_lock(&file->offset_lock);
	file->offset = r;
	pthread_mutex_unlock(&file->offset_lock);
	return r;
}

static int hostfs_file_fsync(struct file *file, bool data_only)
{
	int fd = hostfs_file_of(file)->fd;

	return (data_only ? fdatasync(fd) : fsync(fd)) < 0 ? -errno : 0;
}

static int hostfs_file_fallocate(struct file *file, int mode, int64_t offset, int64_t len)
{
	if (fallocate(hostfs_file_of(file)->fd, mode, offset, len) < 0)
		return -errno;
	return hostfs_refresh(file->inode);
}

static int hostfs_file_host_fd(struct file *file)
{
	return hostfs_file_of(file)->fd;
}

static void hostfs_file_release(struct file *file)
{
	struct hostfs_file *f = hostfs_file_of(file);

	hostfs_data_put(hostfs_of(file->inode), f->write);
	file_free_common(file);
	free(f);
}

static const struct file_ops hostfs_file_file_ops = {
	.read = hostfs_file_read,
	.write = hostfs_file_write,
	.seek = hostfs_file_seek,
	.fsync = hostfs_file_fsync,
	.fallocate = hostfs_file_fallocate,
	.host_fd = hostfs_file_host_fd,
	.release = hostfs_file_release,
};

int hostfs_open_file(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		     struct task *task, struct file **out)
{
	struct hostfs_file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->write = (flags & O_ACCMODE) != O_RDONLY;
	f->fd = hostfs_data_get(hostfs_of(inode), f->write);
	if (f->fd < 0) {
		int r = f->fd;

		free(f);
		return r;
	}
	file_init(&f->file, &hostfs_file_file_ops, flags, path, inode);
	*out = &f->file;
	return 0;
}

/* The file that is mapped counts as a user of the descriptor that it can be given. */
static int hostfs_translate(struct mappable *m, uint64_t offset, uint64_t len, bool write,
			    struct mappable_range *out)
{
	struct inode *inode = container_of(m, struct inode, mapping);
	struct hostfs_inode *h = hostfs_of(inode);
	uint64_t end;
	struct stat st;
	int fd;

	pthread_mutex_lock(&inode->lock);
	fd = write || h->data_fd[0] < 0 ? h->data_fd[1] : h->data_fd[0];
	pthread_mutex_unlock(&inode->lock);
	if (fd < 0)
		return -EACCES;
	if (fstat(fd, &st) < 0)
		return -errno;
	end = PAGE_UP((uint64_t)st.st_size);
	if (offset >= end)
		return -ENXIO;
	out->host_fd = fd;
	out->offset = offset;
	out->len = end - offset < len ? end - offset : len;
	return 0;
}

const struct mappable_ops hostfs_mappable_ops = { .translate = hostfs_translate };
