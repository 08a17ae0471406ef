/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/hostfs_change.c - names of the host that come, go and change
 *
 * Each first as ourselves, then, where that is denied, by the gofer. What is made belongs to whom
 * the guest says, if the host lets that be: where our user namespace has no such id, as for an
 * ordinary user without more of them, it stays ours.
 *
 * Under the super's tree lock, which keeps only our own guests away: any of this may meet changes
 * of the host in between. It then fails as it would there, or hits the name's new owner, as
 * any program of the host that uses names; it never leaves the tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sentry/kernel.h"
#include "sentry/vfs/hostfs.h"

static int hostfs_make(struct hostfs_inode *dir, const char *name, const struct vfs_create *args)
{
	mode_t mode = args->mode & (S_IFMT | 0777);
	int r;

	switch (args->mode & S_IFMT) {
	case S_IFDIR:
		r = mkdirat(dir->fd, name, mode & 0777);
		break;
	case S_IFLNK:
		r = symlinkat(args->target, dir->fd, name);
		break;
	case S_IFREG:
		r = mknodat(dir->fd, name, mode, 0);
		break;
	default:
		r = mknodat(dir->fd, name, mode, args->rdev);
	}
	return r < 0 ? -errno : 0;
}

static int hostfs_make_by_gofer(struct hostfs_inode *dir, const char *name,
				const struct vfs_create *args)
{
	return (int)gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_CREATE, .fd = dir->fd, .fd2 = -1, .name = name,
		.args = { args->mode, args->uid, args->gid, args->rdev },
		.data = args->target, .data_len = args->target ? strlen(args->target) : 0 });
}

/* Owner and mode as asked for: umask, default ids and inherited bits are the host's idea. */
static void hostfs_adjust(struct hostfs_inode *h, const struct vfs_create *args)
{
	const struct stat *attr = &h->inode.attr;

	if (attr->st_uid != args->uid || attr->st_gid != args->gid)
		hostfs_chown(h, args->uid, args->gid);
	hostfs_refresh(&h->inode);
	if (!S_ISLNK(args->mode) && (attr->st_mode & 07777) != (args->mode & 07777)) {
		hostfs_chmod(h, args->mode & 07777);
		hostfs_refresh(&h->inode);
	}
}

int hostfs_create(struct inode *dir, const char *name, const struct vfs_create *args,
		  struct inode **out)
{
	struct hostfs *fs = hostfs_super(dir);
	struct hostfs_inode *h = hostfs_of(dir);
	bool own = args->uid == fs->uid && args->gid == fs->gid;
	int r = -EPERM;

	/* The node would be the host's, for whoever reaches the directory there. */
	if ((S_ISCHR(args->mode) && args->rdev) || S_ISBLK(args->mode))
		return -EPERM;
	/* What shall belong to another is made by the gofer at once: one trip less. */
	if (!own && kernel.gofer)
		r = hostfs_make_by_gofer(h, name, args);
	if (r < 0 && r != -EEXIST)
		r = hostfs_make(h, name, args);
	if (r < 0 && own && hostfs_denied(r))
		r = hostfs_make_by_gofer(h, name, args);
	if (r == 0)
		r = hostfs_lookup(dir, name, out);
	if (r == 0)
		hostfs_adjust(hostfs_of(*out), args);
	return r;
}

int hostfs_tmpfile(struct inode *dir, const struct vfs_create *args, struct inode **out)
{
	int fd = openat(hostfs_of(dir)->fd, ".", O_TMPFILE | O_RDWR | O_NOFOLLOW | O_CLOEXEC,
			args->mode & 0777);
	struct stat st;
	int r;

	if (fd < 0)
		return errno == EISDIR || errno == ENOENT ? -EOPNOTSUPP : -errno;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	r = hostfs_inode_take(hostfs_super(dir), fd, &st, NULL, NULL, out);
	if (r < 0)
		return r;
	hostfs_of(*out)->open = true;
	hostfs_adjust(hostfs_of(*out), args);
	return 0;
}

