/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4_measure.c - what a directory tree will need in an image
 *
 * Counts the same things that the writing walk will ask for: inodes, blocks of
 * data, of directories, of long links, of attributes and of extent trees, the
 * last two from above.  Only sparse files are opened.
 *
 * Caller: ext4_dir.c.
 */
#include "image/ext4_measure.h"

#include <string.h>

#include "base/cleanup.h"
#include "image/ext4_source.h"
#include "base/inode_map.h"

struct ext4_measure {
	const struct ext4_build_args *args;
	uint64_t blocks;
	uint32_t inodes;
	struct inode_map links;
	size_t depth;
	size_t dir_len[TREE_DEPTH_MAX + 1]; /* bytes of records of the directories entered */
};

/* An entry's record in the directory that holds it. */
static void ext4_measure_record(struct ext4_measure *m, const char *name)
{
	size_t *len = &m->dir_len[m->depth];
	size_t record = ext4_dirent_len(strlen(name));

	if (*len % EXT4_BLOCK + record > EXT4_BLOCK)
		*len += -*len & (EXT4_BLOCK - 1);
	*len += record;
}

/* What every inode costs: itself, and a block when there may be attributes. */
static int ext4_measure_inode(struct ext4_measure *m, const struct tree_entry *e,
			      struct coffer_error *err)
{
	int r = ext4_source_has_xattrs(e, err);

	m->inodes++;
	m->blocks += r > 0;
	return r < 0 ? r : 0;
}

static int ext4_measure_file(struct ext4_measure *m, const struct tree_entry *e,
			     struct coffer_error *err)
{
	uint64_t off = 0, len = 0, segments = 0;
	autoclose int fd = -1;
	int r;

	if (!ext4_source_is_sparse(&e->st)) {
		m->blocks += (e->st.stx_size + EXT4_BLOCK - 1) / EXT4_BLOCK;
		return 0;
	}
	r = ext4_source_open(e, &fd, err);
	if (r < 0)
		return r;
	while ((r = ext4_source_segment(fd, e->st.stx_size, true, &off, &len, err)) > 0) {
		m->blocks += (len + EXT4_BLOCK - 1) / EXT4_BLOCK;
		off += len;
		segments++;
	}
	/* Nodes of a tree that grew by splitting are half full. */
	if (segments > EXT4_TREE_INLINE)
		m->blocks += segments / (EXT4_TREE_LEAF / 2) + 2;
	return r;
}

static int ext4_measure_enter(void *data, const struct tree_entry *e, struct coffer_error *err)
{
	struct ext4_measure *m = data;
	int r;

	if (m->depth)
		ext4_measure_record(m, e->name);
	m->dir_len[++m->depth] = ext4_dirent_len(1) + ext4_dirent_len(2);
	r = ext4_source_check(m->args, err);
	return r < 0 ? r : ext4_measure_inode(m, e, err);
}

static int ext4_measure_leave(void *data, struct coffer_error *err)
{
	struct ext4_measure *m = data;

	m->blocks += (m->dir_len[m->depth--] + EXT4_BLOCK - 1) / EXT4_BLOCK;
	return 0;
}

static int ext4_measure_entry(void *data, const struct tree_entry *e, struct coffer_error *err)
{
	struct ext4_measure *m = data;
	uint64_t dev = ext4_source_dev(&e->st);
	int r;

	ext4_measure_record(m, e->name);
	if (e->st.stx_nlink > 1) {
		if (inode_map_get(&m->links, dev, e->st.stx_ino))
			return 0;
		if (inode_map_put(&m->links, dev, e->st.stx_ino, 1) < 0)
			return err_nomem(err);
	}
	r = ext4_measure_inode(m, e, err);
	if (r < 0)
		return r;
	if (S_ISREG(e->st.stx_mode))
		return ext4_measure_file(m, e, err);
	if (S_ISLNK(e->st.stx_mode) && e->st.stx_size > EXT4_FAST_LINK)
		m->blocks++;
	return 0;
}

static void ext4_measure_free(struct ext4_measure *m)
{
	inode_map_free(&m->links);
}

int ext4_measure_tree(int dirfd, const struct ext4_build_args *args, uint64_t *blocks,
		      uint32_t *inodes, struct coffer_error *err)
{
	static const struct tree_ops ops = { .enter = ext4_measure_enter,
					     .leave = ext4_measure_leave,
					     .entry = ext4_measure_entry };
	CLEANUP(ext4_measure_free) struct ext4_measure m = { .args = args };
	int r;

	r = tree_walk(dirfd, &ops, &m, err);
	if (r < 0)
		return r;
	*blocks = m.blocks;
	*inodes = m.inodes;
	return 0;
}
