/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/ext4fs_dir.c - directories of an image
 *
 * Read from the first entry to the last: an index over them is there to find a name faster, and the
 * cache of names above does that. Its blocks look like blocks without names.
 *
 * An offset is the entry's place in the directory's data plus two, which are "." and "..".
 */
#include <errno.h>
#include <ext2fs/ext2_fs.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/vfs/ext4fs.h"

#define EXT4_DOTS 2

struct ext4_entry {
	uint32_t ino;
	const char *name;
	size_t len;
	uint8_t type;	/* DT_* */
	uint64_t next;	/* place behind it */
};

/* Return: other than 0 to stop */
typedef int (*ext4_visit)(const struct ext4_entry *entry, void *data);

static const uint8_t ext4_types[] = { DT_UNKNOWN, DT_REG, DT_DIR, DT_CHR, DT_BLK, DT_FIFO, DT_SOCK,
				      DT_LNK };

static bool ext4_is_name(const char *name, size_t len)
{
	if (len == 0 || memchr(name, '/', len) || memchr(name, '\0', len))
		return false;
	return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

/* The entries in @n bytes that are at place @at, from place @from on. Return: 0, what @visit said, or
 * -EIO */
static int ext4_visit_entries(const uint8_t *data, size_t n, uint64_t at, uint64_t from,
			      ext4_visit visit, void *arg)
{
	for (size_t pos = 0; pos + 8 <= n;) {
		struct ext2_dir_entry_2 head;
		struct ext4_entry entry;
		size_t rec;
		int r;

		memcpy(&head, data + pos, 8);
		/* A block of 64 KiB does not fit into the field */
		rec = head.rec_len == 65535 || head.rec_len == 0 ? 65536 : head.rec_len;
		if (rec < 8 || (rec & 3) || rec > n - pos || head.name_len > rec - 8)
			return -EIO;
		entry = (struct ext4_entry){
			.ino = head.inode,
			.name = (const char *)data + pos + 8,
			.len = head.name_len,
			.type = head.file_type < ARRAY_SIZE(ext4_types) ?
					ext4_types[head.file_type] :
					DT_UNKNOWN,
			.next = at + pos + rec,
		};
		if (entry.ino && at + pos >= from && ext4_is_name(entry.name, entry.len)) {
			r = visit(&entry, arg);
			if (r)
				return r;
		}
		pos += rec;
	}
	return 0;
}

/* A small directory: its parent's number, then entries in two parts. */
static int ext4_visit_inline(struct ext4_inode *e, uint64_t from, ext4_visit visit, void *arg)
{
	autofree uint8_t *more = malloc(EXT4FS_INODE_MAX);
	const size_t first = sizeof(e->block) - 4;
	long n;
	int r;

	if (!more)
		return -ENOMEM;
	r = ext4_visit_entries(e->block + 4, first, 4, from, visit, arg);
	if (r)
		return r;
	n = ext4_inline(e, more, EXT4FS_INODE_MAX);
	return n <= 0 ? (int)n :
			ext4_visit_entries(more, (size_t)n, sizeof(e->block), from, visit, arg);
}

static int ext4_visit_dir(struct ext4_inode *e, uint64_t from, ext4_visit visit, void *arg)
{
	const struct ext4fs *fs = ext4_super(e);
	uint64_t size = (uint64_t)e->inode.attr.st_size;
	autofree uint8_t *block = NULL;
	const struct ext4_runs *runs;
	int r;

	if (e->flags & EXT4_INLINE_DATA_FL)
		return ext4_visit_inline(e, from, visit, arg);
	block = malloc(fs->block);
	if (!block)
		return -ENOMEM;
	r = ext4_get_runs(e, &runs);
	for (uint64_t at = from & ~(uint64_t)(fs->block - 1); r == 0 && at < size; at += fs->block) {
		const struct ext4_run *run = ext4_find_run(runs, at >> fs->block_shift);

		if (!run)
			break;
		/* No block: no names */
		if (run->logical > at >> fs->block_shift || !run->physical) {
			at = run->logical > at >> fs->block_shift ?
				     (run->logical - 1) << fs->block_shift :
				     (run->logical + run->len - 1) << fs->block_shift;
			continue;
		}
		r = ext4_read_block(fs, run->physical + (at >> fs->block_shift) - run->logical,
				    block);
		if (r == 0)
			r = ext4_visit_entries(block, fs->block, at, from, visit, arg);
	}
	return r;
}

struct ext4_search {
	const char *name;
	size_t len;
	uint32_t ino;
};

static int ext4_search_visit(const struct ext4_entry *entry, void *data)
{
	struct ext4_search *s = data;

	if (entry->len != s->len || memcmp(entry->name, s->name, s->len) != 0)
		return 0;
	s->ino = entry->ino;
	return 1;
}

int ext4_lookup(struct inode *dir, const char *name, struct inode **out)
{
	struct ext4_search search = { .name = name, .len = strlen(name) };
	int r = ext4_visit_dir(ext4_of(dir), 0, ext4_search_visit, &search);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return ext4_inode_get(ext4_super(ext4_of(dir)), search.ino, out);
}

struct ext4_list {
	struct file *file;
	struct dir_sink *sink;
};

static int ext4_list_visit(const struct ext4_entry *entry, void *data)
{
	struct ext4_list *list = data;
	int64_t next = (int64_t)entry->next + EXT4_DOTS;

	if (list->sink->emit(list->sink, entry->name, entry->len, entry->ino, entry->type, next))
		return 1;
	list->file->offset = next;
	return 0;
}

static int ext4_readdir(struct file *file, struct dir_sink *sink)
{
	struct ext4_list list = { file, sink };
	int r;

	if (!dir_emit_dots(file, sink))
		return 0;
	r = ext4_visit_dir(ext4_of(file->inode), (uint64_t)file->offset - EXT4_DOTS,
			   ext4_list_visit, &list);
	return r < 0 ? r : 0;
}

static const struct file_ops ext4_dir_file_ops = {
	.readdir = ext4_readdir,
	.release = file_release_plain,
};

int ext4_open_dir(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		  struct task *task, struct file **out)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	file_init(file, &ext4_dir_file_ops, flags, path, inode);
	*out = file;
	return 0;
}
