/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4_dir.c - from a directory tree to an ext4 image
 *
 * The tree is walked twice: once to measure what it needs, then to write it.
 * When it changes in between, the image has the second state, or the build
 * fails for want of room; it never has half a file.  Both walks see a file's
 * data as the same segments (holes stay holes) and count hard links once.
 *
 * Callers: container and the build tools, with ext4_build_from_dir() only.
 */
#include "image/ext4.h"

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "image/ext4_measure.h"
#include "image/ext4_source.h"
#include "image/ext4_writer.h"
#include "base/inode_map.h"
#include "image/tree.h"

#define EXT4_BUILD_PART (UINT64_C(64) << 20) /* of a file, between looks at the caller's mind */

struct ext4_build {
	const struct ext4_build_args *args;
	uint32_t uid, gid; /* the caller's */
	struct ext4_writer *w;
	struct inode_map links;
	size_t depth;
	struct ext4_dir *dirs[TREE_DEPTH_MAX + 1];
	struct ext4_xattrs dir_xattrs[TREE_DEPTH_MAX + 1]; /* owned */
};

static struct timespec ext4_build_time(const struct statx_timestamp *t)
{
	return (struct timespec){ .tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec };
}

static struct ext4_meta ext4_build_meta(const struct ext4_build *b, const struct statx *st)
{
	bool squash = b->args->owner == EXT4_OWNER_CALLER_TO_ROOT;

	return (struct ext4_meta){
		.mode = st->stx_mode,
		.uid = squash && st->stx_uid == b->uid ? 0 : st->stx_uid,
		.gid = squash && st->stx_gid == b->gid ? 0 : st->stx_gid,
		.atime = ext4_build_time(&st->stx_atime),
		.mtime = ext4_build_time(&st->stx_mtime),
		.ctime = ext4_build_time(&st->stx_ctime),
	};
}

static int ext4_build_file(struct ext4_build *b, const struct tree_entry *e,
			   const struct ext4_xattrs *xattrs, uint32_t *ino,
			   struct coffer_error *err)
{
	struct ext4_meta meta = ext4_build_meta(b, &e->st);
	bool sparse = ext4_source_is_sparse(&e->st);
	uint64_t off = 0, len = 0;
	struct ext4_file *file = NULL;
	autoclose int fd = -1;
	int r;

	r = ext4_source_open(e, &fd, err);
	if (r == 0)
		r = ext4_file_open(b->w, b->dirs[b->depth], e->name, &meta, &file, err);
	if (r < 0)
		return r;
	while ((r = ext4_source_segment(fd, e->st.stx_size, sparse, &off, &len, err)) > 0) {
		if (len > EXT4_BUILD_PART)
			len = EXT4_BUILD_PART;
		r = ext4_source_check(b->args, err);
		if (r == 0)
			r = ext4_file_copy(b->w, file, fd, off, len, err);
		if (r < 0)
			return r;
		off += len;
	}
	if (r < 0)
		return r;
	return ext4_file_close(b->w, file, e->st.stx_size, xattrs, ino, err);
}

static int ext4_build_symlink(struct ext4_build *b, const struct tree_entry *e,
			      const struct ext4_xattrs *xattrs, uint32_t *ino,
			      struct coffer_error *err)
{
	struct ext4_meta meta = ext4_build_meta(b, &e->st);
	char target[EXT4_BLOCK + 1];
	ssize_t n;

	n = readlinkat(e->parent, e->name, target, sizeof(target) - 1);
	if (n < 0)
		return err_sys(err, "read symbolic link");
	target[n] = '\0';
	return ext4_writer_symlink(b->w, b->dirs[b->depth], e->name, &meta, target, xattrs, ino,
				   err);
}

static int ext4_build_node(struct ext4_build *b, const struct tree_entry *e,
			   const struct ext4_xattrs *xattrs, uint32_t *ino,
			   struct coffer_error *err)
{
	struct ext4_meta meta = ext4_build_meta(b, &e->st);

