/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/piece.c - what is mapped in the stub: the tree of pieces
 *
 * Every change here queues the operation that makes it true in the stub.
 *
 * Called with the lock held for writing.
 */
#include "sentry/mm/space.h"

#include <errno.h>
#include <stddef.h>

#define PIECE_UNMAP_AT 16u /* more than these go: out of the stub first, see space_put_pages() */

static uint64_t piece_len(const struct piece *piece)
{
	return piece->r.end - piece->r.start;
}

static bool piece_alike(void *data, const void *l, const void *r)
{
	const struct piece *left = l;
	const struct piece *right = r;

	(void)data;
	return left->fd == right->fd && left->prot == right->prot &&
	       left->shared == right->shared && left->cow == right->cow &&
	       left->r.offset + piece_len(left) == right->r.offset;
}

void piece_map(struct mm *mm, const struct piece *piece, bool populate)
{
	struct trap_map op = {
		.kind = piece->fd < 0 ? TRAP_MAP_MEMORY : TRAP_MAP_HOST,
		.addr = piece->r.start,
		.len = piece_len(piece),
		.prot = piece_prot(piece),
		.populate = populate,
		.private_copy = piece->fd >= 0 && !piece->shared,
		.fd = piece->fd,
		.offset = piece->r.offset,
	};

	space_op(mm, &op);
}

int piece_add(struct mm *mm, const struct piece *piece, bool populate)
{
	int r = mm->pieces.count >= SPACE_PIECES_MAX ? -EAGAIN : ranges_reserve(&mm->pieces, 3);

	if (r) {
		if (piece->fd < 0)
			memfile_put(kernel.memory, piece->r.offset, piece_len(piece));
		/* What was there may have gone to be mapped over. */
		space_op(mm, &(struct trap_map){ .kind = TRAP_UNMAP,
						 .addr = piece->r.start,
						 .len = piece_len(piece) });
		return r;
	}
	ranges_insert(&mm->pieces, piece);
	piece_map(mm, piece, populate);
	ranges_join(&mm->pieces, piece->r.start, piece->r.end, piece_alike, NULL);
	return 0;
}

void piece_repeat(struct mm *mm, const struct piece *piece, uint64_t addr)
{
	struct piece page = *piece;

	page.r.start = addr;
	page.r.end = addr + PAGE_SIZE;
	page.r.offset += addr - piece->r.start;
	piece_map(mm, &page, false);
}

void piece_cut(struct mm *mm, uint64_t addr)
{
	ranges_split(&mm->pieces, addr);
}

/* Out of the stub, from the first to the last of what is mapped there. */
static void piece_unmap(struct mm *mm, uint64_t start, uint64_t end)
{
	struct ranges_pos pos;
	const struct piece *first = ranges_find(&mm->pieces, start, &pos);
	const struct piece *last;

	if (!first || first->r.start >= end)
		return;
	start = first->r.start;
	ranges_find(&mm->pieces, end - 1, &pos);
	last = ranges_at(&mm->pieces, pos);
	if (!last || last->r.start >= end)
		last = ranges_prev(&mm->pieces, &pos);
	space_op(mm, &(struct trap_map){
			     .kind = TRAP_UNMAP, .addr = start, .len = last->r.end - start });
}

void piece_remove(struct mm *mm, uint64_t start, uint64_t end, bool unmap)
{
	struct ranges_pos pos;
	struct piece *piece = ranges_find(&mm->pieces, start, &pos);
	unsigned n = 0;

	for (; piece && piece->r.start < end && n <= PIECE_UNMAP_AT; n++)
		piece = ranges_next(&mm->pieces, &pos);
	if (unmap || n > PIECE_UNMAP_AT)
		piece_unmap(mm, start, end);
	else if (mm->nputs + n > SPACE_PUTS)
		space_commit(mm);
	piece = ranges_find(&mm->pieces, start, &pos);
	while (piece && piece->r.start < end) {
		struct piece gone = *piece;

		ranges_remove(&mm->pieces, &pos);
		if (gone.fd < 0)
			space_put_pages(mm, gone.r.offset, piece_len(&gone));
		/* Putting may look at trees only, so the position holds. */
		piece = ranges_at(&mm->pieces, pos);
	}
}

int piece_fill(struct mm *mm, uint64_t start, uint64_t end, const struct vma *vma)
{
	while (start < end) {
		const struct piece *next = ranges_find(&mm->pieces, start, NULL);
		struct piece piece = { .r = { .start = start }, .fd = -1, .prot = vma->prot };
		int r;

		if (next && next->r.start <= start) {
			start = next->r.end;
			continue;
		}
		piece.r.end = next && next->r.start < end ? next->r.start : end;
		r = memfile_alloc(kernel.memory, piece_len(&piece), &piece.r.offset);
		if (!r)
			r = piece_add(mm, &piece, false);
		if (r)
			return r;
		start = piece.r.end;
	}
	return 0;
}

void piece_protect(struct mm *mm, uint64_t start, uint64_t end, int prot)
{
	struct ranges_pos pos;
	struct piece *piece = ranges_find(&mm->pieces, start, &pos);

	for (; piece && piece->r.start < end; piece = ranges_next(&mm->pieces, &pos)) {
		piece->prot = (uint8_t)prot;
		space_op(mm, &(struct trap_map){ .kind = TRAP_PROTECT,
						 .addr = piece->r.start,
						 .len = piece_len(piece),
						 .prot = piece_prot(piece) });
	}
	ranges_join(&mm->pieces, start, end, piece_alike, NULL);
}
