/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/layer_stack.c - layers, from the bottom up, into an ext4 image
 *
 *	layer_read() --> names: layer_tree; inodes and data: the image, at once
 *	at the end: each directory's names, then the image is cut to what it has
 *
 * Nothing is ever unpacked anywhere else, and nothing of a file is in memory but
 * its name.  What a layer replaces or hides gives its blocks back while the
 * image grows.  The image depends on the layers' entries and their order alone.
 *
 * Directories that no layer describes belong to root, have the mode 0755 and
 * are from 1970.
 *
 * One thread.  Callers: the building of roots.
 */
#include "image/layer/layer.h"

#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "image/layer/stack.h"

#define STACK_ROOT_INO	 2u
#define STACK_LAYERS_MAX UINT16_MAX
#define STACK_RESERVE	 64u /* blocks */
#define STACK_EPOCH	 1 /* when it was made; 0 would be now */

static struct ext4_meta stack_meta(const struct layer_entry *e)
{
	return (struct ext4_meta){ .mode = e->mode,
				   .uid = e->uid,
				   .gid = e->gid,
				   .atime = e->mtime,
				   .mtime = e->mtime,
				   .ctime = e->mtime };
}

/* ---- entries ---- */

/* A name for @e, with nothing there any more but a directory that @e is, too. */
static int stack_place(struct layer_stack *s, const struct layer_entry *e, uint32_t *node,
		       struct coffer_error *err)
{
	const char *name = NULL;
	uint32_t dir = 0;
	int r;

	if (!*e->path) {
		*node = LAYER_TREE_ROOT;
		return 0;
	}
	r = stack_dir(s, e->path, true, &dir, &name, err);
	if (r == 0)
		r = layer_tree_add(&s->tree, dir, name, strlen(name), node, err);
	if (r < 0)
		return r;
	if (e->kind == LAYER_DIR && S_ISDIR(layer_name_mode(&s->tree.names[*node])))
		return 0;
	return stack_remove(s, *node, err);
}

static void stack_name(struct layer_stack *s, uint32_t node, mode_t mode, uint32_t ino)
{
	struct layer_name *n = &s->tree.names[node];

	n->type = (uint8_t)((mode & S_IFMT) >> 12);
	n->ino = ino;
	n->layer = s->layer;
}

static int stack_add_dir(struct layer_stack *s, const struct layer_entry *e, uint32_t node,
			 struct coffer_error *err)
{
	struct ext4_meta meta = stack_meta(e);
	uint32_t ino = s->tree.names[node].ino;
	int r;

	if (s->tree.names[node].type)
		r = ext4_node_change(s->w, ino, &meta, &e->xattrs, err);
	else
		r = ext4_node_create(s->w, &meta, 0, &e->xattrs, &ino, err);
	if (r == 0)
		stack_name(s, node, e->mode, ino);
	return r;
}

static void stack_drop_xattrs(struct layer_stack *s)
{
	for (size_t i = 0; i < s->nxattrs; i++) {
		free((void *)(uintptr_t)s->xattrs[i].name);
		free((void *)(uintptr_t)s->xattrs[i].value);
	}
	s->nxattrs = 0;
}

/* The reader's are gone when the file is whole. */
static int stack_keep_xattrs(struct layer_stack *s, const struct ext4_xattrs *x,
			     struct coffer_error *err)
{
	stack_drop_xattrs(s);
	for (size_t i = 0; i < x->count; i++) {
		char *name = strdup(x->list[i].name);
		void *value = malloc(x->list[i].len + 1);

		s->xattrs[s->nxattrs++] =
			(struct ext4_xattr){ .name = name, .value = value, .len = x->list[i].len };
		if (!name || !value)
			return err_nomem(err);
		memcpy(value, x->list[i].value, x->list[i].len);
	}
	return 0;
}

static int stack_add_file(struct layer_stack *s, const struct layer_entry *e, uint32_t node,
			  struct coffer_error *err)
{
	struct ext4_meta meta = stack_meta(e);
	uint32_t ino;
	int r;

