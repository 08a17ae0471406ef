/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/virtio_guest.h - a driver for tests: guest memory in a memfd and split rings in it
 *
 * The driver has its own mapping of the file, as a guest's CPU would; the code
 * under test maps it by descriptor.  Nothing is checked here that a hostile
 * driver would not check, so tests may write any nonsense into the rings.
 */
#ifndef TESTS_VIRTIO_GUEST_H
#define TESTS_VIRTIO_GUEST_H

#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "virtio/queue.h"

#define GUEST_BASE UINT64_C(0x10000)        /* guest-physical start of the RAM */
#define GUEST_USER UINT64_C(0x7f0000000000) /* where the VMM is said to have it */

struct guest {
	int memfd;
	uint8_t *ram; /* the driver's mapping */
	uint64_t size;
	uint64_t brk; /* next free guest address */
	struct guest_memory map; /* what the device sees; filled by guest_init() */
};

struct guest_ring {
	struct guest *g;
	unsigned size;
	uint64_t desc_at, avail_at, used_at; /* guest addresses */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t seen; /* used entries taken */
};

static inline int guest_init(struct guest *g, uint64_t size)
{
	*g = (struct guest){ .size = size, .brk = GUEST_BASE };
	g->memfd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (g->memfd < 0 || ftruncate(g->memfd, (off_t)size) < 0 ||
	    fcntl(g->memfd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		return -1;
	g->ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, g->memfd, 0);
	if (g->ram == MAP_FAILED)
		return -1;
	return guest_memory_add_fd(&g->map, GUEST_BASE, GUEST_USER, size, g->memfd, 0, NULL);
}

static inline void guest_end(struct guest *g)
{
	guest_memory_clear(&g->map);
	munmap(g->ram, g->size);
	close(g->memfd);
}

static inline void *guest_ptr(struct guest *g, uint64_t addr)
{
	return g->ram + (addr - GUEST_BASE);
}

static inline uint64_t guest_user(uint64_t addr)
{
	return addr - GUEST_BASE + GUEST_USER;
}

static inline uint64_t guest_alloc(struct guest *g, uint64_t size)
{
	uint64_t at = g->brk;

	g->brk += (size + 63) & ~UINT64_C(63);
	if (g->brk > GUEST_BASE + g->size)
		abort();
	return at;
}

static inline void guest_ring_init(struct guest_ring *r, struct guest *g, unsigned size)
{
	*r = (struct guest_ring){ .g = g, .size = size };
	r->desc_at = guest_alloc(g, VIRTQUEUE_DESC_BYTES(size));
	r->avail_at = guest_alloc(g, VIRTQUEUE_AVAIL_BYTES(size));
	r->used_at = guest_alloc(g, VIRTQUEUE_USED_BYTES(size));
	r->desc = guest_ptr(g, r->desc_at);
	r->avail = guest_ptr(g, r->avail_at);
	r->used = guest_ptr(g, r->used_at);
}

/* Clear the rings and go on from index @at, as after a reset. */
static inline void guest_ring_reset(struct guest_ring *r, uint16_t at)
{
	memset(r->desc, 0, VIRTQUEUE_DESC_BYTES(r->size));
	memset(r->avail, 0, VIRTQUEUE_AVAIL_BYTES(r->size));
	memset(r->used, 0, VIRTQUEUE_USED_BYTES(r->size));
	r->avail->idx = r->used->idx = r->seen = at;
}

static inline struct virtqueue_areas guest_ring_areas(struct guest_ring *r)
{
	return (struct virtqueue_areas){
		.desc = guest_memory_at(&r->g->map, r->desc_at, VIRTQUEUE_DESC_BYTES(r->size)),
		.avail = guest_memory_at(&r->g->map, r->avail_at, VIRTQUEUE_AVAIL_BYTES(r->size)),
		.used = guest_memory_at(&r->g->map, r->used_at, VIRTQUEUE_USED_BYTES(r->size)),
	};
}

static inline void guest_desc(struct guest_ring *r, unsigned i, uint64_t addr, uint32_t len,
			      unsigned flags, unsigned next)
{
	r->desc[i] = (struct vring_desc){ .addr = addr, .len = len, .flags = (uint16_t)flags,
					  .next = (uint16_t)next };
}

static inline void guest_offer(struct guest_ring *r, unsigned head)
{
	uint16_t idx = r->avail->idx;

	r->avail->ring[idx & (r->size - 1)] = (uint16_t)head;
	__atomic_store_n(&r->avail->idx, (uint16_t)(idx + 1), __ATOMIC_RELEASE);
}

/* Take one used entry. Return: false when there is none */
static inline bool guest_take(struct guest_ring *r, struct vring_used_elem *e)
{
	if (__atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) == r->seen)
		return false;
	*e = r->used->ring[r->seen++ & (r->size - 1)];
	return true;
}

#endif /* TESTS_VIRTIO_GUEST_H */
