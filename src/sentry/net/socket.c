/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/socket.c - what all sockets have in common
 *
 *	socket(2) -> socket_create() -> family: unix, netlink, or the container's backend
 *	read(2), write(2) -> socket_file_read(), socket_file_write() -> the family's recv and send
 *
 * Each socket has an inode that no directory leads to, for fstat(2) and its name in /proc/PID/fd.
 */
#include "sentry/net/net.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/vfs.h"

static void socket_inode_free(struct inode *inode)
{
	free(inode);
}

static const struct inode_ops socket_inode_ops = { .free = socket_inode_free };

int socket_init(struct socket *s, const struct file_ops *file_ops, const struct socket_ops *ops,
		int family, int type, int protocol, uint32_t flags)
{
	struct inode *inode = anon_inode_new(&socket_inode_ops, sizeof(*inode), S_IFSOCK | 0777);

	if (!inode)
		return -ENOMEM;
	inode->attr.st_uid = task_current ? task_current->cred->fsuid : 0;
	inode->attr.st_gid = task_current ? task_current->cred->fsgid : 0;
	file_init(&s->file, file_ops, O_RDWR | (flags & O_NONBLOCK), NULL, inode);
	inode_put(inode);
	s->ops = ops;
	s->family = family;
	s->type = type;
	s->protocol = protocol;
	s->receive_timeout = USEC_INFINITY;
	s->send_timeout = USEC_INFINITY;
	return 0;
}

void socket_free_common(struct socket *s)
{
	file_free_common(&s->file);
}

struct socket *socket_of(struct file *file)
{
	return file->ops->read == socket_file_read ? (struct socket *)file : NULL;
}

usec_t socket_deadline(struct file *file, uint32_t mask)
{
	struct socket *s = socket_of(file);

	if (!s)
		return USEC_INFINITY;
	return deadline_in(mask & POLLIN ? s->receive_timeout : s->send_timeout);
}

static int socket_file_flags(const struct file *file)
{
	return file->flags & O_NONBLOCK ? MSG_DONTWAIT : 0;
}

long socket_file_read(struct file *file, struct user_io *io, int64_t offset)
{
	struct socket *s = (struct socket *)file;
	int out_flags = 0;

	return s->ops->recv(s, task_current, io, NULL, NULL, socket_file_flags(file), &out_flags);
}

long socket_file_write(struct file *file, struct user_io *io, int64_t offset)
{
	struct socket *s = (struct socket *)file;

	return s->ops->send(s, task_current, io, NULL, NULL, socket_file_flags(file));
}

int socket_create(struct task *task, int family, int type, int protocol, struct file **out)
{
	uint32_t flags = (uint32_t)type & SOCK_NONBLOCK; /* O_NONBLOCK by another name */
	const struct socket_backend *backend = task->process->container->network;

	type &= ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
	switch (family) {
	default:
		return -EAFNOSUPPORT;
	case AF_UNIX:
		return unix_create(task, type, protocol, flags, out);
	case AF_NETLINK:
		return netlink_create(task, type, protocol, flags, out);
	case AF_INET:
	case AF_INET6:
		return backend ? backend->create(family, type, protocol, flags, out) :
				 -EAFNOSUPPORT;
	}
}
