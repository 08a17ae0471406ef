/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/file.h - open files and the table of descriptors
 *
 * struct file is what POSIX calls an open file description. Kinds embed it as first member and give
 * its operations. Operations never block: they return -EAGAIN, and the generic calls wait by
 * poll(), see file_wait(). That is so for whoever sits behind: pipes, sockets, terminals, files of
 * the host.
 */
#ifndef SENTRY_VFS_FILE_H
#define SENTRY_VFS_FILE_H

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "sentry/mm/user.h"
#include "sentry/task/waitq.h"

struct dentry;
struct file;
struct inode;
struct mount;
struct task;
struct vfs_path;

/* One entry for readdir. Return: 0 go on, else stop: it did not fit */
struct dir_sink {
	int (*emit)(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		    unsigned char type, int64_t next);
};

/* dir_emit_dots() - "." and "..", at offsets 0 and 1; what a directory's own begins at 2. Return:
 * whether to go on */
bool dir_emit_dots(struct file *file, struct dir_sink *sink);

struct file_ops {
	const char *name; /* for /proc/PID/fd of those without a path: "anon_inode:[eventfd]" ... */
	/* At an offset of their own; those without one get -1. Return: bytes, or negative errno;
	 * -EAGAIN: would block. NULL: -EINVAL */
	long (*read)(struct file *file, struct user_io *io, int64_t offset);
	bool parks; /* a read that would block may be parked, see task/park.h */
	long (*write)(struct file *file, struct user_io *io, int64_t offset);
	/* What is ready of @mask (and ERR, HUP, NVAL). With @wait: also what to sleep on.
	 * NULL: always readable and writable */
	uint32_t (*poll)(struct file *file, uint32_t mask, struct wait *wait);
	/* NULL: as the inode says for files with a size; -ESPIPE without an inode */
	int64_t (*seek)(struct file *file, int64_t offset, int whence);
	/* From file->offset on; sets it to what emit() got as @next of the last entry it took. The
	 * first two are dir_emit_dots()'s, unless the host's are passed on. NULL: -ENOTDIR */
	int (*readdir)(struct file *file, struct dir_sink *sink);
	/* @arg is the guest's; -ENOTTY for what is unknown. NULL: -ENOTTY */
	long (*ioctl)(struct file *file, struct task *task, uint32_t cmd, uint64_t arg);
	/* NULL: of the inode; without one a plain 0600 without a type */
	int (*stat)(struct file *file, struct stat *st);
	int (*fsync)(struct file *file, bool data_only);
	int (*fallocate)(struct file *file, int mode, int64_t offset, int64_t len);
	/* F_SETFL changed these (O_NONBLOCK, O_APPEND, O_ASYNC, O_DIRECT) */
	int (*set_flags)(struct file *file, uint32_t flags);
	/* A descriptor of the host that may be handed to splice-like calls of ours; -1: none */
	int (*host_fd)(struct file *file);
	/* A descriptor of it was closed (not the last reference): POSIX locks, flush */
	void (*flush)(struct file *file, struct task *task);
	/* The last reference is gone; frees it. file_free_common() does the common part. */
	void (*release)(struct file *file);
};

struct file {
	const struct file_ops *ops;
	_Atomic unsigned refs;
	_Atomic uint32_t flags;	   /* O_ACCMODE, O_APPEND, O_NONBLOCK, O_PATH ... as F_GETFL says */
	struct mount *mount;	   /* reference; NULL: no path (pipe, socket, anonymous) */
	struct dentry *dentry;	   /* reference, with mount */
	struct inode *inode;	   /* reference; NULL for kinds that have none */
	pthread_mutex_t offset_lock; /* held over a read or write that moves it */
	int64_t offset;
	bool seekable;		   /* has an offset; file_init(): regular files and directories */
	bool counts_write;	   /* inode->deny_write knows of it: open for writing */
	bool denies_write;	   /* the same: it is being executed */
	int async_owner, async_sig; /* F_SETOWN, F_SETSIG */
	struct file_watch *watches; /* epoll members, vfs/epoll.c */
	struct file_async *async;   /* O_ASYNC, vfs/async.c; owned */
};

/* file_init() - Of a new one with one reference; borrows @path's references by taking its own */
void file_init(struct file *file, const struct file_ops *ops, uint32_t flags,
	       const struct vfs_path *path, struct inode *inode);
/* file_free_common() - Gives back what file_init() took; then release() frees the memory */
void file_free_common(struct file *file);
/* file_release_plain() - A release() for kinds with nothing of their own */
void file_release_plain(struct file *file);
/* file_is_crowded() - There are more of all kinds than fs.file-max says: no new ones for guests */
bool file_is_crowded(void);
/* file_count() - How many there are, and *@max of them may be */
unsigned file_count(unsigned *max);
struct file *file_get(struct file *file);
void file_put(struct file *file);

