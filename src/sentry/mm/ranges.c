/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/ranges.c - address ranges in order
 *
 * An array of blocks, each an array of elements: two binary searches to find, a short memmove to
 * insert. A full block is cut in halves; an empty one goes to the spares. Blocks that got thin are
 * left so.
 *
 * Used by address spaces for VMAs and pieces, under their lock.
 */
#include "sentry/mm/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RANGES_BLOCK 32u /* elements */
#define RANGES_SPARE 4u	 /* blocks that are kept */

struct ranges_block {
	struct ranges_block *next; /* among the spares */
	unsigned n;
	_Alignas(16) char elems[];
};

static struct range *ranges_elem(const struct ranges *set, const struct ranges_block *block,
				 unsigned i)
{
	return (struct range *)(uintptr_t)(block->elems + i * set->elem);
}

void ranges_init(struct ranges *set, size_t elem)
{
	*set = (struct ranges){ .elem = elem };
}

void ranges_free(struct ranges *set)
{
	struct ranges_block *block;

	for (unsigned i = 0; i < set->nblocks; i++)
		free(set->blocks[i]);
	while ((block = set->spare)) {
		set->spare = block->next;
		free(block);
	}
	free(set->blocks);
	ranges_init(set, set->elem);
}

static struct ranges_block *ranges_block_new(const struct ranges *set)
{
	struct ranges_block *block = malloc(sizeof(*block) + RANGES_BLOCK * set->elem);

	if (block)
		block->n = 0;
	return block;
}

static int ranges_reserve_blocks(struct ranges *set, unsigned n)
{
	struct ranges_block **blocks;
	unsigned cap = set->cap ? set->cap : 4;

	while (cap < set->nblocks + n)
		cap *= 2;
	if (cap == set->cap)
		return 0;
	blocks = realloc(set->blocks, cap * sizeof(struct ranges_block *));
	if (!blocks)
		return -ENOMEM;
	set->blocks = blocks;
	set->cap = cap;
	return 0;
}

int ranges_reserve(struct ranges *set, unsigned n)
{
	int r = ranges_reserve_blocks(set, n);

	while (!r && set->nspare < n) {
		struct ranges_block *block = ranges_block_new(set);

		if (!block)
			return -ENOMEM;
		block->next = set->spare;
		set->spare = block;
		set->nspare++;
	}
	return r;
}

int ranges_copy(struct ranges *dst, const struct ranges *src)
{
	if (ranges_reserve_blocks(dst, src->nblocks ? src->nblocks : 1))
		return -ENOMEM;
	for (unsigned i = 0; i < src->nblocks; i++) {
		struct ranges_block *block = ranges_block_new(dst);

		if (!block) {
			ranges_free(dst);
			return -ENOMEM;
		}
		block->n = src->blocks[i]->n;
		memcpy(block->elems, src->blocks[i]->elems, block->n * src->elem);
		dst->blocks[dst->nblocks++] = block;
	}
	dst->count = src->count;
	return 0;
}

/* --- looking --- */

void *ranges_at(const struct ranges *set, struct ranges_pos pos)
{
	if (pos.block >= set->nblocks || pos.index >= set->blocks[pos.block]->n)
		return NULL;
	return ranges_elem(set, set->blocks[pos.block], pos.index);
}

void *ranges_find(const struct ranges *set, uint64_t addr, struct ranges_pos *pos)
{
	struct ranges_pos at = { 0, 0 };
	unsigned high = set->nblocks;

	while (at.block < high) {
		unsigned mid = (at.block + high) / 2;
		const struct ranges_block *block = set->blocks[mid];

		if (ranges_elem(set, block, block->n - 1)->end > addr)
			high = mid;
		else
			at.block = mid + 1;
	}
	if (at.block < set->nblocks) {
		high = set->blocks[at.block]->n;
		while (at.index < high) {
			unsigned mid = (at.index + high) / 2;

			if (ranges_elem(set, set->blocks[at.block], mid)->end > addr)
				high = mid;
			else
				at.index = mid + 1;
		}
	}
	if (pos)
		*pos = at;
	return ranges_at(set, at);
}

void *ranges_next(const struct ranges *set, struct ranges_pos *pos)
{
	if (pos->block < set->nblocks && ++pos->index >= set->blocks[pos->block]->n)
		*pos = (struct ranges_pos){ .block = pos->block + 1 };
	return ranges_at(set, *pos);
}

