/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/dentry.c - the cache of names of a file system
 *
 *	walk -> dentry_lookup() -> bucket -> hit
 *	                        -> inode_ops.lookup() -> new dentry, in its bucket
 *
 * A table of buckets in each super, by parent and name. Several walks look at once, with the tree
 * lock for reading; what one of them finds goes to the front of its bucket under super->insert, and
 * whoever looks sees the old front or the new one. Taking out needs the tree lock for writing, so
 * what a reader sees stays where it is. The cache has a reference on what is in it; a trim takes
 * out what nobody else holds and nobody has used since the last one, leaves first because a child
 * holds its parent.
 */
#include "sentry/vfs/dentry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define DENTRY_BUCKETS_MIN 32
#define DENTRY_MAX_DEFAULT 4096

static uint32_t dentry_hash(const struct dentry *parent, const char *name)
{
	uint64_t h = (uint64_t)(uintptr_t)parent >> 4;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(h >> 32);
}

static struct dentry *_Atomic *dentry_bucket(struct super *super, uint32_t hash)
{
	return &super->buckets[hash & (super->nbuckets - 1)];
}

struct dentry *dentry_get(struct dentry *dentry)
{
	atomic_fetch_add_explicit(&dentry->refs, 1, memory_order_relaxed);
	return dentry;
}

void dentry_put(struct dentry *dentry)
{
	while (dentry && atomic_fetch_sub_explicit(&dentry->refs, 1, memory_order_acq_rel) == 1) {
		struct dentry *parent = dentry->parent;

		if (dentry->inode)
			inode_put(dentry->inode);
		if (dentry->name != dentry->inline_name)
			free(dentry->name);
		free(dentry);
		dentry = parent;
	}
}

struct dentry *dentry_new(struct super *super, struct dentry *parent, const char *name,
			  struct inode *inode)
{
	size_t size = strlen(name) + 1;
	struct dentry *dentry = calloc(1, sizeof(*dentry) + size);

	if (!dentry)
		return NULL;
	atomic_init(&dentry->refs, 1);
	dentry->super = super;
	dentry->parent = parent ? dentry_get(parent) : NULL;
	dentry->inode = inode ? inode_get(inode) : NULL;
	dentry->name = memcpy(dentry->inline_name, name, size);
	return dentry;
}

/* dentry_find() - In the cache. Tree lock. */
static struct dentry *dentry_find(struct dentry *parent, const char *name, uint32_t hash)
{
	struct dentry *dentry = atomic_load_explicit(dentry_bucket(parent->super, hash),
						     memory_order_acquire);

	while (dentry && (dentry->hash != hash || dentry->parent != parent ||
			  strcmp(dentry->name, name) != 0))
		dentry = dentry->next;
	return dentry;
}

/* dentry_insert() - Into its bucket, whose reference on it is the caller's */
static void dentry_insert(struct dentry *dentry, uint32_t hash)
{
	struct super *super = dentry->super;
	struct dentry *_Atomic *bucket = dentry_bucket(super, hash);

	dentry->hash = hash;
	dentry->cached = true;
	dentry->next = atomic_load_explicit(bucket, memory_order_relaxed);
	atomic_store_explicit(bucket, dentry, memory_order_release);
	atomic_fetch_add_explicit(&super->ndentries, 1, memory_order_relaxed);
}

/* dentry_take_out() - Of its bucket; the reference goes to the caller. Tree lock for writing. */
static void dentry_take_out(struct dentry *dentry)
{
	struct dentry *_Atomic *bucket = dentry_bucket(dentry->super, dentry->hash);
	struct dentry *at = atomic_load_explicit(bucket, memory_order_relaxed);

	if (at == dentry) {
		atomic_store_explicit(bucket, dentry->next, memory_order_relaxed);
	} else {
		while (at->next != dentry)
			at = at->next;
		at->next = dentry->next;
	}
	dentry->next = NULL;
	dentry->cached = false;
	atomic_fetch_sub_explicit(&dentry->super->ndentries, 1, memory_order_relaxed);
}

/* dentry_add() - What lookup() found; another walk may have been first */
static int dentry_add(struct dentry *parent, const char *name, uint32_t hash, struct inode *inode,
		      struct dentry **out)
{
	struct super *super = parent->super;
	struct dentry *dentry, *unwanted = NULL;

