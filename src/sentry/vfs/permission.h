/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/permission.h - checks that belong together; for vfs/ itself
 *
 * vfs_permission() is in vfs.h. What looks at names wants the tree lock held.
 */
#ifndef SENTRY_VFS_PERMISSION_H
#define SENTRY_VFS_PERMISSION_H

#include "sentry/vfs/mount.h"

enum { MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4 };

/* permission_path() - With what the mount says: read-only, noexec */
int permission_path(const struct vfs_path *path, const struct cred *cred, int mask);
/* permission_names() - Whether names in @dir may be changed. Return: 0, -ENOENT: it is gone
 * itself, -EROFS, -EACCES */
int permission_names(const struct mount *mount, const struct dentry *dir, const struct cred *cred);
/* permission_delete() - Whether @victim may go from @dir, as a directory or as something else */
int permission_delete(const struct mount *mount, const struct dentry *dir,
		      const struct dentry *victim, const struct cred *cred, bool is_dir);
/* permission_owner() - What only an owner may do */
bool permission_owner(const struct inode *inode, const struct cred *cred);
/* permission_set_ids() - The bits that a new owner or a new content takes from a program; without an
 * executable group S_ISGID stays for who is in the group, or may set it */
uint32_t permission_set_ids(const struct inode *inode, const struct cred *cred);
/* permission_inherit() - Whose something new in @dir is; setgid directories hand down */
void permission_inherit(const struct inode *dir, const struct cred *cred, struct vfs_create *args);

#endif /* SENTRY_VFS_PERMISSION_H */
