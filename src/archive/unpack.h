/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive/unpack.h - what a tar archive holds, made below a directory and nowhere else
 */
#ifndef ARCHIVE_UNPACK_H
#define ARCHIVE_UNPACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct unpack_options {
	bool gzip;	  /* may be compressed; else it must be plain */
	bool cpio;	  /* as kernels unpack at boot, instead of tar */
	bool keep_owners; /* of the archive; else what is made belongs to us */
	bool keep_types;  /* refuse to replace a directory by something else, and reverse */
	bool absolute;	  /* a leading slash means @dest; else such a name is refused */
	bool rooted;	  /* @dest is "/" to links; else none that leads out of it is followed */
	/* All entries are below one that comes first, and that is called so in @dest; "": it is
	 * @dest itself. NULL: names are as they are. */
	const char *root;
	/*
	 * Whoever made it is to gain nothing by it: links are not followed at all, directories that
	 * are there stay as they are, hard links are to files of the archive only, and nothing may
	 * come after its end.  Devices are left out, and without keep_owners also set-user-id bits
	 * and attributes that give rights.
	 */
	bool distrust;
};

struct unpack_done {
	uint64_t entries; /* of the archive */
	uint64_t bytes;   /* read, padding included */
};

/**
 * unpack_tree() - Read an archive from @fd to the end of the file and make its entries
 * @fd:		Blocking, borrowed
 * @dest:	Directory, borrowed; may be O_PATH
 * @done:	May be NULL
 *
 * Formats: pax, ustar, old tar, GNU's with long names and holes.  The first
 * entry that is refused or fails ends it, and the error names it.  What was
 * made by then stays, but for a file that is not whole.
 */
int unpack_tree(int fd, int dest, const struct unpack_options *o, struct unpack_done *done,
		struct coffer_error *err);

#endif /* ARCHIVE_UNPACK_H */
