/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/unix.c - unix sockets: their life, poll, options
 *
 *	socket(2) -> unix_create() -> unix_new()    socketpair(2) -> unix_pair()
 *	last close -> unix_release(): unbound, the peer told, queues emptied; memory goes with the
 *	              last hold
 *
 * Called by socket.c and through the operations.
 */
#include "sentry/net/unix.h"

#include <asm/ioctls.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/net/host.h"
#include "sentry/net/options.h"
#include "sentry/task/task.h"

static const struct socket_ops unix_socket_ops;

struct unix_socket *unix_hold(struct unix_socket *u)
{
	if (u)
		atomic_fetch_add(&u->holds, 1);
	return u;
}

void unix_drop(struct unix_socket *u)
{
	if (!u || atomic_fetch_sub(&u->holds, 1) != 1)
		return;
	unix_address_put(u->name);
	if (u->host_fd >= 0)
		close(u->host_fd);
	pthread_mutex_destroy(&u->lock);
	waitq_destroy(&u->wait);
	container_put(u->container);
	free(u);
}

void unix_lock_two(struct unix_socket *a, struct unix_socket *b)
{
	struct unix_socket *first = (uintptr_t)a < (uintptr_t)b ? a : b;

	pthread_mutex_lock(&first->lock);
	if (a != b)
		pthread_mutex_lock(first == a ? &b->lock : &a->lock);
}

void unix_unlock_two(struct unix_socket *a, struct unix_socket *b)
{
	pthread_mutex_unlock(&a->lock);
	if (a != b)
		pthread_mutex_unlock(&b->lock);
}

void unix_cred_of(struct task *task, struct unix_cred *out)
{
	memset(out, 0, sizeof(*out));
	if (!task)
		return;
	out->container = task->process->container;
	out->cred.pid = task->process->pid;
	out->cred.uid = task->cred->euid;
	out->cred.gid = task->cred->egid;
}

/* --- who waits for room at another's --- */

static pthread_mutex_t unix_blocked_lock = PTHREAD_MUTEX_INITIALIZER;

static void unix_blocked_unlink(struct unix_socket *u)
{
	struct unix_socket *on = u->blocked_on, *at = on->blockers;

	if (at == u) {
		on->blockers = u->blocked_next;
	} else {
		while (at->blocked_next != u)
			at = at->blocked_next;
		at->blocked_next = u->blocked_next;
	}
	u->blocked_on = NULL;
}

void unix_block(struct unix_socket *u, struct unix_socket *on)
{
	pthread_mutex_lock(&unix_blocked_lock);
	if (u->blocked_on != on) {
		if (u->blocked_on)
			unix_blocked_unlink(u);
		else
			unix_hold(u);
		u->blocked_on = on;
		u->blocked_next = on->blockers;
		on->blockers = u;
	}
	pthread_mutex_unlock(&unix_blocked_lock);
}

void unix_unblock_all(struct unix_socket *on)
{
	struct unix_socket *u, *next;

	if (!on->blockers)
		return;
	pthread_mutex_lock(&unix_blocked_lock);
	u = on->blockers;
	on->blockers = NULL;
	for (struct unix_socket *each = u; each; each = each->blocked_next)
		each->blocked_on = NULL;
	/* Woken under the lock: without blocked_on they may be put on another list at once. */
	for (; u; u = next) {
		next = u->blocked_next;
		waitq_wake(&u->wait, POLLOUT | POLLWRNORM | POLLWRBAND);
		unix_drop(u);
	}
	pthread_mutex_unlock(&unix_blocked_lock);
}

static void unix_unblock_self(struct unix_socket *u)
{
	bool linked;

	pthread_mutex_lock(&unix_blocked_lock);
	linked = u->blocked_on != NULL;
	if (linked)
		unix_blocked_unlink(u);
	pthread_mutex_unlock(&unix_blocked_lock);
	if (linked)
		unix_drop(u);
}

/* --- life --- */