	return ext4_writer_node(b->w, b->dirs[b->depth], e->name, &meta,
				makedev(e->st.stx_rdev_major, e->st.stx_rdev_minor), xattrs, ino,
				err);
}

static int ext4_build_entry(void *data, const struct tree_entry *e, struct coffer_error *err)
{
	CLEANUP(ext4_source_xattrs_free) struct ext4_xattrs xattrs = { 0 };
	struct ext4_build *b = data;
	uint64_t dev = ext4_source_dev(&e->st);
	uint32_t ino = 0;
	int r;

	if (e->st.stx_nlink > 1)
		ino = inode_map_get(&b->links, dev, e->st.stx_ino);
	if (ino)
		return ext4_writer_link(b->w, b->dirs[b->depth], e->name, ino, err);

	r = ext4_source_xattrs(e, &xattrs, err);
	if (r < 0)
		return r;
	if (S_ISREG(e->st.stx_mode))
		r = ext4_build_file(b, e, &xattrs, &ino, err);
	else if (S_ISLNK(e->st.stx_mode))
		r = ext4_build_symlink(b, e, &xattrs, &ino, err);
	else
		r = ext4_build_node(b, e, &xattrs, &ino, err);
	if (r < 0)
		return r;
	if (e->st.stx_nlink > 1 && inode_map_put(&b->links, dev, e->st.stx_ino, ino) < 0)
		return err_nomem(err);
	return 0;
}

static int ext4_build_enter(void *data, const struct tree_entry *e, struct coffer_error *err)
{
	struct ext4_build *b = data;
	struct ext4_meta meta = ext4_build_meta(b, &e->st);
	struct ext4_dir *parent = b->depth ? b->dirs[b->depth] : NULL;
	int r;

	r = ext4_source_xattrs(e, &b->dir_xattrs[b->depth + 1], err);
	if (r < 0)
		return r;
	b->depth++;
	return ext4_dir_open(b->w, parent, e->name, &meta, &b->dirs[b->depth], err);
}

static int ext4_build_leave(void *data, struct coffer_error *err)
{
	struct ext4_build *b = data;
	int r;

	r = ext4_dir_close(b->w, b->dirs[b->depth], &b->dir_xattrs[b->depth], err);
	ext4_source_xattrs_free(&b->dir_xattrs[b->depth]);
	b->depth--;
	return r;
}

static void ext4_build_free(struct ext4_build *b)
{
	for (size_t i = 0; i <= TREE_DEPTH_MAX; i++)
		ext4_source_xattrs_free(&b->dir_xattrs[i]);
	inode_map_free(&b->links);
	if (b->w)
		ext4_writer_free(b->w);
}

int ext4_build_from_dir(int dirfd, int out_fd, const struct ext4_build_args *args,
			struct coffer_error *err)
{
	static const struct tree_ops ops = { .enter = ext4_build_enter,
					     .leave = ext4_build_leave,
					     .entry = ext4_build_entry };
	CLEANUP(ext4_build_free) struct ext4_build b = { .args = args };
	struct ext4_format format = { .grow = true };
	int r;

	if (args->reproducible && args->epoch <= 0)
		return err_invalid(err, "a reproducible image needs a time after 1970");
	b.uid = geteuid();
	b.gid = getegid();
	r = ext4_measure_tree(dirfd, args, &format.blocks, &format.inodes, err);
	if (r < 0)
		return r;

	format.blocks += (args->extra_bytes + EXT4_BLOCK - 1) / EXT4_BLOCK;
	format.inodes += (uint32_t)(args->extra_bytes / EXT4_BYTES_PER_INODE);
	format.reproducible = args->reproducible;
	format.epoch = args->epoch;
	r = ext4_writer_open(out_fd, &format, &b.w, err);
	if (r == 0)
		r = tree_walk(dirfd, &ops, &b, err);
	if (r == 0)
		r = ext4_writer_finish(b.w, err);
	return r;
}
