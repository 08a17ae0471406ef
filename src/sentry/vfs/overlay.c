/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/overlay.c - layers of directories as one
 *
 *	upper   what is changed is here; in memory or on the host
 *	lower   one or more, from the top down, which are only read
 *
 * Behaves as Linux's overlay with "index=off,redirect_dir=off,xino=on,userxattr", with one addition:
 * the names of a file with several in a lower layer stay names of one file when it is copied up, for
 * as long as the overlay is mounted.
 *
 * overlay_inode.c finds, overlay_copy.c copies up, overlay_change.c and overlay_rename.c change names,
 * overlay_layer.c is the way to the layers.
 */
#include "sentry/vfs/overlay.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

static struct super *overlay_top(struct super *super)
{
	struct overlay *fs = (struct overlay *)super;

	return (fs->upper.dentry ? fs->upper.dentry : fs->lower[0].dentry)->super;
}

static int overlay_statfs(struct super *super, struct statfs *out)
{
	struct super *top = overlay_top(super);
	int r = top->ops->statfs ? top->ops->statfs(top, out) : -ENOSYS;

	out->f_type = 0x794c7630;
	return r;
}

static int overlay_sync(struct super *super)
{
	struct super *top = overlay_top(super);

	return top->ops->sync ? top->ops->sync(top) : 0;
}

static void overlay_unpin(struct overlay *fs)
{
	while (fs->pinned) {
		struct overlay_inode *o = fs->pinned;

		fs->pinned = o->pinned_next;
		overlay_unstash(o, NULL, NULL);
		inode_put(&o->inode);
	}
}

static void overlay_free(struct super *super)
{
	struct overlay *fs = (struct overlay *)super;

	overlay_unpin(fs);
	if (fs->upper.dentry)
		path_put(&fs->upper);
	for (size_t i = 0; i < fs->nlower; i++)
		path_put(&fs->lower[i]);
	free(fs->lower);
	free(fs->supers);
	pthread_mutex_destroy(&fs->lock);
	free(fs);
}

static const struct super_ops overlay_super_ops = {
	.type = "overlay",
	.statfs = overlay_statfs,
	.sync = overlay_sync,
	.free = overlay_free,
};

static void overlay_add_super(struct overlay *fs, struct super *super)
{
	for (size_t i = 0; i < fs->nsupers; i++)
		if (fs->supers[i] == super)
			return;
	fs->supers[fs->nsupers++] = super;
}

static int overlay_add_layers(struct overlay *fs, const struct vfs_path *lower, size_t nlower,
			      const struct vfs_path *upper)
{
	fs->lower = calloc(nlower, sizeof(*fs->lower));
	fs->supers = calloc(nlower + 1, sizeof(struct super *));
	if (!fs->lower || !fs->supers)
		return -ENOMEM;
	if (upper) {
		fs->upper = *upper;
		path_get(&fs->upper);
		overlay_add_super(fs, upper->dentry->super);
	}
	for (; fs->nlower < nlower; fs->nlower++) {
		fs->lower[fs->nlower] = lower[fs->nlower];
		path_get(&fs->lower[fs->nlower]);
		overlay_add_super(fs, lower[fs->nlower].dentry->super);
	}
	return 0;
}

static int overlay_make_root(struct overlay *fs, const struct vfs_path *lower, size_t nlower,
			     const struct vfs_path *upper, struct inode **out)
{
	struct inode **stack = calloc(nlower, sizeof(struct inode *));

	if (!stack)
		return -ENOMEM;
	for (size_t i = 0; i < nlower; i++)
		stack[i] = inode_get(lower[i].dentry->inode);
	return overlay_inode_take(fs, upper ? inode_get(upper->dentry->inode) : NULL, stack,
				  (unsigned)nlower, NULL, NULL, out);
}

static bool overlay_is_dir(const struct vfs_path *path)
{
	return path->dentry->inode && S_ISDIR(path->dentry->inode->attr.st_mode);
}

int overlay_new(const struct vfs_path *lower, size_t nlower, const struct vfs_path *upper,
		struct super **out)
{
	struct overlay *fs;
	struct inode *root;
	int r;

	if (!nlower || nlower > 255)
		return -EINVAL;
	for (size_t i = 0; i < nlower; i++)
		if (!overlay_is_dir(&lower[i]))
			return -ENOTDIR;
	if (upper && !overlay_is_dir(upper))
		return -ENOTDIR;
	fs = calloc(1, sizeof(*fs));
	if (!fs)
		return -ENOMEM;
	pthread_mutex_init(&fs->lock, NULL);
	r = overlay_add_layers(fs, lower, nlower, upper);
	if (r == 0)
		r = overlay_make_root(fs, lower, nlower, upper, &root);
	if (r == 0)
		r = super_init(&fs->super, &overlay_super_ops, root);
	if (r < 0) {
		overlay_free(&fs->super);
		return r;
	}
	fs->super.read_only = !upper;
	*out = &fs->super;
	return 0;
}
