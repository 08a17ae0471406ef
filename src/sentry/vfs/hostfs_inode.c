/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/hostfs_inode.c - files of the host as inodes
 *
 *	lookup(dir, name) -> openat(dir's descriptor, name, O_PATH | O_NOFOLLOW) -> device, number
 *	                  -> the inode we have for these, or a new one
 *
 * Two names of one file are one inode, so that locks, mappings and bound sockets are the file's. The
 * table has no references: who finds one that is just being freed makes a new one.
 *
 * Opening with O_PATH has no effect on what is opened, whatever somebody on the host has put there:
 * pipes, devices, links. What may then be done with it depends on the type the descriptor has.
 *
 * The tree is not ours alone: every name is looked at again on each walk (revalidate), one call,
 * which also brings fresh attributes.
 */
#include "sentry/vfs/hostfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sentry/kernel.h"

/* Descriptors of all trees; when they are three quarters of what we may have, caches shrink. */
static _Atomic unsigned hostfs_descriptors;
static _Atomic unsigned hostfs_descriptors_max = UINT_MAX;

static const struct inode_ops hostfs_file_ops, hostfs_dir_ops, hostfs_link_ops, hostfs_other_ops;

bool hostfs_denied(int r)
{
	return (r == -EACCES || r == -EPERM) && kernel.gofer;
}

/* One number for a file, also where the tree has several file systems in it. */
uint64_t hostfs_ino(const struct hostfs *fs, dev_t dev, ino_t ino)
{
	return dev == fs->dev ? ino : ino ^ ((uint64_t)dev << 40);
}

/* inode.lock held, or nobody knows it yet */
static void hostfs_fill(struct hostfs_inode *h, const struct stat *st)
{
	struct stat attr = *st;

	attr.st_dev = 0;
	attr.st_ino = hostfs_ino(hostfs_super(&h->inode), st->st_dev, st->st_ino);
	h->inode.attr = attr;
	atomic_fetch_add_explicit(&h->fills, 1, memory_order_relaxed);
}

static unsigned hostfs_bucket(dev_t dev, ino_t ino)
{
	return (unsigned)(((ino ^ dev) * UINT64_C(0x9e3779b97f4a7c15)) >> 56) % HOSTFS_BUCKETS;
}

/* Not when the last reference is gone: it is on its way out. */
static bool hostfs_try_get(struct hostfs_inode *h)
{
	unsigned refs = atomic_load_explicit(&h->inode.refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak_explicit(&h->inode.refs, &refs, refs + 1,
							  memory_order_acquire,
							  memory_order_relaxed))
			return true;
	return false;
}

/* fs->lock held */
static struct hostfs_inode *hostfs_find(struct hostfs *fs, dev_t dev, ino_t ino)
{
	struct hostfs_inode *h = fs->buckets[hostfs_bucket(dev, ino)];

	while (h && !(h->dev == dev && h->ino == ino && hostfs_try_get(h)))
		h = h->next;
	return h;
}

struct hostfs_inode *hostfs_inode_find(struct hostfs *fs, const struct stat *st)
{
	struct hostfs_inode *h;

	pthread_mutex_lock(&fs->lock);
	h = hostfs_find(fs, st->st_dev, st->st_ino);
	pthread_mutex_unlock(&fs->lock);
	return h;
}

void hostfs_inode_place(struct hostfs_inode *h, struct hostfs_inode *parent, const char *name)
{
	struct hostfs_inode *old;
	char *copy;

	/* What a directory is called is never asked for, and so none can hold another in a ring. */
	if (S_ISDIR(h->inode.attr.st_mode))
		return;
	pthread_mutex_lock(&h->inode.lock);
	if (h->parent == parent && h->name && strcmp(h->name, name) == 0) {
		pthread_mutex_unlock(&h->inode.lock);
		return;
	}
	old = h->parent;
	copy = strdup(name);
	free(h->name);
	h->name = copy;
	h->parent = copy ? hostfs_of(inode_get(&parent->inode)) : NULL;
	pthread_mutex_unlock(&h->inode.lock);
	if (old)
		inode_put(&old->inode);
}

static const struct inode_ops *hostfs_ops(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return &hostfs_file_ops;
	case S_IFDIR:
		return &hostfs_dir_ops;
	case S_IFLNK:
		return &hostfs_link_ops;
	default:
		return &hostfs_other_ops;
	}
}

static struct hostfs_inode *hostfs_inode_new(struct hostfs *fs, int fd, const struct stat *st)
{
	struct hostfs_inode *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	inode_init(&h->inode, &fs->super, hostfs_ops(st->st_mode), st->st_mode, 0);
	h->fd = fd;
	h->dev = st->st_dev;
	h->ino = st->st_ino;
	h->data_fd[0] = h->data_fd[1] = -1;
	hostfs_fill(h, st);
	if (S_ISREG(st->st_mode))
		h->inode.mapping.ops = &hostfs_mappable_ops;
	return h;
}

bool hostfs_is_crowded(void)
{
	return hostfs_descriptors > hostfs_descriptors_max;
}

bool hostfs_fd_room(void)
{
	unsigned max = hostfs_descriptors_max, used = hostfs_descriptors;

	return used <= max || used - max <= max / 6;
}

void hostfs_fd_count(int n)
{
	atomic_fetch_add(&hostfs_descriptors, (unsigned)n);
}

void hostfs_set_limit(unsigned files)
{
	hostfs_descriptors_max = files / 4 * 3;
}

