/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/dentry.h - the cache of names; for vfs/ itself
 *
 * A dentry that the cache gave is good while the super's tree lock is held; who keeps it longer
 * takes a reference.
 */
#ifndef SENTRY_VFS_DENTRY_H
#define SENTRY_VFS_DENTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "sentry/vfs/vfs.h"

static inline void tree_read(struct super *super)
{
	pthread_rwlock_rdlock(&super->tree);
}

static inline void tree_write(struct super *super)
{
	pthread_rwlock_wrlock(&super->tree);
}

static inline void tree_unlock(struct super *super)
{
	pthread_rwlock_unlock(&super->tree);
}

/* dentry_lookup() - What @name (terminated) in @parent is, from the cache or the file system; maybe
 * negative. Tree lock held at least for reading, @parent is a directory. -ESTALE: what the cache
 * has does not hold any more; dentry_drop_stale(), and again. */
int dentry_lookup(struct dentry *parent, const char *name, struct dentry **out);
/* dentry_drop_stale() - No lock held, @parent referenced */
void dentry_drop_stale(struct dentry *parent, const char *name);
/* dentry_lookup_locked() - dentry_lookup() with the tree lock held for writing: never -ESTALE */
int dentry_lookup_locked(struct dentry *parent, const char *name, struct dentry **out);

/* All with the tree lock held for writing. */
/* dentry_set() - A negative one means @inode from now on, whose reference is taken over */
void dentry_set(struct dentry *dentry, struct inode *inode);
/* dentry_remove() - Its name is gone. Return: the cache's reference, to be put without the lock */
struct dentry *dentry_remove(struct dentry *dentry);
/* dentry_move() - It is called as @target from now on, which is removed: its reference is *@gone.
 * Return: 0 or -ENOMEM, then nothing has changed */
int dentry_move(struct dentry *dentry, struct dentry *target, struct dentry **gone);
int dentry_exchange(struct dentry *a, struct dentry *b);

/* dentry_new() - Not in the cache; takes references of @parent and of @inode. One reference. */
struct dentry *dentry_new(struct super *super, struct dentry *parent, const char *name,
			  struct inode *inode);
/* dentry_is_below() - Whether @dentry is @top or beneath it. Tree lock. */
bool dentry_is_below(const struct dentry *dentry, const struct dentry *top);
/* dentry_path_name() - From its file system's own root, whatever is mounted. Return: length */
int dentry_path_name(const struct dentry *dentry, char *buf, size_t size);
/* dentry_settle() - After a walk, no lock held: keep the cache within its bounds */
void dentry_settle(struct super *super);

int dentry_cache_init(struct super *super);
void dentry_cache_free(struct super *super);

static inline bool dentry_is_dir(const struct dentry *dentry)
{
	return dentry->inode && S_ISDIR(dentry->inode->attr.st_mode);
}

#endif /* SENTRY_VFS_DENTRY_H */
