/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/tree.c - walking a directory tree that may be hostile or changing
 *
 * Depth first over a stack of open directories on the heap; every step is
 * relative to a descriptor and never follows a symbolic link, so renaming
 * things under the walker's feet can make it fail or see a file twice, but
 * never leave the tree.  Mounts are told by the mount id where the kernel has
 * one (5.8), by the device number before.
 */
#include "image/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#endif

#define TREE_PATH_MAX ((size_t)TREE_DEPTH_MAX * 256)

struct tree_frame {
	DIR *dir;     /* owned */
	char **names; /* owned, and each of them */
	size_t count;
	size_t next;
	size_t path_len; /* of the path up to this directory */
};

struct tree {
	const struct tree_ops *ops;
	void *data;
	struct tree_frame *stack; /* owned */
	size_t depth;
	uint32_t entries;
	struct statx root;
	struct buf path; /* of the present entry, for messages */
};

static void tree_free(struct tree *t)
{
	while (t->depth) {
		struct tree_frame *f = &t->stack[--t->depth];

		for (size_t i = 0; i < f->count; i++)
			free(f->names[i]);
		free(f->names);
		if (f->dir)
			closedir(f->dir);
	}
	free(t->stack);
	buf_free(&t->path);
}

static int tree_fail(const struct tree *t, struct coffer_error *err)
{
	if (!t->path.len)
		return err_wrap(err, "/");
	return err_wrap(err, "%.*s", (int)t->path.len, (const char *)buf_data(&t->path));
}

/* The path shown becomes that of @name in the directory whose path is @base long. */
static int tree_set_path(struct tree *t, size_t base, const char *name, struct coffer_error *err)
{
	int r;

	t->path.len = base;
	r = buf_printf(&t->path, "/%s", name);
	return r < 0 ? err_sysn(err, r, "path of %s", name) : 0;
}

static int tree_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int tree_add_name(struct tree *t, struct tree_frame *f, const char *name, size_t *room,
			 struct coffer_error *err)
{
	char **names;

	if (t->entries++ == TREE_ENTRIES_MAX)
		return err_set(err, COFFER_ERR_UNSUPPORTED, E2BIG, "more than %u entries",
			       TREE_ENTRIES_MAX);
	if (f->count == *room) {
		*room = *room ? *room * 2 : 16;
		names = reallocarray(f->names, *room, sizeof(*names));
		if (!names)
			return err_nomem(err);
		f->names = names;
	}
	f->names[f->count] = strdup(name);
	if (!f->names[f->count])
		return err_nomem(err);
	f->count++;
	return 0;
}

static int tree_read_names(struct tree *t, struct tree_frame *f, struct coffer_error *err)
{
	struct dirent *e;
	size_t room = 0;
	int r;

	for (;;) {
		errno = 0;
		e = readdir(f->dir);
		if (!e)
			break;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		r = tree_add_name(t, f, e->d_name, &room, err);
		if (r < 0)
			return r;
	}
	if (errno)
		return err_sys(err, "read directory");
	if (f->count)
		qsort(f->names, f->count, sizeof(*f->names), tree_compare);
	return 0;
}

static bool tree_is_mount(const struct tree *t, const struct statx *st)
{
	if (st->stx_mask & t->root.stx_mask & STATX_MNT_ID)
		return st->stx_mnt_id != t->root.stx_mnt_id;
	return st->stx_dev_major != t->root.stx_dev_major ||
	       st->stx_dev_minor != t->root.stx_dev_minor;
}

/* Visit the directory @fd (taken over) and put it on the stack. */
static int tree_enter(struct tree *t, int fd, int parent, const char *name,
		      struct coffer_error *err)
{
	struct tree_entry entry = { .parent = parent, .name = name };
	struct tree_frame *f;
	autoclose int dirfd = fd;
	int r;

	if (t->depth == TREE_DEPTH_MAX)
		return err_set(err, COFFER_ERR_UNSUPPORTED, ELOOP,
			       "directories nested deeper than %d", TREE_DEPTH_MAX);
	if (statx(dirfd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &entry.st) < 0)
		return err_sys(err, "stat");
	if (!t->depth)
		t->root = entry.st;
	r = t->ops->enter(t->data, &entry, err);
	if (r < 0)
		return r;
	if (tree_is_mount(t, &entry.st))
		return t->ops->leave(t->data, err);

	f = &t->stack[t->depth];
	*f = (struct tree_frame){ .path_len = t->path.len };
	f->dir = fdopendir(dirfd);
	if (!f->dir)
		return err_sys(err, "open directory");
	steal_fd(&dirfd);
	t->depth++;
	return tree_read_names(t, f, err);
}

static int tree_visit(struct tree *t, struct tree_frame *f, const char *name,
		      struct coffer_error *err)
{
	struct tree_entry entry = { .parent = dirfd(f->dir), .name = name };
	int fd;

	if (statx(entry.parent, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &entry.st) < 0)
		return err_sys(err, "stat");
	if (!S_ISDIR(entry.st.stx_mode))
		return t->ops->entry(t->data, &entry, err);
	fd = openat(entry.parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open directory");
	return tree_enter(t, fd, entry.parent, name, err);
}

static int tree_leave(struct tree *t, struct tree_frame *f, struct coffer_error *err)
{
	t->path.len = f->path_len;
	for (size_t i = 0; i < f->count; i++)
		free(f->names[i]);
	free(f->names);
	closedir(f->dir);
	t->depth--;
	return t->ops->leave(t->data, err);
}

int tree_walk(int dirfd, const struct tree_ops *ops, void *data, struct coffer_error *err)
{
	CLEANUP(tree_free)
	struct tree t = { .ops = ops, .data = data, .path = BUF_INIT(TREE_PATH_MAX) };
	int fd, r;

	t.stack = calloc(TREE_DEPTH_MAX, sizeof(*t.stack));
	if (!t.stack)
		return err_nomem(err);
	/* A descriptor of our own: the caller's has a read position of its own. */
	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open the tree's root");
	r = tree_enter(&t, fd, fd, ".", err);
	if (r < 0)
		return err_wrap(err, "/");
	while (t.depth) {
		struct tree_frame *f = &t.stack[t.depth - 1];

		if (f->next == f->count) {
			r = tree_leave(&t, f, err);
		} else {
			r = tree_set_path(&t, f->path_len, f->names[f->next], err);
			if (r == 0)
				r = tree_visit(&t, f, f->names[f->next++], err);
		}
		if (r < 0)
			return tree_fail(&t, err);
	}
	return 0;
}
