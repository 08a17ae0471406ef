/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/inotify.c - changes of files told
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/task.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/vfs.h"

static long inotify_call_open(struct task *task, uint32_t flags)
{
	struct file *file;
	int r;

	if (flags & ~(uint32_t)(IN_CLOEXEC | IN_NONBLOCK))
		return -EINVAL;
	r = inotify_open(flags, &file);
	return r ? r : fd_install(task, file, flags & IN_CLOEXEC, 0);
}

static long inotify_call_init(struct task *task, const uint64_t args[6])
{
	return inotify_call_open(task, 0);
}

static long inotify_call_init1(struct task *task, const uint64_t args[6])
{
	return inotify_call_open(task, (uint32_t)args[0]);
}

static int inotify_call_walk(struct task *task, uint64_t addr, uint32_t mask, struct file *file)
{
	unsigned flags = (mask & IN_DONT_FOLLOW ? WALK_NOFOLLOW : 0) |
			 (mask & IN_ONLYDIR ? WALK_DIRECTORY : 0);
	autofree char *path = NULL;
	struct walk walk;
	int r = user_path(task->mm, addr, &path);

	if (r)
		return r;
	r = walk_task(&walk, task, AT_FDCWD, path);
	if (r)
		return r;
	r = vfs_walk(&walk, path, flags);
	if (!r)
		r = vfs_permission(walk.path.dentry->inode, walk.cred, 4);
	if (!r)
		r = inotify_add(file, walk.path.dentry->inode, mask);
	walk_end(&walk);
	return r;
}

static long inotify_call_add(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = NULL;
	uint32_t mask = (uint32_t)args[2];

	if (!(mask & IN_ALL_EVENTS) || (mask & IN_MASK_ADD && mask & IN_MASK_CREATE))
		return -EINVAL;
	file = fd_get(task, (int)args[0]);
	return file ? inotify_call_walk(task, args[1], mask, file) : -EBADF;
}

static long inotify_call_remove(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);

	return file ? inotify_remove(file, (int)args[1]) : -EBADF;
}

static const struct syscall_row inotify_rows[] = {
	{ SYS_inotify_init, "inotify_init", inotify_call_init, { 0 } },
	{ SYS_inotify_init1, "inotify_init1", inotify_call_init1, { ARG_HEX } },
	{ SYS_inotify_add_watch, "inotify_add_watch", inotify_call_add,
	  { ARG_FD, ARG_PATH, ARG_HEX } },
	{ SYS_inotify_rm_watch, "inotify_rm_watch", inotify_call_remove, { ARG_FD, ARG_INT } },
};

const struct syscall_family syscalls_inotify = SYSCALL_FAMILY("inotify", inotify_rows);
