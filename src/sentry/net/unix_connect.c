/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/unix_connect.c - who talks to whom
 *
 *	connect(2): a new socket, connected to the caller's, goes to the listener's backlog
 *	accept(2):  takes the first of them
 *	packets:    connect(2) only remembers where to send to
 *
 * A connection is there when connect(2) returns, accepted or not; what is sent waits in the new
 * socket's queue.
 *
 * Called through the operations.
 */
#include "sentry/net/unix.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/task/task.h"

#define UNIX_WAKE_ALL (POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLRDHUP | POLLHUP | POLLERR)

/* --- packets --- */

/* What the old peer sent must not look as if the new one had. */
static void unix_forget_peer(struct unix_socket *u, struct unix_socket *old)
{
	struct unix_queue queue;
	bool tell;

	unix_lock_two(u, old);
	queue = u->queue;
	u->queue = (struct unix_queue){ 0 };
	tell = queue.count && old->peer == u && !old->dead;
	if (tell)
		old->error = ECONNRESET;
	unix_unlock_two(u, old);
	if (tell)
		waitq_wake(&old->wait, UNIX_WAKE_ALL);
	unix_queue_free(&queue);
	unix_unblock_all(u);
}

static void unix_set_peer(struct unix_socket *u, struct unix_socket *peer)
{
	struct unix_socket *old;

	pthread_mutex_lock(&u->lock);
	old = u->peer;
	u->peer = peer;
	u->state = peer ? UNIX_CONNECTED : UNIX_IDLE;
	pthread_mutex_unlock(&u->lock);
	if (old && old != peer)
		unix_forget_peer(u, old);
	unix_drop(old);
	waitq_wake(&u->wait, UNIX_WAKE_ALL);
}

static int unix_connect_packets(struct unix_socket *u, struct task *task,
				const struct socket_addr *addr)
{
	struct unix_socket *peer;
	bool autobind;
	int r;

	if (addr->len >= sizeof(sa_family_t) && addr->addr.ss_family == AF_UNSPEC) {
		unix_set_peer(u, NULL);
		return 0;
	}
	pthread_mutex_lock(&u->lock);
	autobind = u->pass_cred && !u->name;
	pthread_mutex_unlock(&u->lock);
	r = autobind ? unix_autobind(u) : 0;
	if (!r)
		r = unix_find(task, addr, u->socket.type, &peer);
	if (r)
		return r;
	unix_lock_two(u, peer);
	if (peer->dead)
		r = -ECONNREFUSED;
	else if (peer->peer && peer->peer != u)
		r = -EPERM;
	unix_unlock_two(u, peer);
	if (r)
		unix_drop(peer);
	else
		unix_set_peer(u, peer);
	return r;
}

/* --- connections --- */

/* Its lock is held. Return: 0, -ECONNREFUSED, -EAGAIN: its backlog is full */
static int unix_may_offer(const struct unix_socket *listener)
{
	if (listener->dead || listener->state != UNIX_LISTENING || listener->host_port ||
	    (listener->shutdown & UNIX_SHUT_RECEIVE))
		return -ECONNREFUSED;
	return listener->nbacklog > listener->backlog_max ? -EAGAIN : 0;
}

/* Both locks are held. Return: 0 or why not */
static int unix_may_connect(struct unix_socket *u, struct unix_socket *listener)
{
	int r = unix_may_offer(listener);

	if (r == -EAGAIN)
		unix_block(u, listener);
	if (r)
		return r;
	if (u->state == UNIX_CONNECTED)
		return -EISCONN;
	return u->state == UNIX_LISTENING ? -EINVAL : 0;
}

/* The listener's lock is held; the reference to @other's file goes to the backlog. */
static void unix_enqueue(struct unix_socket *listener, struct unix_socket *other)
{
	other->name = unix_address_get(listener->name);
	if (listener->backlog)
		listener->backlog_last->backlog_next = other;
	else
		listener->backlog = other;
	listener->backlog_last = other;
	listener->nbacklog++;
}

