/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/ext4fs_xattr.c - extended attributes of files in an image
 *
 *	behind the inode   magic, entries, values counted from the first entry
 *	in a block         header, entries, values counted from the block's beginning
 *
 * Both are read into one buffer and walked in the same way. Access control lists are left out, as of
 * every file system here; values that are files of their own are not understood.
 *
 * What a small file or directory has in its inode is the attribute "system.data".
 */
#include <errno.h>
#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2_ext_attr.h> /* which needs the one before */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/vfs/ext4fs.h"

#define XATTR_SYSTEM 7

/* Which there are, by the number that stands for the beginning of their names. */
static const char *const xattr_prefixes[] = { [1] = "user.", [4] = "trusted.", [6] = "security." };

/* A place with entries. */
struct xattr_area {
	uint8_t *data;	/* owned */
	size_t size, first; /* bytes; where entries begin */
	size_t base;	/* what places of values are counted from */
};

struct xattr_entry {
	unsigned prefix;
	const char *name;
	size_t name_len;
	const uint8_t *value; /* NULL: it is elsewhere */
	size_t value_len;
};

/* Return: 0 with an area (of no size: there is none), or negative errno */
static int xattr_read_inode(struct ext4_inode *e, struct xattr_area *area)
{
	const struct ext4fs *fs = ext4_super(e);
	size_t first = 128u + e->extra + sizeof(uint32_t);
	int r;

	if (!e->has_xattrs)
		return 0;
	area->data = malloc(EXT4FS_INODE_MAX);
	if (!area->data)
		return -ENOMEM;
	r = ext4_read_inode(fs, e->ino, area->data);
	if (r < 0)
		return r;
	area->size = fs->inode_size;
	area->first = area->base = first;
	return 0;
}

static int xattr_read_block(struct ext4_inode *e, struct xattr_area *area)
{
	const struct ext4fs *fs = ext4_super(e);
	uint32_t magic;
	int r;

	if (!e->acl_block)
		return 0;
	area->data = malloc(fs->block);
	if (!area->data)
		return -ENOMEM;
	r = ext4_read_block(fs, e->acl_block, area->data);
	if (r < 0)
		return r;
	memcpy(&magic, area->data, sizeof(magic));
	if (magic != EXT4FS_XATTR_MAGIC)
		return -EIO;
	area->size = fs->block;
	area->first = sizeof(struct ext2_ext_attr_header);
	area->base = 0;
	return 0;
}

/* Return: 1 there is one at *@at, which moves on, 0 there is none, -EIO */
static int xattr_next(const struct xattr_area *area, size_t *at, struct xattr_entry *out)
{
	struct ext2_ext_attr_entry head;
	size_t value;

	if (*at + sizeof(head) > area->size) {
		/* Four zero bytes end it, and may be the last there are */
		return 0;
	}
	memcpy(&head, area->data + *at, sizeof(head));
	if (!head.e_name_len && !head.e_name_index && !head.e_value_offs && !head.e_value_inum)
		return 0;
	if (*at + sizeof(head) + head.e_name_len > area->size)
		return -EIO;
	*out = (struct xattr_entry){
		.prefix = head.e_name_index,
		.name = (const char *)area->data + *at + sizeof(head),
		.name_len = head.e_name_len,
		.value_len = head.e_value_size,
	};
	value = area->base + head.e_value_offs;
	if (!head.e_value_inum) {
		if (value > area->size || (size_t)head.e_value_size > area->size - value)
			return -EIO;
		out->value = area->data + value;
	}
	*at += (sizeof(head) + head.e_name_len + 3) & ~(size_t)3;
	return 1;
}

/* Return: other than 0 to stop */
typedef long (*xattr_visit)(const struct xattr_entry *entry, void *data);

static long xattr_visit_all(struct ext4_inode *e, xattr_visit visit, void *arg)
{
	static int (*const readers[])(struct ext4_inode *, struct xattr_area *) = {
		xattr_read_inode, xattr_read_block,
	};
	long r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(readers); i++) {
		struct xattr_area area = { 0 };
		struct xattr_entry entry;
		size_t at;

		r = readers[i](e, &area);
		at = area.first;
		while (r == 0 && area.size && (r = xattr_next(&area, &at, &entry)) > 0)
			r = visit(&entry, arg);
		free(area.data);
	}
	return r;
}

struct xattr_want {
	unsigned prefix;
	const char *name;
	void *value;
	size_t size;
	long found; /* its length, or negative errno */
};

static long xattr_want_visit(const struct xattr_entry *entry, void *data)
{
	struct xattr_want *w = data;

	if (entry->prefix != w->prefix || entry->name_len != strlen(w->name) ||
	    memcmp(entry->name, w->name, entry->name_len) != 0)
		return 0;
	if (!entry->value)
		w->found = -EOPNOTSUPP;
	else if (w->size && w->size < entry->value_len)
		w->found = -ERANGE;
	else
		w->found = (long)entry->value_len;
	if (w->found > 0 && w->size)
		memcpy(w->value, entry->value, entry->value_len);
	return 1;
}

static long xattr_get(struct ext4_inode *e, struct xattr_want *w)
{
	long r;

	w->found = -ENODATA;
	r = xattr_visit_all(e, xattr_want_visit, w);
	return r < 0 ? r : w->found;
}

long ext4_getxattr(struct inode *inode, const char *name, void *value, size_t size)
{
	for (unsigned i = 0; i < ARRAY_SIZE(xattr_prefixes); i++) {
		size_t n = xattr_prefixes[i] ? strlen(xattr_prefixes[i]) : 0;
		struct xattr_want w = { .prefix = i, .name = name + n, .value = value,
					.size = size };

		if (n && strncmp(name, xattr_prefixes[i], n) == 0)
			return xattr_get(ext4_of(inode), &w);
	}
	return -EOPNOTSUPP;
}

long ext4_inline(struct ext4_inode *e, void *buf, size_t size)
{
	struct xattr_want w = { .prefix = XATTR_SYSTEM, .name = "data", .value = buf,
				.size = size };
	long n = xattr_get(e, &w);

	return n == -ENODATA ? 0 : n;
}

struct xattr_names {
	char *list;
	size_t size, len;
};

static long xattr_names_visit(const struct xattr_entry *entry, void *data)
{
	struct xattr_names *names = data;
	const char *prefix = entry->prefix < ARRAY_SIZE(xattr_prefixes) ?
				     xattr_prefixes[entry->prefix] :
				     NULL;
	size_t n = prefix ? strlen(prefix) : 0;

	if (!prefix || memchr(entry->name, '\0', entry->name_len))
		return 0;
	if (names->size && names->size - names->len < n + entry->name_len + 1)
		return -ERANGE;
	if (names->size) {
		char *at = names->list + names->len;

		memcpy(at, prefix, n);
		memcpy(at + n, entry->name, entry->name_len);
		at[n + entry->name_len] = '\0';
	}
	names->len += n + entry->name_len + 1;
	return 0;
}

long ext4_listxattr(struct inode *inode, char *list, size_t size)
{
	struct xattr_names names = { .list = list, .size = size };
	long r = xattr_visit_all(ext4_of(inode), xattr_names_visit, &names);

	return r < 0 ? r : (long)names.len;
}
