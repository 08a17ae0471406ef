/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/stack_path.c - where in the merged tree a layer's name leads
 *
 * A directory on the way may be a symbolic link, of a layer below (/bin ->
 * usr/bin) or of this one.  It is followed as the kernel would inside the
 * root: absolute targets begin at the root, ".." ends there.  Nothing leads
 * out, since there is nothing but this tree; hops are counted.  A link's
 * missing target is made, as containerd does.  Anything else on the way that
 * is no directory is refused.
 *
 * Callers: layer_stack.c.
 */
#include "image/layer/stack.h"

#include <string.h>
#include <sys/stat.h>

#define STACK_HOPS  40 /* as the kernel */
#define STACK_STEPS 8192

/* A way under way. */
struct stack_way {
	struct layer_stack *s;
	bool make;
	uint32_t at;
	unsigned hops, steps;
	const char *rest;	      /* in text, or the caller's */
	char text[PATH_MAX + 2 + EXT4_BLOCK]; /* targets with what came after them */
};

int stack_make_dir(struct layer_stack *s, uint32_t node, struct coffer_error *err)
{
	static const struct ext4_meta meta = { .mode = S_IFDIR | 0755 };
	static const struct ext4_xattrs none;
	struct layer_name *n = &s->tree.names[node];
	int r;

	/* Or a few names could make any number of them. */
	if (s->used.entries++ >= s->limits->entries)
		return err_invalid(err, "with its directories there are too many entries");
	r = ext4_node_create(s->w, &meta, 0, &none, &n->ino, err);
	if (r < 0)
		return r;
	n->type = S_IFDIR >> 12;
	n->layer = s->layer;
	n->opaque = 0;
	return 0;
}

/* Put a link's target in front of what is left. */
static int stack_follow(struct stack_way *y, uint32_t link, struct coffer_error *err)
{
	char target[EXT4_BLOCK];
	size_t len, rest = strlen(y->rest);
	int r;

	if (y->hops++ >= STACK_HOPS)
		return err_invalid(err, "too many symbolic links on its way");
	r = ext4_node_target(y->s->w, y->s->tree.names[link].ino, target, err);
	if (r < 0)
		return r;
	len = strlen(target);
	if (len + 1 + rest + 1 > sizeof(y->text))
		return err_invalid(err, "the way through symbolic links is too long");
	memmove(y->text + len + 1, y->rest, rest + 1);
	memcpy(y->text, target, len);
	y->text[len] = '/';
	y->rest = y->text;
	if (*target == '/')
		y->at = LAYER_TREE_ROOT;
	return 0;
}

static int stack_enter(struct stack_way *y, const char *name, size_t len, struct coffer_error *err)
{
	struct layer_tree *t = &y->s->tree;
	uint32_t node = layer_tree_find(t, y->at, name, len);
	int r;

	if (!node) {
		if (!y->make)
			return -ENOENT;
		r = layer_tree_add(t, y->at, name, len, &node, err);
		if (r == 0)
			r = stack_make_dir(y->s, node, err);
		if (r < 0)
			return r;
	}
	if (S_ISLNK(layer_name_mode(&t->names[node])))
		return stack_follow(y, node, err);
	/* Below it there is nothing. */
	if (!S_ISDIR(layer_name_mode(&t->names[node])) && !y->make)
		return -ENOENT;
	if (!S_ISDIR(layer_name_mode(&t->names[node])))
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, ENOTDIR,
			       "\"%.*s\" on its way is no directory", (int)len, name);
	y->at = node;
	return 0;
}

static int stack_step(struct stack_way *y, struct coffer_error *err)
{
	const char *name = y->rest + strspn(y->rest, "/");
	size_t len = strcspn(name, "/");

	y->rest = name + len;
	if (y->steps++ > STACK_STEPS)
		return err_invalid(err, "the way through symbolic links is too long");
	if (len == 0 || (len == 1 && name[0] == '.'))
		return 0;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		if (y->at != LAYER_TREE_ROOT)
			y->at = y->s->tree.names[y->at].parent;
		return 0;
	}
	if (len > LAYER_NAME_MAX)
		return err_invalid(err, "a symbolic link on its way has too long a name");
	return stack_enter(y, name, len, err);
}

static int stack_walk(struct layer_stack *s, const char *path, bool make, uint32_t *dir,
		      struct coffer_error *err)
{
	struct stack_way y;
	int r = 0;

	y.s = s;
	y.make = make;
	y.at = LAYER_TREE_ROOT;
	y.hops = y.steps = 0;
	y.rest = path;
	while (r == 0 && *y.rest)
		r = stack_step(&y, err);
	*dir = y.at;
	return r;
}

int stack_dir(struct layer_stack *s, const char *path, bool make, uint32_t *dir, const char **name,
	      struct coffer_error *err)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	int r;

	*name = slash ? slash + 1 : path;
	*dir = s->dir;
	if (s->dir && !memcmp(s->dir_path, path, len) && !s->dir_path[len])
		return 0;
	s->dir = 0;
	memcpy(s->dir_path, path, len);
	s->dir_path[len] = '\0';
	r = stack_walk(s, s->dir_path, make, dir, err);
	if (r == 0)
		s->dir = *dir;
	return r;
}
