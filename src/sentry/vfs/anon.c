/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/anon.c - inodes without a name
 *
 * Pipes and the descriptors a container is started with are told apart by fstat(2), and
 * /proc/PID/fd/N opens them once more; so they have inodes, of a file system that is mounted
 * nowhere. Event descriptors have none: they all look the same.
 */
#include "sentry/vfs/anon.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "sentry/task/task.h"
#include "sentry/vfs/mount.h"

static const struct super_ops anon_super_ops = { .type = "pipefs" };
static const struct inode_ops anon_root_ops = { .free = NULL };

static struct super anon_super;
static struct inode anon_root;
static struct mount *anon_mount; /* NULL: no memory for it */
static pthread_once_t anon_once = PTHREAD_ONCE_INIT;

static void anon_setup(void)
{
	inode_init(&anon_root, &anon_super, &anon_root_ops, S_IFDIR | 0500, inode_next_ino());
	if (super_init(&anon_super, &anon_super_ops, &anon_root) == 0)
		anon_mount = mount_new(&anon_super, anon_super.root, 0, "pipefs");
}

struct inode *anon_inode_new(const struct inode_ops *ops, size_t size, uint32_t mode)
{
	struct inode *inode;

	pthread_once(&anon_once, anon_setup);
	inode = anon_mount ? calloc(1, size) : NULL;
	if (!inode)
		return NULL;
	inode_init(inode, &anon_super, ops, mode, inode_next_ino());
	inode->attr.st_blksize = (blksize_t)PAGE_SIZE;
	clock_gettime(CLOCK_REALTIME, &inode->attr.st_mtim);
	inode->attr.st_atim = inode->attr.st_ctim = inode->attr.st_mtim;
	if (task_current) {
		inode->attr.st_uid = task_current->cred->fsuid;
		inode->attr.st_gid = task_current->cred->fsgid;
	}
	return inode;
}

int anon_path(struct inode *inode, struct vfs_path *out)
{
	struct dentry *dentry;

	pthread_once(&anon_once, anon_setup);
	dentry = anon_mount ? dentry_new(&anon_super, NULL, "anonymous", inode) : NULL;
	if (!dentry)
		return -ENOMEM;
	*out = (struct vfs_path){ .mount = mount_get(anon_mount), .dentry = dentry };
	return 0;
}

bool anon_path_is(const struct vfs_path *path)
{
	return path && path->mount && path->mount == anon_mount;
}

int64_t anon_seek(struct file *file, int64_t offset, int whence)
{
	return 0;
}
