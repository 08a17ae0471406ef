/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/mount.c - a mount, and the steps of a walk from one into another
 *
 * A dentry counts what is mounted on it in any table, so that a walk asks only where there may be
 * something. Then the list of the walker's own table is looked through: a container has a few
 * dozen.
 */
#include "sentry/vfs/mount.h"

#include <stdlib.h>
#include <string.h>

pthread_rwlock_t mounts_lock = PTHREAD_RWLOCK_INITIALIZER;

struct mount *mount_new(struct super *super, struct dentry *root, unsigned flags,
			const char *source)
{
	static _Atomic int next_id = 20;
	struct mount *mount = calloc(1, sizeof(*mount));

	if (mount)
		mount->source = strdup(source ? source : "none");
	if (!mount || !mount->source) {
		free(mount);
		return NULL;
	}
	atomic_init(&mount->refs, 1);
	atomic_init(&mount->flags, flags);
	mount->super = super_get(super);
	mount->root = dentry_get(root);
	mount->id = atomic_fetch_add(&next_id, 1);
	return mount;
}

struct mount *mount_get(struct mount *mount)
{
	atomic_fetch_add_explicit(&mount->refs, 1, memory_order_relaxed);
	return mount;
}

void mount_put(struct mount *mount)
{
	if (!mount || atomic_fetch_sub_explicit(&mount->refs, 1, memory_order_acq_rel) != 1)
		return;
	dentry_put(mount->root);
	super_put(mount->super);
	free(mount->source);
	free(mount);
}

void path_get(const struct vfs_path *path)
{
	if (path->mount) {
		mount_get(path->mount);
		dentry_get(path->dentry);
	}
}

void path_put(struct vfs_path *path)
{
	dentry_put(path->dentry);
	mount_put(path->mount);
	*path = (struct vfs_path){ 0 };
}

unsigned mount_flags(const struct mount *mount)
{
	return atomic_load_explicit(&mount->flags, memory_order_relaxed);
}

struct super *mount_super(const struct mount *mount)
{
	return mount->super;
}

void mount_attach(struct mount_table *table, struct mount *mount, struct mount *parent,
		  struct dentry *point)
{
	mount->table = table;
	mount->parent = parent;
	mount->point = point ? dentry_get(point) : NULL;
	if (point)
		atomic_fetch_add(&point->mounts, 1);
	mount->prev = table->last;
	mount->next = NULL;
	*(table->last ? &table->last->next : &table->first) = mount;
	table->last = mount;
	table->count++;
	if (!parent)
		table->root = mount;
}

struct mount *mount_detach(struct mount *mount)
{
	struct mount_table *table = mount->table;

	*(mount->prev ? &mount->prev->next : &table->first) = mount->next;
	*(mount->next ? &mount->next->prev : &table->last) = mount->prev;
	table->count--;
	if (mount->point) {
		atomic_fetch_sub(&mount->point->mounts, 1);
		/* Its dentry's file system is the parent's, which is still mounted now. */
		dentry_put(mount->point);
	}
	mount->point = NULL;
	mount->parent = NULL;
	mount->table = NULL;
	mount->prev = mount->next = NULL;
	return mount;
}

struct mount *mount_cross(struct mount *mount, struct dentry *dentry)
{
	struct mount *at = NULL;

	if (!atomic_load_explicit(&dentry->mounts, memory_order_acquire))
		return NULL;
	pthread_rwlock_rdlock(&mounts_lock);
	if (mount->table)
		at = mount->table->first;
	while (at && (at->parent != mount || at->point != dentry))
		at = at->next;
	if (at)
		mount_get(at);
	pthread_rwlock_unlock(&mounts_lock);
	return at;
}

bool mount_above(struct mount *mount, struct vfs_path *out)
{
	bool found;

	pthread_rwlock_rdlock(&mounts_lock);
	found = mount->parent != NULL;
	if (found) {
		out->mount = mount_get(mount->parent);
		out->dentry = dentry_get(mount->point);
	}
	pthread_rwlock_unlock(&mounts_lock);
	return found;
}
