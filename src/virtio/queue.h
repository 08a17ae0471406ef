/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/queue.h - the device side of a split virtqueue (virtio 1.2, 2.7)
 *
 * The rings live in guest memory and the guest is hostile: every index is
 * masked or bounded, every descriptor is read once and checked, chains have a
 * length limit, loops end there.  A queue that breaks the rules is marked
 * broken, logged once, and yields nothing more; it never takes the process
 * down.
 *
 * A chain is used between its pop and its push within one callback: a queue is
 * stopped at once when the transport says so, and nobody may hold a chain then.
 */
#ifndef VIRTIO_QUEUE_H
#define VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "virtio/memory.h"

#define VIRTQUEUE_SIZE_MAX  1024
#define VIRTQUEUE_CHAIN_MAX 128 /* descriptors in one chain */

/* Bytes of the three areas of a queue of @size entries, the event fields included. */
#define VIRTQUEUE_DESC_BYTES(size)  (16u * (size))
#define VIRTQUEUE_AVAIL_BYTES(size) (6u + 2u * (size))
#define VIRTQUEUE_USED_BYTES(size)  (6u + 8u * (size))

/* One buffer from the guest, as host iovecs: first @nout readable, then @nin writable. */
struct virtq_chain {
	uint16_t head;
	unsigned nout, nin;
	size_t out_len, in_len; /* bytes */
	struct iovec iov[VIRTQUEUE_CHAIN_MAX];
};

struct virtq_desc;
struct virtq_avail;
struct virtq_used;

struct virtqueue {
	const struct guest_memory *mem;
	unsigned index;
	unsigned size;          /* power of two */
	volatile struct virtq_desc *desc;
	volatile struct virtq_avail *avail;
	volatile struct virtq_used *used;
	volatile uint16_t *used_event;  /* behind avail->ring: guest's wish, with event_idx */
	volatile uint16_t *avail_event; /* behind used->ring: ours */
	uint16_t last_avail;    /* next available entry to take */
	uint16_t used_idx;      /* our copy; the guest's is read at start only */
	uint16_t signalled;     /* used_idx when the guest was last asked whether it wants to know */
	bool event_idx;         /* negotiated; set before virtqueue_start() */
	bool kicks;             /* the guest has been asked to kick */
	bool need_notify;       /* entries were pushed since the last virtqueue_notify() */
	bool fresh;             /* nobody was told anything since the start */
	bool broken;
	unsigned breaks;        /* how often, all restarts included */
	char why[96];           /* what the guest did */
	int call_fd;            /* eventfd that interrupts the guest; -1: none; borrowed */
	int err_fd;             /* eventfd that tells the VMM of a broken queue; -1: none; borrowed */
};

/* Where the areas are on the host, NULL where the transport's translation failed. */
struct virtqueue_areas {
	void *desc, *avail, *used;
};

/**
 * virtqueue_start() - Take a queue into use
 * @q:		Queue whose index, event_idx, call_fd and err_fd are set
 * @size:	Entries: a power of two up to VIRTQUEUE_SIZE_MAX
 * @areas:	Checked by the transport to be mapped for VIRTQUEUE_*_BYTES(@size)
 * @last_avail:	Where to go on: 0 for a fresh queue
 *
 * Return: 0, or -EINVAL with @err filled and nothing touched
 */
int virtqueue_start(struct virtqueue *q, const struct guest_memory *mem, unsigned size,
		    const struct virtqueue_areas *areas, uint16_t last_avail,
		    struct coffer_error *err);

/* virtqueue_pop() - Next chain. Return: 1 with @chain filled, 0 nothing there, -EPROTO broken */
int virtqueue_pop(struct virtqueue *q, struct virtq_chain *chain);
/* virtqueue_unpop() - Give back the chain popped last, unused */
void virtqueue_unpop(struct virtqueue *q);
/* virtqueue_push() - Return a chain with @written bytes in its writable part */
void virtqueue_push(struct virtqueue *q, uint16_t head, uint32_t written);
/* virtqueue_notify() - Interrupt the guest if entries were pushed and it wants to know */
void virtqueue_notify(struct virtqueue *q);
/* virtqueue_want_kick() - Ask for (or not) kicks; returns true when entries are there already */
bool virtqueue_want_kick(struct virtqueue *q, bool want);
/* virtqueue_break() - The guest broke a rule of the device: log, tell the VMM, stop the queue */
void virtqueue_break(struct virtqueue *q, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Copy between the chain and a buffer. Return: bytes copied */
size_t virtq_chain_read(const struct virtq_chain *c, size_t offset, void *buf, size_t len);
size_t virtq_chain_write(const struct virtq_chain *c, size_t offset, const void *buf, size_t len);

/**
 * virtq_chain_slice() - Part of a chain as iovecs, to read or write without a copy
 * @c:		Chain
 * @writable:	Of its writable part, else of its readable part
 * @offset:	Bytes to skip
 * @len:	Bytes wanted
 * @iov:	Room for VIRTQUEUE_CHAIN_MAX entries
 *
 * Return: number of entries filled; they hold less than @len when the chain ends first
 */
unsigned virtq_chain_slice(const struct virtq_chain *c, bool writable, size_t offset, size_t len,
			   struct iovec *iov);

#endif /* VIRTIO_QUEUE_H */
