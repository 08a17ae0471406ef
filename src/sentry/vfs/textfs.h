/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/textfs.h - file systems whose files are texts made when they are read
 *
 * procfs, sysfs and cgroupfs are tables of entries: a name, a mode, and functions that print or take
 * a text. Directories of the table are fixed; one may have more that come and go (processes,
 * descriptors), for which it gives find() and next().
 */
#ifndef SENTRY_VFS_TEXTFS_H
#define SENTRY_VFS_TEXTFS_H

#include "base/buf.h"
#include "sentry/vfs/vfs.h"

struct textfs_entry;

/* Whom an entry below a directory of things that come and go is about. */
struct textfs_key {
	int pid;	/* 0: nobody */
	int tid;
	int fd;
	usec_t started; /* of the process: its number may be another's later */
};

struct textfs_node {
	struct inode inode; /* first */
	const struct textfs_entry *entry;
	struct textfs_key key;
};

struct textfs_found {
	const struct textfs_entry *entry;
	struct textfs_key key;
	char name[24];
};

struct textfs_dir {
	const struct textfs_entry *entries;
	size_t nentries;
	/* Beside the entries; NULL: nothing. Return: 0, -ENOENT */
	int (*find)(struct textfs_node *dir, const char *name, struct textfs_found *out);
	/* The one at *@cursor (0 at first) or the first behind, and where to look for the next.
	 * Return: 0, -ENOENT: no more */
	int (*next)(struct textfs_node *dir, uint64_t *cursor, struct textfs_found *out);
};

/* One of text, show, link and dir. */
struct textfs_entry {
	const char *name;
	uint32_t mode;	  /* with S_IFMT */
	const char *text; /* always the same */
	/* No lock is held; the reader is task_current. Return: 0 or what read(2) fails with */
	int (*show)(struct textfs_node *node, struct buf *out);
	/* @text is one write(2), terminated. NULL: writing fails with -EINVAL */
	int (*store)(struct textfs_node *node, const char *text, size_t len);
	int (*link)(struct textfs_node *node, char *buf, size_t size); /* length */
	int (*follow)(struct textfs_node *node, struct task *task, struct vfs_path *out);
	const struct textfs_dir *dir;
};

#define TEXTFS_DIR(entries_) { .entries = (entries_), .nentries = ARRAY_SIZE(entries_) }
#define TEXTFS_TEXT(name_, text_) { .name = (name_), .mode = S_IFREG | 0444, .text = (text_) }
#define TEXTFS_SHOW(name_, show_) { .name = (name_), .mode = S_IFREG | 0444, .show = (show_) }

struct textfs_type {
	struct super_ops ops; /* TEXTFS_OPS */
	struct textfs_entry root;
	long magic;    /* statfs(2) */
	off_t size;    /* of files, as stat(2) says */
	/* NULL: root. Return: 0; -ENOENT: whom it is about is gone */
	int (*owner)(struct textfs_node *node, uint32_t *uid, uint32_t *gid);
};

int textfs_statfs(struct super *super, struct statfs *out);
void textfs_free(struct super *super);
#define TEXTFS_OPS(type_) { .type = (type_), .statfs = textfs_statfs, .free = textfs_free }

/* textfs_new() - @type lives on; @container may be NULL */
int textfs_new(const struct textfs_type *type, struct sandbox_container *container,
	       struct super **out);
struct sandbox_container *textfs_container(const struct textfs_node *node);

#endif /* SENTRY_VFS_TEXTFS_H */
