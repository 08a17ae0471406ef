/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/pidfd.c - a process as a file: readable when it has ended
 *
 * Nothing can be read or written; pidfd_send_signal(2), waitid(2) and pidfd_getfd(2) take it for
 * the process it stands for.
 */
#include "sentry/task/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/task/task.h"
#include "sentry/vfs/file.h"

struct pidfd {
	struct file file;
	struct process *process; /* a reference */
};

static uint32_t pidfd_poll(struct file *file, uint32_t mask, struct wait *wait)
{
	struct process *process = container_of(file, struct pidfd, file)->process;
	bool ended;

	if (wait)
		wait_on(wait, &process->exited, mask);
	pthread_mutex_lock(&kernel.tasks_lock);
	ended = process->zombie;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return ended ? mask & (POLLIN | POLLRDNORM) : 0;
}

static void pidfd_release(struct file *file)
{
	struct pidfd *pidfd = container_of(file, struct pidfd, file);

	process_put(pidfd->process);
	file_free_common(file);
	free(pidfd);
}

static const struct file_ops pidfd_ops = {
	.name = "anon_inode:[pidfd]",
	.poll = pidfd_poll,
	.release = pidfd_release,
};

int pidfd_open(struct process *process, uint32_t flags, struct file **out)
{
	struct pidfd *pidfd = calloc(1, sizeof(*pidfd));

	if (!pidfd)
		return -ENOMEM;
	file_init(&pidfd->file, &pidfd_ops, O_RDWR | flags, NULL, NULL);
	pidfd->process = process_get(process);
	*out = &pidfd->file;
	return 0;
}

struct process *pidfd_process(const struct file *file)
{
	return file->ops == &pidfd_ops ? container_of(file, struct pidfd, file)->process : NULL;
}