/* Fewer names are remembered before descriptors run out. */
static void hostfs_count(struct hostfs *fs)
{
	unsigned names = fs->super.ndentries / 2;

	hostfs_fd_count(1);
	if (hostfs_is_crowded())
		fs->super.dentries_max = names > 32 ? names : 32;
}

int hostfs_inode_take(struct hostfs *fs, int fd, const struct stat *st,
		      struct hostfs_inode *parent, const char *name, struct inode **out)
{
	unsigned bucket = hostfs_bucket(st->st_dev, st->st_ino);
	struct hostfs_inode *h;
	bool known;

	pthread_mutex_lock(&fs->lock);
	h = hostfs_find(fs, st->st_dev, st->st_ino);
	known = h;
	if (!h)
		h = hostfs_inode_new(fs, fd, st);
	if (h && !known) {
		h->next = fs->buckets[bucket];
		fs->buckets[bucket] = h;
	}
	pthread_mutex_unlock(&fs->lock);
	if (known || !h)
		close(fd);
	if (!h)
		return -ENOMEM;
	if (known)
		hostfs_refresh(&h->inode); /* it may have been written to since @st */
	else
		hostfs_count(fs);
	if (parent)
		hostfs_inode_place(h, parent, name);
	*out = &h->inode;
	return 0;
}

void hostfs_inode_free(struct inode *inode)
{
	struct hostfs_inode *h = hostfs_of(inode), **at;
	struct hostfs *fs = hostfs_super(inode);

	pthread_mutex_lock(&fs->lock);
	at = &fs->buckets[hostfs_bucket(h->dev, h->ino)];
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	pthread_mutex_unlock(&fs->lock);
	close_fd(&h->fd);
	close_fd(&h->data_fd[0]);
	close_fd(&h->data_fd[1]);
	hostfs_fd_count(-1);
	if (h->parent)
		inode_put(&h->parent->inode);
	free(h->name);
	inode_fini(inode);
	free(h);
}

int hostfs_lookup(struct inode *dir, const char *name, struct inode **out)
{
	struct hostfs_inode *h = hostfs_of(dir);
	struct stat st;
	int fd, r;

	if (!hostfs_fd_room())
		return -ENFILE;
	fd = openat(h->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 ? -errno : 0;
	if (fd < 0 && hostfs_denied(r)) {
		fd = (int)gofer_call(kernel.gofer, &(struct gofer_call){
			.op = GOFER_OPEN, .fd = h->fd, .fd2 = -1, .name = name,
			.args = { O_PATH } });
		r = fd;
	}
	if (fd < 0)
		return r;
	if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return hostfs_inode_take(hostfs_super(dir), fd, &st, h, name, out);
}

static int hostfs_stat_name(struct hostfs_inode *dir, const char *name, struct stat *st)
{
	int r = fstatat(dir->fd, name, st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;

	if (r == 0 || !hostfs_denied(r))
		return r;
	return (int)gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_STAT, .fd = dir->fd, .fd2 = -1, .name = name,
		.reply = st, .reply_size = sizeof(*st) });
}

bool hostfs_revalidate(struct inode *dir, const char *name, struct inode *inode)
{
	struct hostfs_inode *h = inode ? hostfs_of(inode) : NULL;
	unsigned fills = h ? atomic_load_explicit(&h->fills, memory_order_acquire) : 0;
	struct stat st;
	int r;

	r = hostfs_stat_name(hostfs_of(dir), name, &st);
	if (r < 0)
		return !h && r == -ENOENT;
	if (!h || h->ino != st.st_ino || h->dev != st.st_dev)
		return false;
	/* Many pass here at once, so no lock is held over the question; what is newer stays. */
	pthread_mutex_lock(&inode->lock);
	if (atomic_load_explicit(&h->fills, memory_order_relaxed) == fills)
		hostfs_fill(h, &st);
	pthread_mutex_unlock(&inode->lock);
	return true;
}

int hostfs_refresh(struct inode *inode)
{
	struct hostfs_inode *h = hostfs_of(inode);
	struct stat st;
	int r = 0;

	/* One step: of two that ask, the later one has what is newer. */
	pthread_mutex_lock(&inode->lock);
	if (fstatat(h->fd, "", &st, AT_EMPTY_PATH) < 0)
		r = -errno;
	else
		hostfs_fill(h, &st);
	pthread_mutex_unlock(&inode->lock);
	return r;
}

int hostfs_readlink(struct inode *inode, char *buf, size_t size)
{
	ssize_t n = readlinkat(hostfs_of(inode)->fd, "", buf, size - 1);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return (int)n;
}

#define HOSTFS_COMMON                                                                         \
	.refresh = hostfs_refresh, .setattr = hostfs_setattr, .getxattr = hostfs_getxattr,       \
	.setxattr = hostfs_setxattr, .listxattr = hostfs_listxattr,                              \
	.removexattr = hostfs_removexattr, .free = hostfs_inode_free

static const struct inode_ops hostfs_file_ops = { HOSTFS_COMMON, .open = hostfs_open_file };
static const struct inode_ops hostfs_link_ops = { HOSTFS_COMMON, .readlink = hostfs_readlink };
static const struct inode_ops hostfs_other_ops = { HOSTFS_COMMON, .connect = hostfs_connect };
static const struct inode_ops hostfs_dir_ops = {
	HOSTFS_COMMON,
	.lookup = hostfs_lookup,
	.create = hostfs_create,
	.tmpfile = hostfs_tmpfile,
	.link = hostfs_link,
	.unlink = hostfs_unlink,
	.rmdir = hostfs_rmdir,
	.rename = hostfs_rename,
	.open = hostfs_open_dir,
	.revalidate = hostfs_revalidate,
};
