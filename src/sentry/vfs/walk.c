/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/walk.c - from a path to what it names
 *
 *	text "a/b/../c" -> component -> dentry_lookup() -> mounted on it? -> a link? -> next
 *
 * While names of one file system are passed, its tree lock is held for reading and nothing is
 * referenced but where the walk came into this file system (base). A reference on the place it has
 * reached (at) is taken before the lock is given up: to enter another mount, to ask for what a
 * link of /proc leads to, at the end.
 *
 * A link's target and what is left of the path become the new text, so there is no recursion.
 *
 * Links into hostile places need no care of their own: a walk starts at the task's root and ".."
 * stops there. What RESOLVE_BENEATH and RESOLVE_IN_ROOT add is a root of the walk's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/task/task.h"
#include "sentry/vfs/permission.h"

#define WALK_LINKS_MAX 40

struct walk_state {
	struct walk *walk;
	unsigned flags;
	struct vfs_path root;	/* reference; empty until it is needed */
	struct vfs_path base;	/* reference; its mount is where we are */
	struct dentry *at;	/* base.dentry, or held by the tree lock */
	bool locked;
	const char *rest;	/* what is left, terminated */
	char *text;		/* owned: where rest is, after a link */
	bool last, slash;	/* of the present component: nothing follows; a slash does */
};

static void walk_lock(struct walk_state *w)
{
	if (!w->locked)
		tree_read(w->at->super);
	w->locked = true;
}

/* walk_pin() - Hold @at by a reference instead of the lock */
static void walk_pin(struct walk_state *w)
{
	struct dentry *old = NULL;

	if (w->at != w->base.dentry) {
		old = w->base.dentry;
		w->base.dentry = dentry_get(w->at);
	}
	if (w->locked)
		tree_unlock(w->at->super);
	w->locked = false;
	dentry_put(old);
}

/* walk_jump() - Go on at @path, whose references are taken over */
static void walk_jump(struct walk_state *w, struct vfs_path path)
{
	struct vfs_path old = w->base;

	if (w->locked)
		tree_unlock(w->at->super);
	w->locked = false;
	w->base = path;
	w->at = path.dentry;
	path_put(&old);
}

static void walk_need_root(struct walk_state *w)
{
	if (w->root.mount)
		return;
	fs_context_root(w->walk->fs, &w->root);
}

static int walk_to_root(struct walk_state *w)
{
	struct vfs_path root;

	if (w->flags & WALK_BENEATH)
		return -EXDEV;
	walk_need_root(w);
	if ((w->flags & WALK_NO_XDEV) && w->base.mount && w->base.mount != w->root.mount)
		return -EXDEV;
	root = w->root;
	path_get(&root);
	walk_jump(w, root);
	return 0;
}

/* walk_enter() - What is mounted here, if anything; the topmost */
static int walk_enter(struct walk_state *w)
{
	struct mount *mount;

	while ((mount = mount_cross(w->base.mount, w->at))) {
		if (w->flags & WALK_NO_XDEV) {
			mount_put(mount);
			return -EXDEV;
		}
		walk_jump(w, (struct vfs_path){ mount, dentry_get(mount->root) });
	}
	return 0;
}

static int walk_up(struct walk_state *w)
{
	struct vfs_path above;

	walk_need_root(w);
	for (;;) {
		if (w->at == w->root.dentry && w->base.mount == w->root.mount)
			return w->flags & WALK_BENEATH ? -EXDEV : 0;
		if (w->at != w->base.mount->root)
			break;
		if (!mount_above(w->base.mount, &above))
			return 0;
		if (w->flags & WALK_NO_XDEV) {
			path_put(&above);
			return -EXDEV;
		}
		walk_jump(w, above);
		walk_lock(w);
	}
	if (!w->at->parent)
		return 0;
	/* Nor out of where the walk has to stay. */
	if ((w->flags & (WALK_BENEATH | WALK_IN_ROOT)) && w->base.mount == w->root.mount &&
	    !dentry_is_below(w->at, w->root.dentry))
		return -EAGAIN;
	/* Somebody may have moved it out of the part of the tree that is mounted here. */
	if (w->base.mount->root->parent && !dentry_is_below(w->at, w->base.mount->root))
		return -ENOENT;
	w->at = w->at->parent;
	return walk_enter(w);
}

/* walk_follow_magic() - A link that leads to an object */
static int walk_follow_magic(struct walk_state *w, struct inode *link)
{
	struct vfs_path path = { 0 };
	int r;

	if (w->flags & WALK_NO_MAGICLINKS)
		return -ELOOP;
	if (w->flags & (WALK_BENEATH | WALK_IN_ROOT))
		return -EXDEV;
	if (!w->walk->task)
		return -EACCES;
	r = link->ops->follow(link, w->walk->task, &path);
	if (r < 0)
		return r;
	if ((w->flags & WALK_NO_XDEV) && path.mount != w->base.mount) {
		path_put(&path);
		return -EXDEV;
	}
	walk_jump(w, path);
	return 0;
}

/* walk_follow() - The link @dentry in the directory @at; locked, and not after */
static int walk_follow(struct walk_state *w, struct dentry *dentry)
{
	struct inode *link = inode_get(dentry->inode);
	size_t rest = strlen(w->rest);
	autofree char *text = NULL;
	int len = 0;

	walk_pin(w);
	if (w->flags & WALK_NO_SYMLINKS || ++w->walk->links > WALK_LINKS_MAX) {
		len = -ELOOP;
	} else if (link->ops->follow) {
		len = walk_follow_magic(w, link);
	} else {
		text = malloc(PATH_MAX + rest + 1);
		if (!text)
			len = -ENOMEM;
		else
			len = link->ops->readlink ? link->ops->readlink(link, text, PATH_MAX) :
						    -EINVAL;
		if (len == 0)
			len = -ENOENT;
	}
	inode_put(link);
	if (len < 0 || !text)
		return len;
	memcpy(text + len, w->rest, rest + 1);
	free(w->text);
	w->rest = w->text = steal_ptr(text);
	return w->rest[0] == '/' ? walk_to_root(w) : 0;
}

