/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/mount_table.c - what is mounted where in a container, and how that changes
 *
 * Nothing propagates from one table to another, nor from a mount to its copies: all are private.
 * What is unmounted lives on for those who are in it.
 *
 * Called by mount(2) and its like (syscalls/mount.c), which check rights, and by control/ when it
 * makes a container.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/vfs/mount.h"

struct mount_table *mount_table_new(struct super *root, unsigned flags)
{
	struct mount_table *table = calloc(1, sizeof(*table));
	struct mount *mount = table ? mount_new(root, root->root, flags, root->ops->type) : NULL;

	super_put(root);
	if (!mount) {
		free(table);
		return NULL;
	}
	atomic_init(&table->refs, 1);
	mount_list(table, mount);
	mount_hang(mount, NULL, NULL);
	return table;
}

struct mount_table *mount_table_get(struct mount_table *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void mount_table_root(struct mount_table *t, struct vfs_path *out)
{
	pthread_rwlock_rdlock(&mounts_lock);
	out->mount = mount_get(t->root);
	out->dentry = dentry_get(t->root->root);
	pthread_rwlock_unlock(&mounts_lock);
	/* What is mounted over the root. */
	for (;;) {
		struct mount *top = mount_cross(out->mount, out->dentry);

		if (!top)
			break;
		path_put(out);
		*out = (struct vfs_path){ top, dentry_get(top->root) };
	}
}

/* mount_is_on() - Whether @mount is @top or mounted anywhere beneath it. mounts_lock. */
static bool mount_is_on(const struct mount *mount, const struct mount *top)
{
	while (mount && mount != top)
		mount = mount->parent;
	return mount;
}

/* mount_put_on() - On @at, or on what somebody has mounted there since the caller looked. mounts_lock
 * for writing. */
static void mount_put_on(struct mount_table *t, struct mount *mount, const struct vfs_path *at)
{
	struct mount *parent = at->mount, *on;
	struct dentry *point = at->dentry;

	while ((on = mount_find(parent, point))) {
		parent = on;
		point = on->root;
	}
	mount_list(t, mount);
	mount_hang(mount, parent, point);
}

static int mount_insert(struct mount_table *t, struct mount *mount, const struct vfs_path *at)
{
	int r = 0;

	pthread_rwlock_wrlock(&mounts_lock);
	if (at->mount->table != t)
		r = -EINVAL;
	else if (t->count >= MOUNTS_MAX)
		r = -ENOSPC;
	else if (at->dentry->unlinked)
		r = -ENOENT;
	else
		mount_put_on(t, mount, at);
	pthread_rwlock_unlock(&mounts_lock);
	if (r < 0)
		mount_put(mount);
	return r;
}

int mount_add(struct mount_table *t, const struct vfs_path *at, struct super *super,
	      unsigned flags, const char *source)
{
	struct mount *mount = mount_new(super, super->root, flags,
					source ? source : super->ops->type);

	super_put(super);
	if (!mount)
		return -ENOMEM;
	if (dentry_is_dir(at->dentry) != dentry_is_dir(mount->root)) {
		mount_put(mount);
		return -ENOTDIR;
	}
	return mount_insert(t, mount, at);
}

/* mount_mark() - What is mounted on @from beneath @top (NULL: anywhere), and what is on that */
static void mount_mark(const struct mount_table *t, const struct mount *from,
		       const struct dentry *top)
{
	bool more = true;

	for (struct mount *at = t->first; at; at = at->next)
		at->marked = false;
	while (more) {
		more = false;
		for (struct mount *at = t->first; at; at = at->next) {
			if (at->marked || !at->parent ||
			    (!at->parent->marked &&
			     (at->parent != from || (top && !dentry_is_below(at->point, top)))))
				continue;
			at->marked = true;
			more = true;
		}
	}
}

/* mount_take() - @top and all that is on it out of the table. mounts_lock for writing. */
static struct mount *mount_take(struct mount *top)
{
	struct mount_table *t = top->table;
	struct mount *gone = NULL, *next;

	mount_mark(t, top, NULL);
	top->marked = true;
	for (struct mount *at = t->first; at; at = next) {
		next = at->next;
		if (at->marked) {
			mount_detach(at)->next = gone;
			gone = at;
		}
	}
	return gone;
}

/* mount_put_all() - What was taken, without the lock */
static void mount_put_all(struct mount *gone)
{
	while (gone) {
		struct mount *next = gone->next;

		gone->next = NULL;
		mount_put(gone);
		gone = next;
	}
}

void mount_table_put(struct mount_table *t)
{
	struct mount *gone = NULL;

	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	pthread_rwlock_wrlock(&mounts_lock);
	while (t->last) {
		struct mount *mount = mount_detach(t->last);

		mount->next = gone;
		gone = mount;
	}
	pthread_rwlock_unlock(&mounts_lock);
	mount_put_all(gone);
	free(t);
}

/* mount_copy_marked() - What is marked, up to @last, goes on the copy @to of @from as well; what
 * there is no room for is left out, and that is told. mounts_lock for writing. */
static int mount_copy_marked(struct mount_table *t, const struct mount *from, struct mount *to,
			     const struct mount *last)
{
	int r = 0;

	for (struct mount *at = t->first;; at = at->next) {
		at->copy = NULL;
		if (at->marked && t->count < MOUNTS_MAX)
			at->copy = mount_copy(at, at->root, MNT_GUEST);
		if (at->copy)
			mount_list(t, at->copy);
		else if (at->marked)
			r = -ENOSPC;
		if (at == last)
			break;
	}
	for (struct mount *at = t->first;; at = at->next) {
		struct mount *parent = at->parent && at->parent != from ? at->parent->copy : to;

		if (at->copy)
			mount_hang(at->copy, parent ? parent : to, at->point);
		if (at == last)
			break;
	}
	return r;
}

int mount_bind(struct mount_table *t, const struct vfs_path *at, const struct vfs_path *what,
	       unsigned flags, bool recursive)
{
	struct mount *mount, *gone = NULL;
	int r;

	if (dentry_is_dir(at->dentry) != dentry_is_dir(what->dentry))
		return -ENOTDIR;
	mount = mount_copy(what->mount, what->dentry, flags);
	if (!mount)
		return -ENOMEM;
	tree_read(what->mount->super);
	pthread_rwlock_wrlock(&mounts_lock);
	if (at->mount->table != t || what->mount->table != t) {
		r = -EINVAL;
	} else if (t->count >= MOUNTS_MAX) {
		r = -ENOSPC;
	} else if (at->dentry->unlinked || what->dentry->unlinked) {
		r = -ENOENT;
	} else {
		struct mount *last = t->last;

		mount_mark(t, what->mount, what->dentry);
		mount_put_on(t, mount_get(mount), at);
		r = recursive ? mount_copy_marked(t, what->mount, mount, last) : 0;
		if (r < 0)
			gone = mount_take(mount);
	}
	pthread_rwlock_unlock(&mounts_lock);
	tree_unlock(what->mount->super);
	mount_put_all(gone);
	mount_put(mount);
	return r;
}

int mount_remount(struct mount_table *t, const struct vfs_path *at, unsigned flags)
{
	int r = -EINVAL;

	pthread_rwlock_wrlock(&mounts_lock);
	if (at->mount->table == t && at->dentry == at->mount->root) {
		if (flags & MNT_GUEST)
			flags = (flags & ~(unsigned)MNT_GUEST) | at->mount->locked;
		else
			at->mount->locked = flags & MOUNT_LOCKABLE;
		atomic_store(&at->mount->flags, flags);
		r = 0;
	}
	pthread_rwlock_unlock(&mounts_lock);
	return r;
}

int mount_move(struct mount_table *t, const struct vfs_path *from, const struct vfs_path *to)
{
	struct dentry *old_point = NULL;
	int r = 0;

	if (dentry_is_dir(from->dentry) != dentry_is_dir(to->dentry))
		return -ENOTDIR;
	pthread_rwlock_wrlock(&mounts_lock);
	if (from->mount->table != t || to->mount->table != t ||
	    from->dentry != from->mount->root || !from->mount->parent)
		r = -EINVAL;
	else if (mount_is_on(to->mount, from->mount))
		r = -ELOOP;
	else if (to->dentry->unlinked)
		r = -ENOENT;
	if (r == 0) {
		old_point = mount_unhang(from->mount);
		mount_hang(from->mount, to->mount, to->dentry);
	}
	pthread_rwlock_unlock(&mounts_lock);
	dentry_put(old_point);
	return r;
}

/* mount_busy() - Somebody is in it, or something on it. The caller's path is one of the references,
 * the table's another. */
static bool mount_busy(const struct mount *mount)
{
	if (atomic_load(&mount->refs) > 2)
		return true;
	for (const struct mount *at = mount->table->first; at; at = at->next)
		if (at->parent == mount)
			return true;
	return false;
}

int mount_remove(struct mount_table *t, const struct vfs_path *at, bool lazy)
{
	struct mount *gone = NULL;
	int r = 0;

	pthread_rwlock_wrlock(&mounts_lock);
	if (at->mount->table != t || at->dentry != at->mount->root || !at->mount->parent)
		r = -EINVAL;
	else if (!lazy && mount_busy(at->mount))
		r = -EBUSY;
	else
		gone = mount_take(at->mount);
	pthread_rwlock_unlock(&mounts_lock);
	mount_put_all(gone);
	return r;
}

int mount_pivot(struct mount_table *t, const struct vfs_path *new_root)
{
	struct mount *gone = NULL, *root = new_root->mount, *old;
	struct dentry *point = NULL;
	int r = 0;

	pthread_rwlock_wrlock(&mounts_lock);
	if (root->table != t || new_root->dentry != root->root || !root->parent) {
		r = -EINVAL;
	} else {
		old = t->root;
		point = mount_unhang(root);
		mount_hang(root, NULL, NULL);
		gone = mount_take(old);
	}
	pthread_rwlock_unlock(&mounts_lock);
	dentry_put(point);
	mount_put_all(gone);
	return r;
}

/* mount_pivot_check() - mounts_lock */
static int mount_pivot_check(const struct fs_context *fs, const struct vfs_path *root,
			     const struct vfs_path *new_root, const struct vfs_path *put_old)
{
	const struct mount *mount = new_root->mount;

	if (mount == root->mount || put_old->mount == root->mount)
		return -EBUSY;
	if (mount->table != fs->mounts || root->mount->table != fs->mounts ||
	    new_root->dentry != mount->root || root->dentry != root->mount->root ||
	    !mount->parent || !mount_is_on(put_old->mount, mount))
		return -EINVAL;
	/* From outside of a chroot the old root may be on the new one. */
	if (!mount_is_on(mount, root->mount))
		return -EINVAL;
	return put_old->dentry->unlinked ? -ENOENT : 0;
}

int mount_pivot_to(struct fs_context *fs, const struct vfs_path *new_root,
		   const struct vfs_path *put_old)
{
	struct mount *mount = new_root->mount, *old;
	struct dentry *point = NULL, *old_point = NULL;
	struct vfs_path root, cwd;
	int r;

	fs_context_root(fs, &root);
	fs_context_cwd(fs, &cwd);
	old = root.mount;
	pthread_rwlock_wrlock(&mounts_lock);
	r = mount_pivot_check(fs, &root, new_root, put_old);
	if (r == 0) {
		struct mount *above = old->parent;

		point = mount_unhang(mount);
		old_point = mount_unhang(old);
		mount_hang(mount, above, old_point);
		mount_hang(old, put_old->mount, put_old->dentry);
	}
	pthread_rwlock_unlock(&mounts_lock);
	dentry_put(point);
	dentry_put(old_point);
	if (r == 0) {
		fs_context_set_root(fs, new_root);
		if (cwd.mount == root.mount && cwd.dentry == root.dentry)
			fs_context_set_cwd(fs, new_root);
	}
	path_put(&root);
	path_put(&cwd);
	return r;
}

void mount_table_sync(struct mount_table *t)
{
	autofree struct super **supers = calloc(MOUNTS_MAX, sizeof(struct super *));
	size_t n = 0;

	if (!supers)
		return;
	pthread_rwlock_rdlock(&mounts_lock);
	for (struct mount *at = t->first; at; at = at->next)
		if (at->super->ops->sync)
			supers[n++] = super_get(at->super);
	pthread_rwlock_unlock(&mounts_lock);
	for (size_t i = 0; i < n; i++) {
		supers[i]->ops->sync(supers[i]);
		super_put(supers[i]);
	}
}

/* mount_counterpart() - What @mount of @from is in its copy @to: same place in the list */
static struct mount *mount_counterpart(const struct mount_table *from,
				       const struct mount_table *to, const struct mount *mount)
{
	struct mount *copy = to->first;

	for (const struct mount *at = from->first; at && at != mount; at = at->next)
		copy = copy->next;
	return copy;
}

/* mount_copy_all() - Parents may be later in the list than what is on them, so first all, then how
 * they hang together. mounts_lock for writing. */
static int mount_copy_all(const struct mount_table *from, struct mount_table *to)
{
	for (struct mount *at = from->first; at; at = at->next) {
		at->copy = mount_copy(at, at->root, MNT_GUEST);
		if (!at->copy)
			return -ENOMEM;
		mount_list(to, at->copy);
	}
	for (struct mount *at = from->first; at; at = at->next)
		mount_hang(at->copy, at->parent ? at->parent->copy : NULL, at->point);
	return 0;
}

struct mount_table *mount_table_copy(struct mount_table *t)
{
	struct mount_table *copy = calloc(1, sizeof(*copy));
	int r;

	if (!copy)
		return NULL;
	atomic_init(&copy->refs, 1);
	pthread_rwlock_wrlock(&mounts_lock);
	r = mount_copy_all(t, copy);
	pthread_rwlock_unlock(&mounts_lock);
	if (r < 0) {
		mount_table_put(copy);
		return NULL;
	}
	return copy;
}

/* mount_translate() - The same place in a copy of the table it is in */
static void mount_translate(struct mount_table *from, struct mount_table *to,
			    struct vfs_path *path)
{
	struct mount *old = NULL;

	pthread_rwlock_rdlock(&mounts_lock);
	if (path->mount->table == from && from != to) {
		old = path->mount;
		path->mount = mount_get(mount_counterpart(from, to, old));
	}
	pthread_rwlock_unlock(&mounts_lock);
	mount_put(old);
}

int fs_context_unshare_mounts(struct fs_context *fs)
{
	struct mount_table *copy = mount_table_copy(fs->mounts), *old;

	if (!copy)
		return -ENOMEM;
	pthread_mutex_lock(&fs->lock);
	old = fs->mounts;
	mount_translate(old, copy, &fs->root);
	mount_translate(old, copy, &fs->cwd);
	fs->mounts = copy;
	pthread_mutex_unlock(&fs->lock);
	mount_table_put(old);
	return 0;
}
