/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/path_name.c - the way from a root down to a place, as text
 *
 * Written from its end, with the tree lock of one file system after the other.
 */
#include <errno.h>
#include <string.h>

#include "sentry/vfs/mount.h"

struct path_text {
	char *buf;
	size_t at; /* the text begins here */
};

static int path_text_add(struct path_text *t, const char *s)
{
	size_t len = strlen(s);

	if (len > t->at)
		return -ERANGE;
	t->at -= len;
	memcpy(t->buf + t->at, s, len);
	return 0;
}

/* path_text_climb() - Up to @stop or, Return 1, to @root */
static int path_text_climb(struct path_text *t, const struct dentry *from,
			   const struct dentry *stop, const struct dentry *root)
{
	const struct dentry *at = from;
	int r = 0;

	tree_read(from->super);
	if (at->unlinked)
		r = path_text_add(t, " (deleted)");
	while (r == 0) {
		if (at == root) {
			r = 1;
			break;
		}
		if (at == stop || !at->parent)
			break;
		r = path_text_add(t, at->name);
		if (r == 0)
			r = path_text_add(t, "/");
		at = at->parent;
	}
	tree_unlock(from->super);
	return r;
}

/* path_text_end() - Return: its length */
static int path_text_end(struct path_text *t, size_t size)
{
	memmove(t->buf, t->buf + t->at, size - t->at);
	return (int)(size - 1 - t->at);
}

int dentry_path_name(const struct dentry *dentry, char *buf, size_t size)
{
	struct path_text t = { .buf = buf, .at = size - 1 };
	int r;

	buf[size - 1] = 0;
	r = path_text_climb(&t, dentry, NULL, NULL);
	if (r == 0 && t.at == size - 1)
		r = path_text_add(&t, "/");
	return r < 0 ? r : path_text_end(&t, size);
}

int vfs_path_name(const struct vfs_path *path, const struct vfs_path *root, char *buf,
		  size_t size)
{
	struct path_text t = { .buf = buf, .at = size - 1 };
	struct vfs_path at = *path, above;
	int r;

	if (size == 0)
		return -ERANGE;
	buf[size - 1] = 0;
	path_get(&at);
	while ((r = path_text_climb(&t, at.dentry, at.mount->root,
				    root && at.mount == root->mount ? root->dentry : NULL)) ==
	       0) {
		if (!mount_above(at.mount, &above))
			break;
		path_put(&at);
		at = above;
	}
	if (r == 0 && (mount_flags(at.mount) & MNT_INTERNAL))
		r = 1;
	path_put(&at);
	/* A name that is the root itself; "/ (deleted)" when that is gone. */
	if (r >= 0 && (t.at == size - 1 || buf[t.at] != '/'))
		r = path_text_add(&t, "/") < 0 ? -ERANGE : r;
	if (r == 0 && root)
		r = path_text_add(&t, "(unreachable)");
	if (r < 0)
		return r;
	return path_text_end(&t, size);
}
