/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/netlink.c - netlink sockets: rtnetlink, to be read only
 *
 *	a guest's request -> checked, answered at once into the socket's queue -> recvmsg(2)
 *	                     dumps come from net/links.c, with the guest's number and sequence
 *
 * Interfaces, addresses, routes, neighbours and rules can be listed; everything that changes is
 * EPERM. Groups can be joined, nothing is ever sent to them. Filters of a request are not looked at,
 * so GET_STRICT_CHK does not exist, and programs filter themselves as on older kernels.
 *
 * Called by socket.c and through the operations.
 */
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "sentry/net/links.h"
#include "sentry/net/net.h"
#include "sentry/net/options.h"
#include "sentry/task/task.h"
#include "sentry/vfs/bound.h"

#define NETLINK_REQUEST_MAX 4096u	 /* of one sendmsg(2) */
#define NETLINK_QUEUE_MAX   (208u << 10) /* bytes that wait to be read, of one */
#define NETLINK_DATAGRAM    3776u	 /* as Linux packs dumps: any reader's buffer takes it */

struct netlink_packet {
	struct netlink_packet *next;
	size_t len;
	char data[];
};

struct netlink_socket {
	struct socket socket; /* first */
	struct waitq wait;
	pthread_mutex_t lock; /* what follows */
	uint32_t port;	      /* 0: not bound */
	uint32_t groups;
	struct netlink_packet *first, *last;
	size_t bytes;
};

/* The same of all. */
static struct bound netlink_bytes = { .each = 64, .least = 1u << 20, .most = 16u << 20 };

static const struct file_ops netlink_file_ops;
static const struct socket_ops netlink_socket_ops;

static struct netlink_socket *netlink_of(struct socket *s)
{
	return (struct netlink_socket *)s;
}

/* Off the queue already. */
static void netlink_drop(struct netlink_socket *n, struct netlink_packet *p)
{
	n->bytes -= sizeof(*p) + p->len;
	bound_give(&netlink_bytes, sizeof(*p) + p->len);
	free(p);
}