	r = ext4_node_file(s->w, &meta, &s->file, &ino, err);
	if (r == 0)
		r = stack_keep_xattrs(s, &e->xattrs, err);
	if (r < 0)
		return r;
	s->file_size = e->size;
	stack_name(s, node, e->mode, ino);
	return 0;
}

static int stack_add_symlink(struct layer_stack *s, const struct layer_entry *e, uint32_t node,
			     struct coffer_error *err)
{
	struct ext4_meta meta = stack_meta(e);
	uint32_t ino;
	int r = ext4_node_symlink(s->w, &meta, e->target, &e->xattrs, &ino, err);

	if (r == 0)
		stack_name(s, node, e->mode, ino);
	return r;
}

static int stack_add_node(struct layer_stack *s, const struct layer_entry *e, uint32_t node,
			  struct coffer_error *err)
{
	struct ext4_meta meta = stack_meta(e);
	uint32_t ino;
	int r = ext4_node_create(s->w, &meta, e->rdev, &e->xattrs, &ino, err);

	if (r == 0)
		stack_name(s, node, e->mode, ino);
	return r;
}

static uint32_t stack_find(struct layer_stack *s, const char *path, int *r,
			   struct coffer_error *err)
{
	const char *name = NULL;
	uint32_t dir = 0;

	*r = stack_dir(s, path, false, &dir, &name, err);
	if (*r == -ENOENT)
		*r = 0;
	else if (*r == 0)
		return layer_tree_find(&s->tree, dir, name, strlen(name));
	return 0;
}

static int stack_link(struct layer_stack *s, const struct layer_entry *e, struct coffer_error *err)
{
	uint32_t target, node = 0, ino;
	mode_t mode;
	int r;

	target = stack_find(s, e->target, &r, err);
	if (r == 0 && !target)
		r = err_invalid(err, "it is not there");
	mode = layer_name_mode(&s->tree.names[target]);
	ino = s->tree.names[target].ino;
	if (r == 0 && S_ISDIR(mode))
		r = err_invalid(err, "it is a directory");
	/* Before what may be its last name is taken away. */
	if (r == 0)
		r = ext4_node_link(s->w, ino, err);
	if (r < 0)
		return err_wrap(err, "link to \"%.200s\"", e->target);
	r = stack_place(s, e, &node, err);
	if (r == 0)
		stack_name(s, node, mode, ino);
	return r;
}

static int stack_whiteout(struct layer_stack *s, const struct layer_entry *e,
			  struct coffer_error *err)
{
	bool opaque = e->kind == LAYER_OPAQUE;
	uint32_t node = LAYER_TREE_ROOT;
	char path[PATH_MAX + 2];
	int r = 0;

	/* What is in a directory is also where the directory is a link to. */
	if (*e->path && opaque) {
		snprintf(path, sizeof(path), "%s/.", e->path);
		r = stack_dir(s, path, false, &node, &(const char *){ NULL }, err);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
	} else if (*e->path) {
		node = stack_find(s, e->path, &r, err);
	}
	if (r < 0 || !node)
		return r;
	return opaque ? stack_hide_below(s, node, err) : stack_hide(s, node, err);
}

typedef int (*stack_adder)(struct layer_stack *s, const struct layer_entry *e, uint32_t node,
			   struct coffer_error *err);

static int stack_entry(void *data, const struct layer_entry *e, struct coffer_error *err)
{
	static const stack_adder adders[] = {
		[LAYER_DIR] = stack_add_dir,
		[LAYER_FILE] = stack_add_file,
		[LAYER_SYMLINK] = stack_add_symlink,
		[LAYER_NODE] = stack_add_node,
	};
	struct layer_stack *s = data;
	uint32_t node = 0;
	int r;

	if (e->kind == LAYER_WHITEOUT || e->kind == LAYER_OPAQUE)
		return stack_whiteout(s, e, err);
	if (e->kind == LAYER_HARDLINK)
		return stack_link(s, e, err);
	r = stack_place(s, e, &node, err);
	return r < 0 ? r : adders[e->kind](s, e, node, err);
}

