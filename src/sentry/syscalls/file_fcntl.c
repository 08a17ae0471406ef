/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/file_fcntl.c - fcntl(2) and flock(2)
 *
 * A table by command. Leases and directory notification (F_SETLEASE, F_NOTIFY) are not supported:
 * EINVAL, as from a kernel built without them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>

#include "sentry/mm/user.h"
#include "sentry/syscalls/file_calls.h"
#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/lock.h"
#include "sentry/vfs/memfd.h"
#include "sentry/vfs/permission.h"
#include "sentry/vfs/pipe.h"

struct fcntl_call {
	struct task *task;
	struct file *file;
	int fd, cmd;
	uint64_t arg;
};

static long fcntl_dup(const struct fcntl_call *c)
{
	if ((int)c->arg < 0 || c->arg >= task_limit(c->task, RLIMIT_NOFILE))
		return -EINVAL;
	return fd_install(c->task, file_get(c->file), c->cmd == F_DUPFD_CLOEXEC, (int)c->arg);
}

static long fcntl_getfd(const struct fcntl_call *c)
{
	return fd_get_cloexec(c->task, c->fd);
}

static long fcntl_setfd(const struct fcntl_call *c)
{
	return fd_set_cloexec(c->task, c->fd, c->arg & FD_CLOEXEC);
}

static long fcntl_getfl(const struct fcntl_call *c)
{
	return c->file->flags;
}

static long fcntl_setfl(const struct fcntl_call *c)
{
	const uint32_t mask = O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME;
	uint32_t flags = (c->file->flags & ~mask) | ((uint32_t)c->arg & mask);
	int r = 0;

	if ((flags & ~c->file->flags & O_NOATIME) && c->file->inode &&
	    !permission_owner(c->file->inode, c->task->cred))
		return -EPERM;
	if (c->file->ops->set_flags)
		r = c->file->ops->set_flags(c->file, flags);
	if (r == 0 && (flags ^ c->file->flags) & O_ASYNC)
		r = file_set_async(c->file, c->task, flags & O_ASYNC);
	if (r == 0)
		atomic_store(&c->file->flags, flags);
	return r;
}

/* fcntl_range() - What a struct flock means */
static int fcntl_range(const struct fcntl_call *c, const struct flock *flock,
		       struct lock_range *range)
{
	int64_t base = 0, end;
	struct stat st;
	int r;

	if (flock->l_whence == SEEK_CUR) {
		base = c->file->offset;
	} else if (flock->l_whence == SEEK_END) {
		r = file_stat(c->file, &st);
		if (r < 0)
			return r;
		base = st.st_size;
	} else if (flock->l_whence != SEEK_SET) {
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, flock->l_start, &range->start))
		return -EOVERFLOW;
	if (range->start < 0)
		return -EINVAL;
	range->end = INT64_MAX;
	if (flock->l_len > 0) {
		if (__builtin_add_overflow(range->start, flock->l_len - 1, &range->end))
			return -EOVERFLOW;
	} else if (flock->l_len < 0) {
		end = range->start - 1;
		if (__builtin_add_overflow(range->start, flock->l_len, &range->start) ||
		    range->start < 0)
			return -EINVAL;
		range->end = end;
	}
	range->type = flock->l_type;
	return 0;
}

static enum lock_kind fcntl_lock_kind(int cmd)
{
	return cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW ? LOCK_OFD :
										 LOCK_POSIX;
}

static int fcntl_read_lock(const struct fcntl_call *c, struct flock *flock,
			   struct lock_range *range)
{
	int r = user_read(c->task->mm, flock, c->arg, sizeof(*flock));

	if (r < 0)
		return r;
	if (flock->l_type != F_RDLCK && flock->l_type != F_WRLCK && flock->l_type != F_UNLCK)
		return -EINVAL;
	if (fcntl_lock_kind(c->cmd) == LOCK_OFD && flock->l_pid)
		return -EINVAL;
	range->pid = fcntl_lock_kind(c->cmd) == LOCK_OFD ? -1 : c->task->process->pid;
	range->container = c->task->process->container->serial;
	return fcntl_range(c, flock, range);
}

static long fcntl_getlk(const struct fcntl_call *c)
{
	struct lock_range range;
	struct flock flock;
	int r = fcntl_read_lock(c, &flock, &range);

	if (r < 0)
		return r;
	if (range.type == F_UNLCK && fcntl_lock_kind(c->cmd) == LOCK_POSIX)
		return -EINVAL;
	lock_test(c->task, c->file, fcntl_lock_kind(c->cmd), &range);
	flock.l_type = (short)range.type;
	if (range.type != F_UNLCK) {
		flock.l_whence = SEEK_SET;
		flock.l_start = range.start;
		flock.l_len = range.end == INT64_MAX ? 0 : range.end - range.start + 1;
		/* Who is of another container has no number here. */
		flock.l_pid = range.pid < 0 || range.container == c->task->process->container->serial
				      ? range.pid : 0;
	}
	return user_write(c->task->mm, c->arg, &flock, sizeof(flock));
}

