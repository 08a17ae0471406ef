/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/ext4fs_runs.c - where a file's blocks are
 *
 *	inode -> tree of extents, or of blocks of block numbers -> one sorted list of runs
 *
 * The list is made once, when the file is first read. A tree that leads in a ring, or to one block
 * many times, is found by what it says being out of order, and by the number of its nodes. Many files
 * may share one tree, so that lists are larger than the image: they are counted, all together.
 */
#include <errno.h>
#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext3_extents.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/vfs/bound.h"
#include "sentry/vfs/ext4fs.h"

#define RUNS_EXTENT_UNWRITTEN 32768u
#define RUNS_DEPTH_MAX	      5
#define RUNS_PARALLEL	      12 /* block numbers in the inode that are of data */

struct runs_build {
	const struct ext4fs *fs;
	struct ext4_runs *runs; /* owned */
	uint64_t next;	/* nothing before this block is to come */
	unsigned nodes;
};

static struct bound runs_kept = { .each = 4096, .least = 2 * EXT4FS_RUNS_MAX,
				  .most = 8 * EXT4FS_RUNS_MAX };

void ext4_free_runs(struct ext4_runs *runs)
{
	if (runs)
		bound_give(&runs_kept, runs->room);
	free(runs);
}

static int runs_grow(struct runs_build *b)
{
	size_t had = b->runs ? b->runs->room : 0, room = had ? 2 * had : 4;
	struct ext4_runs *more;

	if (had >= EXT4FS_RUNS_MAX)
		return -EIO;
	if (!bound_take(&runs_kept, room - had))
		return -ENOMEM;
	more = realloc(b->runs, sizeof(*more) + room * sizeof(more->run[0]));
	if (!more) {
		bound_give(&runs_kept, room - had);
		return -ENOMEM;
	}
	if (!had)
		more->n = 0;
	more->room = room;
	b->runs = more;
	return 0;
}

static int runs_add(struct runs_build *b, uint64_t logical, uint64_t physical, uint32_t len)
{
	struct ext4_run *last = b->runs && b->runs->n ? &b->runs->run[b->runs->n - 1] : NULL;

	if (logical < b->next || len == 0 || logical > UINT32_MAX)
		return -EIO;
	if (physical && (physical >= b->fs->blocks || b->fs->blocks - physical < len))
		return -EIO;
	b->next = logical + len;
	if (last && last->logical + last->len == logical && last->len <= UINT32_MAX - len &&
	    (physical ? last->physical && last->physical + last->len == physical :
			!last->physical)) {
		last->len += len;
		return 0;
	}
	if (!b->runs || b->runs->n == b->runs->room) {
		int r = runs_grow(b);

		if (r < 0)
			return r;
	}
	b->runs->run[b->runs->n++] = (struct ext4_run){ logical, physical, len };
	return 0;
}

static int runs_add_leaf(struct runs_build *b, const struct ext3_extent *e)
{
	uint64_t physical = e->ee_start | (uint64_t)e->ee_start_hi << 32;

	if (e->ee_len > RUNS_EXTENT_UNWRITTEN)
		return runs_add(b, e->ee_block, 0, e->ee_len - RUNS_EXTENT_UNWRITTEN);
	return physical ? runs_add(b, e->ee_block, physical, e->ee_len) : -EIO;
}

static int runs_read_node(struct runs_build *b, uint64_t block, void **node)
{
	int r;

	if (++b->nodes > EXT4FS_NODES_MAX)
		return -EIO;
	*node = malloc(b->fs->block);
	if (!*node)
		return -ENOMEM;
	r = ext4_read_block(b->fs, block, *node);
	if (r < 0) {
		free(*node);
		*node = NULL;
	}
	return r;
}

