/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/tmpfs.c - a file system in memory: inodes and names
 *
 * Names are in the directories' own lists, dentries are the same cache as everywhere. What is made
 * is bounded: pages by the size, inodes (and names of a second link) by their number.
 */
#include "sentry/vfs/tmpfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "sentry/kernel.h"
#include "sentry/vfs/bound.h"
#include "sentry/vfs/facts.h"
#include "sentry/vfs/facts.h"

#define TMPFS_INODES_MAX  (UINT64_C(1) << 20)
#define TMPFS_LINK_INLINE 128 /* a longer target counts as a page */

static const struct inode_ops tmpfs_inode_ops;

/* Of all file systems: an inode with its name is about a KiB of ours. */
static struct bound tmpfs_inodes = { .each = PAGE_SIZE, .least = 4096, .most = 1u << 22 };

int tmpfs_charge(struct super *super, uint64_t pages)
{
	struct tmpfs_super *fs = tmpfs_super(super);
	uint64_t used = atomic_load(&fs->pages);

	do {
		if (pages > fs->max_pages || used > fs->max_pages - pages)
			return -ENOSPC;
	} while (!atomic_compare_exchange_weak(&fs->pages, &used, used + pages));
	return 0;
}

void tmpfs_uncharge(struct super *super, uint64_t pages)
{
	if (pages)
		atomic_fetch_sub(&tmpfs_super(super)->pages, pages);
}

static int tmpfs_charge_inode(struct tmpfs_super *fs)
{
	uint64_t used = atomic_load(&fs->inodes);

	do {
		if (used >= fs->max_inodes)
			return -ENOSPC;
	} while (!atomic_compare_exchange_weak(&fs->inodes, &used, used + 1));
	if (bound_take(&tmpfs_inodes, 1))
		return 0;
	atomic_fetch_sub(&fs->inodes, 1);
	return -ENOSPC;
}

static void tmpfs_uncharge_inode(struct tmpfs_super *fs)
{
	bound_give(&tmpfs_inodes, 1);
	atomic_fetch_sub(&fs->inodes, 1);
}

void tmpfs_touch(struct inode *inode, bool data)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	inode->attr.st_ctim = now;
	if (data)
		inode->attr.st_mtim = now;
}

/* Pages that are our own memory: long targets and attributes, of all file systems. */
static struct bound tmpfs_own = { .each = 8 * PAGE_SIZE, .least = 1024, .most = 1u << 16 };

static int tmpfs_charge_own(struct super *super, uint64_t pages)
{
	int r = tmpfs_charge(super, pages);

	if (r == 0 && !bound_take(&tmpfs_own, pages)) {
		tmpfs_uncharge(super, pages);
		r = -ENOSPC;
	}
	return r;
}

static void tmpfs_uncharge_own(struct super *super, uint64_t pages)
{
	tmpfs_uncharge(super, pages);
	bound_give(&tmpfs_own, pages);
}

/* tmpfs_link_pages() - What a link's target counts */
static uint64_t tmpfs_link_pages(const char *target)
{
	return target && strlen(target) >= TMPFS_LINK_INLINE ? 1 : 0;
}

static uint64_t tmpfs_xattr_pages(const struct tmpfs_inode *inode)
{
	return (inode->xattrs.bytes + PAGE_SIZE - 1) / PAGE_SIZE;
}

static void tmpfs_free(struct inode *inode)
{
	struct tmpfs_super *fs = tmpfs_super(inode->super);
	struct tmpfs_inode *node = tmpfs_inode(inode);

	while (node->dir.first) /* only when the file system goes */
		inode_put(&tmpfs_dir_remove(&node->dir, node->dir.first)->inode);
	tmpfs_uncharge(inode->super, tmpfs_pages_cut(&node->pages, 0, UINT64_MAX / PAGE_SIZE));
	tmpfs_uncharge_own(inode->super, tmpfs_link_pages(node->target) + tmpfs_xattr_pages(node));
	tmpfs_uncharge_inode(fs);
	xattr_store_free(&node->xattrs);
	free(node->dir.buckets);
	free(node->target);
	inode_fini(inode);
	free(node);
}

