/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/overlay_copy.c - what is changed is copied to the upper layer first
 *
 *	directories on the way   made in the upper layer, with the tree lock
 *	a regular file           copied into a file without a name, without the lock; then linked to its
 *	                         name under it, if nobody was faster
 *	anything else            made at its name
 *
 * Attributes, extended ones and times come along; holes stay holes. What has lost all its names is
 * copied all the same, and then only its open files lead there.
 *
 * Where the upper layer has no files without names, the copy is made at its name under the lock;
 * nobody sees it there before it is whole, since it is not asked for by name again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/overlay.h"

#define OVERLAY_BLOCK 65536

static bool overlay_is_zero(const char *data, size_t n)
{
	return n == 0 || (data[0] == 0 && memcmp(data, data + 1, n - 1) == 0);
}

/* Return: bytes at which the data ended, or negative errno */
static int64_t overlay_copy_blocks(struct file *from, struct file *to, uint64_t limit)
{
	autofree char *block = malloc(OVERLAY_BLOCK);
	uint64_t at = 0;

	if (!block)
		return -ENOMEM;
	while (at < limit) {
		size_t want = limit - at < OVERLAY_BLOCK ? limit - at : OVERLAY_BLOCK;
		long n = file_read_kernel(from, block, want, (int64_t)at), done;

		if (n <= 0)
			return n < 0 ? n : (int64_t)at;
		done = overlay_is_zero(block, (size_t)n) ?
			       n :
			       file_write_kernel(to, block, (size_t)n, (int64_t)at);
		if (done != n)
			return done < 0 ? done : -ENOSPC;
		at += (uint64_t)n;
	}
	return (int64_t)at;
}

static int overlay_copy_data(struct inode *from, struct inode *to, uint64_t limit)
{
	autofile struct file *in = NULL, *out = NULL;
	struct inode_attr attr = { .mask = ATTR_SIZE };
	int64_t n;
	int r = from->ops->open(from, NULL, O_RDONLY, NULL, &in);

	if (r == 0)
		r = to->ops->open(to, NULL, O_RDWR, NULL, &out);
	if (r < 0)
		return r;
	n = overlay_copy_blocks(in, out, limit);
	if (n < 0)
		return (int)n;
	attr.size = (uint64_t)n;
	return layer_setattr(to, &attr);
}

/* Last, because what came before has changed the times, and taken bits of the mode away. */
static int overlay_copy_attr(const struct stat *st, struct inode *to)
{
	struct inode_attr attr = {
		.mask = ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME,
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.atime = st->st_atim,
		.mtime = st->st_mtim,
	};

	if (!S_ISLNK(st->st_mode))
		attr.mask |= ATTR_MODE;
	return layer_setattr(to, &attr);
}

static int overlay_copy_rest(struct inode *from, const struct stat *st, struct inode *to)
{
	overlay_xattr_copy(from, to);
	return overlay_copy_attr(st, to);
}

static void overlay_create_args(const struct stat *st, struct vfs_create *args)
{
	*args = (struct vfs_create){
		.mode = st->st_mode & (S_IFMT | 07777),
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = st->st_rdev,
		.exclusive = true,
	};
}

/* At @name in @dir, of the upper layer. Tree lock held for writing. */
static int overlay_copy_named(struct inode *from, struct inode *dir, const char *name,
			      uint64_t limit, struct inode **out)
{
	autofree char *target = NULL;
	struct vfs_create args;
	struct stat st;
	int r;

	st = inode_attr(from);
	overlay_create_args(&st, &args);
	if (S_ISLNK(st.st_mode)) {
		target = malloc(PATH_MAX);
		if (!target)
			return -ENOMEM;
		r = from->ops->readlink(from, target, PATH_MAX);
		if (r < 0)
			return r;
		args.target = target;
	}
	r = layer_create(dir, name, &args, out);
	if (r < 0)
		return r;
	if (S_ISREG(st.st_mode))
		r = overlay_copy_data(from, *out, limit);
	if (r == 0)
		r = overlay_copy_rest(from, &st, *out);
	if (r < 0) {
		layer_remove(dir, name, *out);
		inode_put(*out);
	}
	return r;
}

/* A directory's own times are not to tell that something below it was copied. */
static void overlay_keep_times(struct inode *dir, const struct stat *st)
{
	const struct inode_attr attr = { .mask = ATTR_ATIME | ATTR_MTIME,
					 .atime = st->st_atim, .mtime = st->st_mtim };

	layer_setattr(dir, &attr);
}

