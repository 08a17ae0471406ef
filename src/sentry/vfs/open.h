/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/open.h - opening, for vfs/ itself
 */
#ifndef SENTRY_VFS_OPEN_H
#define SENTRY_VFS_OPEN_H

#include "sentry/vfs/permission.h"

#define OPEN_LARGEFILE 0100000 /* what O_LARGEFILE is to a 64-bit program's kernel */

/* open_inode() - Everything but the check of permission, which a file just made does not need */
int open_inode(const struct vfs_path *path, const struct cred *cred, struct task *task,
	       uint32_t flags, struct file **out);
/* open_tmpfile() - O_TMPFILE in the directory @dir */
int open_tmpfile(struct walk *walk, const struct vfs_path *dir, uint32_t flags, uint32_t mode,
		 struct file **out);
/* special_open() - FIFOs, sockets, device nodes */
int special_open(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		 struct task *task, struct file **out);
/* vfs_notify_path() - inotify: @mask happened to what @dentry names. Cheap when nobody watches. */
void vfs_notify_path(struct dentry *dentry, uint32_t mask);
/* open_umask() - @mode without what the umask takes away */
uint32_t open_umask(struct fs_context *fs, uint32_t mode);

#endif /* SENTRY_VFS_OPEN_H */