int tmpfs_make(struct super *super, const struct vfs_create *args, struct inode **out)
{
	autofree struct tmpfs_inode *node = calloc(1, sizeof(*node));
	uint64_t pages = tmpfs_link_pages(args->target);
	int r = node ? tmpfs_charge_inode(tmpfs_super(super)) : -ENOMEM;

	if (r < 0)
		return r;
	r = tmpfs_charge_own(super, pages);
	if (r == 0 && args->target) {
		node->target = strdup(args->target);
		if (!node->target) {
			tmpfs_uncharge_own(super, pages);
			r = -ENOMEM;
		}
	}
	if (r < 0) {
		tmpfs_uncharge_inode(tmpfs_super(super));
		return r;
	}
	inode_init(&node->inode, super, &tmpfs_inode_ops, args->mode, inode_next_ino());
	node->inode.attr.st_uid = args->uid;
	node->inode.attr.st_gid = args->gid;
	node->inode.attr.st_rdev = args->rdev;
	if (args->target)
		node->inode.attr.st_size = (off_t)strlen(args->target);
	if (S_ISREG(args->mode)) {
		node->inode.mapping.ops = &tmpfs_mappable_ops;
		node->seals = F_SEAL_SEAL;
	}
	*out = &steal_ptr(node)->inode;
	return 0;
}

static int tmpfs_lookup(struct inode *dir, const char *name, struct inode **out)
{
	struct tmpfs_entry *entry = tmpfs_dir_find(&tmpfs_inode(dir)->dir, name);

	if (!entry)
		return -ENOENT;
	*out = inode_get(&entry->inode->inode);
	return 0;
}

/* tmpfs_changed() - A directory got @links more subdirectories, or less, and @entries more names */
static void tmpfs_changed(struct inode *dir, int links, int entries)
{
	pthread_mutex_lock(&dir->lock);
	dir->attr.st_nlink = (nlink_t)((int64_t)dir->attr.st_nlink + links);
	dir->attr.st_size += entries * 20;
	tmpfs_touch(dir, true);
	pthread_mutex_unlock(&dir->lock);
}

/* tmpfs_linked() - An inode has one name more or less; a directory that has none is gone */
static void tmpfs_linked(struct inode *inode, int links)
{
	pthread_mutex_lock(&inode->lock);
	inode->attr.st_nlink = (nlink_t)((int64_t)inode->attr.st_nlink + links);
	tmpfs_touch(inode, false);
	pthread_mutex_unlock(&inode->lock);
}

static int tmpfs_create(struct inode *dir, const char *name, const struct vfs_create *args,
			struct inode **out)
{
	struct inode *inode;
	int r = tmpfs_make(dir->super, args, &inode);

	if (r < 0)
		return r;
	r = tmpfs_dir_add(&tmpfs_inode(dir)->dir, name, tmpfs_inode(inode));
	if (r < 0) {
		inode_put(inode);
		return r;
	}
	tmpfs_changed(dir, S_ISDIR(args->mode) ? 1 : 0, 1);
	*out = inode;
	return 0;
}

static int tmpfs_tmpfile(struct inode *dir, const struct vfs_create *args, struct inode **out)
{
	int r = tmpfs_make(dir->super, args, out);

	if (r == 0)
		(*out)->attr.st_nlink = 0;
	return r;
}

static int tmpfs_link(struct inode *dir, const char *name, struct inode *target)
{
	struct tmpfs_super *fs = tmpfs_super(dir->super);
	int r = tmpfs_charge_inode(fs);

	if (r < 0)
		return r;
	r = tmpfs_dir_add(&tmpfs_inode(dir)->dir, name, tmpfs_inode(target));
	/* The last name is the inode's own, so a file's first one after O_TMPFILE is not counted. */
	if (r < 0 || target->attr.st_nlink == 0)
		tmpfs_uncharge_inode(fs);
	if (r < 0)
		return r;
	tmpfs_linked(target, 1);
	tmpfs_changed(dir, 0, 1);
	return 0;
}

/* tmpfs_drop() - A name and what it meant */
static void tmpfs_drop(struct inode *dir, struct tmpfs_entry *entry)
{
	struct inode *inode = &tmpfs_dir_remove(&tmpfs_inode(dir)->dir, entry)->inode;
	bool is_dir = S_ISDIR(inode->attr.st_mode);

	if (!is_dir && inode->attr.st_nlink > 1)
		tmpfs_uncharge_inode(tmpfs_super(dir->super));
	tmpfs_linked(inode, is_dir ? -2 : -1);
	tmpfs_changed(dir, is_dir ? -1 : 0, -1);
	inode_put(inode);
}

static int tmpfs_unlink(struct inode *dir, const char *name, struct inode *victim)
{
	struct tmpfs_entry *entry = tmpfs_dir_find(&tmpfs_inode(dir)->dir, name);

	if (!entry)
		return -ENOENT;
	tmpfs_drop(dir, entry);
	return 0;
}