/* walk_component() - The next one, to walk->last; false: there is none */
static int walk_component(struct walk_state *w)
{
	const char *s = w->rest;
	size_t len;

	while (*s == '/')
		s++;
	w->rest = s;
	len = strcspn(s, "/");
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(w->walk->last, s, len);
	w->walk->last[len] = 0;
	w->rest = s + len;
	w->slash = s[len] == '/';
	w->last = !s[len + strspn(s + len, "/")];
	return len > 0;
}

/* walk_lookup() - walk->last in the directory @at */
static int walk_lookup(struct walk_state *w, struct dentry **out)
{
	int r;

	while ((r = dentry_lookup(w->at, w->walk->last, out)) == -ESTALE) {
		walk_pin(w);
		dentry_drop_stale(w->at, w->walk->last);
		walk_lock(w);
	}
	if (r == 0 && !(*out)->inode)
		return -ENOENT;
	return r;
}

/* walk_step() - One component on */
static int walk_step(struct walk_state *w)
{
	const char *name = w->walk->last;
	struct dentry *next;
	bool follow;
	int r;

	if (name[0] == '.' && !name[1])
		return 0;
	if (name[0] == '.' && name[1] == '.' && !name[2])
		return walk_up(w);
	r = walk_lookup(w, &next);
	if (r < 0)
		return r;
	follow = !w->last || w->slash || !(w->flags & WALK_NOFOLLOW);
	if (S_ISLNK(next->inode->attr.st_mode) && follow)
		return walk_follow(w, next);
	w->at = next;
	return walk_enter(w);
}

/* walk_finish() - All components are passed, or all but the last */
static int walk_finish(struct walk_state *w, bool want_dir)
{
	if (want_dir && !dentry_is_dir(w->at))
		return -ENOTDIR;
	walk_pin(w);
	w->walk->path = w->base;
	w->base = (struct vfs_path){ 0 };
	return 0;
}

static int walk_run(struct walk_state *w)
{
	struct walk *walk = w->walk;
	bool want_dir = w->flags & WALK_DIRECTORY;
	int r;

	for (;;) {
		walk_lock(w);
		r = walk_component(w);
		if (r < 0)
			return r;
		if (r == 0)
			return walk_finish(w, want_dir);
		if (!dentry_is_dir(w->at))
			return -ENOTDIR;
		r = vfs_permission(w->at->inode, walk->cred, MAY_EXEC);
		if (r < 0)
			return r;
		if (w->last && (w->flags & WALK_PARENT)) {
			walk->last_slash = w->slash;
			return walk_finish(w, false);
		}
		/* A slash at the end, of a link's target too, asks for a directory. */
		want_dir = (w->flags & WALK_DIRECTORY) || (w->last && w->slash);
		r = walk_step(w);
		if (r < 0)
			return r;
	}
}

static int walk_begin(struct walk_state *w, const char *path)
{
	struct walk *walk = w->walk;
	struct vfs_path start = walk->start;

	walk->last_slash = false;
	walk->last[0] = 0;
	path_put(&walk->path);
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (!*path && !(w->flags & WALK_EMPTY))
		return -ENOENT;
	w->rest = path;
	if (path[0] == '/' && !(w->flags & (WALK_BENEATH | WALK_IN_ROOT)))
		return walk_to_root(w);
	if (start.mount)
		path_get(&start);
	else
		fs_context_cwd(walk->fs, &start);
	if (w->flags & (WALK_BENEATH | WALK_IN_ROOT)) {
		if (!walk->scope.mount) {
			walk->scope = start;
			path_get(&walk->scope);
		}
		w->root = walk->scope;
		path_get(&w->root);
	}
	w->base = start;
	w->at = start.dentry;
	return path[0] == '/' ? walk_to_root(w) : 0;
}

int vfs_walk(struct walk *walk, const char *path, unsigned flags)
{
	struct walk_state w = { .walk = walk,
				.flags = flags | (walk->in_root ? WALK_IN_ROOT : 0u) };
	struct super *super;
	int r = walk_begin(&w, path);

	if (r == 0)
		r = walk_run(&w);
	if (w.locked)
		tree_unlock(w.at->super);
	super = r == 0 ? walk->path.dentry->super : NULL;
	path_put(&w.base);
	path_put(&w.root);
	free(w.text);
	if (super)
		dentry_settle(super);
	return r;
}

int walk_task(struct walk *walk, struct task *task, int dirfd, const char *path)
{
	struct file *file;

	*walk = (struct walk){ .fs = task->fs, .cred = task->cred, .task = task };
	if (path[0] == '/' || dirfd == AT_FDCWD)
		return 0;
	file = fd_get_path(task, dirfd);
	if (!file)
		return -EBADF;
	if (!file->dentry || (path[0] && !dentry_is_dir(file->dentry))) {
		file_put(file);
		return -ENOTDIR;
	}
	walk->start = (struct vfs_path){ file->mount, file->dentry };
	path_get(&walk->start);
	file_put(file);
	return 0;
}

void walk_end(struct walk *walk)
{
	path_put(&walk->start);
	path_put(&walk->scope);
	path_put(&walk->path);
}
