/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/chunk.c - which pages of the memory file are free
 *
 * Small requests come from the chunk whose longest free run just fits (by buckets of powers of
 * two), large ones from whole chunks in a row; what has never been used comes last, so that the
 * file's used part stays short. Searching is a walk over bits: a bucket's first chunk always fits.
 *
 * Called with the memory file's lock held.
 */
#include "sentry/mm/chunk.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/kernel.h"

static void *chunk_zeroed(size_t size)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	/* cppcheck-suppress invalidFunctionArg ; no file */
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t chunk_whole_size(const struct chunk_map *map)
{
	return (map->nchunks / 64 + 1) * sizeof(uint64_t);
}

int chunk_map_init(struct chunk_map *map, uint64_t npages)
{
	*map = (struct chunk_map){ .nchunks = (uint32_t)(npages / CHUNK_PAGES) };
	map->chunks = chunk_zeroed(map->nchunks * sizeof(*map->chunks));
	map->refs = chunk_zeroed(npages * sizeof(*map->refs));
	map->whole = chunk_zeroed(chunk_whole_size(map));
	if (map->chunks && map->refs && map->whole)
		return 0;
	chunk_map_free(map);
	return -ENOMEM;
}

void chunk_map_free(struct chunk_map *map)
{
	if (map->chunks)
		munmap(map->chunks, map->nchunks * sizeof(*map->chunks));
	if (map->refs)
		munmap(map->refs, (uint64_t)map->nchunks * CHUNK_PAGES * sizeof(*map->refs));
	if (map->whole)
		munmap(map->whole, chunk_whole_size(map));
	*map = (struct chunk_map){ .nchunks = 0 };
}

/* --- bits --- */

/* Sets or clears @n bits from @from on. */
static void chunk_bits_set(uint64_t *words, uint64_t from, uint64_t n, bool on)
{
	while (n) {
		unsigned shift = (unsigned)(from % 64);
		uint64_t now = 64 - shift < n ? 64 - shift : n;
		uint64_t mask = (now == 64 ? ~UINT64_C(0) : (UINT64_C(1) << now) - 1) << shift;

		if (on)
			words[from / 64] |= mask;
		else
			words[from / 64] &= ~mask;
		from += now;
		n -= now;
	}
}

/* The next run of ones from @from on, at most to @end. Return: its length, 0: none */
static uint64_t chunk_bits_run(const uint64_t *words, uint64_t from, uint64_t end, uint64_t *start)
{
	uint64_t i = from;
	uint64_t n = 0;

	while (i < end) {
		uint64_t word = words[i / 64] >> (i % 64);

		if (word) {
			i += (unsigned)__builtin_ctzll(word);
			break;
		}
		i = (i / 64 + 1) * 64;
	}
	if (i >= end)
		return 0;
	*start = i;
	while (i + n < end) {
		unsigned shift = (unsigned)((i + n) % 64);
		uint64_t zeros = ~(words[(i + n) / 64] >> shift);
		unsigned ones = zeros ? (unsigned)__builtin_ctzll(zeros) : 64;

		if (ones >= 64 - shift) {
			n += 64 - shift;
			continue;
		}
		n += ones;
		break;
	}
	return n < end - i ? n : end - i;
}

/* The first run of at least @n ones. */
static bool chunk_bits_find(const uint64_t *words, uint64_t end, uint64_t n, uint64_t *start)
{
	uint64_t from = 0;
	uint64_t len;

	while ((len = chunk_bits_run(words, from, end, start))) {
		if (len >= n)
			return true;
		from = *start + len;
	}
	return false;
}

static unsigned chunk_longest(const struct chunk *chunk)
{
	uint64_t from = 0;
	uint64_t longest = 0;
	uint64_t start = 0;
	uint64_t len;

	while ((len = chunk_bits_run(chunk->sets[CHUNK_FREE], from, CHUNK_PAGES, &start))) {
		longest = len > longest ? len : longest;
		from = start + len;
	}
	return (unsigned)longest;
}

/* --- buckets --- */

static void chunk_unlink(struct chunk_map *map, uint32_t i)
{
	struct chunk *chunk = &map->chunks[i];

	if (!chunk->bucket)
		return;
	if (chunk->bucket == CHUNK_BUCKETS) {
		chunk_bits_set(map->whole, i, 1, false);
		map->nwhole--;
	} else if (chunk->prev) {
		map->chunks[chunk->prev - 1].next = chunk->next;
	} else {
		map->buckets[chunk->bucket - 1] = chunk->next;
	}
	if (chunk->next)
		map->chunks[chunk->next - 1].prev = chunk->prev;
	chunk->prev = chunk->next = CHUNK_NONE;
	chunk->bucket = 0;
}

/* Into the bucket that it belongs in now. */
static void chunk_file(struct chunk_map *map, uint32_t i)
{
	struct chunk *chunk = &map->chunks[i];
	unsigned longest = chunk_longest(chunk);
	unsigned bucket = longest ? (unsigned)(31 - __builtin_clz(longest)) : 0;

	if (chunk->bucket == (longest ? bucket + 1 : 0))
		return;
	chunk_unlink(map, i);
	if (!longest)
		return;
	chunk->bucket = (uint8_t)(bucket + 1);
	if (chunk->bucket == CHUNK_BUCKETS) {
		chunk_bits_set(map->whole, i, 1, true);
		map->nwhole++;
		return;
	}
	chunk->next = map->buckets[bucket];
	if (chunk->next)
		map->chunks[chunk->next - 1].prev = i + 1;
	map->buckets[bucket] = i + 1;
}

/* --- take and give --- */

