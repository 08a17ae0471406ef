/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/unpack.h - one layer over a directory; inside the room
 */
#ifndef IMAGE_LAYER_UNPACK_H
#define IMAGE_LAYER_UNPACK_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/inode_map.h"
#include "image/layer/reader.h"

/* Marks of a directory in unpack.made, beside hashes of names. */
enum unpack_mark {
	UNPACK_KNOWN = 1, /* its times are remembered */
	UNPACK_SWEPT,	  /* there is only this layer's in it */
};

/* A directory whose times are still to be set. */
struct unpack_late {
	char *path; /* owned */
	dev_t dev;
	ino_t ino;
	struct timespec mtime;
};

struct unpack {
	int dir; /* borrowed; what the layer is laid over */
	bool chown;
	int parent_fd;	       /* owned; O_PATH of the directory that the entry is in; -1: none */
	char parent[PATH_MAX]; /* its path */
	ino_t parent_ino;
	const char *name;	  /* the entry's in it; valid during the call */
	struct unpack_late *late; /* owned */
	size_t nlate, late_room;
	/* Names of this layer, which its own whiteouts spare: a directory's number and a hash. */
	struct inode_map made;
	/* The file that data comes for. */
	int file_fd; /* owned; -1: none */
	uint64_t file_size, file_end;
	mode_t file_mode;
	uid_t file_uid;
	gid_t file_gid;
	struct timespec file_mtime;
	struct ext4_xattr *file_xattrs; /* owned, in one piece */
	size_t file_nxattrs;
};

/* ---- unpack_make.c ---- */

/* unpack_make() - What is no link, under its name in the parent */
int unpack_make(struct unpack *u, const struct layer_entry *e, struct coffer_error *err);
/* unpack_make_link() - A hard link to @name in @dir */
int unpack_make_link(struct unpack *u, int dir, const char *name, const struct layer_entry *e,
		     struct coffer_error *err);
/* unpack_make_root() - Owner, mode and so on of the directory itself */
int unpack_make_root(struct unpack *u, const struct layer_entry *e, struct coffer_error *err);
/* unpack_make_bare() - Make the directory @fd one that no layer describes */
int unpack_make_bare(const struct unpack *u, int fd, struct coffer_error *err);
/* Of struct layer_ops. */
int unpack_file_data(void *data, const void *bytes, size_t n, uint64_t off,
		     struct coffer_error *err);
int unpack_file_end(void *data, struct coffer_error *err);
void unpack_file_drop(struct unpack *u);

/* ---- unpack_hide.c ---- */

/* unpack_hide_spare() - The name in the parent is of this layer */
int unpack_hide_spare(struct unpack *u, struct coffer_error *err);
/* unpack_hide_name() - Remove what lower layers have under the name in the parent. -ENOENT without
 * an error filled: nothing */
int unpack_hide_name(struct unpack *u, struct coffer_error *err);
/* unpack_hide_below() - Likewise all that they have in the directory @fd, which is closed; a
 * negative one: there is none */
int unpack_hide_below(struct unpack *u, int fd, struct coffer_error *err);

/* ---- unpack.c ---- */

/* unpack_remember() - The directory @fd, called @path, gets its time at the end. @mtime: NULL: what
 * it has now */
int unpack_remember(struct unpack *u, const char *path, int fd, const struct timespec *mtime,
		    struct coffer_error *err);

#endif /* IMAGE_LAYER_UNPACK_H */
