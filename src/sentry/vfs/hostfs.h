/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/hostfs.h - a tree of the host; for hostfs*.c
 *
 * One inode for each file of the host that is known, found by the host's device and inode number,
 * with an O_PATH descriptor that pins it: names may change meanwhile, what they led to does not. A
 * path is never given to the host, only one name below a descriptor, and no link is followed.
 */
#ifndef SENTRY_VFS_HOSTFS_H
#define SENTRY_VFS_HOSTFS_H

#include "sentry/gofer/gofer.h"
#include "sentry/vfs/vfs.h"

#define HOSTFS_BUCKETS 256

struct hostfs_inode {
	struct inode inode;
	int fd;		/* owned; O_PATH, or O_RDWR with open */
	bool open;	/* made without a name */
	dev_t dev;	/* the host's */
	ino_t ino;
	struct hostfs_inode *next; /* super's lock */
	_Atomic unsigned fills;	/* inode.lock to change: of attr by what the host said, or we wrote */

	/* Where it was seen last; not of directories. A hint: what is opened by it is compared. */
	struct hostfs_inode *parent; /* inode.lock; a reference */
	char *name;		     /* inode.lock; owned */

	/* Of regular files: shared by all that have it open. [1] is for writing (and reading). */
	int data_fd[2];		/* inode.lock; owned, -1: closed */
	unsigned users[2];	/* inode.lock */
};

struct hostfs {
	struct super super;
	unsigned tree;
	uid_t uid;		/* what we make belongs to them */
	gid_t gid;
	dev_t dev;		/* of the root */
	pthread_mutex_t lock;	/* leaf */
	struct hostfs_inode *buckets[HOSTFS_BUCKETS]; /* lock; no references */
};

static inline struct hostfs_inode *hostfs_of(struct inode *inode)
{
	return (struct hostfs_inode *)inode;
}

static inline struct hostfs *hostfs_super(struct inode *inode)
{
	return (struct hostfs *)inode->super;
}

/* --- hostfs_inode.c --- */

/* hostfs_inode_take() - The inode of @fd, which is taken over: a known one, or a new one.
 * @parent, @name: where it is, NULL: the root, or nowhere. Return: 0 or -ENOMEM */
int hostfs_inode_take(struct hostfs *fs, int fd, const struct stat *st,
		      struct hostfs_inode *parent, const char *name, struct inode **out);
/* hostfs_inode_find() - With a reference, or NULL */
struct hostfs_inode *hostfs_inode_find(struct hostfs *fs, const struct stat *st);
/* hostfs_inode_place() - It is there now */
void hostfs_inode_place(struct hostfs_inode *h, struct hostfs_inode *parent, const char *name);
void hostfs_inode_free(struct inode *inode);
int hostfs_lookup(struct inode *dir, const char *name, struct inode **out);
bool hostfs_revalidate(struct inode *dir, const char *name, struct inode *inode);
int hostfs_refresh(struct inode *inode);
int hostfs_readlink(struct inode *inode, char *buf, size_t size);
uint64_t hostfs_ino(const struct hostfs *fs, dev_t dev, ino_t ino);

/* hostfs_set_limit() - How many descriptors there may be in all */
void hostfs_set_limit(unsigned files);
/* hostfs_denied() - Whether the gofer may be able to do what we were not */
bool hostfs_denied(int r);

/* --- hostfs_change.c --- */
int hostfs_create(struct inode *dir, const char *name, const struct vfs_create *args,
		  struct inode **out);
int hostfs_tmpfile(struct inode *dir, const struct vfs_create *args, struct inode **out);
int hostfs_link(struct inode *dir, const char *name, struct inode *target);
int hostfs_unlink(struct inode *dir, const char *name, struct inode *victim);
int hostfs_rmdir(struct inode *dir, const char *name, struct inode *victim);
int hostfs_rename(struct inode *old_dir, const char *old_name, struct inode *new_dir,
		  const char *new_name, unsigned flags);

/* --- hostfs_attr.c --- */
int hostfs_setattr(struct inode *inode, const struct inode_attr *attr);
int hostfs_chmod(struct hostfs_inode *h, mode_t mode);
int hostfs_chown(struct hostfs_inode *h, uid_t uid, gid_t gid);

/* --- hostfs_xattr.c --- */
long hostfs_getxattr(struct inode *inode, const char *name, void *value, size_t size);
int hostfs_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
		    int flags);
long hostfs_listxattr(struct inode *inode, char *list, size_t size);
int hostfs_removexattr(struct inode *inode, const char *name);

/* --- hostfs_socket.c --- */
int hostfs_connect(struct inode *inode, int type);

/* --- hostfs_file.c, hostfs_dir.c --- */
int hostfs_open_file(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		     struct task *task, struct file **out);
int hostfs_open_dir(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		    struct task *task, struct file **out);
/* hostfs_dir_fd() - A descriptor to read from, for the caller to close */
int hostfs_dir_fd(struct hostfs_inode *h);
/* hostfs_data_get() - One of h->data_fd, good until hostfs_data_put(). Return: it or negative errno */
int hostfs_data_get(struct hostfs_inode *h, bool write);
void hostfs_data_put(struct hostfs_inode *h, bool write);
extern const struct mappable_ops hostfs_mappable_ops;

/* --- what they may do on the host --- */
extern const struct jail_list hostfs_calls;

#endif /* SENTRY_VFS_HOSTFS_H */
