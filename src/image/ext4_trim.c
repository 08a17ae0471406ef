/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4_trim.c - an image that was laid out larger than needed, cut to what is used
 *
 * Without flexible groups each group has its tables in itself, so groups at
 * the end can go as they are.  With fewer groups their descriptors need fewer
 * blocks; what that leaves behind each copy of the superblock is free space.
 *
 * Callers: layer/layer_stack.c.
 */
#include "image/ext4_internal.h"

/* Blocks that are free in a group in which nothing is. */
static uint32_t ext4_group_fresh(const struct ext4_writer *w, dgrp_t group)
{
	ext2_filsys fs = w->fs;
	uint32_t own = 2 + fs->inode_blocks_per_group;

	if (ext2fs_bg_has_super(fs, group))
		own += 1 + (uint32_t)fs->desc_blocks;
	return (uint32_t)ext2fs_group_blocks_count(fs, group) - own;
}

/* How many groups it takes, the first at least. */
static dgrp_t ext4_groups_used(const struct ext4_writer *w)
{
	ext2_filsys fs = w->fs;
	dgrp_t n = fs->group_desc_count;

	while (n > 1 && ext2fs_bg_free_inodes_count(fs, n - 1) == fs->super->s_inodes_per_group &&
	       ext2fs_bg_free_blocks_count(fs, n - 1) == ext4_group_fresh(w, n - 1))
		n--;
	return n;
}

/* Blocks up to the last that is used; its group's own tables at least. */
static blk64_t ext4_blocks_used(const struct ext4_writer *w, dgrp_t groups)
{
	blk64_t last = ext2fs_group_last_block2(w->fs, groups - 1);

	while (!ext2fs_test_block_bitmap2(w->fs->block_map, last))
		last--;
	return last + 1;
}

static void ext4_trim_descriptors(struct ext4_writer *w, dgrp_t groups)
{
	ext2_filsys fs = w->fs;
	blk64_t want = (groups + EXT2_DESC_PER_BLOCK(fs->super) - 1) / EXT2_DESC_PER_BLOCK(fs->super);
	blk64_t less = fs->desc_blocks - want;

	for (dgrp_t g = 0; g < groups && less; g++) {
		if (!ext2fs_bg_has_super(fs, g))
			continue;
		ext2fs_unmark_block_bitmap_range2(fs->block_map,
						  ext2fs_group_first_block2(fs, g) + 1 + want,
						  (blk_t)less);
		ext2fs_bg_free_blocks_count_set(
			fs, g, ext2fs_bg_free_blocks_count(fs, g) + (uint32_t)less);
	}
	fs->desc_blocks = want;
}

static void ext4_trim_counts(struct ext4_writer *w, dgrp_t groups, blk64_t blocks)
{
	ext2_filsys fs = w->fs;
	blk64_t free_blocks = 0, gone = ext2fs_group_last_block2(fs, groups - 1) + 1 - blocks;
	uint32_t free_inodes = 0;

	ext2fs_bg_free_blocks_count_set(
		fs, groups - 1,
		(uint32_t)(ext2fs_bg_free_blocks_count(fs, groups - 1) - gone));
	for (dgrp_t g = 0; g < groups; g++) {
		free_blocks += ext2fs_bg_free_blocks_count(fs, g);
		free_inodes += ext2fs_bg_free_inodes_count(fs, g);
	}
	fs->group_desc_count = groups;
	ext2fs_blocks_count_set(fs->super, blocks);
	ext2fs_free_blocks_count_set(fs->super, free_blocks);
	fs->super->s_inodes_count = groups * fs->super->s_inodes_per_group;
	fs->super->s_free_inodes_count = free_inodes;
}

int ext4_writer_trim(struct ext4_writer *w, uint32_t reserve, struct coffer_error *err)
{
	ext2_filsys fs = w->fs;
	blk64_t blocks, end;
	errcode_t code;
	dgrp_t groups;
	int r = ext4_late_release(w, err);

	if (r < 0)
		return r;
	groups = ext4_groups_used(w);
	blocks = ext4_blocks_used(w, groups) + reserve;
	end = ext2fs_group_last_block2(fs, groups - 1) + 1;
	if (blocks > end)
		blocks = end;
	ext4_trim_descriptors(w, groups);
	ext4_trim_counts(w, groups, blocks);
	code = ext2fs_resize_block_bitmap2(
		blocks - 1, (blk64_t)groups * fs->super->s_blocks_per_group - 1, fs->block_map);
	if (!code)
		code = ext2fs_resize_inode_bitmap2(fs->super->s_inodes_count,
						   fs->super->s_inodes_count, fs->inode_map);
	if (code)
		return ext4_fail(err, code, "cut the ext4 image");
	ext2fs_mark_super_dirty(fs);
	ext2fs_mark_bb_dirty(fs);
	ext2fs_mark_ib_dirty(fs);
	w->final_blocks = blocks;
	return 0;
}
