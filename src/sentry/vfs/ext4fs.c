/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/ext4fs.c - an ext4 image as a file system, read-only
 *
 *	ext4fs_disk.c    superblock, inodes in their tables
 *	ext4fs_inode.c   inodes, links
 *	ext4fs_runs.c    where a file's blocks are
 *	ext4fs_file.c    data, mappings; ext4fs_dir.c: names; ext4fs_xattr.c: attributes
 *
 * Written for reading images of others by many threads at once: nothing is shared but the table of
 * inodes, and data goes from the image to the guest without a stop in between. The library that
 * makes images (libext2fs) would need one lock around all of it, and believes more of what it reads.
 */
#include "sentry/vfs/ext4fs.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int ext4_statfs(struct super *super, struct statfs *out)
{
	const struct ext4fs *fs = (const struct ext4fs *)super;

	*out = (struct statfs){
		.f_type = 0xef53,
		.f_bsize = fs->block,
		.f_frsize = fs->block,
		.f_blocks = fs->blocks,
		.f_files = fs->inodes,
		.f_namelen = NAME_MAX,
	};
	return 0;
}

static void ext4_free_super(struct super *super)
{
	struct ext4fs *fs = (struct ext4fs *)super;

	close(fs->fd);
	pthread_mutex_destroy(&fs->lock);
	free(fs);
}

static const struct super_ops ext4_super_ops = {
	.type = "ext4",
	.statfs = ext4_statfs,
	.free = ext4_free_super,
};

int ext4fs_new(int image_fd, struct super **out)
{
	struct ext4fs *fs = calloc(1, sizeof(*fs));
	struct inode *root = NULL;
	int r;

	if (!fs) {
		close(image_fd);
		return -ENOMEM;
	}
	fs->fd = image_fd;
	pthread_mutex_init(&fs->lock, NULL);
	r = ext4_read_super(fs);
	if (r == 0)
		r = ext4_inode_get(fs, EXT4FS_ROOT, &root);
	if (r == 0 && !S_ISDIR(root->attr.st_mode)) {
		inode_put(root);
		r = -EINVAL;
	}
	if (r == 0)
		r = super_init(&fs->super, &ext4_super_ops, root);
	if (r < 0) {
		ext4_free_super(&fs->super);
		return r;
	}
	fs->super.read_only = true;
	*out = &fs->super;
	return 0;
}
