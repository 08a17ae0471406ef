/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/unix_send.c - messages into another's queue
 *
 *	guest memory -> struct unix_message -> the receiver's queue -> unix_recv.c
 *
 * A message counts against its sender's budget (SO_SNDBUF) until it is read, and against a bound
 * for all of them together. Packets also need room in the receiver's queue; who finds none is
 * not writable until there is (unix_block()).
 *
 * Called through the operations.
 */
#include "sentry/net/unix.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/task/task.h"
#include "sentry/vfs/bound.h"

/* What a message costs beside its bytes: Linux has about as much. */
#define UNIX_OVERHEAD  512u

/* Of all messages. */
static struct bound unix_bytes = { .each = 8, .least = 4u << 20, .most = 256u << 20 };

bool unix_room(const struct unix_socket *u, const struct unix_socket *peer)
{
	return peer == u || peer->peer == u || peer->queue.count <= UNIX_QUEUE_PACKETS;
}

/* --- messages --- */

void unix_message_free(struct unix_message *m)
{
	struct unix_socket *sender = m->sender;

	flight_detach(m->files, m->nfiles);
	flight_release(m->files, m->nfiles);
	free(m->files);
	unix_address_put(m->from);
	bound_give(&unix_bytes, m->charge);
	atomic_fetch_sub(&sender->sent, m->charge);
	if (unix_writable(sender))
		waitq_wake(&sender->wait, POLLOUT | POLLWRNORM | POLLWRBAND);
	unix_drop(sender);
	free(m);
}

struct unix_message *unix_queue_pop(struct unix_queue *queue)
{
	struct unix_message *m = queue->first;

	if (!m)
		return NULL;
	queue->first = m->next;
	if (!queue->first)
		queue->last = NULL;
	queue->count--;
	queue->bytes -= m->len - m->off;
	m->next = NULL;
	return m;
}

static void unix_queue_push(struct unix_queue *queue, struct unix_message *m)
{
	if (queue->last)
		queue->last->next = m;
	else
		queue->first = m;
	queue->last = m;
	queue->count++;
	queue->bytes += m->len - m->off;
}

void unix_queue_free(struct unix_queue *queue)
{
	struct unix_message *m;

	while ((m = unix_queue_pop(queue)))
		unix_message_free(m);
}

/* The files are in flight from now on, with references of their own to the message. */
static int unix_message_files(struct unix_message *m, struct task *task,
			      struct socket_control *control)
{
	int r;

	if (!control || !control->nfiles)
		return 0;
	r = flight_attach(task, control->files, control->nfiles);
	if (r)
		return r;
	m->files = steal_ptr(control->files);
	m->nfiles = control->nfiles;
	control->nfiles = 0;
	return 0;
}

static int unix_message_new(struct unix_socket *u, struct task *task, struct user_io *io,
			    size_t len, struct socket_control *control, struct unix_message **out)
{
	size_t charge = len + UNIX_OVERHEAD;
	struct unix_message *m;
	int r;

	if (!bound_take(&unix_bytes, charge))
		return -ENOBUFS;
	m = malloc(sizeof(*m) + len);
	if (!m) {
		bound_give(&unix_bytes, charge);
		return -ENOBUFS;
	}
	memset(m, 0, sizeof(*m));
	m->sender = unix_hold(u);
	m->len = len;
	m->charge = charge;
	atomic_fetch_add(&u->sent, charge);
	unix_cred_of(task, &m->who);
	if (control && control->has_cred)
		m->who.cred = control->cred;
	pthread_mutex_lock(&u->lock);
	m->from = unix_address_get(u->name);
	pthread_mutex_unlock(&u->lock);
	r = user_io_get(io, m->data, len) == len ? 0 : -EFAULT;
	if (!r)
		r = unix_message_files(m, task, control);
	if (r)
		unix_message_free(m);
	else
		*out = m;
	return r;
}

/* It found no room after all: the caller may try again with what it had. */
static void unix_message_undo(struct unix_message *m, struct user_io *io,
			      struct socket_control *control)
{
	flight_detach(m->files, m->nfiles);
	if (control && m->nfiles) {
		control->files = steal_ptr(m->files);
		control->nfiles = m->nfiles;
		m->nfiles = 0;
	}
	unix_message_free(m);
}

/* --- streams --- */

static int unix_deliver_stream(struct unix_socket *u, struct unix_socket *peer,
			       struct unix_message *m)
{
	bool gone;

	pthread_mutex_lock(&peer->lock);
	gone = peer->dead || (peer->shutdown & UNIX_SHUT_RECEIVE);
	if (!gone)
		unix_queue_push(&peer->queue, m);
	pthread_mutex_unlock(&peer->lock);
	if (gone)
		return -EPIPE;
	waitq_wake(&peer->wait, POLLIN | POLLRDNORM);
	return 0;
}

/* What is to be told once, and has not been. The lock is held. */
static int unix_take_error(struct unix_socket *u)
{
	int error = u->error;

	u->error = 0;
	return -error;
}

/* A reference to whom a connection leads. */
static int unix_stream_peer(struct unix_socket *u, const struct socket_addr *to,
			    struct unix_socket **out)
{
	int r = 0;