void *ranges_prev(const struct ranges *set, struct ranges_pos *pos)
{
	if (pos->index == 0) {
		if (pos->block == 0)
			return NULL;
		pos->block--;
		pos->index = set->blocks[pos->block]->n;
	}
	pos->index--;
	return ranges_at(set, *pos);
}

void *ranges_last(const struct ranges *set, struct ranges_pos *pos)
{
	*pos = (struct ranges_pos){ .block = set->nblocks };
	return ranges_prev(set, pos);
}

/* --- changing --- */

/* An empty block at @at, from the spares. */
static struct ranges_block *ranges_block_insert(struct ranges *set, unsigned at)
{
	struct ranges_block *block = set->spare;

	set->spare = block->next;
	set->nspare--;
	block->n = 0;
	memmove(set->blocks + at + 1, set->blocks + at,
		(set->nblocks - at) * sizeof(struct ranges_block *));
	set->blocks[at] = block;
	set->nblocks++;
	return block;
}

/* Make room in a full block, for an element at @pos. */
static void ranges_cut(struct ranges *set, struct ranges_pos *pos)
{
	struct ranges_block *block = set->blocks[pos->block];
	struct ranges_block *right = ranges_block_insert(set, pos->block + 1);
	/* Behind everything: who maps upwards fills blocks. */
	unsigned keep = pos->index == RANGES_BLOCK ? RANGES_BLOCK : RANGES_BLOCK / 2;

	right->n = block->n - keep;
	memcpy(right->elems, block->elems + keep * set->elem, right->n * set->elem);
	block->n = keep;
	if (pos->index >= keep)
		*pos = (struct ranges_pos){ .block = pos->block + 1, .index = pos->index - keep };
}

void *ranges_insert(struct ranges *set, const void *elem)
{
	struct ranges_pos pos;
	struct ranges_block *block;
	char *at;

	ranges_find(set, ((const struct range *)elem)->start, &pos);
	if (pos.block == set->nblocks) { /* behind the last one */
		if (set->nblocks == 0)
			ranges_block_insert(set, 0);
		pos.block = set->nblocks - 1;
		pos.index = set->blocks[pos.block]->n;
	}
	if (set->blocks[pos.block]->n == RANGES_BLOCK)
		ranges_cut(set, &pos);
	block = set->blocks[pos.block];
	at = block->elems + pos.index * set->elem;
	memmove(at + set->elem, at, (block->n - pos.index) * set->elem);
	memcpy(at, elem, set->elem);
	block->n++;
	set->count++;
	return at;
}

void *ranges_split(struct ranges *set, uint64_t addr)
{
	_Alignas(16) char copy[128];
	struct range *right = (struct range *)copy;
	struct range *left = ranges_find(set, addr, NULL);

	if (!left || left->start >= addr)
		return NULL;
	memcpy(copy, left, set->elem);
	right->start = addr;
	right->offset += addr - left->start;
	left->end = addr;
	return ranges_insert(set, copy);
}

void ranges_remove(struct ranges *set, struct ranges_pos *pos)
{
	struct ranges_block *block = set->blocks[pos->block];
	char *at = block->elems + pos->index * set->elem;

	memmove(at, at + set->elem, (block->n - pos->index - 1) * set->elem);
	block->n--;
	set->count--;
	if (block->n) {
		if (pos->index == block->n)
			*pos = (struct ranges_pos){ .block = pos->block + 1 };
		return;
	}
	set->nblocks--;
	memmove(set->blocks + pos->block, set->blocks + pos->block + 1,
		(set->nblocks - pos->block) * sizeof(struct ranges_block *));
	pos->index = 0;
	if (set->nspare >= RANGES_SPARE) {
		free(block);
		return;
	}
	block->next = set->spare;
	set->spare = block;
	set->nspare++;
}

void ranges_join(struct ranges *set, uint64_t start, uint64_t end,
		 bool (*fn)(void *data, const void *left, const void *right), void *data)
{
	struct ranges_pos pos;
	struct range *right = ranges_find(set, start ? start - 1 : 0, &pos);
	struct ranges_pos left_pos = pos;
	struct range *left = ranges_prev(set, &left_pos);

	while (right && right->start <= end) {
		if (!left || left->end != right->start || !fn(data, left, right)) {
			left = right;
			right = ranges_next(set, &pos);
			continue;
		}
		left->end = right->end;
		ranges_remove(set, &pos);
		right = ranges_at(set, pos);
	}
}
