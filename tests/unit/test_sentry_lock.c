/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks on files: random ones against the host's, then waiting, deadlocks, and who loses what.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/vfs/lock.h"
#include "sentry_files.h"
#include "sentry_world.h"

#define STEPS  20000
#define OWNERS 4

static unsigned seed = 1;

static unsigned pick(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % n;
}

static struct lock_range range_of(int type, int64_t start, int64_t end)
{
	return (struct lock_range){ .type = type, .start = start, .end = end };
}

/* Locks of open files on both sides: four openings of one file */
static void model(void **state)
{
	static const short types[] = { F_RDLCK, F_WRLCK, F_UNLCK };
	struct world *w = world_new();
	struct file *file[OWNERS];
	int fd[OWNERS];
	char path[64];
	int base = memfd_create("locks", MFD_CLOEXEC);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", base);
	for (int i = 0; i < OWNERS; i++) {
		fd[i] = open(path, O_RDWR | O_CLOEXEC);
		assert_true(fd[i] >= 0);
		assert_int_equal(world_open(w, &w->root, "/f", O_RDWR | O_CREAT, 0644, &file[i]), 0);
	}
	for (int i = 0; i < STEPS; i++) {
		unsigned who = pick(OWNERS);
		short type = types[pick(3)];
		int64_t start = pick(30), len = pick(5) ? 1 + pick(12) : 0;
		struct flock flock = { .l_type = type, .l_whence = SEEK_SET, .l_start = start,
				       .l_len = len };
		struct lock_range range = range_of(type, start, len ? start + len - 1 : INT64_MAX);

		if (pick(3) && type != F_UNLCK) {
			assert_int_equal(fcntl(fd[who], F_OFD_GETLK, &flock), 0);
			lock_test(&w->task, file[who], LOCK_OFD, &range);
			assert_int_equal(flock.l_type == F_UNLCK, range.type == F_UNLCK);
		} else {
			int host = fcntl(fd[who], F_OFD_SETLK, &flock) < 0 ? -errno : 0;

			assert_int_equal(lock_set(&w->task, file[who], LOCK_OFD, &range, false), host);
		}
		if (i % 500 == 499) { /* one of them is closed and opened again */
			close(fd[who]);
			fd[who] = open(path, O_RDWR | O_CLOEXEC);
			assert_true(fd[who] >= 0);
			file_put(file[who]);
			assert_int_equal(world_open(w, &w->root, "/f", O_RDWR, 0, &file[who]), 0);
		}
	}
	for (int i = 0; i < OWNERS; i++) {
		close(fd[i]);
		file_put(file[i]);
	}
	close(base);
	world_free(w);
}

/* A process of its own beside the world's, in a thread. */
struct other {
	struct world *w;
	struct file *file;
	struct lock_range range;
	struct fdtable *files;
	enum lock_kind kind;
	struct task *task;
	_Atomic int state; /* 1: about to wait; 2: is through */
	int result;
	pthread_t thread;
};

static void *other_run(void *data)
{
	struct other *o = data;
	struct task *task = files_task_begin();

	task->files = o->files;
	o->task = task;
	atomic_store(&o->state, 1);
	o->result = lock_set(task, o->file, o->kind, &o->range, true);
	atomic_store(&o->state, 2);
	files_task_end();
	return NULL;
}

/* Return when it waits for its lock. */
static void other_start(struct other *o)
{
	assert_int_equal(pthread_create(&o->thread, NULL, other_run, o), 0);
	while (!atomic_load(&o->state) || !atomic_load(&o->task->sleeping))
		usleep(100);
}

static void waiting(void **state)
{
	struct world *w = world_new();
	struct lock_range all = range_of(F_WRLCK, 0, INT64_MAX), none = range_of(F_UNLCK, 0, INT64_MAX);
	struct other o = { .w = w, .range = range_of(F_RDLCK, 5, 9), .kind = LOCK_POSIX };

	assert_int_equal(world_open(w, &w->root, "/f", O_RDWR | O_CREAT, 0644, &o.file), 0);
	o.files = fdtable_new();
	assert_int_equal(lock_set(&w->task, o.file, LOCK_POSIX, &all, false), 0);
	other_start(&o);
	assert_int_equal(atomic_load(&o.state), 1);
	assert_int_equal(lock_set(&w->task, o.file, LOCK_POSIX, &none, false), 0);
	pthread_join(o.thread, NULL);
	assert_int_equal(o.result, 0);
	/* Now it is the other's. */
	assert_int_equal(lock_set(&w->task, o.file, LOCK_POSIX, &all, false), -EAGAIN);
	lock_test(&w->task, o.file, LOCK_POSIX, &all);
	assert_int_equal(all.type, F_RDLCK);
	assert_int_equal(all.start, 5);
	assert_int_equal(all.end, 9);
	lock_drop_posix(o.file, o.files);
	all.type = F_WRLCK;
	assert_int_equal(lock_set(&w->task, o.file, LOCK_POSIX, &all, false), 0);
	fdtable_put(o.files);
	file_put(o.file);
	world_free(w);
}

