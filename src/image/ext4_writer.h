/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4_writer.h - filling a new ext4 image entry by entry
 *
 * For front ends that turn something (a directory, layers) into an image.  Entries are added to directories that are open; a directory's
 * entries reach the image when it is closed, so it is written once and whole.
 *
 *	ext4_writer_open(fd, &format, &w, err);
 *	ext4_dir_open(w, NULL, "", &meta, &root, err);
 *	ext4_file_open(w, root, "motd", &meta, &file, err);
 *	ext4_file_copy(w, file, source, 0, size, err);
 *	ext4_file_close(w, file, size, &xattrs, &ino, err);
 *	ext4_dir_close(w, root, &xattrs, err);
 *	ext4_writer_finish(w, err);
 *	ext4_writer_free(w);
 */
#ifndef IMAGE_EXT4_WRITER_H
#define IMAGE_EXT4_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/error.h"

#define EXT4_BLOCK       4096u
#define EXT4_NAME_MAX    255u
#define EXT4_FAST_LINK   59u    /* longest symbolic link kept in the inode */
#define EXT4_LINKS_MAX   65000u /* hard links of a file */
#define EXT4_XATTR_MAX   65536u
#define EXT4_TREE_LEAF   340u   /* extents in a block of an extent tree */
#define EXT4_TREE_INLINE 4u     /* extents in the inode */

#define EXT4_BYTES_PER_INODE 16384u /* of free space: how many files it is expected to hold */

struct ext4_writer;
struct ext4_dir;
struct ext4_file;

struct ext4_format {
	uint64_t blocks; /* size of the image, or, if @grow, blocks that entries will need */
	bool grow;       /* add what the file system needs for itself */
	uint32_t inodes; /* at least so many, the root's not counted */
	bool reproducible;
	int64_t epoch; /* time of creation when reproducible */
	/* For what is not known beforehand, and laid over each other: room for more than an image
	 * will have, of which ext4_writer_trim() takes the rest away. Times of files are kept.
	 * @blocks and @inodes mean nothing. */
	bool layers;
};

struct ext4_meta {
	mode_t mode;
	uint32_t uid, gid;
	struct timespec atime, mtime, ctime;
};

struct ext4_xattr {
	const char *name;  /* whole, with prefix: "security.capability" */
	const void *value; /* as getxattr(2) gives it */
	size_t len;
};

struct ext4_xattrs {
	const struct ext4_xattr *list;
	size_t count;
};

/* ext4_dirent_len() - Bytes an entry with a name so long takes in its directory */
static inline size_t ext4_dirent_len(size_t name_len)
{
	return (8 + name_len + 3) & ~(size_t)3;
}

/**
 * ext4_writer_open() - Format @fd (borrowed), a regular file; what it held is lost
 *
 * Return: 0 or negative errno with @err filled
 */
int ext4_writer_open(int fd, const struct ext4_format *format, struct ext4_writer **out,
		     struct coffer_error *err);
/* ext4_writer_finish() - Write what is still in memory. All directories must be closed */
int ext4_writer_finish(struct ext4_writer *w, struct coffer_error *err);
/* ext4_writer_free() - Also frees directories and files that are still open */
void ext4_writer_free(struct ext4_writer *w);
DEFINE_CLEANUP(struct ext4_writer *, ext4_writer_free);

/**
 * ext4_dir_open() - Add a directory
 * @parent:	Open directory; NULL for the root, which comes first and once
 * @name:	Name in @parent; ignored for the root
 * @out:	Set to the directory, owned by @w until ext4_dir_close()
 */
int ext4_dir_open(struct ext4_writer *w, struct ext4_dir *parent, const char *name,
		  const struct ext4_meta *meta, struct ext4_dir **out, struct coffer_error *err);
/* ext4_dir_close() - Write it; all directories below must have been closed */
int ext4_dir_close(struct ext4_writer *w, struct ext4_dir *dir, const struct ext4_xattrs *xattrs,
		   struct coffer_error *err);

/* ext4_file_open() - Add a regular file. @out: owned by @w until ext4_file_close() */
int ext4_file_open(struct ext4_writer *w, struct ext4_dir *dir, const char *name,
		   const struct ext4_meta *meta, struct ext4_file **out, struct coffer_error *err);