int unix_new(struct sandbox_container *container, int type, uint32_t flags,
	     struct unix_socket **out)
{
	struct unix_socket *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	r = socket_init(&u->socket, &unix_file_ops, &unix_socket_ops, AF_UNIX, type, 0, flags);
	if (r) {
		free(u);
		return r;
	}
	u->holds = 1;
	if (container) {
		u->container = container_get(container);
		u->net_space = container->net_space;
	}
	u->host_fd = -1;
	u->send_max = u->receive_max = OPTION_BUFFER_DEFAULT;
	pthread_mutex_init(&u->lock, NULL);
	waitq_init(&u->wait);
	unix_list_add(u);
	*out = u;
	return 0;
}

/* SOCK_RAW is another name of SOCK_DGRAM here. */
static int unix_type(int type)
{
	switch (type) {
	case SOCK_STREAM:
	case SOCK_DGRAM:
	case SOCK_SEQPACKET:
		return type;
	case SOCK_RAW:
		return SOCK_DGRAM;
	default:
		return -ESOCKTNOSUPPORT;
	}
}

int unix_create(struct task *task, int type, int protocol, uint32_t flags, struct file **out)
{
	struct unix_socket *u;
	int r;

	if (protocol && protocol != PF_UNIX)
		return -EPROTONOSUPPORT;
	type = unix_type(type);
	if (type < 0)
		return type;
	r = unix_new(task->process->container, type, flags, &u);
	if (!r)
		*out = &u->socket.file;
	return r;
}

int unix_pair(struct task *task, int type, uint32_t flags, struct file *out[2])
{
	struct unix_socket *a, *b;
	int r;

	type = unix_type(type);
	if (type < 0)
		return type;
	r = unix_new(task->process->container, type, flags, &a);
	if (r)
		return r;
	r = unix_new(task->process->container, type, flags, &b);
	if (r) {
		file_put(&a->socket.file);
		return r;
	}
	a->state = b->state = UNIX_CONNECTED;
	a->peer = unix_hold(b);
	b->peer = unix_hold(a);
	unix_cred_of(task, &a->peer_cred);
	b->peer_cred = a->peer_cred;
	out[0] = &a->socket.file;
	out[1] = &b->socket.file;
	return 0;
}

static void unix_release(struct file *file)
{
	struct unix_socket *u = (struct unix_socket *)file;

	unix_list_remove(u);
	unix_unbind(u);
	unix_disconnect(u);
	unix_unblock_self(u);
	socket_free_common(&u->socket);
	unix_drop(u);
	flight_ended();
}

/* --- poll --- */

bool unix_writable(const struct unix_socket *u)
{
	return atomic_load(&u->sent) * 4 <= u->send_max;
}

/* Packets to a fixed receiver: its queue counts as well. */
static bool unix_peer_has_room(struct unix_socket *u)
{
	struct unix_socket *peer;
	bool room;

	pthread_mutex_lock(&u->lock);
	peer = u->peer != u ? unix_hold(u->peer) : NULL;
	pthread_mutex_unlock(&u->lock);
	if (!peer)
		return true;
	pthread_mutex_lock(&peer->lock);
	room = peer->dead || unix_room(u, peer);
	if (!room)
		unix_block(u, peer);
	pthread_mutex_unlock(&peer->lock);
	unix_drop(peer);
	return room;
}

static uint32_t unix_poll(struct file *file, uint32_t mask, struct wait *wait)
{
	struct unix_socket *u = (struct unix_socket *)file;
	uint32_t ready = 0;
	bool listening;

	if (wait)
		wait_on(wait, &u->wait, mask);
	if (u->host_fd >= 0)
		return host_fd_poll(u->host_fd, mask, wait);
	pthread_mutex_lock(&u->lock);
	listening = u->state == UNIX_LISTENING;
	if (u->error)
		ready |= POLLERR;
	if (u->shutdown == UNIX_SHUT_BOTH)
		ready |= POLLHUP;
	if (u->shutdown & UNIX_SHUT_RECEIVE)
		ready |= POLLRDHUP | POLLIN | POLLRDNORM;
	if (u->queue.first || u->backlog)
		ready |= POLLIN | POLLRDNORM;
	/* But one that waits for room in a backlog. */
	if (!unix_is_packets(u) && u->state == UNIX_IDLE && !u->blocked_on)
		ready |= POLLHUP;
	pthread_mutex_unlock(&u->lock);
	if ((mask & (POLLOUT | POLLWRNORM | POLLWRBAND)) && !listening && unix_writable(u) &&
	    !u->blocked_on && (!unix_is_packets(u) || unix_peer_has_room(u)))
		ready |= POLLOUT | POLLWRNORM | POLLWRBAND;
	return ready & (mask | POLLERR | POLLHUP);
}