int netlink_create(struct task *task, int type, int protocol, uint32_t flags, struct file **out)
{
	struct netlink_socket *n;
	int r;

	if (type != SOCK_RAW && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (protocol != NETLINK_ROUTE)
		return -EPROTONOSUPPORT;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	r = socket_init(&n->socket, &netlink_file_ops, &netlink_socket_ops, AF_NETLINK, type,
			protocol, flags);
	if (r) {
		free(n);
		return r;
	}
	waitq_init(&n->wait);
	pthread_mutex_init(&n->lock, NULL);
	*out = &n->socket.file;
	return 0;
}

static void netlink_release(struct file *file)
{
	struct netlink_socket *n = (struct netlink_socket *)file;
	struct netlink_packet *next;

	for (struct netlink_packet *p = n->first; p; p = next) {
		next = p->next;
		netlink_drop(n, p);
	}
	pthread_mutex_destroy(&n->lock);
	waitq_destroy(&n->wait);
	socket_free_common(&n->socket);
	free(n);
}

/* --- names --- */

/* The lock is held. A number that no process has: who asks for it finds it by getsockname(2). */
static void netlink_autobind(struct netlink_socket *n)
{
	static _Atomic uint32_t next = 0xffff0000u;

	if (!n->port)
		n->port = atomic_fetch_sub(&next, 1);
}

static int netlink_bind(struct socket *s, struct task *task, const struct socket_addr *addr)
{
	const struct sockaddr_nl *nl = (const struct sockaddr_nl *)&addr->addr;
	struct netlink_socket *n = netlink_of(s);
	int r = 0;

	if (addr->len < sizeof(*nl) || nl->nl_family != AF_NETLINK)
		return -EINVAL;
	pthread_mutex_lock(&n->lock);
	if (n->port && nl->nl_pid && n->port != nl->nl_pid)
		r = -EINVAL;
	else if (nl->nl_pid)
		n->port = nl->nl_pid;
	else
		netlink_autobind(n);
	if (!r)
		n->groups = nl->nl_groups;
	pthread_mutex_unlock(&n->lock);
	return r;
}

/* To the kernel, there is nobody else. */
static int netlink_connect(struct socket *s, struct task *task, const struct socket_addr *addr)
{
	const struct sockaddr_nl *nl = (const struct sockaddr_nl *)&addr->addr;
	struct netlink_socket *n = netlink_of(s);

	if (addr->len >= sizeof(sa_family_t) && nl->nl_family == AF_UNSPEC)
		return 0;
	if (addr->len < sizeof(*nl) || nl->nl_family != AF_NETLINK)
		return -EINVAL;
	if (nl->nl_pid || nl->nl_groups)
		return -EPERM;
	pthread_mutex_lock(&n->lock);
	netlink_autobind(n);
	pthread_mutex_unlock(&n->lock);
	return 0;
}

static int netlink_name(struct socket *s, bool peer, struct socket_addr *out)
{
	struct sockaddr_nl *nl = (struct sockaddr_nl *)&out->addr;
	struct netlink_socket *n = netlink_of(s);

	memset(out, 0, sizeof(*out));
	out->len = sizeof(*nl);
	nl->nl_family = AF_NETLINK;
	if (peer)
		return 0;
	pthread_mutex_lock(&n->lock);
	nl->nl_pid = n->port;
	nl->nl_groups = n->groups;
	pthread_mutex_unlock(&n->lock);
	return 0;
}

static int netlink_listen(struct socket *s, int backlog)
{
	return -EOPNOTSUPP;
}

static int netlink_accept(struct socket *s, struct task *task, struct socket_addr *peer,
			  struct file **out)
{
	return -EOPNOTSUPP;
}

static int netlink_shutdown(struct socket *s, int how)
{
	return -EOPNOTSUPP;
}

/* --- answers; the lock is held --- */

struct netlink_answer {
	struct netlink_socket *n;
	const struct nlmsghdr *request;
	struct buf packed; /* messages that will be one datagram */
	int index;	   /* of the only interface that is wanted; 0: all */
	const char *name;
	unsigned told;
};

static int netlink_queue(struct netlink_socket *n, const void *data, size_t len)
{
	struct netlink_packet *p;

	if (n->bytes + sizeof(*p) + len > NETLINK_QUEUE_MAX ||
	    !bound_take(&netlink_bytes, sizeof(*p) + len))
		return -ENOBUFS;
	p = malloc(sizeof(*p) + len);
	if (!p) {
		bound_give(&netlink_bytes, sizeof(*p) + len);
		return -ENOBUFS;
	}
	p->next = NULL;
	p->len = len;
	memcpy(p->data, data, len);
	if (n->last)
		n->last->next = p;
	else
		n->first = p;
	n->last = p;
	n->bytes += sizeof(*p) + len;
	return 0;
}

static int netlink_flush(struct netlink_answer *a)
{
	int r = 0;

	if (a->packed.len)
		r = netlink_queue(a->n, buf_data(&a->packed), a->packed.len);
	buf_consume(&a->packed, a->packed.len);
	return r;
}

static int netlink_put(struct netlink_answer *a, const struct nlmsghdr *message, size_t len)
{
	static const char padding[NLMSG_ALIGNTO];
	size_t pad = NLMSG_ALIGN(len) - len;
	int r = 0;

	if (a->packed.len + len > NETLINK_DATAGRAM)
		r = netlink_flush(a);
	if (!r)
		r = buf_append(&a->packed, message, len);
	return r || !pad ? r : buf_append(&a->packed, padding, pad);
}

/* A message of the host's, as an answer to this request. */
static int netlink_relay(const struct nlmsghdr *header, void *data)
{
	struct netlink_answer *a = data;
	struct nlmsghdr *copy = malloc(header->nlmsg_len);
	int r;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, header, header->nlmsg_len);
	copy->nlmsg_seq = a->request->nlmsg_seq;
	copy->nlmsg_pid = a->n->port;
	r = netlink_put(a, copy, copy->nlmsg_len);
	free(copy);
	a->told++;
	return r;
}

static int netlink_relay_link(const struct nlmsghdr *header, void *data)
{
	struct netlink_answer *a = data;
	const struct ifinfomsg *body = NLMSG_DATA(header);
	const char *name;
	struct nlmsghdr *single;
	int r;

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*body)) || header->nlmsg_type != RTM_NEWLINK)
		return 0;
	name = links_attribute(header, sizeof(*body), IFLA_IFNAME, 1);
	if (a->index ? body->ifi_index != a->index : !name || strcmp(name, a->name) != 0)
		return 0;
	single = malloc(header->nlmsg_len);
	if (!single)
		return -ENOMEM;
	memcpy(single, header, header->nlmsg_len);
	single->nlmsg_flags &= (uint16_t)~NLM_F_MULTI;
	r = netlink_relay(single, a);
	free(single);
	return r ? r : 2;
}

static int netlink_error(struct netlink_answer *a, int error)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr body;
	} message = {
		.header = { .nlmsg_len = sizeof(message), .nlmsg_type = NLMSG_ERROR,
			    .nlmsg_flags = NLM_F_CAPPED, .nlmsg_seq = a->request->nlmsg_seq,
			    .nlmsg_pid = a->n->port },
		.body = { .error = error, .msg = *a->request },
	};

	return netlink_put(a, &message.header, sizeof(message));
}

