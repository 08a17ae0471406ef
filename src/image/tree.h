/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/tree.h - walking a directory tree that may be hostile or changing
 */
#ifndef IMAGE_TREE_H
#define IMAGE_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"

#define TREE_DEPTH_MAX   256
#define TREE_ENTRIES_MAX (UINT32_C(1) << 24)

struct tree_entry {
	int parent;       /* directory that holds it; for the root the root itself */
	const char *name; /* in that directory; "." for the root */
	struct statx st;
};

/* What is done with the tree. A call that fails ends the walk; the walker adds the path. */
struct tree_ops {
	/* enter() - A directory, before what is in it; leave() ends it */
	int (*enter)(void *data, const struct tree_entry *entry, struct coffer_error *err);
	int (*leave)(void *data, struct coffer_error *err);
	/* entry() - Anything else */
	int (*entry)(void *data, const struct tree_entry *entry, struct coffer_error *err);
};

/**
 * tree_walk() - Visit everything below a directory, each directory's entries sorted by name
 * @dirfd:	The root (borrowed)
 * @ops:	Callbacks
 * @data:	Theirs
 *
 * Symbolic links are entries, never followed.  A directory on which something
 * else is mounted is entered and left at once.
 *
 * Return: 0 or negative errno with @err naming the path
 */
int tree_walk(int dirfd, const struct tree_ops *ops, void *data, struct coffer_error *err);

#endif /* IMAGE_TREE_H */
