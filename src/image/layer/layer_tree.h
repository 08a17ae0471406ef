/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/layer_tree.h - the names of layers that are laid over each other
 */
#ifndef IMAGE_LAYER_TREE_H
#define IMAGE_LAYER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define LAYER_TREE_ROOT	 1u
#define LAYER_TREE_DEPTH 4096u /* of directories in each other */

/* A name; they are counted from 1, and there may be millions. */
struct layer_name {
	uint32_t parent, child, next; /* child: the first of a directory */
	uint32_t chain;		      /* the next with this hash */
	uint32_t text;		      /* where the name begins */
	uint32_t ino;
	uint16_t layer;	 /* that has put it here */
	uint16_t opaque; /* layer that hid what was in this directory; 0: none */
	uint16_t depth;
	uint8_t type; /* S_IFMT bits shifted down to DT_*; 0: it is not there (any more) */
	uint8_t len;
};

struct layer_tree {
	struct layer_name *names; /* owned */
	uint32_t count, room;
	uint32_t unused; /* list, by next */
	uint32_t *table; /* owned; by hash; a power of two of them */
	uint32_t slots;
	char *text; /* owned */
	uint32_t text_len, text_room;
	uint64_t seed;
};

static inline mode_t layer_name_mode(const struct layer_name *n)
{
	return (mode_t)n->type << 12;
}

/* layer_tree_init() - With a root, a directory */
int layer_tree_init(struct layer_tree *t, uint32_t root_ino, struct coffer_error *err);
void layer_tree_free(struct layer_tree *t);

/* layer_tree_find() - A name that is there, or 0 */
uint32_t layer_tree_find(const struct layer_tree *t, uint32_t dir, const char *name, size_t len);
/* layer_tree_add() - The same, or a new one whose type is 0. Pointers to names are stale then */
int layer_tree_add(struct layer_tree *t, uint32_t dir, const char *name, size_t len, uint32_t *out,
		   struct coffer_error *err);
/* layer_tree_drop() - Forget *@link, a directory's child or a child's next; it has no children */
void layer_tree_drop(struct layer_tree *t, uint32_t *link);

#endif /* IMAGE_LAYER_TREE_H */
