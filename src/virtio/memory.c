/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/memory.c - the guest's physical memory as the host has mapped it
 *
 * The transport fills the map from descriptors that the VMM hands over; queues
 * and devices only look addresses up.  Lookup is a walk over at most eight
 * regions and never joins two of them: a range that crosses a border is
 * refused even if the guest sees both sides as one piece of RAM, since our
 * mappings need not be neighbours.
 *
 * A lookup proves the range is mapped, nothing more: the bytes stay shared with
 * the guest.  Shrinking the file behind a mapping would raise SIGBUS here, so only
 * a file that is sealed against it is taken; QEMU's memory backend seals its own.
 */
#include "virtio/memory.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>

static bool memory_overlap(uint64_t a, uint64_t b, uint64_t a_len, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

static int memory_check_region(const struct guest_memory *mem, const struct guest_region *r,
			       struct coffer_error *err)
{
	uint64_t end;

	if (mem->nregions == GUEST_MEMORY_REGIONS_MAX)
		return err_invalid(err, "more than %d memory regions", GUEST_MEMORY_REGIONS_MAX);
	if (!r->size || __builtin_add_overflow(r->guest_addr, r->size, &end) ||
	    __builtin_add_overflow(r->user_addr, r->size, &end))
		return err_invalid(err, "memory region at %#" PRIx64 " has size %#" PRIx64,
				   r->guest_addr, r->size);
	for (size_t i = 0; i < mem->nregions; i++) {
		const struct guest_region *o = &mem->regions[i];

		if (memory_overlap(r->guest_addr, o->guest_addr, r->size, o->size) ||
		    memory_overlap(r->user_addr, o->user_addr, r->size, o->size))
			return err_invalid(err, "memory region at %#" PRIx64 " overlaps another",
					   r->guest_addr);
	}
	return 0;
}

/* Touching a page past the end of the file would kill us, so it must be all there. */
static int memory_check_file(int fd, uint64_t need, struct coffer_error *err)
{
	struct stat st;
	int seals;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat memory descriptor");
	if (!S_ISREG(st.st_mode))
		return err_invalid(err, "memory descriptor is not a file");
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return err_invalid(err, "memory file is not sealed against shrinking");
	if ((uint64_t)st.st_size < need)
		return err_invalid(err, "memory file has %jd bytes, its region needs %" PRIu64,
				   (intmax_t)st.st_size, need);
	return 0;
}

int guest_memory_add_fd(struct guest_memory *mem, uint64_t guest_addr, uint64_t user_addr,
			uint64_t size, int fd, uint64_t offset, struct coffer_error *err)
{
	struct guest_region r = { .guest_addr = guest_addr, .user_addr = user_addr, .size = size };
	uint64_t end;
	int rc;

	rc = memory_check_region(mem, &r, err);
	if (rc < 0)
		return rc;
	if (__builtin_add_overflow(offset, size, &end) || end > INT64_MAX)
		return err_invalid(err, "memory region at %#" PRIx64 " has offset %#" PRIx64,
				   guest_addr, offset);
	rc = memory_check_file(fd, end, err);
	if (rc < 0)
		return rc;

	/* From the file's start: @offset need not be a multiple of the (huge) page size. */
	r.map_len = (size_t)end;
	r.map = mmap(NULL, r.map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (r.map == MAP_FAILED)
		return err_sys(err, "map guest memory at %#" PRIx64, guest_addr);
	/* Guest memory has no business in our core dumps or children. */
	madvise(r.map, r.map_len, MADV_DONTDUMP);
	madvise(r.map, r.map_len, MADV_DONTFORK);
	r.host = (uint8_t *)r.map + offset;
	mem->regions[mem->nregions++] = r;
	return 0;
}

void guest_memory_clear(struct guest_memory *mem)
{
	for (size_t i = 0; i < mem->nregions; i++)
		munmap(mem->regions[i].map, mem->regions[i].map_len);
	*mem = (struct guest_memory){ .nregions = 0 };
}

/* The mapping is shared, so this drops page table entries only; a later touch brings them back. */
void guest_memory_trim(const struct guest_memory *mem)
{
	for (size_t i = 0; i < mem->nregions; i++)
		madvise(mem->regions[i].map, mem->regions[i].map_len, MADV_DONTNEED);
}

void *guest_memory_at(const struct guest_memory *mem, uint64_t addr, uint64_t len)
{
	for (size_t i = 0; i < mem->nregions; i++) {
		const struct guest_region *r = &mem->regions[i];

		/* Written without sums: nothing here can wrap. */
		if (addr >= r->guest_addr && len <= r->size &&
		    addr - r->guest_addr <= r->size - len)
			return r->host + (addr - r->guest_addr);
	}
	return NULL;
}

void *guest_memory_at_user(const struct guest_memory *mem, uint64_t addr, uint64_t len)
{
	for (size_t i = 0; i < mem->nregions; i++) {
		const struct guest_region *r = &mem->regions[i];

		if (addr >= r->user_addr && len <= r->size && addr - r->user_addr <= r->size - len)
			return r->host + (addr - r->user_addr);
	}
	return NULL;
}