static int netlink_done(struct netlink_answer *a)
{
	struct {
		struct nlmsghdr header;
		int error;
	} message = {
		.header = { .nlmsg_len = sizeof(message), .nlmsg_type = NLMSG_DONE,
			    .nlmsg_flags = NLM_F_MULTI, .nlmsg_seq = a->request->nlmsg_seq,
			    .nlmsg_pid = a->n->port },
	};
	int r = netlink_flush(a);

	return r ? r : netlink_put(a, &message.header, sizeof(message));
}

static int netlink_dump(struct netlink_answer *a, uint16_t type, unsigned char family)
{
	int r = links_dump(type, family, netlink_relay, a);

	if (r == -EOPNOTSUPP || r == -EPERM)
		return netlink_error(a, r);
	return r ? r : netlink_done(a);
}

/* One interface, by number or name. */
static int netlink_one_link(struct netlink_answer *a)
{
	const struct ifinfomsg *body = NLMSG_DATA(a->request);
	const char *name = NULL;
	char text[LINK_NAME_MAX] = { 0 };
	int r;

	if (a->request->nlmsg_len < NLMSG_LENGTH(sizeof(*body)))
		return netlink_error(a, -EINVAL);
	a->index = body->ifi_index;
	name = links_attribute(a->request, sizeof(*body), IFLA_IFNAME, 1);
	if (!a->index && !name)
		return netlink_error(a, -EINVAL);
	if (name) {
		size_t len = a->request->nlmsg_len -
			     (size_t)(name - (const char *)a->request);

		memcpy(text, name, strnlen(name, len < sizeof(text) ? len : sizeof(text) - 1));
	}
	a->name = text;
	r = links_dump(RTM_GETLINK, AF_UNSPEC, netlink_relay_link, a);
	if (r < 0)
		return r;
	return r == 2 ? 0 : netlink_error(a, -ENODEV);
}

static int netlink_answer(struct netlink_answer *a)
{
	const struct nlmsghdr *request = a->request;
	bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	const struct rtgenmsg *body = NLMSG_DATA(request);
	unsigned char family;
	int r;

	if (!(request->nlmsg_flags & NLM_F_REQUEST) || request->nlmsg_type < NLMSG_MIN_TYPE)
		return request->nlmsg_flags & NLM_F_ACK ? netlink_error(a, 0) : 0;
	family = request->nlmsg_len >= NLMSG_LENGTH(sizeof(*body)) ? body->rtgen_family : AF_UNSPEC;
	switch (request->nlmsg_type) {
	case RTM_GETLINK:
		if (!dump) {
			r = netlink_one_link(a);
			break;
		}
		return netlink_dump(a, request->nlmsg_type, family);
	case RTM_GETADDR:
	case RTM_GETROUTE:
	case RTM_GETNEIGH:
	case RTM_GETRULE:
		return dump ? netlink_dump(a, request->nlmsg_type, family) :
			      netlink_error(a, -EOPNOTSUPP);
	default:
		/* Types go by four: new, del, get, set. */
		if (request->nlmsg_type >= RTM_BASE && request->nlmsg_type <= RTM_MAX)
			return netlink_error(a, (request->nlmsg_type & 3) == 2 ? -EOPNOTSUPP :
										 -EPERM);
		return netlink_error(a, -EOPNOTSUPP);
	}
	if (!r && (request->nlmsg_flags & NLM_F_ACK) && a->told)
		r = netlink_error(a, 0);
	return r;
}

static long netlink_send(struct socket *s, struct task *task, struct user_io *io,
			 const struct socket_addr *to, struct socket_control *control, int flags)
{
	const struct sockaddr_nl *nl = to ? (const struct sockaddr_nl *)&to->addr : NULL;
	struct netlink_socket *n = netlink_of(s);
	size_t len = io->left;
	int left = (int)len; /* the macros let it fall below 0 */
	autofree char *bytes = NULL;
	const struct nlmsghdr *request;
	int r = 0;

	if (nl && (to->len < sizeof(*nl) || nl->nl_family != AF_NETLINK))
		return -EINVAL;
	if (nl && (nl->nl_pid || nl->nl_groups))
		return -EPERM;
	if (len > NETLINK_REQUEST_MAX)
		return -EMSGSIZE;
	bytes = malloc(len + 1);
	if (!bytes)
		return -ENOBUFS;
	if (user_io_get(io, bytes, len) != len)
		return -EFAULT;
	bytes[len] = '\0';
	pthread_mutex_lock(&n->lock);
	netlink_autobind(n);
	request = (const struct nlmsghdr *)(const void *)bytes;
	for (; !r && left > 0 && NLMSG_OK(request, (unsigned)left);
	     request = NLMSG_NEXT(request, left)) {
		struct netlink_answer a = {
			.n = n, .request = request, .packed = BUF_INIT(NETLINK_QUEUE_MAX),
		};

		r = netlink_answer(&a);
		if (!r)
			r = netlink_flush(&a);
		buf_free(&a.packed);
	}
	pthread_mutex_unlock(&n->lock);
	waitq_wake(&n->wait, POLLIN | POLLRDNORM);
	return r ? r : (long)len;
}

