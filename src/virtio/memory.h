/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/memory.h - the guest's physical memory as the host has mapped it
 *
 * A map is a few regions.  Every address and length from the guest goes
 * through guest_memory_at(), which answers NULL unless the whole range lies in
 * one region.  The bytes behind it may change at any moment: read each field
 * once into a local, check the local, use the local.
 */
#ifndef VIRTIO_MEMORY_H
#define VIRTIO_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GUEST_MEMORY_REGIONS_MAX 8

struct guest_region {
	uint64_t guest_addr; /* guest-physical start */
	uint64_t user_addr;  /* start in the address space of the VMM that owns it (vhost-user) */
	uint64_t size;
	uint8_t *host;       /* our mapping of guest_addr */
	void *map;           /* owned: what to munmap */
	size_t map_len;
};

struct guest_memory {
	struct guest_region regions[GUEST_MEMORY_REGIONS_MAX];
	size_t nregions;
};

/* guest_memory_add_fd() - Map @size bytes of @fd (borrowed) at @offset as a region */
int guest_memory_add_fd(struct guest_memory *mem, uint64_t guest_addr, uint64_t user_addr,
			uint64_t size, int fd, uint64_t offset, struct coffer_error *err);
/* guest_memory_clear() - Unmap all; leaves an empty map */
void guest_memory_clear(struct guest_memory *mem);
/* guest_memory_trim() - Forget which pages we have touched; their contents stay with the guest */
void guest_memory_trim(const struct guest_memory *mem);

/* guest_memory_at() - Host address of [@addr, @addr+@len), NULL when any of it is outside */
void *guest_memory_at(const struct guest_memory *mem, uint64_t addr, uint64_t len);
/* guest_memory_at_user() - The same for a VMM's user address */
void *guest_memory_at_user(const struct guest_memory *mem, uint64_t addr, uint64_t len);

#endif /* VIRTIO_MEMORY_H */
