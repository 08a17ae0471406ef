/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/overlay_list.c - the names of a directory, of all its layers
 *
 *	upper, lower, lower ... -> a name counts where it comes first; as a whiteout it hides the rest
 *
 * A list is made at once, when somebody begins to read a directory: what offsets mean then does not
 * depend on the layers.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/vfs/overlay.h"

struct overlay_collect {
	struct dir_sink sink;
	struct overlay_list *list;
	struct overlay *fs;	/* NULL: numbers are not wanted */
	struct inode *dir;	/* the layer's */
	struct inode *upper;	/* the upper layer's, if @dir is another */
	size_t taken;
	int error;
};

void overlay_list_free(struct overlay_list *list)
{
	free(list->entries);
	free(list->names);
	free(list->slots);
	*list = (struct overlay_list){ 0 };
}

static size_t overlay_list_hash(const char *name, size_t len)
{
	uint64_t h = 0;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(h >> 20);
}

/* Return: the slot that has @name, or the free one where it belongs */
static uint32_t *overlay_list_slot(struct overlay_list *list, const char *name, size_t len)
{
	size_t at = overlay_list_hash(name, len);

	for (;; at++) {
		uint32_t *slot = &list->slots[at & (list->nslots - 1)];
		const struct overlay_entry *e = *slot ? &list->entries[*slot - 1] : NULL;

		if (!e || (e->len == len && memcmp(list->names + e->name, name, len) == 0))
			return slot;
	}
}

static int overlay_list_rehash(struct overlay_list *list)
{
	size_t nslots = list->nslots ? 2 * list->nslots : 64;
	uint32_t *slots = calloc(nslots, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(list->slots);
	list->slots = slots;
	list->nslots = nslots;
	for (size_t i = 0; i < list->n; i++)
		*overlay_list_slot(list, list->names + list->entries[i].name,
				   list->entries[i].len) = (uint32_t)i + 1;
	return 0;
}

static int overlay_list_room(struct overlay_list *list, size_t len)
{
	void *more;

	if (list->n >= list->nslots / 2 && overlay_list_rehash(list) < 0)
		return -ENOMEM;
	if (list->n == list->room) {
		more = realloc(list->entries, (list->room ? 2 * list->room : 32) *
						      sizeof(*list->entries));
		if (!more)
			return -ENOMEM;
		list->entries = more;
		list->room = list->room ? 2 * list->room : 32;
	}
	if (list->len + len + 1 > list->names_room) {
		size_t room = list->names_room ? 2 * list->names_room : 1024;

		more = room > UINT32_MAX ? NULL : realloc(list->names, room);
		if (!more)
			return -ENOMEM;
		list->names = more;
		list->names_room = room;
	}
	return 0;
}

/* A whiteout can only be told by looking. */
static bool overlay_list_is_hidden(struct inode *dir, const char *name, unsigned char type)
{
	struct inode *inode;
	bool hidden;

	if ((type != DT_CHR && type != DT_UNKNOWN) || layer_lookup(dir, name, &inode) < 0)
		return false;
	hidden = overlay_is_whiteout(inode);
	inode_put(inode);
	return hidden;
}

/* A name of the upper layer that a lower one has, too: if it is a copy, it has its number. */
static void overlay_list_again(const struct overlay_collect *c, struct overlay_entry *e,
			       uint64_t ino)
{
	const char *name = c->list->names + e->name;
	struct inode *inode;
	uint64_t origin;

	if (!c->upper || e->hidden || !c->fs || layer_lookup(c->upper, name, &inode) < 0)
		return;
	origin = S_ISDIR(inode->attr.st_mode) ? 0 : layer_origin(inode);
	if (origin)
		e->ino = origin;
	else if (S_ISDIR(inode->attr.st_mode) && !layer_is_opaque(inode))
		e->ino = ino;
	inode_put(inode);
}

static int overlay_list_emit(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
			     unsigned char type, int64_t next)
{
	struct overlay_collect *c = (struct overlay_collect *)sink;
	struct overlay_list *list = c->list;
	uint32_t *slot;

	c->taken++;
	if (len > NAME_MAX || (len == 1 && name[0] == '.') ||
	    (len == 2 && name[0] == '.' && name[1] == '.'))
		return 0;
	c->error = overlay_list_room(list, len);
	if (c->error < 0)
		return 1;
	if (c->fs) {
		struct inode like = { .super = c->dir->super, .attr.st_ino = ino };

		ino = overlay_ino(c->fs, &like);
	}
	slot = overlay_list_slot(list, name, len);
	if (*slot) {
		overlay_list_again(c, &list->entries[*slot - 1], ino);
		return 0;
	}
	memcpy(list->names + list->len, name, len);
	list->names[list->len + len] = '\0';
	list->entries[list->n] = (struct overlay_entry){
		.ino = ino, .name = (uint32_t)list->len, .len = (uint16_t)len, .type = type,
		.hidden = (c->fs && overlay_is_stash(c->fs, c->dir, list->names + list->len)) ||
			  overlay_list_is_hidden(c->dir, list->names + list->len, type),
	};
	list->len += len + 1;
	*slot = (uint32_t)++list->n;
	return 0;
}

static int overlay_list_add(struct overlay_list *list, struct overlay *fs, struct inode *dir,
			    struct inode *upper)
{
	struct overlay_collect c = { .sink = { overlay_list_emit }, .list = list, .fs = fs,
				     .dir = dir, .upper = upper };
	autofile struct file *file = NULL;
	int r;

	if (!dir->ops->open)
		return 0;
	r = dir->ops->open(dir, NULL, O_RDONLY | O_DIRECTORY, NULL, &file);
	if (r == 0 && !file->ops->readdir)
		r = -ENOTDIR;
	while (r == 0) {
		c.taken = 0;
		r = file->ops->readdir(file, &c.sink);
		if (r == 0)
			r = c.error;
		if (!c.taken)
			break;
	}
	return r;
}

int overlay_list_read_layer(struct overlay *fs, struct inode *dir, struct overlay_list *list)
{
	return overlay_list_add(list, fs, dir, NULL);
}

int overlay_list_read(struct overlay_inode *o, struct overlay_list *list)
{
	struct overlay *fs = overlay_super(o);
	struct inode *upper = overlay_upper(o);
	int r = upper ? overlay_list_add(list, fs, upper, NULL) : 0;

	for (unsigned i = 0; r == 0 && i < o->nlower; i++)
		r = overlay_list_add(list, fs, o->lower[i], upper);
	if (r < 0)
		overlay_list_free(list);
	return r;
}

int overlay_is_empty(struct overlay_inode *o)
{
	struct overlay_list list = { 0 };
	int r = overlay_list_read(o, &list);

	if (r == 0)
		r = 1;
	for (size_t i = 0; r == 1 && i < list.n; i++)
		if (!list.entries[i].hidden)
			r = 0;
	overlay_list_free(&list);
	return r;
}
