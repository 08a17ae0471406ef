/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/socket.c - what all sockets have in common
 *
 *	socket(2) -> socket_create() -> family: unix, netlink, or the container's backend
 *	read(2), write(2) -> socket_file_read(), socket_file_write() -> the family's recv and send
 *
 * Each socket has an inode of a file system that is mounted nowhere, for fstat(2) and for the
 * name in /proc/PID/fd.
 */
#include "sentry/net/net.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"
#include "sentry/vfs/vfs.h"

static pthread_once_t socket_once = PTHREAD_ONCE_INIT;
static struct super *socket_super; /* never freed */

static void socket_inode_free(struct inode *inode)
{
	free(inode);
}

static const struct inode_ops socket_inode_ops = { .free = socket_inode_free };
static const struct super_ops socket_super_ops = { .type = "sockfs" };

static struct inode *socket_inode_new(struct super *super, uint32_t mode)
{
	struct inode *inode = calloc(1, sizeof(*inode));

	if (inode)
		inode_init(inode, super, &socket_inode_ops, mode, inode_next_ino());
	return inode;
}

static void socket_super_make(void)
{
	struct super *super = calloc(1, sizeof(*super));
	struct inode *root = super ? socket_inode_new(super, S_IFDIR | 0700) : NULL;

	if (root && super_init(super, &socket_super_ops, root) == 0)
		socket_super = super;
}

int socket_init(struct socket *s, const struct file_ops *file_ops, const struct socket_ops *ops,
		int family, int type, int protocol, uint32_t flags)
{
	struct inode *inode;

	pthread_once(&socket_once, socket_super_make);
	inode = socket_super ? socket_inode_new(socket_super, S_IFSOCK | 0777) : NULL;
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

void socket_control_free(struct socket_control *control)
{
	for (unsigned i = 0; i < control->nfiles; i++)
		file_put(control->files[i]);
	free(control->files);
	free(control->raw);
	memset(control, 0, sizeof(*control));
}

long socket_file_read(struct file *file, struct user_io *io, int64_t offset)
{
	struct socket *s = (struct socket *)file;
	int out_flags = 0;

	return s->ops->recv(s, task_current, io, NULL, NULL, 0, &out_flags);
}

long socket_file_write(struct file *file, struct user_io *io, int64_t offset)
{
	struct socket *s = (struct socket *)file;

	return s->ops->send(s, task_current, io, NULL, NULL, 0);
}

int socket_create(struct task *task, int family, int type, int protocol, struct file **out)
{
	uint32_t flags = (uint32_t)type & SOCK_NONBLOCK; /* O_NONBLOCK by another name */
	const struct socket_backend *backend = task->process->container->network;

	type &= ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
	switch (family) {
	default:
		return -EAFNOSUPPORT;
	case AF_INET:
	case AF_INET6:
		return backend ? backend->create(family, type, protocol, flags, out) :
				 -EAFNOSUPPORT;
	}
}

int unix_pair(struct task *task, int type, uint32_t flags, struct file *out[2])
{
	return -EAFNOSUPPORT;
}

static int socket_host_create(int family, int type, int protocol, uint32_t flags, struct file **out)
{
	return -EAFNOSUPPORT;
}

const struct socket_backend socket_backend_host = { "host", socket_host_create };
