/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/fdtable.c - the table of descriptors of a process
 *
 * An array of pointers, grown by doubling, with the close-on-exec flag in the lowest bit. The lock
 * is held for a look or a change of a place, never while a file is closed. Which number is the
 * lowest free one is known as a bound: none is free below @hint.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/task/task.h"
#include "sentry/vfs/bound.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/lock.h"
#include "sentry/vfs/vfs.h"

#define FDTABLE_MIN 16
#define FDTABLE_CLOEXEC ((uintptr_t)1)

/* Places in all tables: an eighth of the memory for them. */
static struct bound fdtable_slots = { .each = 64, .least = 2 * FD_MAX, .most = 128 * FD_MAX };

struct fdtable {
	_Atomic unsigned refs;
	pthread_mutex_t lock;
	unsigned size, hint;
	uintptr_t *slots; /* struct file *, with a reference; bit 0 close-on-exec */
};

static struct file *fdtable_file(uintptr_t slot)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): a tagged pointer */
	return (struct file *)(slot & ~FDTABLE_CLOEXEC);
}

struct fdtable *fdtable_new(void)
{
	struct fdtable *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	atomic_init(&t->refs, 1);
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

struct fdtable *fdtable_get(struct fdtable *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

/* fdtable_drop() - A descriptor is gone: what a close does, and the reference */
static void fdtable_drop(struct fdtable *t, struct file *file, struct task *task)
{
	if (file->inode && atomic_load_explicit(&file->inode->locks, memory_order_relaxed))
		lock_drop_posix(file, t);
	if (file->ops->flush)
		file->ops->flush(file, task);
	file_put(file);
}

void fdtable_put(struct fdtable *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < t->size; i++)
		if (t->slots[i])
			fdtable_drop(t, fdtable_file(t->slots[i]), task_current);
	free(t->slots);
	bound_give(&fdtable_slots, t->size);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* fdtable_room() - So that @fd has a place. Locked. */
static int fdtable_room(struct fdtable *t, unsigned fd)
{
	unsigned size = t->size ? t->size : FDTABLE_MIN;
	uintptr_t *slots;

	if (fd < t->size)
		return 0;
	while (size <= fd)
		size *= 2;
	if (!bound_take(&fdtable_slots, size - t->size))
		return -ENOMEM;
	slots = realloc(t->slots, size * sizeof(*slots));
	if (!slots) {
		bound_give(&fdtable_slots, size - t->size);
		return -ENOMEM;
	}
	memset(slots + t->size, 0, (size - t->size) * sizeof(*slots));
	t->slots = slots;
	t->size = size;
	return 0;
}

struct fdtable *fdtable_copy(struct fdtable *t)
{
	struct fdtable *copy = fdtable_new();

	if (!copy)
		return NULL;
	pthread_mutex_lock(&t->lock);
	if (t->size && fdtable_room(copy, t->size - 1) < 0) {
		pthread_mutex_unlock(&t->lock);
		fdtable_put(copy);
		return NULL;
	}
	if (t->size)
		memcpy(copy->slots, t->slots, t->size * sizeof(*copy->slots));
	copy->hint = t->hint;
	for (unsigned i = 0; i < copy->size; i++)
		if (copy->slots[i])
			file_get(fdtable_file(copy->slots[i]));
	pthread_mutex_unlock(&t->lock);
	return copy;
}

/* fdtable_take() - Empty a place. Return: its file, with the reference, or NULL. Locked. */
static struct file *fdtable_take(struct fdtable *t, unsigned fd)
{
	struct file *file = fd < t->size ? fdtable_file(t->slots[fd]) : NULL;

	if (file) {
		t->slots[fd] = 0;
		if (fd < t->hint)
			t->hint = fd;
	}
	return file;
}

bool fdtable_shared(const struct fdtable *t)
{
	return atomic_load(&t->refs) > 1;
}

void fdtable_close_on_exec(struct fdtable *t, struct task *task)
{
	pthread_mutex_lock(&t->lock);
	for (unsigned i = 0; i < t->size; i++) {
		if (!(t->slots[i] & FDTABLE_CLOEXEC))
			continue;
		struct file *file = fdtable_take(t, i);

		pthread_mutex_unlock(&t->lock);
		fdtable_drop(t, file, task);
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
}

struct file *fd_get_path(struct task *task, int fd)
{
	struct fdtable *t = task->files;
	struct file *file = NULL;

	pthread_mutex_lock(&t->lock);
	if ((unsigned)fd < t->size)
		file = fdtable_file(t->slots[fd]);
	if (file)
		file_get(file);
	pthread_mutex_unlock(&t->lock);
	return file;
}

struct file *fd_get(struct task *task, int fd)
{
	struct file *file = fd_get_path(task, fd);

	if (file && (file->flags & O_PATH)) {
		file_put(file);
		return NULL;
	}
	return file;
}

static uint64_t fdtable_limit(const struct task *task)
{
	uint64_t limit = task_limit(task, RLIMIT_NOFILE);

	return limit < FD_MAX ? limit : FD_MAX;
}

static uintptr_t fdtable_slot(struct file *file, bool cloexec)
{
	return (uintptr_t)file | (cloexec ? FDTABLE_CLOEXEC : 0);
}

int fd_install(struct task *task, struct file *file, bool cloexec, int min)
{
	struct fdtable *t = task->files;
	unsigned from = min < 0 ? 0 : (unsigned)min, fd = from;
	uint64_t limit = fdtable_limit(task);
	int r;

	/* A new one: nobody else has it yet */
	if (atomic_load_explicit(&file->refs, memory_order_relaxed) == 1 && file_is_crowded()) {
		file_put(file);
		return -ENFILE;
	}
	pthread_mutex_lock(&t->lock);
	if (fd < t->hint)
		fd = t->hint;
	while (fd < t->size && t->slots[fd])
		fd++;
	r = fd >= limit ? -EMFILE : fdtable_room(t, fd);
	if (r == 0) {
		t->slots[fd] = fdtable_slot(file, cloexec);
		if (from <= t->hint)
			t->hint = fd + 1;
	}
	pthread_mutex_unlock(&t->lock);
	if (r < 0) {
		file_put(file);
		return r;
	}
	return (int)fd;
}

int fd_install_at(struct task *task, struct file *file, bool cloexec, int fd)
{
	struct fdtable *t = task->files;
	struct file *old = NULL;
	int r;

	if (fd < 0 || (uint64_t)fd >= fdtable_limit(task)) {
		file_put(file);
		return -EBADF;
	}
	pthread_mutex_lock(&t->lock);
	r = fdtable_room(t, (unsigned)fd);
	if (r == 0) {
		old = fdtable_file(t->slots[fd]);
		t->slots[fd] = fdtable_slot(file, cloexec);
	}
	pthread_mutex_unlock(&t->lock);
	if (r < 0)
		file_put(file);
	if (old)
		fdtable_drop(t, old, task);
	return r < 0 ? r : fd;
}

int fd_close(struct task *task, int fd)
{
	struct fdtable *t = task->files;
	struct file *file;

	pthread_mutex_lock(&t->lock);
	file = fdtable_take(t, (unsigned)fd);
	pthread_mutex_unlock(&t->lock);
	if (!file)
		return -EBADF;
	fdtable_drop(t, file, task);
	return 0;
}

int fd_close_range(struct task *task, unsigned first, unsigned last, bool cloexec_only)
{
	struct fdtable *t = task->files;

	if (first > last)
		return -EINVAL;
	pthread_mutex_lock(&t->lock);
	for (unsigned i = first; i < t->size && i <= last; i++) {
		if (!t->slots[i])
			continue;
		if (cloexec_only) {
			t->slots[i] |= FDTABLE_CLOEXEC;
			continue;
		}
		struct file *file = fdtable_take(t, i);

		pthread_mutex_unlock(&t->lock);
		fdtable_drop(t, file, task);
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	return 0;
}

int fdtable_get_cloexec(struct fdtable *t, int fd)
{
	int r = -EBADF;

	pthread_mutex_lock(&t->lock);
	if ((unsigned)fd < t->size && t->slots[fd])
		r = t->slots[fd] & FDTABLE_CLOEXEC ? 1 : 0;
	pthread_mutex_unlock(&t->lock);
	return r;
}

int fd_get_cloexec(struct task *task, int fd)
{
	return fdtable_get_cloexec(task->files, fd);
}

int fd_set_cloexec(struct task *task, int fd, bool cloexec)
{
	struct fdtable *t = task->files;
	int r = -EBADF;

	pthread_mutex_lock(&t->lock);
	if ((unsigned)fd < t->size && t->slots[fd]) {
		t->slots[fd] = fdtable_slot(fdtable_file(t->slots[fd]), cloexec);
		r = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

int fdtable_next(struct fdtable *t, int fd, struct file **file)
{
	int found = -1;

	pthread_mutex_lock(&t->lock);
	for (unsigned i = fd < 0 ? 0 : (unsigned)fd; i < t->size && found < 0; i++) {
		if (!t->slots[i])
			continue;
		*file = file_get(fdtable_file(t->slots[i]));
		found = (int)i;
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}