	pthread_mutex_lock(&u->lock);
	if (to && u->socket.type == SOCK_STREAM)
		r = u->state == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	else if (u->shutdown & UNIX_SHUT_SEND)
		r = -EPIPE;
	else if (!u->peer)
		r = -ENOTCONN;
	else
		r = unix_take_error(u);
	*out = r ? NULL : unix_hold(u->peer);
	pthread_mutex_unlock(&u->lock);
	return r;
}

static long unix_send_stream(struct unix_socket *u, struct task *task, struct user_io *io,
			     const struct socket_addr *to, struct socket_control *control)
{
	struct unix_socket *peer;
	size_t done = 0;
	int r = unix_stream_peer(u, to, &peer);

	if (r)
		return r;
	while (io->left) {
		size_t most = u->send_max / 2 < UNIX_CHUNK ? u->send_max / 2 : UNIX_CHUNK;
		struct unix_message *m;
		size_t n = io->left < most ? io->left : most;

		if (atomic_load(&u->sent) >= u->send_max) {
			r = -EAGAIN;
			break;
		}
		r = unix_message_new(u, task, io, n, control, &m);
		if (r)
			break;
		r = unix_deliver_stream(u, peer, m);
		if (r) {
			unix_message_free(m);
			break;
		}
		done += n;
	}
	unix_drop(peer);
	return done ? (long)done : r;
}

/* --- packets --- */

/* To whom a packet goes, held. */
static int unix_packet_peer(struct unix_socket *u, struct task *task, const struct socket_addr *to,
			    struct unix_socket **out)
{
	bool autobind;
	int r;

	if (!unix_is_packets(u))
		return unix_stream_peer(u, NULL, out);
	pthread_mutex_lock(&u->lock);
	autobind = u->pass_cred && !u->name;
	r = u->shutdown & UNIX_SHUT_SEND ? -EPIPE : unix_take_error(u);
	*out = to || r ? NULL : unix_hold(u->peer);
	pthread_mutex_unlock(&u->lock);
	if (!r && autobind)
		r = unix_autobind(u);
	if (!r && to)
		r = unix_find(task, to, u->socket.type, out);
	if (r) {
		unix_drop(*out);
		return r;
	}
	return *out ? 0 : -ENOTCONN;
}

/* Whom it was connected to is gone: it is not connected any more. */
static void unix_packet_lost(struct unix_socket *u, struct unix_socket *peer)
{
	bool mine;

	pthread_mutex_lock(&u->lock);
	mine = unix_is_packets(u) && u->peer == peer;
	if (mine) {
		u->peer = NULL;
		u->state = UNIX_IDLE;
	}
	pthread_mutex_unlock(&u->lock);
	if (mine)
		unix_drop(peer);
}

/* @peer's lock is held. */
static int unix_packet_may(struct unix_socket *u, struct unix_socket *peer)
{
	if (peer->dead)
		return unix_is_packets(u) ? -ECONNREFUSED : -EPIPE;
	if (peer->peer && peer->peer != u)
		return -EPERM;
	if (peer->shutdown & UNIX_SHUT_RECEIVE)
		return -EPIPE;
	if (!unix_room(u, peer)) {
		unix_block(u, peer);
		return -EAGAIN;
	}
	return 0;
}

static long unix_send_packet(struct unix_socket *u, struct task *task, struct user_io *io,
			     const struct socket_addr *to, struct socket_control *control)
{
	struct unix_message *m = NULL;
	struct unix_socket *peer;
	size_t len = io->left;
	int r = unix_packet_peer(u, task, to, &peer);

	if (r)
		return r;
	pthread_mutex_lock(&peer->lock);
	r = unix_packet_may(u, peer);
	pthread_mutex_unlock(&peer->lock);
	if (!r && len > u->send_max - 32)
		r = -EMSGSIZE;
	if (!r && atomic_load(&u->sent) >= u->send_max)
		r = -EAGAIN;
	if (!r)
		r = unix_message_new(u, task, io, len, control, &m);
	if (!r) {
		pthread_mutex_lock(&peer->lock);
		r = unix_packet_may(u, peer);
		if (!r)
			unix_queue_push(&peer->queue, m);
		pthread_mutex_unlock(&peer->lock);
		if (r)
			unix_message_undo(m, io, control);
	}
	if (!r)
		waitq_wake(&peer->wait, POLLIN | POLLRDNORM);
	else if (r == -ECONNREFUSED)
		unix_packet_lost(u, peer);
	unix_drop(peer);
	return r ? r : (long)len;
}

long unix_send(struct socket *s, struct task *task, struct user_io *io,
	       const struct socket_addr *to, struct socket_control *control, int flags)
{
	struct unix_socket *u = unix_of(s);

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (u->host_fd >= 0)
		return unix_host_send(u, io, to, control, flags);
	if (control && control->unknown)
		return -EINVAL;
	return s->type == SOCK_STREAM ? unix_send_stream(u, task, io, to, control) :
					unix_send_packet(u, task, io, to, control);
}
