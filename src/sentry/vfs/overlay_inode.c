/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/overlay_inode.c - names of all layers as inodes
 *
 *	lookup(dir, name) -> in the upper layer, then in the lower ones from the top down
 *	   file first      -> that one; what is below is hidden
 *	   directory first -> it and the directories below, to the first that is opaque, or no directory
 *	   whiteout first  -> nothing
 *
 * Which inode a layer's inode belongs to is found in two tables, so that two names of one lower
 * file are one file also after it was copied up. If it has several names there, it is then kept
 * until the end: the other names lead to the lower layer, and only this inode knows better.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/vfs/overlay.h"

static const struct inode_ops overlay_other_ops, overlay_dir_ops;

uint64_t overlay_ino(const struct overlay *fs, const struct inode *inode)
{
	uint64_t i = 0;

	while (i < fs->nsupers && fs->supers[i] != inode->super)
		i++;
	return inode->attr.st_ino ^ (i << 56);
}

static unsigned overlay_bucket(const struct inode *inode)
{
	return (unsigned)(((uintptr_t)inode * UINT64_C(0x9e3779b97f4a7c15)) >> 57) %
	       OVERLAY_BUCKETS;
}

static bool overlay_try_get(struct overlay_inode *o)
{
	unsigned refs = atomic_load_explicit(&o->inode.refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak(&o->inode.refs, &refs, refs + 1))
			return true;
	return false;
}

/* fs->lock held */
static struct overlay_inode *overlay_find(struct overlay *fs, const struct inode *upper,
					  const struct inode *lower)
{
	struct overlay_inode *o = upper ? fs->by_upper[overlay_bucket(upper)] :
					  fs->by_lower[overlay_bucket(lower)];

	while (o && !((upper ? overlay_upper(o) == upper : o->lower[0] == lower) &&
		      overlay_try_get(o)))
		o = upper ? o->next_upper : o->next_lower;
	return o;
}

/* fs->lock held */
static void overlay_insert_upper(struct overlay *fs, struct overlay_inode *o)
{
	struct overlay_inode **at = &fs->by_upper[overlay_bucket(overlay_upper(o))];

	o->next_upper = *at;
	*at = o;
}

static void overlay_put_layers(struct inode *upper, struct inode **lower, unsigned nlower)
{
	inode_put(upper);
	for (unsigned i = 0; i < nlower; i++)
		inode_put(lower[i]);
	free(lower);
}

void overlay_fill(struct overlay_inode *o)
{
	struct overlay *fs = overlay_super(o);
	struct inode *upper;
	struct stat st;
	nlink_t lower_links = o->nlower ? inode_attr(o->lower[0]).st_nlink : 0;
	long links;

	/* One step: of two that fill, the later one has what is newer. */
	pthread_mutex_lock(&o->inode.lock);
	upper = overlay_upper(o);
	st = inode_attr(upper ? upper : o->lower[0]);
	pthread_mutex_lock(&fs->lock);
	links = (long)lower_links + o->links;
	if (S_ISDIR(st.st_mode))
		st.st_nlink = o->gone ? 0 : o->nlower + (upper ? 1 : 0) > 1 ? 1 : st.st_nlink;
	else if (o->nlower)
		st.st_nlink = links > 0 ? (nlink_t)links : 0;
	pthread_mutex_unlock(&fs->lock);
	st.st_dev = 0;
	st.st_ino = o->ino;
	o->inode.attr = st;
	pthread_mutex_unlock(&o->inode.lock);
}

static struct overlay_inode *overlay_inode_new(struct overlay *fs, struct inode *upper,
					       struct inode **lower, unsigned nlower)
{
	struct inode *real = upper || !nlower ? upper : lower[0];
	struct overlay_inode *o = real ? calloc(1, sizeof(*o)) : NULL;
	mode_t mode;

	if (!o)
		return NULL;
	mode = real->attr.st_mode;
	inode_init(&o->inode, &fs->super, S_ISDIR(mode) ? &overlay_dir_ops : &overlay_other_ops,
		   mode, 0);
	atomic_init(&o->upper, upper);
	o->lower = lower;
	o->nlower = nlower;
	if (nlower)
		o->ino = overlay_ino(fs, lower[0]);
	else if (!S_ISDIR(mode))
		o->ino = layer_origin(upper);
	if (!o->ino)
		o->ino = overlay_ino(fs, real);
	if (S_ISREG(mode) && real->mapping.ops)
		o->inode.mapping.ops = &overlay_mappable_ops;
	overlay_fill(o);
	return o;
}

