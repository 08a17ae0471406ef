/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/mount.h - mounts as vfs/ itself sees them
 *
 * One lock for the shape of all tables. It is taken below tree locks, and no tree lock under it.
 */
#ifndef SENTRY_VFS_MOUNT_H
#define SENTRY_VFS_MOUNT_H

#include "sentry/vfs/dentry.h"

#define MOUNTS_MAX 4096 /* of a table */
#define MOUNT_LOCKABLE (MNT_READ_ONLY | MNT_NOSUID | MNT_NODEV | MNT_NOEXEC)

struct mount {
	_Atomic unsigned refs;	    /* the table has one */
	struct mount_table *table;  /* [mounts_lock] borrowed; NULL: not mounted any more */
	struct mount *parent;	    /* [mounts_lock] borrowed; NULL: a table's root, or unmounted */
	struct dentry *point;	    /* [mounts_lock] reference, of parent's file system */
	struct dentry *root;	    /* reference; const */
	struct super *super;	    /* reference; const */
	_Atomic unsigned flags;
	unsigned locked;	    /* [mounts_lock] flags that a guest does not take away */
	int id;
	char *source;		    /* owned; const */
	struct mount *prev, *next;  /* [mounts_lock] in the order of mounting */
	struct mount *hash_next;    /* [mounts_lock] of what is found by parent and point */
	struct mount *copy;	    /* [mounts_lock] while a table or a tree is copied */
	bool marked;		    /* [mounts_lock] of the tree that is taken or copied now */
};

struct mount_table {
	_Atomic unsigned refs;
	struct mount *root;	    /* [mounts_lock] in the list */
	struct mount *first, *last; /* [mounts_lock] */
	unsigned count;		    /* [mounts_lock] */
};

extern pthread_rwlock_t mounts_lock;

/* mount_new() - In no table; takes references of @super and @root. One reference; NULL: no memory.
 * Without MNT_GUEST what @flags forbid is locked. */
struct mount *mount_new(struct super *super, struct dentry *root, unsigned flags,
			const char *source);
/* mount_copy() - The same with @root as its root; what is locked there is locked here */
struct mount *mount_copy(const struct mount *mount, struct dentry *root, unsigned flags);
/* All with mounts_lock for writing. */
/* mount_list() - Into @table, which takes over the reference; mounted nowhere yet */
void mount_list(struct mount_table *table, struct mount *mount);
/* mount_hang() - On @point of @parent, where nothing is mounted; NULL: as its table's root */
void mount_hang(struct mount *mount, struct mount *parent, struct dentry *point);
/* mount_unhang() - From where it is, if it is anywhere. Return: the reference to its point */
struct dentry *mount_unhang(struct mount *mount);
/* mount_detach() - Out of its table and from where it is. Return: the table's reference */
struct mount *mount_detach(struct mount *mount);
/* mount_find() - What is mounted on @dentry of @mount; for reading at least, no reference */
struct mount *mount_find(const struct mount *mount, const struct dentry *dentry);

/* mount_cross() - What is mounted on @dentry of @mount, with a reference; NULL: nothing */
struct mount *mount_cross(struct mount *mount, struct dentry *dentry);
/* mount_above() - Where @mount is mounted, with references; false: it is a root */
bool mount_above(struct mount *mount, struct vfs_path *out);

#endif /* SENTRY_VFS_MOUNT_H */
