/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/stack_hide.c - what goes away when a layer is laid over others
 *
 * A whiteout hides what layers below have, and nothing of its own layer,
 * wherever in the archive it stands.  So each name knows which layer has put
 * it there.  A directory of layers below in which something of this one is
 * stays, but only as what had to be there: without their attributes.
 *
 * What goes gives its inode and its blocks back, for what comes next.
 *
 * Callers: layer_stack.c.
 */
#include "image/layer/stack.h"

#include <sys/stat.h>

static bool stack_is_dir(const struct layer_stack *s, uint32_t node)
{
	return S_ISDIR(layer_name_mode(&s->tree.names[node]));
}

/* Its inode, if it is there at all. */
static int stack_release(struct layer_stack *s, uint32_t node, struct coffer_error *err)
{
	struct layer_name *n = &s->tree.names[node];

	if (!n->type)
		return 0;
	/* A way that led through it leads elsewhere now. */
	if (S_ISDIR(layer_name_mode(n)) || S_ISLNK(layer_name_mode(n)))
		s->dir = 0;
	n->type = 0;
	n->opaque = 0;
	return ext4_node_unlink(s->w, n->ino, err);
}

int stack_remove(struct layer_stack *s, uint32_t node, struct coffer_error *err)
{
	struct layer_name *names = s->tree.names;
	uint32_t at = node;
	int r = 0;

	/* The first child of the first child ..., and back; directories may be as deep as they like. */
	while (r == 0) {
		if (names[at].child) {
			at = names[at].child;
			continue;
		}
		r = stack_release(s, at, err);
		if (at == node)
			break;
		at = names[at].parent;
		layer_tree_drop(&s->tree, &names[at].child);
	}
	return r;
}

/* A directory of layers below that stays for what is in it. */
static int stack_make_bare(struct layer_stack *s, uint32_t node, struct coffer_error *err)
{
	static const struct ext4_meta meta = { .mode = S_IFDIR | 0755 };
	static const struct ext4_xattrs none;

	s->tree.names[node].layer = s->layer;
	return ext4_node_change(s->w, s->tree.names[node].ino, &meta, &none, err);
}

/* Return: 1 the child stays, 0 it is gone and *@link is the next, or negative errno */
static int stack_hide_child(struct layer_stack *s, uint32_t *link, struct coffer_error *err)
{
	struct layer_name *n = &s->tree.names[*link];
	bool ours = n->layer == s->layer;
	int r = 0;

	if (n->type && stack_is_dir(s, *link))
		r = stack_hide_below(s, *link, err);
	if (r < 0)
		return r;
	if (n->type && (ours || n->child)) {
		r = ours ? 0 : stack_make_bare(s, *link, err);
		return r < 0 ? r : 1;
	}
	r = stack_release(s, *link, err);
	if (r == 0)
		layer_tree_drop(&s->tree, link);
	return r;
}

/* Once for each directory and layer. As deep as LAYER_TREE_DEPTH */
// NOLINTNEXTLINE(misc-no-recursion)
int stack_hide_below(struct layer_stack *s, uint32_t dir, struct coffer_error *err)
{
	uint32_t *link = &s->tree.names[dir].child;

	if (s->tree.names[dir].opaque == s->layer)
		return 0;
	s->tree.names[dir].opaque = s->layer;
	while (*link) {
		int r = stack_hide_child(s, link, err);

		if (r < 0)
			return r;
		if (r > 0)
			link = &s->tree.names[*link].next;
	}
	return 0;
}

int stack_hide(struct layer_stack *s, uint32_t node, struct coffer_error *err)
{
	bool ours = s->tree.names[node].layer == s->layer;
	int r = 0;

	if (stack_is_dir(s, node))
		r = stack_hide_below(s, node, err);
	if (r < 0 || ours)
		return r;
	if (s->tree.names[node].child)
		return stack_make_bare(s, node, err);
	return stack_remove(s, node, err);
}
