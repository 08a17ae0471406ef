/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/open.c - from a path and O_* to an open file
 *
 *	plain     walk -> permission -> open_inode()
 *	O_CREAT   walk to the directory -> is the name there? -> open_inode() of it
 *	                                -> no: make it, with the tree lock for writing -> open
 *	                                -> a link: walk on from the directory by its target
 *
 * What is open for writing is counted in inode->deny_write against what is being executed.
 */
#include "sentry/vfs/open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/cleanup.h"
#include "sentry/task/cred.h"
#include "sentry/task/task.h"

#define OPEN_ONCE (O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC)

uint32_t open_umask(struct fs_context *fs, uint32_t mode)
{
	pthread_mutex_lock(&fs->lock);
	mode &= ~fs->umask;
	pthread_mutex_unlock(&fs->lock);
	return mode;
}

static const struct file_ops open_path_ops = { .release = file_release_plain };

/* open_path() - O_PATH: a place, nothing that can be read */
static int open_path(const struct vfs_path *path, uint32_t flags, struct file **out)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	file_init(file, &open_path_ops, flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW), path,
		  path->dentry->inode);
	file->seekable = false;
	*out = file;
	return 0;
}

/* open_count() - One more that is open for writing */
static int open_count(struct inode *inode)
{
	int n = atomic_load(&inode->deny_write);

	do {
		if (n > 0)
			return -ETXTBSY;
	} while (!atomic_compare_exchange_weak(&inode->deny_write, &n, n - 1));
	return 0;
}

static bool open_is_special(const struct inode *inode)
{
	mode_t type = inode->attr.st_mode & S_IFMT;

	return type == S_IFIFO || type == S_IFSOCK ||
	       ((type == S_IFCHR || type == S_IFBLK) && !inode->super->own_devices);
}

int open_inode(const struct vfs_path *path, const struct cred *cred, struct task *task,
	       uint32_t flags, struct file **out)
{
	struct inode *inode = path->dentry->inode;
	struct inode_attr empty = { .mask = ATTR_SIZE | ATTR_MTIME_NOW };
	bool regular = S_ISREG(inode->attr.st_mode);
	bool count = regular && (flags & O_ACCMODE);
	int r = count ? open_count(inode) : 0;

	if (r < 0)
		return r;
	if ((flags & O_TRUNC) && regular)
		r = vfs_setattr(path, cred, &empty);
	flags &= ~(uint32_t)OPEN_ONCE;
	if (r < 0)
		;
	else if (open_is_special(inode))
		r = special_open(inode, path, flags, task, out);
	else
		r = inode->ops->open ? inode->ops->open(inode, path, flags, task, out) : -ENXIO;
	if (r < 0) {
		if (count)
			atomic_fetch_add(&inode->deny_write, 1);
		return r;
	}
	(*out)->counts_write = count;
	/* Only a terminal wants to know of O_NOCTTY, and only while it is opened. */
	atomic_fetch_and(&(*out)->flags, ~(uint32_t)O_NOCTTY);
	atomic_fetch_or(&(*out)->flags, OPEN_LARGEFILE);
	vfs_notify_path(path->dentry, IN_OPEN);
	return 0;
}

