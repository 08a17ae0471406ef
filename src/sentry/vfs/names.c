/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/names.c - making, removing and moving names
 *
 * Each walks to the directory, takes the tree lock for writing, looks the name up again under it,
 * checks, asks the file system, and makes the cache say the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "sentry/task/cred.h"
#include "sentry/vfs/open.h"

static bool names_plain(const struct walk *walk)
{
	return walk->last[0] && strcmp(walk->last, ".") != 0 && strcmp(walk->last, "..") != 0;
}

/* names_may_create() - Under the tree lock. @dentry is what the name is now. */
static int names_may_create(const struct walk *walk, const struct dentry *dentry, uint32_t mode)
{
	mode_t type = mode & S_IFMT;
	int r;

	if (dentry->inode)
		return -EEXIST;
	if (walk->last_slash && type != S_IFDIR)
		return -ENOENT;
	r = permission_names(walk->path.mount, walk->path.dentry, walk->cred);
	if (r == 0 && (type == S_IFCHR || type == S_IFBLK) && !cred_capable(walk->cred, CAP_MKNOD))
		r = -EPERM;
	return r;
}

int vfs_create(struct walk *walk, const char *path, struct vfs_create *args)
{
	struct dentry *dir, *dentry;
	struct inode *inode = NULL;
	int r = vfs_walk(walk, path, WALK_PARENT);

	if (r < 0)
		return r;
	if (!names_plain(walk))
		return -EEXIST;
	dir = walk->path.dentry;
	if (!S_ISLNK(args->mode))
		args->mode = open_umask(walk->fs, args->mode);
	tree_write(dir->super);
	r = dentry_lookup_locked(dir, walk->last, &dentry);
	if (r == 0)
		r = names_may_create(walk, dentry, args->mode);
	if (r == 0 && !dir->inode->ops->create)
		r = -EPERM;
	if (r == 0) {
		permission_inherit(dir->inode, walk->cred, args);
		args->exclusive = true;
		r = dir->inode->ops->create(dir->inode, walk->last, args, &inode);
	}
	if (r == 0)
		dentry_set(dentry, inode);
	tree_unlock(dir->super);
	dentry_settle(dir->super);
	if (r == 0)
		vfs_notify(dir->inode, walk->last, NULL,
			   S_ISDIR(args->mode) ? IN_CREATE | IN_ISDIR : IN_CREATE, 0);
	return r;
}

/* names_link() - Under the tree lock */
static int names_link(struct walk *to, struct inode *target, struct dentry *dentry)
{
	struct inode *dir = to->path.dentry->inode;
	int r = names_may_create(to, dentry, S_IFREG);

	if (r < 0)
		return r;
	if (S_ISDIR(target->attr.st_mode) || !dir->ops->link)
		return -EPERM;
	if (!target->attr.st_nlink && !atomic_load(&target->linkable))
		return -ENOENT;
	r = dir->ops->link(dir, dentry->name, target);
	if (r == 0)
		dentry_set(dentry, inode_get(target));
	return r;
}

int vfs_link(struct walk *from, struct walk *to, const char *to_path)
{
	struct inode *target = from->path.dentry->inode;
	struct dentry *dir, *dentry;
	int r = vfs_walk(to, to_path, WALK_PARENT);

	if (r < 0)
		return r;
	if (!names_plain(to))
		return -EEXIST;
	if (from->path.mount != to->path.mount)
		return -EXDEV;
	dir = to->path.dentry;
	tree_write(dir->super);
	r = dentry_lookup_locked(dir, to->last, &dentry);
	if (r == 0)
		r = names_link(to, target, dentry);
	tree_unlock(dir->super);
	if (r == 0) {
		vfs_notify(NULL, NULL, target, IN_ATTRIB, 0);
		vfs_notify(dir->inode, to->last, NULL, IN_CREATE, 0);
	}
	return r;
}

