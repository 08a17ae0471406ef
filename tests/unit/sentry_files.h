/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry_files.h - open files of the application kernel without a guest
 *
 * Each thread of a test is a task that was never started: it can sleep and be woken. Bytes come
 * from the test's own memory.
 */
#ifndef SENTRY_FILES_H
#define SENTRY_FILES_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sentry/control/container.h"
#include "sentry/task/task.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

/* The calling thread becomes a task of a process of its own. */
static inline struct task *files_task_begin(void)
{
	struct task *task = calloc(1, sizeof(*task));

	task->process = calloc(1, sizeof(*task->process));
	task->process->container = calloc(1, sizeof(*task->process->container));
	task->cred = calloc(1, sizeof(*task->cred));
	task->host = pthread_self();
	task->host_tid = (pid_t)syscall(SYS_gettid);
	atomic_init(&task->refs, 1);
	atomic_init(&task->process->refs, 1);
	waitq_init(&task->process->signals.arrivals);
	wait_signal_install();
	task_current = task;
	return task;
}

static inline void files_task_end(void)
{
	free(task_current->cred);
	free(task_current->process->container);
	free(task_current->process);
	free(task_current);
	task_current = NULL;
}

static inline long files_try_read(struct file *file, void *buf, size_t len)
{
	struct user_io io;
	long n;

	user_io_kernel(&io, buf, len);
	n = file->ops->read(file, &io, -1);
	user_io_end(&io);
	return n;
}

static inline long files_try_write(struct file *file, const void *buf, size_t len)
{
	struct user_io io;
	long n;

	user_io_kernel(&io, (void *)buf, len);
	n = file->ops->write(file, &io, -1);
	user_io_end(&io);
	return n;
}

static inline long files_read(struct file *file, void *buf, size_t len)
{
	long n;

	while ((n = files_try_read(file, buf, len)) == -EAGAIN) {
		n = file_wait(task_current, file, POLLIN, USEC_INFINITY);
		if (n)
			break;
	}
	return n;
}

/* All of it, as a blocking write does. */
static inline long files_write(struct file *file, const void *buf, size_t len)
{
	long done = 0;

	while ((size_t)done < len) {
		long n = files_try_write(file, (const char *)buf + done, len - (size_t)done);

		if (n == -EAGAIN)
			n = file_wait(task_current, file, POLLOUT, USEC_INFINITY);
		if (n < 0)
			return done ? done : n;
		done += n;
	}
	return done;
}

#endif /* SENTRY_FILES_H */
