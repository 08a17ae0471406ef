/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/anon.h - files that no directory leads to: event descriptors, epoll, inotify
 *
 * What their system calls need of them. All checks of values are here, those of flags' bits that
 * are no file's in the calls.
 */
#ifndef SENTRY_VFS_ANON_H
#define SENTRY_VFS_ANON_H

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "sentry/task/waitq.h"
#include "sentry/vfs/file.h"

struct inode;
struct inode_ops;
struct vfs_path;

/* anon_inode_new() - One that fstat(2) shows, of a file system that is mounted nowhere: pipes, stdio.
 * It is the begin of @size zeroed bytes; @ops->free frees it. NULL: no memory */
struct inode *anon_inode_new(const struct inode_ops *ops, size_t size, uint32_t mode);

/* anon_path() - A place that leads to an inode without one, for /proc/PID/fd/N: references.
 * Return: 0 or -ENOMEM */
int anon_path(struct inode *inode, struct vfs_path *out);
/* anon_path_is() - Whether it is such a place; what is opened there has no path again */
bool anon_path_is(const struct vfs_path *path);

/* anon_seek() - lseek(2) where there is nowhere to go: 0, and no error */
int64_t anon_seek(struct file *file, int64_t offset, int whence);

/* --- descriptors of the host, vfs/hostfd.c --- */
bool hostfd_is(const struct inode *inode);
/* hostfd_reopen() - One more file of the same descriptor */
int hostfd_reopen(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		  struct file **out);

/* --- eventfd --- */
int eventfd_open(uint32_t count, uint32_t flags, bool semaphore, struct file **out);

/* --- signalfd --- */
int signalfd_open(uint64_t mask, uint32_t flags, struct file **out);
/* signalfd_set_mask() - Of one that is open; -EINVAL: @file is something else */
int signalfd_set_mask(struct file *file, uint64_t mask);

/* --- timerfd --- */
int timerfd_open(clockid_t clock, uint32_t flags, struct file **out);
/* Both: -EINVAL for another kind of file. @old: what was left before */
int timerfd_set(struct file *file, int flags, const struct itimerspec *value,
		struct itimerspec *old);
int timerfd_get(struct file *file, struct itimerspec *out);

/* --- epoll --- */
int epoll_open(struct file **out);
bool epoll_is(const struct file *file);
/* epoll_control() - epoll_ctl(2): @file is what @fd means to the caller */
int epoll_control(struct file *epoll, int op, struct file *file, int fd,
		  const struct epoll_event *event);
/* epoll_count() - How many members there are now */
unsigned epoll_count(struct file *epoll);
/* epoll_await() - Sleep until something is ready, or @deadline. Return: how many of at most @max events
 * were filled in; 0 at the deadline; -ENOMEM; -EINTR */
int epoll_await(struct task *task, struct file *epoll, struct epoll_event *events, int max,
		usec_t deadline);
/* epoll_forget() - @file has no reference any more: it is a member of nothing from now on. For
 * file_put(), before release, where file->watches is set. */
void epoll_forget(struct file *file);

/* --- inotify --- */
/* How many watches there are in all: where it is 0 nobody need be told anything */
extern _Atomic unsigned inotify_marks;
int inotify_open(uint32_t flags, struct file **out);
/* inotify_add() - Return: watch descriptor; -EINVAL: @file is no inotify */
int inotify_add(struct file *file, struct inode *inode, uint32_t mask);
int inotify_remove(struct file *file, int wd);

#endif /* SENTRY_VFS_ANON_H */
