/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4_writer.c - inodes, directories and names of a new ext4 image
 *
 * A directory's records are built in memory in the form they have on disk and
 * written in one run when it is closed, so adding a name costs the same in a
 * directory of ten or of a million.  Inode numbers rise in the order of
 * adding.  Front ends may add in any order that has a directory open while
 * something is added to it; they must not add a name twice.
 *
 * Deliberately absent: hash trees for large directories (the kernel reads them
 * as a list), attributes larger than a block.  Inodes without names, and their
 * removal: ext4_node.c.
 */
#include "image/ext4_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"

#define EXT4_DIR_BYTES_MAX ((size_t)1 << 30)

int ext4_inode_reach(struct ext4_writer *w, ext2_ino_t ino, struct coffer_error *err)
{
	ext2_ino_t each = w->fs->super->s_inodes_per_group;
	dgrp_t group = (ino - 1) / each;
	struct stat st;
	off_t end;

	if (!w->layers || ino <= w->reached)
		return 0;
	end = (off_t)((ext2fs_inode_table_loc(w->fs, group) + w->fs->inode_blocks_per_group) *
		      EXT4_BLOCK);
	if (fstat(w->fd, &st) < 0)
		return err_sys(err, "stat the image file");
	if (st.st_size < end && ftruncate(w->fd, end) < 0)
		return err_sys(err, "size the image file");
	w->reached = (group + 1) * each;
	return 0;
}

int ext4_inode_new(struct ext4_writer *w, bool is_dir, ext2_ino_t *ino, struct coffer_error *err)
{
	errcode_t code = ENOENT;

	/* There is nothing free before the last one given out. */
	if (w->last < w->fs->super->s_inodes_count)
		code = ext2fs_find_first_zero_inode_bitmap2(w->fs->inode_map, w->last + 1,
							    w->fs->super->s_inodes_count, ino);
	if (code == ENOENT)
		return err_set(err, COFFER_ERR_INTERNAL, ENOSPC, "ext4 image has no inodes left");
	if (code)
		return ext4_fail(err, code, "find a free inode");
	w->last = *ino;
	ext2fs_inode_alloc_stats2(w->fs, *ino, 1, is_dir);
	return ext4_inode_reach(w, *ino, err);
}

/* Seconds since 1970 with two bits beyond 32, and nanoseconds, as ext4 splits them. */
static void ext4_time_store(const struct timespec *ts, uint32_t *base, uint32_t *extra)
{
	uint64_t beyond = (uint64_t)(ts->tv_sec - (int32_t)ts->tv_sec) >> 32;

	*base = (uint32_t)ts->tv_sec;
	*extra = (uint32_t)ts->tv_nsec << EXT4_EPOCH_BITS | ((uint32_t)beyond & EXT4_EPOCH_MASK);
}

/* A reproducible image has no time that reading or copying the tree could change. */
static struct ext4_meta ext4_meta_settle(const struct ext4_writer *w, const struct ext4_meta *meta)
{
	struct ext4_meta m = *meta;

	if (w->reproducible) {
		if (!w->layers && m.mtime.tv_sec >= w->epoch)
			m.mtime = (struct timespec){ .tv_sec = w->epoch };
		m.atime = m.ctime = m.mtime;
	}
	return m;
}

void ext4_inode_init(const struct ext4_writer *w, struct ext2_inode_large *inode,
		     const struct ext4_meta *meta, uint32_t links)
{
	struct ext4_meta m = ext4_meta_settle(w, meta);

	memset(inode, 0, sizeof(*inode));
	inode->i_mode = (uint16_t)m.mode;
	inode->i_uid = (uint16_t)m.uid;
	inode->i_uid_high = (uint16_t)(m.uid >> 16);
	inode->i_gid = (uint16_t)m.gid;
	inode->i_gid_high = (uint16_t)(m.gid >> 16);
	inode->i_links_count = (uint16_t)links;
	inode->i_extra_isize = sizeof(*inode) - EXT2_GOOD_OLD_INODE_SIZE;
	ext4_time_store(&m.atime, &inode->i_atime, &inode->i_atime_extra);
	ext4_time_store(&m.mtime, &inode->i_mtime, &inode->i_mtime_extra);
	ext4_time_store(&m.ctime, &inode->i_ctime, &inode->i_ctime_extra);
	ext4_time_store(&m.mtime, &inode->i_crtime, &inode->i_crtime_extra);
}

