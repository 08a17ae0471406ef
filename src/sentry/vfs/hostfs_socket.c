/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/hostfs_socket.c - programs of the host behind sockets in its trees
 *
 * The gofer connects by the descriptor that pins the node. Called through the inode's operations.
 */
#include "sentry/kernel.h"
#include "sentry/vfs/hostfs.h"

int hostfs_connect(struct inode *inode, int type)
{
	const struct gofer_call call = {
		.op = GOFER_CONNECT, .fd = hostfs_of(inode)->fd, .fd2 = -1, .args = { (uint64_t)type },
	};

	return kernel.gofer ? (int)gofer_call(kernel.gofer, &call) : -ECONNREFUSED;
}
