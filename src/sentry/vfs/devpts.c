/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/devpts.c - /dev/pts: the names of a container's terminals, and ptmx
 *
 * A terminal has a name for as long as its master is open; opening ptmx makes a new pair. Numbers
 * are given out from the lowest free one on. What the terminals do is tty/'s.
 */
#include "sentry/vfs/vfs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/cleanup.h"
#include "sentry/tty/pty.h"

#define DEVPTS_MAX	1024 /* terminals; each may come to hold some 25 KiB of ours */
#define DEVPTS_GROW	8
#define DEVPTS_MAGIC	0x1cd1
#define DEVPTS_ROOT_INO 1
#define DEVPTS_PTMX_INO 2
#define DEVPTS_FIRST_INO 3
#define DEVPTS_MODE	0620

struct devpts_node {
	struct inode inode;
	struct tty *tty; /* the file system's lock; a reference while it has its name, else NULL */
};

struct devpts {
	struct super super;
	uint32_t gid; /* of terminals; UINT32_MAX: of who opens */
	struct inode *ptmx; /* a reference */
	pthread_mutex_t lock;
	struct devpts_node **nodes; /* lock; by number, references; NULL: free */
	unsigned count;
};

static const struct inode_ops devpts_root_ops, devpts_node_ops;

static struct devpts *devpts_of(struct super *super)
{
	return container_of(super, struct devpts, super);
}

static void devpts_node_free(struct inode *inode)
{
	struct devpts_node *node = container_of(inode, struct devpts_node, inode);

	tty_put(node->tty);
	inode_fini(inode);
	free(node);
}

static struct devpts_node *devpts_node_new(struct super *super, const struct inode_ops *ops,
					   uint32_t mode, uint64_t ino)
{
	struct devpts_node *node = calloc(1, sizeof(*node));

	if (node)
		inode_init(&node->inode, super, ops, mode, ino);
	return node;
}

/* lock held. Return: the lowest number that is free, -ENOSPC, -ENOMEM */
static int devpts_number(struct devpts *fs)
{
	struct devpts_node **nodes;
	unsigned n = 0;

	while (n < fs->count && fs->nodes[n])
		n++;
	if (n >= DEVPTS_MAX)
		return -ENOSPC;
	if (n < fs->count)
		return (int)n;
	nodes = realloc(fs->nodes, (n + DEVPTS_GROW) * sizeof(struct devpts_node *));
	if (!nodes)
		return -ENOMEM;
	memset(nodes + n, 0, DEVPTS_GROW * sizeof(struct devpts_node *));
	fs->nodes = nodes;
	fs->count = n + DEVPTS_GROW;
	return (int)n;
}

int devpts_add(struct super *super, struct tty *tty, uint32_t uid, uint32_t gid)
{
	struct devpts *fs = devpts_of(super);
	struct devpts_node *node = devpts_node_new(super, &devpts_node_ops, S_IFCHR | DEVPTS_MODE, 0);
	int n;

	if (!node)
		return -ENOMEM;
	pthread_mutex_lock(&fs->lock);
	n = devpts_number(fs);
	if (n >= 0) {
		tty->number = n;
		node->tty = tty_get(tty);
		node->inode.attr.st_ino = DEVPTS_FIRST_INO + (uint64_t)n;
		node->inode.attr.st_rdev = tty_rdev(tty);
		node->inode.attr.st_uid = uid;
		node->inode.attr.st_gid = fs->gid == UINT32_MAX ? gid : fs->gid;
		node->inode.attr.st_blksize = 1024;
		fs->nodes[n] = node;
	}
	pthread_mutex_unlock(&fs->lock);
	if (n < 0)
		inode_put(&node->inode);
	return n < 0 ? n : 0;
}

void devpts_remove(struct super *super, int number)
{
	struct devpts *fs = devpts_of(super);
	struct devpts_node *node;
	struct tty *tty;

	/* The cache of names may hold the inode for long, and a terminal holds the file system. */
	pthread_mutex_lock(&fs->lock);
	node = fs->nodes[number];
	fs->nodes[number] = NULL;
	tty = steal_ptr(node->tty);
	pthread_mutex_unlock(&fs->lock);
	inode_put(&node->inode);
	tty_put(tty);
}

struct inode *devpts_inode(struct super *super, int number)
{
	struct devpts *fs = devpts_of(super);
	struct inode *inode = NULL;

	pthread_mutex_lock(&fs->lock);
	if (number >= 0 && (unsigned)number < fs->count && fs->nodes[number])
		inode = inode_get(&fs->nodes[number]->inode);
	pthread_mutex_unlock(&fs->lock);
	return inode;
}

/* Return: the number that a name is, -1: none */
static int devpts_parse(const char *name)
{
	unsigned n = 0;

	if (!*name || strlen(name) > 4 || (name[0] == '0' && name[1]))
		return -1;
	for (; *name; name++) {
		if (*name < '0' || *name > '9')
			return -1;
		n = n * 10 + (unsigned)(*name - '0');
	}
	return (int)n;
}

static int devpts_lookup(struct inode *dir, const char *name, struct inode **out)
{
	if (strcmp(name, "ptmx") == 0)
		*out = inode_get(devpts_of(dir->super)->ptmx);
	else
		*out = devpts_inode(dir->super, devpts_parse(name));
	return *out ? 0 : -ENOENT;
}

static bool devpts_revalidate(struct inode *dir, const char *name, struct inode *inode)
{
	struct inode *now = NULL;

	(void)devpts_lookup(dir, name, &now);
	if (now)
		inode_put(now);
	return now == inode;
}

