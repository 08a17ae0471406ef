/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/queue.h - the device side of a split virtqueue (virtio 1.2, 2.7)
 *
 * The rings live in guest memory and the guest is hostile: every index is
 * masked or bounded, every descriptor is read once and checked, chains have a
 * length limit, loops end there.  A queue that breaks the rules is marked
 * broken and yields nothing more; it never takes the process down.
 */
#ifndef VIRTIO_QUEUE_H
#define VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "virtio/memory.h"

#define VIRTQUEUE_SIZE_MAX  1024
#define VIRTQUEUE_CHAIN_MAX 128 /* descriptors in one chain */

/* One buffer from the guest, as host iovecs: first @nout readable, then @nin writable. */
struct virtq_chain {
	uint16_t head;
	unsigned nout, nin;
	size_t out_len, in_len; /* bytes */
	struct iovec iov[VIRTQUEUE_CHAIN_MAX];
};

struct virtqueue {
	const struct guest_memory *mem;
	unsigned index;
	unsigned size;          /* power of two */
	void *desc;             /* host addresses of the three areas, checked for @size at start */
	void *avail;
	void *used;
	uint16_t last_avail;    /* next available entry to take */
	uint16_t used_idx;      /* our copy; the guest's is never read back */
	bool event_idx;
	bool broken;
	char why[96];           /* what the guest did */
	int call_fd;            /* eventfd that interrupts the guest; -1: none; borrowed */
	bool need_notify;       /* entries were pushed since the last virtqueue_notify() */
};

/* virtqueue_start() - Check the three areas against the map and take the queue into use */
int virtqueue_start(struct virtqueue *q, const struct guest_memory *mem, unsigned size,
		    void *desc, void *avail, void *used, uint16_t last_avail,
		    struct coffer_error *err);

/* virtqueue_pop() - Next chain. Return: 1 with @chain filled, 0 nothing there, -EPROTO broken */
int virtqueue_pop(struct virtqueue *q, struct virtq_chain *chain);
/* virtqueue_unpop() - Give back the chain popped last, unused */
void virtqueue_unpop(struct virtqueue *q);
bool virtqueue_empty(const struct virtqueue *q);
/* virtqueue_push() - Return a chain with @written bytes in its writable part */
void virtqueue_push(struct virtqueue *q, uint16_t head, uint32_t written);
/* virtqueue_notify() - Interrupt the guest if entries were pushed and it wants to know */
void virtqueue_notify(struct virtqueue *q);
/* virtqueue_want_kick() - Ask for (or not) kicks; returns true when entries are there already */
bool virtqueue_want_kick(struct virtqueue *q, bool want);

/* Copy between the chain and a buffer. Return: bytes copied */
size_t virtq_chain_read(const struct virtq_chain *c, size_t offset, void *buf, size_t len);
size_t virtq_chain_write(const struct virtq_chain *c, size_t offset, const void *buf, size_t len);

#endif /* VIRTIO_QUEUE_H */