/* O_RDONLY, O_WRONLY and O_RDWR are one less than bits for reading and writing; 3 is neither, and so
 * is O_PATH. */
static inline bool file_readable(const struct file *file)
{
	return ((file->flags + 1) & 1) && !(file->flags & 010000000);
}

static inline bool file_writable(const struct file *file)
{
	return ((file->flags + 1) & 2) && !(file->flags & 010000000);
}

/* Generic reads and writes of guest memory: access checks, offset, blocking, partial counts, SIGPIPE,
 * RLIMIT_FSIZE. @offset -1: the file's own. */
long file_read(struct task *task, struct file *file, const struct iovec *iov, size_t niov,
	       int64_t offset, int rwf_flags);
/* file_read_or_park() - The same as a whole call: what would block is parked if it can be. Return:
 * TASK_PARKED then */
long file_read_or_park(struct task *task, struct file *file, const struct iovec *iov, size_t niov,
		       int64_t offset, int rwf_flags);
long file_write(struct task *task, struct file *file, const struct iovec *iov, size_t niov,
		int64_t offset, int rwf_flags);
/* The same of our own memory, without blocking: for sendfile, exec, control. No limits, no signals;
 * @offset -1: the file's own, which moves. */
long file_read_kernel(struct file *file, void *buf, size_t len, int64_t offset);
long file_write_kernel(struct file *file, const void *buf, size_t len, int64_t offset);

/* file_poll() - Also for those without poll() */
uint32_t file_poll(struct file *file, uint32_t mask, struct wait *wait);
/* file_wait() - Sleep until one of @mask. Return: 0, -ETIMEDOUT, -ERESTARTSYS; -EAGAIN at once for
 * O_NONBLOCK */
int file_wait(struct task *task, struct file *file, uint32_t mask, usec_t deadline);
/* file_set_async() - O_ASYNC was set or taken away: signals to whom F_SETOWN says. @task may be NULL
 * with @on false. Return: 0 or -ENOMEM */
int file_set_async(struct file *file, struct task *task, bool on);
int file_stat(struct file *file, struct stat *st);
int64_t file_seek(struct file *file, int64_t offset, int whence);
/* file_seek_plain() - What a NULL seek() does, for those who do part of it themselves */
int64_t file_seek_plain(struct file *file, int64_t offset, int whence);

/* --- descriptors --- */

#define FD_MAX 1048576

struct fdtable;

struct fdtable *fdtable_new(void);
struct fdtable *fdtable_get(struct fdtable *t);
void fdtable_put(struct fdtable *t);
bool fdtable_shared(const struct fdtable *t); /* somebody else has it, too */
struct fdtable *fdtable_copy(struct fdtable *t); /* for clone without CLONE_FILES; NULL: no memory */
void fdtable_close_on_exec(struct fdtable *t, struct task *task);

/* fd_get() - A reference; NULL: EBADF, also for O_PATH ones but with fd_get_path() */
struct file *fd_get(struct task *task, int fd);
struct file *fd_get_path(struct task *task, int fd);
/* fd_install() - Lowest free number from @min on; takes @file's reference in any case.
 * Return: number, -EMFILE, -ENFILE, -ENOMEM */
int fd_install(struct task *task, struct file *file, bool cloexec, int min);
/* fd_install_at() - dup2: what was there is closed */
int fd_install_at(struct task *task, struct file *file, bool cloexec, int fd);
int fd_close(struct task *task, int fd);
int fd_close_range(struct task *task, unsigned first, unsigned last, bool cloexec_only);
int fd_get_cloexec(struct task *task, int fd); /* 0, 1, -EBADF */
int fd_set_cloexec(struct task *task, int fd, bool cloexec);
/* fdtable_next() - For /proc/PID/fd: the first used number from @fd on with a reference, or -1 */
int fdtable_next(struct fdtable *t, int fd, struct file **file);
int fdtable_get_cloexec(struct fdtable *t, int fd); /* as fd_get_cloexec() */

static inline void file_cleanup(struct file **file)
{
	if (*file)
		file_put(*file);
}
#define autofile __attribute__((cleanup(file_cleanup)))

/* --- kinds that other rooms make (vfs/pipe.c, event.c, hostfd.c ...) --- */
int pipe_open(uint32_t flags, struct file **reader, struct file **writer);
/* hostfd_open() - Around a descriptor of the host that is taken over (non-blocking from now on): a
 * container's stdio. Looks like a pipe to the guest. */
int hostfd_open(int fd, uint32_t flags, struct file **out);

#endif /* SENTRY_VFS_FILE_H */