/* A node of a tree of extents. @depth: what it must have, -1: any (the root) */
static int runs_walk_extents(struct runs_build *b, const void *data, size_t size, int depth)
{
	const struct ext3_extent_header *head = data;
	const struct ext3_extent *leaf = (const void *)(head + 1);
	const struct ext3_extent_idx *index = (const void *)(head + 1);
	int r = 0;

	if (head->eh_magic != EXT3_EXT_MAGIC || head->eh_depth > RUNS_DEPTH_MAX ||
	    (depth >= 0 && head->eh_depth != depth) ||
	    head->eh_entries > (size - sizeof(*head)) / sizeof(*leaf))
		return -EIO;
	for (unsigned i = 0; r == 0 && i < head->eh_entries; i++) {
		autofree void *node = NULL;

		if (head->eh_depth == 0) {
			r = runs_add_leaf(b, &leaf[i]);
			continue;
		}
		if (index[i].ei_block < b->next)
			return -EIO;
		r = runs_read_node(b, index[i].ei_leaf | (uint64_t)index[i].ei_leaf_hi << 32,
				   &node);
		if (r == 0)
			r = runs_walk_extents(b, node, b->fs->block, head->eh_depth - 1);
	}
	return r;
}

/* @n block numbers, each of data (level 0) or of a block of numbers, for blocks from *@at on. */
static int runs_walk_blocks(struct runs_build *b, const uint32_t *numbers, size_t n, int level,
			    uint64_t *at, uint64_t end)
{
	unsigned shift = (b->fs->block_shift - 2) * (unsigned)level;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n && *at < end; i++) {
		autofree void *node = NULL;

		if (!numbers[i]) {
			*at += UINT64_C(1) << shift;
			continue;
		}
		if (level == 0) {
			r = runs_add(b, (*at)++, numbers[i], 1);
			continue;
		}
		r = runs_read_node(b, numbers[i], &node);
		if (r == 0)
			r = runs_walk_blocks(b, node, b->fs->block / sizeof(uint32_t), level - 1,
					     at, end);
	}
	return r;
}

static int runs_walk_numbers(struct runs_build *b, const struct ext4_inode *e)
{
	uint64_t at = 0, end = ((uint64_t)e->inode.attr.st_size + b->fs->block - 1) >>
			       b->fs->block_shift;
	uint32_t numbers[15];
	int r;

	memcpy(numbers, e->block, sizeof(numbers));
	r = runs_walk_blocks(b, numbers, RUNS_PARALLEL, 0, &at, end);
	for (int level = 1; r == 0 && level <= 3; level++)
		r = runs_walk_blocks(b, &numbers[RUNS_PARALLEL + level - 1], 1, level, &at, end);
	return r;
}

static int runs_build(struct ext4_inode *e, struct ext4_runs **out)
{
	struct runs_build b = { .fs = ext4_super(e) };
	int r;

	if (e->flags & EXT4_ENCRYPT_FL)
		return -EACCES;
	/* Structures in it are read with their natural alignment */
	if (e->flags & EXT4_EXTENTS_FL) {
		uint32_t root[15];

		memcpy(root, e->block, sizeof(root));
		r = runs_walk_extents(&b, root, sizeof(root), -1);
	} else {
		r = runs_walk_numbers(&b, e);
	}
	if (r == 0 && !b.runs) {
		b.runs = calloc(1, sizeof(*b.runs));
		r = b.runs ? 0 : -ENOMEM;
	}
	if (r < 0) {
		ext4_free_runs(b.runs);
		return r;
	}
	*out = b.runs;
	return 0;
}

int ext4_get_runs(struct ext4_inode *e, const struct ext4_runs **out)
{
	struct ext4_runs *runs = atomic_load_explicit(&e->runs, memory_order_acquire), *made = NULL;
	int r;

	if (!runs) {
		r = runs_build(e, &made);
		if (r < 0)
			return r;
		if (atomic_compare_exchange_strong(&e->runs, &runs, made))
			runs = made;
		else
			ext4_free_runs(made); /* another thread was faster */
	}
	*out = runs;
	return 0;
}

const struct ext4_run *ext4_find_run(const struct ext4_runs *runs, uint64_t block)
{
	size_t low = 0, high = runs->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (runs->run[mid].logical + runs->run[mid].len <= block)
			low = mid + 1;
		else
			high = mid;
	}
	return low < runs->n ? &runs->run[low] : NULL;
}
