/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/stack.h - what the files of the stack share
 */
#ifndef IMAGE_LAYER_STACK_H
#define IMAGE_LAYER_STACK_H

#include <limits.h>

#include "image/ext4_writer.h"
#include "image/layer/layer_tree.h"
#include "image/layer/reader.h"

struct layer_stack {
	const struct settings_limits *limits; /* borrowed */
	const struct layer_watch *watch;      /* borrowed */
	struct ext4_writer *w;		      /* owned */
	struct layer_tree tree;
	struct layer_used used;
	uint16_t layer; /* under way, from 1 */
	bool failed;
	struct ext4_file *file; /* whose data come; the writer's */
	uint64_t file_size;
	struct ext4_xattr *xattrs; /* its attributes, owned */
	size_t nxattrs;
	char dir_path[PATH_MAX]; /* of the last entry's directory, as the layer has it, */
	uint32_t dir;		 /* and where that is; 0: not known */
};

/* ---- stack_path.c ---- */

/**
 * stack_dir() - The directory that @path's last component is in
 * @make:	Make what is missing
 * @name:	Set to that component
 *
 * Return: 0, -ENOENT without an error filled (not with @make), or negative errno
 */
int stack_dir(struct layer_stack *s, const char *path, bool make, uint32_t *dir, const char **name,
	      struct coffer_error *err);
/* stack_make_dir() - A directory that no layer describes, under a name that is free */
int stack_make_dir(struct layer_stack *s, uint32_t node, struct coffer_error *err);

/* ---- stack_hide.c ---- */

/* stack_remove() - What a name stands for, with all below; the name stays to be used */
int stack_remove(struct layer_stack *s, uint32_t node, struct coffer_error *err);
/* stack_hide() - What layers below have put there: in a directory, or at a name */
int stack_hide_below(struct layer_stack *s, uint32_t dir, struct coffer_error *err);
int stack_hide(struct layer_stack *s, uint32_t node, struct coffer_error *err);

#endif /* IMAGE_LAYER_STACK_H */