/* By its old name, if it still has that. */
static int hostfs_link_by_name(struct hostfs_inode *dir, const char *name, struct hostfs_inode *h)
{
	struct hostfs_inode *parent;
	autofree char *old = NULL;
	struct stat st;
	int r;

	pthread_mutex_lock(&h->inode.lock);
	parent = h->parent ? hostfs_of(inode_get(&h->parent->inode)) : NULL;
	old = h->name ? strdup(h->name) : NULL;
	pthread_mutex_unlock(&h->inode.lock);
	r = parent && old ? 0 : -ENOENT;
	if (r == 0 && linkat(parent->fd, old, dir->fd, name, 0) < 0)
		r = -errno;
	if (parent)
		inode_put(&parent->inode);
	if (r < 0)
		return r;
	if (fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == h->ino &&
	    st.st_dev == h->dev)
		return 0;
	unlinkat(dir->fd, name, 0);
	return -ESTALE;
}

int hostfs_link(struct inode *dir, const char *name, struct inode *target)
{
	struct hostfs_inode *d = hostfs_of(dir), *h = hostfs_of(target);
	int r = linkat(h->fd, "", d->fd, name, AT_EMPTY_PATH) < 0 ? -errno : 0;

	/* ENOENT: older kernels want a capability for that */
	if ((r == -ENOENT && kernel.gofer) || hostfs_denied(r))
		r = (int)gofer_call(kernel.gofer, &(struct gofer_call){
			.op = GOFER_LINK, .fd = d->fd, .fd2 = h->fd, .name = name });
	else if (r == -ENOENT)
		r = hostfs_link_by_name(d, name, h);
	if (r == 0) {
		hostfs_inode_place(h, d, name);
		hostfs_refresh(target);
	}
	return r;
}

static int hostfs_remove(struct inode *dir, const char *name, struct inode *victim, int flags)
{
	struct hostfs_inode *h = hostfs_of(dir);
	int r = unlinkat(h->fd, name, flags) < 0 ? -errno : 0;

	if (hostfs_denied(r))
		r = (int)gofer_call(kernel.gofer, &(struct gofer_call){
			.op = GOFER_UNLINK, .fd = h->fd, .fd2 = -1, .name = name,
			.args = { (uint64_t)flags } });
	if (r == 0)
		hostfs_refresh(victim);
	return r;
}

int hostfs_unlink(struct inode *dir, const char *name, struct inode *victim)
{
	return hostfs_remove(dir, name, victim, 0);
}

int hostfs_rmdir(struct inode *dir, const char *name, struct inode *victim)
{
	return hostfs_remove(dir, name, victim, AT_REMOVEDIR);
}

/* What is there now is remembered to be there. */
static void hostfs_renamed(struct inode *dir, const char *name)
{
	struct hostfs_inode *h;
	struct stat st;

	if (fstatat(hostfs_of(dir)->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	h = hostfs_inode_find(hostfs_super(dir), &st);
	if (!h)
		return;
	hostfs_inode_place(h, hostfs_of(dir), name);
	inode_put(&h->inode);
}

int hostfs_rename(struct inode *old_dir, const char *old_name, struct inode *new_dir,
		  const char *new_name, unsigned flags)
{
	struct hostfs_inode *from = hostfs_of(old_dir), *to = hostfs_of(new_dir);
	/* The C library has another call for no flags. */
	int r = syscall(SYS_renameat2, from->fd, old_name, to->fd, new_name, flags) < 0 ? -errno : 0;

	if (hostfs_denied(r))
		r = (int)gofer_call(kernel.gofer, &(struct gofer_call){
			.op = GOFER_RENAME, .fd = from->fd, .fd2 = to->fd, .name = old_name,
			.name2 = new_name, .args = { flags } });
	if (r < 0)
		return r;
	hostfs_renamed(new_dir, new_name);
	if (flags & RENAME_EXCHANGE)
		hostfs_renamed(old_dir, old_name);
	return 0;
}