int unix_offer(struct unix_socket *listener, struct unix_socket *other)
{
	int r;

	pthread_mutex_lock(&listener->lock);
	r = unix_may_offer(listener);
	if (!r)
		unix_enqueue(listener, other);
	pthread_mutex_unlock(&listener->lock);
	if (!r)
		waitq_wake(&listener->wait, POLLIN | POLLRDNORM);
	return r;
}

/* Both locks are held; @other is nobody's yet. */
static void unix_join(struct unix_socket *u, struct unix_socket *listener,
		      struct unix_socket *other)
{
	other->state = u->state = UNIX_CONNECTED;
	other->peer = unix_hold(u);
	u->peer = unix_hold(other);
	u->peer_cred = listener->peer_cred;
	unix_enqueue(listener, other);
}

static int unix_connect_stream(struct unix_socket *u, struct task *task,
			       const struct socket_addr *addr)
{
	struct unix_socket *listener, *other;
	int r = unix_find(task, addr, u->socket.type, &listener);

	if (r)
		return r;
	if (listener->host_port) {
		r = unix_port_connect(u, listener, addr);
		unix_drop(listener);
		return r;
	}
	/* It waits with nobody's descriptor. */
	r = file_is_crowded() ? -ENFILE : unix_new(listener->container, u->socket.type, 0, &other);
	if (r) {
		unix_drop(listener);
		return r;
	}
	unix_cred_of(task, &other->peer_cred);
	unix_lock_two(u, listener);
	r = unix_may_connect(u, listener);
	if (!r)
		unix_join(u, listener, other);
	unix_unlock_two(u, listener);
	if (r) {
		file_put(&other->socket.file);
	} else {
		waitq_wake(&listener->wait, POLLIN | POLLRDNORM);
		waitq_wake(&u->wait, UNIX_WAKE_ALL);
	}
	unix_drop(listener);
	return r;
}

int unix_connect(struct socket *s, struct task *task, const struct socket_addr *addr)
{
	struct unix_socket *u = unix_of(s);
	int r;

	if (u->host_fd >= 0)
		return -EISCONN;
	r = unix_is_packets(u) ? unix_connect_packets(u, task, addr) :
				 unix_connect_stream(u, task, addr);
	/* Nobody here; somebody there? */
	return r == -ECONNREFUSED ? unix_host_connect(u, task, addr) : r;
}

int unix_listen(struct socket *s, int backlog)
{
	struct unix_socket *u = unix_of(s);
	int r = 0;

	if (unix_is_packets(u))
		return -EOPNOTSUPP;
	pthread_mutex_lock(&u->lock);
	if (!u->name || u->state == UNIX_CONNECTED) {
		r = -EINVAL;
	} else {
		u->state = UNIX_LISTENING;
		u->backlog_max = (unsigned)backlog < UNIX_BACKLOG_MAX ? (unsigned)backlog :
									UNIX_BACKLOG_MAX;
		unix_cred_of(task_current, &u->peer_cred);
	}
	pthread_mutex_unlock(&u->lock);
	if (!r)
		unix_unblock_all(u);
	return r;
}

int unix_accept(struct socket *s, struct task *task, struct socket_addr *peer, struct file **out)
{
	struct unix_socket *u = unix_of(s), *other;
	bool pass_cred;
	int r = 0;

	if (unix_is_packets(u))
		return -EOPNOTSUPP;
	pthread_mutex_lock(&u->lock);
	other = u->backlog;
	pass_cred = u->pass_cred;
	if (u->state != UNIX_LISTENING) {
		r = -EINVAL;
	} else if (!other) {
		/* The end is told to who would wait. */
		r = (u->shutdown & UNIX_SHUT_RECEIVE) && !(s->file.flags & O_NONBLOCK) ? -EINVAL :
											-EAGAIN;
	} else {
		u->backlog = other->backlog_next;
		u->nbacklog--;
	}
	pthread_mutex_unlock(&u->lock);
	if (r)
		return r;
	unix_unblock_all(u);
	pthread_mutex_lock(&other->lock);
	other->backlog_next = NULL;
	other->pass_cred = pass_cred;
	pthread_mutex_unlock(&other->lock);
	unix_name(&other->socket, true, peer);
	*out = &other->socket.file;
	return 0;
}

