/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/host.c - inet sockets that are sockets of the host
 *
 *	guest's socket -> struct host_socket -> a socket in the network namespace of the sentry
 *
 * What it may reach is that namespace's matter. Only the kinds of a list can be made; addresses are
 * checked for their family and otherwise the host's to judge. No raw and packet sockets.
 *
 * Called through the operations, and by socket(2) as the container's backend.
 */
#include "sentry/net/host.h"

#include <arpa/inet.h>
#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "sentry/task/cred.h"
#include "sentry/task/task.h"
#include "sentry/vfs/vfs.h"

static const struct jail_call host_rows[] = {
	JAIL_IF(socket, 0, UINT32_MAX, AF_INET),
	JAIL_IF(socket, 0, UINT32_MAX, AF_INET6),
	JAIL(bind),
	JAIL(connect),
	JAIL(listen),
	JAIL(accept4),
	JAIL(shutdown),
	JAIL(getsockname),
	JAIL(getpeername),
	JAIL(close),
	JAIL(ppoll),
	JAIL_IF(ioctl, 1, UINT32_MAX, FIONREAD),
	JAIL_IF(ioctl, 1, UINT32_MAX, SIOCOUTQ),
	JAIL_IF(ioctl, 1, UINT32_MAX, SIOCATMARK),
};
const struct jail_list host_calls = JAIL_LIST(host_rows);

struct host_kind {
	int family, type, protocol;
};

static const struct host_kind host_kinds[] = {
	{ AF_INET, SOCK_STREAM, IPPROTO_TCP },	{ AF_INET6, SOCK_STREAM, IPPROTO_TCP },
	{ AF_INET, SOCK_DGRAM, IPPROTO_UDP },	{ AF_INET6, SOCK_DGRAM, IPPROTO_UDP },
	{ AF_INET, SOCK_DGRAM, IPPROTO_ICMP },	{ AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6 },
};

bool host_pings;
static bool host_guards_ports;

static const struct file_ops host_file_ops;
static const struct socket_ops host_socket_ops;

int host_wrap(int fd, int family, int type, int protocol, uint32_t flags, struct file **out)
{
	struct host_socket *h = calloc(1, sizeof(*h));
	int r = -ENOMEM;

	if (h)
		r = socket_init(&h->socket, &host_file_ops, &host_socket_ops, family, type,
				protocol, flags);
	if (r) {
		free(h);
		close(fd);
		return r;
	}
	h->fd = fd;
	hostfs_fd_count(1);
	host_list_add(h);
	*out = &h->socket.file;
	return 0;
}

/* The protocol that 0 stands for; negative errno: there is no such kind. */
static int host_protocol(int family, int type, int protocol)
{
	bool known = false;

	if (type == SOCK_RAW)
		return -EPERM;
	for (size_t i = 0; i < ARRAY_SIZE(host_kinds); i++) {
		const struct host_kind *kind = &host_kinds[i];

		if (kind->family != family || kind->type != type)
			continue;
		known = true;
		if (!protocol || protocol == kind->protocol)
			return kind->protocol;
	}
	return known ? -EPROTONOSUPPORT : -ESOCKTNOSUPPORT;
}

static int host_create(int family, int type, int protocol, uint32_t flags, struct file **out)
{
	int kind = host_protocol(family, type, protocol), fd;

	if (kind < 0)
		return kind;
	if (!hostfs_fd_room())
		return -ENFILE;
	fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, kind);
	if (fd < 0)
		return -errno;
	return host_wrap(fd, family, type, kind, flags, out);
}

const struct socket_backend socket_backend_host = { "host", host_create };

static void host_release(struct file *file)
{
	struct host_socket *h = (struct host_socket *)file;

	host_list_remove(h);
	close(h->fd);
	hostfs_fd_count(-1);
	socket_free_common(&h->socket);
	free(h);
}

/* --- operations --- */

static int host_check(const struct socket_addr *addr)
{
	if (addr->len < sizeof(sa_family_t))
		return -EINVAL;
	switch (addr->addr.ss_family) {
	case AF_UNSPEC:
	case AF_INET:
	case AF_INET6:
		return 0;
	default:
		return -EAFNOSUPPORT;
	}
}

void host_guard_ports(void)
{
	host_guards_ports = true;
}

