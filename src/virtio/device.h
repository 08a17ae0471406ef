/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/device.h - what a device model shows to whatever transports it
 *
 * A device model (vsock.c, later block, net, fs ...) processes virtqueues over
 * a guest-memory map and knows no transport.  A transport (vhost_user.c, later
 * an in-process MMIO bus) owns the queues, negotiates features, and calls the
 * ops below, all on one loop thread.
 */
#ifndef VIRTIO_DEVICE_H
#define VIRTIO_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "virtio/queue.h"

#define VIRTIO_DEVICE_QUEUES_MAX 8

struct virtio_device;

struct virtio_device_ops {
	const char *name;
	uint32_t device_id;  /* virtio spec 5: 19 is the socket device */
	unsigned nqueues;
	uint64_t features;   /* device features offered (transport adds VERSION_1 and ring features) */

	/* Copy @len bytes of config space at @offset. Return: 0 or -EINVAL when out of range */
	int (*read_config)(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t len);
	/* A queue became usable: the device may pop from dev->queues[index] from now on */
	void (*queue_start)(struct virtio_device *dev, unsigned index);
	/* The guest kicked queue @index */
	void (*queue_kick)(struct virtio_device *dev, unsigned index);
	/* The queue must not be touched after this returns */
	void (*queue_stop)(struct virtio_device *dev, unsigned index);
	/* All queues are stopped and the driver is gone: forget the guest's state */
	void (*reset)(struct virtio_device *dev);
};

/* Embedded first in each device model's own struct. */
struct virtio_device {
	const struct virtio_device_ops *ops;
	struct virtqueue *queues[VIRTIO_DEVICE_QUEUES_MAX]; /* borrowed; NULL while stopped */
	uint64_t features; /* acked by the driver */
};

#endif /* VIRTIO_DEVICE_H */
