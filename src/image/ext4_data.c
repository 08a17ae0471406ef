/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4_data.c - blocks for the content of files, and the copying into them
 *
 * Blocks are given out in rising order, so a file lies in one run unless the
 * file system's own blocks are in the way.  Content is copied straight from
 * the source to its place in the image, inside the kernel where that is
 * possible (and by sharing blocks where both file systems can).
 *
 * Called by ext4_writer.c only, and by front ends through ext4_file_copy().
 */
#include "image/ext4_internal.h"

#include <string.h>

#include "base/io.h"

#define EXT4_RUN_MAX EXT_INIT_MAX_LEN

void ext4_map_free(struct ext4_map *map)
{
	free(map->list);
	*map = (struct ext4_map){ 0 };
}

/* A run of free blocks at or after the last one given out. Return: blocks found or negative */
static int64_t ext4_find_free(struct ext4_writer *w, uint64_t want, blk64_t *start,
			      struct coffer_error *err)
{
	blk64_t last = ext2fs_blocks_count(w->fs->super) - 1;
	blk64_t limit, used;
	errcode_t code;

	/* The goal goes back with what is given back: there is nothing free before it. */
	code = ENOENT;
	if (w->goal <= last)
		code = ext2fs_find_first_zero_block_bitmap2(w->fs->block_map, w->goal, last, start);
	if (code == ENOENT)
		return err_set(err, COFFER_ERR_INTERNAL, ENOSPC, "ext4 image is full");
	if (code)
		return ext4_fail(err, code, "find free blocks");
	limit = last - *start + 1 > want ? *start + want - 1 : last;
	code = ext2fs_find_first_set_block_bitmap2(w->fs->block_map, *start, limit, &used);
	if (code && code != ENOENT)
		return ext4_fail(err, code, "find free blocks");
	return (int64_t)((code ? limit + 1 : used) - *start);
}

static int ext4_map_record(struct ext4_map *map, const struct ext4_extent *run,
			   struct coffer_error *err)
{
	struct ext4_extent *prev = map->count ? &map->list[map->count - 1] : NULL;
	struct ext4_extent *list;
	size_t room;

	map->blocks += run->count;
	if (prev && prev->logical + prev->count == run->logical &&
	    prev->physical + prev->count == run->physical &&
	    prev->count + run->count <= EXT4_RUN_MAX) {
		prev->count += run->count;
		return 0;
	}
	if (map->count == map->room) {
		room = map->room ? map->room * 2 : EXT4_TREE_INLINE;
		list = reallocarray(map->list, room, sizeof(*list));
		if (!list)
			return err_nomem(err);
		map->list = list;
		map->room = room;
	}
	map->list[map->count++] = *run;
	return 0;
}

int ext4_map_append(struct ext4_writer *w, struct ext4_map *map, uint64_t logical, uint64_t want,
		    struct ext4_extent *run, struct coffer_error *err)
{
	blk64_t start = 0;
	int64_t n;

	if (logical > UINT32_MAX || want > UINT32_MAX - logical)
		return err_set(err, COFFER_ERR_UNSUPPORTED, EFBIG, "file is too large for ext4");
	n = ext4_find_free(w, want < EXT4_RUN_MAX ? want : EXT4_RUN_MAX, &start, err);
	if (n < 0)
		return (int)n;
	ext2fs_block_alloc_stats_range(w->fs, start, (blk_t)n, 1);
	w->goal = start + (uint64_t)n;
	*run = (struct ext4_extent){ .logical = (uint32_t)logical,
				     .count = (uint32_t)n,
				     .physical = start };
	return ext4_map_record(map, run, err);
}

int ext4_map_write(struct ext4_writer *w, struct ext4_map *map, const uint8_t *data,
		   uint32_t blocks, struct coffer_error *err)
{
	uint32_t done = 0;

	while (done < blocks) {
		struct ext4_extent run;
		int r;

		r = ext4_map_append(w, map, done, blocks - done, &run, err);
		if (r == 0)
			r = ext4_out(w, data + (size_t)done * EXT4_BLOCK,
				     (size_t)run.count * EXT4_BLOCK, run.physical * EXT4_BLOCK, err);
		if (r < 0)
			return r;
		done += run.count;
	}
	return 0;
}

/* Errors of copy_file_range(2) that only say it cannot be had for these two files. */
static bool ext4_copy_range_refused(int errnum)
{
	return errnum == EXDEV || errnum == EINVAL || errnum == EOPNOTSUPP || errnum == ENOSYS ||
	       errnum == EPERM || errnum == EIO;
}

