/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/ext4fs_inode.c - inodes of an image
 *
 * Read once, when a name leads to them; a table finds the one that is there already.
 */
#include <errno.h>
#include <ext2fs/ext2_fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "sentry/vfs/ext4fs.h"

static const struct inode_ops ext4_file_ops, ext4_dir_ops, ext4_link_ops, ext4_other_ops;

static struct ext4_inode *ext4_find(struct ext4fs *fs, uint32_t ino)
{
	struct ext4_inode *e = fs->buckets[ino % EXT4FS_BUCKETS];

	for (; e; e = e->next) {
		unsigned refs = atomic_load_explicit(&e->inode.refs, memory_order_relaxed);

		if (e->ino != ino)
			continue;
		while (refs)
			if (atomic_compare_exchange_weak(&e->inode.refs, &refs, refs + 1))
				return e;
	}
	return NULL;
}

static struct timespec ext4_time(uint32_t seconds, uint32_t extra)
{
	return (struct timespec){
		.tv_sec = (int32_t)seconds + ((int64_t)(extra & 3) << 32),
		.tv_nsec = (extra >> 2) < 1000000000 ? extra >> 2 : 0,
	};
}

static void ext4_fill_times(struct stat *attr, const struct ext2_inode_large *raw, size_t have)
{
	bool extra = have >= offsetof(struct ext2_inode_large, i_atime_extra) + 4;

	attr->st_atim = ext4_time(raw->i_atime, extra ? raw->i_atime_extra : 0);
	attr->st_mtim = ext4_time(raw->i_mtime, extra ? raw->i_mtime_extra : 0);
	attr->st_ctim = ext4_time(raw->i_ctime, extra ? raw->i_ctime_extra : 0);
}

/* Both encodings that a number of a device has had. */
static dev_t ext4_rdev(const struct ext2_inode_large *raw)
{
	uint32_t old = raw->i_block[0], new = raw->i_block[1];

	if (old)
		return makedev((old >> 8) & 0xff, old & 0xff);
	return makedev((new >> 8) & 0xfff, (new & 0xff) | ((new >> 12) & 0xfff00));
}

static int ext4_fill(struct ext4fs *fs, struct ext4_inode *e, const struct ext2_inode_large *raw)
{
	struct stat *attr = &e->inode.attr;
	uint64_t size = raw->i_size;
	size_t have = 128;
	uint32_t magic;

	if (S_ISREG(raw->i_mode) || S_ISDIR(raw->i_mode))
		size |= (uint64_t)raw->i_size_high << 32;
	if (size > INT64_MAX || (S_ISDIR(raw->i_mode) && size > EXT4FS_DIR_MAX))
		return -EIO;
	if (fs->inode_size > 128 && raw->i_extra_isize <= fs->inode_size - 128) {
		e->extra = raw->i_extra_isize;
		have += e->extra;
		if (e->extra && have + sizeof(magic) <= fs->inode_size) {
			memcpy(&magic, (const char *)raw + have, sizeof(magic));
			e->has_xattrs = magic == EXT4FS_XATTR_MAGIC;
		}
	}
	e->flags = raw->i_flags;
	e->acl_block = raw->i_file_acl | (uint64_t)raw->osd2.linux2.l_i_file_acl_high << 32;
	e->blocks = raw->i_blocks;
	if (fs->huge_file)
		e->blocks |= (uint64_t)raw->osd2.linux2.l_i_blocks_hi << 32;
	memcpy(e->block, raw->i_block, sizeof(e->block));
	attr->st_nlink = raw->i_links_count;
	attr->st_uid = raw->i_uid | (uint32_t)raw->osd2.linux2.l_i_uid_high << 16;
	attr->st_gid = raw->i_gid | (uint32_t)raw->osd2.linux2.l_i_gid_high << 16;
	attr->st_size = (off_t)size;
	attr->st_blocks = (blkcnt_t)(e->flags & EXT4_HUGE_FILE_FL ?
					     e->blocks << (fs->block_shift - 9) :
					     e->blocks);
	attr->st_blksize = fs->block;
	if (S_ISCHR(raw->i_mode) || S_ISBLK(raw->i_mode))
		attr->st_rdev = ext4_rdev(raw);
	ext4_fill_times(attr, raw, have);
	return 0;
}

