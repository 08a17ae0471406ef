/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/inode.c - file systems and their inodes as objects: numbers, references, counts
 *
 * Embedded by each kind of file system in its own; the last reference calls its free().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "sentry/vfs/dentry.h"
#include "sentry/vfs/lock.h"

/* Inodes without a reference, freed one after the other: many hold their directory, and a guest
 * makes directories as deep as it likes. */
static _Thread_local struct inode *inode_dying;
static _Thread_local bool inode_freeing;

static void inode_free_all(void)
{
	bool nested = inode_freeing;

	inode_freeing = true;
	while (inode_dying) {
		struct inode *inode = inode_dying;

		inode_dying = inode->dying;
		inode->ops->free(inode);
	}
	inode_freeing = nested;
}

int super_init(struct super *super, const struct super_ops *ops, struct inode *root)
{
	static _Atomic unsigned next_dev = 1;
	int r = dentry_cache_init(super);

	if (r < 0) {
		inode_put(root);
		return r;
	}
	super->ops = ops;
	atomic_init(&super->refs, 1);
	super->dev = makedev(0, atomic_fetch_add(&next_dev, 1));
	super->root = dentry_new(super, NULL, "", root);
	inode_put(root);
	if (!super->root) {
		dentry_cache_free(super);
		return -ENOMEM;
	}
	return 0;
}

struct super *super_get(struct super *super)
{
	atomic_fetch_add_explicit(&super->refs, 1, memory_order_relaxed);
	return super;
}

void super_put(struct super *super)
{
	if (!super || atomic_fetch_sub_explicit(&super->refs, 1, memory_order_acq_rel) != 1)
		return;
	dentry_cache_free(super);
	dentry_put(super->root);
	inode_free_all(); /* now, also when it is an inode that had this one */
	if (super->ops->free)
		super->ops->free(super);
}

uint64_t inode_next_ino(void)
{
	static _Atomic uint64_t next = 2;

	return atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);
}

void inode_init(struct inode *inode, struct super *super, const struct inode_ops *ops,
		uint32_t mode, uint64_t ino)
{
	struct timespec now;

	memset(inode, 0, sizeof(*inode));
	clock_gettime(CLOCK_REALTIME, &now);
	inode->ops = ops;
	inode->super = super;
	atomic_init(&inode->refs, 1);
	pthread_mutex_init(&inode->lock, NULL);
	pthread_mutex_init(&inode->write_lock, NULL);
	inode->attr.st_ino = ino;
	inode->attr.st_mode = mode;
	inode->attr.st_nlink = S_ISDIR(mode) ? 2 : 1;
	inode->attr.st_blksize = 4096;
	inode->attr.st_atim = inode->attr.st_mtim = inode->attr.st_ctim = now;
}

void inode_fini(struct inode *inode)
{
	lock_list_free(inode);
	pthread_mutex_destroy(&inode->lock);
	pthread_mutex_destroy(&inode->write_lock);
}

struct stat inode_attr(struct inode *inode)
{
	struct stat st;

	pthread_mutex_lock(&inode->lock);
	st = inode->attr;
	pthread_mutex_unlock(&inode->lock);
	return st;
}

struct inode *inode_get(struct inode *inode)
{
	atomic_fetch_add_explicit(&inode->refs, 1, memory_order_relaxed);
	return inode;
}

void inode_put(struct inode *inode)
{
	if (!inode || atomic_fetch_sub_explicit(&inode->refs, 1, memory_order_acq_rel) != 1)
		return;
	inode->dying = inode_dying;
	inode_dying = inode;
	if (!inode_freeing)
		inode_free_all();
}

int inode_deny_write(struct inode *inode)
{
	int n = atomic_load(&inode->deny_write);

	do {
		if (n < 0)
			return -ETXTBSY;
	} while (!atomic_compare_exchange_weak(&inode->deny_write, &n, n + 1));
	return 0;
}

void inode_allow_write(struct inode *inode)
{
	atomic_fetch_sub(&inode->deny_write, 1);
}
