/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/net.h - what the families of sockets share
 *
 * For net/ only, but for the lists of calls.
 */
#ifndef SENTRY_NET_NET_H
#define SENTRY_NET_NET_H

#include "sentry/jail.h"
#include "sentry/net/socket.h"

/* What the host backend asks of the host, and what looks at interfaces needs. */
extern const struct jail_list host_calls, host_data_calls, host_options_calls, links_calls,
	unix_host_calls;

/* socket_init() - Of an embedded one, as file_init(). Return: 0, -ENOMEM */
int socket_init(struct socket *s, const struct file_ops *file_ops, const struct socket_ops *ops,
		int family, int type, int protocol, uint32_t flags);
/* socket_free_common() - The last step of a release */
void socket_free_common(struct socket *s);

/* What every family's file_ops have for read and write. */
long socket_file_read(struct file *file, struct user_io *io, int64_t offset);
long socket_file_write(struct file *file, struct user_io *io, int64_t offset);

/* socket_ioctl() - What any socket answers: about interfaces. -ENOTTY for what is unknown */
long socket_ioctl(struct task *task, uint32_t cmd, uint64_t arg);

/* unix_create(), netlink_create() - @flags: O_NONBLOCK */
int unix_create(struct task *task, int type, int protocol, uint32_t flags, struct file **out);
int netlink_create(struct task *task, int type, int protocol, uint32_t flags, struct file **out);

#endif /* SENTRY_NET_NET_H */