static const struct inode_ops *ext4_ops(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return &ext4_file_ops;
	case S_IFDIR:
		return &ext4_dir_ops;
	case S_IFLNK:
		return &ext4_link_ops;
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		return &ext4_other_ops;
	default:
		return NULL;
	}
}

static void ext4_free(struct inode *inode)
{
	struct ext4_inode *e = ext4_of(inode), **at;
	struct ext4fs *fs = ext4_super(e);

	pthread_mutex_lock(&fs->lock);
	at = &fs->buckets[e->ino % EXT4FS_BUCKETS];
	while (*at && *at != e)
		at = &(*at)->next;
	if (*at)
		*at = e->next;
	pthread_mutex_unlock(&fs->lock);
	ext4_free_runs(e->runs);
	inode_fini(inode);
	free(e);
}

static int ext4_inode_new(struct ext4fs *fs, uint32_t ino, struct ext4_inode **out)
{
	autofree struct ext2_inode_large *raw = malloc(EXT4FS_INODE_MAX);
	const struct inode_ops *ops;
	struct ext4_inode *e;
	int r = raw ? ext4_read_inode(fs, ino, raw) : -ENOMEM;

	if (r < 0)
		return r;
	ops = ext4_ops(raw->i_mode);
	if (!ops || !raw->i_links_count)
		return -EIO;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	inode_init(&e->inode, &fs->super, ops, raw->i_mode, ino);
	e->ino = ino;
	r = ext4_fill(fs, e, raw);
	if (r < 0) {
		ext4_free(&e->inode);
		return r;
	}
	if (S_ISREG(raw->i_mode))
		e->inode.mapping.ops = &ext4_mappable_ops;
	*out = e;
	return 0;
}

int ext4_inode_get(struct ext4fs *fs, uint32_t ino, struct inode **out)
{
	struct ext4_inode *e, *fresh = NULL;
	int r;

	pthread_mutex_lock(&fs->lock);
	e = ext4_find(fs, ino);
	pthread_mutex_unlock(&fs->lock);
	if (!e) {
		r = ext4_inode_new(fs, ino, &fresh);
		if (r < 0)
			return r;
		pthread_mutex_lock(&fs->lock);
		e = ext4_find(fs, ino);
		if (!e) {
			e = fresh;
			fresh = NULL;
			e->next = fs->buckets[ino % EXT4FS_BUCKETS];
			fs->buckets[ino % EXT4FS_BUCKETS] = e;
		}
		pthread_mutex_unlock(&fs->lock);
	}
	if (fresh)
		inode_put(&fresh->inode);
	*out = &e->inode;
	return 0;
}

/* A short target is where the block numbers would be. */
static bool ext4_is_fast_link(const struct ext4_inode *e)
{
	uint64_t acl = e->acl_block ? ext4_super(e)->block >> 9 : 0;

	return !(e->flags & EXT4_INLINE_DATA_FL) && e->blocks == acl &&
	       (size_t)e->inode.attr.st_size <= sizeof(e->block);
}

static int ext4_readlink(struct inode *inode, char *buf, size_t size)
{
	struct ext4_inode *e = ext4_of(inode);
	size_t want = (size_t)inode->attr.st_size;
	long n;

	if (want == 0 || want >= PATH_MAX)
		return -EIO;
	if (want > size - 1)
		want = size - 1;
	if (ext4_is_fast_link(e)) {
		memcpy(buf, e->block, want);
		n = (long)want;
	} else {
		n = ext4_pread(e, buf, want, 0);
	}
	if (n <= 0)
		return n < 0 ? (int)n : -EIO;
	buf[n] = '\0';
	return (int)strlen(buf);
}

#define EXT4_COMMON .getxattr = ext4_getxattr, .listxattr = ext4_listxattr, .free = ext4_free

static const struct inode_ops ext4_file_ops = { EXT4_COMMON, .open = ext4_open_file };
static const struct inode_ops ext4_link_ops = { EXT4_COMMON, .readlink = ext4_readlink };
static const struct inode_ops ext4_other_ops = { EXT4_COMMON };
static const struct inode_ops ext4_dir_ops = {
	EXT4_COMMON,
	.lookup = ext4_lookup,
	.open = ext4_open_dir,
};