static bool host_port_allowed(const struct task *task, const struct socket_addr *addr)
{
	const struct sockaddr *name = (const struct sockaddr *)&addr->addr;
	in_port_t port = 0;

	if (!host_guards_ports || cred_capable(task->cred, CAP_NET_BIND_SERVICE))
		return true;
	/* One that is too short is refused by the host. */
	if (name->sa_family == AF_INET && addr->len >= sizeof(struct sockaddr_in))
		port = ((const struct sockaddr_in *)name)->sin_port;
	else if (name->sa_family == AF_INET6)
		port = ((const struct sockaddr_in6 *)name)->sin6_port;
	return port == 0 || ntohs(port) >= IPPORT_RESERVED;
}

static int host_bind(struct socket *s, struct task *task, const struct socket_addr *addr)
{
	int r = host_check(addr);

	if (!r && !host_port_allowed(task, addr))
		r = -EACCES;
	if (!r && bind(host_of(s)->fd, (const struct sockaddr *)&addr->addr, addr->len) < 0)
		r = -errno;
	return r;
}

static int host_connect(struct socket *s, struct task *task, const struct socket_addr *addr)
{
	int r = host_check(addr);

	if (!r && connect(host_of(s)->fd, (const struct sockaddr *)&addr->addr, addr->len) < 0)
		r = -errno;
	return r;
}

static int host_listen(struct socket *s, int backlog)
{
	return listen(host_of(s)->fd, backlog) < 0 ? -errno : 0;
}

static int host_accept(struct socket *s, struct task *task, struct socket_addr *peer,
		       struct file **out)
{
	int fd;

	if (!hostfs_fd_room())
		return -ENFILE;
	peer->len = sizeof(peer->addr);
	fd = accept4(host_of(s)->fd, (struct sockaddr *)&peer->addr, &peer->len,
		     SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	return host_wrap(fd, s->family, s->type, s->protocol, 0, out);
}

static int host_shutdown(struct socket *s, int how)
{
	return shutdown(host_of(s)->fd, how) < 0 ? -errno : 0;
}

static int host_name(struct socket *s, bool peer, struct socket_addr *out)
{
	struct sockaddr *addr = (struct sockaddr *)&out->addr;
	int fd = host_of(s)->fd;

	out->len = sizeof(out->addr);
	if ((peer ? getpeername(fd, addr, &out->len) : getsockname(fd, addr, &out->len)) < 0)
		return -errno;
	return 0;
}

uint32_t host_fd_poll(int fd, uint32_t mask, struct wait *wait)
{
	struct pollfd pfd = { .fd = fd, .events = (short)mask };
	const struct timespec now = { 0 };

	if (wait)
		wait_on_host(wait, fd, mask);
	if (ppoll(&pfd, 1, &now, NULL) <= 0)
		return 0;
	return (uint32_t)(uint16_t)pfd.revents;
}

static uint32_t host_poll(struct file *file, uint32_t mask, struct wait *wait)
{
	return host_fd_poll(((struct host_socket *)file)->fd, mask, wait);
}

long host_fd_ioctl(int fd, struct task *task, uint32_t cmd, uint64_t arg)
{
	int value = 0;

	switch (cmd) {
	case FIONREAD:
	case SIOCOUTQ:
	case SIOCATMARK:
		if (ioctl(fd, cmd, &value) < 0)
			return -errno;
		return user_write(task->mm, arg, &value, sizeof(value));
	default:
		return socket_ioctl(task, cmd, arg);
	}
}

static long host_ioctl(struct file *file, struct task *task, uint32_t cmd, uint64_t arg)
{
	return host_fd_ioctl(((struct host_socket *)file)->fd, task, cmd, arg);
}

static int host_host_fd(struct file *file)
{
	return ((struct host_socket *)file)->fd;
}

static const struct file_ops host_file_ops = {
	.name = "socket",
	.read = socket_file_read,
	.write = socket_file_write,
	.poll = host_poll,
	.ioctl = host_ioctl,
	.host_fd = host_host_fd,
	.release = host_release,
};

static const struct socket_ops host_socket_ops = {
	.bind = host_bind,
	.connect = host_connect,
	.listen = host_listen,
	.accept = host_accept,
	.shutdown = host_shutdown,
	.name = host_name,
	.send = host_send,
	.recv = host_recv,
	.getsockopt = host_getsockopt,
	.setsockopt = host_setsockopt,
};
