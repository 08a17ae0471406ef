/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/layer_tree.c - the names of layers that are laid over each other
 *
 * All that is kept of a file while an image is made: 32 bytes and its name; the
 * rest is in its inode, in the image.  One hash table holds the names of all
 * directories.  Its seed is random, or a layer could be made whose names all
 * have one hash.
 *
 * A name that goes away only gets the type 0; lists and chains are put right
 * when somebody walks along the list anyway.
 *
 * Callers: layer_stack.c, layer_hide.c.
 */
#include "image/layer/layer_tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define LAYER_TREE_BEGIN 1024u

static uint32_t layer_tree_hash(const struct layer_tree *t, uint32_t dir, const char *name,
				size_t len)
{
	uint64_t h = t->seed ^ dir;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = 0;

		memcpy(&word, name + i, len - i < 8 ? len - i : 8);
		h = (h ^ word) * (t->seed | 1);
		h ^= h >> 32;
	}
	h = (h ^ len) * (t->seed | 1);
	return (uint32_t)(h >> 32);
}

static bool layer_tree_is(const struct layer_tree *t, const struct layer_name *n, uint32_t dir,
			  const char *name, size_t len)
{
	return n->parent == dir && n->len == len && !memcmp(t->text + n->text, name, len);
}

/* Also what is not there any more. */
static uint32_t layer_tree_lookup(const struct layer_tree *t, uint32_t dir, const char *name,
				  size_t len)
{
	uint32_t i = t->table[layer_tree_hash(t, dir, name, len) & (t->slots - 1)];

	while (i && !layer_tree_is(t, &t->names[i], dir, name, len))
		i = t->names[i].chain;
	return i;
}

uint32_t layer_tree_find(const struct layer_tree *t, uint32_t dir, const char *name, size_t len)
{
	uint32_t i = layer_tree_lookup(t, dir, name, len);

	return t->names[i].type ? i : 0;
}

/* ---- growing ---- */

static void layer_tree_chain(struct layer_tree *t, uint32_t i)
{
	struct layer_name *n = &t->names[i];
	uint32_t *slot = &t->table[layer_tree_hash(t, n->parent, t->text + n->text, n->len) &
				   (t->slots - 1)];

	n->chain = *slot;
	*slot = i;
}

static int layer_tree_rehash(struct layer_tree *t, uint32_t slots, struct coffer_error *err)
{
	uint32_t *table = calloc(slots, sizeof(*table));

	if (!table)
		return err_nomem(err);
	free(t->table);
	t->table = table;
	t->slots = slots;
	for (uint32_t i = LAYER_TREE_ROOT + 1; i < t->count; i++)
		if (t->names[i].parent)
			layer_tree_chain(t, i);
	return 0;
}

static int layer_tree_grow(struct layer_tree *t, struct coffer_error *err)
{
	uint32_t room = t->room ? t->room * 2 : LAYER_TREE_BEGIN;
	struct layer_name *names;

	if (t->room > UINT32_MAX / 2)
		return err_unsupported(err, "too many files");
	names = reallocarray(t->names, room, sizeof(*names));
	if (!names)
		return err_nomem(err);
	t->names = names;
	t->room = room;
	return layer_tree_rehash(t, room, err);
}

static int layer_tree_text(struct layer_tree *t, const char *name, size_t len, uint32_t *at,
			   struct coffer_error *err)
{
	uint32_t room = t->text_room ? t->text_room : LAYER_TREE_BEGIN;
	char *text;

	while (room - t->text_len < len) {
		if (room > UINT32_MAX / 2)
			return err_unsupported(err, "too many files");
		room *= 2;
	}
	if (room != t->text_room) {
		text = realloc(t->text, room);
		if (!text)
			return err_nomem(err);
		t->text = text;
		t->text_room = room;
	}
	memcpy(t->text + t->text_len, name, len);
	*at = t->text_len;
	t->text_len += (uint32_t)len;
	return 0;
}

/* Return: the number of an empty name, or 0 */
static uint32_t layer_tree_take(struct layer_tree *t, struct coffer_error *err)
{
	uint32_t i = t->unused;

	if (i) {
		t->unused = t->names[i].next;
	} else {
		if (t->count == t->room && layer_tree_grow(t, err) < 0)
			return 0;
		i = t->count++;
	}
	t->names[i] = (struct layer_name){ 0 };
	return i;
}

int layer_tree_add(struct layer_tree *t, uint32_t dir, const char *name, size_t len, uint32_t *out,
		   struct coffer_error *err)
{
	struct layer_name *n;
	uint32_t at;
	int r;

	*out = layer_tree_lookup(t, dir, name, len);
	if (*out)
		return 0;
	if (t->names[dir].depth >= LAYER_TREE_DEPTH)
		return err_invalid(err, "its directory is too deep");
	r = layer_tree_text(t, name, len, &at, err);
	if (r < 0)
		return r;
	*out = layer_tree_take(t, err);
	if (!*out)
		return -ENOMEM;
	n = &t->names[*out];
	n->parent = dir;
	n->text = at;
	n->len = (uint8_t)len;
	n->depth = (uint16_t)(t->names[dir].depth + 1);
	n->next = t->names[dir].child;
	t->names[dir].child = *out;
	layer_tree_chain(t, *out);
	return 0;
}

void layer_tree_drop(struct layer_tree *t, uint32_t *link)
{
	uint32_t i = *link;
	struct layer_name *n = &t->names[i];
	uint32_t *chain = &t->table[layer_tree_hash(t, n->parent, t->text + n->text, n->len) &
				    (t->slots - 1)];

	while (*chain != i)
		chain = &t->names[*chain].chain;
	*chain = n->chain;
	*link = n->next;
	*n = (struct layer_name){ .next = t->unused };
	t->unused = i;
}

int layer_tree_init(struct layer_tree *t, uint32_t root_ino, struct coffer_error *err)
{
	int r;

	*t = (struct layer_tree){ .count = LAYER_TREE_ROOT + 1 };
	if (getrandom(&t->seed, sizeof(t->seed), 0) != sizeof(t->seed))
		return err_sys(err, "read random bytes");
	t->count = 0;
	r = layer_tree_grow(t, err);
	if (r < 0)
		return r;
	t->count = LAYER_TREE_ROOT + 1;
	t->names[0] = (struct layer_name){ 0 };
	t->names[LAYER_TREE_ROOT] =
		(struct layer_name){ .ino = root_ino, .type = S_IFDIR >> 12 };
	return 0;
}

void layer_tree_free(struct layer_tree *t)
{
	free(t->names);
	free(t->table);
	free(t->text);
	*t = (struct layer_tree){ 0 };
}
