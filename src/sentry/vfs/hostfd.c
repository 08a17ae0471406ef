/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/hostfd.c - a descriptor of the host as a guest's file: a container's stdio
 *
 * Whatever it is, the guest sees a pipe, so nothing but bytes goes through it: no terminal's
 * settings, no offset, no mapping, and none of what a socket would be asked for: who finds a
 * descriptor to be one that has no name takes it for nothing he can write to. It is opened once
 * more by /dev/stdout and its like, by whichever user the container's program has become; then
 * both share the descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "sentry/task/task.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/vfs.h"

/* The descriptor belongs to the inode, which every file of it holds. */
struct hostfd_inode {
	struct inode inode;
	int fd;
};

static int hostfd_host_fd(struct file *file)
{
	return container_of(file->inode, struct hostfd_inode, inode)->fd;
}

static int hostfd_count(const struct user_io *io)
{
	return io->niov < IOV_MAX ? (int)io->niov : IOV_MAX;
}

/* From where it is. */
static long hostfd_read(struct file *file, struct user_io *io, int64_t offset)
{
	ssize_t n = preadv2(hostfd_host_fd(file), io->iov, hostfd_count(io), -1, 0);

	if (n < 0)
		return -errno;
	user_io_advance(io, (size_t)n);
	return n;
}

static long hostfd_write(struct file *file, struct user_io *io, int64_t offset)
{
	ssize_t n = pwritev2(hostfd_host_fd(file), io->iov, hostfd_count(io), -1, 0);

	if (n < 0)
		return -errno;
	user_io_advance(io, (size_t)n);
	return n;
}

static uint32_t hostfd_poll(struct file *file, uint32_t mask, struct wait *wait)
{
	struct pollfd pfd = { .fd = hostfd_host_fd(file), .events = (short)mask };
	const struct timespec now = { 0 };

	if (wait)
		wait_on_host(wait, pfd.fd, mask);
	return ppoll(&pfd, 1, &now, NULL) > 0 ? (uint16_t)pfd.revents : 0;
}

static long hostfd_ioctl(struct file *file, struct task *task, uint32_t cmd, uint64_t arg)
{
	int bytes;

	if (cmd != FIONREAD)
		return -ENOTTY;
	if (ioctl(hostfd_host_fd(file), FIONREAD, &bytes) < 0)
		return -errno;
	return user_write(task->mm, arg, &bytes, sizeof(bytes));
}

static int64_t hostfd_seek(struct file *file, int64_t offset, int whence)
{
	return -ESPIPE;
}

static void hostfd_release(struct file *file)
{
	file_free_common(file);
	free(file);
}

static const struct file_ops hostfd_ops = {
	.name = "pipe",
	.read = hostfd_read,
	.write = hostfd_write,
	.poll = hostfd_poll,
	.seek = hostfd_seek,
	.ioctl = hostfd_ioctl,
	.host_fd = hostfd_host_fd,
	.release = hostfd_release,
};

int hostfd_reopen(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		  struct file **out)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	file_init(file, &hostfd_ops, flags & (O_ACCMODE | O_NONBLOCK | O_APPEND),
		  anon_path_is(path) ? NULL : path, inode);
	*out = file;
	return 0;
}

static void hostfd_inode_free(struct inode *inode)
{
	struct hostfd_inode *hi = container_of(inode, struct hostfd_inode, inode);

	close_fd(&hi->fd);
	inode_fini(inode);
	free(hi);
}

static const struct inode_ops hostfd_inode_ops = { .free = hostfd_inode_free };

bool hostfd_is(const struct inode *inode)
{
	return inode->ops == &hostfd_inode_ops;
}

int hostfd_open(int fd, uint32_t flags, struct file **out)
{
	autoclose int own = fd;
	struct hostfd_inode *hi;
	struct inode *inode;
	int r = io_set_nonblock(own, true);

	if (r)
		return r;
	inode = anon_inode_new(&hostfd_inode_ops, sizeof(*hi), S_IFIFO | 0666);
	if (!inode)
		return -ENOMEM;
	hi = container_of(inode, struct hostfd_inode, inode);
	hi->fd = steal_fd(&own);
	r = hostfd_reopen(inode, NULL, flags, out);
	inode_put(inode);
	return r;
}
