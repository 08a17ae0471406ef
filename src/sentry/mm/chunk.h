/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/chunk.h - which pages of the memory file are free; memfile.c's alone
 *
 * The file is cut in chunks of 512 pages, each with a bit a page for what may be handed out.
 * Nothing here is allocated after the start: giving memory back cannot fail.
 */
#ifndef SENTRY_MM_CHUNK_H
#define SENTRY_MM_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

#define CHUNK_PAGES 512u
#define CHUNK_WORDS (CHUNK_PAGES / 64)
#define CHUNK_NONE  0u /* chunks are counted from 1 in lists, so that zeroed memory is an end */

enum chunk_set {
	CHUNK_FREE,   /* may be handed out */
	CHUNK_DIRTY,  /* of the free ones: hold what somebody left there */
	CHUNK_LIMBO,  /* nobody's, but somebody may still look: two sets, by epoch */
	CHUNK_LIMBO2,
	CHUNK_SETS,
};

struct chunk {
	uint64_t sets[CHUNK_SETS][CHUNK_WORDS];
	uint32_t prev, next;   /* in its bucket */
	uint32_t limbo_next[2];
	bool in_limbo[2];
	uint8_t bucket;	       /* + 1; 0: in none */
};

#define CHUNK_BUCKETS 10 /* by the longest run of free pages: 1, 2-3, 4-7 ... 512 */

struct chunk_map {
	struct chunk *chunks;  /* owned mapping */
	uint32_t *refs;	       /* owned mapping; by page */
	uint32_t nchunks;
	uint32_t fresh;	       /* from here on: never used */
	uint64_t *whole;       /* owned; bit a chunk that is free altogether */
	uint32_t nwhole;
	uint32_t buckets[CHUNK_BUCKETS];
	uint32_t limbo[2];     /* lists */
	uint32_t ndirty;       /* pages */
};

/* chunk_map_init() - For @npages pages, a multiple of CHUNK_PAGES. Return: 0 or -ENOMEM */
int chunk_map_init(struct chunk_map *map, uint64_t npages);
void chunk_map_free(struct chunk_map *map);

/* chunk_take() - @n free pages in a row, not free any more. Return: false: there are none */
bool chunk_take(struct chunk_map *map, uint64_t n, uint64_t *page);
/* chunk_set_free() - @n pages of one chunk are free again; with @dirty they are not zeros */
void chunk_set_free(struct chunk_map *map, uint64_t page, uint64_t n, bool dirty);
/* chunk_clean() - The pages are about to be zeros: calls @fn for each run that is not */
void chunk_clean(struct chunk_map *map, uint64_t page, uint64_t n,
		 void (*fn)(void *data, uint64_t page, uint64_t n), void *data);

/* chunk_forget_refs() - Nobody has these pages: the memory of their counts goes back to the host */
void chunk_forget_refs(struct chunk_map *map, uint64_t page, uint64_t end);

/* chunk_bury() - @n pages go to the limbo of an epoch (0 or 1) */
void chunk_bury(struct chunk_map *map, uint64_t page, uint64_t n, unsigned which);
/* chunk_exhume() - Take one run out of it. Return: pages, 0: it is empty */
uint64_t chunk_exhume(struct chunk_map *map, unsigned which, uint64_t *page);

#endif /* SENTRY_MM_CHUNK_H */
