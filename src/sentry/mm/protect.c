/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/protect.c - mprotect(2)
 *
 * What is mapped keeps its pages and gets new rights in the stub; what has none yet gets some if it
 * becomes accessible. A shared mapping of a file that becomes writable is mapped anew, as its file
 * may have another descriptor for that.
 */
#include "sentry/mm/space.h"

#include <errno.h>
#include <sys/mman.h>

#ifndef PROT_SEM
#define PROT_SEM 0x8 /* asm/mman.h; means nothing here */
#endif

/* Linux checks one VMA after the other, changing as it goes; nothing is changed here on errors. */
static int protect_check(struct mm *mm, uint64_t start, uint64_t end, int prot)
{
	struct ranges_pos pos;
	const struct vma *vma = ranges_find(&mm->vmas, start, &pos);

	if (!vma_whole(mm, start, end))
		return -ENOMEM;
	for (; vma && vma->r.start < end; vma = ranges_next(&mm->vmas, &pos)) {
		if ((prot & PROT_WRITE) && !(vma->flags & VMA_MAY_WRITE))
			return -EACCES;
		if ((prot & PROT_EXEC) && !(vma->flags & VMA_MAY_EXEC))
			return -EACCES;
	}
	if (mm->vmas.count + 2 >= SPACE_VMAS_MAX || mm->pieces.count + 2 >= SPACE_PIECES_GUEST)
		return -ENOMEM;
	return 0;
}

static int protect_one(struct mm *mm, struct vma *vma, int prot)
{
	struct vma now;
	bool grown = prot & ~vma->prot & PROT_WRITE;

	vma_count(mm, vma, -1);
	vma->prot = (uint8_t)prot;
	vma_count(mm, vma, 1);
	now = *vma;
	if (grown && now.file && (now.flags & VMA_SHARED))
		piece_remove(mm, now.r.start, now.r.end, true);
	piece_protect(mm, now.r.start, now.r.end, prot);
	if (prot == PROT_NONE || vma_mappable(&now) || now.r.end - now.r.start > MAP_EAGER_MAX)
		return 0;
	return piece_fill(mm, now.r.start, now.r.end, &now);
}

static int protect_range(struct mm *mm, uint64_t start, uint64_t end, int prot)
{
	uint64_t at = start;
	int r = vma_reserve(mm);

	if (r)
		return r;
	vma_cut(mm, start);
	vma_cut(mm, end);
	while (!r && at < end) {
		struct vma *vma = vma_at(mm, at);

		at = vma->r.end;
		if (vma->prot != prot)
			r = protect_one(mm, vma, prot);
	}
	vma_join(mm, start, end);
	return r;
}

int mm_protect(struct mm *mm, uint64_t addr, uint64_t len, int prot)
{
	uint64_t end = addr + PAGE_UP(len);
	int grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	int r;

	prot &= ~grows;
	if ((addr & (PAGE_SIZE - 1)) || grows == (PROT_GROWSDOWN | PROT_GROWSUP) ||
	    (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM)))
		return -EINVAL;
	prot &= PROT_READ | PROT_WRITE | PROT_EXEC;
	if (!len)
		return 0;
	if (addr > GUEST_END || PAGE_UP(len) == 0 || PAGE_UP(len) > GUEST_END - addr)
		return -ENOMEM;
	space_lock(mm);
	r = 0;
	if (grows) {
		const struct vma *vma = vma_at(mm, addr);

		if (grows == PROT_GROWSUP || !vma || !(vma->flags & VMA_GROWS_DOWN))
			r = -EINVAL;
		else
			addr = vma->r.start;
	}
	if (!r)
		r = protect_check(mm, addr, end, prot);
	if (!r)
		r = protect_range(mm, addr, end, prot);
	return space_unlock(mm) ? -ENOMEM : r;
}