int overlay_inode_take(struct overlay *fs, struct inode *upper, struct inode **lower,
		       unsigned nlower, struct overlay_inode *parent, const char *name,
		       struct inode **out)
{
	struct inode *key = nlower ? lower[0] : NULL;
	struct overlay_inode *o, *fresh = overlay_inode_new(fs, upper, lower, nlower);

	if (!fresh) {
		overlay_put_layers(upper, lower, nlower);
		return -ENOMEM;
	}
	if (parent)
		overlay_inode_place(fresh, parent, name);
	pthread_mutex_lock(&fs->lock);
	o = overlay_find(fs, upper, key);
	if (!o) {
		o = fresh;
		fresh = NULL;
		if (upper)
			overlay_insert_upper(fs, o);
		if (key) {
			o->next_lower = fs->by_lower[overlay_bucket(key)];
			fs->by_lower[overlay_bucket(key)] = o;
		}
	}
	pthread_mutex_unlock(&fs->lock);
	if (fresh) {
		inode_put(&fresh->inode);
		if (parent && !o->parent)
			overlay_inode_place(o, parent, name);
	}
	if (hostfs_is_crowded() && fs->super.dentries_max > 64)
		fs->super.dentries_max = fs->super.ndentries / 2 > 64 ? fs->super.ndentries / 2 : 64;
	*out = &o->inode;
	return 0;
}

/* fs->lock held; it may be in neither */
static void overlay_unhash(struct overlay *fs, struct overlay_inode *o)
{
	struct inode *upper = overlay_upper(o);
	struct overlay_inode **at;

	if (upper) {
		at = &fs->by_upper[overlay_bucket(upper)];
		while (*at && *at != o)
			at = &(*at)->next_upper;
		if (*at)
			*at = o->next_upper;
	}
	if (o->nlower) {
		at = &fs->by_lower[overlay_bucket(o->lower[0])];
		while (*at && *at != o)
			at = &(*at)->next_lower;
		if (*at)
			*at = o->next_lower;
	}
}

/* A loop: a deep tree is freed from its leaf up. */
void overlay_inode_free(struct inode *inode)
{
	struct overlay_inode *o = overlay_of(inode);

	while (o) {
		struct overlay *fs = overlay_super(o);
		struct overlay_inode *parent = o->parent;

		pthread_mutex_lock(&fs->lock);
		overlay_unhash(fs, o);
		pthread_mutex_unlock(&fs->lock);
		file_put(o->keep);
		overlay_put_layers(overlay_upper(o), o->lower, o->nlower);
		free(o->name);
		free(o->stash);
		inode_fini(&o->inode);
		free(o);
		o = parent && atomic_fetch_sub(&parent->inode.refs, 1) == 1 ? parent : NULL;
	}
}

void overlay_inode_place(struct overlay_inode *o, struct overlay_inode *parent, const char *name)
{
	struct overlay *fs = overlay_super(o);
	char *copy = parent ? strdup(name) : NULL, *old_name;
	struct overlay_inode *old;

	if (copy)
		inode_get(&parent->inode);
	pthread_mutex_lock(&fs->lock);
	old = o->parent;
	old_name = o->name;
	o->parent = copy ? parent : NULL;
	o->name = copy;
	pthread_mutex_unlock(&fs->lock);
	free(old_name);
	if (old)
		inode_put(&old->inode);
}

void overlay_inode_raise(struct overlay_inode *o, struct inode *upper)
{
	struct overlay *fs = overlay_super(o);
	struct file *keep = NULL;
	bool several = !S_ISDIR(upper->attr.st_mode) && o->lower[0]->attr.st_nlink > 1;

	layer_set_origin(upper, o->ino);
	pthread_mutex_lock(&o->inode.lock);
	if (o->lower_users && upper->ops->open &&
	    upper->ops->open(upper, NULL, 0, NULL, &keep) == 0)
		o->keep = keep;
	pthread_mutex_unlock(&o->inode.lock);
	pthread_mutex_lock(&fs->lock);
	atomic_store_explicit(&o->upper, upper, memory_order_release);
	overlay_insert_upper(fs, o);
	if (several) {
		o->pinned_next = fs->pinned;
		fs->pinned = overlay_of(inode_get(&o->inode));
	}
	pthread_mutex_unlock(&fs->lock);
	overlay_fill(o);
}

