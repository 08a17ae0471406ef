/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/mount.c - a mount, and the steps of a walk from one into another
 *
 * A dentry counts what is mounted on it in any table, so that a walk asks only where there may be
 * something; then it is found by mount and dentry. A mount is in one table, so what is found is of
 * the walker's own.
 */
#include "sentry/vfs/mount.h"

#include <stdlib.h>
#include <string.h>

#include "sentry/vfs/bound.h"

#define MOUNT_BUCKETS_SHIFT 7

pthread_rwlock_t mounts_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct mount *mount_buckets[1 << MOUNT_BUCKETS_SHIFT]; /* mounts_lock; no references */

/* Of all tables: every process may have a copy of one. */
static struct bound mount_bound = { .each = 16384, .least = 4 * MOUNTS_MAX, .most = 1u << 18 };

struct mount *mount_new(struct super *super, struct dentry *root, unsigned flags,
			const char *source)
{
	static _Atomic int next_id = 20;
	struct mount *mount = calloc(1, sizeof(*mount));

	if (mount)
		mount->source = strdup(source ? source : "none");
	if (!mount || !mount->source || !bound_take(&mount_bound, 1)) {
		if (mount)
			free(mount->source);
		free(mount);
		return NULL;
	}
	atomic_init(&mount->refs, 1);
	atomic_init(&mount->flags, flags & ~(unsigned)MNT_GUEST);
	mount->locked = flags & MNT_GUEST ? 0 : flags & MOUNT_LOCKABLE;
	mount->super = super_get(super);
	mount->root = dentry_get(root);
	mount->id = atomic_fetch_add(&next_id, 1);
	return mount;
}

struct mount *mount_copy(const struct mount *mount, struct dentry *root, unsigned flags)
{
	struct mount *copy = mount_new(mount->super, root, flags, mount->source);

	if (copy) {
		atomic_fetch_or(&copy->flags, mount_flags(mount));
		copy->locked |= mount->locked;
	}
	return copy;
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
	bound_give(&mount_bound, 1);
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

static struct mount **mount_bucket(const struct mount *parent, const struct dentry *point)
{
	uint64_t h = ((uint64_t)(uintptr_t)parent ^ (uint64_t)(uintptr_t)point >> 3) *
		     UINT64_C(0x9e3779b97f4a7c15);

	return &mount_buckets[h >> (64 - MOUNT_BUCKETS_SHIFT)];
}

void mount_list(struct mount_table *table, struct mount *mount)
{
	mount->table = table;
	mount->prev = table->last;
	mount->next = NULL;
	*(table->last ? &table->last->next : &table->first) = mount;
	table->last = mount;
	table->count++;
}

void mount_hang(struct mount *mount, struct mount *parent, struct dentry *point)
{
	struct mount **bucket;

	if (!parent) {
		mount->table->root = mount;
		return;
	}
	mount->parent = parent;
	mount->point = dentry_get(point);
	atomic_fetch_add(&point->mounts, 1);
	bucket = mount_bucket(parent, point);
	mount->hash_next = *bucket;
	*bucket = mount;
}

struct dentry *mount_unhang(struct mount *mount)
{
	struct dentry *point = mount->point;
	struct mount **link;

	if (!mount->parent)
		return NULL;
	link = mount_bucket(mount->parent, point);
	while (*link != mount)
		link = &(*link)->hash_next;
	*link = mount->hash_next;
	atomic_fetch_sub(&point->mounts, 1);
	mount->parent = NULL;
	mount->point = NULL;
	mount->hash_next = NULL;
	return point;
}

struct mount *mount_detach(struct mount *mount)
{
	struct mount_table *table = mount->table;

	*(mount->prev ? &mount->prev->next : &table->first) = mount->next;
	*(mount->next ? &mount->next->prev : &table->last) = mount->prev;
	table->count--;
	/* The point's file system goes at the earliest when the parent's reference does. */
	dentry_put(mount_unhang(mount));
	mount->table = NULL;
	mount->prev = mount->next = NULL;
	return mount;
}

struct mount *mount_find(const struct mount *mount, const struct dentry *dentry)
{
	struct mount *at = *mount_bucket(mount, dentry);

	while (at && (at->parent != mount || at->point != dentry))
		at = at->hash_next;
	return at;
}

struct mount *mount_cross(struct mount *mount, struct dentry *dentry)
{
	struct mount *at;

	if (!atomic_load_explicit(&dentry->mounts, memory_order_acquire))
		return NULL;
	pthread_rwlock_rdlock(&mounts_lock);
	at = mount_find(mount, dentry);
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
