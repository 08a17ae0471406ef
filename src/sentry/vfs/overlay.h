/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/overlay.h - layers of directories as one; for overlay*.c
 *
 * An inode of an overlay stands for one of the upper layer, one of a lower layer, or, as a
 * directory, for a stack of them. It begins to stand for the upper layer when it is changed
 * (copied up), and open files, mappings, locks and its number stay what they were.
 *
 * Locks: the overlay's tree lock, then a layer's tree lock (overlay_layer.c), then fs->lock, a leaf.
 * Layers are used as inodes: what their own caches of names say is not looked at, so nobody else
 * may change them meanwhile.
 */
#ifndef SENTRY_VFS_OVERLAY_H
#define SENTRY_VFS_OVERLAY_H

#include "sentry/vfs/vfs.h"

#define OVERLAY_BUCKETS 128

struct overlay_inode {
	struct inode inode;
	struct inode *_Atomic upper; /* reference; NULL: not copied up. Set once, tree lock for writing */
	struct inode **lower;	     /* references, from the top down; never changed */
	unsigned nlower;	     /* one at most of what is no directory */
	uint64_t ino;
	struct overlay_inode *next_lower, *next_upper; /* fs->lock */

	struct overlay_inode *parent; /* fs->lock; reference; NULL: root, or without a name */
	char *name;		      /* fs->lock; owned: one of its names */
	int links;		      /* fs->lock: names won or lost since it was only lower */
	bool gone;		      /* fs->lock: a removed directory */
	struct overlay_inode *pinned_next; /* fs->lock */
	char *stash;		      /* tree lock; owned: its last name in the upper layer */
	unsigned lower_users;	      /* inode.lock: open files that read the lower layer */
	struct file *keep;	      /* inode.lock: of the upper, for mappings of such files */
};

struct overlay {
	struct super super;
	struct vfs_path upper;	 /* reference; empty: read-only */
	struct vfs_path *lower;	 /* references */
	size_t nlower;
	struct super **supers;	 /* owned; each file system once: its place is in the numbers */
	size_t nsupers;
	pthread_mutex_t lock;
	struct overlay_inode *by_lower[OVERLAY_BUCKETS], *by_upper[OVERLAY_BUCKETS]; /* lock */
	struct overlay_inode *pinned; /* lock; references */
};

static inline struct overlay_inode *overlay_of(struct inode *inode)
{
	return (struct overlay_inode *)inode;
}

static inline struct overlay *overlay_super(const struct overlay_inode *o)
{
	return (struct overlay *)o->inode.super;
}

static inline struct inode *overlay_upper(const struct overlay_inode *o)
{
	return atomic_load_explicit(&o->upper, memory_order_acquire);
}

/* overlay_real() - Where its data and attributes are */
static inline struct inode *overlay_real(const struct overlay_inode *o)
{
	struct inode *upper = overlay_upper(o);

	return upper ? upper : o->lower[0];
}

static inline bool overlay_is_whiteout(const struct inode *inode)
{
	return S_ISCHR(inode->attr.st_mode) && inode->attr.st_rdev == 0;
}

/* --- overlay_layer.c: operations of a layer, with its lock --- */
int layer_lookup(struct inode *dir, const char *name, struct inode **out);
int layer_create(struct inode *dir, const char *name, const struct vfs_create *args,
		 struct inode **out);
int layer_tmpfile(struct inode *dir, const struct vfs_create *args, struct inode **out);
int layer_link(struct inode *dir, const char *name, struct inode *target);
int layer_remove(struct inode *dir, const char *name, struct inode *victim);
int layer_rename(struct inode *old_dir, const char *old_name, struct inode *new_dir,
		 const char *new_name, unsigned flags);
int layer_setattr(struct inode *inode, const struct inode_attr *attr);
/* layer_whiteout() - @name in @dir hides what is below */
int layer_whiteout(struct inode *dir, const char *name);
/* Whether nothing below this directory is seen */
bool layer_is_opaque(struct inode *dir);
int layer_set_opaque(struct inode *dir);
/* The number an inode had before it was copied here; 0: it was not */
uint64_t layer_origin(struct inode *inode);
void layer_set_origin(struct inode *inode, uint64_t ino);

/* --- overlay_inode.c --- */

/* overlay_inode_take() - All references given are taken over, also when this fails */
int overlay_inode_take(struct overlay *fs, struct inode *upper, struct inode **lower,
		       unsigned nlower, struct overlay_inode *parent, const char *name,
		       struct inode **out);