	dentry = dentry_new(super, parent, name, inode);
	if (!dentry)
		return -ENOMEM;
	pthread_mutex_lock(&super->insert);
	*out = dentry_find(parent, name, hash);
	if (*out) {
		unwanted = dentry;
	} else {
		atomic_store_explicit(&dentry->used, true, memory_order_relaxed);
		dentry_insert(dentry, hash);
		*out = dentry;
	}
	pthread_mutex_unlock(&super->insert);
	dentry_put(unwanted);
	return 0;
}

static bool dentry_holds(struct dentry *dentry)
{
	struct inode *dir = dentry->parent->inode;

	return !dir->ops->revalidate ||
	       atomic_load_explicit(&dentry->mounts, memory_order_relaxed) ||
	       dir->ops->revalidate(dir, dentry->name, dentry->inode);
}

int dentry_lookup(struct dentry *parent, const char *name, struct dentry **out)
{
	struct inode *dir = parent->inode, *inode = NULL;
	uint32_t hash = dentry_hash(parent, name);
	struct dentry *dentry = dentry_find(parent, name, hash);
	int r;

	if (dentry) {
		if (!dentry_holds(dentry))
			return -ESTALE;
		if (!atomic_load_explicit(&dentry->used, memory_order_relaxed))
			atomic_store_explicit(&dentry->used, true, memory_order_relaxed);
		*out = dentry;
		return 0;
	}
	if (parent->unlinked || !dir->ops->lookup)
		return -ENOENT;
	r = dir->ops->lookup(dir, name, &inode);
	if (r < 0 && (r != -ENOENT || dir->super->no_negative))
		return r;
	if (r < 0)
		inode = NULL;
	r = dentry_add(parent, name, hash, inode, out);
	if (inode)
		inode_put(inode);
	return r;
}

void dentry_drop_stale(struct dentry *parent, const char *name)
{
	struct super *super = parent->super;
	struct dentry *dentry;

	tree_write(super);
	dentry = dentry_find(parent, name, dentry_hash(parent, name));
	if (dentry && !dentry_holds(dentry))
		dentry_take_out(dentry);
	else
		dentry = NULL;
	tree_unlock(super);
	dentry_put(dentry);
}

int dentry_lookup_locked(struct dentry *parent, const char *name, struct dentry **out)
{
	struct dentry *stale;
	int r = dentry_lookup(parent, name, out);

	if (r == -ESTALE) {
		stale = dentry_find(parent, name, dentry_hash(parent, name));
		dentry_take_out(stale);
		dentry_put(stale);
		r = dentry_lookup(parent, name, out);
	}
	if (r == -ENOENT && !parent->unlinked) /* one that is not remembered */
		r = dentry_add(parent, name, dentry_hash(parent, name), NULL, out);
	return r;
}

void dentry_set(struct dentry *dentry, struct inode *inode)
{
	dentry->inode = inode;
}

struct dentry *dentry_remove(struct dentry *dentry)
{
	dentry_take_out(dentry);
	dentry->unlinked = true;
	return dentry;
}

/* dentry_rename() - Where it hangs and what it is called; @name is taken over */
static struct dentry *dentry_rename(struct dentry *dentry, struct dentry *parent, char *name)
{
	struct dentry *old_parent = dentry->parent;

	if (dentry->name != dentry->inline_name)
		free(dentry->name);
	dentry->name = name;
	dentry->parent = dentry_get(parent);
	dentry_insert(dentry, dentry_hash(parent, name));
	return old_parent;
}

int dentry_move(struct dentry *dentry, struct dentry *target, struct dentry **gone)
{
	char *name = strdup(target->name);

	if (!name)
		return -ENOMEM;
	*gone = dentry_remove(target);
	dentry_take_out(dentry);
	dentry_put(dentry_rename(dentry, target->parent, name));
	return 0;
}

int dentry_exchange(struct dentry *a, struct dentry *b)
{
	autofree char *a_name = strdup(a->name), *b_name = strdup(b->name);
	struct dentry *a_parent = a->parent, *b_parent = b->parent;

	if (!a_name || !b_name)
		return -ENOMEM;
	dentry_take_out(a);
	dentry_take_out(b);
	dentry_rename(a, b_parent, steal_ptr(b_name));
	dentry_rename(b, a_parent, steal_ptr(a_name));
	dentry_put(a_parent);
	dentry_put(b_parent);
	return 0;
}

