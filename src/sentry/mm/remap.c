/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/remap.c - mremap(2)
 *
 * What moves keeps its pages: each piece is mapped at the new place, then the old range goes, in
 * one trip. One VMA at a time, as Linux long had it.
 */
#include "sentry/mm/space.h"

#include <errno.h>

struct remap {
	uint64_t old, old_len, new_len;
	int flags;
	uint64_t to; /* with MREMAP_FIXED */
};

static bool remap_overlaps(const struct remap *a)
{
	return a->old < a->to + a->new_len && a->to < a->old + a->old_len;
}

static int remap_check(const struct remap *a)
{
	if (a->flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((a->old & (PAGE_SIZE - 1)) || !a->new_len)
		return -EINVAL;
	if ((a->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(a->flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((a->flags & MREMAP_DONTUNMAP) && a->old_len != a->new_len)
		return -EINVAL;
	if (a->old > GUEST_END || a->old_len > GUEST_END - a->old)
		return -EINVAL;
	if (!(a->flags & MREMAP_FIXED))
		return 0;
	if ((a->to & (PAGE_SIZE - 1)) || a->to > GUEST_END || a->new_len > GUEST_END - a->to ||
	    remap_overlaps(a))
		return -EINVAL;
	return a->to < GUEST_START ? -EPERM : 0;
}

/* What a VMA that got longer has for its new part. */
static int remap_fill(struct mm *mm, const struct vma *vma, uint64_t from)
{
	uint64_t end = vma->r.end;

	if (from >= end || vma->prot == PROT_NONE || vma_mappable(vma) ||
	    end - from > MAP_EAGER_MAX)
		return 0;
	return piece_fill(mm, from, end, vma);
}

/* In place, if there is room behind. Return: 0, -ENOMEM: none */
static int remap_extend(struct mm *mm, const struct vma *vma, const struct remap *a)
{
	uint64_t from = a->old + a->old_len;
	uint64_t to = a->old + a->new_len;
	const struct vma *next = ranges_find(&mm->vmas, from, NULL);
	struct vma more = *vma;

	if (vma->r.end != from || to > GUEST_END || to < from || (next && next->r.start < to))
		return -ENOMEM;
	more.r.offset += from - more.r.start;
	more.r.start = from;
	more.r.end = to;
	if (vma_reserve(mm))
		return -ENOMEM;
	vma_hold(&more);
	vma_insert(mm, &more);
	return remap_fill(mm, &more, from);
}

/* The pieces of a range, @by further on; mapped there, and forgotten here. */
static void remap_pieces(struct mm *mm, uint64_t start, uint64_t end, uint64_t by)
{
	for (;;) {
		struct ranges_pos pos;
		const struct piece *found = ranges_find(&mm->pieces, start, &pos);
		struct piece piece;

		if (!found || found->r.start >= end)
			return;
		piece = *found;
		ranges_remove(&mm->pieces, &pos);
		piece.r.start += by;
		piece.r.end += by;
		ranges_insert(&mm->pieces, &piece);
		piece_map(mm, &piece, false);
	}
}

static int remap_move(struct mm *mm, const struct remap *a, uint64_t to)
{
	uint64_t keep = a->old_len < a->new_len ? a->old_len : a->new_len;
	const struct vma *found;
	struct vma vma;
	/* From the middle of one to the middle of another makes more, however short it is. */
	int r = map_one_more(mm);

	/* Nothing may fail half-way: see ranges_insert() for how much it needs. */
	if (!r)
		r = ranges_reserve(&mm->pieces, mm->pieces.count / 16 + 4);
	if (!r)
		r = ranges_reserve(&mm->vmas, 6);
	if (r)
		return r;
	if (a->old_len) {
		vma_cut(mm, a->old);
		vma_cut(mm, a->old + keep);
		vma_cut(mm, a->old + a->old_len);
	}
	if (a->flags & MREMAP_FIXED) {
		vma_cut(mm, to);
		vma_cut(mm, to + a->new_len);
		vma_remove(mm, to, to + a->new_len, true);
	}
	/* What is to be had twice may have lain there itself. */
	found = vma_at(mm, a->old);
	if (!found)
		return -EFAULT;
	vma = *found;
	vma.r = (struct range){ to, to + a->new_len, vma.r.offset + (a->old - vma.r.start) };
	vma_hold(&vma);
	if (a->old_len) {
		remap_pieces(mm, a->old, a->old + keep, to - a->old);
		space_op(mm, &(struct trap_map){
				     .kind = TRAP_UNMAP, .addr = a->old, .len = a->old_len });
	}
	if (!(a->flags & MREMAP_DONTUNMAP) && a->old_len)
		vma_remove(mm, a->old, a->old + a->old_len, true);
	vma_insert(mm, &vma); /* last: it may join what is beside it */
	return a->old_len ? remap_fill(mm, &vma, to + keep) : 0;
}

/* Whether the range is in one VMA that can be treated so. */
static int remap_source(struct mm *mm, const struct remap *a, struct vma *out)
{
	const struct vma *vma = vma_at(mm, a->old);

	if (!vma)
		return -EFAULT;
	if (!a->old_len && !(vma->flags & VMA_SHARED))
		return -EINVAL;
	if (vma->r.end < a->old + a->old_len)
		return -EFAULT;
	/* As mmap(2): no file goes on that far. */
	if (vma->r.offset + (a->old - vma->r.start) + a->new_len > INT64_MAX)
		return -EINVAL;
	if ((a->flags & MREMAP_DONTUNMAP) && (vma->flags & VMA_SHARED) && vma->file)
		return -EINVAL;
	*out = *vma;
	return 0;
}

static int remap_shrink(struct mm *mm, const struct remap *a)
{
	int r = map_one_more(mm);

	if (!r)
		r = vma_reserve(mm);
	if (r)
		return r;
	vma_cut(mm, a->old + a->new_len);
	vma_cut(mm, a->old + a->old_len);
	vma_remove(mm, a->old + a->new_len, a->old + a->old_len, true);
	return 0;
}

static int remap_locked(struct mm *mm, struct task *task, const struct remap *a, uint64_t *out)
{
	bool moves = a->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	struct vma vma;
	uint64_t to = a->to;
	int r = remap_source(mm, a, &vma);

	if (r)
		return r;
	*out = a->old;
	if (!moves && a->old_len && a->new_len <= a->old_len)
		return a->new_len < a->old_len ? remap_shrink(mm, a) : 0;
	if (a->new_len > a->old_len || (a->flags & MREMAP_DONTUNMAP)) {
		uint64_t more = a->flags & MREMAP_DONTUNMAP ? a->new_len : a->new_len - a->old_len;

		r = map_limits(mm, task, more, vma.prot, vma.flags);
		if (r)
			return r;
	}
	if (!moves && a->old_len && !remap_extend(mm, &vma, a))
		return 0;
	if (!(a->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	if (!(a->flags & MREMAP_FIXED))
		to = vma_room(mm, a->flags & MREMAP_DONTUNMAP ? PAGE_DOWN(a->to) : 0, a->new_len,
			      mm->map_base);
	if (!to)
		return -ENOMEM;
	*out = to;
	return remap_move(mm, a, to);
}

int mm_remap(struct mm *mm, struct task *task, uint64_t old, uint64_t old_len, uint64_t new_len,
	     int flags, uint64_t new_addr, uint64_t *out)
{
	struct remap a = { .old = old,
			   .old_len = PAGE_UP(old_len),
			   .new_len = PAGE_UP(new_len),
			   .flags = flags,
			   .to = new_addr };
	int r;

	if (old_len > GUEST_END || new_len > GUEST_END)
		return -EINVAL;
	r = remap_check(&a);
	if (r)
		return r;
	space_lock(mm);
	r = remap_locked(mm, task, &a, out);
	return space_unlock(mm) ? -ENOMEM : r;
}
