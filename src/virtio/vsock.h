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
	int listen_fd;        /* listening unix socket "<name>"; -1: the host never dials */
	const char *name;     /* "<name>_P" is looked up from the working directory; copied */
	unsigned max_connections; /* 0: 1024 */
};

/* vsock_new() - A device with no queues yet; @args->listen_fd is taken over on success */
int vsock_new(struct loop *loop, const struct vsock_args *args, struct virtio_device **out,
	      struct coffer_error *err);
/* vsock_free() - Close every connection and the listener; the queues are stopped by then */
void vsock_free(struct virtio_device *dev);

#endif /* VIRTIO_VSOCK_H */