/* @n chunks in a row that are free altogether, taken out of the buckets. */
static bool chunk_take_whole(struct chunk_map *map, uint32_t n, uint32_t *first)
{
	uint64_t start;

	if (map->nwhole >= n && chunk_bits_find(map->whole, map->fresh, n, &start)) {
		*first = (uint32_t)start;
		return true;
	}
	if (n > map->nchunks - map->fresh)
		return false;
	*first = map->fresh;
	map->fresh += n;
	for (uint32_t i = *first; i < map->fresh; i++) {
		memset(map->chunks[i].sets[CHUNK_FREE], 0xff, sizeof(map->chunks[i].sets[0]));
		chunk_file(map, i);
	}
	return true;
}

static bool chunk_find(struct chunk_map *map, uint64_t n, uint64_t *page)
{
	uint32_t first;

	if (n < CHUNK_PAGES) {
		/* From here on every chunk has a run that is long enough. */
		unsigned bucket = n > 1 ? (unsigned)(32 - __builtin_clz((unsigned)n - 1)) : 0;

		for (; bucket < CHUNK_BUCKETS - 1; bucket++) {
			uint32_t i = map->buckets[bucket];
			uint64_t start = 0;

			if (!i)
				continue;
			chunk_bits_find(map->chunks[i - 1].sets[CHUNK_FREE], CHUNK_PAGES, n,
					&start);
			*page = (uint64_t)(i - 1) * CHUNK_PAGES + start;
			return true;
		}
	}
	if (n > (uint64_t)map->nchunks * CHUNK_PAGES ||
	    !chunk_take_whole(map, (uint32_t)((n + CHUNK_PAGES - 1) / CHUNK_PAGES), &first))
		return false;
	*page = (uint64_t)first * CHUNK_PAGES;
	return true;
}

bool chunk_take(struct chunk_map *map, uint64_t n, uint64_t *page)
{
	if (!chunk_find(map, n, page))
		return false;
	for (uint64_t at = *page, left = n; left;) {
		uint64_t in = at % CHUNK_PAGES;
		uint64_t now = CHUNK_PAGES - in < left ? CHUNK_PAGES - in : left;
		uint32_t i = (uint32_t)(at / CHUNK_PAGES);

		chunk_bits_set(map->chunks[i].sets[CHUNK_FREE], in, now, false);
		chunk_file(map, i);
		at += now;
		left -= now;
	}
	return true;
}

void chunk_set_free(struct chunk_map *map, uint64_t page, uint64_t n, bool dirty)
{
	uint32_t i = (uint32_t)(page / CHUNK_PAGES);

	chunk_bits_set(map->chunks[i].sets[CHUNK_FREE], page % CHUNK_PAGES, n, true);
	if (dirty) {
		chunk_bits_set(map->chunks[i].sets[CHUNK_DIRTY], page % CHUNK_PAGES, n, true);
		map->ndirty += (uint32_t)n;
	}
	chunk_file(map, i);
}

void chunk_clean(struct chunk_map *map, uint64_t page, uint64_t n,
		 void (*fn)(void *data, uint64_t page, uint64_t n), void *data)
{
	while (n && map->ndirty) {
		uint64_t in = page % CHUNK_PAGES;
		uint64_t now = CHUNK_PAGES - in < n ? CHUNK_PAGES - in : n;
		uint64_t base = page - in;
		uint64_t *dirty = map->chunks[page / CHUNK_PAGES].sets[CHUNK_DIRTY];
		uint64_t from = in;
		uint64_t start;
		uint64_t len;

		while ((len = chunk_bits_run(dirty, from, in + now, &start))) {
			chunk_bits_set(dirty, start, len, false);
			map->ndirty -= (uint32_t)len;
			if (fn)
				fn(data, base + start, len);
			from = start + len;
		}
		page += now;
		n -= now;
	}
}

void chunk_forget_refs(struct chunk_map *map, uint64_t page, uint64_t end)
{
	uint64_t per_page = PAGE_SIZE / sizeof(*map->refs);
	uint64_t first = (page + per_page - 1) / per_page * per_page;
	uint64_t last = end / per_page * per_page;

	for (uint64_t i = first; i < last; i++) {
		if (map->refs[i])
			return;
	}
	if (first < last)
		madvise(map->refs + first, (last - first) * sizeof(*map->refs), MADV_DONTNEED);
}

/* --- limbo --- */

void chunk_bury(struct chunk_map *map, uint64_t page, uint64_t n, unsigned which)
{
	while (n) {
		uint64_t in = page % CHUNK_PAGES;
		uint64_t now = CHUNK_PAGES - in < n ? CHUNK_PAGES - in : n;
		uint32_t i = (uint32_t)(page / CHUNK_PAGES);
		struct chunk *chunk = &map->chunks[i];

		chunk_bits_set(chunk->sets[CHUNK_LIMBO + which], in, now, true);
		if (!chunk->in_limbo[which]) {
			chunk->in_limbo[which] = true;
			chunk->limbo_next[which] = map->limbo[which];
			map->limbo[which] = i + 1;
		}
		page += now;
		n -= now;
	}
}

uint64_t chunk_exhume(struct chunk_map *map, unsigned which, uint64_t *page)
{
	while (map->limbo[which]) {
		uint32_t i = map->limbo[which] - 1;
		struct chunk *chunk = &map->chunks[i];
		uint64_t *limbo = chunk->sets[CHUNK_LIMBO + which];
		uint64_t start = 0;
		uint64_t n = chunk_bits_run(limbo, 0, CHUNK_PAGES, &start);

		if (n) {
			chunk_bits_set(limbo, start, n, false);
			*page = (uint64_t)i * CHUNK_PAGES + start;
			return n;
		}
		map->limbo[which] = chunk->limbo_next[which];
		chunk->in_limbo[which] = false;
	}
	return 0;
}