/* A waits for B's lock; B asking for A's would never end */
static void deadlock(void **state)
{
	struct world *w = world_new();
	struct lock_range first = range_of(F_WRLCK, 0, 0), second = range_of(F_WRLCK, 1, 1);
	struct other o = { .w = w, .range = first, .kind = LOCK_POSIX };
	struct task theirs = { .process = &w->process };

	assert_int_equal(world_open(w, &w->root, "/f", O_RDWR | O_CREAT, 0644, &o.file), 0);
	o.files = theirs.files = fdtable_new();
	assert_int_equal(lock_set(&w->task, o.file, LOCK_POSIX, &first, false), 0);
	assert_int_equal(lock_set(&theirs, o.file, LOCK_POSIX, &second, false), 0);
	other_start(&o);
	struct lock_range probe = second;

	lock_test(&w->task, o.file, LOCK_POSIX, &probe);
	assert_int_equal(probe.type, F_WRLCK);
	assert_int_equal(lock_set(&w->task, o.file, LOCK_POSIX, &second, true), -EDEADLK);
	first.type = F_UNLCK;
	assert_int_equal(lock_set(&w->task, o.file, LOCK_POSIX, &first, false), 0);
	pthread_join(o.thread, NULL);
	assert_int_equal(o.result, 0);
	lock_drop_posix(o.file, o.files);
	fdtable_put(o.files);
	file_put(o.file);
	world_free(w);
}

/* Closing any descriptor of the file loses a process's locks, an open file's only the last one */
static void closing(void **state)
{
	struct world *w = world_new();
	struct lock_range all = range_of(F_WRLCK, 0, INT64_MAX);
	struct file *one, *two, *three;
	struct task other = { .process = &w->process, .files = fdtable_new() };
	int fd, dup;

	assert_int_equal(world_open(w, &w->root, "/f", O_RDWR | O_CREAT, 0644, &one), 0);
	assert_int_equal(world_open(w, &w->root, "/f", O_RDWR, 0, &two), 0);
	assert_int_equal(world_open(w, &w->root, "/f", O_RDWR, 0, &three), 0);
	assert_int_equal(lock_set(&w->task, one, LOCK_POSIX, &all, false), 0);
	fd = fd_install(&w->task, two, false, 0);
	assert_int_equal(lock_set(&other, three, LOCK_POSIX, &all, false), -EAGAIN);
	assert_int_equal(fd_close(&w->task, fd), 0);
	assert_int_equal(lock_set(&other, three, LOCK_POSIX, &all, false), 0);
	lock_drop_posix(three, other.files);

	fd = fd_install(&w->task, file_get(one), false, 0);
	dup = fd_install(&w->task, file_get(one), false, 0);
	assert_int_equal(lock_set(&w->task, one, LOCK_FLOCK, &all, false), 0);
	assert_int_equal(lock_set(&other, three, LOCK_FLOCK, &all, false), -EAGAIN);
	file_put(one);
	assert_int_equal(fd_close(&w->task, fd), 0);
	assert_int_equal(lock_set(&other, three, LOCK_FLOCK, &all, false), -EAGAIN);
	assert_int_equal(fd_close(&w->task, dup), 0);
	assert_int_equal(lock_set(&other, three, LOCK_FLOCK, &all, false), 0);
	/* One that wants more and cannot have it has nothing any more. */
	struct lock_range some = range_of(F_RDLCK, 0, INT64_MAX);

	assert_int_equal(world_open(w, &w->root, "/f", O_RDWR, 0, &two), 0);
	assert_int_equal(lock_set(&w->task, three, LOCK_FLOCK, &some, false), 0);
	assert_int_equal(lock_set(&w->task, two, LOCK_FLOCK, &some, false), 0);
	assert_int_equal(lock_set(&w->task, two, LOCK_FLOCK, &all, false), -EAGAIN);
	assert_int_equal(lock_set(&w->task, three, LOCK_FLOCK, &all, false), 0);
	file_put(two);
	/* flock(2)'s and the others do not see each other. */
	assert_int_equal(lock_set(&w->task, three, LOCK_POSIX, &all, false), 0);
	fdtable_put(other.files);
	file_put(three);
	world_free(w);
}

/* One lock with holes is as many as there are pieces. */
static void bounded(void **state)
{
	struct world *w = world_new();
	struct lock_range all = range_of(F_WRLCK, 0, INT64_MAX), hole;
	struct file *file;
	int64_t n = 0;
	int r = 0;

	assert_int_equal(world_open(w, &w->root, "/f", O_RDWR | O_CREAT, 0644, &file), 0);
	assert_int_equal(lock_set(&w->task, file, LOCK_POSIX, &all, false), 0);
	/* From the end on: the piece that is cut is the first that is found. */
	for (; r == 0 && n < 1 << 20; n++) {
		hole = range_of(F_UNLCK, (1 << 22) - 2 * n, (1 << 22) - 2 * n);
		r = lock_set(&w->task, file, LOCK_POSIX, &hole, false);
	}
	assert_int_equal(r, -ENOLCK);
	assert_true(n > 1000);
	/* What makes no more of them is possible all the same. */
	all.type = F_UNLCK;
	assert_int_equal(lock_set(&w->task, file, LOCK_POSIX, &all, false), 0);
	all.type = F_WRLCK;
	assert_int_equal(lock_set(&w->task, file, LOCK_POSIX, &all, false), 0);
	file_put(file);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model),
		cmocka_unit_test(waiting),
		cmocka_unit_test(deadlock),
		cmocka_unit_test(closing),
		cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
