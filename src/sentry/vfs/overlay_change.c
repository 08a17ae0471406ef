/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/overlay_change.c - names of an overlay that come and go
 *
 * All of it happens in the upper layer, under the overlay's tree lock. A name that a lower layer has
 * as well is not removed but replaced by a whiteout, in one step, so that the lower file is never
 * seen in between; what is made over a whiteout puts it back if that fails. A directory made where a
 * lower layer has one is opaque.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/fs.h>

#include "sentry/kernel.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/overlay.h"

int overlay_below(struct overlay_inode *dir, const char *name)
{
	for (unsigned i = 0; i < dir->nlower; i++) {
		struct inode *inode;
		int r = layer_lookup(dir->lower[i], name, &inode);
		bool whiteout;

		if (r == -ENOENT)
			continue;
		if (r < 0)
			return r;
		whiteout = overlay_is_whiteout(inode);
		inode_put(inode);
		return !whiteout;
	}
	return 0;
}

void overlay_lost(struct overlay_inode *o, struct overlay_inode *dir, const char *name)
{
	struct overlay *fs = overlay_super(o);
	bool named;

	pthread_mutex_lock(&fs->lock);
	named = o->parent == dir && o->name && strcmp(o->name, name) == 0;
	if (S_ISDIR(o->inode.attr.st_mode))
		o->gone = true;
	else
		o->links--;
	pthread_mutex_unlock(&fs->lock);
	if (named)
		overlay_inode_place(o, NULL, NULL);
	overlay_refresh(&o->inode);
	if (o->stash && !o->inode.attr.st_nlink)
		overlay_unstash(o, NULL, NULL);
}

#define OVERLAY_WORK "#overlay."

void overlay_work_name(char name[32])
{
	snprintf(name, 32, OVERLAY_WORK "%llx", (unsigned long long)inode_next_ino());
}

static struct inode *overlay_stash_dir(const struct overlay *fs)
{
	return fs->upper.dentry->inode;
}

bool overlay_is_stash(const struct overlay *fs, const struct inode *dir, const char *name)
{
	return fs->upper.dentry && dir == overlay_stash_dir(fs) &&
	       strncmp(name, OVERLAY_WORK, strlen(OVERLAY_WORK)) == 0;
}

int overlay_stash(struct overlay_inode *o, struct inode *dir, const char *name)
{
	struct inode *upper = overlay_upper(o);
	char work[32], *copy;
	int r;

	if (!upper || !o->nlower || S_ISDIR(upper->attr.st_mode) || o->stash)
		return 0;
	if (upper->ops->refresh)
		upper->ops->refresh(upper);
	if (upper->attr.st_nlink > 1 || (long)o->lower[0]->attr.st_nlink + o->links <= 1)
		return 0;
	overlay_work_name(work);
	copy = strdup(work);
	if (!copy)
		return -ENOMEM;
	r = layer_rename(dir, name, overlay_stash_dir(overlay_super(o)), work, 0);
	if (r < 0) {
		free(copy);
		return r;
	}
	o->stash = copy;
	return 1;
}

void overlay_unstash(struct overlay_inode *o, struct inode *dir, const char *name)
{
	struct inode *stash = overlay_stash_dir(overlay_super(o));

	if (!o->stash)
		return;
	if (name)
		layer_rename(stash, o->stash, dir, name, 0);
	else
		layer_remove(stash, o->stash, overlay_upper(o));
	free(o->stash);
	o->stash = NULL;
}

/* A whiteout at @name in @upper goes. Return: 1 there was one, 0 or negative errno */
static int overlay_uncover(struct inode *upper, const char *name)
{
	struct inode *inode;
	int r = layer_lookup(upper, name, &inode);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = overlay_is_whiteout(inode) ? layer_remove(upper, name, inode) : -EEXIST;
	inode_put(inode);
	return r < 0 ? r : 1;
}

static int overlay_make(struct overlay_inode *dir, const char *name, const struct vfs_create *args,
			struct inode **out)
{
	struct inode *upper = overlay_upper(dir);
	int covered = overlay_uncover(upper, name), r;

	if (covered < 0)
		return covered;
	r = layer_create(upper, name, args, out);
	if (r == 0 && covered && S_ISDIR(args->mode)) {
		r = layer_set_opaque(*out);
		if (r < 0) {
			layer_remove(upper, name, *out);
			inode_put(*out);
		}
	}
	if (r < 0 && covered)
		layer_whiteout(upper, name);
	return r;
}

int overlay_create(struct inode *dir, const char *name, const struct vfs_create *args,
		   struct inode **out)
{
	struct overlay_inode *d = overlay_of(dir);
	struct inode *made = NULL;
	int r;

	if (S_ISCHR(args->mode) && args->rdev == 0)
		return -EPERM; /* it would be a whiteout */
	r = overlay_copy_up_locked(d, 0);
	if (r == 0)
		r = overlay_make(d, name, args, &made);
	if (r < 0)
		return r;
	overlay_refresh(dir);
	return overlay_inode_take(overlay_super(d), made, NULL, 0, d, name, out);
}

