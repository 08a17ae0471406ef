/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/fork.c - a copy of an address space, its private pages shared until one side writes
 *
 *	wait until nobody has pages pinned	what is written through a pin is not the child's
 *	every private piece becomes cow		one batch of mprotects in the parent
 *	the trees are copied			references for files and pages
 *	the child's pieces are mapped		one batch of mmaps in its stub
 *
 * What both sides are sure to write to at once is copied instead: the stack where it is, and pieces
 * of a few pages, which are a program's variables. That saves each side a fault for each of them.
 * Only when nobody else runs in there, who could be writing meanwhile.
 *
 * Called by task/ for clone without CLONE_VM.
 */
#include "sentry/mm/space.h"

#include <errno.h>
#include <string.h>

#include "sentry/mm/copy.h"
#include "sentry/task/task.h"
#include "sentry/vfs/file.h"

#define FORK_COPY (4 * PAGE_SIZE)

/* Whether a piece is copied at once. */
static bool fork_copies(const struct piece *piece, bool alone)
{
	return alone && !piece->cow && (piece_prot(piece) & PROT_WRITE) &&
	       piece->r.end - piece->r.start <= FORK_COPY;
}

/* The stack's pages in use become a piece of their own. */
static void fork_cut_stack(struct mm *mm)
{
	uint64_t at = PAGE_DOWN(task_current->regs.rsp);
	const struct piece *piece = ranges_find(&mm->pieces, at, NULL);

	if (!piece || piece->r.start > at || piece->shared || piece->cow || vma_reserve(mm))
		return;
	piece_cut(mm, at - PAGE_SIZE);
	piece_cut(mm, at + 2 * PAGE_SIZE);
}

static void fork_share(struct mm *mm, struct piece *piece)
{
	bool writable = piece_prot(piece) & PROT_WRITE;

	piece->cow = true;
	if (writable)
		space_op(mm, &(struct trap_map){ .kind = TRAP_PROTECT,
						 .addr = piece->r.start,
						 .len = piece->r.end - piece->r.start,
						 .prot = piece_prot(piece) });
}

static void fork_protect(struct mm *mm, bool alone)
{
	struct ranges_pos pos;
	struct piece *piece = ranges_find(&mm->pieces, 0, &pos);

	for (; piece; piece = ranges_next(&mm->pieces, &pos)) {
		if (!piece->shared && piece->fd < 0 && !piece->cow && !fork_copies(piece, alone))
			fork_share(mm, piece);
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

/* A copy for the child; both share it after all if there is no memory. */
static void fork_copy_piece(struct mm *mm, struct piece *piece)
{
	uint64_t len = piece->r.end - piece->r.start;
	uint64_t from = piece->r.offset;
	struct piece *old;

	if (!memfile_alloc_raw(kernel.memory, len, &piece->r.offset)) {
		if (!copy_bytes(memfile_ptr(kernel.memory, piece->r.offset),
				memfile_ptr(kernel.memory, from), len))
			return;
		memfile_put(kernel.memory, piece->r.offset, len);
	}
	piece->r.offset = from;
	piece->cow = true;
	memfile_get(kernel.memory, from, len);
	old = ranges_find(&mm->pieces, piece->r.start, NULL);
	fork_share(mm, old);
}

static void fork_pieces(struct mm *mm, struct mm *child, bool alone)
{
	struct ranges_pos pos;
	struct piece *piece = ranges_find(&child->pieces, 0, &pos);

	for (; piece; piece = ranges_next(&child->pieces, &pos)) {
		if (piece->fd >= 0)
			continue;
		if (!piece->shared && fork_copies(piece, alone))
			fork_copy_piece(mm, piece);
		else
			memfile_get(kernel.memory, piece->r.offset,
				    piece->r.end - piece->r.start);
	}
}

/* MADV_DONTFORK, MADV_WIPEONFORK. Pieces may go on into the next VMA. */
static int fork_leave(struct mm *child)
{
	struct ranges_pos pos;
	const struct vma *vma = ranges_find(&child->vmas, 0, &pos);

	while (vma) {
		uint64_t start = vma->r.start;
		uint64_t end = vma->r.end;
		unsigned flags = vma->flags;

		if (flags & (VMA_WIPE_ON_FORK | VMA_DONT_FORK)) {
			if (vma_reserve(child))
				return -ENOMEM;
			piece_cut(child, start);
			piece_cut(child, end);
		}
		if (flags & VMA_WIPE_ON_FORK)
			piece_remove(child, start, end, false);
		if (flags & VMA_DONT_FORK)
			vma_remove(child, start, end, false);
		vma = ranges_find(&child->vmas, end, &pos);
	}
	return 0;
}

static void fork_map(struct mm *child, bool alone)
{
	struct ranges_pos pos;
	const struct piece *piece = ranges_find(&child->pieces, 0, &pos);

	for (; piece; piece = ranges_next(&child->pieces, &pos))
		piece_map(child, piece, fork_copies(piece, alone));
}

static int fork_copy(struct mm *mm, struct mm *child, bool alone)
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
	fork_pieces(mm, child, alone);
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
	bool alone = task_current && task_current->process->ntasks == 1 &&
		     atomic_load(&mm->refs) == 1;
	struct mm *child;
	int r = mm_new(&child);

	if (r)
		return r;
	pthread_rwlock_wrlock(&mm->io);
	space_lock(mm);
	if (alone)
		fork_cut_stack(mm);
	fork_protect(mm, alone);
	/* From here on the parent cannot write what the child is to get. */
	r = space_commit(mm);
	if (!r) {
		/* Who goes through all of them (space_each()) meets it already. */
		space_lock(child);
		r = fork_copy(mm, child, alone);
		space_unlock(child);
	}
	if (space_unlock(mm) && !r)
		r = -ESRCH;
	pthread_rwlock_unlock(&mm->io);
	if (!r) {
		int broken;

		space_lock(child);
		r = fork_leave(child);
		if (!r)
			fork_map(child, alone);
		broken = space_unlock(child);
		r = r ? r : broken;
	}
	if (r) {
		mm_put(child);
		return r == -ESRCH ? -EAGAIN : r;
	}
	*out = child;
	return 0;
}
