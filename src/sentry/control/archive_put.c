/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/archive_put.c - an archive's entries as files of the container
 *
 * An entry's parent is resolved beneath the destination, so neither a link of the archive nor one
 * that was there before leads out; where the destination is the container's root, links lead
 * where the container would go. The entry itself is one component in that directory: made under a
 * new name, never opened under an old one. What is in the way is removed first, but for
 * directories in the place of directories, and mount points, which are written in their place.
 *
 * Order: data, owner, mode, attributes, times. Directories get their times at the end, when
 * nothing is made in them any more.
 *
 * Run by archive.c, in a thread of its own.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "archive/xattrs.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "sentry/control/archive.h"
#include "sentry/control/machine.h"
#include "sentry/control/tar.h"

#define PUT_DIRS_MAX 8192 /* whose times are remembered at once */

struct put_late {
	struct vfs_path at; /* references */
	struct timespec mtime;
};

struct put {
	struct archive_work *work;
	struct tar *tar;	/* owned */
	const struct tar_entry *e;
	char name[PATH_MAX];	/* of the entry, clean */
	char other[PATH_MAX];	/* of a hard link's target, likewise */
	struct put_late *late;	/* owned */
	size_t nlate;
	struct coffer_error *err;
};

/* ---- names ---- */

static unsigned put_confined(const struct put *p)
{
	return p->work->rooted ? WALK_IN_ROOT : WALK_BENEATH;
}

/* @path leads to a directory: *@out gets references */
static int put_find_dir(const struct put *p, const char *path, struct vfs_path *out)
{
	struct walk walk;
	int r;

	archive_begin(&p->work->at, &walk);
	r = *path ? vfs_walk(&walk, path, WALK_DIRECTORY | put_confined(p)) : 0;
	if (r == 0) {
		*out = *path ? walk.path : p->work->at;
		path_get(out);
	}
	walk_end(&walk);
	return r;
}

/* Cut a clean @path in two: its last component goes to @name */
static void put_split(char *path, char name[NAME_MAX + 1])
{
	char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;
	size_t n = strnlen(last, NAME_MAX);

	memcpy(name, last, n);
	name[n] = '\0';
	*(slash ? slash : path) = '\0';
}

static int put_mkdir(const struct vfs_path *dir, const char *name)
{
	struct vfs_create args = { .mode = S_IFDIR | 0755, .exclusive = true };
	struct walk walk;
	int r;

	archive_begin(dir, &walk);
	r = vfs_create(&walk, name, &args);
	walk_end(&walk);
	return r == -EEXIST ? 0 : r;
}

/* Directories that the archive does not name itself. @path is as it was when this returns. */
static int put_find_parent(const struct put *p, char *path, struct vfs_path *out)
{
	int r = put_find_dir(p, path, out);
	struct vfs_path dir;

	for (char *name = path; r == -ENOENT && name; ) {
		char *end = strchr(name, '/'), saved;

		saved = name > path ? name[-1] : '\0';
		if (name > path)
			name[-1] = '\0';
		if (end)
			*end = '\0';
		r = put_find_dir(p, name > path ? path : "", &dir);
		if (r == 0) {
			r = put_mkdir(&dir, name);
			path_put(&dir);
		}
		if (name > path)
			name[-1] = saved;
		if (end)
			*end = '/';
		name = end ? end + 1 : NULL;
		if (r == 0)
			r = -ENOENT;
	}
	return r == -ENOENT ? put_find_dir(p, path, out) : r;
}

/* ---- what is in the way ---- */

struct put_rm {
	const struct vfs_path *dir;
	unsigned depth;
};

static int put_remove(const char *name, void *data);

static int put_remove_inside(const struct put_rm *rm, const char *name)
{
	struct walk walk;
	int r;

	if (rm->depth == ARCHIVE_DEPTH_MAX)
		return -ENAMETOOLONG;
	archive_begin(rm->dir, &walk);
	r = vfs_walk(&walk, name, WALK_NOFOLLOW);
	/* What is mounted there is not ours to empty. */
	if (r == 0 && walk.path.mount != rm->dir->mount)
		r = -ENOTEMPTY;
	if (r == 0) {
		struct put_rm inner = { &walk.path, rm->depth + 1 };

		r = archive_each(&walk.path, put_remove, &inner);
	}
	walk_end(&walk);
	return r;
}

static int put_remove(const char *name, void *data)
{
	const struct put_rm *rm = data;
	struct walk walk;
	int r;

	archive_begin(rm->dir, &walk);
	r = vfs_unlink(&walk, name, false);
	if (r == -EISDIR) {
		r = put_remove_inside(rm, name);
		if (r == 0)
			r = vfs_unlink(&walk, name, true);
	}
	walk_end(&walk);
	return r == -ENOENT ? 0 : r;
}

