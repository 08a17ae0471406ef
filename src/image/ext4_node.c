/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4_node.c - inodes that change or go away while an image is made
 *
 * Blocks of content are given out again at once.  Those that the library
 * writes through its cache (of attributes, of extent trees) are not before the
 * end: it might write an old one over what has come there since.
 *
 * Callers: layer/layer_stack.c.
 */
#include "image/ext4_internal.h"

#include <string.h>
#include <sys/stat.h>

#include "base/io.h"

#define EXT4_INODE_BYTES_MAX 1024

static int ext4_node_read(struct ext4_writer *w, uint32_t ino, struct ext2_inode_large *inode,
			  struct coffer_error *err)
{
	errcode_t code = ext2fs_read_inode_full(w->fs, ino, EXT2_INODE(inode), sizeof(*inode));

	return code ? ext4_fail(err, code, "read inode") : 0;
}

static int ext4_node_write(struct ext4_writer *w, uint32_t ino, struct ext2_inode_large *inode,
			   struct coffer_error *err)
{
	errcode_t code = ext2fs_write_inode_full(w->fs, ino, EXT2_INODE(inode), sizeof(*inode));

	return code ? ext4_fail(err, code, "write inode") : 0;
}

/* With the attributes behind it. */
static int ext4_node_wipe(struct ext4_writer *w, uint32_t ino, struct coffer_error *err)
{
	uint8_t zero[EXT4_INODE_BYTES_MAX] = { 0 };
	errcode_t code;

	code = ext2fs_write_inode_full(w->fs, ino, (struct ext2_inode *)(void *)zero,
				       EXT2_INODE_SIZE(w->fs->super));
	return code ? ext4_fail(err, code, "write inode") : 0;
}

static int ext4_late_add(struct ext4_writer *w, blk64_t block, struct coffer_error *err)
{
	errcode_t code = 0;

	if (!block)
		return 0;
	if (!w->late)
		code = ext2fs_allocate_block_bitmap(w->fs, "late", &w->late);
	if (code)
		return ext4_fail(err, code, "remember blocks");
	ext2fs_mark_block_bitmap2(w->late, block);
	return 0;
}

int ext4_late_release(struct ext4_writer *w, struct coffer_error *err)
{
	blk64_t last = ext2fs_blocks_count(w->fs->super) - 1, block = 0;

	while (w->late && block <= last &&
	       ext2fs_find_first_set_block_bitmap2(w->late, block, last, &block) == 0)
		ext2fs_block_alloc_stats2(w->fs, block++, -1);
	return 0;
}

static int ext4_blocks_release(struct ext4_writer *w, uint64_t start, uint32_t count,
			       struct coffer_error *err)
{
	uint64_t from = start * EXT4_BLOCK, to = from + (uint64_t)count * EXT4_BLOCK;

	ext2fs_block_alloc_stats_range(w->fs, start, count, -1);
	if (start < w->goal)
		w->goal = start;
	/* Or it would be written over what comes there next. */
	if (w->pending_len && from < w->pending_at + w->pending_len && to > w->pending_at)
		return ext4_out_flush(w, err);
	return 0;
}

static int ext4_release_inline(struct ext4_writer *w, const struct ext2_inode_large *inode,
			       struct coffer_error *err)
{
	const struct ext3_extent_header *head = (const void *)inode->i_block;
	const struct ext3_extent *e = EXT_FIRST_EXTENT(head);
	int r = 0;

	for (uint16_t i = 0; i < ext2fs_le16_to_cpu(head->eh_entries) && r == 0; i++, e++)
		r = ext4_blocks_release(w, ext2fs_le32_to_cpu(e->ee_start),
					ext2fs_le16_to_cpu(e->ee_len), err);
	return r;
}

static int ext4_release_tree(struct ext4_writer *w, uint32_t ino, struct ext2_inode_large *inode,
			     struct coffer_error *err)
{
	ext2_extent_handle_t tree;
	struct ext2fs_extent e;
	errcode_t code;
	int op = EXT2_EXTENT_ROOT, r = 0;