static int ext4_xattrs_store(struct ext4_writer *w, ext2_ino_t ino,
			     const struct ext4_xattrs *xattrs, struct coffer_error *err)
{
	struct ext2_xattr_handle *h;
	errcode_t code;
	size_t i;

	code = ext2fs_xattrs_open(w->fs, ino, &h);
	if (code)
		return ext4_fail(err, code, "open extended attributes");
	code = ext2fs_xattrs_read(h);
	for (i = 0; i < xattrs->count && !code; i++)
		code = ext2fs_xattr_set(h, xattrs->list[i].name, xattrs->list[i].value,
					xattrs->list[i].len);
	ext2fs_xattrs_close(&h);
	if (!code)
		return 0;
	if (code == EXT2_ET_EA_NO_SPACE)
		return err_unsupported(err, "extended attributes are larger than a block");
	ext4_fail(err, code, i ? xattrs->list[i - 1].name : "read");
	return err_wrap(err, "extended attributes");
}

int ext4_inode_write(struct ext4_writer *w, ext2_ino_t ino, struct ext2_inode_large *inode,
		     const struct ext4_map *map, const struct ext4_xattrs *xattrs,
		     struct coffer_error *err)
{
	errcode_t code;
	int r = 0;

	if (map)
		r = ext4_map_store(w, map, ino, inode, err);
	if (r < 0)
		return r;
	code = ext2fs_write_inode_full(w->fs, ino, EXT2_INODE(inode), sizeof(*inode));
	if (code)
		return ext4_fail(err, code, "write inode");
	return xattrs->count ? ext4_xattrs_store(w, ino, xattrs, err) : 0;
}

uint8_t ext4_file_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return EXT2_FT_REG_FILE;
	case S_IFDIR:
		return EXT2_FT_DIR;
	case S_IFLNK:
		return EXT2_FT_SYMLINK;
	case S_IFCHR:
		return EXT2_FT_CHRDEV;
	case S_IFBLK:
		return EXT2_FT_BLKDEV;
	case S_IFIFO:
		return EXT2_FT_FIFO;
	case S_IFSOCK:
		return EXT2_FT_SOCK;
	default:
		return EXT2_FT_UNKNOWN;
	}
}

static void ext4_record_put(uint8_t *p, ext2_ino_t ino, size_t rec_len, const char *name,
			    size_t name_len, uint8_t type)
{
	struct ext2_dir_entry_2 e = { .inode = ext2fs_cpu_to_le32(ino),
				      .rec_len = ext2fs_cpu_to_le16((uint16_t)rec_len),
				      .name_len = (uint8_t)name_len,
				      .file_type = type };

	memcpy(p, &e, offsetof(struct ext2_dir_entry_2, name));
	memcpy(p + offsetof(struct ext2_dir_entry_2, name), name, name_len);
}

static void ext4_record_stretch(struct ext4_dir *dir, size_t by)
{
	uint16_t rec_len;

	memcpy(&rec_len, dir->data + dir->last + offsetof(struct ext2_dir_entry_2, rec_len), 2);
	rec_len = ext2fs_cpu_to_le16((uint16_t)(ext2fs_le16_to_cpu(rec_len) + by));
	memcpy(dir->data + dir->last + offsetof(struct ext2_dir_entry_2, rec_len), &rec_len, 2);
	dir->len += by;
}

/* Bytes from @dir's end to the end of its last block. */
static size_t ext4_dir_tail(const struct ext4_dir *dir)
{
	return -dir->len & (EXT4_BLOCK - 1);
}