static int tmpfs_rmdir(struct inode *dir, const char *name, struct inode *victim)
{
	return tmpfs_inode(victim)->dir.count ? -ENOTEMPTY : tmpfs_unlink(dir, name, victim);
}

/* tmpfs_exchange() - Two entries mean each other's inode */
static void tmpfs_exchange(struct inode *old_dir, struct tmpfs_entry *old, struct inode *new_dir,
			   struct tmpfs_entry *new)
{
	struct tmpfs_inode *moved = old->inode;
	int diff = S_ISDIR(moved->inode.attr.st_mode) - S_ISDIR(new->inode->inode.attr.st_mode);

	old->inode = new->inode;
	new->inode = moved;
	tmpfs_linked(&old->inode->inode, 0);
	tmpfs_linked(&moved->inode, 0);
	tmpfs_changed(old_dir, old_dir == new_dir ? 0 : -diff, 0);
	tmpfs_changed(new_dir, old_dir == new_dir ? 0 : diff, 0);
}

static int tmpfs_rename(struct inode *old_dir, const char *old_name, struct inode *new_dir,
			const char *new_name, unsigned flags)
{
	struct tmpfs_entry *old = tmpfs_dir_find(&tmpfs_inode(old_dir)->dir, old_name);
	struct tmpfs_entry *new = tmpfs_dir_find(&tmpfs_inode(new_dir)->dir, new_name);
	struct tmpfs_inode *moved;
	int is_dir, r;

	if (!old)
		return -ENOENT;
	if (flags & RENAME_EXCHANGE) {
		if (!new)
			return -ENOENT;
		tmpfs_exchange(old_dir, old, new_dir, new);
		return 0;
	}
	moved = old->inode;
	if (new && new->inode->dir.count)
		return -ENOTEMPTY;
	is_dir = S_ISDIR(moved->inode.attr.st_mode) ? 1 : 0;
	r = tmpfs_dir_add(&tmpfs_inode(new_dir)->dir, new_name, moved);
	if (r < 0)
		return r;
	if (new)
		tmpfs_drop(new_dir, new);
	tmpfs_dir_remove(&tmpfs_inode(old_dir)->dir, old);
	tmpfs_changed(old_dir, -is_dir, -1);
	tmpfs_changed(new_dir, is_dir, 1);
	tmpfs_linked(&moved->inode, 0);
	inode_put(&moved->inode); /* the old entry's */
	return 0;
}

static int tmpfs_readlink(struct inode *inode, char *buf, size_t size)
{
	size_t len = strlen(tmpfs_inode(inode)->target);

	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(buf, tmpfs_inode(inode)->target, len + 1);
	return (int)len;
}

static int tmpfs_refresh(struct inode *inode)
{
	pthread_mutex_lock(&inode->lock);
	inode->attr.st_blocks = (blkcnt_t)(tmpfs_inode(inode)->pages.count * (PAGE_SIZE / 512));
	pthread_mutex_unlock(&inode->lock);
	return 0;
}

static void tmpfs_set_times(struct inode *inode, const struct inode_attr *attr)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (attr->mask & ATTR_ATIME)
		inode->attr.st_atim = attr->atime;
	if (attr->mask & ATTR_MTIME)
		inode->attr.st_mtim = attr->mtime;
	if (attr->mask & ATTR_ATIME_NOW)
		inode->attr.st_atim = now;
	if (attr->mask & ATTR_MTIME_NOW)
		inode->attr.st_mtim = now;
	inode->attr.st_ctim = now;
}

static int tmpfs_setattr(struct inode *inode, const struct inode_attr *attr)
{
	int r = 0;

	if (attr->mask & ATTR_SIZE)
		r = tmpfs_file_resize(tmpfs_inode(inode), attr->size);
	if (r < 0)
		return r;
	pthread_mutex_lock(&inode->lock);
	if (attr->mask & ATTR_MODE)
		inode->attr.st_mode = (inode->attr.st_mode & S_IFMT) | (attr->mode & 07777);
	if (attr->mask & ATTR_UID)
		inode->attr.st_uid = attr->uid;
	if (attr->mask & ATTR_GID)
		inode->attr.st_gid = attr->gid;
	tmpfs_set_times(inode, attr);
	pthread_mutex_unlock(&inode->lock);
	return 0;
}

static int tmpfs_open(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		      struct task *task, struct file **out)
{
	if (S_ISDIR(inode->attr.st_mode))
		return tmpfs_dir_open(inode, path, flags, out);
	return S_ISREG(inode->attr.st_mode) ? tmpfs_file_open(inode, path, flags, out) : -ENXIO;
}

