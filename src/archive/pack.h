/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive/pack.h - a file or a tree as a pax archive
 */
#ifndef ARCHIVE_PACK_H
#define ARCHIVE_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct pack_options {
	bool gzip;
	bool alone; /* file systems mounted below @node are left out; of a directory its own entry
		     * stays */
	bool layer; /* @node is an overlay's upper directory: as a layer of an image says it, so
		     * names that begin with ".wh." are refused */
	const char *root; /* the name of @node in the archive; NULL: only what is in the directory */
	const char *const *without; /* names in the archive that are left out; NULL-terminated or
				     * NULL */
};

/**
 * pack_tree() - Write @node and all below it to @fd
 * @fd:		Blocking, borrowed
 * @node:	O_PATH descriptor, borrowed: a directory, file, symbolic link ...
 * @bytes:	What was written, may be NULL
 *
 * No link is followed and no device or fifo opened; sockets are left out, as
 * are the insides of procfs and its like below @node.
 */
int pack_tree(int fd, int node, const struct pack_options *o, uint64_t *bytes,
	      struct coffer_error *err);

#endif /* ARCHIVE_PACK_H */