static int ext4_dir_reserve(struct ext4_dir *dir, size_t more, struct coffer_error *err)
{
	size_t room = dir->room ? dir->room : 128;
	uint8_t *data;

	if (dir->len + more > EXT4_DIR_BYTES_MAX)
		return err_set(err, COFFER_ERR_UNSUPPORTED, EFBIG, "directory is too large");
	if (dir->len + more <= dir->room)
		return 0;
	while (room < dir->len + more)
		room *= 2;
	data = realloc(dir->data, room);
	if (!data)
		return err_nomem(err);
	memset(data + dir->room, 0, room - dir->room);
	dir->data = data;
	dir->room = room;
	return 0;
}

/* A record never crosses the border of a block; the one before it is stretched up to there. */
static int ext4_dir_append(struct ext4_dir *dir, const char *name, size_t name_len, ext2_ino_t ino,
			   uint8_t type, struct coffer_error *err)
{
	size_t rec_len = ext4_dirent_len(name_len);
	size_t tail = ext4_dir_tail(dir);
	int r;

	r = ext4_dir_reserve(dir, tail + rec_len, err);
	if (r < 0)
		return r;
	if (tail && tail < rec_len)
		ext4_record_stretch(dir, tail);
	dir->last = dir->len;
	ext4_record_put(dir->data + dir->len, ino, rec_len, name, name_len, type);
	dir->len += rec_len;
	return 0;
}

int ext4_dir_add(struct ext4_dir *dir, const char *name, size_t len, ext2_ino_t ino, uint8_t type,
		 struct coffer_error *err)
{
	if (!len || len > EXT4_NAME_MAX || memchr(name, '/', len) ||
	    (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))))
		return err_invalid(err, "\"%.*s\" cannot be a file's name", (int)len, name);
	return ext4_dir_append(dir, name, len, ino, type, err);
}

int ext4_dir_open(struct ext4_writer *w, struct ext4_dir *parent, const char *name,
		  const struct ext4_meta *meta, struct ext4_dir **out, struct coffer_error *err)
{
	struct ext4_dir *dir = calloc(1, sizeof(*dir));
	int r = 0;

	if (!dir)
		return err_nomem(err);
	dir->parent = parent;
	dir->meta = *meta;
	dir->next = w->dirs;
	w->dirs = dir;
	dir->ino = EXT2_ROOT_INO;
	if (parent) {
		r = ext4_inode_new(w, true, &dir->ino, err);
		if (r == 0)
			r = ext4_dir_add(parent, name, strlen(name), dir->ino, EXT2_FT_DIR, err);
		parent->subdirs++;
	}
	if (r == 0)
		r = ext4_dir_append(dir, ".", 1, dir->ino, EXT2_FT_DIR, err);
	if (r == 0)
		r = ext4_dir_append(dir, "..", 2, parent ? parent->ino : dir->ino, EXT2_FT_DIR,
				    err);
	if (r < 0)
		return r;
	*out = dir;
	return 0;
}

/* Its records to the image, with where they are into @inode, which has all else. */
static int ext4_dir_write(struct ext4_writer *w, struct ext4_dir *dir,
			  struct ext2_inode_large *inode, const struct ext4_xattrs *xattrs,
			  struct coffer_error *err)
{
	CLEANUP(ext4_map_free) struct ext4_map map = { 0 };
	uint32_t links;
	int r;

	r = ext4_dir_reserve(dir, ext4_dir_tail(dir), err);
	if (r < 0)
		return r;
	ext4_record_stretch(dir, ext4_dir_tail(dir));
	r = ext4_map_write(w, &map, dir->data, (uint32_t)(dir->len / EXT4_BLOCK), err);
	if (r < 0)
		return r;
	/* More subdirectories than the field can count are written as 1 (dir_nlink). */
	links = dir->subdirs + 2 > EXT4_LINKS_MAX ? 1 : dir->subdirs + 2;
	inode->i_links_count = (uint16_t)links;
	inode->i_size = (uint32_t)dir->len;
	return ext4_inode_write(w, dir->ino, inode, &map, xattrs, err);
}

static void ext4_dir_free(struct ext4_writer *w, struct ext4_dir *dir)
{
	struct ext4_dir **link;

	for (link = &w->dirs; *link != dir; link = &(*link)->next)
		;
	*link = dir->next;
	free(dir->data);
	free(dir);
}

