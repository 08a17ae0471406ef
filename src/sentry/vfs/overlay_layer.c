/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/overlay_layer.c - what an overlay does to its layers
 *
 * A layer is a directory of any file system, used below its cache of names: by inodes, with its
 * tree lock held as its own operations want it.
 *
 * Marks are those of Linux's overlays that are mounted with "userxattr": a whiteout is a character
 * device 0/0, a directory that hides all below has user.overlay.opaque "y". What the other kind
 * has ("trusted.") is understood, too. The number a copied file keeps is one of ours
 * (user.overlay.ino), since Linux's is a handle of its own.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/vfs/dentry.h"
#include "sentry/vfs/overlay.h"

#define LAYER_OPAQUE "user.overlay.opaque"
#define LAYER_INO    "user.overlay.ino"

int layer_lookup(struct inode *dir, const char *name, struct inode **out)
{
	int r;

	*out = NULL;
	if (!dir->ops->lookup)
		return -ENOENT;
	tree_read(dir->super);
	r = dir->ops->lookup(dir, name, out);
	tree_unlock(dir->super);
	return r;
}

int layer_create(struct inode *dir, const char *name, const struct vfs_create *args,
		 struct inode **out)
{
	int r;

	if (!dir->ops->create)
		return -EPERM;
	tree_write(dir->super);
	r = dir->ops->create(dir, name, args, out);
	tree_unlock(dir->super);
	return r;
}

int layer_tmpfile(struct inode *dir, const struct vfs_create *args, struct inode **out)
{
	int r;

	if (!dir->ops->tmpfile)
		return -EOPNOTSUPP;
	tree_write(dir->super);
	r = dir->ops->tmpfile(dir, args, out);
	tree_unlock(dir->super);
	return r;
}

int layer_link(struct inode *dir, const char *name, struct inode *target)
{
	int r;

	if (!dir->ops->link)
		return -EPERM;
	tree_write(dir->super);
	r = dir->ops->link(dir, name, target);
	tree_unlock(dir->super);
	return r;
}

int layer_remove(struct inode *dir, const char *name, struct inode *victim)
{
	int (*remove)(struct inode *, const char *, struct inode *) =
		S_ISDIR(victim->attr.st_mode) ? dir->ops->rmdir : dir->ops->unlink;
	int r;

	if (!remove)
		return -EPERM;
	tree_write(dir->super);
	r = remove(dir, name, victim);
	tree_unlock(dir->super);
	return r;
}

int layer_rename(struct inode *old_dir, const char *old_name, struct inode *new_dir,
		 const char *new_name, unsigned flags)
{
	int r;

	if (!old_dir->ops->rename)
		return -EPERM;
	tree_write(old_dir->super);
	r = old_dir->ops->rename(old_dir, old_name, new_dir, new_name, flags);
	tree_unlock(old_dir->super);
	return r;
}

int layer_setattr(struct inode *inode, const struct inode_attr *attr)
{
	int r;

	if (!inode->ops->setattr)
		return -EPERM;
	if (attr->mask & ATTR_SIZE)
		pthread_mutex_lock(&inode->write_lock);
	r = inode->ops->setattr(inode, attr);
	if (attr->mask & ATTR_SIZE)
		pthread_mutex_unlock(&inode->write_lock);
	return r;
}

int layer_whiteout(struct inode *dir, const char *name)
{
	const struct vfs_create args = { .mode = S_IFCHR, .exclusive = true };
	struct inode *inode = NULL;
	int r = layer_create(dir, name, &args, &inode);

	inode_put(inode);
	return r;
}

bool layer_is_opaque(struct inode *dir)
{
	static const char *const names[] = { LAYER_OPAQUE, "trusted.overlay.opaque" };
	char value;

	if (!dir->ops->getxattr)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (dir->ops->getxattr(dir, names[i], &value, 1) == 1 && value == 'y')
			return true;
	return false;
}

int layer_set_opaque(struct inode *dir)
{
	if (!dir->ops->setxattr)
		return -EOPNOTSUPP;
	return dir->ops->setxattr(dir, LAYER_OPAQUE, "y", 1, 0);
}

uint64_t layer_origin(struct inode *inode)
{
	uint64_t ino;

	if (!inode->ops->getxattr ||
	    inode->ops->getxattr(inode, LAYER_INO, &ino, sizeof(ino)) != sizeof(ino))
		return 0;
	return ino;
}

/* Without it the number changes when the file is forgotten and found again: no more than that. */
void layer_set_origin(struct inode *inode, uint64_t ino)
{
	if (inode->ops->setxattr && !S_ISDIR(inode->attr.st_mode))
		inode->ops->setxattr(inode, LAYER_INO, &ino, sizeof(ino), 0);
}
