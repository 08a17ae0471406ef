/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/socket_calls.h - what socket.c and socket_message.c share
 */
#ifndef SENTRY_SYSCALLS_SOCKET_CALLS_H
#define SENTRY_SYSCALLS_SOCKET_CALLS_H

#include "sentry/net/socket.h"

struct task;

/* socket_call_get() - A reference in *@file. Return: 0, -EBADF, -ENOTSOCK */
int socket_call_get(struct task *task, int fd, struct file **file, struct socket **s);
int socket_call_read_addr(struct task *task, uint64_t addr, uint64_t len, struct socket_addr *out);
/* socket_call_write_addr() - As much as fits by the length at @len, which gets the whole one */
int socket_call_write_addr(struct task *task, uint64_t addr, uint64_t len,
			   const struct socket_addr *from);
/* socket_call_wait() - For what would block. Return: 0 try again, -EAGAIN also when @timeout has
 * passed, -EINTR, -ERESTARTSYS. @deadline: USEC_INFINITY - 1 before the first wait */
int socket_call_wait(struct task *task, struct socket *s, uint32_t mask, usec_t timeout,
		     usec_t *deadline);
#define SOCKET_DEADLINE_NEW (USEC_INFINITY - 1)

/* socket_message.c */
long socket_call_sendto(struct task *task, const uint64_t args[6]);
long socket_call_recvfrom(struct task *task, const uint64_t args[6]);
long socket_call_sendmsg(struct task *task, const uint64_t args[6]);
long socket_call_recvmsg(struct task *task, const uint64_t args[6]);
long socket_call_sendmmsg(struct task *task, const uint64_t args[6]);
long socket_call_recvmmsg(struct task *task, const uint64_t args[6]);

#endif /* SENTRY_SYSCALLS_SOCKET_CALLS_H */