/* What a name is in all layers. */
struct overlay_found {
	struct inode *upper;  /* reference */
	struct inode **lower; /* references */
	unsigned nlower;
	bool end;	      /* nothing further down counts */
};

/* One more layer's answer, whose reference is taken over. */
static void overlay_found_add(struct overlay_found *f, struct inode *inode, bool upper)
{
	bool dir = S_ISDIR(inode->attr.st_mode), any = f->upper || f->nlower;

	f->end = !dir;
	if (overlay_is_whiteout(inode) || (any && !dir)) {
		inode_put(inode);
		return;
	}
	if (upper)
		f->upper = inode;
	else
		f->lower[f->nlower++] = inode;
	if (dir)
		f->end = layer_is_opaque(inode);
}

static int overlay_search(struct overlay_inode *dir, const char *name, struct overlay_found *f)
{
	struct inode *upper = overlay_upper(dir), *inode;
	int r = -ENOENT;

	if (upper && !overlay_is_stash(overlay_super(dir), upper, name))
		r = layer_lookup(upper, name, &inode);
	if (r == 0)
		overlay_found_add(f, inode, true);
	else if (r != -ENOENT)
		return r;
	if (dir->nlower && !f->end) {
		f->lower = calloc(dir->nlower, sizeof(struct inode *));
		if (!f->lower)
			return -ENOMEM;
	}
	for (unsigned i = 0; i < dir->nlower && !f->end; i++) {
		r = layer_lookup(dir->lower[i], name, &inode);
		if (r == 0)
			overlay_found_add(f, inode, false);
		else if (r != -ENOENT && r != -ENOTDIR)
			return r;
	}
	return f->upper || f->nlower ? 0 : -ENOENT;
}

int overlay_lookup(struct inode *dir, const char *name, struct inode **out)
{
	struct overlay_inode *d = overlay_of(dir);
	struct overlay_found f = { 0 };
	int r = overlay_search(d, name, &f);

	if (r < 0) {
		overlay_put_layers(f.upper, f.lower, f.nlower);
		return r;
	}
	if (!f.nlower) {
		free(f.lower);
		f.lower = NULL;
	}
	return overlay_inode_take(overlay_super(d), f.upper, f.lower, f.nlower, d, name, out);
}

int overlay_refresh(struct inode *inode)
{
	struct overlay_inode *o = overlay_of(inode);
	struct inode *real = overlay_real(o);
	int r = 0;

	/* What is in a lower layer does not change */
	if (overlay_upper(o) && real->ops->refresh)
		r = real->ops->refresh(real);
	if (r == 0)
		overlay_fill(o);
	return r;
}

int overlay_readlink(struct inode *inode, char *buf, size_t size)
{
	struct inode *real = overlay_real(overlay_of(inode));

	return real->ops->readlink ? real->ops->readlink(real, buf, size) : -EINVAL;
}

#define OVERLAY_COMMON                                                                        \
	.refresh = overlay_refresh, .setattr = overlay_setattr, .getxattr = overlay_getxattr,    \
	.setxattr = overlay_setxattr, .listxattr = overlay_listxattr,                            \
	.removexattr = overlay_removexattr, .free = overlay_inode_free

static const struct inode_ops overlay_other_ops = {
	OVERLAY_COMMON,
	.readlink = overlay_readlink,
	.open = overlay_open_file,
};

static const struct inode_ops overlay_dir_ops = {
	OVERLAY_COMMON,
	.lookup = overlay_lookup,
	.create = overlay_create,
	.tmpfile = overlay_tmpfile,
	.link = overlay_link,
	.unlink = overlay_unlink,
	.rmdir = overlay_rmdir,
	.rename = overlay_rename,
	.open = overlay_open_dir,
};