/* One step of a copy. Return: bytes, 0 at the source's end, negative errno */
static ssize_t ext4_copy_some(struct ext4_writer *w, int fd, uint64_t from, uint64_t to, size_t len,
			      struct coffer_error *err)
{
	loff_t in = (loff_t)from, out = (loff_t)to;
	ssize_t n;
	int r;

	if (!w->no_copy_range && len > EXT4_COPY_BUFFER) {
		do {
			n = copy_file_range(fd, &in, w->fd, &out, len, 0);
		} while (n < 0 && errno == EINTR);
		if (n > 0)
			return n;
		if (n < 0 && !ext4_copy_range_refused(errno))
			return err_sys(err, "copy into ext4 image");
		/* Also when it says 0: some file systems do so for files that are not empty. */
		w->no_copy_range = n < 0;
	}
	do {
		n = pread(fd, w->buffer, len < EXT4_COPY_BUFFER ? len : EXT4_COPY_BUFFER,
			  (off_t)from);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "read");
	r = ext4_out(w, w->buffer, (size_t)n, to, err);
	return r < 0 ? r : n;
}

static int ext4_copy(struct ext4_writer *w, int fd, uint64_t from, uint64_t to, uint64_t len,
		     struct coffer_error *err)
{
	while (len) {
		ssize_t n = ext4_copy_some(w, fd, from, to, len, err);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return err_set(err, COFFER_ERR_INVALID_STATE, ESTALE,
				       "file shrank while it was read");
		from += (uint64_t)n;
		to += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

int ext4_file_copy(struct ext4_writer *w, struct ext4_file *file, int fd, uint64_t off,
		   uint64_t len, struct coffer_error *err)
{
	uint64_t end = off + len;

	while (off < end) {
		uint64_t want = (end - off + EXT4_BLOCK - 1) / EXT4_BLOCK, bytes;
		struct ext4_extent run;
		int r;

		r = ext4_map_append(w, &file->map, off / EXT4_BLOCK, want, &run, err);
		if (r < 0)
			return r;
		bytes = (uint64_t)run.count * EXT4_BLOCK;
		if (bytes > end - off)
			bytes = end - off;
		r = ext4_copy(w, fd, off, run.physical * EXT4_BLOCK, bytes, err);
		if (r < 0)
			return r;
		off += bytes;
	}
	return 0;
}

/* The root of the extent tree when everything fits there. */
static void ext4_map_store_inline(const struct ext4_map *map, struct ext2_inode_large *inode)
{
	struct ext3_extent_header *head = (void *)inode->i_block;
	struct ext3_extent *e = EXT_FIRST_EXTENT(head);

	head->eh_magic = ext2fs_cpu_to_le16(EXT3_EXT_MAGIC);
	head->eh_max = ext2fs_cpu_to_le16(EXT4_TREE_INLINE);
	head->eh_entries = ext2fs_cpu_to_le16((uint16_t)map->count);
	for (size_t i = 0; i < map->count; i++, e++) {
		e->ee_block = ext2fs_cpu_to_le32(map->list[i].logical);
		e->ee_len = ext2fs_cpu_to_le16((uint16_t)map->list[i].count);
		e->ee_start = ext2fs_cpu_to_le32((uint32_t)map->list[i].physical);
		e->ee_start_hi = ext2fs_cpu_to_le16((uint16_t)(map->list[i].physical >> 32));
	}
}

int ext4_map_store(struct ext4_writer *w, const struct ext4_map *map, ext2_ino_t ino,
		   struct ext2_inode_large *inode, struct coffer_error *err)
{
	ext2_extent_handle_t tree;
	errcode_t code;

	inode->i_flags |= EXT4_EXTENTS_FL;
	/* A block of attributes counts, too. */
	ext2fs_iblk_set(w->fs, EXT2_INODE(inode),
			map->blocks + (ext2fs_file_acl_block(w->fs, EXT2_INODE(inode)) != 0));
	if (map->count <= EXT4_TREE_INLINE) {
		ext4_map_store_inline(map, inode);
		return 0;
	}
	code = ext2fs_extent_open2(w->fs, ino, EXT2_INODE(inode), &tree);
	if (code)
		return ext4_fail(err, code, "open extent tree");
	for (size_t i = 0; i < map->count && !code; i++) {
		struct ext2fs_extent e = { .e_lblk = map->list[i].logical,
					   .e_pblk = map->list[i].physical,
					   .e_len = map->list[i].count };

		code = ext2fs_extent_insert(tree, i ? EXT2_EXTENT_INSERT_AFTER : 0, &e);
		if (!code)
			code = ext2fs_extent_fix_parents(tree);
	}
	ext2fs_extent_free(tree);
	return code ? ext4_fail(err, code, "write extent tree") : 0;
}