/* Its parent is in the upper layer. Tree lock held for writing. */
static int overlay_raise_named(struct overlay_inode *o, uint64_t limit)
{
	struct inode *dir = overlay_upper(o->parent), *copy;
	struct stat st;
	int r;

	if (dir->ops->refresh)
		dir->ops->refresh(dir);
	st = inode_attr(dir);
	r = overlay_copy_named(o->lower[0], dir, o->name, limit, &copy);
	if (r < 0)
		return r;
	overlay_keep_times(dir, &st);
	overlay_inode_raise(o, copy);
	return 0;
}

/* All directories above @o that are not in the upper layer yet, from the top down. */
static int overlay_raise_parents(struct overlay_inode *o)
{
	autofree struct overlay_inode **chain = NULL;
	size_t n = 0, room = 0;
	int r = 0;

	for (struct overlay_inode *p = o->parent; p && !overlay_upper(p); p = p->parent) {
		if (n == room) {
			struct overlay_inode **more;

			room = room ? 2 * room : 16;
			more = realloc(chain, room * sizeof(struct overlay_inode *));
			if (!more)
				return -ENOMEM;
			chain = more;
		}
		chain[n++] = p;
	}
	while (r == 0 && n > 0)
		r = chain[--n]->parent ? overlay_raise_named(chain[n], 0) : -ENOENT;
	return r;
}

/* Where a copy of @o is made: its directory, or for what has no name any more, any. With a
 * reference. Tree lock held for writing. */
static int overlay_copy_place(struct overlay_inode *o, struct inode **out)
{
	int r = overlay_raise_parents(o);

	if (r < 0)
		return r;
	*out = inode_get(o->parent ? overlay_upper(o->parent) :
				     overlay_super(o)->upper.dentry->inode);
	return 0;
}

/* A file without a name, with all of @o in it. */
static int overlay_copy_unnamed(struct overlay_inode *o, struct inode *dir, uint64_t limit,
				struct inode **out)
{
	struct inode *from = o->lower[0];
	struct vfs_create args;
	struct stat st;
	int r;

	st = inode_attr(from);
	overlay_create_args(&st, &args);
	r = layer_tmpfile(dir, &args, out);
	if (r < 0)
		return r;
	r = overlay_copy_data(from, *out, limit);
	if (r == 0)
		r = overlay_copy_rest(from, &st, *out);
	if (r < 0)
		inode_put(*out);
	return r;
}

/* The copy gets @o's name, and is it. Tree lock held for writing. */
static int overlay_commit(struct overlay_inode *o, struct inode *copy)
{
	struct inode *dir = NULL;
	struct stat st;
	int r = overlay_upper(o) ? 0 : overlay_copy_place(o, &dir);

	if (r == 0 && dir && o->parent) {
		st = inode_attr(dir);
		r = layer_link(dir, o->name, copy);
		if (r == 0)
			overlay_keep_times(dir, &st);
	}
	if (r == 0 && dir)
		overlay_inode_raise(o, copy);
	else
		inode_put(copy); /* somebody was faster, or it failed */
	inode_put(dir);
	return r;
}

int overlay_copy_up_locked(struct overlay_inode *o, uint64_t limit)
{
	struct inode *dir, *copy;
	int r;

	if (overlay_upper(o))
		return 0;
	if (!overlay_super(o)->upper.dentry)
		return -EROFS;
	if (o->gone)
		return -ENOENT;
	r = overlay_copy_place(o, &dir);
	if (r < 0)
		return r;
	r = -EOPNOTSUPP;
	if (S_ISREG(o->inode.attr.st_mode))
		r = overlay_copy_unnamed(o, dir, limit, &copy);
	inode_put(dir);
	if (r == 0)
		return overlay_commit(o, copy);
	if (r != -EOPNOTSUPP)
		return r;
	return o->parent ? overlay_raise_named(o, limit) : -ENOENT;
}

int overlay_copy_up(struct overlay_inode *o, uint64_t limit)
{
	struct super *super = o->inode.super;
	struct inode *dir = NULL, *copy = NULL;
	int r = 0;

	if (overlay_upper(o))
		return 0;
	if (!overlay_super(o)->upper.dentry)
		return -EROFS;
	if (S_ISREG(o->inode.attr.st_mode)) {
		tree_write(super);
		r = overlay_copy_place(o, &dir);
		tree_unlock(super);
		if (r == 0)
			r = overlay_copy_unnamed(o, dir, limit, &copy);
		inode_put(dir);
		if (r < 0 && r != -EOPNOTSUPP)
			return r;
	}
	tree_write(super);
	r = copy ? overlay_commit(o, copy) : overlay_copy_up_locked(o, limit);
	tree_unlock(super);
	return r;
}
