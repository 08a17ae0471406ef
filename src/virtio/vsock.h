/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/vsock.h - the socket device, ended in a directory of unix sockets
 *
 * Hybrid convention (Firecracker, cloud-hypervisor): host to guest, connect to
 * "<name>", send "CONNECT <port>\n", read "OK <local port>\n"; guest to host, a
 * connection to CID 2 port P reaches whoever listens at "<name>_P".
 */
#ifndef VIRTIO_VSOCK_H
#define VIRTIO_VSOCK_H

#include "base/loop.h"
#include "virtio/device.h"

struct vsock_args {
	uint64_t guest_cid;   /* 3 or more */
	int listen_fd;        /* listening unix socket "<name>"; taken over */
	int dirfd;            /* directory where "<name>_P" are looked up; taken over */
	const char *name;     /* usually "vsock.sock" */
	unsigned max_connections;
};

int vsock_new(struct loop *loop, const struct vsock_args *args, struct virtio_device **out,
	      struct coffer_error *err);
void vsock_free(struct virtio_device *dev);

#endif /* VIRTIO_VSOCK_H */
