/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/host_data.c - bytes between guest memory and sockets of the host
 *
 * The pieces of guest memory are what sendmsg(2) and recvmsg(2) of the host work on: no copy is made
 * here, and a call that is ready is one call of the host. Flags of no use here are dropped, as Linux
 * drops those it does not know; control messages are those of a list.
 *
 * Called through the operations.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/net/host.h"

static const struct jail_call host_data_rows[] = {
	JAIL(sendmsg),
	JAIL(recvmsg),
};
const struct jail_list host_data_calls = JAIL_LIST(host_data_rows);

#define HOST_SEND_FLAGS	 (MSG_OOB | MSG_DONTROUTE | MSG_EOR | MSG_MORE | MSG_CONFIRM)
#define HOST_RECV_FLAGS	 (MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_ERRQUEUE)
#define HOST_CONTROL_MAX 1024u

long host_fd_send(int fd, struct user_io *io, const struct msghdr *with, int flags)
{
	struct msghdr msg = { 0 };
	ssize_t n;

	if (with)
		msg = *with;
	msg.msg_iov = io->iov;
	msg.msg_iovlen = io->niov;
	n = sendmsg(fd, &msg, (flags & HOST_SEND_FLAGS) | MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

long host_send(struct socket *s, struct task *task, struct user_io *io,
	       const struct socket_addr *to, struct socket_control *control, int flags)
{
	struct msghdr msg = { 0 };

	if (to) {
		msg.msg_name = (void *)&to->addr;
		msg.msg_namelen = to->len;
	}
	if (control && control->raw_len) {
		if (!host_control_allowed(control->raw, control->raw_len))
			return -EINVAL;
		msg.msg_control = control->raw;
		msg.msg_controllen = control->raw_len;
	}
	return host_fd_send(host_of(s)->fd, io, &msg, flags);
}

/* Room for what else the host has to say, if the guest wants it. */
static int host_recv_control(struct socket_control *control, struct msghdr *msg)
{
	if (!control || !control->raw_room)
		return 0;
	msg->msg_controllen = control->raw_room < HOST_CONTROL_MAX ? control->raw_room :
								     HOST_CONTROL_MAX;
	if (!control->raw)
		control->raw = calloc(1, HOST_CONTROL_MAX);
	if (!control->raw)
		return -ENOMEM;
	msg->msg_control = control->raw;
	return 0;
}

long host_fd_recv(int fd, struct user_io *io, struct socket_addr *from,
		  struct socket_control *control, int flags, int *out_flags, int type)
{
	struct msghdr msg = { .msg_iov = io->iov, .msg_iovlen = io->niov };
	int r = host_recv_control(control, &msg);
	ssize_t n;

	if (r)
		return r;
	if (from) {
		msg.msg_name = &from->addr;
		msg.msg_namelen = sizeof(from->addr);
	}
	n = recvmsg(fd, &msg, (flags & HOST_RECV_FLAGS) | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	if (from)
		from->len = msg.msg_namelen;
	if (msg.msg_control)
		control->raw_len = msg.msg_controllen;
	*out_flags |= msg.msg_flags & ~MSG_CMSG_CLOEXEC;
	if (!(flags & MSG_TRUNC) || type != SOCK_STREAM)
		user_io_advance(io, (size_t)n);
	return n;
}

long host_recv(struct socket *s, struct task *task, struct user_io *io, struct socket_addr *from,
	       struct socket_control *control, int flags, int *out_flags)
{
	return host_fd_recv(host_of(s)->fd, io, from, control, flags, out_flags, s->type);
}
