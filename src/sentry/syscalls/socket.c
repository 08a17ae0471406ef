/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/socket.c - the calls of sockets, but for those that move data
 *
 *	guest's arguments -> copies, checked for size -> net/socket.h's operations
 *
 * Operations do not block; connect and accept wait here. Calls that move data are in
 * socket_message.c.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "sentry/mm/user.h"
#include "sentry/syscalls/socket_calls.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/task.h"

/* No option is longer; but filters, which are refused. */
#define SOCKET_OPTION_MAX 4096

int socket_call_get(struct task *task, int fd, struct file **file, struct socket **s)
{
	*file = fd_get(task, fd);
	if (!*file)
		return -EBADF;
	*s = socket_of(*file);
	return *s ? 0 : -ENOTSOCK;
}

int socket_call_read_addr(struct task *task, uint64_t addr, uint64_t len, struct socket_addr *out)
{
	int size = (int)len;

	if (size < 0 || (size_t)size > sizeof(out->addr))
		return -EINVAL;
	memset(&out->addr, 0, sizeof(out->addr));
	out->len = (socklen_t)size;
	return user_read(task->mm, &out->addr, addr, (size_t)size);
}

int socket_call_write_addr(struct task *task, uint64_t addr, uint64_t len,
			   const struct socket_addr *from)
{
	uint32_t whole = from->len;
	int room;
	int r = user_read(task->mm, &room, len, sizeof(room));

	if (r)
		return r;
	if (room < 0)
		return -EINVAL;
	r = user_write(task->mm, addr, &from->addr, whole < (uint32_t)room ? whole : (size_t)room);
	return r ? r : user_write(task->mm, len, &whole, sizeof(whole));
}

int socket_call_wait(struct task *task, struct socket *s, uint32_t mask, usec_t timeout,
		     usec_t *deadline)
{
	int r;

	if (*deadline == SOCKET_DEADLINE_NEW)
		*deadline = timeout == USEC_INFINITY ? timeout : clock_now() + timeout;
	r = file_wait(task, &s->file, mask, *deadline);
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	/* As Linux: what has a timeout is not begun again, it would last longer then. */
	return r == -ERESTARTSYS && timeout != USEC_INFINITY ? -EINTR : r;
}

#define SOCKET_TYPE_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

static long socket_call_socket(struct task *task, const uint64_t args[6])
{
	int type = (int)args[1];
	struct file *file;
	int r;

	if (type & ~(SOCKET_TYPE_FLAGS | 0xf))
		return -EINVAL;
	r = socket_create(task, (int)args[0], type, (int)args[2], &file);
	return r ? r : fd_install(task, file, type & SOCK_CLOEXEC, 0);
}

static long socket_call_socketpair(struct task *task, const uint64_t args[6])
{
	int family = (int)args[0], type = (int)args[1], protocol = (int)args[2];
	bool cloexec = type & SOCK_CLOEXEC;
	struct file *files[2];
	int fds[2], r;

	if (type & ~(SOCKET_TYPE_FLAGS | 0xf))
		return -EINVAL;
	if (family != AF_UNIX)
		return family == AF_INET || family == AF_INET6 ? -EOPNOTSUPP : -EAFNOSUPPORT;
	if (protocol && protocol != PF_UNIX)
		return -EPROTONOSUPPORT;
	r = unix_pair(task, type & 0xf, (uint32_t)type & SOCK_NONBLOCK, files);
	if (r)
		return r;
	fds[0] = fd_install(task, files[0], cloexec, 0);
	if (fds[0] < 0) {
		file_put(files[1]);
		return fds[0];
	}
	fds[1] = fd_install(task, files[1], cloexec, 0);
	r = fds[1] < 0 ? fds[1] : user_write(task->mm, args[3], fds, sizeof(fds));
	if (r) {
		fd_close(task, fds[0]);
		if (fds[1] >= 0)
			fd_close(task, fds[1]);
	}
	return r;
}

static long socket_call_bind(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = NULL;
	struct socket_addr addr;
	struct socket *s;
	int r = socket_call_get(task, (int)args[0], &file, &s);

	if (!r)
		r = socket_call_read_addr(task, args[1], args[2], &addr);
	return r ? r : s->ops->bind(s, task, &addr);
}

