/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors: random calls against a plain array, and several threads on one table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "base/cleanup.h"
#include "sentry_world.h"

#define STEPS 50000
#define LIMIT 200

static unsigned seed = 1;
static _Atomic int alive;

static unsigned pick(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % n;
}

static void counted_release(struct file *file)
{
	atomic_fetch_sub(&alive, 1);
	file_release_plain(file);
}

static const struct file_ops counted_ops = { .release = counted_release };

static struct file *counted(void)
{
	struct file *file = calloc(1, sizeof(*file));

	file_init(file, &counted_ops, O_RDWR, NULL, NULL);
	atomic_fetch_add(&alive, 1);
	return file;
}

struct slot {
	struct file *file;
	bool cloexec;
};

static int lowest(const struct slot *slots, int from)
{
	while (from < LIMIT && slots[from].file)
		from++;
	return from < LIMIT ? from : -EMFILE;
}

static void model(void **state)
{
	struct world *w = world_new();
	struct task *t = &w->task;
	struct slot slots[LIMIT] = { 0 };

	w->process.limits[RLIMIT_NOFILE].rlim_cur = LIMIT;
	for (int i = 0; i < STEPS; i++) {
		int fd = (int)pick(LIMIT + 20), min = pick(3) ? 0 : (int)pick(LIMIT);
		bool cloexec = pick(2), have = fd < LIMIT && slots[fd].file;
		struct file *file;
		int r;

		switch (pick(7)) {
		case 0:
		case 1:
			r = lowest(slots, min);
			file = counted();
			assert_int_equal(fd_install(t, file, cloexec, min), r);
			if (r >= 0)
				slots[r] = (struct slot){ file, cloexec };
			break;
		case 2:
			file = counted();
			r = fd_install_at(t, file, cloexec, fd);
			assert_int_equal(r, fd < LIMIT ? fd : -EBADF);
			if (r >= 0)
				slots[fd] = (struct slot){ file, cloexec };
			break;
		case 3:
			assert_int_equal(fd_close(t, fd), have ? 0 : -EBADF);
			if (have)
				slots[fd].file = NULL;
			break;
		case 4:
			file = fd_get(t, fd);
			assert_ptr_equal(file, have ? slots[fd].file : NULL);
			file_put(file);
			assert_int_equal(fd_get_cloexec(t, fd), have ? slots[fd].cloexec : -EBADF);
			break;
		case 5:
			assert_int_equal(fd_set_cloexec(t, fd, cloexec), have ? 0 : -EBADF);
			if (have)
				slots[fd].cloexec = cloexec;
			break;
		default:
			if (pick(50))
				break;
			bool only = pick(2);

			assert_int_equal(fd_close_range(t, (unsigned)fd, (unsigned)fd + 30, only), 0);
			for (int k = fd; k <= fd + 30 && k < LIMIT; k++) {
				slots[k].cloexec |= only;
				if (!only)
					slots[k].file = NULL;
			}
		}
		int used = 0;

		for (int k = 0; k < LIMIT; k++)
			used += slots[k].file != NULL;
		assert_int_equal(atomic_load(&alive), used);
	}

	/* A copy has them all and is independent; exec closes some. */
	struct fdtable *copy = fdtable_copy(t->files);
	struct file *file;
	int n = 0, fd = -1;

	fdtable_close_on_exec(t->files, t);
	while ((fd = fdtable_next(copy, fd + 1, &file)) >= 0) {
		assert_ptr_equal(file, slots[fd].file);
		file_put(file);
		file = fd_get(t, fd);
		assert_ptr_equal(file, slots[fd].cloexec ? NULL : slots[fd].file);
		file_put(file);
		n++;
	}
	assert_int_equal(atomic_load(&alive), n);
	fdtable_put(copy);
	assert_int_equal(fd_close_range(t, 10, 5, false), -EINVAL);
	assert_int_equal(fd_close_range(t, 0, UINT32_MAX, false), 0);
	assert_int_equal(atomic_load(&alive), 0);
	world_free(w);
}

static void *hammer(void *data)
{
	struct task task = *(struct task *)data;

	for (int i = 0; i < 20000; i++) {
		int fd = fd_install(&task, counted(), i & 1, i % 7);
		struct file *file;

		assert_true(fd >= 0);
		file = fd_get(&task, fd ^ 1);
		file_put(file);
		if (i % 3 == 0)
			fd_install_at(&task, counted(), false, 40 + i % 5);
		fd_close(&task, fd); /* another thread may have been first */
		fd_close(&task, 40 + i % 5);
	}
	return NULL;
}

static void threads(void **state)
{
	struct world *w = world_new();
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, hammer, &w->task), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	world_free(w);
	assert_int_equal(atomic_load(&alive), 0);
}

/* Numbers beyond any limit, and below zero */
static void hostile(void **state)
{
	static const int fds[] = { -1, INT32_MIN, INT32_MAX, FD_MAX, FD_MAX + 1, 1024 };
	struct world *w = world_new();

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_null(fd_get(&w->task, fds[i]));
		assert_int_equal(fd_close(&w->task, fds[i]), -EBADF);
		assert_int_equal(fd_get_cloexec(&w->task, fds[i]), -EBADF);
		assert_int_equal(fd_install_at(&w->task, counted(), false, fds[i]), -EBADF);
	}
	w->process.limits[RLIMIT_NOFILE].rlim_cur = RLIM_INFINITY;
	assert_int_equal(fd_install(&w->task, counted(), false, FD_MAX), -EMFILE);
	assert_int_equal(atomic_load(&alive), 0);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model),
		cmocka_unit_test(threads),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
