/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive/unpack_entry.h - one entry of an archive, made in a directory
 */
#ifndef ARCHIVE_UNPACK_ENTRY_H
#define ARCHIVE_UNPACK_ENTRY_H

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/inode_map.h"

struct unpack_entry {
	struct archive *archive;     /* for a file's data; borrowed */
	struct archive_entry *entry; /* borrowed */
	int dir;		     /* where it is made; borrowed, may be O_PATH */
	const char *name;	     /* one component */
	int link_dir;		     /* a hard link's target, likewise; else -1 */
	const char *link_name;
	bool keep_types, keep_owners, distrust; /* as in unpack_options */
	struct inode_map *made; /* with distrust: files of the archive; borrowed */
	uint64_t *fruitless;	/* of struct unpack; data sets it back; borrowed */
	uid_t uid;		      /* it shall have */
	gid_t gid;
	bool chown; /* it does not get them by itself */
	/* Filled. */
	bool removed; /* something else was there: descriptors of directories may be stale */
	bool is_dir;
	struct stat dir_st;	   /* a directory's; its times are the caller's to set, at the end, */
	struct timespec times[2];
	mode_t dir_mode; /* and its mode, if it is not this now */
};

/* unpack_entry_make() - Return: 0 or negative errno; the error does not name the entry */
int unpack_entry_make(struct unpack_entry *u, struct coffer_error *err);

/* unpack_entry_damaged() - What libarchive says is wrong with the archive */
int unpack_entry_damaged(struct archive *a, struct coffer_error *err);

#endif /* ARCHIVE_UNPACK_ENTRY_H */
