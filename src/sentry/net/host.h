/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/host.h - the backend that has a socket of the host for each of the guest's
 *
 *	host.c          which there are, their life, names, poll
 *	host_data.c     bytes, straight between guest memory and the host
 *	host_options.c  the options that are let through
 *	host_list.c     all of them, for /proc/net
 *	links.c         interfaces, addresses and routes of the namespace they live in
 */
#ifndef SENTRY_NET_HOST_H
#define SENTRY_NET_HOST_H

#include "base/buf.h"
#include "sentry/net/net.h"

struct host_socket {
	struct socket socket; /* first */
	int fd;		      /* owned; non-blocking always */
	struct host_socket *prev, *next; /* host_list.c's */
};

static inline struct host_socket *host_of(struct socket *s)
{
	return (struct host_socket *)s;
}

/* host_wrap() - Around a socket of the host, which is taken over in any case */
int host_wrap(int fd, int family, int type, int protocol, uint32_t flags, struct file **out);

/* host_fd_send(), host_fd_recv() - Of any socket of the host. @with: address
 * and control messages, may be NULL, as @from and @control. @type: SOCK_* */
long host_fd_send(int fd, struct user_io *io, const struct msghdr *with, int flags);
long host_fd_recv(int fd, struct user_io *io, struct socket_addr *from,
		  struct socket_control *control, int flags, int *out_flags, int type);
uint32_t host_fd_poll(int fd, uint32_t mask, struct wait *wait);
long host_fd_ioctl(int fd, struct task *task, uint32_t cmd, uint64_t arg);
long host_send(struct socket *s, struct task *task, struct user_io *io,
	       const struct socket_addr *to, struct socket_control *control, int flags);
long host_recv(struct socket *s, struct task *task, struct user_io *io, struct socket_addr *from,
	       struct socket_control *control, int flags, int *out_flags);

int host_getsockopt(struct socket *s, int level, int name, void *value, socklen_t *len);
int host_setsockopt(struct socket *s, int level, int name, const void *value, socklen_t len);
/* host_control_allowed() - Whether control messages of these bytes may be sent */
bool host_control_allowed(const void *bytes, size_t len);

void host_list_add(struct host_socket *h);
void host_list_remove(struct host_socket *h);

#endif /* SENTRY_NET_HOST_H */
