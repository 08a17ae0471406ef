/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/devfs.c - a container's /dev: a file system in memory with the usual nodes in it
 *
 * What the nodes do is vfs/special.c's. Mounts for pts, shm and mqueue go on the directories.
 */
#include <errno.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "sentry/vfs/dentry.h"

#define DEVFS_SIZE (64ul << 20)

static const struct devfs_node {
	const char *name;
	uint32_t mode;
	unsigned major, minor;
	const char *target;
} devfs_nodes[] = {
	{ "null", S_IFCHR | 0666, 1, 3, NULL },
	{ "zero", S_IFCHR | 0666, 1, 5, NULL },
	{ "full", S_IFCHR | 0666, 1, 7, NULL },
	{ "random", S_IFCHR | 0666, 1, 8, NULL },
	{ "urandom", S_IFCHR | 0666, 1, 9, NULL },
	{ "tty", S_IFCHR | 0666, 5, 0, NULL },
	{ "ptmx", S_IFLNK | 0777, 0, 0, "pts/ptmx" },
	{ "fd", S_IFLNK | 0777, 0, 0, "/proc/self/fd" },
	{ "stdin", S_IFLNK | 0777, 0, 0, "/proc/self/fd/0" },
	{ "stdout", S_IFLNK | 0777, 0, 0, "/proc/self/fd/1" },
	{ "stderr", S_IFLNK | 0777, 0, 0, "/proc/self/fd/2" },
	{ "core", S_IFLNK | 0777, 0, 0, "/proc/kcore" },
	{ "pts", S_IFDIR | 0755, 0, 0, NULL },
	{ "shm", S_IFDIR | 01777, 0, 0, NULL },
	{ "mqueue", S_IFDIR | 01777, 0, 0, NULL },
};

static int devfs_add(struct inode *root, const struct devfs_node *node)
{
	struct vfs_create args = {
		.mode = node->mode,
		.rdev = makedev(node->major, node->minor),
		.target = node->target,
	};
	struct inode *inode;
	int r = root->ops->create(root, node->name, &args, &inode);

	if (r == 0)
		inode_put(inode);
	return r;
}

int devfs_new(struct super **out)
{
	struct super *super;
	int r = tmpfs_new(DEVFS_SIZE, 0755, &super);

	if (r < 0)
		return r;
	tree_write(super);
	for (size_t i = 0; i < ARRAY_SIZE(devfs_nodes) && r == 0; i++)
		r = devfs_add(super->root->inode, &devfs_nodes[i]);
	tree_unlock(super);
	if (r < 0) {
		super_put(super);
		return r;
	}
	*out = super;
	return 0;
}