static int stack_data(void *data, const void *bytes, size_t n, uint64_t off,
		      struct coffer_error *err)
{
	struct layer_stack *s = data;

	return ext4_file_write(s->w, s->file, bytes, n, off, err);
}

static int stack_end(void *data, struct coffer_error *err)
{
	struct layer_stack *s = data;
	struct ext4_xattrs xattrs = { .list = s->xattrs, .count = s->nxattrs };
	uint32_t ino;

	return ext4_file_close(s->w, s->file, s->file_size, &xattrs, &ino, err);
}

/* ---- the stack ---- */

int layer_stack_new(int fd, const struct settings_limits *limits, const struct layer_watch *watch,
		    struct layer_stack **out, struct coffer_error *err)
{
	static const struct ext4_format format = { .layers = true, .reproducible = true,
						   .epoch = STACK_EPOCH };
	static const struct ext4_meta root = { .mode = S_IFDIR | 0755 };
	static const struct ext4_xattrs none;
	CLEANUP(layer_stack_freep) struct layer_stack *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_nomem(err);
	s->limits = limits;
	s->watch = watch;
	s->xattrs = calloc(LAYER_XATTRS_MAX, sizeof(*s->xattrs));
	if (!s->xattrs)
		return err_nomem(err);
	r = layer_tree_init(&s->tree, STACK_ROOT_INO, err);
	if (r == 0)
		r = ext4_writer_open(fd, &format, &s->w, err);
	if (r == 0)
		r = ext4_node_change(s->w, STACK_ROOT_INO, &root, &none, err);
	if (r == 0)
		*out = steal_ptr(s);
	return r;
}

int layer_stack_add(struct layer_stack *s, const struct layer_source *layer,
		    struct digest *diff_id, struct coffer_error *err)
{
	static const struct layer_ops ops = { .entry = stack_entry,
					      .data = stack_data,
					      .end = stack_end };
	int r;

	if (s->failed)
		return err_state(err, "a layer before this one has failed");
	if (s->layer == STACK_LAYERS_MAX)
		return err_unsupported(err, "too many layers");
	s->layer++;
	s->dir = 0;
	r = layer_read(layer, s->limits, &s->used, s->watch, &ops, s, diff_id, err);
	s->failed = r < 0;
	return r;
}

static int stack_write_dir(struct layer_stack *s, uint32_t node, struct coffer_error *err)
{
	const struct layer_name *names = s->tree.names, *n = &names[node];
	uint32_t parent = node == LAYER_TREE_ROOT ? n->ino : names[n->parent].ino;
	struct ext4_dir *dir;
	int r;

	r = ext4_names_open(s->w, n->ino, parent, &dir, err);
	for (uint32_t i = n->child; i && r == 0; i = names[i].next)
		if (names[i].type)
			r = ext4_names_add(dir, s->tree.text + names[i].text, names[i].len,
					   names[i].ino, layer_name_mode(&names[i]), err);
	return r < 0 ? r : ext4_names_close(s->w, dir, err);
}

int layer_stack_finish(struct layer_stack *s, struct coffer_error *err)
{
	int r = 0;

	if (s->failed)
		return err_state(err, "a layer has failed");
	for (uint32_t i = LAYER_TREE_ROOT; i < s->tree.count && r == 0; i++)
		if (S_ISDIR(layer_name_mode(&s->tree.names[i])))
			r = stack_write_dir(s, i, err);
	if (r == 0)
		r = ext4_writer_trim(s->w, STACK_RESERVE, err);
	if (r == 0)
		r = ext4_writer_finish(s->w, err);
	s->failed = true;
	return r < 0 ? err_wrap(err, "finish the image of the layers") : 0;
}

void layer_stack_free(struct layer_stack *s)
{
	if (s->w)
		ext4_writer_free(s->w);
	if (s->xattrs)
		stack_drop_xattrs(s);
	free(s->xattrs);
	layer_tree_free(&s->tree);
	free(s);
}
