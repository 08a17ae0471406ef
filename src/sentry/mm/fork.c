/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/fork.c - a copy of an address space, its private pages shared until one side writes
 *
 *	wait until nobody has pages pinned	what is written through a pin is not the child's
 *	every private piece becomes cow		one batch of mprotects in the parent
 *	the trees are copied			references for files and pages
 *	the child's pieces are mapped		one batch of mmaps in its stub
 *
 * Called by task/ for clone without CLONE_VM.
 */
#include "sentry/mm/space.h"

#include <errno.h>
#include <string.h>

#include "sentry/vfs/file.h"

static void fork_protect(struct mm *mm)
{
	struct ranges_pos pos;
	struct piece *piece = ranges_find(&mm->pieces, 0, &pos);

	for (; piece; piece = ranges_next(&mm->pieces, &pos)) {
		bool writable = piece_prot(piece) & PROT_WRITE;

		if (piece->shared || piece->fd >= 0 || piece->cow)
			continue;
		piece->cow = true;
		if (writable)
			space_op(mm, &(struct trap_map){ .kind = TRAP_PROTECT,
							 .addr = piece->r.start,
							 .len = piece->r.end - piece->r.start,
							 .prot = piece_prot(piece) });
	}
}

/* References for what was copied; what is not for children goes. */
static void fork_vmas(struct mm *child)
{
	struct ranges_pos pos;
	struct vma *vma = ranges_find(&child->vmas, 0, &pos);

	for (; vma; vma = ranges_next(&child->vmas, &pos)) {
		vma->flags &= (uint16_t)~VMA_LOCKED;
		vma_hold(vma);
	}
}

static void fork_pieces(struct mm *child)
{
	struct ranges_pos pos;
	const struct piece *piece = ranges_find(&child->pieces, 0, &pos);

	for (; piece; piece = ranges_next(&child->pieces, &pos)) {
		if (piece->fd < 0)
			memfile_get(kernel.memory, piece->r.offset, piece->r.end - piece->r.start);
	}
}

/* MADV_DONTFORK, MADV_WIPEONFORK */
static void fork_leave(struct mm *child)
{
	struct ranges_pos pos;
	const struct vma *vma = ranges_find(&child->vmas, 0, &pos);

	while (vma) {
		uint64_t start = vma->r.start;
		uint64_t end = vma->r.end;

		if (vma->flags & VMA_WIPE_ON_FORK)
			piece_remove(child, start, end, false);
		if (vma->flags & VMA_DONT_FORK)
			vma_remove(child, start, end, false);
		vma = ranges_find(&child->vmas, end, &pos);
	}
}

static void fork_map(struct mm *child)
{
	struct ranges_pos pos;
	const struct piece *piece = ranges_find(&child->pieces, 0, &pos);

	for (; piece; piece = ranges_next(&child->pieces, &pos))
		piece_map(child, piece, false);
}

static int fork_copy(struct mm *mm, struct mm *child)
{
	int r = ranges_copy(&child->vmas, &mm->vmas);

	if (r)
		return r;
	r = ranges_copy(&child->pieces, &mm->pieces);
	if (r) {
		ranges_free(&child->vmas);
		return r;
	}
	fork_vmas(child);
	fork_pieces(child);
	child->map_base = mm->map_base;
	child->map_total = mm->map_total;
	child->map_data = mm->map_data;
	child->info = mm->info;
	child->exe = mm->exe ? file_get(mm->exe) : NULL;
	child->stack_max = mm->stack_max;
	memcpy(child->auxv, mm->auxv, sizeof(mm->auxv));
	child->nauxv = mm->nauxv;
	return 0;
}

int mm_fork(struct mm *mm, struct mm **out)
{
	struct mm *child;
	int r = mm_new(&child);

	if (r)
		return r;
	pthread_rwlock_wrlock(&mm->io);
	space_lock(mm);
	fork_protect(mm);
	/* From here on the parent cannot write what the child is to get. */
	r = space_commit(mm);
	if (!r)
		r = fork_copy(mm, child);
	space_unlock(mm);
	pthread_rwlock_unlock(&mm->io);
	if (!r) {
		space_lock(child);
		fork_leave(child);
		fork_map(child);
		r = space_unlock(child);
	}
	if (r) {
		mm_put(child);
		return r == -ESRCH ? -EAGAIN : r;
	}
	*out = child;
	return 0;
}
