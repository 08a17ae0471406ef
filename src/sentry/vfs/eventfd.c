/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/eventfd.c - a counter that can be waited for
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/vfs/anon.h"

#define EVENTFD_MAX (UINT64_MAX - 1)

struct eventfd {
	struct file file;
	pthread_mutex_t lock;
	struct waitq waiters;
	uint64_t count; /* lock */
	bool semaphore;
};

static long eventfd_read(struct file *file, struct user_io *io, int64_t offset)
{
	struct eventfd *ev = container_of(file, struct eventfd, file);
	uint64_t got = 0;

	if (io->left < sizeof(got))
		return -EINVAL;
	pthread_mutex_lock(&ev->lock);
	if (ev->count)
		got = ev->semaphore ? 1 : ev->count;
	ev->count -= got;
	pthread_mutex_unlock(&ev->lock);
	if (!got)
		return -EAGAIN;
	waitq_wake(&ev->waiters, POLLOUT | POLLWRNORM);
	return user_io_put(io, &got, sizeof(got)) == sizeof(got) ? (long)sizeof(got) : -EFAULT;
}

static long eventfd_write(struct file *file, struct user_io *io, int64_t offset)
{
	struct eventfd *ev = container_of(file, struct eventfd, file);
	uint64_t add;
	bool fits;

	if (io->left != sizeof(add))
		return -EINVAL;
	if (user_io_get(io, &add, sizeof(add)) != sizeof(add))
		return -EFAULT;
	if (add == UINT64_MAX)
		return -EINVAL;
	pthread_mutex_lock(&ev->lock);
	fits = EVENTFD_MAX - ev->count >= add;
	if (fits)
		ev->count += add;
	pthread_mutex_unlock(&ev->lock);
	if (!fits)
		return -EAGAIN;
	waitq_wake(&ev->waiters, POLLIN | POLLRDNORM);
	return sizeof(add);
}

static uint32_t eventfd_poll(struct file *file, uint32_t mask, struct wait *wait)
{
	struct eventfd *ev = container_of(file, struct eventfd, file);
	uint32_t ready = 0;

	if (wait)
		wait_on(wait, &ev->waiters, mask);
	pthread_mutex_lock(&ev->lock);
	if (ev->count)
		ready |= POLLIN | POLLRDNORM;
	if (ev->count < EVENTFD_MAX)
		ready |= POLLOUT | POLLWRNORM;
	pthread_mutex_unlock(&ev->lock);
	return ready & mask;
}

static void eventfd_release(struct file *file)
{
	struct eventfd *ev = container_of(file, struct eventfd, file);

	file_free_common(file);
	waitq_destroy(&ev->waiters);
	pthread_mutex_destroy(&ev->lock);
	free(ev);
}

static const struct file_ops eventfd_ops = {
	.name = "anon_inode:[eventfd]",
	.read = eventfd_read,
	.parks = true,
	.write = eventfd_write,
	.poll = eventfd_poll,
	.seek = anon_seek,
	.release = eventfd_release,
};

int eventfd_open(uint32_t count, uint32_t flags, bool semaphore, struct file **out)
{
	struct eventfd *ev = calloc(1, sizeof(*ev));

	if (!ev)
		return -ENOMEM;
	file_init(&ev->file, &eventfd_ops, O_RDWR | (flags & O_NONBLOCK), NULL, NULL);
	pthread_mutex_init(&ev->lock, NULL);
	waitq_init(&ev->waiters);
	ev->count = count;
	ev->semaphore = semaphore;
	*out = &ev->file;
	return 0;
}