	code = ext2fs_extent_open2(w->fs, ino, EXT2_INODE(inode), &tree);
	if (code)
		return ext4_fail(err, code, "open extent tree");
	while (r == 0 && (code = ext2fs_extent_get(tree, op, &e)) == 0) {
		op = EXT2_EXTENT_NEXT;
		if (e.e_flags & EXT2_EXTENT_FLAGS_LEAF)
			r = ext4_blocks_release(w, e.e_pblk, e.e_len, err);
		else if (!(e.e_flags & EXT2_EXTENT_FLAGS_SECOND_VISIT))
			r = ext4_late_add(w, e.e_pblk, err);
	}
	ext2fs_extent_free(tree);
	if (r == 0 && code != EXT2_ET_EXTENT_NO_NEXT)
		return ext4_fail(err, code, "read extent tree");
	return r;
}

static int ext4_node_release(struct ext4_writer *w, uint32_t ino, struct ext2_inode_large *inode,
			     struct coffer_error *err)
{
	const struct ext3_extent_header *head = (const void *)inode->i_block;
	int r = ext4_late_add(w, ext2fs_file_acl_block(w->fs, EXT2_INODE(inode)), err);

	if (r == 0 && (inode->i_flags & EXT4_EXTENTS_FL))
		r = head->eh_depth ? ext4_release_tree(w, ino, inode, err)
				   : ext4_release_inline(w, inode, err);
	if (r == 0)
		r = ext4_node_wipe(w, ino, err);
	if (r < 0)
		return r;
	ext2fs_inode_alloc_stats2(w->fs, ino, -1, S_ISDIR(inode->i_mode));
	if (ino <= w->last)
		w->last = ino - 1;
	return 0;
}

int ext4_node_unlink(struct ext4_writer *w, uint32_t ino, struct coffer_error *err)
{
	struct ext2_inode_large inode;
	int r = ext4_node_read(w, ino, &inode, err);

	if (r < 0)
		return r;
	if (S_ISDIR(inode.i_mode) || inode.i_links_count == 1)
		return ext4_node_release(w, ino, &inode, err);
	inode.i_links_count--;
	return ext4_node_write(w, ino, &inode, err);
}

int ext4_node_link(struct ext4_writer *w, uint32_t ino, struct coffer_error *err)
{
	struct ext2_inode_large inode;
	int r = ext4_node_read(w, ino, &inode, err);

	if (r < 0)
		return r;
	if (inode.i_links_count >= EXT4_LINKS_MAX)
		return err_sysn(err, EMLINK, "one more name");
	inode.i_links_count++;
	return ext4_node_write(w, ino, &inode, err);
}

int ext4_node_change(struct ext4_writer *w, uint32_t ino, const struct ext4_meta *meta,
		     const struct ext4_xattrs *xattrs, struct coffer_error *err)
{
	struct ext2_inode_large inode;
	int r = ext4_node_read(w, ino, &inode, err);

	if (r == 0)
		r = ext4_late_add(w, ext2fs_file_acl_block(w->fs, EXT2_INODE(&inode)), err);
	if (r == 0)
		r = ext4_node_wipe(w, ino, err);
	if (r < 0)
		return r;
	ext4_inode_init(w, &inode, meta, 2);
	return ext4_inode_write(w, ino, &inode, NULL, xattrs, err);
}

int ext4_node_target(struct ext4_writer *w, uint32_t ino, char *buf, struct coffer_error *err)
{
	struct ext2_inode_large inode;
	const struct ext3_extent *e = EXT_FIRST_EXTENT((struct ext3_extent_header *)inode.i_block);
	ssize_t n;
	int r = ext4_node_read(w, ino, &inode, err);

	if (r < 0)
		return r;
	if (inode.i_size <= EXT4_FAST_LINK) {
		memcpy(buf, inode.i_block, inode.i_size);
		buf[inode.i_size] = '\0';
		return 0;
	}
	r = ext4_out_flush(w, err);
	if (r < 0)
		return r;
	n = pread(w->fd, buf, EXT4_BLOCK,
		  (off_t)((uint64_t)ext2fs_le32_to_cpu(e->ee_start) * EXT4_BLOCK));
	if (n != EXT4_BLOCK)
		return n < 0 ? err_sys(err, "read ext4 image")
			     : err_internal(err, "the ext4 image is cut off");
	buf[EXT4_BLOCK - 1] = '\0';
	return 0;
}