/* open_check() - What kind it is against what is asked */
static int open_check(const struct vfs_path *path, const struct cred *cred, uint32_t flags)
{
	static const int masks[] = { MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE,
				     MAY_READ | MAY_WRITE };
	struct inode *inode = path->dentry->inode;
	mode_t type = inode->attr.st_mode & S_IFMT;
	int mask = masks[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
	int r;

	if (type == S_IFLNK)
		return -ELOOP;
	if ((flags & O_DIRECTORY) && type != S_IFDIR)
		return -ENOTDIR;
	if (type == S_IFDIR && ((mask & MAY_WRITE) || (flags & O_CREAT)))
		return -EISDIR;
	if ((type == S_IFCHR || type == S_IFBLK) &&
	    ((mount_flags(path->mount) & MNT_NODEV) || path->mount->super->no_dev))
		return -EACCES;
	r = permission_path(path, cred, mask);
	if (r < 0)
		return r;
	return (flags & O_NOATIME) && !permission_owner(inode, cred) ? -EPERM : 0;
}

int vfs_open_path(const struct vfs_path *path, const struct cred *cred, struct task *task,
		  uint32_t flags, struct file **out)
{
	int r;

	if (flags & O_PATH)
		return (flags & O_DIRECTORY) && !dentry_is_dir(path->dentry) ?
			       -ENOTDIR :
			       open_path(path, flags, out);
	r = open_check(path, cred, flags);
	return r < 0 ? r : open_inode(path, cred, task, flags, out);
}

/* open_make() - walk->path is the directory, whose tree lock is held for writing, @dentry the name
 * that is not there */
static int open_make(struct walk *walk, struct dentry *dentry, uint32_t flags, uint32_t mode)
{
	struct dentry *dir = walk->path.dentry;
	struct vfs_create args = { .mode = S_IFREG | mode, .exclusive = flags & O_EXCL };
	struct inode *inode = NULL;
	int r = permission_names(walk->path.mount, dir, walk->cred);

	if (r < 0)
		return r;
	if (!dir->inode->ops->create)
		return -EPERM;
	permission_inherit(dir->inode, walk->cred, &args);
	r = dir->inode->ops->create(dir->inode, dentry->name, &args, &inode);
	if (r == 0)
		dentry_set(dentry, inode);
	return r;
}

/* open_find() - What walk->last in walk->path is: *@out gets references. *@made: it was not, and is
 * now */
static int open_find(struct walk *walk, uint32_t flags, uint32_t mode, struct vfs_path *out,
		     bool *made)
{
	struct dentry *dir = walk->path.dentry, *dentry;
	struct super *super = dir->super;
	int r;

	tree_read(super);
	r = dentry_lookup(dir, walk->last, &dentry);
	if (r < 0 || !dentry->inode) {
		tree_unlock(super);
		if (r < 0 && r != -ESTALE && r != -ENOENT)
			return r;
		mode = open_umask(walk->fs, mode);
		tree_write(super);
		r = dentry_lookup_locked(dir, walk->last, &dentry);
		if (r == 0 && !dentry->inode) {
			r = open_make(walk, dentry, flags, mode);
			*made = r == 0;
		}
	}
	if (r == 0) {
		*out = (struct vfs_path){ walk->path.mount, dentry };
		path_get(out);
	}
	tree_unlock(super);
	return r;
}

static void open_enter_mounts(struct vfs_path *path)
{
	struct mount *mount;

	while ((mount = mount_cross(path->mount, path->dentry))) {
		path_put(path);
		*path = (struct vfs_path){ mount, dentry_get(mount->root) };
	}
}

/* open_link_text() - Where the link @path leads: a text, or, as *@text NULL, an object that
 * @path becomes */
static int open_link_text(struct walk *walk, struct vfs_path *path, unsigned resolve,
			  char **text)
{
	struct inode *link = path->dentry->inode;
	struct vfs_path to = { 0 };
	int r;

	if ((resolve & WALK_NO_SYMLINKS) || ++walk->links > 40)
		return -ELOOP;
	if (link->ops->follow) {
		if (resolve & WALK_NO_MAGICLINKS)
			return -ELOOP;
		if (resolve & (WALK_BENEATH | WALK_IN_ROOT | WALK_NO_XDEV))
			return -EXDEV;
		r = walk->task ? link->ops->follow(link, walk->task, &to) : -EACCES;
		if (r == 0) {
			path_put(path);
			*path = to;
		}
		return r;
	}
	*text = calloc(1, PATH_MAX);
	if (!*text)
		return -ENOMEM;
	r = link->ops->readlink ? link->ops->readlink(link, *text, PATH_MAX) : -EINVAL;
	return r == 0 ? -ENOENT : r < 0 ? r : 0;
}

/* open_create_step() - One directory's turn. Return: 0 opened, 1: go on by *@text from walk->start */
static int open_create_step(struct walk *walk, const char *path, uint32_t flags, uint32_t mode,
			    unsigned resolve, char **text, struct file **out)
{
	struct vfs_path found = { 0 };
	bool made = false;
	int r = vfs_walk(walk, path, WALK_PARENT | resolve);

	if (r < 0)
		return r;
	if (!walk->last[0] || !strcmp(walk->last, ".") || !strcmp(walk->last, "..")) {
		r = vfs_walk(walk, path, resolve);
		return r < 0 ? r : flags & O_EXCL ? -EEXIST : -EISDIR;
	}
	if (walk->last_slash)
		return -EISDIR;
	r = open_find(walk, flags, mode, &found, &made);
	if (r)
		return r;
	dentry_settle(found.dentry->super);
	if (made) {
		vfs_notify(walk->path.dentry->inode, walk->last, NULL, IN_CREATE, 0);
		r = open_inode(&found, walk->cred, walk->task, flags & ~(uint32_t)O_TRUNC, out);
	} else if (flags & O_EXCL) {
		r = -EEXIST;
	} else if (S_ISLNK(found.dentry->inode->attr.st_mode) && !(flags & O_NOFOLLOW)) {
		r = open_link_text(walk, &found, resolve, text);
		if (r == 0 && *text)
			r = 1;
		else if (r == 0)
			r = vfs_open_path(&found, walk->cred, walk->task, flags, out);
	} else if (resolve & WALK_NO_XDEV && atomic_load(&found.dentry->mounts)) {
		r = -EXDEV;
	} else {
		open_enter_mounts(&found);
		r = vfs_open_path(&found, walk->cred, walk->task, flags, out);
	}
	if (r == 1) {
		path_put(&walk->start);
		walk->start = walk->path;
		walk->path = (struct vfs_path){ 0 };
	}
	path_put(&found);
	return r;
}

static int open_create(struct walk *walk, const char *path, uint32_t flags, uint32_t mode,
		       unsigned resolve, struct file **out)
{
	autofree char *at = NULL;
	int r;

	do {
		autofree char *text = NULL;

		r = open_create_step(walk, at ? at : path, flags, mode, resolve, &text, out);
		if (r == 1) {
			free(at);
			at = steal_ptr(text);
		}
	} while (r == 1);
	return r;
}

int vfs_open(struct walk *walk, const char *path, uint32_t flags, uint32_t mode, unsigned resolve,
	     struct file **out)
{
	unsigned how = resolve;
	int r;

	*out = NULL;
	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	if ((flags & O_CREAT) && !(flags & O_PATH))
		return open_create(walk, path, flags, mode & 07777, resolve, out);
	if (flags & O_NOFOLLOW)
		how |= WALK_NOFOLLOW;
	if (flags & O_DIRECTORY)
		how |= WALK_DIRECTORY;
	r = vfs_walk(walk, path, how);
	if (r < 0)
		return r;
	if ((flags & O_TMPFILE) == O_TMPFILE)
		return open_tmpfile(walk, &walk->path, flags, mode & 07777, out);
	return vfs_open_path(&walk->path, walk->cred, walk->task, flags, out);
}

int open_tmpfile(struct walk *walk, const struct vfs_path *dir, uint32_t flags, uint32_t mode,
		 struct file **out)
{
	struct vfs_create args = { .mode = S_IFREG | open_umask(walk->fs, mode) };
	struct inode *at = dir->dentry->inode, *inode = NULL;
	struct vfs_path made = { .mount = dir->mount };
	struct super *super = at->super;
	int r;

	if (!(flags & O_ACCMODE))
		return -EINVAL;
	tree_write(super);
	r = permission_names(dir->mount, dir->dentry, walk->cred);
	if (r == 0 && !at->ops->tmpfile)
		r = -EOPNOTSUPP;
	if (r == 0) {
		permission_inherit(at, walk->cred, &args);
		args.exclusive = flags & O_EXCL;
		r = at->ops->tmpfile(at, &args, &inode);
	}
	tree_unlock(super);
	if (r)
		return r;
	atomic_store(&inode->linkable, !args.exclusive);
	char name[32];

	snprintf(name, sizeof(name), "#%llu", (unsigned long long)inode->attr.st_ino);
	made.dentry = dentry_new(super, dir->dentry, name, inode);
	inode_put(inode);
	if (!made.dentry)
		return -ENOMEM;
	made.dentry->unlinked = true;
	r = open_inode(&made, walk->cred, walk->task,
		       flags & ~(uint32_t)(O_TMPFILE | O_TRUNC), out);
	dentry_put(made.dentry);
	return r;
}
