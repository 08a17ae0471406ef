/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/unix_port.c - unix sockets that lead to ports of the host, and reverse
 *
 *	a name of ours    connect(2) --> the gofer dials the host's port --> unix_host.c's connection
 *	a guest's name    a connection from the host --> the listener's backlog --> accept(2)
 *
 * Either way the guest's socket is the host's connection: nobody carries bytes between two. A name of
 * ours is a listener that nobody accepts from, and has no container.
 *
 * Called by control/proxy.c and unix_connect.c.
 */
#include "sentry/net/unix.h"

#include "sentry/gofer/gofer.h"
#include "sentry/kernel.h"

int unix_port_listen(struct walk *dir, const char *path, uint32_t mode, uint32_t port,
		     struct file **out)
{
	struct vfs_create args = { .mode = S_IFSOCK, .exclusive = true };
	struct inode_attr attr = { .mask = ATTR_MODE, .mode = mode };
	struct unix_socket *u;
	int r = unix_new(NULL, SOCK_STREAM, 0, &u);

	if (r)
		return r;
	u->host_port = port;
	r = unix_bind_node(u, dir, path, &args, NULL);
	/* Nobody gets in before it is as open as it is to be. */
	if (!r) {
		r = vfs_setattr(&u->path, dir->cred, &attr);
		if (r)
			vfs_unlink(dir, path, false);
	}
	if (r) {
		file_put(&u->socket.file);
		return r;
	}
	pthread_mutex_lock(&u->lock);
	u->state = UNIX_LISTENING;
	pthread_mutex_unlock(&u->lock);
	*out = &u->socket.file;
	return 0;
}

int unix_port_connect(struct unix_socket *u, const struct unix_socket *listener,
		      const struct socket_addr *addr)
{
	int fd;

	if (listener->state != UNIX_LISTENING)
		return -ECONNREFUSED;
	if (u->state != UNIX_IDLE)
		return u->state == UNIX_CONNECTED ? -EISCONN : -EINVAL;
	fd = gofer_dial_port(kernel.gofer, listener->host_port);
	/* A queue of the host's is none that a task could wait on. */
	if (fd == -EAGAIN)
		return -ECONNREFUSED;
	return fd < 0 ? fd : unix_host_take(u, fd, addr);
}

/* @listener is held. */
static int unix_port_offer(struct unix_socket *listener, int fd)
{
	const struct socket_addr unnamed = { .len = sizeof(sa_family_t),
					     .addr.ss_family = AF_UNIX };
	struct unix_socket *other;
	int r = unix_new(listener->container, SOCK_STREAM, 0, &other);

	if (r)
		return r;
	other->state = UNIX_CONNECTED;
	other->host_peer = unnamed;
	atomic_store(&other->host_fd, fd);
	r = unix_offer(listener, other);
	if (r) {
		atomic_store(&other->host_fd, -1);
		file_put(&other->socket.file);
	}
	return r;
}

int unix_port_push(struct inode *node, int fd)
{
	struct unix_socket *listener;
	int r = unix_find_node(node, &listener);

	if (r)
		return r;
	r = listener->socket.type == SOCK_STREAM ? unix_port_offer(listener, fd) : -EPROTOTYPE;
	unix_drop(listener);
	return r;
}

bool unix_port_owns(struct inode *node, const struct file *file)
{
	bool owns;

	pthread_mutex_lock(&node->lock);
	owns = node->bound == file;
	pthread_mutex_unlock(&node->lock);
	return owns;
}
