/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/unix_host.c - unix sockets that are connected to one of the host's
 *
 * A node of type socket in a tree of the host, that nobody here is bound to, may have a program of the
 * host behind it: the gofer connects, and from then on the guest's socket is that connection. Bytes go
 * as they do for inet sockets; descriptors and credentials do not.
 *
 * A guest's own sockets are never the host's: whom the guest binds to a node, the host cannot reach.
 *
 * Called by unix_connect.c and through the operations.
 */
#include "sentry/net/unix.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/net/host.h"
#include "sentry/net/options.h"
#include "sentry/task/task.h"

static const struct jail_call unix_host_rows[] = {
	JAIL(sendmsg),
	JAIL(recvmsg),
	JAIL(shutdown),
	JAIL(getsockopt),
	JAIL(ppoll),
	JAIL(close),
	JAIL_IF(fcntl, 1, UINT32_MAX, F_SETFL),
	JAIL_IF(ioctl, 1, UINT32_MAX, SIOCINQ),
	JAIL_IF(ioctl, 1, UINT32_MAX, SIOCOUTQ),
	JAIL_IF(ioctl, 1, UINT32_MAX, SIOCATMARK),
};
const struct jail_list unix_host_calls = JAIL_LIST(unix_host_rows);

/* Whether a guest has the node: then the host has nobody there. */
static bool unix_host_ours(struct inode *inode)
{
	bool ours;

	pthread_mutex_lock(&inode->lock);
	ours = !S_ISSOCK(inode->attr.st_mode) || inode->bound;
	pthread_mutex_unlock(&inode->lock);
	return ours;
}

/* The host's end of what @path names. Return: a descriptor or negative errno */
static int unix_host_dial(struct task *task, const char *path, int type)
{
	struct inode *inode;
	struct walk walk;
	int r = walk_task(&walk, task, AT_FDCWD, path);

	if (r)
		return r;
	r = vfs_walk(&walk, path, 0);
	inode = r ? NULL : walk.path.dentry->inode;
	if (!r)
		r = vfs_permission(inode, task->cred, 2);
	if (!r)
		r = inode->ops->connect && !unix_host_ours(inode) ?
			    inode->ops->connect(inode, type) : -ECONNREFUSED;
	walk_end(&walk);
	return r;
}

int unix_host_take(struct unix_socket *u, int fd, const struct socket_addr *addr)
{
	int r = 0;

	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	pthread_mutex_lock(&u->lock);
	if (!r && (u->state != UNIX_IDLE || u->peer || u->host_fd >= 0))
		r = -EISCONN;
	if (!r) {
		u->state = UNIX_CONNECTED;
		u->host_peer = *addr;
		atomic_store(&u->host_fd, fd);
	}
	pthread_mutex_unlock(&u->lock);
	if (r)
		close(fd);
	else
		waitq_wake(&u->wait, POLLIN | POLLOUT | POLLHUP);
	return r;
}

int unix_host_connect(struct unix_socket *u, struct task *task, const struct socket_addr *addr)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->addr;
	char path[sizeof(un->sun_path) + 1] = { 0 };
	int fd;

	memcpy(path, un->sun_path, addr->len - offsetof(struct sockaddr_un, sun_path));
	fd = path[0] ? unix_host_dial(task, path, u->socket.type) : -ECONNREFUSED;
	return fd < 0 ? fd : unix_host_take(u, fd, addr);
}

long unix_host_send(struct unix_socket *u, struct user_io *io, const struct socket_addr *to,
		    struct socket_control *control, int flags)
{
	if (to)
		return u->socket.type == SOCK_STREAM ? -EISCONN : -EOPNOTSUPP;
	if (control && control->nfiles)
		return -EOPNOTSUPP;
	return host_fd_send(u->host_fd, io, NULL, flags);
}

long unix_host_recv(struct unix_socket *u, struct user_io *io, struct socket_addr *from, int flags,
		    int *out_flags)
{
	if (from)
		from->len = 0;
	return host_fd_recv(u->host_fd, io, NULL, NULL, flags & ~MSG_ERRQUEUE, out_flags,
			    u->socket.type);
}

int unix_host_getsockopt(struct unix_socket *u, int name, void *value, socklen_t *len)
{
	struct ucred cred = { .uid = UINT32_MAX, .gid = UINT32_MAX };
	int number = 0;
	socklen_t size = sizeof(number);

	switch (name) {
	case SO_PEERCRED:
		return option_tell(value, len, &cred, sizeof(cred));
	case SO_ERROR:
	case SO_SNDBUF:
	case SO_RCVBUF:
		if (getsockopt(u->host_fd, SOL_SOCKET, name, &number, &size) < 0)
			return -errno;
		break;
	case SO_PASSCRED:
	case SO_ACCEPTCONN:
		break;
	default:
		return option_get_plain(&u->socket, name, value, len);
	}
	return option_tell(value, len, &number, sizeof(number));
}