/* --- ioctl, options --- */

static long unix_ioctl(struct file *file, struct task *task, uint32_t cmd, uint64_t arg)
{
	struct unix_socket *u = (struct unix_socket *)file;
	int value;

	if (u->host_fd >= 0)
		return host_fd_ioctl(u->host_fd, task, cmd, arg);
	switch (cmd) {
	case SIOCINQ:
		pthread_mutex_lock(&u->lock);
		if (u->socket.type == SOCK_STREAM || !u->queue.first)
			value = (int)u->queue.bytes;
		else
			value = (int)u->queue.first->len;
		if (u->state == UNIX_LISTENING)
			value = -EINVAL;
		pthread_mutex_unlock(&u->lock);
		if (value < 0)
			return value;
		break;
	case SIOCOUTQ:
		value = (int)atomic_load(&u->sent);
		break;
	default:
		return socket_ioctl(task, cmd, arg);
	}
	return user_write(task->mm, arg, &value, sizeof(value));
}

/* As seen by who asks: numbers of another container mean nothing. */
static struct ucred unix_cred_seen(const struct unix_cred *who)
{
	struct ucred cred = who->cred;

	if (!task_current || task_current->process->container != who->container)
		cred.pid = 0;
	return cred;
}

static int unix_getsockopt(struct socket *s, int level, int name, void *value, socklen_t *len)
{
	struct unix_socket *u = unix_of(s);
	struct ucred cred;
	int number;

	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	if (u->host_fd >= 0)
		return unix_host_getsockopt(u, name, value, len);
	pthread_mutex_lock(&u->lock);
	cred = unix_cred_seen(&u->peer_cred);
	if (!u->peer_cred.container) {
		/* Linux says so when nobody is there. */
		cred.uid = cred.gid = UINT32_MAX;
	}
	switch (name) {
	case SO_ERROR:
		number = u->error;
		u->error = 0;
		break;
	case SO_PASSCRED:
		number = u->pass_cred;
		break;
	case SO_ACCEPTCONN:
		number = u->state == UNIX_LISTENING;
		break;
	case SO_SNDBUF:
		number = (int)u->send_max;
		break;
	case SO_RCVBUF:
		number = (int)u->receive_max;
		break;
	default:
		number = -1;
		break;
	}
	pthread_mutex_unlock(&u->lock);
	if (name == SO_PEERCRED)
		return option_tell(value, len, &cred, sizeof(cred));
	if (number < 0)
		return option_get_plain(s, name, value, len);
	return option_tell(value, len, &number, sizeof(number));
}

static int unix_setsockopt(struct socket *s, int level, int name, const void *value,
			   socklen_t len)
{
	struct unix_socket *u = unix_of(s);
	int number, r;

	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	r = option_int(value, len, &number);
	if (r)
		return r;
	switch (name) {
	case SO_PASSCRED:
		pthread_mutex_lock(&u->lock);
		u->pass_cred = number != 0;
		pthread_mutex_unlock(&u->lock);
		return 0;
	case SO_SNDBUF:
		u->send_max = option_buffer(number, UNIX_BUFFER_MIN);
		waitq_wake(&u->wait, POLLOUT | POLLWRNORM | POLLWRBAND);
		return 0;
	case SO_RCVBUF:
		u->receive_max = option_buffer(number, UNIX_BUFFER_MIN / 2);
		return 0;
	default:
		return option_set_plain(s, name, number);
	}
}

const struct file_ops unix_file_ops = {
	.name = "socket",
	.read = socket_file_read,
	.parks = true,
	.write = socket_file_write,
	.poll = unix_poll,
	.ioctl = unix_ioctl,
	.release = unix_release,
};

static const struct socket_ops unix_socket_ops = {
	.bind = unix_bind,
	.connect = unix_connect,
	.listen = unix_listen,
	.accept = unix_accept,
	.shutdown = unix_shutdown,
	.name = unix_name,
	.send = unix_send,
	.recv = unix_recv,
	.getsockopt = unix_getsockopt,
	.setsockopt = unix_setsockopt,
};
