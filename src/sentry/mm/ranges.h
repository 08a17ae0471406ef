/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/ranges.h - address ranges in order, none overlapping another
 *
 * Elements begin with a struct range and are all of one size. They live in blocks of a few dozen,
 * so that many of them cost little to insert among, and few of them little memory. A pointer to an
 * element is good until the next insert, split or remove.
 */
#ifndef SENTRY_MM_RANGES_H
#define SENTRY_MM_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t start, end;
	uint64_t offset; /* of start in what is behind it; moves along when start does */
};

struct ranges_block;

struct ranges {
	struct ranges_block **blocks; /* owned */
	unsigned nblocks, cap;
	unsigned count;		      /* elements */
	unsigned nspare;
	size_t elem;		      /* bytes */
	struct ranges_block *spare;   /* owned */
};

/* Where an element is. */
struct ranges_pos {
	unsigned block, index;
};

void ranges_init(struct ranges *set, size_t elem);
void ranges_free(struct ranges *set);
/* ranges_reserve() - So that @n inserts or splits cannot fail. Return: 0 or -ENOMEM */
int ranges_reserve(struct ranges *set, unsigned n);
/* ranges_copy() - @dst is initialized and empty. Return: 0 or -ENOMEM, then it is still empty */
int ranges_copy(struct ranges *dst, const struct ranges *src);

/* ranges_find() - The first element that ends behind @addr, NULL: none. @pos may be NULL */
void *ranges_find(const struct ranges *set, uint64_t addr, struct ranges_pos *pos);
/* The element at @pos; those beside it, moving @pos. NULL: no more */
void *ranges_at(const struct ranges *set, struct ranges_pos pos);
void *ranges_next(const struct ranges *set, struct ranges_pos *pos);
void *ranges_prev(const struct ranges *set, struct ranges_pos *pos);
void *ranges_last(const struct ranges *set, struct ranges_pos *pos);

/* ranges_insert() - Copy @elem in; room was reserved, and nothing overlaps it. Return: the copy */
void *ranges_insert(struct ranges *set, const void *elem);
/* ranges_split() - So that an element begins at @addr, if one goes across it; room was reserved.
 * Return: the new one, from @addr on; NULL: nothing was there to split */
void *ranges_split(struct ranges *set, uint64_t addr);
/* ranges_remove() - @pos is the next one's afterwards */
void ranges_remove(struct ranges *set, struct ranges_pos *pos);
/* ranges_join() - Those that touch @start, @end, or lie between, where @fn says that the right one
 * goes on as the left one does (and lets go of what the right one holds) */
void ranges_join(struct ranges *set, uint64_t start, uint64_t end,
		 bool (*fn)(void *data, const void *left, const void *right), void *data);

#endif /* SENTRY_MM_RANGES_H */
