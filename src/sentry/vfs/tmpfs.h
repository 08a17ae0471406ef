/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/tmpfs.h - a file system in memory: what its files share
 *
 *	tmpfs.c		inodes and names
 *	tmpfs_dir.c	a directory's entries
 *	tmpfs_pages.c	which page of the memory file holds which page of a file
 *	tmpfs_file.c	reading, writing, mapping, holes
 */
#ifndef SENTRY_VFS_TMPFS_H
#define SENTRY_VFS_TMPFS_H

#include "sentry/vfs/vfs.h"
#include "sentry/vfs/xattr_store.h"

struct tmpfs_inode;

struct tmpfs_super {
	struct super super;
	uint64_t max_pages;
	_Atomic uint64_t pages; /* data, and what else is as large */
	uint64_t max_inodes;
	_Atomic uint64_t inodes;
};

/* One name. */
struct tmpfs_entry {
	struct tmpfs_entry *prev, *next; /* by cookie */
	struct tmpfs_entry *hash_next;
	uint32_t hash;
	int64_t cookie;
	struct tmpfs_inode *inode; /* reference */
	char name[];
};

/* A directory's; tree lock. */
struct tmpfs_dir {
	struct tmpfs_entry *first, *last;
	struct tmpfs_entry **buckets; /* NULL while there are few */
	unsigned nbuckets, count;
	int64_t next_cookie;
};

/* A tree of tables of 64: places of the memory file, with two flags below the page's size. */
#define TMPFS_FANOUT   64u
#define TMPFS_PRESENT  1u /* there is a page */
#define TMPFS_RESIDENT 2u /* the host holds memory for it: may be touched */

struct tmpfs_pages {
	uint64_t root; /* height 0: the slot of page 0; else a table's address */
	unsigned height;
	uint64_t count;
};

struct tmpfs_inode {
	struct inode inode;
	uint32_t seals;	   /* inode.lock; F_SEAL_*: what is no memfd cannot be sealed any more */
	char *target;	   /* of a link; const */
	struct tmpfs_dir dir;
	struct tmpfs_pages pages;  /* inode.lock */
	struct xattr_store xattrs; /* inode.lock */
};

static inline struct tmpfs_inode *tmpfs_inode(struct inode *inode)
{
	return (struct tmpfs_inode *)inode;
}

static inline struct tmpfs_super *tmpfs_super(struct super *super)
{
	return (struct tmpfs_super *)super;
}

/* --- tmpfs.c --- */
/* tmpfs_make() - An inode nobody names. Return: 0, -ENOSPC, -ENOMEM */
int tmpfs_make(struct super *super, const struct vfs_create *args, struct inode **out);
/* tmpfs_charge() - @pages more. Return: 0 or -ENOSPC */
int tmpfs_charge(struct super *super, uint64_t pages);
void tmpfs_uncharge(struct super *super, uint64_t pages);
void tmpfs_touch(struct inode *inode, bool data); /* ctime, and mtime of @data; lock held */

/* --- tmpfs_dir.c --- */
struct tmpfs_entry *tmpfs_dir_find(const struct tmpfs_dir *dir, const char *name);
/* tmpfs_dir_add() - Takes a reference of @inode. Return: 0 or -ENOMEM */
int tmpfs_dir_add(struct tmpfs_dir *dir, const char *name, struct tmpfs_inode *inode);
/* tmpfs_dir_remove() - Frees the entry and gives the inode's reference to the caller */
struct tmpfs_inode *tmpfs_dir_remove(struct tmpfs_dir *dir, struct tmpfs_entry *entry);
int tmpfs_dir_open(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		   struct file **out);

/* --- tmpfs_pages.c; inode.lock held --- */
/* tmpfs_pages_slot() - NULL: there is no table, and @make is false or memory short */
uint64_t *tmpfs_pages_slot(struct tmpfs_pages *pages, uint64_t index, bool make);
/* tmpfs_pages_next() - The first page from @index on that is there; UINT64_MAX: none */
uint64_t tmpfs_pages_next(const struct tmpfs_pages *pages, uint64_t index);
/* tmpfs_pages_run() - How many from @index on, at most @max, lie one after the other, or (*place 0)
 * are not there */
uint64_t tmpfs_pages_run(struct tmpfs_pages *pages, uint64_t index, uint64_t max,
			 uint64_t *place);
/* tmpfs_pages_cut() - Give back @first to @last. Return: how many there were */
uint64_t tmpfs_pages_cut(struct tmpfs_pages *pages, uint64_t first, uint64_t last);

/* --- tmpfs_file.c --- */
extern const struct mappable_ops tmpfs_mappable_ops;
int tmpfs_file_open(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		    struct file **out);
/* tmpfs_file_resize() - Without inode.lock */
int tmpfs_file_resize(struct tmpfs_inode *file, uint64_t size);

#endif /* SENTRY_VFS_TMPFS_H */