/* A blocking one asks again until it has been told how it ended; so it does after a signal. */
static long socket_call_connect(struct task *task, const uint64_t args[6])
{
	usec_t deadline = SOCKET_DEADLINE_NEW;
	autofile struct file *file = NULL;
	struct socket_addr addr;
	bool under_way = false;
	struct socket *s = NULL;
	int r = socket_call_get(task, (int)args[0], &file, &s);

	if (!r)
		r = socket_call_read_addr(task, args[1], args[2], &addr);
	while (!r) {
		r = s->ops->connect(s, task, &addr);
		if (r == -EISCONN && under_way)
			return 0;
		under_way = r == -EINPROGRESS || r == -EALREADY;
		if ((!under_way && r != -EAGAIN) || (s->file.flags & O_NONBLOCK))
			return r;
		r = socket_call_wait(task, s, POLLOUT, s->send_timeout, &deadline);
		if (r == -EAGAIN && under_way)
			return -EINPROGRESS;
	}
	return r;
}

static long socket_call_listen(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = NULL;
	struct socket *s;
	int r = socket_call_get(task, (int)args[0], &file, &s);

	return r ? r : s->ops->listen(s, (int)args[1]);
}

static long socket_accept(struct task *task, const uint64_t args[6], int flags)
{
	usec_t deadline = SOCKET_DEADLINE_NEW;
	autofile struct file *file = NULL;
	struct socket_addr peer = { 0 };
	struct file *accepted = NULL;
	struct socket *s;
	int r = socket_call_get(task, (int)args[0], &file, &s), fd;

	if (flags & ~SOCKET_TYPE_FLAGS)
		return -EINVAL;
	while (!r) {
		r = s->ops->accept(s, task, &peer, &accepted);
		if (r != -EAGAIN)
			break;
		r = socket_call_wait(task, s, POLLIN, s->receive_timeout, &deadline);
	}
	if (r)
		return r;
	if (flags & SOCK_NONBLOCK)
		atomic_fetch_or(&accepted->flags, O_NONBLOCK);
	fd = fd_install(task, accepted, flags & SOCK_CLOEXEC, 0);
	if (fd < 0 || !args[1])
		return fd;
	r = socket_call_write_addr(task, args[1], args[2], &peer);
	if (r)
		fd_close(task, fd);
	return r ? r : fd;
}

static long socket_call_accept(struct task *task, const uint64_t args[6])
{
	return socket_accept(task, args, 0);
}

static long socket_call_accept4(struct task *task, const uint64_t args[6])
{
	return socket_accept(task, args, (int)args[3]);
}

static long socket_name(struct task *task, const uint64_t args[6], bool peer)
{
	autofile struct file *file = NULL;
	struct socket_addr addr = { 0 };
	struct socket *s;
	int r = socket_call_get(task, (int)args[0], &file, &s);

	if (!r)
		r = s->ops->name(s, peer, &addr);
	return r ? r : socket_call_write_addr(task, args[1], args[2], &addr);
}

static long socket_call_getsockname(struct task *task, const uint64_t args[6])
{
	return socket_name(task, args, false);
}

static long socket_call_getpeername(struct task *task, const uint64_t args[6])
{
	return socket_name(task, args, true);
}

static long socket_call_shutdown(struct task *task, const uint64_t args[6])
{
	int how = (int)args[1];
	autofile struct file *file = NULL;
	struct socket *s;
	int r = socket_call_get(task, (int)args[0], &file, &s);

	if (!r && (how < SHUT_RD || how > SHUT_RDWR))
		r = -EINVAL;
	return r ? r : s->ops->shutdown(s, how);
}

static long socket_call_setsockopt(struct task *task, const uint64_t args[6])
{
	int len = (int)args[4];
	autofile struct file *file = NULL;
	autofree void *value = NULL;
	struct socket *s;
	int r = socket_call_get(task, (int)args[0], &file, &s);

	if (r)
		return r;
	if (len < 0 || len > SOCKET_OPTION_MAX)
		return -EINVAL;
	value = calloc(1, (size_t)len + 1);
	if (!value)
		return -ENOMEM;
	r = user_read(task->mm, value, args[3], (size_t)len);
	return r ? r : socket_setsockopt(s, task, (int)args[1], (int)args[2], value,
					 (socklen_t)len);
}

