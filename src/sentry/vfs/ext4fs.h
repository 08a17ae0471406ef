/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/ext4fs.h - an ext4 image, read-only; for ext4fs*.c
 *
 * The image is hostile: every number in it is checked before it is used, and everything that is
 * followed has an end that does not depend on it. It may also change or be cut while we read.
 * Multi-byte numbers are little-endian, as all hosts are that we run on.
 */
#ifndef SENTRY_VFS_EXT4FS_H
#define SENTRY_VFS_EXT4FS_H

#include "sentry/vfs/vfs.h"

#define EXT4FS_BUCKETS	 256
#define EXT4FS_INODE_MAX 4096		/* bytes of one in its table */
#define EXT4FS_RUNS_MAX	 (1u << 20)	/* of one file */
#define EXT4FS_NODES_MAX (1u << 18)	/* of the tree that says where a file's blocks are */
#define EXT4FS_DIR_MAX	 (1u << 28)	/* bytes of a directory */
#define EXT4FS_ROOT	 2u
#define EXT4FS_XATTR_MAGIC 0xEA020000u

/* Blocks that follow each other in the file and in the image. Between runs there are holes. */
struct ext4_run {
	uint64_t logical;
	uint64_t physical; /* 0: they read as zeros */
	uint32_t len;
};

struct ext4_runs {
	size_t n, room;
	struct ext4_run run[];
};

struct ext4fs {
	struct super super;
	int fd;		/* owned */
	uint32_t block, block_shift;
	uint64_t blocks;
	uint32_t inodes, inodes_per_group, inode_size, desc_size, groups;
	uint64_t first_desc; /* block */
	bool huge_file;
	pthread_mutex_t lock; /* leaf */
	struct ext4_inode *buckets[EXT4FS_BUCKETS]; /* lock; no references */
};

struct ext4_inode {
	struct inode inode;
	uint32_t ino, flags;
	uint64_t acl_block;
	uint64_t blocks; /* of 512 bytes, as the inode has them */
	uint16_t extra;	 /* bytes behind the first 128, before attributes */
	bool has_xattrs; /* in the inode */
	uint8_t block[60];
	struct ext4_runs *_Atomic runs; /* owned; read when first needed */
	struct ext4_inode *next;
};

static inline struct ext4_inode *ext4_of(struct inode *inode)
{
	return (struct ext4_inode *)inode;
}

static inline struct ext4fs *ext4_super(const struct ext4_inode *e)
{
	return (struct ext4fs *)e->inode.super;
}

/* --- ext4fs_disk.c --- */
int ext4_read_super(struct ext4fs *fs);
/* ext4_read() - Exactly @n bytes. Return: 0 or -EIO */
int ext4_read(const struct ext4fs *fs, uint64_t offset, void *buf, size_t n);
int ext4_read_block(const struct ext4fs *fs, uint64_t block, void *buf);
/* ext4_read_inode() - As it is in the table, @buf has room for EXT4FS_INODE_MAX */
int ext4_read_inode(const struct ext4fs *fs, uint32_t ino, void *buf);

/* --- ext4fs_runs.c --- */
int ext4_get_runs(struct ext4_inode *e, const struct ext4_runs **out);
void ext4_free_runs(struct ext4_runs *runs);
/* ext4_find_run() - The run that has @block, or the next one; NULL: none is behind it */
const struct ext4_run *ext4_find_run(const struct ext4_runs *runs, uint64_t block);

/* --- ext4fs_inode.c --- */
int ext4_inode_get(struct ext4fs *fs, uint32_t ino, struct inode **out);

/* --- ext4fs_file.c --- */
int ext4_open_file(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		   struct task *task, struct file **out);
/* ext4_pread() - Up to @n bytes of a file's data. Return: bytes or negative errno */
long ext4_pread(struct ext4_inode *e, void *buf, size_t n, uint64_t offset);
extern const struct mappable_ops ext4_mappable_ops;

/* --- ext4fs_dir.c --- */
int ext4_lookup(struct inode *dir, const char *name, struct inode **out);
int ext4_open_dir(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		  struct task *task, struct file **out);

/* --- ext4fs_xattr.c --- */
long ext4_getxattr(struct inode *inode, const char *name, void *value, size_t size);
long ext4_listxattr(struct inode *inode, char *list, size_t size);
/* ext4_inline() - The part of a small file's data that is not in e->block. Return: bytes */
long ext4_inline(struct ext4_inode *e, void *buf, size_t size);

#endif /* SENTRY_VFS_EXT4FS_H */