/* names_unlink() - Under the tree lock. *@gone: the cache's reference */
static int names_unlink(const struct walk *walk, struct dentry *dentry, bool is_dir,
			struct dentry **gone)
{
	struct inode *dir = walk->path.dentry->inode;
	int r;

	if (!dentry->inode)
		return -ENOENT;
	if (walk->last_slash && !is_dir)
		return dentry_is_dir(dentry) ? -EISDIR : -ENOTDIR;
	r = permission_delete(walk->path.mount, walk->path.dentry, dentry, walk->cred, is_dir);
	if (r < 0)
		return r;
	if (is_dir)
		r = dir->ops->rmdir ? dir->ops->rmdir(dir, dentry->name, dentry->inode) : -EPERM;
	else
		r = dir->ops->unlink ? dir->ops->unlink(dir, dentry->name, dentry->inode) : -EPERM;
	if (r == 0)
		*gone = dentry_remove(dentry);
	return r;
}

static int names_unlink_bad(const struct walk *walk, bool is_dir)
{
	if (!is_dir)
		return -EISDIR;
	if (!walk->last[0])
		return -EBUSY;
	return walk->last[1] ? -ENOTEMPTY : -EINVAL; /* "..", "." */
}

int vfs_unlink(struct walk *walk, const char *path, bool dir)
{
	struct dentry *parent, *dentry, *gone = NULL;
	struct super *super;
	int r = vfs_walk(walk, path, WALK_PARENT);

	if (r < 0)
		return r;
	if (!names_plain(walk))
		return names_unlink_bad(walk, dir);
	parent = walk->path.dentry;
	super = parent->super;
	tree_write(super);
	r = dentry_lookup_locked(parent, walk->last, &dentry);
	if (r == 0)
		r = names_unlink(walk, dentry, dir, &gone);
	tree_unlock(super);
	if (r == 0) {
		if (!dir)
			vfs_notify(NULL, NULL, gone->inode, IN_ATTRIB, 0);
		if (dir || gone->inode->attr.st_nlink == 0)
			vfs_notify(NULL, NULL, gone->inode, IN_DELETE_SELF, 0);
		vfs_notify(parent->inode, walk->last, NULL,
			   dir ? IN_DELETE | IN_ISDIR : IN_DELETE, 0);
	}
	dentry_put(gone);
	return r;
}

/* Both ends of a rename, under the tree lock. */
struct names_rename {
	struct walk *from, *to;
	struct dentry *old, *new;
	unsigned flags;
};

/* names_rename_shape() - What does not depend on who asks */
static int names_rename_shape(const struct names_rename *n)
{
	bool exchange = n->flags & RENAME_EXCHANGE;

	if (!n->old->inode)
		return -ENOENT;
	if ((n->flags & RENAME_NOREPLACE) && n->new->inode)
		return -EEXIST;
	if (exchange && !n->new->inode)
		return -ENOENT;
	if (exchange && !dentry_is_dir(n->new) && n->to->last_slash)
		return -ENOTDIR;
	if (!dentry_is_dir(n->old) && (n->from->last_slash || (!exchange && n->to->last_slash)))
		return -ENOTDIR;
	if (dentry_is_below(n->to->path.dentry, n->old))
		return -EINVAL;
	if (dentry_is_below(n->from->path.dentry, n->new))
		return exchange ? -EINVAL : -ENOTEMPTY;
	return 0;
}

/* names_rename_leave() - A directory that gets another parent is changed itself: its ".." */
static int names_rename_leave(const struct names_rename *n, const struct dentry *dentry)
{
	if (n->from->path.dentry == n->to->path.dentry || !dentry_is_dir(dentry))
		return 0;
	return vfs_permission(dentry->inode, n->from->cred, MAY_WRITE);
}

