/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4.h - ext4 images made without root, without mounting, without helper programs
 */
#ifndef IMAGE_EXT4_H
#define IMAGE_EXT4_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define EXT4_JOURNAL_MIN (8u << 20) /* bytes */

/* Whose the files are in the image. */
enum ext4_owner {
	EXT4_OWNER_AS_IS,          /* the ids seen on disk */
	EXT4_OWNER_CALLER_TO_ROOT, /* the same, but the caller's own user and group become 0 */
};

struct ext4_build_args {
	uint64_t extra_bytes; /* free space beyond what the tree needs */
	enum ext4_owner owner;
	/* Equal trees give equal images: fixed UUID, and no time later than @epoch (seconds, not
	 * 0) or that reading the tree could change. */
	bool reproducible;
	int64_t epoch;
	/* Asked often, NULL: never; once it says so, the build fails with -ECANCELED. */
	bool (*is_cancelled)(void *data);
	void *data;
};

/**
 * ext4_build_from_dir() - Write a directory tree as an ext4 image
 * @dirfd:	The tree's root (readable descriptor, borrowed)
 * @out_fd:	A regular file open for reading and writing (borrowed); what it held is lost
 * @args:	See above
 *
 * The image is sparse and has no journal.  The tree is walked by descriptors
 * and never followed out of; directories on which something else is mounted
 * come out empty.  The file is not synced to disk.
 *
 * Return: 0 or negative errno with @err naming the path that failed
 */
int ext4_build_from_dir(int dirfd, int out_fd, const struct ext4_build_args *args,
			struct coffer_error *err);

/**
 * ext4_create_empty() - Write an empty ext4 image, for a writable layer
 * @out_fd:	A regular file open for reading and writing (borrowed); what it held is lost
 * @size:	The image's size in bytes
 * @journal:	Give it a journal; the smallest image that can have one is EXT4_JOURNAL_MIN
 *
 * Return: 0 or negative errno
 */
int ext4_create_empty(int out_fd, uint64_t size, bool journal, struct coffer_error *err);

#endif /* IMAGE_EXT4_H */