static long fcntl_setlk(const struct fcntl_call *c)
{
	bool wait = c->cmd == F_SETLKW || c->cmd == F_OFD_SETLKW;
	autofile struct file *still = NULL;
	struct lock_range range;
	struct flock flock;
	int r = fcntl_read_lock(c, &flock, &range);

	if (r < 0)
		return r;
	if ((range.type == F_RDLCK && !file_readable(c->file)) ||
	    (range.type == F_WRLCK && !file_writable(c->file)))
		return -EBADF;
	r = lock_set(c->task, c->file, fcntl_lock_kind(c->cmd), &range, wait);
	if (r < 0 || range.type == F_UNLCK || fcntl_lock_kind(c->cmd) != LOCK_POSIX)
		return r;
	/* Closed by another thread before there was a lock to take away: nobody would. */
	still = fd_get_path(c->task, c->fd);
	if (still == c->file)
		return 0;
	lock_drop_posix(c->file, c->task->files);
	return -EBADF;
}

static long fcntl_setown(const struct fcntl_call *c)
{
	if ((int)c->arg == INT32_MIN)
		return -EINVAL;
	c->file->async_owner = (int)c->arg;
	return 0;
}

static long fcntl_getown(const struct fcntl_call *c)
{
	return c->file->async_owner;
}

static long fcntl_setown_ex(const struct fcntl_call *c)
{
	struct f_owner_ex owner;
	int r = user_read(c->task->mm, &owner, c->arg, sizeof(owner));

	if (r < 0)
		return r;
	if ((int)owner.type < F_OWNER_TID || (int)owner.type > F_OWNER_PGRP)
		return -EINVAL;
	if (owner.pid < 0)
		return -ESRCH;
	c->file->async_owner = owner.type == F_OWNER_PGRP ? -owner.pid : owner.pid;
	return 0;
}

static long fcntl_getown_ex(const struct fcntl_call *c)
{
	int who = c->file->async_owner;
	struct f_owner_ex owner = {
		.type = who < 0 ? F_OWNER_PGRP : F_OWNER_PID,
		.pid = who < 0 ? -who : who,
	};

	return user_write(c->task->mm, c->arg, &owner, sizeof(owner));
}

static long fcntl_setsig(const struct fcntl_call *c)
{
	if (c->arg > SIGNAL_MAX)
		return -EINVAL;
	c->file->async_sig = (int)c->arg;
	return 0;
}

static long fcntl_getsig(const struct fcntl_call *c)
{
	return c->file->async_sig;
}

static long fcntl_add_seals(const struct fcntl_call *c)
{
	return memfd_add_seals(c->file, (unsigned)c->arg);
}

static long fcntl_get_seals(const struct fcntl_call *c)
{
	return memfd_get_seals(c->file);
}

static long fcntl_get_pipe_size(const struct fcntl_call *c)
{
	return pipe_get_size(c->file);
}

static long fcntl_set_pipe_size(const struct fcntl_call *c)
{
	return pipe_set_size(c->file, (unsigned)c->arg);
}

static const struct {
	int cmd;
	bool path; /* also of O_PATH descriptors */
	long (*call)(const struct fcntl_call *c);
} fcntl_commands[] = {
	{ F_DUPFD, true, fcntl_dup },
	{ F_DUPFD_CLOEXEC, true, fcntl_dup },
	{ F_GETFD, true, fcntl_getfd },
	{ F_SETFD, true, fcntl_setfd },
	{ F_GETFL, true, fcntl_getfl },
	{ F_SETFL, false, fcntl_setfl },
	{ F_GETLK, false, fcntl_getlk },
	{ F_SETLK, false, fcntl_setlk },
	{ F_SETLKW, false, fcntl_setlk },
	{ F_OFD_GETLK, false, fcntl_getlk },
	{ F_OFD_SETLK, false, fcntl_setlk },
	{ F_OFD_SETLKW, false, fcntl_setlk },
	{ F_SETOWN, false, fcntl_setown },
	{ F_GETOWN, false, fcntl_getown },
	{ F_SETOWN_EX, false, fcntl_setown_ex },
	{ F_GETOWN_EX, false, fcntl_getown_ex },
	{ F_SETSIG, false, fcntl_setsig },
	{ F_GETSIG, false, fcntl_getsig },
	{ F_GETPIPE_SZ, false, fcntl_get_pipe_size },
	{ F_SETPIPE_SZ, false, fcntl_set_pipe_size },
	{ F_ADD_SEALS, false, fcntl_add_seals },
	{ F_GET_SEALS, false, fcntl_get_seals },
};

long file_fcntl(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get_path(task, (int)args[0]);
	struct fcntl_call call = {
		.task = task, .file = file, .fd = (int)args[0], .cmd = (int)args[1], .arg = args[2],
	};

	if (!file)
		return -EBADF;
	for (size_t i = 0; i < ARRAY_SIZE(fcntl_commands); i++) {
		if (fcntl_commands[i].cmd != call.cmd)
			continue;
		if (!fcntl_commands[i].path && (file->flags & O_PATH))
			return -EBADF;
		return fcntl_commands[i].call(&call);
	}
	return file->flags & O_PATH ? -EBADF : -EINVAL;
}

long file_flock(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	struct lock_range range = { .end = INT64_MAX, .pid = task->process->pid };
	int op = (int)args[1];

	if (op & LOCK_MAND)
		return 0; /* as Linux does since it has none */
	if (!file)
		return -EBADF;
	switch (op & ~LOCK_NB) {
	case LOCK_SH:
		range.type = F_RDLCK;
		break;
	case LOCK_EX:
		range.type = F_WRLCK;
		break;
	case LOCK_UN:
		range.type = F_UNLCK;
		break;
	default:
		return -EINVAL;
	}
	return lock_set(task, file, LOCK_FLOCK, &range, !(op & LOCK_NB));
}