bool dentry_is_below(const struct dentry *dentry, const struct dentry *top)
{
	while (dentry && dentry != top)
		dentry = dentry->parent;
	return dentry;
}

/* dentry_trim_bucket() - What nobody holds and nobody has used, or all, goes to @victims */
static void dentry_trim_bucket(struct super *super, unsigned index, bool all,
			       struct dentry **victims)
{
	struct dentry *dentry = atomic_load_explicit(&super->buckets[index], memory_order_relaxed);
	struct dentry *next;

	for (; dentry; dentry = next) {
		next = dentry->next;
		if (!all && atomic_load_explicit(&dentry->refs, memory_order_acquire) > 1)
			continue;
		if (!all && atomic_exchange_explicit(&dentry->used, false, memory_order_relaxed))
			continue;
		dentry_take_out(dentry);
		dentry->next = *victims;
		*victims = dentry;
	}
}

static void dentry_put_all(struct dentry *victims)
{
	while (victims) {
		struct dentry *next = victims->next;

		victims->next = NULL;
		dentry_put(victims);
		victims = next;
	}
}

void super_trim(struct super *super, unsigned keep)
{
	struct dentry *victims = NULL;

	tree_write(super);
	for (unsigned i = 0; i < 2 * super->nbuckets && super->ndentries > keep; i++) {
		super->hand = (super->hand + 1) & (super->nbuckets - 1);
		dentry_trim_bucket(super, super->hand, false, &victims);
	}
	tree_unlock(super);
	dentry_put_all(victims);
}

/* dentry_rehash() - Into other buckets. Tree lock for writing. */
static void dentry_rehash(struct super *super, struct dentry *_Atomic *buckets, unsigned nbuckets)
{
	struct dentry *_Atomic *old = super->buckets;
	unsigned nold = super->nbuckets;

	super->buckets = buckets;
	super->nbuckets = nbuckets;
	for (unsigned i = 0; i < nold; i++) {
		struct dentry *dentry = old[i], *next;

		for (; dentry; dentry = next) {
			struct dentry *_Atomic *bucket = dentry_bucket(super, dentry->hash);

			next = dentry->next;
			dentry->next = *bucket;
			*bucket = dentry;
		}
	}
	free(old);
}

/* dentry_grow() - As many buckets as there are names. Without memory it stays as it is. */
static void dentry_grow(struct super *super)
{
	struct dentry *_Atomic *buckets = NULL;
	unsigned nbuckets;

	tree_write(super);
	nbuckets = super->nbuckets;
	while (nbuckets < super->ndentries)
		nbuckets *= 2;
	if (nbuckets > super->nbuckets)
		buckets = calloc(nbuckets, sizeof(*buckets));
	if (buckets)
		dentry_rehash(super, buckets, nbuckets);
	tree_unlock(super);
}

void dentry_settle(struct super *super)
{
	unsigned n = atomic_load_explicit(&super->ndentries, memory_order_relaxed);
	unsigned max = super->dentries_max;

	if (n > max)
		super_trim(super, max - max / 4);
	else if (n > 2 * super->nbuckets)
		dentry_grow(super);
}

int dentry_cache_init(struct super *super)
{
	pthread_rwlockattr_t attr;

	super->buckets = calloc(DENTRY_BUCKETS_MIN, sizeof(*super->buckets));
	if (!super->buckets)
		return -ENOMEM;
	super->nbuckets = DENTRY_BUCKETS_MIN;
	super->dentries_max = DENTRY_MAX_DEFAULT;
	pthread_mutex_init(&super->insert, NULL);
	/* Walks follow each other without a gap; a change of names must get in between. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&super->tree, &attr);
	pthread_rwlockattr_destroy(&attr);
	return 0;
}

void dentry_cache_free(struct super *super)
{
	struct dentry *victims = NULL;

	/* Nobody holds any but children their parents, which go with the last of them. */
	for (unsigned i = 0; i < super->nbuckets; i++)
		dentry_trim_bucket(super, i, true, &victims);
	dentry_put_all(victims);
	free(super->buckets);
	super->buckets = NULL;
	pthread_mutex_destroy(&super->insert);
	pthread_rwlock_destroy(&super->tree);
}
