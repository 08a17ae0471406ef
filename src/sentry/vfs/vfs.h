/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/vfs.h - names, inodes, mounts, and the walk
 *
 *	mount_table (a container) -> mount -> super (a file system) -> dentry tree -> inode
 *
 * A file system gives inode_ops and file_ops. Dentries are a cache of what lookup() said, for
 * every file system, tmpfs too: they may be dropped when nobody holds them, and lookup() is asked
 * again. Where others change names as well (host, procfs), revalidate() says whether an entry
 * still holds.
 *
 * Checks of permission are here, by mode, ids and ACL-free Linux rules, before a file system is
 * asked; a file system of the host may still say no.
 *
 * Locks: a super's tree lock is held for writing by what changes names (create, unlink, rename),
 * for reading by a walk. A file system on top of others (overlay) takes the tree lock of the one
 * below around its operations on directories, while its own is held; nobody else holds two.
 * lookup() and revalidate() of procfs take kernel.tasks_lock below the tree lock, so nobody who
 * holds that one walks. Mounts have one lock, below tree locks. An inode's lock guards its
 * attributes and size (of an inode on top of another: outside the other's); its write_lock is held
 * over a write to a regular file and a change of attributes with its checks, so that appends find
 * the end and nobody changes what has got another owner. Outermost of all is a file's offset_lock.
 *
 * Of the attributes, type, number and rdev stay what they are, and may be read without the lock; so
 * may mode and ids by checks of permission, which come before or after a chmod(2) as they like: each
 * is one word that is written whole. Sizes, times, and several that have to agree: inode_attr().
 */
#ifndef SENTRY_VFS_VFS_H
#define SENTRY_VFS_VFS_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "sentry/mm/mm.h"
#include "sentry/task/waitq.h"
#include "sentry/vfs/file.h"

struct cred;
struct dentry;
struct file_lock_list;
struct inode;
struct mount;
struct mount_table;
struct process;
struct super;
struct task;

struct vfs_path {
	struct mount *mount;
	struct dentry *dentry;
};

/* What changes of an inode; which by mask (ATTR_*). */
enum {
	ATTR_MODE = 1, ATTR_UID = 2, ATTR_GID = 4, ATTR_SIZE = 8, ATTR_ATIME = 16, ATTR_MTIME = 32,
	ATTR_ATIME_NOW = 64, ATTR_MTIME_NOW = 128,
};

struct inode_attr {
	unsigned mask;
	uint32_t mode;	/* permission bits */
	uint32_t uid, gid;
	uint64_t size;
	struct timespec atime, mtime;
};

struct vfs_create {
	uint32_t mode;	 /* with S_IFMT: REG, DIR, LNK, FIFO, SOCK, CHR, BLK */
	uint32_t uid, gid;
	uint64_t rdev;
	const char *target; /* LNK */
	bool exclusive;
};

/*
 * All may be NULL: then -EPERM for changes, -ENOENT or -ENOTDIR for lookup. Directories' operations
 * run under the super's tree lock: lookup() and revalidate() at least for reading, so that several
 * run at once; the changing ones for writing. Everything else runs without it (readlink() either
 * way). Names are one component, never "", "." or "..", at most NAME_MAX; what must be there for a
 * change (or not) was looked up under the same lock, permissions and types were checked.
 *
 * A file system keeps attr up to date itself: nlink, times and sizes of what it changes, the
 * directory included. The same file is the same struct inode for as long as anybody holds it.
 */
struct inode_ops {
	/* @out gets a reference; -ENOENT */
	int (*lookup)(struct inode *dir, const char *name, struct inode **out);
	int (*create)(struct inode *dir, const char *name, const struct vfs_create *args,
		      struct inode **out);
	/* O_TMPFILE: a regular file without a name, nlink 0; link() may give it one. NULL:
	 * -EOPNOTSUPP */
	int (*tmpfile)(struct inode *dir, const struct vfs_create *args, struct inode **out);
	int (*link)(struct inode *dir, const char *name, struct inode *target);
	int (*unlink)(struct inode *dir, const char *name, struct inode *victim);
	int (*rmdir)(struct inode *dir, const char *name, struct inode *victim);
	/* @flags: RENAME_NOREPLACE (there is nothing then), RENAME_EXCHANGE. -ENOTEMPTY is its to say,
	 * as it is rmdir()'s */
	int (*rename)(struct inode *old_dir, const char *old_name, struct inode *new_dir,
		      const char *new_name, unsigned flags);
	/* Into @buf, terminated. Return: length */
	int (*readlink)(struct inode *inode, char *buf, size_t size);
	/* A link that leads to an object, not to a name (/proc/PID/fd/N, exe, cwd, root): references for
	 * the caller. NULL: an ordinary link */
	int (*follow)(struct inode *inode, struct task *task, struct vfs_path *out);
	/* Fresh attributes into inode->attr where somebody else may change them */
	int (*refresh)(struct inode *inode);
	/* Makes attr so as well, and sets ctime; NULL: -EPERM. ATTR_SIZE: with write_lock held; pages
	 * behind the end go out of mappings by mm_invalidate() */
	int (*setattr)(struct inode *inode, const struct inode_attr *attr);
	/* Regular files and directories: a new open file (a reference for the caller), made with
	 * file_init(); access was checked, O_TRUNC is done by setattr(). FIFOs, sockets and device
	 * nodes are opened by vfs/special.c, but for device nodes where super->own_devices */
	int (*open)(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		    struct task *task, struct file **out);
	/* A socket's node that nobody here is bound to: a connection of @type to who is behind it on the
	 * host. Return: a descriptor of the host; NULL: -ECONNREFUSED */
	int (*connect)(struct inode *inode, int type);
	/* Sizes as getxattr(2): @size 0 asks */
	long (*getxattr)(struct inode *inode, const char *name, void *value, size_t size);
	int (*setxattr)(struct inode *inode, const char *name, const void *value, size_t size,
			int flags);
	long (*listxattr)(struct inode *inode, char *list, size_t size);
	int (*removexattr)(struct inode *inode, const char *name);
	/* Whether a cached dentry still means @inode (NULL: still means nothing). NULL: always */
	bool (*revalidate)(struct inode *dir, const char *name, struct inode *inode);
	/* The last reference is gone. It may give back other inodes: that does not recurse */
	void (*free)(struct inode *inode);
};

struct inode {
	const struct inode_ops *ops;
	struct super *super;
	_Atomic unsigned refs;
	pthread_mutex_t lock;
	pthread_mutex_t write_lock;
	struct stat attr;	     /* lock; ino, mode, nlink, uid, gid, rdev, size, times, blocks */
	struct mappable mapping;     /* ops NULL: cannot be mapped */
	struct file_lock_list *_Atomic locks; /* vfs/lock.c */
	struct inotify_list *watches; /* lock; vfs/inotify.c */
	void *fifo;		     /* lock; vfs/pipe.c: the pipe of a FIFO, vfs/special.c */
	void *bound;		     /* lock; net/unix.c: the socket bound to this name */
	struct inode *dying;	     /* vfs/inode.c: the next to be freed */
	_Atomic bool linkable;	     /* of O_TMPFILE: link() may give it a first name */
	_Atomic int deny_write;	     /* > 0: being executed; < 0: open for writing */
};

struct super_ops {
	const char *type; /* "tmpfs", for mountinfo */
	int (*statfs)(struct super *super, struct statfs *out);
	int (*sync)(struct super *super);
	void (*free)(struct super *super);
};

struct super {
	const struct super_ops *ops;
	_Atomic unsigned refs;
	pthread_rwlock_t tree;	/* names */
	struct dentry *root;	/* owned */
	uint64_t dev;		/* st_dev, given by super_init() */
	_Atomic bool read_only;
	/* To be set after super_init() where they are wanted: */
	bool own_devices;	/* its open() takes device nodes too (devpts) */
	bool no_negative;	/* that a name is not there is not remembered (procfs) */
	bool no_exec, no_dev;	/* nothing in it is a program, or a device */
	_Atomic unsigned dentries_max; /* about how many names the cache keeps */
	/* vfs/dentry.c's: */
	struct dentry *_Atomic *buckets; /* tree lock for writing to replace */
	_Atomic unsigned nbuckets;
	_Atomic unsigned ndentries;
	unsigned hand;		/* where the next trim begins */
	pthread_mutex_t insert;	/* what a walk found goes in under this and tree for reading */
};

/* In the cache, or held by somebody, or both. What is marked [tree] changes under the tree lock for
 * writing only. */
struct dentry {
	_Atomic unsigned refs;	/* the cache has one of them while it is in there */
	struct super *super;	/* borrowed: whoever holds a dentry holds a mount too */
	struct inode *inode;	/* [tree] reference; NULL: known not to be there */
	struct dentry *parent;	/* [tree] reference; NULL: root */
	struct dentry *next;	/* [tree] of its bucket */
	_Atomic unsigned mounts; /* mounts on it, in any table */
	_Atomic bool used;	/* since the cache was last trimmed */
	bool cached;		/* [tree] */
	bool unlinked;		/* [tree] its name is gone */
	uint32_t hash;
	char *name;		/* [tree] */
	char inline_name[];
};

enum {
	MNT_READ_ONLY = 1, MNT_NOSUID = 2, MNT_NODEV = 4, MNT_NOEXEC = 8, MNT_NOATIME = 16,
	MNT_RELATIME = 32, MNT_NODIRATIME = 64,
	MNT_GUEST = 256,    /* asked by a guest, who takes away nothing the container's maker set */
	MNT_INTERNAL = 128, /* nowhere: memfds; names in it are not "(unreachable)" */
};

/* super_init() - Of an embedded one, all zero; the root dentry is made for @root, whose reference is
 * taken over also when this fails. Return: 0 or -ENOMEM, then @super is as before */
int super_init(struct super *super, const struct super_ops *ops, struct inode *root);
struct super *super_get(struct super *super);
void super_put(struct super *super);
/* super_trim() - Drop names that nobody holds until about @keep are left: where their descriptors
 * are wanted (EMFILE). No lock held. */
void super_trim(struct super *super, unsigned keep);
/* inode_init() - One reference; super is borrowed: inodes never outlive it, their dentries hold it */
void inode_init(struct inode *inode, struct super *super, const struct inode_ops *ops,
		uint32_t mode, uint64_t ino);
struct inode *inode_get(struct inode *inode);
void inode_put(struct inode *inode);
/* inode_fini() - What inode_init() made, for free() */
void inode_fini(struct inode *inode);
uint64_t inode_next_ino(void);
/* inode_attr() - All of its attributes as they are together. Takes its lock. */
struct stat inode_attr(struct inode *inode);
/* inode_deny_write() - It is being executed: nobody may open it for writing until
 * inode_allow_write(). Return: 0 or -ETXTBSY */
int inode_deny_write(struct inode *inode);
void inode_allow_write(struct inode *inode);

struct dentry *dentry_get(struct dentry *dentry);
void dentry_put(struct dentry *dentry);
void path_get(const struct vfs_path *path);
void path_put(struct vfs_path *path); /* leaves it empty */

/* --- mounts; a table's lock is inside --- */

struct fs_context;

struct mount_table *mount_table_new(struct super *root, unsigned flags); /* takes the reference */
struct mount_table *mount_table_copy(struct mount_table *t);
struct mount_table *mount_table_get(struct mount_table *t);
void mount_table_put(struct mount_table *t);
void mount_table_root(struct mount_table *t, struct vfs_path *out); /* a reference */
/* mount_add() - Mount @super's root at @at; takes super's reference in any case. @source for mountinfo */
int mount_add(struct mount_table *t, const struct vfs_path *at, struct super *super,
	      unsigned flags, const char *source);
int mount_bind(struct mount_table *t, const struct vfs_path *at, const struct vfs_path *what,
	       unsigned flags, bool recursive);
int mount_remount(struct mount_table *t, const struct vfs_path *at, unsigned flags);
int mount_move(struct mount_table *t, const struct vfs_path *from, const struct vfs_path *to);
int mount_remove(struct mount_table *t, const struct vfs_path *at, bool lazy);
/* mount_pivot() - @new_root becomes the root, the old one is dropped */
int mount_pivot(struct mount_table *t, const struct vfs_path *new_root);
/* mount_pivot_to() - pivot_root(2): the old root goes on @put_old; @fs alone is moved with it */
int mount_pivot_to(struct fs_context *fs, const struct vfs_path *new_root,
		   const struct vfs_path *put_old);
struct mount *mount_get(struct mount *mount);
void mount_put(struct mount *mount);
/* mount_table_sync() - sync(2) */
void mount_table_sync(struct mount_table *t);
unsigned mount_flags(const struct mount *mount);
struct super *mount_super(const struct mount *mount);
/* /proc/PID/mounts and mountinfo as seen from @root */
int mount_print(struct mount_table *t, const struct vfs_path *root, bool info, struct buf *out);

/* --- a task's place --- */

struct fs_context {
	_Atomic unsigned refs;
	pthread_mutex_t lock;
	struct mount_table *mounts; /* reference */
	struct vfs_path root, cwd;  /* lock */
	uint32_t umask;		    /* lock */
};

struct fs_context *fs_context_new(struct mount_table *mounts);
struct fs_context *fs_context_get(struct fs_context *fs);
void fs_context_put(struct fs_context *fs);
struct fs_context *fs_context_copy(struct fs_context *fs);
void fs_context_root(struct fs_context *fs, struct vfs_path *out); /* a reference */
void fs_context_cwd(struct fs_context *fs, struct vfs_path *out);  /* a reference */
void fs_context_set_root(struct fs_context *fs, const struct vfs_path *path);
void fs_context_set_cwd(struct fs_context *fs, const struct vfs_path *path);
/* fs_context_unshare_mounts() - A copy of its mount table, with root and cwd at the same places in
 * it. Return: 0 or -ENOMEM */
int fs_context_unshare_mounts(struct fs_context *fs);

/* --- the walk --- */

enum {
	WALK_NOFOLLOW = 1,   /* the last component */
	WALK_PARENT = 2,     /* stop at the last component; its name goes to walk.last */
	WALK_DIRECTORY = 4,
	WALK_EMPTY = 8,	     /* AT_EMPTY_PATH */
	WALK_NO_XDEV = 16, WALK_NO_MAGICLINKS = 32, WALK_NO_SYMLINKS = 64, WALK_BENEATH = 128,
	WALK_IN_ROOT = 256,  /* openat2's RESOLVE_* */
};

/* Where a walk begins and who walks. walk_task() fills it for a task. */
struct walk {
	struct fs_context *fs; /* its root; borrowed */
	const struct cred *cred; /* borrowed */
	struct task *task;     /* for magic links; NULL: none are followed */
	struct vfs_path start; /* reference; empty: fs->cwd, and its root for absolute paths */
	struct vfs_path scope; /* reference: what WALK_BENEATH and _IN_ROOT stay in; of the first walk */
	struct vfs_path path;  /* result: reference */
	char last[NAME_MAX + 1]; /* WALK_PARENT: "." and ".." too; "" for the root itself */
	bool last_slash;       /* WALK_PARENT: the path ended in one */
	unsigned links;	       /* followed so far; 40 are too many */
	bool in_root;	       /* start is "/" and what is above it cannot be reached: as WALK_IN_ROOT
				* with every call */
};

/* walk_task() - Start at @dirfd (AT_FDCWD ...). Return: 0, -EBADF, -ENOTDIR */
int walk_task(struct walk *walk, struct task *task, int dirfd, const char *path);
int vfs_walk(struct walk *walk, const char *path, unsigned flags);
void walk_end(struct walk *walk);

/* --- what calls do; each checks permission, read-only mounts, limits --- */
int vfs_open(struct walk *walk, const char *path, uint32_t flags, uint32_t mode, unsigned resolve,
	     struct file **out);
int vfs_open_path(const struct vfs_path *path, const struct cred *cred, struct task *task,
		  uint32_t flags, struct file **out);
int vfs_create(struct walk *walk, const char *path, struct vfs_create *args);
int vfs_link(struct walk *from, struct walk *to, const char *to_path);
int vfs_unlink(struct walk *walk, const char *path, bool dir);
int vfs_rename(struct walk *from, const char *from_path, struct walk *to, const char *to_path,
	       unsigned flags);
int vfs_setattr(const struct vfs_path *path, const struct cred *cred, struct inode_attr *attr);
int vfs_stat(const struct vfs_path *path, struct stat *st); /* refreshed, with the super's st_dev */
/* vfs_permission() - @mask of MAY_READ 4, MAY_WRITE 2, MAY_EXEC 1. Return: 0 or -EACCES, -EROFS */
int vfs_permission(struct inode *inode, const struct cred *cred, int mask);
/* vfs_path_name() - As getcwd(2): from @root; "(unreachable)" and " (deleted)" where so */
int vfs_path_name(const struct vfs_path *path, const struct vfs_path *root, char *buf,
		  size_t size);

/* vfs_notify() - inotify: @mask of IN_* happened to @inode as @name of @dir (either may be NULL) */
void vfs_notify(struct inode *dir, const char *name, struct inode *inode, uint32_t mask,
		uint32_t cookie);

/* --- file systems; each takes its options checked, gives a reference --- */
int tmpfs_new(uint64_t max_bytes, uint32_t mode, struct super **out);
int devfs_new(struct super **out);	     /* null, zero, full, random, urandom, tty, ptmx; pts/, shm/ dirs */
int devpts_new(uint32_t ptmx_mode, uint32_t gid, struct super **out);
int procfs_new(struct sandbox_container *container, struct super **out);
/* procfs_process_get() - Whose directory @file is, with a reference. Return: 0; -EBADF: it is none of a
 * process; -ESRCH: it has gone */
int procfs_process_get(const struct file *file, struct process **out);
int sysfs_new(struct super **out);
int cgroupfs_new(struct sandbox_container *container, struct super **out);
enum { HOSTFS_READ_ONLY = 1 };

/* hostfs_new() - A tree the gofer holds, by its number. @flags: HOSTFS_* */
int hostfs_new(unsigned tree, unsigned flags, struct super **out);
/* hostfs_new_fd() - By a descriptor of its root directory, which is taken over */
int hostfs_new_fd(int fd, unsigned flags, struct super **out);
/* hostfs_is_crowded() - Descriptors for files of the host run short: what holds inodes of hostfs for
 * its convenience should hold fewer */
bool hostfs_is_crowded(void);
/* hostfs_fd_room() - Whether a guest may make us open one more of the host's: an eighth is our own.
 * hostfs_fd_count() - It did, or gave @n back (negative) */
bool hostfs_fd_room(void);
void hostfs_fd_count(int n);
/* ext4fs_new() - An ext4 image, read-only; the descriptor is taken over */
int ext4fs_new(int image_fd, struct super **out);
/* overlay_new() - @lower: from the top down, references are taken; @upper NULL: read-only */
int overlay_new(const struct vfs_path *lower, size_t nlower, const struct vfs_path *upper,
		struct super **out);

#endif /* SENTRY_VFS_VFS_H */
