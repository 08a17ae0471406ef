/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/socket.c - the calls of sockets
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "sentry/net/socket.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/task.h"

static long socket_call_socket(struct task *task, const uint64_t args[6])
{
	int type = (int)args[1];
	struct file *file;
	int r;

	if (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC | 0xf))
		return -EINVAL;
	r = socket_create(task, (int)args[0], type, (int)args[2], &file);
	return r ? r : fd_install(task, file, type & SOCK_CLOEXEC, 0);
}

static const struct syscall_row socket_rows[] = {
	{ SYS_socket, "socket", socket_call_socket, { ARG_AF, ARG_HEX, ARG_INT } },
};

const struct syscall_family syscalls_socket = SYSCALL_FAMILY("socket", socket_rows);
