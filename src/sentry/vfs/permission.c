/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/permission.c - may this one read, write, pass?
 *
 * Linux's rules by mode and ids, with the two capabilities that override them; ACLs are deliberately
 * absent: no file system here shows any.
 */
#include "sentry/vfs/permission.h"

#include <errno.h>
#include <linux/capability.h>

#include "sentry/task/cred.h"

int vfs_permission(struct inode *inode, const struct cred *cred, int mask)
{
	uint32_t mode = inode->attr.st_mode, bits;
	bool dir = S_ISDIR(mode);

	if ((mask & MAY_WRITE) && inode->super->read_only && (S_ISREG(mode) || dir || S_ISLNK(mode)))
		return -EROFS;
	if (cred->fsuid == inode->attr.st_uid)
		bits = mode >> 6;
	else if ((mode >> 3 & 7) == (mode & 7)) /* no need to look through the groups */
		bits = mode;
	else
		bits = cred_in_group(cred, inode->attr.st_gid) ? mode >> 3 : mode;
	if (!((unsigned)mask & ~bits & 7))
		return 0;
	if ((dir || !(mask & MAY_EXEC) || (mode & 0111)) &&
	    cred_capable(cred, CAP_DAC_OVERRIDE))
		return 0;
	if ((mask == MAY_READ || (dir && !(mask & MAY_WRITE))) &&
	    cred_capable(cred, CAP_DAC_READ_SEARCH))
		return 0;
	return -EACCES;
}

int permission_path(const struct vfs_path *path, const struct cred *cred, int mask)
{
	uint32_t mode = path->dentry->inode->attr.st_mode;

	if ((mask & MAY_WRITE) && (mount_flags(path->mount) & MNT_READ_ONLY) &&
	    (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode)))
		return -EROFS;
	if ((mask & MAY_EXEC) && S_ISREG(mode) &&
	    ((mount_flags(path->mount) & MNT_NOEXEC) || path->mount->super->no_exec))
		return -EACCES;
	return vfs_permission(path->dentry->inode, cred, mask);
}

int permission_names(const struct mount *mount, const struct dentry *dir, const struct cred *cred)
{
	if (dir->unlinked)
		return -ENOENT;
	if (mount_flags(mount) & MNT_READ_ONLY)
		return -EROFS;
	return vfs_permission(dir->inode, cred, MAY_WRITE | MAY_EXEC);
}

/* permission_sticky() - In a directory like /tmp only owners remove */
static bool permission_sticky(const struct inode *dir, const struct inode *victim,
			      const struct cred *cred)
{
	return !(dir->attr.st_mode & S_ISVTX) || cred->fsuid == victim->attr.st_uid ||
	       cred->fsuid == dir->attr.st_uid || cred_capable(cred, CAP_FOWNER);
}

int permission_delete(const struct mount *mount, const struct dentry *dir,
		      const struct dentry *victim, const struct cred *cred, bool is_dir)
{
	int r = permission_names(mount, dir, cred);

	if (r < 0)
		return r;
	if (!permission_sticky(dir->inode, victim->inode, cred))
		return -EPERM;
	if (is_dir && !dentry_is_dir(victim))
		return -ENOTDIR;
	if (!is_dir && dentry_is_dir(victim))
		return -EISDIR;
	if (atomic_load(&victim->mounts))
		return -EBUSY;
	return 0;
}

bool permission_owner(const struct inode *inode, const struct cred *cred)
{
	return cred->fsuid == inode->attr.st_uid || cred_capable(cred, CAP_FOWNER);
}

uint32_t permission_set_ids(const struct inode *inode, const struct cred *cred)
{
	uint32_t mode = inode->attr.st_mode, drop = S_ISUID;

	if (S_ISDIR(mode) || !(mode & (S_ISUID | S_ISGID)))
		return 0;
	if ((mode & S_IXGRP) || (!cred_in_group(cred, inode->attr.st_gid) &&
				 !cred_capable(cred, CAP_FSETID)))
		drop |= S_ISGID;
	return mode & drop;
}

void permission_inherit(const struct inode *dir, const struct cred *cred, struct vfs_create *args)
{
	bool dir_made = S_ISDIR(args->mode);

	args->uid = cred->fsuid;
	args->gid = cred->fsgid;
	if (!(dir->attr.st_mode & S_ISGID))
		return;
	args->gid = dir->attr.st_gid;
	if (dir_made)
		args->mode |= S_ISGID;
	else if ((args->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
		 !cred_in_group(cred, args->gid) && !cred_capable(cred, CAP_FSETID))
		args->mode &= ~(uint32_t)S_ISGID;
}