int ext4_dir_close(struct ext4_writer *w, struct ext4_dir *dir, const struct ext4_xattrs *xattrs,
		   struct coffer_error *err)
{
	struct ext2_inode_large inode;
	int r;

	ext4_inode_init(w, &inode, &dir->meta, 0);
	r = ext4_dir_write(w, dir, &inode, xattrs, err);
	if (r == 0)
		ext4_dir_free(w, dir);
	return r;
}

int ext4_names_open(struct ext4_writer *w, uint32_t ino, uint32_t parent, struct ext4_dir **out,
		    struct coffer_error *err)
{
	struct ext4_dir *dir = calloc(1, sizeof(*dir));
	int r;

	if (!dir)
		return err_nomem(err);
	dir->ino = ino;
	dir->next = w->dirs;
	w->dirs = dir;
	r = ext4_dir_append(dir, ".", 1, ino, EXT2_FT_DIR, err);
	if (r == 0)
		r = ext4_dir_append(dir, "..", 2, parent, EXT2_FT_DIR, err);
	*out = dir;
	return r;
}

int ext4_names_add(struct ext4_dir *dir, const char *name, size_t len, uint32_t ino, mode_t mode,
		   struct coffer_error *err)
{
	dir->subdirs += S_ISDIR(mode);
	return ext4_dir_add(dir, name, len, ino, ext4_file_type(mode), err);
}

int ext4_names_close(struct ext4_writer *w, struct ext4_dir *dir, struct coffer_error *err)
{
	static const struct ext4_xattrs as_they_are;
	struct ext2_inode_large inode;
	errcode_t code;
	int r;

	code = ext2fs_read_inode_full(w->fs, dir->ino, EXT2_INODE(&inode), sizeof(inode));
	if (code)
		return ext4_fail(err, code, "read inode");
	r = ext4_dir_write(w, dir, &inode, &as_they_are, err);
	if (r == 0)
		ext4_dir_free(w, dir);
	return r;
}

int ext4_node_file(struct ext4_writer *w, const struct ext4_meta *meta, struct ext4_file **out,
		   uint32_t *ino, struct coffer_error *err)
{
	struct ext4_file *file = calloc(1, sizeof(*file));
	int r;

	if (!file)
		return err_nomem(err);
	file->meta = *meta;
	file->next = w->files;
	w->files = file;
	r = ext4_inode_new(w, false, &file->ino, err);
	if (r < 0)
		return r;
	*ino = file->ino;
	*out = file;
	return 0;
}

int ext4_file_open(struct ext4_writer *w, struct ext4_dir *dir, const char *name,
		   const struct ext4_meta *meta, struct ext4_file **out, struct coffer_error *err)
{
	uint32_t ino;
	int r = ext4_node_file(w, meta, out, &ino, err);

	return r < 0 ? r : ext4_dir_add(dir, name, strlen(name), ino, EXT2_FT_REG_FILE, err);
}

int ext4_file_close(struct ext4_writer *w, struct ext4_file *file, uint64_t size,
		    const struct ext4_xattrs *xattrs, uint32_t *ino, struct coffer_error *err)
{
	struct ext2_inode_large inode;
	struct ext4_file **link;
	int r;

	if (size / EXT4_BLOCK > UINT32_MAX - 1)
		return err_set(err, COFFER_ERR_UNSUPPORTED, EFBIG, "file is too large for ext4");
	r = ext4_file_pad(w, file, err);
	if (r < 0)
		return r;
	ext4_inode_init(w, &inode, &file->meta, 1);
	inode.i_size = (uint32_t)size;
	inode.i_size_high = (uint32_t)(size >> 32);
	r = ext4_inode_write(w, file->ino, &inode, &file->map, xattrs, err);
	if (r < 0)
		return r;

	*ino = file->ino;
	for (link = &w->files; *link != file; link = &(*link)->next)
		;
	*link = file->next;
	ext4_map_free(&file->map);
	free(file);
	return 0;
}