/**
 * ext4_file_copy() - Copy a range of the source; ranges come in rising order, the rest is a hole
 * @fd:		Source (borrowed), read by offset
 * @off:	Place in the source and in the file, a multiple of EXT4_BLOCK
 * @len:	Bytes; a source that ends earlier is an error
 */
int ext4_file_copy(struct ext4_writer *w, struct ext4_file *file, int fd, uint64_t off,
		   uint64_t len, struct coffer_error *err);
/* ext4_file_close() - Write the inode. @ino: set to its number, for ext4_writer_link() */
int ext4_file_close(struct ext4_writer *w, struct ext4_file *file, uint64_t size,
		    const struct ext4_xattrs *xattrs, uint32_t *ino, struct coffer_error *err);

int ext4_writer_symlink(struct ext4_writer *w, struct ext4_dir *dir, const char *name,
			const struct ext4_meta *meta, const char *target,
			const struct ext4_xattrs *xattrs, uint32_t *ino, struct coffer_error *err);
/* ext4_writer_node() - A device (numbers in @rdev), fifo or socket, by the type in @meta->mode */
int ext4_writer_node(struct ext4_writer *w, struct ext4_dir *dir, const char *name,
		     const struct ext4_meta *meta, dev_t rdev, const struct ext4_xattrs *xattrs,
		     uint32_t *ino, struct coffer_error *err);
/* ext4_writer_link() - One more name for @ino, which is not a directory */
int ext4_writer_link(struct ext4_writer *w, struct ext4_dir *dir, const char *name, uint32_t ino,
		     struct coffer_error *err);

/*
 * Inodes that get their names later, or never.
 *
 * What is laid over something else takes its place; only in the end is it
 * known which names there are.  Then each directory gets its names at once.
 */

/* ext4_node_create() - A directory, device, fifo or socket, by the type in @meta->mode */
int ext4_node_create(struct ext4_writer *w, const struct ext4_meta *meta, dev_t rdev,
		     const struct ext4_xattrs *xattrs, uint32_t *ino, struct coffer_error *err);
int ext4_node_symlink(struct ext4_writer *w, const struct ext4_meta *meta, const char *target,
		      const struct ext4_xattrs *xattrs, uint32_t *ino, struct coffer_error *err);
/* ext4_node_file() - As ext4_file_open(). @ino: its number already */
int ext4_node_file(struct ext4_writer *w, const struct ext4_meta *meta, struct ext4_file **out,
		   uint32_t *ino, struct coffer_error *err);
/* ext4_file_write() - Bytes at rising offsets; what is left out is a hole */
int ext4_file_write(struct ext4_writer *w, struct ext4_file *file, const void *data, size_t len,
		    uint64_t off, struct coffer_error *err);
/* ext4_node_link() - One more name than before; ext4_node_unlink(): one less. What had one only, and
 * every directory, is gone then */
int ext4_node_link(struct ext4_writer *w, uint32_t ino, struct coffer_error *err);
int ext4_node_unlink(struct ext4_writer *w, uint32_t ino, struct coffer_error *err);
/* ext4_node_change() - Give a directory new attributes */
int ext4_node_change(struct ext4_writer *w, uint32_t ino, const struct ext4_meta *meta,
		     const struct ext4_xattrs *xattrs, struct coffer_error *err);
/* ext4_node_target() - What a symbolic link says, into @buf with EXT4_BLOCK bytes */
int ext4_node_target(struct ext4_writer *w, uint32_t ino, char *buf, struct coffer_error *err);

/* ext4_names_open() - Begin a directory's names; once for each. @parent: its own for the root */
int ext4_names_open(struct ext4_writer *w, uint32_t ino, uint32_t parent, struct ext4_dir **out,
		    struct coffer_error *err);
/* ext4_names_add() - @mode: its type is enough */
int ext4_names_add(struct ext4_dir *dir, const char *name, size_t len, uint32_t ino, mode_t mode,
		   struct coffer_error *err);
int ext4_names_close(struct ext4_writer *w, struct ext4_dir *dir, struct coffer_error *err);

/* ext4_writer_trim() - Before the end: leave only @reserve blocks behind the last that is used */
int ext4_writer_trim(struct ext4_writer *w, uint32_t reserve, struct coffer_error *err);

#endif /* IMAGE_EXT4_WRITER_H */
