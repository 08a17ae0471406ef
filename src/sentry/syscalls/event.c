/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/event.c - pipes, and descriptors that events are read from
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/cleanup.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/task.h"
#include "sentry/vfs/anon.h"

static long event_pipe_open(struct task *task, uint64_t addr, uint32_t flags)
{
	struct file *ends[2];
	int fds[2];
	int r;

	if (flags & O_EXCL)
		return -ENOPKG;
	if (flags & ~(uint32_t)(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	r = pipe_open(flags, &ends[0], &ends[1]);
	if (r)
		return r;
	fds[0] = fd_install(task, ends[0], flags & O_CLOEXEC, 0);
	if (fds[0] < 0) {
		file_put(ends[1]);
		return fds[0];
	}
	fds[1] = fd_install(task, ends[1], flags & O_CLOEXEC, 0);
	if (fds[1] < 0) {
		fd_close(task, fds[0]);
		return fds[1];
	}
	r = user_write(task->mm, addr, fds, sizeof(fds));
	if (r) {
		fd_close(task, fds[0]);
		fd_close(task, fds[1]);
	}
	return r;
}

static long event_pipe(struct task *task, const uint64_t args[6])
{
	return event_pipe_open(task, args[0], 0);
}

static long event_pipe2(struct task *task, const uint64_t args[6])
{
	return event_pipe_open(task, args[0], (uint32_t)args[1]);
}

static long event_eventfd_open(struct task *task, uint32_t count, uint32_t flags)
{
	struct file *file;
	int r;

	if (flags & ~(uint32_t)(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE))
		return -EINVAL;
	r = eventfd_open(count, flags & O_NONBLOCK, flags & EFD_SEMAPHORE, &file);
	return r ? r : fd_install(task, file, flags & EFD_CLOEXEC, 0);
}

static long event_eventfd(struct task *task, const uint64_t args[6])
{
	return event_eventfd_open(task, (uint32_t)args[0], 0);
}

static long event_eventfd2(struct task *task, const uint64_t args[6])
{
	return event_eventfd_open(task, (uint32_t)args[0], (uint32_t)args[1]);
}

/* @fd -1: a new one; else its mask is replaced. */
static long event_signalfd_open(struct task *task, const uint64_t args[6], uint32_t flags)
{
	autofile struct file *file = NULL;
	struct file *made;
	uint64_t mask;
	int r;

	if (flags & ~(uint32_t)(SFD_CLOEXEC | SFD_NONBLOCK) || args[2] != sizeof(mask))
		return -EINVAL;
	if (user_read(task->mm, &mask, args[1], sizeof(mask)))
		return -EFAULT;
	if ((int)args[0] == -1) {
		r = signalfd_open(mask, flags, &made);
		return r ? r : fd_install(task, made, flags & SFD_CLOEXEC, 0);
	}
	file = fd_get(task, (int)args[0]);
	if (!file)
		return -EBADF;
	r = signalfd_set_mask(file, mask);
	return r ? r : (int)args[0];
}

static long event_signalfd(struct task *task, const uint64_t args[6])
{
	return event_signalfd_open(task, args, 0);
}

static long event_signalfd4(struct task *task, const uint64_t args[6])
{
	return event_signalfd_open(task, args, (uint32_t)args[3]);
}

static long event_timerfd_create(struct task *task, const uint64_t args[6])
{
	clockid_t clock = (clockid_t)args[0];
	uint32_t flags = (uint32_t)args[1];
	struct file *file;
	int r;

	if (flags & ~(uint32_t)(TFD_CLOEXEC | TFD_NONBLOCK))
		return -EINVAL;
	if ((clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) &&
	    !cred_capable(task->cred, CAP_WAKE_ALARM))
		return -EPERM;
	r = timerfd_open(clock, flags, &file);
	return r ? r : fd_install(task, file, flags & TFD_CLOEXEC, 0);
}

static long event_timerfd_settime(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = NULL;
	struct itimerspec value;
	struct itimerspec old;
	int r;

	if (user_read(task->mm, &value, args[2], sizeof(value)))
		return -EFAULT;
	file = fd_get(task, (int)args[0]);
	if (!file)
		return -EBADF;
	r = timerfd_set(file, (int)args[1], &value, &old);
	if (!r && args[3])
		r = user_write(task->mm, args[3], &old, sizeof(old));
	return r;
}

static long event_timerfd_gettime(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	struct itimerspec left;
	int r;

	if (!file)
		return -EBADF;
	r = timerfd_get(file, &left);
	return r ? r : user_write(task->mm, args[1], &left, sizeof(left));
}

static const struct syscall_row event_rows[] = {
	{ SYS_pipe, "pipe", event_pipe, { ARG_HEX } },
	{ SYS_pipe2, "pipe2", event_pipe2, { ARG_HEX, ARG_OPEN }, SYSCALL_PART,
	  "no notification pipes: ENOPKG" },
	{ SYS_eventfd, "eventfd", event_eventfd, { ARG_UINT } },
	{ SYS_eventfd2, "eventfd2", event_eventfd2, { ARG_UINT, ARG_HEX } },
	{ SYS_signalfd, "signalfd", event_signalfd, { ARG_INT, ARG_HEX, ARG_UINT } },
	{ SYS_signalfd4, "signalfd4", event_signalfd4, { ARG_INT, ARG_HEX, ARG_UINT, ARG_HEX } },
	{ SYS_timerfd_create, "timerfd_create", event_timerfd_create, { ARG_INT, ARG_HEX } },
	{ SYS_timerfd_settime, "timerfd_settime", event_timerfd_settime,
	  { ARG_FD, ARG_HEX, ARG_HEX, ARG_HEX }, SYSCALL_PART,
	  "that the clock was set is seen by the next read or poll" },
	{ SYS_timerfd_gettime, "timerfd_gettime", event_timerfd_gettime, { ARG_FD, ARG_HEX } },
};

const struct syscall_family syscalls_event = SYSCALL_FAMILY("event", event_rows);
