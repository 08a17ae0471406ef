/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/tmpfs_pages.c - which page of the memory file holds which page of a file
 *
 * A tree of tables of 64 slots, as high as the highest page needs; a file of one page has no table
 * at all. A hole costs nothing.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/kernel.h"
#include "sentry/mm/memfile.h"
#include "sentry/vfs/tmpfs.h"

#define TMPFS_SHIFT 6

/* tmpfs_table() - A slot above the lowest tables is a table's address, 0: none */
static uint64_t *tmpfs_table(uint64_t slot)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr) */
	return (uint64_t *)(uintptr_t)slot;
}

/* tmpfs_span() - Pages below one slot at this height */
static uint64_t tmpfs_span(unsigned height)
{
	return UINT64_C(1) << (TMPFS_SHIFT * height);
}

/* tmpfs_pages_raise() - Until @index has a place */
static int tmpfs_pages_raise(struct tmpfs_pages *pages, uint64_t index)
{
	while (index >= tmpfs_span(pages->height)) {
		uint64_t *table = calloc(TMPFS_FANOUT, sizeof(*table));

		if (!table)
			return -ENOMEM;
		table[0] = pages->root;
		pages->root = (uintptr_t)table;
		pages->height++;
	}
	return 0;
}

uint64_t *tmpfs_pages_slot(struct tmpfs_pages *pages, uint64_t index, bool make)
{
	uint64_t *slot = &pages->root;

	if (index >= tmpfs_span(pages->height) && (!make || tmpfs_pages_raise(pages, index) < 0))
		return NULL;
	for (unsigned height = pages->height; height > 0; height--) {
		if (!*slot) {
			if (!make)
				return NULL;
			*slot = (uintptr_t)calloc(TMPFS_FANOUT, sizeof(*slot));
			if (!*slot)
				return NULL;
		}
		slot = &tmpfs_table(*slot)[index >> (TMPFS_SHIFT * (height - 1)) & (TMPFS_FANOUT - 1)];
	}
	return slot;
}

uint64_t tmpfs_pages_next(const struct tmpfs_pages *pages, uint64_t index)
{
	while (index < tmpfs_span(pages->height)) {
		uint64_t slot = pages->root;
		unsigned height = pages->height;

		while (height > 0 && slot) {
			height--;
			slot = tmpfs_table(slot)[index >> (TMPFS_SHIFT * height) & (TMPFS_FANOUT - 1)];
		}
		if (slot)
			return index;
		/* Nothing below this slot: on to the next of the same height. */
		index = (index | (tmpfs_span(height) - 1)) + 1;
	}
	return UINT64_MAX;
}

uint64_t tmpfs_pages_run(struct tmpfs_pages *pages, uint64_t index, uint64_t max, uint64_t *place)
{
	uint64_t *slot = tmpfs_pages_slot(pages, index, false);
	uint64_t n = 1;

	*place = slot ? *slot : 0;
	while (n < max) {
		slot = tmpfs_pages_slot(pages, index + n, false);
		if (*place ? !slot || *slot != *place + n * PAGE_SIZE : slot && *slot)
			break;
		n++;
	}
	return n;
}

/* tmpfs_pages_clear() - What of @first..@last is below @slot, whose first page is @base */
static uint64_t tmpfs_pages_clear(uint64_t *slot, unsigned height, uint64_t base, uint64_t first,
				  uint64_t last)
{
	uint64_t span, n = 0;
	bool empty = true;
	uint64_t *table;

	if (!*slot)
		return 0;
	if (height == 0) {
		memfile_put(kernel.memory, *slot & ~(PAGE_SIZE - 1), PAGE_SIZE);
		*slot = 0;
		return 1;
	}
	table = tmpfs_table(*slot);
	span = tmpfs_span(height - 1);
	for (unsigned i = 0; i < TMPFS_FANOUT; i++) {
		uint64_t at = base + i * span;

		if (at <= last && at + (span - 1) >= first)
			n += tmpfs_pages_clear(&table[i], height - 1, at, first, last);
		if (table[i])
			empty = false;
	}
	if (empty) {
		free(table);
		*slot = 0;
	}
	return n;
}

uint64_t tmpfs_pages_cut(struct tmpfs_pages *pages, uint64_t first, uint64_t last)
{
	uint64_t n;

	if (first > last || first >= tmpfs_span(pages->height))
		return 0;
	n = tmpfs_pages_clear(&pages->root, pages->height, 0, first, last);
	pages->count -= n;
	if (!pages->root)
		pages->height = 0;
	return n;
}
