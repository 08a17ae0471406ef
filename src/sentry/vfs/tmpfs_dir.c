/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/tmpfs_dir.c - a directory in memory: its entries by name and in order
 *
 * Each entry gets a number when it is made, never used again in this directory; reading goes by
 * these, so what is added or removed meanwhile moves nothing else. Names are found by a table when
 * there are more than a few.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/vfs/dentry.h"
#include "sentry/vfs/tmpfs.h"

#define TMPFS_DIR_LIST 8 /* as many are looked through one by one */
#define TMPFS_COOKIE_FIRST 2 /* after "." and ".." */

static uint32_t tmpfs_dir_hash(const char *name)
{
	uint64_t h = 0;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(h >> 32);
}

struct tmpfs_entry *tmpfs_dir_find(const struct tmpfs_dir *dir, const char *name)
{
	uint32_t hash = tmpfs_dir_hash(name);
	struct tmpfs_entry *at;

	if (!dir->buckets) {
		for (at = dir->first; at; at = at->next)
			if (at->hash == hash && !strcmp(at->name, name))
				return at;
		return NULL;
	}
	for (at = dir->buckets[hash & (dir->nbuckets - 1)]; at; at = at->hash_next)
		if (at->hash == hash && !strcmp(at->name, name))
			return at;
	return NULL;
}

/* tmpfs_dir_rehash() - A table for twice as many. Without memory it stays as it is. */
static void tmpfs_dir_rehash(struct tmpfs_dir *dir)
{
	unsigned nbuckets = dir->count * 2;
	struct tmpfs_entry **buckets;

	while (nbuckets & (nbuckets - 1))
		nbuckets &= nbuckets - 1;
	buckets = calloc(nbuckets, sizeof(struct tmpfs_entry *));
	if (!buckets)
		return;
	free(dir->buckets);
	dir->buckets = buckets;
	dir->nbuckets = nbuckets;
	for (struct tmpfs_entry *at = dir->first; at; at = at->next) {
		struct tmpfs_entry **bucket = &buckets[at->hash & (nbuckets - 1)];

		at->hash_next = *bucket;
		*bucket = at;
	}
}

int tmpfs_dir_add(struct tmpfs_dir *dir, const char *name, struct tmpfs_inode *inode)
{
	size_t size = strlen(name) + 1;
	struct tmpfs_entry *entry = malloc(sizeof(*entry) + size);

	if (!entry)
		return -ENOMEM;
	if (!dir->next_cookie)
		dir->next_cookie = TMPFS_COOKIE_FIRST;
	*entry = (struct tmpfs_entry){
		.prev = dir->last,
		.hash = tmpfs_dir_hash(name),
		.cookie = dir->next_cookie++,
		.inode = inode,
	};
	memcpy(entry->name, name, size);
	inode_get(&inode->inode);
	*(dir->last ? &dir->last->next : &dir->first) = entry;
	dir->last = entry;
	dir->count++;
	if (dir->count > TMPFS_DIR_LIST && dir->count > dir->nbuckets) {
		tmpfs_dir_rehash(dir);
	} else if (dir->buckets) {
		struct tmpfs_entry **bucket = &dir->buckets[entry->hash & (dir->nbuckets - 1)];

		entry->hash_next = *bucket;
		*bucket = entry;
	}
	return 0;
}

struct tmpfs_inode *tmpfs_dir_remove(struct tmpfs_dir *dir, struct tmpfs_entry *entry)
{
	struct tmpfs_inode *inode = entry->inode;

	if (dir->buckets) {
		struct tmpfs_entry **link = &dir->buckets[entry->hash & (dir->nbuckets - 1)];

		while (*link && *link != entry)
			link = &(*link)->hash_next;
		if (*link)
			*link = entry->hash_next;
	}
	*(entry->prev ? &entry->prev->next : &dir->first) = entry->next;
	*(entry->next ? &entry->next->prev : &dir->last) = entry->prev;
	dir->count--;
	free(entry);
	return inode;
}

static int tmpfs_dir_read(struct file *file, struct dir_sink *sink)
{
	struct inode *inode = file->inode;
	struct tmpfs_dir *dir = &tmpfs_inode(inode)->dir;

	if (!dir_emit_dots(file, sink))
		return 0;
	tree_read(inode->super);
	struct tmpfs_entry *at = dir->first;

	if (dir->last && dir->last->cookie < file->offset)
		at = NULL;
	while (at && at->cookie < file->offset)
		at = at->next;
	for (; at; at = at->next) {
		const struct stat *attr = &at->inode->inode.attr;

		if (sink->emit(sink, at->name, strlen(at->name), attr->st_ino,
			       (unsigned char)IFTODT(attr->st_mode), at->cookie + 1))
			break;
		file->offset = at->cookie + 1;
	}
	tree_unlock(inode->super);
	return 0;
}

static const struct file_ops tmpfs_dir_file_ops = {
	.readdir = tmpfs_dir_read,
	.release = file_release_plain,
};

int tmpfs_dir_open(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		   struct file **out)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	file_init(file, &tmpfs_dir_file_ops, flags, path, inode);
	*out = file;
	return 0;
}
