/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/memfd.c - files in memory without a name
 *
 * All live in one file system of their own that is mounted nowhere a walk could come. Their dentry
 * has the name that /proc shows.
 */
#include "sentry/vfs/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "sentry/task/task.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/open.h"
#include "sentry/vfs/tmpfs.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#define MFD_EXEC	16u
#endif
#define MEMFD_SEAL_EXEC 0x20u /* F_SEAL_EXEC */
#define MEMFD_SEALS                                                              \
	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | \
	 MEMFD_SEAL_EXEC)

static struct mount *memfd_mount(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct mount *mount; /* made when it is first wanted, never given back */
	struct super *super;

	pthread_mutex_lock(&lock);
	if (!mount && tmpfs_new(0, 0700, &super) == 0) {
		mount = mount_new(super, super->root, MNT_INTERNAL, "tmpfs");
		super_put(super);
	}
	pthread_mutex_unlock(&lock);
	return mount;
}

static int memfd_inode(struct task *task, struct super *super, unsigned flags,
		       struct inode **out)
{
	struct vfs_create args = {
		.mode = S_IFREG | (flags & MFD_NOEXEC_SEAL ? 0666u : 0777u),
		.uid = task->cred->fsuid,
		.gid = task->cred->fsgid,
	};
	int r = tmpfs_make(super, &args, out);
	struct tmpfs_inode *node;

	if (r < 0)
		return r;
	node = tmpfs_inode(*out);
	node->inode.attr.st_nlink = 0;
	node->seals = flags & MFD_NOEXEC_SEAL ? MEMFD_SEAL_EXEC :
		      flags & MFD_ALLOW_SEALING ? 0u : F_SEAL_SEAL;
	return 0;
}

int memfd_create_path(struct task *task, const char *name, unsigned flags, struct vfs_path *out)
{
	struct vfs_path path = { .mount = memfd_mount() };
	struct inode *inode;
	int r;

	if (!path.mount)
		return -ENOMEM;
	r = memfd_inode(task, path.mount->super, flags, &inode);
	if (r < 0)
		return r;
	path.dentry = dentry_new(path.mount->super, path.mount->root, name, inode);
	inode_put(inode);
	if (!path.dentry)
		return -ENOMEM;
	path.dentry->unlinked = true;
	*out = path;
	return 0;
}

int memfd_create_file(struct task *task, const char *name, unsigned flags, struct file **out)
{
	char full[MEMFD_NAME_MAX + 8];
	struct vfs_path path;
	int r;

	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC))
		return -EINVAL;
	if ((flags & MFD_EXEC) && (flags & MFD_NOEXEC_SEAL))
		return -EINVAL;
	snprintf(full, sizeof(full), "memfd:%s", name);
	r = memfd_create_path(task, full, flags, &path);
	if (r < 0)
		return r;
	r = open_inode(&path, task->cred, task, O_RDWR, out);
	if (r == 0) {
		/* It may be executed while it is open, as fexecve(3) of one has it */
		(*out)->counts_write = false;
		atomic_fetch_add(&(*out)->inode->deny_write, 1);
	}
	dentry_put(path.dentry);
	return r;
}

/* memfd_of() - NULL: it has no seals */
static struct tmpfs_inode *memfd_of(struct file *file)
{
	struct inode *inode = file->inode;

	return inode && inode->mapping.ops == &tmpfs_mappable_ops ? tmpfs_inode(inode) : NULL;
}

int memfd_add_seals(struct file *file, unsigned seals)
{
	struct tmpfs_inode *node = memfd_of(file);
	int r = 0;

	if (!node || (seals & ~MEMFD_SEALS))
		return -EINVAL;
	if (!file_writable(file))
		return -EPERM;
	pthread_mutex_lock(&node->inode.write_lock);
	pthread_mutex_lock(&node->inode.lock);
	if (node->seals & F_SEAL_SEAL)
		r = -EPERM;
	else if ((seals & F_SEAL_WRITE) && !(node->seals & F_SEAL_WRITE) &&
		 atomic_load(&node->inode.mapping.mapped))
		r = -EBUSY; /* any mapping: which of them may write is not known here */
	else
		node->seals |= seals;
	pthread_mutex_unlock(&node->inode.lock);
	pthread_mutex_unlock(&node->inode.write_lock);
	return r;
}

int memfd_get_seals(struct file *file)
{
	struct tmpfs_inode *node = memfd_of(file);
	int seals;

	if (!node)
		return -EINVAL;
	pthread_mutex_lock(&node->inode.lock);
	seals = (int)node->seals;
	pthread_mutex_unlock(&node->inode.lock);
	return seals;
}