int overlay_tmpfile(struct inode *dir, const struct vfs_create *args, struct inode **out)
{
	struct overlay_inode *d = overlay_of(dir);
	struct inode *made = NULL;
	int r = overlay_copy_up_locked(d, 0);

	if (r == 0)
		r = layer_tmpfile(overlay_upper(d), args, &made);
	return r < 0 ? r : overlay_inode_take(overlay_super(d), made, NULL, 0, NULL, NULL, out);
}

int overlay_link(struct inode *dir, const char *name, struct inode *target)
{
	struct overlay_inode *d = overlay_of(dir), *o = overlay_of(target);
	struct overlay *fs = overlay_super(d);
	struct inode *upper;
	int covered, r = overlay_copy_up_locked(d, 0);

	if (r == 0)
		r = overlay_copy_up_locked(o, UINT64_MAX);
	if (r < 0)
		return r;
	upper = overlay_upper(d);
	covered = overlay_uncover(upper, name);
	if (covered < 0)
		return covered;
	r = layer_link(upper, name, overlay_upper(o));
	if (r == 0)
		overlay_unstash(o, NULL, NULL);
	if (r < 0) {
		if (covered)
			layer_whiteout(upper, name);
		return r;
	}
	pthread_mutex_lock(&fs->lock);
	o->links++;
	pthread_mutex_unlock(&fs->lock);
	if (!o->parent)
		overlay_inode_place(o, d, name);
	overlay_refresh(target);
	overlay_refresh(dir);
	return 0;
}

int overlay_clear(struct inode *upper)
{
	struct overlay_list list = { 0 };
	int r = overlay_list_read_layer(NULL, upper, &list);

	for (size_t i = 0; r == 0 && i < list.n; i++) {
		const char *name = list.names + list.entries[i].name;
		struct inode *inode;

		r = layer_lookup(upper, name, &inode);
		if (r < 0)
			continue;
		r = overlay_is_whiteout(inode) ? layer_remove(upper, name, inode) : -ENOTEMPTY;
		inode_put(inode);
	}
	overlay_list_free(&list);
	return r;
}

/* @inode at @name in @upper makes place for a whiteout: they change places, then it goes. */
static int overlay_replace(struct inode *upper, const char *name, struct inode *inode)
{
	char work[32];
	int r;

	overlay_work_name(work);
	r = layer_whiteout(upper, work);
	if (r < 0)
		return r;
	r = layer_rename(upper, work, upper, name, RENAME_EXCHANGE);
	if (r == 0)
		return layer_remove(upper, work, inode);
	if (layer_lookup(upper, work, &inode) == 0) {
		layer_remove(upper, work, inode);
		inode_put(inode);
	}
	return r;
}

/* What the upper layer has at @name goes. */
static int overlay_hide_upper(struct overlay_inode *victim, struct inode *upper, const char *name,
			      struct inode *inode, bool below)
{
	int r = overlay_stash(victim, upper, name);

	if (r < 0)
		return r;
	if (!r)
		return below ? overlay_replace(upper, name, inode) :
			       layer_remove(upper, name, inode);
	r = below ? layer_whiteout(upper, name) : 0;
	if (r < 0)
		overlay_unstash(victim, upper, name);
	return r;
}

/* The name of @d is there no more, in no layer. */
static int overlay_hide(struct overlay_inode *d, const char *name, struct overlay_inode *victim)
{
	int below = overlay_below(d, name), r;
	struct inode *upper, *inode = NULL;

	if (below < 0)
		return below;
	r = below ? overlay_copy_up_locked(d, 0) : 0;
	if (r < 0)
		return r;
	upper = overlay_upper(d);
	r = upper ? layer_lookup(upper, name, &inode) : -ENOENT;
	if (r == -ENOENT)
		return below ? layer_whiteout(upper, name) : -ENOENT;
	if (r < 0)
		return r;
	if (S_ISDIR(inode->attr.st_mode))
		r = overlay_clear(inode);
	if (r == 0)
		r = overlay_hide_upper(victim, upper, name, inode, below);
	inode_put(inode);
	return r;
}

int overlay_unlink(struct inode *dir, const char *name, struct inode *victim)
{
	int r = overlay_hide(overlay_of(dir), name, overlay_of(victim));

	if (r < 0)
		return r;
	overlay_lost(overlay_of(victim), overlay_of(dir), name);
	return overlay_refresh(dir);
}

int overlay_rmdir(struct inode *dir, const char *name, struct inode *victim)
{
	int r = overlay_is_empty(overlay_of(victim));

	if (r < 0)
		return r;
	return r ? overlay_unlink(dir, name, victim) : -ENOTEMPTY;
}

int overlay_setattr(struct inode *inode, const struct inode_attr *attr)
{
	struct overlay_inode *o = overlay_of(inode);
	int r = overlay_copy_up(o, attr->mask & ATTR_SIZE ? attr->size : UINT64_MAX);

	if (r == 0)
		r = layer_setattr(overlay_upper(o), attr);
	if (r == 0 && (attr->mask & ATTR_SIZE))
		mm_invalidate(&inode->mapping, PAGE_UP(attr->size), UINT64_MAX);
	overlay_refresh(inode);
	return r;
}