static long tmpfs_getxattr(struct inode *inode, const char *name, void *value, size_t size)
{
	long r;

	pthread_mutex_lock(&inode->lock);
	r = xattr_store_get(&tmpfs_inode(inode)->xattrs, name, value, size);
	pthread_mutex_unlock(&inode->lock);
	return r;
}

static int tmpfs_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
			  int flags)
{
	struct tmpfs_inode *node = tmpfs_inode(inode);
	uint64_t room = PAGE_UP(strlen(name) + 1 + size) / PAGE_SIZE, before;
	int r = tmpfs_charge_own(inode->super, room);

	if (r < 0)
		return r;
	pthread_mutex_lock(&inode->lock);
	before = tmpfs_xattr_pages(node);
	r = xattr_store_set(&node->xattrs, name, value, size, flags);
	if (r == 0)
		tmpfs_touch(inode, false);
	tmpfs_uncharge_own(inode->super, before + room - tmpfs_xattr_pages(node));
	pthread_mutex_unlock(&inode->lock);
	return r;
}

static long tmpfs_listxattr(struct inode *inode, char *list, size_t size)
{
	long r;

	pthread_mutex_lock(&inode->lock);
	r = xattr_store_list(&tmpfs_inode(inode)->xattrs, list, size);
	pthread_mutex_unlock(&inode->lock);
	return r;
}

static int tmpfs_removexattr(struct inode *inode, const char *name)
{
	struct tmpfs_inode *node = tmpfs_inode(inode);
	uint64_t before;
	int r;

	pthread_mutex_lock(&inode->lock);
	before = tmpfs_xattr_pages(node);
	r = xattr_store_remove(&node->xattrs, name);
	if (r == 0)
		tmpfs_touch(inode, false);
	tmpfs_uncharge_own(inode->super, before - tmpfs_xattr_pages(node));
	pthread_mutex_unlock(&inode->lock);
	return r;
}

static const struct inode_ops tmpfs_inode_ops = {
	.lookup = tmpfs_lookup,
	.create = tmpfs_create,
	.tmpfile = tmpfs_tmpfile,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.rmdir = tmpfs_rmdir,
	.rename = tmpfs_rename,
	.readlink = tmpfs_readlink,
	.refresh = tmpfs_refresh,
	.setattr = tmpfs_setattr,
	.open = tmpfs_open,
	.getxattr = tmpfs_getxattr,
	.setxattr = tmpfs_setxattr,
	.listxattr = tmpfs_listxattr,
	.removexattr = tmpfs_removexattr,
	.free = tmpfs_free,
};

static int tmpfs_statfs(struct super *super, struct statfs *out)
{
	struct tmpfs_super *fs = tmpfs_super(super);
	uint64_t pages = atomic_load(&fs->pages), inodes = atomic_load(&fs->inodes);

	*out = (struct statfs){
		.f_type = TMPFS_MAGIC,
		.f_bsize = PAGE_SIZE,
		.f_frsize = PAGE_SIZE,
		.f_blocks = fs->max_pages,
		.f_bfree = fs->max_pages - pages,
		.f_bavail = fs->max_pages - pages,
		.f_files = fs->max_inodes,
		.f_ffree = fs->max_inodes - inodes,
		.f_namelen = NAME_MAX,
	};
	return 0;
}

static void tmpfs_super_free(struct super *super)
{
	free(tmpfs_super(super));
}

static const struct super_ops tmpfs_super_ops = {
	.type = "tmpfs",
	.statfs = tmpfs_statfs,
	.free = tmpfs_super_free,
};

int tmpfs_new(uint64_t max_bytes, uint32_t mode, struct super **out)
{
	struct vfs_create args = { .mode = S_IFDIR | (mode & 07777) };
	struct tmpfs_super *fs = calloc(1, sizeof(*fs));
	struct inode *root;
	int r;

	if (!fs)
		return -ENOMEM;
	fs->max_pages = PAGE_UP(max_bytes ? max_bytes : facts_memory_all() / 2) / PAGE_SIZE;
	fs->max_inodes = fs->max_pages < TMPFS_INODES_MAX ? fs->max_pages : TMPFS_INODES_MAX;
	if (fs->max_inodes < 64)
		fs->max_inodes = 64;
	r = tmpfs_make(&fs->super, &args, &root);
	if (r == 0)
		r = super_init(&fs->super, &tmpfs_super_ops, root);
	if (r < 0) {
		free(fs);
		return r;
	}
	*out = &fs->super;
	return 0;
}