static int names_rename_may(const struct names_rename *n)
{
	struct mount *mount = n->from->path.mount;
	const struct cred *cred = n->from->cred;
	bool is_dir = dentry_is_dir(n->old);
	int r = permission_delete(mount, n->from->path.dentry, n->old, cred, is_dir);

	if (r < 0)
		return r;
	if (!n->new->inode)
		r = permission_names(mount, n->to->path.dentry, cred);
	else if (n->flags & RENAME_EXCHANGE)
		r = permission_delete(mount, n->to->path.dentry, n->new, cred,
				      dentry_is_dir(n->new));
	else
		r = permission_delete(mount, n->to->path.dentry, n->new, cred, is_dir);
	if (r == 0)
		r = names_rename_leave(n, n->old);
	if (r == 0 && (n->flags & RENAME_EXCHANGE))
		r = names_rename_leave(n, n->new);
	return r;
}

static int names_rename(const struct names_rename *n, struct dentry **gone)
{
	struct inode *from = n->from->path.dentry->inode, *to = n->to->path.dentry->inode;
	int r = names_rename_shape(n);

	if (r < 0 || n->old->inode == n->new->inode)
		return r; /* two names of one file: nothing is to be done */
	r = names_rename_may(n);
	if (r == 0 && !from->ops->rename)
		r = -EPERM;
	if (r == 0)
		r = from->ops->rename(from, n->old->name, to, n->new->name, n->flags);
	if (r < 0)
		return r;
	if (n->flags & RENAME_EXCHANGE)
		r = dentry_exchange(n->old, n->new);
	else
		r = dentry_move(n->old, n->new, gone);
	if (r < 0) { /* no memory for names: they are looked up again */
		dentry_put(dentry_remove(n->old));
		*gone = dentry_remove(n->new);
	}
	return 0;
}

static void names_rename_notify(const struct names_rename *n, struct inode *moved,
				const struct dentry *gone)
{
	static _Atomic uint32_t next_cookie;
	uint32_t cookie = atomic_fetch_add(&next_cookie, 1) + 1;
	uint32_t dir = S_ISDIR(moved->attr.st_mode) ? IN_ISDIR : 0;

	vfs_notify(n->from->path.dentry->inode, n->from->last, NULL, IN_MOVED_FROM | dir, cookie);
	vfs_notify(n->to->path.dentry->inode, n->to->last, NULL, IN_MOVED_TO | dir, cookie);
	vfs_notify(NULL, NULL, moved, IN_MOVE_SELF, 0);
	if (gone && gone->inode)
		vfs_notify(NULL, NULL, gone->inode, IN_DELETE_SELF, 0);
}

static int names_rename_walk(struct walk *from, const char *from_path, struct walk *to,
			     const char *to_path, unsigned flags)
{
	int r = vfs_walk(from, from_path, WALK_PARENT);

	if (r == 0)
		r = vfs_walk(to, to_path, WALK_PARENT);
	if (r < 0)
		return r;
	if (from->path.mount != to->path.mount)
		return -EXDEV;
	if (!names_plain(from))
		return -EBUSY;
	if (!names_plain(to))
		return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	return 0;
}

int vfs_rename(struct walk *from, const char *from_path, struct walk *to, const char *to_path,
	       unsigned flags)
{
	struct names_rename n = { .from = from, .to = to, .flags = flags };
	struct dentry *gone = NULL;
	struct inode *moved = NULL;
	struct super *super;
	int r;

	if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	r = names_rename_walk(from, from_path, to, to_path, flags);
	if (r < 0)
		return r;
	super = from->path.dentry->super;
	tree_write(super);
	r = dentry_lookup_locked(from->path.dentry, from->last, &n.old);
	if (r == 0) {
		dentry_get(n.old); /* the next look may find it stale */
		r = dentry_lookup_locked(to->path.dentry, to->last, &n.new);
		if (r == 0 && !n.old->cached)
			r = -ENOENT; /* the same name twice, which somebody on the host changes */
		if (r == 0) {
			r = names_rename(&n, &gone);
			if (r == 0)
				moved = inode_get(n.old->inode);
		}
	} else {
		n.old = NULL;
	}
	tree_unlock(super);
	if (moved)
		names_rename_notify(&n, moved, gone);
	inode_put(moved);
	dentry_put(n.old);
	dentry_put(gone);
	return r;
}