static int devpts_setattr(struct inode *inode, const struct inode_attr *attr)
{
	struct stat *st = &inode->attr;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&inode->lock);
	if (attr->mask & ATTR_MODE)
		st->st_mode = (st->st_mode & S_IFMT) | attr->mode;
	if (attr->mask & ATTR_UID)
		st->st_uid = attr->uid;
	if (attr->mask & ATTR_GID)
		st->st_gid = attr->gid;
	if (attr->mask & (ATTR_ATIME | ATTR_ATIME_NOW))
		st->st_atim = attr->mask & ATTR_ATIME_NOW ? now : attr->atime;
	if (attr->mask & (ATTR_MTIME | ATTR_MTIME_NOW))
		st->st_mtim = attr->mask & ATTR_MTIME_NOW ? now : attr->mtime;
	st->st_ctim = now;
	pthread_mutex_unlock(&inode->lock);
	return 0;
}

static int devpts_open_node(struct inode *inode, const struct vfs_path *path, uint32_t flags,
			    struct task *task, struct file **out)
{
	struct devpts_node *node = container_of(inode, struct devpts_node, inode);
	struct devpts *fs = devpts_of(inode->super);
	struct tty *tty;
	int r;

	if (inode == fs->ptmx)
		return pty_open_at(inode->super, flags, path, inode, out);
	pthread_mutex_lock(&fs->lock);
	tty = node->tty ? tty_get(node->tty) : NULL;
	pthread_mutex_unlock(&fs->lock);
	if (!tty)
		return -EIO;
	r = tty_open_at(tty, flags, path, inode, task, out);
	tty_put(tty);
	return r;
}

/* --- the directory --- */

static int devpts_readdir(struct file *file, struct dir_sink *sink)
{
	struct devpts *fs = devpts_of(file->inode->super);
	int stop = 0;

	if (!dir_emit_dots(file, sink))
		return 0;
	if (file->offset == 2) {
		if (sink->emit(sink, "ptmx", 4, DEVPTS_PTMX_INO, DT_CHR, 3))
			return 0;
		file->offset = 3;
	}
	pthread_mutex_lock(&fs->lock);
	for (; !stop && file->offset >= 3 && file->offset - 3 < (int64_t)fs->count; file->offset++) {
		unsigned n = (unsigned)(file->offset - 3);
		char name[16];
		int len = snprintf(name, sizeof(name), "%u", n);

		if (!fs->nodes[n])
			continue;
		stop = sink->emit(sink, name, (size_t)len, DEVPTS_FIRST_INO + n, DT_CHR,
				  file->offset + 1);
		if (stop)
			break;
	}
	pthread_mutex_unlock(&fs->lock);
	return 0;
}

static const struct file_ops devpts_dir_ops = {
	.name = "devpts",
	.readdir = devpts_readdir,
	.release = file_release_plain,
};

static int devpts_open_dir(struct inode *inode, const struct vfs_path *path, uint32_t flags,
			   struct task *task, struct file **out)
{
	struct file *file = calloc(1, sizeof(*file));

	(void)task;
	if (!file)
		return -ENOMEM;
	file_init(file, &devpts_dir_ops, flags, path, inode);
	*out = file;
	return 0;
}

static const struct inode_ops devpts_root_ops = {
	.lookup = devpts_lookup,
	.revalidate = devpts_revalidate,
	.setattr = devpts_setattr,
	.open = devpts_open_dir,
	.free = devpts_node_free,
};

static const struct inode_ops devpts_node_ops = {
	.setattr = devpts_setattr,
	.open = devpts_open_node,
	.free = devpts_node_free,
};

/* --- the file system --- */

static int devpts_statfs(struct super *super, struct statfs *out)
{
	(void)super;
	*out = (struct statfs){ .f_type = DEVPTS_MAGIC, .f_bsize = 4096, .f_frsize = 4096,
				.f_namelen = NAME_MAX };
	return 0;
}

static void devpts_free(struct super *super)
{
	struct devpts *fs = devpts_of(super);

	inode_put(fs->ptmx);
	pthread_mutex_destroy(&fs->lock);
	free(fs->nodes);
	free(fs);
}

static const struct super_ops devpts_super_ops = {
	.type = "devpts",
	.statfs = devpts_statfs,
	.free = devpts_free,
};

int devpts_new(uint32_t ptmx_mode, uint32_t gid, struct super **out)
{
	autofree struct devpts *fs = calloc(1, sizeof(*fs));
	struct devpts_node *root, *ptmx;
	int r;

	if (!fs)
		return -ENOMEM;
	root = devpts_node_new(&fs->super, &devpts_root_ops, S_IFDIR | 0755, DEVPTS_ROOT_INO);
	ptmx = devpts_node_new(&fs->super, &devpts_node_ops, S_IFCHR | (ptmx_mode & 0777),
			       DEVPTS_PTMX_INO);
	if (ptmx)
		ptmx->inode.attr.st_rdev = makedev(5, 2);
	r = root && ptmx ? super_init(&fs->super, &devpts_super_ops, &root->inode) : -ENOMEM;
	if (r < 0) {
		if (root && !ptmx)
			inode_put(&root->inode);
		if (ptmx)
			inode_put(&ptmx->inode);
		return r;
	}
	fs->ptmx = &ptmx->inode;
	fs->gid = gid;
	fs->super.own_devices = true;
	pthread_mutex_init(&fs->lock, NULL);
	*out = &fs->super;
	(void)steal_ptr(fs);
	return 0;
}
