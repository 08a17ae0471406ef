/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/vma.c - what the guest asked for: the tree of VMAs
 *
 * A range is changed by cutting at both its ends, changing what lies between, and joining what is
 * alike again. Cutting needs room for two elements in each tree, which vma_reserve() makes before
 * anything is changed, so that nothing can fail half-way.
 *
 * Called with the lock held for writing; looking, for reading.
 */
#include "sentry/mm/space.h"

#include <errno.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

#define VMA_GUARD  (256 * PAGE_SIZE) /* below what grows down */
#define VMA_UNMAP_AT 16u	     /* so many go: out of the stub first, see space_put_pages() */

struct vma *vma_at(struct mm *mm, uint64_t addr)
{
	struct vma *vma = ranges_find(&mm->vmas, addr, NULL);

	return vma && vma->r.start <= addr ? vma : NULL;
}

bool vma_whole(struct mm *mm, uint64_t start, uint64_t end)
{
	struct ranges_pos pos;
	struct vma *vma = ranges_find(&mm->vmas, start, &pos);

	while (vma && vma->r.start <= start) {
		if (vma->r.end >= end)
			return true;
		start = vma->r.end;
		vma = ranges_next(&mm->vmas, &pos);
	}
	return start >= end;
}

int vma_reserve(struct mm *mm)
{
	int r = ranges_reserve(&mm->vmas, 3);

	return r ? r : ranges_reserve(&mm->pieces, 3);
}

struct mappable *vma_mappable(const struct vma *vma)
{
	if (vma->shared)
		return &vma->shared->mappable;
	return vma->file ? &vma->file->inode->mapping : NULL;
}

/* --- references --- */

void vma_hold(struct vma *vma)
{
	struct mappable *m = vma_mappable(vma);

	if (m)
		atomic_fetch_add(&m->mapped, 1);
	if (vma->file)
		file_get(vma->file);
	if (vma->shared)
		shared_get(vma->shared);
}

static void vma_drop(struct mm *mm, const struct vma *vma)
{
	struct mappable *m = vma_mappable(vma);

	if (m)
		atomic_fetch_sub(&m->mapped, 1);
	if (vma->file)
		space_put_file(mm, vma->file);
	if (vma->shared)
		shared_put(vma->shared);
}

void vma_count(struct mm *mm, const struct vma *vma, int sign)
{
	uint64_t len = vma->r.end - vma->r.start;

	if (sign < 0)
		len = -len;
	mm->map_total += len;
	if (vma->flags & VMA_LOCKED)
		mm->map_locked += len;
	if ((vma->prot & PROT_WRITE) && !(vma->flags & VMA_SHARED))
		mm->map_data += len;
}

/* --- changing --- */

static bool vma_alike(void *data, const void *l, const void *r)
{
	const struct vma *left = l;
	const struct vma *right = r;

	if (left->prot != right->prot || left->flags != right->flags ||
	    left->file != right->file || left->shared != right->shared)
		return false;
	if ((left->file || left->shared) &&
	    left->r.offset + (left->r.end - left->r.start) != right->r.offset)
		return false;
	vma_drop(data, right);
	return true;
}

void vma_join(struct mm *mm, uint64_t start, uint64_t end)
{
	ranges_join(&mm->vmas, start, end, vma_alike, mm);
}

void vma_insert(struct mm *mm, const struct vma *vma)
{
	vma_count(mm, vma, 1);
	ranges_insert(&mm->vmas, vma);
	vma_join(mm, vma->r.start, vma->r.end);
}

void vma_cut(struct mm *mm, uint64_t addr)
{
	struct vma *right = ranges_split(&mm->vmas, addr);

	if (right)
		vma_hold(right);
	piece_cut(mm, addr);
}

void vma_remove(struct mm *mm, uint64_t start, uint64_t end, bool unmap)
{
	struct ranges_pos pos;
	struct vma *vma = ranges_find(&mm->vmas, start, &pos);
	unsigned n = 0;

	for (; vma && vma->r.start < end && n < VMA_UNMAP_AT; n++)
		vma = ranges_next(&mm->vmas, &pos);
	piece_remove(mm, start, end, unmap || n == VMA_UNMAP_AT);
	vma = ranges_find(&mm->vmas, start, &pos);
	while (vma && vma->r.start < end) {
		struct vma gone = *vma;

		vma_count(mm, &gone, -1);
		ranges_remove(&mm->vmas, &pos);
		vma_drop(mm, &gone);
		vma = ranges_at(&mm->vmas, pos);
	}
}

/* --- room --- */

static bool vma_is_free(struct mm *mm, uint64_t start, uint64_t len)
{
	const struct vma *vma = ranges_find(&mm->vmas, start, NULL);
	uint64_t end = start + len;

	if (start < GUEST_START || end < start || end > GUEST_END)
		return false;
	if (vma && (vma->flags & VMA_GROWS_DOWN))
		end += VMA_GUARD;
	return !vma || vma->r.start >= end;
}

uint64_t vma_room(struct mm *mm, uint64_t hint, uint64_t len, uint64_t top)
{
	struct ranges_pos pos;
	struct vma *vma;
	uint64_t end = top;

	if (hint && vma_is_free(mm, hint, len))
		return hint;
	ranges_find(&mm->vmas, top - 1, &pos);
	vma = ranges_at(&mm->vmas, pos);
	if (!vma || vma->r.start >= top)
		vma = ranges_prev(&mm->vmas, &pos);
	for (; vma; vma = ranges_prev(&mm->vmas, &pos)) {
		uint64_t start = vma->r.start;

		if (vma->r.end < end && end - vma->r.end >= len)
			return end - len;
		if (vma->flags & VMA_GROWS_DOWN)
			start -= start - GUEST_START < VMA_GUARD ? start - GUEST_START : VMA_GUARD;
		end = start < end ? start : end;
	}
	return end > GUEST_START && end - GUEST_START >= len ? end - len : 0;
}
