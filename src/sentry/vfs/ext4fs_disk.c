/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/ext4fs_disk.c - the superblock, the groups, and an inode in its table
 *
 * What is understood: ext2, ext3 and ext4 with the features that mke2fs gives by default, and data
 * in inodes. What is not: encryption, names without case, a journal that still has to be replayed
 * (the image was not unmounted), meta block groups. Checksums are not looked at: they are against
 * accidents, and who made the image made them.
 */
#include <errno.h>
#include <ext2fs/ext2_fs.h>
#include <stddef.h>
#include <unistd.h>

#include "base/io.h"
#include "sentry/vfs/ext4fs.h"

#define DISK_SUPER    1024
#define DISK_GROUPS   (1u << 24)
#define DISK_FEATURES                                                                         \
	(EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |                      \
	 EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_MMP |                             \
	 EXT4_FEATURE_INCOMPAT_FLEX_BG | EXT4_FEATURE_INCOMPAT_EA_INODE |                      \
	 EXT4_FEATURE_INCOMPAT_CSUM_SEED | EXT4_FEATURE_INCOMPAT_LARGEDIR |                    \
	 EXT4_FEATURE_INCOMPAT_INLINE_DATA)

int ext4_read(const struct ext4fs *fs, uint64_t offset, void *buf, size_t n)
{
	return io_read_at(fs->fd, buf, n, offset) == (ssize_t)n ? 0 : -EIO;
}

int ext4_read_block(const struct ext4fs *fs, uint64_t block, void *buf)
{
	if (block == 0 || block >= fs->blocks)
		return -EIO;
	return ext4_read(fs, block << fs->block_shift, buf, fs->block);
}

static bool disk_is_power(uint32_t n)
{
	return n && !(n & (n - 1));
}

/* Sizes that everything else is computed from. */
static int disk_take_super(struct ext4fs *fs, const struct ext2_super_block *sb)
{
	bool wide = sb->s_feature_incompat & EXT4_FEATURE_INCOMPAT_64BIT;
	uint64_t groups;

	fs->block_shift = 10 + sb->s_log_block_size;
	fs->block = 1u << fs->block_shift;
	fs->blocks = sb->s_blocks_count | (wide ? (uint64_t)sb->s_blocks_count_hi << 32 : 0);
	fs->inodes = sb->s_inodes_count;
	fs->inodes_per_group = sb->s_inodes_per_group;
	fs->inode_size = sb->s_rev_level ? sb->s_inode_size : 128;
	fs->desc_size = wide ? sb->s_desc_size : 32;
	/* With small blocks in clusters the superblock is in block 1 although block 0 is the first */
	fs->first_desc = (uint64_t)sb->s_first_data_block + 1 +
			 (fs->block == 1024 && !sb->s_first_data_block);
	fs->huge_file = sb->s_feature_ro_compat & EXT4_FEATURE_RO_COMPAT_HUGE_FILE;
	if (fs->blocks <= sb->s_first_data_block || fs->blocks > UINT64_C(1) << 44 ||
	    !sb->s_blocks_per_group || !fs->inodes || !fs->inodes_per_group)
		return -EINVAL;
	if (fs->inode_size < 128 || fs->inode_size > EXT4FS_INODE_MAX ||
	    !disk_is_power(fs->inode_size) || fs->inode_size > fs->block)
		return -EINVAL;
	if (fs->desc_size < 32 || fs->desc_size > fs->block || !disk_is_power(fs->desc_size))
		return -EINVAL;
	groups = (fs->blocks - sb->s_first_data_block + sb->s_blocks_per_group - 1) /
		 sb->s_blocks_per_group;
	if (groups > DISK_GROUPS)
		return -EINVAL;
	fs->groups = (uint32_t)groups;
	return 0;
}

int ext4_read_super(struct ext4fs *fs)
{
	struct ext2_super_block sb;

	if (ext4_read(fs, DISK_SUPER, &sb, sizeof(sb)) < 0 || sb.s_magic != EXT2_SUPER_MAGIC)
		return -EINVAL;
	if (sb.s_log_block_size > 6)
		return -EINVAL;
	if (sb.s_feature_incompat & EXT3_FEATURE_INCOMPAT_RECOVER)
		return -EROFS; /* as the kernel says of a device that it may not write to */
	if (sb.s_feature_incompat & ~(uint32_t)DISK_FEATURES)
		return -EOPNOTSUPP;
	return disk_take_super(fs, &sb);
}

/* Where the table of a group's inodes begins. Return: 0 or negative errno */
static int disk_inode_table(const struct ext4fs *fs, uint32_t group, uint64_t *block)
{
	uint64_t offset = (fs->first_desc << fs->block_shift) + (uint64_t)group * fs->desc_size;
	struct ext4_group_desc desc = { 0 };
	size_t n = fs->desc_size < sizeof(desc) ? fs->desc_size : sizeof(desc);
	int r = ext4_read(fs, offset, &desc, n);

	if (r < 0)
		return r;
	*block = desc.bg_inode_table | (uint64_t)desc.bg_inode_table_hi << 32;
	return *block < fs->blocks ? 0 : -EIO;
}

int ext4_read_inode(const struct ext4fs *fs, uint32_t ino, void *buf)
{
	uint32_t group, index;
	uint64_t table;
	int r;

	if (ino == 0 || ino > fs->inodes)
		return -EIO;
	group = (ino - 1) / fs->inodes_per_group;
	index = (ino - 1) % fs->inodes_per_group;
	if (group >= fs->groups)
		return -EIO;
	r = disk_inode_table(fs, group, &table);
	if (r < 0)
		return r;
	return ext4_read(fs, (table << fs->block_shift) + (uint64_t)index * fs->inode_size, buf,
			 fs->inode_size);
}