/* Return: 0 the name is free now, 1 what is there may stay, -EBUSY a mount point, other -errno */
static int put_clear(struct put *p, const struct vfs_path *dir, const char *name)
{
	struct put_rm rm = { dir, 0 };
	bool is_dir, want_dir = S_ISDIR(p->e->mode);
	struct walk walk;
	int r;

	archive_begin(dir, &walk);
	r = vfs_walk(&walk, name, WALK_NOFOLLOW);
	is_dir = r == 0 && S_ISDIR(walk.path.dentry->inode->attr.st_mode);
	if (r == 0 && walk.path.mount != dir->mount && !(is_dir && want_dir))
		r = -EBUSY;
	walk_end(&walk);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (is_dir && want_dir)
		return 1;
	if (p->work->keep_types && is_dir != want_dir)
		return err_set(p->err, COFFER_ERR_INVALID_ARGUMENT, is_dir ? EISDIR : ENOTDIR,
			       is_dir ? "cannot overwrite directory with non-directory"
				      : "cannot overwrite non-directory with directory");
	return put_remove(name, &rm);
}

/* ---- the kinds of entries ---- */

/* Owner, mode and attributes of what is at @at; times unless it is a directory. */
static int put_finish(struct put *p, const struct vfs_path *at)
{
	const struct tar_entry *e = p->e;
	struct inode *inode = at->dentry->inode;
	struct inode_attr owner = { .mask = ATTR_UID | ATTR_GID, .uid = e->uid, .gid = e->gid };
	struct inode_attr mode = { .mask = ATTR_MODE, .mode = e->mode & 07777 };
	struct inode_attr time = { .mask = ATTR_MTIME, .mtime = e->mtime };
	const char *name;
	const void *value;
	size_t pos = 0, len;
	int r;

	if (!p->work->keep_owners)
		owner.uid = owner.gid = 0;
	r = vfs_setattr(at, machine_cred(), &owner);
	if (r == 0 && !S_ISLNK(e->mode))
		r = vfs_setattr(at, machine_cred(), &mode);
	while (r == 0 && tar_xattr(e, &pos, &name, &value, &len)) {
		if (!xattrs_travels(name) || !inode->ops->setxattr)
			continue;
		r = inode->ops->setxattr(inode, name, value, len, 0);
		/* A file is worth more than they. */
		if (r == -EOPNOTSUPP || r == -EPERM)
			r = 0;
	}
	if (r == 0 && !S_ISDIR(e->mode))
		r = vfs_setattr(at, machine_cred(), &time);
	return r;
}

static int put_data(struct put *p, struct file *file)
{
	struct vfs_path at = { file->mount, file->dentry };
	struct inode_attr size = { .mask = ATTR_SIZE, .size = p->e->size };
	uint64_t offset = 0, end = 0;
	const void *data;
	long n;

	while ((n = tar_data(p->tar, &data, &offset, p->err)) > 0) {
		for (long done = 0; done < n; ) {
			long k = file_write_kernel(file, (const char *)data + done,
						   (size_t)(n - done), (int64_t)offset + done);

			if (k <= 0)
				return k < 0 ? (int)k : -ENOSPC;
			done += k;
		}
		end = offset + (uint64_t)n;
		if (p->work->stop)
			return -ECANCELED;
	}
	if (n < 0)
		return (int)n;
	/* A hole at the end. */
	return end < p->e->size ? vfs_setattr(&at, machine_cred(), &size) : 0;
}

/* @flags: O_CREAT | O_EXCL, or O_TRUNC of what cannot be replaced */
static int put_file(struct put *p, const struct vfs_path *dir, const char *name, uint32_t flags)
{
	autofile struct file *file = NULL;
	struct vfs_path at;
	struct walk walk;
	int r;

	archive_begin(dir, &walk);
	r = vfs_open(&walk, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | flags, 0600, 0, &file);
	if (r == 0 && !S_ISREG(file->inode->attr.st_mode))
		r = -EBUSY;
	if (r == 0) {
		at = (struct vfs_path){ file->mount, file->dentry };
		r = put_data(p, file);
		if (r == 0)
			r = put_finish(p, &at);
		/* One that is not whole is none. */
		if (r < 0 && (flags & O_EXCL))
			vfs_unlink(&walk, name, false);
	}
	walk_end(&walk);
	return r;
}

static int put_remember(struct put *p, const struct vfs_path *at);

static int put_node(struct put *p, const struct vfs_path *dir, const char *name)
{
	struct vfs_create args = { .mode = p->e->mode, .rdev = p->e->rdev, .target = p->e->link,
				   .exclusive = true };
	struct walk walk;
	int r;

	if (S_ISLNK(args.mode)) {
		args.mode = S_IFLNK | 0777;
		if (!*args.target)
			return err_invalid(p->err, "a link to nothing");
	}
	archive_begin(dir, &walk);
	r = vfs_create(&walk, name, &args);
	walk_end(&walk);
	if (r == -EEXIST && !S_ISDIR(p->e->mode))
		return r;
	if (r < 0 && r != -EEXIST)
		return r;
	archive_begin(dir, &walk);
	if (r == 0 || S_ISDIR(p->e->mode))
		r = vfs_walk(&walk, name, WALK_NOFOLLOW);
	if (r == 0 && (walk.path.dentry->inode->attr.st_mode & S_IFMT) != (p->e->mode & S_IFMT))
		r = -EEXIST;
	if (r == 0)
		r = put_finish(p, &walk.path);
	if (r == 0 && S_ISDIR(p->e->mode))
		r = put_remember(p, &walk.path);
	walk_end(&walk);
	return r;
}

