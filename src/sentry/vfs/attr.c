/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/attr.c - who may change which attribute, and reading them
 *
 * Rights to change a size are the caller's to check: truncate(2) asks the path, ftruncate(2) the
 * open file.
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/inotify.h>

#include "sentry/task/cred.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/open.h"

int vfs_stat(const struct vfs_path *path, struct stat *st)
{
	struct inode *inode = path->dentry->inode;
	int r = inode->ops->refresh ? inode->ops->refresh(inode) : 0;

	if (r < 0)
		return r;
	*st = inode_attr(inode);
	st->st_dev = inode->super->dev;
	return 0;
}

static int attr_check_size(const struct inode *inode)
{
	if (S_ISDIR(inode->attr.st_mode))
		return -EISDIR;
	if (!S_ISREG(inode->attr.st_mode))
		return -EINVAL;
	return atomic_load(&inode->deny_write) > 0 ? -ETXTBSY : 0;
}

static int attr_check_owner(const struct inode *inode, const struct cred *cred,
			    const struct inode_attr *attr)
{
	bool owner = cred->fsuid == inode->attr.st_uid;

	if (cred_capable(cred, CAP_CHOWN))
		return 0;
	if ((attr->mask & ATTR_UID) && (!owner || attr->uid != inode->attr.st_uid))
		return -EPERM;
	if ((attr->mask & ATTR_GID) &&
	    (!owner || (attr->gid != inode->attr.st_gid && !cred_in_group(cred, attr->gid))))
		return -EPERM;
	return 0;
}

static int attr_check_times(struct inode *inode, const struct cred *cred, unsigned mask)
{
	bool now = (mask & ATTR_ATIME_NOW) && (mask & ATTR_MTIME_NOW);

	if (permission_owner(inode, cred))
		return 0;
	return now ? vfs_permission(inode, cred, MAY_WRITE) : -EPERM;
}

static int attr_check(struct inode *inode, const struct cred *cred, const struct inode_attr *attr)
{
	int r = 0;

	if (attr->mask & ATTR_SIZE)
		r = attr_check_size(inode);
	if (r == 0 && (attr->mask & (ATTR_UID | ATTR_GID)))
		r = attr_check_owner(inode, cred, attr);
	if (r == 0 && (attr->mask & ATTR_MODE) && !permission_owner(inode, cred))
		r = -EPERM;
	if (r == 0 && !(attr->mask & ATTR_SIZE) &&
	    (attr->mask & (ATTR_ATIME | ATTR_MTIME | ATTR_ATIME_NOW | ATTR_MTIME_NOW)))
		r = attr_check_times(inode, cred, attr->mask);
	return r;
}

/* attr_drop_set_ids() - A new owner, a new content: no longer a program that runs as somebody */
static void attr_drop_set_ids(const struct inode *inode, const struct cred *cred,
			      struct inode_attr *attr)
{
	uint32_t drop = permission_set_ids(inode, cred);

	if (!drop)
		return;
	attr->mask |= ATTR_MODE;
	attr->mode = inode->attr.st_mode & 07777 & ~drop;
}

/* attr_change() - With write_lock held: nobody becomes the owner between a check and a change */
static int attr_change(struct inode *inode, const struct cred *cred, struct inode_attr *attr)
{
	int r = attr_check(inode, cred, attr);

	if (r < 0)
		return r;
	if (!inode->ops->setattr)
		return -EPERM;
	if ((attr->mask & ATTR_MODE) && !cred_in_group(cred, inode->attr.st_gid) &&
	    !cred_capable(cred, CAP_FSETID))
		attr->mode &= ~(uint32_t)S_ISGID;
	if ((attr->mask & (ATTR_UID | ATTR_GID)) ||
	    ((attr->mask & ATTR_SIZE) && !cred_capable(cred, CAP_FSETID)))
		attr_drop_set_ids(inode, cred, attr);
	return inode->ops->setattr(inode, attr);
}

int vfs_setattr(const struct vfs_path *path, const struct cred *cred, struct inode_attr *attr)
{
	struct inode *inode = path->dentry->inode;
	int r;

	if ((mount_flags(path->mount) & MNT_READ_ONLY) || inode->super->read_only)
		return -EROFS;
	pthread_mutex_lock(&inode->write_lock);
	r = attr_change(inode, cred, attr);
	pthread_mutex_unlock(&inode->write_lock);
	if (r == 0)
		vfs_notify_path(path->dentry, attr->mask & ATTR_SIZE ? IN_MODIFY : IN_ATTRIB);
	return r;
}

void vfs_notify_path(struct dentry *dentry, uint32_t mask)
{
	struct inode *inode = dentry->inode, *dir = NULL;
	char name[NAME_MAX + 1];

	if (!atomic_load_explicit(&inotify_marks, memory_order_relaxed))
		return;
	tree_read(dentry->super);
	if (dentry->parent && dentry->parent->inode->watches && !dentry->unlinked) {
		dir = inode_get(dentry->parent->inode);
		memcpy(name, dentry->name, strlen(dentry->name) + 1);
	}
	tree_unlock(dentry->super);
	if (S_ISDIR(inode->attr.st_mode))
		mask |= IN_ISDIR;
	if (dir || inode->watches)
		vfs_notify(dir, dir ? name : NULL, inode, mask, 0);
	inode_put(dir);
}