static long socket_call_getsockopt(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = NULL;
	autofree void *value = NULL;
	struct socket *s;
	socklen_t out;
	int len, r = socket_call_get(task, (int)args[0], &file, &s);

	if (!r)
		r = user_read(task->mm, &len, args[4], sizeof(len));
	if (r)
		return r;
	if (len < 0)
		return -EINVAL;
	out = (socklen_t)(len < SOCKET_OPTION_MAX ? len : SOCKET_OPTION_MAX);
	value = calloc(1, out + 1);
	if (!value)
		return -ENOMEM;
	r = socket_getsockopt(s, task, (int)args[1], (int)args[2], value, &out);
	if (!r)
		r = user_write(task->mm, args[3], value, out);
	return r ? r : user_write(task->mm, args[4], &out, sizeof(out));
}

static const struct syscall_row socket_rows[] = {
	{ SYS_socket, "socket", socket_call_socket, { ARG_AF, ARG_HEX, ARG_INT }, SYSCALL_PART,
	  "unix, netlink-route, inet and inet6" },
	{ SYS_socketpair, "socketpair", socket_call_socketpair,
	  { ARG_AF, ARG_HEX, ARG_INT, ARG_HEX } },
	{ SYS_bind, "bind", socket_call_bind, { ARG_FD, ARG_SOCKADDR, ARG_INT } },
	{ SYS_connect, "connect", socket_call_connect, { ARG_FD, ARG_SOCKADDR, ARG_INT } },
	{ SYS_listen, "listen", socket_call_listen, { ARG_FD, ARG_INT } },
	{ SYS_accept, "accept", socket_call_accept, { ARG_FD, ARG_HEX, ARG_HEX } },
	{ SYS_accept4, "accept4", socket_call_accept4, { ARG_FD, ARG_HEX, ARG_HEX, ARG_HEX } },
	{ SYS_getsockname, "getsockname", socket_call_getsockname, { ARG_FD, ARG_HEX, ARG_HEX } },
	{ SYS_getpeername, "getpeername", socket_call_getpeername, { ARG_FD, ARG_HEX, ARG_HEX } },
	{ SYS_shutdown, "shutdown", socket_call_shutdown, { ARG_FD, ARG_INT } },
	{ SYS_setsockopt, "setsockopt", socket_call_setsockopt,
	  { ARG_FD, ARG_INT, ARG_INT, ARG_IN, ARG_INT }, SYSCALL_PART,
	  "options of a list; no socket filters" },
	{ SYS_getsockopt, "getsockopt", socket_call_getsockopt,
	  { ARG_FD, ARG_INT, ARG_INT, ARG_HEX, ARG_HEX }, SYSCALL_PART, "options of a list" },
	{ SYS_sendto, "sendto", socket_call_sendto,
	  { ARG_FD, ARG_IN, ARG_UINT, ARG_HEX, ARG_SOCKADDR, ARG_INT } },
	{ SYS_recvfrom, "recvfrom", socket_call_recvfrom,
	  { ARG_FD, ARG_OUT, ARG_UINT, ARG_HEX, ARG_HEX, ARG_HEX } },
	{ SYS_sendmsg, "sendmsg", socket_call_sendmsg, { ARG_FD, ARG_HEX, ARG_HEX } },
	{ SYS_recvmsg, "recvmsg", socket_call_recvmsg, { ARG_FD, ARG_HEX, ARG_HEX } },
	{ SYS_sendmmsg, "sendmmsg", socket_call_sendmmsg, { ARG_FD, ARG_HEX, ARG_UINT, ARG_HEX } },
	{ SYS_recvmmsg, "recvmmsg", socket_call_recvmmsg,
	  { ARG_FD, ARG_HEX, ARG_UINT, ARG_HEX, ARG_TIMESPEC } },
};

const struct syscall_family syscalls_socket = SYSCALL_FAMILY("socket", socket_rows);
