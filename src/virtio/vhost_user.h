/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/vhost_user.h - exports a device model to a VMM over vhost-user
 *
 * Source: QEMU's docs/interop/vhost-user.rst.  One back end serves one device
 * on one connected socket; the VMM's end is handed to it as a descriptor.
 */
#ifndef VIRTIO_VHOST_USER_H
#define VIRTIO_VHOST_USER_H

#include "base/loop.h"
#include "virtio/device.h"

struct vhost_user;

/* @on_close runs when the VMM hung up or broke the protocol (@err says why); the back end has
 * stopped all queues by then and the callback may free it. */
struct vhost_user_args {
	int sock; /* connected; taken over on success */
	struct virtio_device *dev; /* borrowed */
	void (*on_close)(struct vhost_user *vu, const struct coffer_error *err, void *data);
	void *data;
};

int vhost_user_new(struct loop *loop, const struct vhost_user_args *args, struct vhost_user **out,
		   struct coffer_error *err);
void vhost_user_free(struct vhost_user *vu);

#endif /* VIRTIO_VHOST_USER_H */
