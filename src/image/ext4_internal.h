/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4_internal.h - what the files of the ext4 writer share
 */
#ifndef IMAGE_EXT4_INTERNAL_H
#define IMAGE_EXT4_INTERNAL_H

/* The library's inline helpers convert freely. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wshadow"
#include <ext2fs/ext2fs.h>
#include <ext2fs/ext3_extents.h>
#pragma GCC diagnostic pop

#include "image/ext4_writer.h"

struct ext4_extent {
	uint32_t logical;
	uint32_t count;
	uint64_t physical;
};

/* Where the bytes of an inode lie; runs that touch are merged. */
struct ext4_map {
	struct ext4_extent *list; /* owned */
	size_t count;
	size_t room;
	uint64_t blocks; /* sum of the runs */
};

struct ext4_file {
	ext2_ino_t ino;
	struct ext4_meta meta;
	struct ext4_map map;
	uint64_t pos;	  /* where ext4_file_write() ended, */
	uint64_t tail_at; /* and where that is in the image, inside a block */
	struct ext4_file *next; /* in ext4_writer.files */
};

struct ext4_dir {
	ext2_ino_t ino;
	struct ext4_dir *parent; /* borrowed; NULL for the root */
	struct ext4_meta meta;
	uint32_t subdirs;
	uint8_t *data; /* owned; records as they stand on disk */
	size_t len;
	size_t room;
	size_t last;           /* offset of the last record, whose length ends at @len */
	struct ext4_dir *next; /* in ext4_writer.dirs */
};

struct ext4_writer {
	int fd;          /* borrowed */
	ext2_filsys fs;  /* owned */
	blk64_t goal;    /* where to look for free blocks first */
	ext2_ino_t last; /* the last inode given out */
	bool no_copy_range;
	bool reproducible;
	int64_t epoch;
	bool layers;
	ext2_ino_t reached; /* with layers: up to this one the file is long enough for inodes */
	uint64_t final_blocks; /* to which the file is cut in the end; 0: it is not */
	/* Blocks of inodes that are no more, which the library may still have to write. */
	ext2fs_block_bitmap late; /* owned; NULL: none */
	uint8_t *pending; /* owned, EXT4_PENDING bytes: not written yet */
	size_t pending_len;
	uint64_t pending_at;
	struct ext4_dir *dirs;   /* open ones, owned */
	struct ext4_file *files; /* open ones, owned */
	uint8_t *buffer;         /* owned, EXT4_COPY_BUFFER bytes */
};

#define EXT4_COPY_BUFFER ((size_t)256 << 10)
#define EXT4_PENDING	 ((size_t)256 << 10)

/* ext4_fail() - Fill @err from a libext2fs code met in doing @what. Return: negative errno */
int ext4_fail(struct coffer_error *err, errcode_t code, const char *what);

/* ext4_out() - Write to the image, now or with what comes next; ext4_out_flush(): now */
int ext4_out(struct ext4_writer *w, const uint8_t *data, size_t len, uint64_t to,
	     struct coffer_error *err);
int ext4_out_flush(struct ext4_writer *w, struct coffer_error *err);

/* ext4_map_append() - Find room for up to @want blocks at @logical. @run: set to what was found */
int ext4_map_append(struct ext4_writer *w, struct ext4_map *map, uint64_t logical, uint64_t want,
		    struct ext4_extent *run, struct coffer_error *err);
/* ext4_map_write() - Append whole blocks of memory from logical block 0 on */
int ext4_map_write(struct ext4_writer *w, struct ext4_map *map, const uint8_t *data,
		   uint32_t blocks, struct coffer_error *err);
/* ext4_map_store() - Put the map into the inode, as an extent tree when it does not fit */
int ext4_map_store(struct ext4_writer *w, const struct ext4_map *map, ext2_ino_t ino,
		   struct ext2_inode_large *inode, struct coffer_error *err);
void ext4_map_free(struct ext4_map *map);

/* ext4_inode_reach() - With layers: make the file as long as reading @ino takes */
int ext4_inode_reach(struct ext4_writer *w, ext2_ino_t ino, struct coffer_error *err);
/* ext4_inode_new() - Number of a fresh inode, marked used. Return: 0 or negative errno */
int ext4_inode_new(struct ext4_writer *w, bool is_dir, ext2_ino_t *ino, struct coffer_error *err);
/* ext4_inode_init() - An inode with @meta and @links, nothing else */
void ext4_inode_init(const struct ext4_writer *w, struct ext2_inode_large *inode,
		     const struct ext4_meta *meta, uint32_t links);
/* ext4_inode_write() - Store @inode with its content's @map and its attributes */
int ext4_inode_write(struct ext4_writer *w, ext2_ino_t ino, struct ext2_inode_large *inode,
		     const struct ext4_map *map, const struct ext4_xattrs *xattrs,
		     struct coffer_error *err);

/* ext4_dir_add() - A name of a file of this type (EXT2_FT_*) */
int ext4_dir_add(struct ext4_dir *dir, const char *name, size_t len, ext2_ino_t ino, uint8_t type,
		 struct coffer_error *err);
uint8_t ext4_file_type(mode_t mode);
/* ext4_file_pad() - Zeroes from the end of what was written to the end of its block */
int ext4_file_pad(struct ext4_writer *w, struct ext4_file *file, struct coffer_error *err);
/* ext4_late_release() - Give back the blocks that waited for it */
int ext4_late_release(struct ext4_writer *w, struct coffer_error *err);

#endif /* IMAGE_EXT4_INTERNAL_H */
