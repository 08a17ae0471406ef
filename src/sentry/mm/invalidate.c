/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/invalidate.c - a file was cut while it is mapped
 *
 * What was mapped of the rest goes out of every stub; touching it again asks the file, which has
 * its end elsewhere now. For files of the host the host does that, too.
 *
 * Called by file systems.
 */
#include "sentry/mm/space.h"

struct invalidate {
	struct mappable *m;
	uint64_t start, end; /* in the file */
};

static void invalidate_vma(struct mm *mm, const struct vma *vma, const struct invalidate *what)
{
	uint64_t len = vma->r.end - vma->r.start;
	uint64_t from = what->start > vma->r.offset ? what->start - vma->r.offset : 0;
	uint64_t to = what->end > vma->r.offset ? what->end - vma->r.offset : 0;

	to = to < len ? to : len;
	if (from >= to || vma_reserve(mm))
		return;
	piece_cut(mm, vma->r.start + from);
	piece_cut(mm, vma->r.start + to);
	piece_remove(mm, vma->r.start + from, vma->r.start + to, true);
}

static void invalidate_mm(struct mm *mm, void *data)
{
	const struct invalidate *what = data;
	struct ranges_pos pos;
	const struct vma *vma;

	space_lock(mm);
	vma = ranges_find(&mm->vmas, 0, &pos);
	for (; vma; vma = ranges_next(&mm->vmas, &pos)) {
		if (vma_mappable(vma) == what->m)
			invalidate_vma(mm, vma, what);
	}
	space_unlock(mm);
}

void mm_invalidate(struct mappable *m, uint64_t offset, uint64_t len)
{
	struct invalidate what = { .m = m, .start = PAGE_DOWN(offset), .end = UINT64_MAX };

	if (!atomic_load(&m->mapped))
		return;
	if (len < UINT64_MAX - PAGE_SIZE - offset)
		what.end = PAGE_UP(offset + len);
	space_each(invalidate_mm, &what);
}