int ext4_node_symlink(struct ext4_writer *w, const struct ext4_meta *meta, const char *target,
		      const struct ext4_xattrs *xattrs, uint32_t *ino, struct coffer_error *err)
{
	CLEANUP(ext4_map_free) struct ext4_map map = { 0 };
	uint8_t block[EXT4_BLOCK] = { 0 };
	struct ext2_inode_large inode;
	size_t len = strlen(target);
	bool fast = len <= EXT4_FAST_LINK;
	int r;

	if (!len || len >= EXT4_BLOCK)
		return err_invalid(err, "symbolic link of %zu bytes", len);
	r = ext4_inode_new(w, false, ino, err);
	if (r < 0)
		return r;
	ext4_inode_init(w, &inode, meta, 1);
	inode.i_size = (uint32_t)len;
	if (fast) {
		memcpy(inode.i_block, target, len + 1);
	} else {
		memcpy(block, target, len + 1);
		r = ext4_map_write(w, &map, block, 1, err);
		if (r < 0)
			return r;
	}
	return ext4_inode_write(w, *ino, &inode, fast ? NULL : &map, xattrs, err);
}

int ext4_writer_symlink(struct ext4_writer *w, struct ext4_dir *dir, const char *name,
			const struct ext4_meta *meta, const char *target,
			const struct ext4_xattrs *xattrs, uint32_t *ino, struct coffer_error *err)
{
	int r = ext4_node_symlink(w, meta, target, xattrs, ino, err);

	return r < 0 ? r : ext4_dir_add(dir, name, strlen(name), *ino, EXT2_FT_SYMLINK, err);
}

/* Device numbers have an old form for small ones and a new form for the rest. */
static void ext4_rdev_store(struct ext2_inode_large *inode, dev_t rdev)
{
	uint32_t ma = major(rdev), mi = minor(rdev);

	if (ma < 256 && mi < 256)
		inode->i_block[0] = ma << 8 | mi;
	else
		inode->i_block[1] = (mi & 0xff) | ma << 8 | (mi & ~0xffu) << 12;
}

int ext4_node_create(struct ext4_writer *w, const struct ext4_meta *meta, dev_t rdev,
		     const struct ext4_xattrs *xattrs, uint32_t *ino, struct coffer_error *err)
{
	bool is_dir = S_ISDIR(meta->mode);
	struct ext2_inode_large inode;
	int r;

	r = ext4_inode_new(w, is_dir, ino, err);
	if (r < 0)
		return r;
	ext4_inode_init(w, &inode, meta, is_dir ? 2 : 1);
	if (S_ISCHR(meta->mode) || S_ISBLK(meta->mode))
		ext4_rdev_store(&inode, rdev);
	return ext4_inode_write(w, *ino, &inode, NULL, xattrs, err);
}

int ext4_writer_node(struct ext4_writer *w, struct ext4_dir *dir, const char *name,
		     const struct ext4_meta *meta, dev_t rdev, const struct ext4_xattrs *xattrs,
		     uint32_t *ino, struct coffer_error *err)
{
	int r = ext4_node_create(w, meta, rdev, xattrs, ino, err);

	return r < 0 ? r
		     : ext4_dir_add(dir, name, strlen(name), *ino, ext4_file_type(meta->mode), err);
}

int ext4_writer_link(struct ext4_writer *w, struct ext4_dir *dir, const char *name, uint32_t ino,
		     struct coffer_error *err)
{
	struct ext2_inode_large inode;
	errcode_t code;
	int r;

	code = ext2fs_read_inode_full(w->fs, ino, EXT2_INODE(&inode), sizeof(inode));
	if (code)
		return ext4_fail(err, code, "read inode");
	if (inode.i_links_count >= EXT4_LINKS_MAX)
		return err_sysn(err, EMLINK, "link %s", name);
	r = ext4_dir_add(dir, name, strlen(name), ino, ext4_file_type(inode.i_mode), err);
	if (r < 0)
		return r;
	inode.i_links_count++;
	code = ext2fs_write_inode_full(w->fs, ino, EXT2_INODE(&inode), sizeof(inode));
	return code ? ext4_fail(err, code, "write inode") : 0;
}
