/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/unix_recv.c - messages out of one's own queue
 *
 *	queue -> guest memory; descriptors and credentials -> struct socket_control
 *
 * A stream's read goes over the ends of messages, but not from one writer's to another's when the
 * reader wants to know who wrote, and not past descriptors.
 *
 * Called through the operations.
 */
#include "sentry/net/unix.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"

/* Who has no name is told without a family, as Linux does. */
static void unix_tell_from(const struct unix_message *m, struct socket_addr *from)
{
	unix_address_tell(m->from, from);
	if (!m->from)
		from->len = 0;
}

static void unix_tell_cred(const struct unix_message *m, struct task *task,
			   struct socket_control *control)
{
	control->cred = m->who.cred;
	if (!task || m->who.container != task->process->container)
		control->cred.pid = 0;
	control->has_cred = true;
}

/* Copies of the message's references: it stays, and so do they. */
static void unix_peek_files(const struct unix_message *m, struct socket_control *control)
{
	struct file **files = calloc(m->nfiles, sizeof(struct file *));

	if (!files) {
		control->truncated = true;
		return;
	}
	for (unsigned i = 0; i < m->nfiles; i++)
		files[i] = file_get(m->files[i]);
	control->files = files;
	control->nfiles = m->nfiles;
}

/* The message's own; they stay in flight until the lock was given up. */
static void unix_move_files(struct unix_message *m, struct socket_control *control)
{
	control->files = steal_ptr(m->files);
	control->nfiles = m->nfiles;
	m->nfiles = 0;
}

/* --- streams --- */

struct unix_read {
	struct unix_socket *u;
	struct task *task;
	struct user_io *io;
	struct socket_addr *from;
	struct socket_control *control;
	bool peek;
	size_t done;
	struct unix_message *used; /* to be freed without the lock */
};

/* Whether @m may be read together with what was read before. */
static bool unix_read_fits(const struct unix_read *rd, const struct unix_message *m,
			   const struct unix_message *before)
{
	if (!before)
		return true;
	if (rd->u->pass_cred &&
	    (m->who.container != before->who.container ||
	     memcmp(&m->who.cred, &before->who.cred, sizeof(m->who.cred)) != 0))
		return false;
	return true;
}

/* Some of @m. Return: whether to go on with the next one */
static bool unix_read_message(struct unix_read *rd, struct unix_message *m, bool first)
{
	size_t n = m->len - m->off, copied;
	bool had_files = m->nfiles != 0;

	if (first) {
		if (rd->u->pass_cred)
			unix_tell_cred(m, rd->task, rd->control);
		if (rd->from)
			unix_tell_from(m, rd->from);
	}
	copied = user_io_put(rd->io, m->data + m->off, n < rd->io->left ? n : rd->io->left);
	rd->done += copied;
	if (had_files) {
		if (rd->peek)
			unix_peek_files(m, rd->control);
		else
			unix_move_files(m, rd->control);
	}
	if (!rd->peek) {
		m->off += copied;
		rd->u->queue.bytes -= copied;
		if (m->off == m->len) {
			unix_queue_pop(&rd->u->queue);
			m->next = rd->used;
			rd->used = m;
		}
	}
	return copied == n && !had_files && rd->io->left;
}

/* The lock is held. */
static void unix_read_queue(struct unix_read *rd)
{
	struct unix_message *before = NULL, *m, *next;
	bool more = true;

	for (m = rd->u->queue.first; m && more && unix_read_fits(rd, m, before); m = next) {
		next = m->next;
		more = unix_read_message(rd, m, !before);
		before = m;
	}
}

/* That nothing will come any more is an end, but for packets only to who would wait for some. */
static long unix_read_nothing(struct unix_socket *u, int flags)
{
	int error = u->error;

	u->error = 0;
	if (error)
		return -error;
	if ((u->shutdown & UNIX_SHUT_RECEIVE) && !(unix_is_packets(u) && (flags & MSG_DONTWAIT)))
		return 0;
	return -EAGAIN;
}

static long unix_recv_stream(struct unix_read *rd, int flags)
{
	struct unix_socket *u = rd->u;
	struct unix_message *m;
	long r = 0;

	pthread_mutex_lock(&u->lock);
	if (u->state != UNIX_CONNECTED)
		r = -EINVAL;
	else if (!u->queue.first)
		r = unix_read_nothing(u, flags);
	else
		unix_read_queue(rd);
	pthread_mutex_unlock(&u->lock);
	if (!rd->peek)
		flight_detach(rd->control->files, rd->control->nfiles);
	while ((m = rd->used)) {
		rd->used = m->next;
		unix_message_free(m);
	}
	return r ? r : (long)rd->done;
}

/* --- packets --- */

/* The lock is held. Return: the length that recv(2) tells */
static long unix_read_packet(struct unix_read *rd, int flags, int *out_flags)
{
	struct unix_message *m = rd->u->queue.first;
	size_t copied;

	if (rd->u->pass_cred)
		unix_tell_cred(m, rd->task, rd->control);
	if (rd->from)
		unix_tell_from(m, rd->from);
	copied = user_io_put(rd->io, m->data, m->len < rd->io->left ? m->len : rd->io->left);
	if (copied < m->len)
		*out_flags |= MSG_TRUNC;
	if (m->nfiles) {
		if (rd->peek)
			unix_peek_files(m, rd->control);
		else
			unix_move_files(m, rd->control);
	}
	if (!rd->peek)
		rd->used = unix_queue_pop(&rd->u->queue);
	return (long)(flags & MSG_TRUNC ? m->len : copied);
}

static long unix_recv_packet(struct unix_read *rd, int flags, int *out_flags)
{
	struct unix_socket *u = rd->u;
	long r;

	pthread_mutex_lock(&u->lock);
	if (!unix_is_packets(u) && u->state != UNIX_CONNECTED)
		r = -ENOTCONN;
	else if (!u->queue.first)
		r = unix_read_nothing(u, flags);
	else
		r = unix_read_packet(rd, flags, out_flags);
	pthread_mutex_unlock(&u->lock);
	if (!rd->used)
		return r;
	flight_detach(rd->control->files, rd->control->nfiles);
	unix_message_free(rd->used);
	unix_unblock_all(u);
	return r;
}

long unix_recv(struct socket *s, struct task *task, struct user_io *io, struct socket_addr *from,
	       struct socket_control *control, int flags, int *out_flags)
{
	struct socket_control ignored = { 0 };
	struct unix_read rd = {
		.u = unix_of(s), .task = task, .io = io, .from = from,
		.control = control ? control : &ignored, .peek = flags & MSG_PEEK,
	};
	long r;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (rd.u->host_fd >= 0)
		return unix_host_recv(rd.u, io, from, flags, out_flags);
	if (s->type == SOCK_STREAM)
		r = unix_recv_stream(&rd, flags);
	else
		r = unix_recv_packet(&rd, flags, out_flags);
	socket_control_free(&ignored);
	return r;
}