/* --- receiving --- */

static long netlink_recv(struct socket *s, struct task *task, struct user_io *io,
			 struct socket_addr *from, struct socket_control *control, int flags,
			 int *out_flags)
{
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK };
	struct netlink_socket *n = netlink_of(s);
	struct netlink_packet *p;
	size_t copied;
	long r;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&n->lock);
	p = n->first;
	if (!p) {
		pthread_mutex_unlock(&n->lock);
		return -EAGAIN;
	}
	copied = user_io_put(io, p->data, p->len < io->left ? p->len : io->left);
	if (copied < p->len)
		*out_flags |= MSG_TRUNC;
	r = (long)(flags & MSG_TRUNC ? p->len : copied);
	if (!(flags & MSG_PEEK)) {
		n->first = p->next;
		if (!n->first)
			n->last = NULL;
		netlink_drop(n, p);
	}
	pthread_mutex_unlock(&n->lock);
	if (from) {
		memset(from, 0, sizeof(*from));
		memcpy(&from->addr, &nl, sizeof(nl));
		from->len = sizeof(nl);
	}
	return r;
}

static uint32_t netlink_poll(struct file *file, uint32_t mask, struct wait *wait)
{
	struct netlink_socket *n = (struct netlink_socket *)file;
	uint32_t ready = POLLOUT | POLLWRNORM;

	if (wait)
		wait_on(wait, &n->wait, mask);
	pthread_mutex_lock(&n->lock);
	if (n->first)
		ready |= POLLIN | POLLRDNORM;
	pthread_mutex_unlock(&n->lock);
	return ready & mask;
}

static long netlink_ioctl(struct file *file, struct task *task, uint32_t cmd, uint64_t arg)
{
	return socket_ioctl(task, cmd, arg);
}

static int netlink_getsockopt(struct socket *s, int level, int name, void *value, socklen_t *len)
{
	int number = 0;

	if (level != SOL_SOCKET)
		return -ENOPROTOOPT;
	if (name == SO_SNDBUF || name == SO_RCVBUF)
		number = OPTION_BUFFER_DEFAULT;
	else if (name != SO_ERROR && name != SO_PASSCRED && name != SO_ACCEPTCONN)
		return option_get_plain(s, name, value, len);
	return option_tell(value, len, &number, sizeof(number));
}

static int netlink_setsockopt(struct socket *s, int level, int name, const void *value,
			      socklen_t len)
{
	int number, r = option_int(value, len, &number);

	if (r)
		return r;
	if (level == SOL_NETLINK) {
		switch (name) {
		case NETLINK_ADD_MEMBERSHIP:
		case NETLINK_DROP_MEMBERSHIP:
		case NETLINK_PKTINFO:
		case NETLINK_NO_ENOBUFS:
		case NETLINK_CAP_ACK:
		case NETLINK_EXT_ACK:
			return 0;
		default:
			return -ENOPROTOOPT;
		}
	}
	if (level != SOL_SOCKET)
		return -ENOPROTOOPT;
	if (name == SO_SNDBUF || name == SO_RCVBUF || name == SO_PASSCRED ||
	    name == SO_SNDBUFFORCE || name == SO_RCVBUFFORCE)
		return 0;
	return option_set_plain(s, name, number);
}

static const struct file_ops netlink_file_ops = {
	.name = "socket",
	.read = socket_file_read,
	.write = socket_file_write,
	.poll = netlink_poll,
	.ioctl = netlink_ioctl,
	.release = netlink_release,
};

static const struct socket_ops netlink_socket_ops = {
	.bind = netlink_bind,
	.connect = netlink_connect,
	.listen = netlink_listen,
	.accept = netlink_accept,
	.shutdown = netlink_shutdown,
	.name = netlink_name,
	.send = netlink_send,
	.recv = netlink_recv,
	.getsockopt = netlink_getsockopt,
	.setsockopt = netlink_setsockopt,
};