/* A hard link's target is a name of the archive like any other; it is not followed. */
static int put_link(struct put *p, const struct vfs_path *dir, const char *name)
{
	const char *why = path_clean(p->e->link, PATH_MAX, p->other);
	char last[NAME_MAX + 1];
	struct vfs_path from;
	struct walk walk, to;
	int r;

	if (why || !*p->other)
		return err_invalid(p->err, "link to %.200s: %s", p->e->link,
				   why ? why : "it is a directory");
	put_split(p->other, last);
	r = put_find_dir(p, p->other, &from);
	if (r < 0)
		return r;
	archive_begin(&from, &walk);
	path_put(&from);
	r = vfs_walk(&walk, last, WALK_NOFOLLOW);
	if (r == 0) {
		archive_begin(dir, &to);
		r = vfs_link(&walk, &to, name);
		walk_end(&to);
	}
	/* To itself: removing it would remove the target. */
	if (r == -EEXIST) {
		archive_begin(dir, &to);
		if (vfs_walk(&to, name, WALK_NOFOLLOW) == 0 &&
		    to.path.dentry->inode == walk.path.dentry->inode)
			r = 0;
		walk_end(&to);
	}
	walk_end(&walk);
	return r;
}

static int put_make(struct put *p, const struct vfs_path *dir, const char *name)
{
	if (!(p->e->mode & S_IFMT))
		return put_link(p, dir, name);
	if (S_ISREG(p->e->mode))
		return put_file(p, dir, name, O_CREAT | O_EXCL);
	return put_node(p, dir, name);
}

static int put_replace(struct put *p, const struct vfs_path *dir, const char *name)
{
	int r = put_make(p, dir, name);

	if (r != -EEXIST)
		return r;
	r = put_clear(p, dir, name);
	if (r == -EBUSY && S_ISREG(p->e->mode))
		return put_file(p, dir, name, O_TRUNC);
	if (r == -ENOTEMPTY)
		return err_sysn(p->err, EBUSY, "something is mounted in what is there");
	return r < 0 ? r : put_make(p, dir, name);
}

/* ---- directories' times ---- */

static void put_flush_late(struct put *p)
{
	while (p->nlate) {
		struct put_late *l = &p->late[--p->nlate];
		struct inode_attr time = { .mask = ATTR_MTIME, .mtime = l->mtime };

		vfs_setattr(&l->at, machine_cred(), &time);
		path_put(&l->at);
	}
}

static int put_remember(struct put *p, const struct vfs_path *at)
{
	/* An archive of more directories at once has the times of some a little wrong. */
	if (p->nlate == PUT_DIRS_MAX)
		put_flush_late(p);
	if (!p->late)
		p->late = malloc(PUT_DIRS_MAX * sizeof(*p->late));
	if (!p->late)
		return -ENOMEM;
	p->late[p->nlate] = (struct put_late){ *at, p->e->mtime };
	path_get(&p->late[p->nlate++].at);
	return 0;
}

/* ---- all of it ---- */

static int put_destination(struct put *p)
{
	int r = 0;

	/* The destination itself. */
	if (!S_ISDIR(p->e->mode))
		return err_invalid(p->err, "its name is the destination's");
	r = put_finish(p, &p->work->at);
	return r < 0 ? r : put_remember(p, &p->work->at);
}

static int put_entry(struct put *p)
{
	const char *why = p->e->path[0] == '/' && !p->work->absolute
				  ? "its name is absolute" : path_clean(p->e->path, PATH_MAX, p->name);
	struct vfs_path dir = { NULL, NULL };
	char last[NAME_MAX + 1];
	int r;

	if (why)
		return err_invalid(p->err, "%s", why);
	if (!*p->name)
		return put_destination(p);
	put_split(p->name, last);
	r = put_find_parent(p, p->name, &dir);
	if (r < 0)
		return err_sysn(p->err, r, "open its directory");
	r = put_replace(p, &dir, last);
	path_put(&dir);
	return r;
}

static int put_all(struct put *p)
{
	int r;

	while ((r = tar_next(p->tar, &p->e, p->err)) > 0) {
		if (p->work->stop)
			return err_set(p->err, COFFER_ERR_CANCELLED, ECANCELED, "given up");
		r = put_entry(p);
		if (r < 0 && p->err->kind == COFFER_ERR_NONE)
			err_sysn(p->err, r, "write");
		if (r < 0)
			return err_wrap(p->err, "entry \"%.200s\"", p->e->path);
		p->work->count++;
	}
	return r;
}

int archive_put_run(struct archive_work *work, struct coffer_error *err)
{
	autofree struct put *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_nomem(err);
	p->work = work;
	p->err = err;
	r = tar_new(work->sock, &p->tar, err);
	if (r == 0 && work->gzip)
		r = tar_gunzip(p->tar, err);
	if (r == 0)
		r = put_all(p);
	put_flush_late(p);
	free(p->late);
	tar_free(p->tar);
	return r;
}