void overlay_inode_free(struct inode *inode);
/* overlay_inode_place() - It is called so now; @parent NULL: it has lost that name */
void overlay_inode_place(struct overlay_inode *o, struct overlay_inode *parent, const char *name);
/* overlay_inode_raise() - From now on it is @upper, whose reference is taken over */
void overlay_inode_raise(struct overlay_inode *o, struct inode *upper);
/* overlay_fill() - Attributes from where they are */
void overlay_fill(struct overlay_inode *o);
uint64_t overlay_ino(const struct overlay *fs, const struct inode *inode);
int overlay_lookup(struct inode *dir, const char *name, struct inode **out);
int overlay_refresh(struct inode *inode);
int overlay_readlink(struct inode *inode, char *buf, size_t size);

/* --- overlay_copy.c --- */

/* overlay_copy_up() - No lock held. @limit: bytes of data that will be wanted */
int overlay_copy_up(struct overlay_inode *o, uint64_t limit);
/* overlay_copy_up_locked() - Tree lock held for writing */
int overlay_copy_up_locked(struct overlay_inode *o, uint64_t limit);

/* --- overlay_change.c, overlay_rename.c --- */
int overlay_create(struct inode *dir, const char *name, const struct vfs_create *args,
		   struct inode **out);
int overlay_tmpfile(struct inode *dir, const struct vfs_create *args, struct inode **out);
int overlay_link(struct inode *dir, const char *name, struct inode *target);
int overlay_unlink(struct inode *dir, const char *name, struct inode *victim);
int overlay_rmdir(struct inode *dir, const char *name, struct inode *victim);
int overlay_rename(struct inode *old_dir, const char *old_name, struct inode *new_dir,
		   const char *new_name, unsigned flags);
int overlay_setattr(struct inode *inode, const struct inode_attr *attr);
/* overlay_stash() - @o, which is about to lose @name in the upper directory @dir, has further names in a
 * lower layer: it moves to a name that nobody sees. Return: 1, 0: there is no need, or negative errno */
int overlay_stash(struct overlay_inode *o, struct inode *dir, const char *name);
/* overlay_unstash() - Back to @name, or, NULL, away with it */
void overlay_unstash(struct overlay_inode *o, struct inode *dir, const char *name);
/* overlay_is_stash() - Whether @name in @dir, of the upper layer, is such a name */
bool overlay_is_stash(const struct overlay *fs, const struct inode *dir, const char *name);
/* overlay_below() - Whether a lower layer has @name in @dir. Return: 0, 1 or negative errno */
int overlay_below(struct overlay_inode *dir, const char *name);
/* overlay_lost() - @o has lost the name */
void overlay_lost(struct overlay_inode *o, struct overlay_inode *dir, const char *name);
/* overlay_clear() - Remove the whiteouts in an upper directory that looks empty */
int overlay_clear(struct inode *upper);
void overlay_work_name(char name[32]);

/* --- overlay_xattr.c --- */
long overlay_getxattr(struct inode *inode, const char *name, void *value, size_t size);
int overlay_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
		     int flags);
long overlay_listxattr(struct inode *inode, char *list, size_t size);
int overlay_removexattr(struct inode *inode, const char *name);
/* overlay_xattr_copy() - Attributes of one layer's inode to another's */
void overlay_xattr_copy(struct inode *from, struct inode *to);

/* --- overlay_file.c, overlay_dir.c, overlay_list.c --- */
int overlay_open_file(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		      struct task *task, struct file **out);
int overlay_open_dir(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		     struct task *task, struct file **out);
extern const struct mappable_ops overlay_mappable_ops;

struct overlay_entry {
	uint64_t ino;
	uint32_t name;	/* offset in names */
	uint16_t len;
	uint8_t type;	/* DT_* */
	bool hidden;	/* a whiteout */
};

/* The names of a directory, of all layers. */
struct overlay_list {
	struct overlay_entry *entries; /* owned */
	size_t n, room;
	char *names;		       /* owned */
	size_t len, names_room;
	uint32_t *slots;	       /* owned; by hash, entry + 1; 0: free */
	size_t nslots;
};

/* overlay_list_read() - All of @o; layers may be the upper only. Return: 0 or negative errno */
int overlay_list_read(struct overlay_inode *o, struct overlay_list *list);
int overlay_list_read_layer(struct overlay *fs, struct inode *dir, struct overlay_list *list);
void overlay_list_free(struct overlay_list *list);
/* overlay_is_empty() - Return: 1, 0 or negative errno */
int overlay_is_empty(struct overlay_inode *o);

#endif /* SENTRY_VFS_OVERLAY_H */