int unix_name(struct socket *s, bool peer, struct socket_addr *out)
{
	struct unix_socket *u = unix_of(s), *whose;
	struct unix_address *name;

	if (peer && u->host_fd >= 0) {
		*out = u->host_peer;
		return 0;
	}
	pthread_mutex_lock(&u->lock);
	whose = unix_hold(peer ? u->peer : u);
	pthread_mutex_unlock(&u->lock);
	if (!whose)
		return -ENOTCONN;
	pthread_mutex_lock(&whose->lock);
	name = unix_address_get(whose->name);
	pthread_mutex_unlock(&whose->lock);
	unix_drop(whose);
	unix_address_tell(name, out);
	unix_address_put(name);
	return 0;
}

/* --- ends --- */

int unix_shutdown(struct socket *s, int how)
{
	unsigned mine = how == SHUT_RDWR ? UNIX_SHUT_BOTH :
			how == SHUT_WR	 ? UNIX_SHUT_SEND :
					   UNIX_SHUT_RECEIVE;
	unsigned theirs = mine == UNIX_SHUT_BOTH ? mine : mine ^ UNIX_SHUT_BOTH;
	struct unix_socket *u = unix_of(s), *peer;

	if (u->host_fd >= 0)
		return shutdown(u->host_fd, how) < 0 ? -errno : 0;
	pthread_mutex_lock(&u->lock);
	u->shutdown |= mine;
	peer = unix_is_packets(u) ? NULL : unix_hold(u->peer);
	pthread_mutex_unlock(&u->lock);
	if (peer) {
		pthread_mutex_lock(&peer->lock);
		peer->shutdown |= theirs;
		pthread_mutex_unlock(&peer->lock);
		waitq_wake(&peer->wait, UNIX_WAKE_ALL);
	}
	waitq_wake(&u->wait, UNIX_WAKE_ALL);
	unix_unblock_all(u);
	unix_drop(peer);
	return 0;
}

/* The other side of a connection: nothing comes any more, nothing arrives; what it had sent and was
 * not read is lost, and it is told. */
static void unix_tell_peer(struct unix_socket *u, struct unix_socket *peer, bool lost)
{
	pthread_mutex_lock(&peer->lock);
	if (peer->peer == u) {
		peer->shutdown = UNIX_SHUT_BOTH;
		if (lost)
			peer->error = ECONNRESET;
	}
	pthread_mutex_unlock(&peer->lock);
	waitq_wake(&peer->wait, UNIX_WAKE_ALL);
}

void unix_disconnect(struct unix_socket *u)
{
	struct unix_socket *peer, *backlog, *next;
	struct unix_queue queue;

	pthread_mutex_lock(&u->lock);
	u->dead = true;
	u->state = UNIX_IDLE;
	u->shutdown = UNIX_SHUT_BOTH;
	peer = steal_ptr(u->peer);
	backlog = steal_ptr(u->backlog);
	queue = u->queue;
	u->queue = (struct unix_queue){ 0 };
	pthread_mutex_unlock(&u->lock);
	unix_unblock_all(u);
	if (peer && !unix_is_packets(u))
		unix_tell_peer(u, peer, queue.count || u->unaccepted);
	unix_drop(peer);
	for (; backlog; backlog = next) {
		next = backlog->backlog_next;
		backlog->unaccepted = true;
		file_put(&backlog->socket.file);
	}
	unix_queue_free(&queue);
}
