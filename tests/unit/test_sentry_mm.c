/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Corners of address spaces, one by one: places, limits, files, fork, moves, advice, the stack. All
 * of it in random order is test_sentry_mm_model.c.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "sentry/mm/user.h"
#include "sentry/task/task.h"
#include "sentry_mm_fixture.h"

static uint8_t load(struct mm *mm, uint64_t addr)
{
	uint8_t value;

	assert_int_equal(guest_load(mm, addr, &value), 0);
	return value;
}

static void store(struct mm *mm, uint64_t addr, uint8_t value)
{
	assert_int_equal(guest_store(mm, addr, value), 0);
}

static uint64_t anon(struct mm *mm, uint64_t pages)
{
	return guest_map(mm, 0, pages * PAGE_SIZE, RW, ANON, NULL, 0);
}

static uint64_t allocated(void)
{
	struct memfile_usage usage;

	memfile_usage(kernel.memory, &usage);
	return usage.allocated;
}

/* --- mmap --- */

static void test_map_errors(void **state)
{
	struct mm *mm = guest_new();
	struct fake_file *f = fake_file_new("x", 1, false);
	uint64_t out;
	const struct {
		struct mm_map map;
		int error;
	} rows[] = {
		{ { 0, 0, RW, ANON }, -EINVAL },
		{ { 0, UINT64_MAX, RW, ANON }, -ENOMEM },
		{ { 0, UINT64_MAX - PAGE_SIZE, RW, ANON }, -ENOMEM },
		{ { 0, INT64_MAX, RW, ANON }, -ENOMEM },
		{ { 0, GUEST_END, RW, ANON }, -ENOMEM },
		{ { 0, PAGE_SIZE, RW, MAP_ANONYMOUS }, -EINVAL },
		{ { BASE + 1, PAGE_SIZE, RW, ANON | MAP_FIXED }, -EINVAL },
		{ { 0, PAGE_SIZE, RW, ANON | MAP_FIXED }, -EPERM },
		{ { GUEST_END, PAGE_SIZE, RW, ANON | MAP_FIXED }, -ENOMEM },
		{ { UINT64_MAX - PAGE_SIZE + 1, PAGE_SIZE, RW, ANON | MAP_FIXED }, -ENOMEM },
		{ { GUEST_END - PAGE_SIZE, 2 * PAGE_SIZE, RW, ANON | MAP_FIXED }, -ENOMEM },
		{ { 0, PAGE_SIZE, RW, MAP_PRIVATE, &f->file, 1 }, -EINVAL },
		{ { 0, PAGE_SIZE, RW, MAP_PRIVATE, &f->file, PAGE_DOWN(UINT64_MAX) }, -EOVERFLOW },
		{ { 0, PAGE_SIZE, RW, MAP_PRIVATE, &f->file, PAGE_DOWN(INT64_MAX) }, -EOVERFLOW },
		{ { 0, PAGE_SIZE, RW, MAP_PRIVATE | MAP_GROWSDOWN, &f->file }, -EINVAL },
		{ { 0, PAGE_SIZE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS }, -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(mm_map(mm, NULL, &rows[i].map, &out), rows[i].error);
	f->file.flags = 1; /* O_WRONLY */
	assert_int_equal(mm_map(mm, NULL,
				&(struct mm_map){ 0, PAGE_SIZE, PROT_READ, MAP_PRIVATE, &f->file },
				&out),
			 -EACCES);
	f->file.flags = 0;
	assert_int_equal(mm_map(mm, NULL,
				&(struct mm_map){ 0, PAGE_SIZE, RW, MAP_SHARED, &f->file }, &out),
			 -EACCES);
	out = guest_map(mm, 0, PAGE_SIZE, PROT_READ, MAP_SHARED, f, 0);
	assert_int_equal(mm_protect(mm, out, PAGE_SIZE, RW), -EACCES);
	assert_int_equal(mm->vmas.count, 1);
	mm_put(mm);
	file_put(&f->file);
}

static void test_map_places(void **state)
{
	struct mm *mm = guest_new();
	uint64_t a = anon(mm, 1);
	uint64_t b = anon(mm, 1);
	struct mm_map map = { BASE, 2 * PAGE_SIZE, RW, ANON };
	uint64_t out;

	(void)state;
	assert_int_equal(a, GUEST_END - PAGE_SIZE);
	assert_int_equal(b, a - PAGE_SIZE);
	assert_int_equal(mm->vmas.count, 1); /* they touch and are alike */
	assert_int_equal(mm_map(mm, NULL, &map, &out), 0);
	assert_int_equal(out, BASE);
	assert_int_equal(mm_map(mm, NULL, &map, &out), 0); /* taken */
	assert_int_equal(out, b - 2 * PAGE_SIZE);
	map.flags |= MAP_FIXED_NOREPLACE;
	assert_int_equal(mm_map(mm, NULL, &map, &out), -EEXIST);
	map.addr += PAGE_SIZE;
	assert_int_equal(mm_map(mm, NULL, &map, &out), -EEXIST);
	map.addr += PAGE_SIZE;
	assert_int_equal(mm_map(mm, NULL, &map, &out), 0);
	map.flags = ANON | MAP_32BIT;
	assert_int_equal(mm_map(mm, NULL, &map, &out), 0);
	assert_int_equal(out, UINT64_C(0x80000000) - 2 * PAGE_SIZE);
	assert_int_equal(mm_unmap(mm, a, PAGE_SIZE), 0);
	assert_int_equal(anon(mm, 1), a); /* the highest that fits */
	mm_put(mm);
}

static void test_one_trip(void **state)
{
	struct mm *mm = guest_new();
	unsigned before = guest_trips();
	uint64_t at = anon(mm, 100);

	(void)state;
	assert_int_equal(guest_trips(), before + 1);
	guest_map(mm, at, 50 * PAGE_SIZE, PROT_READ, ANON, NULL, 0);
	assert_int_equal(guest_trips(), before + 2);
	mm_unmap(mm, at, 100 * PAGE_SIZE);
	assert_int_equal(guest_trips(), before + 3);
	guest_map(mm, 0, 100 * PAGE_SIZE, PROT_NONE, ANON, NULL, 0);
	assert_int_equal(guest_trips(), before + 3); /* nothing to do */
	assert_int_equal(guest_mapped(mm), 0);
	assert_int_equal(allocated(), 0);
	mm_put(mm);
}

/* More than can be had at once comes as it is touched; it costs nothing before. */
static void test_huge(void **state)
{
	struct mm *mm = guest_new();
	uint64_t at = guest_map(mm, 0, UINT64_C(1) << 44, RW, ANON | MAP_NORESERVE, NULL, 0);

	(void)state;
	assert_int_equal(allocated(), 0);
	store(mm, at, 1);
	store(mm, at + (UINT64_C(1) << 43), 2);
	assert_int_equal(load(mm, at), 1);
	assert_int_equal(load(mm, at + (UINT64_C(1) << 43)), 2);
	assert_true(allocated() <= 8u << 20);
	assert_int_equal(mm_protect(mm, at, UINT64_C(1) << 44, PROT_READ), 0);
	assert_int_equal(guest_store(mm, at, 3), SIGSEGV);
	guest_check(mm);
	mm_put(mm);
}

static void test_limits(void **state)
{
	struct mm *mm = guest_new();
	struct mm_map map = { 0, 16 * PAGE_SIZE, RW, ANON };
	uint64_t out;
	struct task *task = (struct task *)mm; /* looked at by the fixture only */

	(void)state;
	fake_limit(RLIMIT_AS, 20 * PAGE_SIZE);
	assert_int_equal(mm_map(mm, task, &map, &out), 0);
	assert_int_equal(mm_map(mm, task, &map, &out), -ENOMEM);
	fake_limit(RLIMIT_AS, UINT64_MAX);
	fake_limit(RLIMIT_DATA, 20 * PAGE_SIZE);
	assert_int_equal(mm_map(mm, task, &map, &out), -ENOMEM);
	map.prot = PROT_READ;
	assert_int_equal(mm_map(mm, task, &map, &out), 0);
	fake_limit(RLIMIT_DATA, UINT64_MAX);
	fake_limit(RLIMIT_MEMLOCK, 4 * PAGE_SIZE);
	assert_int_equal(mm_lock(mm, task, out, 4 * PAGE_SIZE, true), 0);
	assert_int_equal(mm_lock(mm, task, out, 4 * PAGE_SIZE, true), 0); /* again */
	assert_int_equal(mm_lock(mm, task, out, 5 * PAGE_SIZE, true), -ENOMEM);
	assert_int_equal(mm_advise(mm, out, PAGE_SIZE, MADV_DONTNEED), -EINVAL);
	assert_int_equal(mm_lock(mm, task, out, 16 * PAGE_SIZE, false), 0);
	assert_int_equal(mm->map_locked, 0);
	mm_put(mm);
	fake_limit(RLIMIT_MEMLOCK, UINT64_MAX);
}

static void test_many_vmas(void **state)
{
	struct mm *mm = guest_new();
	uint64_t at = guest_map(mm, 0, 70000 * PAGE_SIZE, PROT_NONE, ANON, NULL, 0);
	int r = 0;
	unsigned n = 0;

	(void)state;
	for (; !r && n < 70000; n += 2)
		r = mm_protect(mm, at + n * PAGE_SIZE, PAGE_SIZE, PROT_READ);
	assert_int_equal(r, -ENOMEM);
	assert_true(n > 60000);
	mm_put(mm);
}

/* --- files --- */

static void test_file_end(void **state)
{
	char data[PAGE_SIZE + 100];
	uint64_t at;
	struct mm *mm = guest_new();

	(void)state;
	memset(data, 'x', sizeof(data));
	for (int host = 0; host < 2; host++) {
		struct fake_file *f = fake_file_new(data, sizeof(data), host);

		for (int shared = 0; shared < 2; shared++) {
			uint8_t value;

			at = guest_map(mm, 0, 4 * PAGE_SIZE, RW,
				       shared ? MAP_SHARED : MAP_PRIVATE, f, 0);
			assert_int_equal(load(mm, at + PAGE_SIZE + 99), 'x');
			assert_int_equal(load(mm, at + PAGE_SIZE + 100), 0);
			assert_int_equal(guest_load(mm, at + 2 * PAGE_SIZE, &value), SIGBUS);
			assert_int_equal(guest_store(mm, at + 3 * PAGE_SIZE, 1), SIGBUS);
			assert_int_equal(user_read(mm, &value, at + 2 * PAGE_SIZE, 1), -EFAULT);
			store(mm, at, 'y');
			assert_int_equal(load(mm, at), 'y');
			assert_int_equal(load(mm, at + 1), 'x');
			guest_check(mm);
			mm_unmap(mm, at, 4 * PAGE_SIZE);
		}
		file_put(&f->file);
	}
	mm_put(mm);
}

static void test_truncate(void **state)
{
	static char data[8 * PAGE_SIZE];
	struct mm *a = guest_new();
	struct mm *b = guest_new();

	(void)state;
	memset(data, 'x', sizeof(data));
	for (int host = 0; host < 2; host++) {
		struct fake_file *f = fake_file_new(data, sizeof(data), host);
		uint64_t at = guest_map(a, 0, 8 * PAGE_SIZE, RW, MAP_SHARED, f, 0);
		uint64_t at2 = guest_map(b, 0, 4 * PAGE_SIZE, RW, MAP_PRIVATE, f, 4 * PAGE_SIZE);
		uint8_t value;

		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(load(a, at + i * PAGE_SIZE), 'x');
		store(b, at2, 'z');
		store(b, at2 + PAGE_SIZE, 'z');
		fake_file_truncate(f, 5 * PAGE_SIZE);
		assert_int_equal(load(a, at + 4 * PAGE_SIZE), 'x');
		assert_int_equal(guest_load(a, at + 5 * PAGE_SIZE, &value), SIGBUS);
		assert_int_equal(user_read(a, &value, at + 5 * PAGE_SIZE, 1), -EFAULT);
		assert_int_equal(load(b, at2), 'z');
		assert_int_equal(guest_load(b, at2 + PAGE_SIZE, &value), SIGBUS);
		guest_check(a);
		guest_check(b);
		mm_unmap(a, at, 8 * PAGE_SIZE);
		mm_unmap(b, at2, 4 * PAGE_SIZE);
		file_put(&f->file);
	}
	mm_put(a);
	mm_put(b);
}

/* --- fork --- */

static void test_cow(void **state)
{
	struct mm *parent = guest_new();
	struct mm *child;
	uint64_t at = anon(parent, 64);
	uint64_t before;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		store(parent, at + i * PAGE_SIZE, (uint8_t)i);
	before = allocated();
	assert_int_equal(mm_fork(parent, &child), 0);
	assert_int_equal(allocated(), before); /* nothing is copied yet */
	for (unsigned i = 0; i < 64; i += 3)
		store(i % 2 ? parent : child, at + i * PAGE_SIZE, 200);
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(load(parent, at + i * PAGE_SIZE), i % 3 || !(i % 2) ? i : 200);
		assert_int_equal(load(child, at + i * PAGE_SIZE), i % 3 || i % 2 ? i : 200);
	}
	guest_check(parent);
	guest_check(child);
	mm_put(child);
	/* Nobody else is left: what is written is made writable, not copied. */
	before = allocated();
	for (unsigned i = 0; i < 64; i++)
		store(parent, at + i * PAGE_SIZE, 7);
	assert_int_equal(allocated(), before);
	guest_check(parent);
	mm_put(parent);
}

static void test_fork_trips(void **state)
{
	struct mm *parent = guest_new();
	struct mm *child;
	unsigned before;

	(void)state;
	for (unsigned i = 0; i < 30; i++)
		guest_map(parent, BASE + i * 10 * PAGE_SIZE, 4 * PAGE_SIZE, RW, ANON, NULL, 0);
	before = guest_trips();
	assert_int_equal(mm_fork(parent, &child), 0);
	assert_int_equal(guest_trips(), before + 2);
	/* A few pages a fault. */
	before = guest_faults();
	for (unsigned i = 0; i < 4; i++)
		store(child, BASE + i * PAGE_SIZE, 1);
	assert_int_equal(guest_faults(), before + 1);
	mm_put(child);
	/* The parent alone again: one fault a piece. */
	before = guest_faults();
	for (unsigned i = 0; i < 4; i++)
		store(parent, BASE + i * PAGE_SIZE, 1);
	assert_int_equal(guest_faults(), before + 1);
	mm_put(parent);
}

/* One thread: what it is sure to write to is its own at once, on both sides. */
static void test_fork_alone(void **state)
{
	struct mm *parent = guest_new();
	uint64_t variables = guest_map(parent, BASE, 3 * PAGE_SIZE, RW, ANON, NULL, 0);
	uint64_t stack = guest_map(parent, BASE + 64 * PAGE_SIZE, 32 * PAGE_SIZE, RW, ANON, NULL,
				   0);
	struct process process = { .ntasks = 1 };
	struct task task = { .process = &process, .regs = { .rsp = stack + 20 * PAGE_SIZE + 8 } };
	struct mm *child;
	unsigned before;

	(void)state;
	store(parent, variables, 1);
	store(parent, stack + 20 * PAGE_SIZE, 2);
	store(parent, stack, 3);
	task_current = &task;
	assert_int_equal(mm_fork(parent, &child), 0);
	task_current = NULL;
	before = guest_faults();
	for (unsigned i = 0; i < 3; i++) {
		store(parent, variables + i * PAGE_SIZE, 10);
		store(child, variables + i * PAGE_SIZE, 20);
		store(parent, stack + (19 + i) * PAGE_SIZE + 100, 30);
		store(child, stack + (19 + i) * PAGE_SIZE + 100, 40);
	}
	assert_int_equal(guest_faults(), before);
	assert_int_equal(load(parent, variables), 10);
	assert_int_equal(load(child, variables), 20);
	assert_int_equal(load(parent, stack + 20 * PAGE_SIZE), 2);
	assert_int_equal(load(child, stack + 20 * PAGE_SIZE), 2);
	assert_int_equal(load(parent, stack + 20 * PAGE_SIZE + 100), 30);
	assert_int_equal(load(child, stack + 20 * PAGE_SIZE + 100), 40);
	store(child, stack, 4); /* the rest as ever */
	assert_int_equal(load(parent, stack), 3);
	guest_check(parent);
	guest_check(child);
	mm_put(child);
	/* With somebody else in there nothing is copied. */
	process.ntasks = 2;
	task_current = &task;
	assert_int_equal(mm_fork(parent, &child), 0);
	task_current = NULL;
	before = guest_faults();
	store(child, variables, 1);
	store(parent, variables, 2);
	assert_int_equal(guest_faults(), before + 2);
	mm_put(child);
	mm_put(parent);
}

static void test_fork_advice(void **state)
{
	struct mm *parent = guest_new();
	struct mm *child;
	uint64_t at = anon(parent, 3);
	uint8_t value;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		store(parent, at + i * PAGE_SIZE, 9);
	assert_int_equal(mm_advise(parent, at, PAGE_SIZE, MADV_DONTFORK), 0);
	assert_int_equal(mm_advise(parent, at + PAGE_SIZE, PAGE_SIZE, MADV_WIPEONFORK), 0);
	assert_int_equal(mm_fork(parent, &child), 0);
	assert_int_equal(guest_load(child, at, &value), SIGSEGV);
	assert_int_equal(load(child, at + PAGE_SIZE), 0);
	assert_int_equal(load(child, at + 2 * PAGE_SIZE), 9);
	assert_int_equal(child->map_total, 2 * PAGE_SIZE);
	guest_check(child);
	mm_put(child);
	assert_int_equal(mm_advise(parent, at, 3 * PAGE_SIZE, MADV_DOFORK), 0);
	assert_int_equal(mm_advise(parent, at, 3 * PAGE_SIZE, MADV_KEEPONFORK), 0);
	assert_int_equal(parent->vmas.count, 1);
	mm_put(parent);
}

/* --- mremap, brk, madvise --- */

static void test_remap(void **state)
{
	struct mm *mm = guest_new();
	uint64_t at = guest_map(mm, BASE, 4 * PAGE_SIZE, RW, ANON, NULL, 0);
	uint64_t out;

	(void)state;
	store(mm, at + 3 * PAGE_SIZE, 5);
	assert_int_equal(mm_remap(mm, NULL, at, 4 * PAGE_SIZE, 8 * PAGE_SIZE, 0, 0, &out), 0);
	assert_int_equal(out, at);
	store(mm, at + 7 * PAGE_SIZE, 6);
	guest_map(mm, at + 8 * PAGE_SIZE, PAGE_SIZE, PROT_READ, ANON, NULL, 0);
	assert_int_equal(mm_remap(mm, NULL, at, 8 * PAGE_SIZE, 9 * PAGE_SIZE, 0, 0, &out), -ENOMEM);
	assert_int_equal(mm_remap(mm, NULL, at, 8 * PAGE_SIZE, 9 * PAGE_SIZE, MREMAP_MAYMOVE, 0,
				  &out),
			 0);
	assert_int_not_equal(out, at);
	assert_int_equal(load(mm, out + 3 * PAGE_SIZE), 5);
	assert_int_equal(load(mm, out + 7 * PAGE_SIZE), 6);
	assert_int_equal(load(mm, out + 8 * PAGE_SIZE), 0);
	at = out;
	assert_int_equal(mm_remap(mm, NULL, at, 9 * PAGE_SIZE, 2 * PAGE_SIZE, 0, 0, &out), 0);
	assert_int_equal(mm->map_total, 3 * PAGE_SIZE);
	assert_int_equal(mm_remap(mm, NULL, at, 9 * PAGE_SIZE, 10 * PAGE_SIZE, MREMAP_MAYMOVE, 0,
				  &out),
			 -EFAULT);
	assert_int_equal(mm_remap(mm, NULL, at, 0, 2 * PAGE_SIZE, MREMAP_MAYMOVE, 0, &out),
			 -EINVAL);
	assert_int_equal(mm_remap(mm, NULL, at + 1, PAGE_SIZE, PAGE_SIZE, 0, 0, &out), -EINVAL);
	assert_int_equal(mm_remap(mm, NULL, at, PAGE_SIZE, 0, 0, 0, &out), -EINVAL);
	assert_int_equal(mm_remap(mm, NULL, at, PAGE_SIZE, UINT64_MAX, MREMAP_MAYMOVE, 0, &out),
			 -EINVAL);
	assert_int_equal(mm_remap(mm, NULL, at, UINT64_MAX, PAGE_SIZE, MREMAP_MAYMOVE, 0, &out),
			 -EINVAL);
	guest_check(mm);
	mm_put(mm);
}

/* What does not go along is gone, and nothing lands behind the new end. */
static void test_remap_shorter(void **state)
{
	struct mm *mm = guest_new();
	uint64_t at = guest_map(mm, BASE, 4 * PAGE_SIZE, RW, ANON, NULL, 0);
	uint64_t to = BASE + 16 * PAGE_SIZE;
	uint64_t out;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		store(mm, at + i * PAGE_SIZE, (uint8_t)(i + 1));
	guest_map(mm, to + 2 * PAGE_SIZE, PAGE_SIZE, RW, ANON, NULL, 0);
	store(mm, to + 2 * PAGE_SIZE, 9);
	assert_int_equal(mm_remap(mm, NULL, at, 4 * PAGE_SIZE, 2 * PAGE_SIZE,
				  MREMAP_MAYMOVE | MREMAP_FIXED, to, &out),
			 0);
	assert_int_equal(out, to);
	assert_int_equal(load(mm, to), 1);
	assert_int_equal(load(mm, to + PAGE_SIZE), 2);
	assert_int_equal(load(mm, to + 2 * PAGE_SIZE), 9);
	assert_int_equal(guest_store(mm, to + 3 * PAGE_SIZE, 1), SIGSEGV);
	assert_int_equal(guest_store(mm, at, 1), SIGSEGV);
	assert_int_equal(guest_store(mm, at + 3 * PAGE_SIZE, 1), SIGSEGV);
	guest_check(mm);
	mm_put(mm);
}

/* However it is cut up, there is an end to how many there are. */
static void test_remap_many(void **state)
{
	static const uint8_t bytes[4 * PAGE_SIZE];
	struct fake_file *f = fake_file_new(bytes, sizeof(bytes), false);
	struct mm *mm = guest_new();
	uint64_t at = guest_map(mm, BASE, SPACE_VMAS_MAX * 3 * PAGE_SIZE, PROT_NONE, ANON, NULL, 0);
	uint64_t file = guest_map(mm, BASE / 2, 4 * PAGE_SIZE, PROT_READ, MAP_SHARED, f, 0);
	unsigned n = 0;
	uint64_t out;
	int r;

	(void)state;
	do
		r = mm_remap(mm, NULL, at + n * 3 * PAGE_SIZE, 2 * PAGE_SIZE, PAGE_SIZE, 0, 0, &out);
	while (!r && ++n < SPACE_VMAS_MAX);
	assert_int_equal(r, -ENOMEM);
	assert_in_range(mm->vmas.count, SPACE_VMAS_MAX, SPACE_VMAS_MAX + 2);
	at += (n + 1) * 3 * PAGE_SIZE;
	assert_int_equal(mm_remap(mm, NULL, at, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
				  at + 3 * PAGE_SIZE, &out),
			 -ENOMEM);
	assert_int_equal(mm_remap_pages(mm, file, PAGE_SIZE, 2), -ENOMEM);
	mm_put(mm);
	file_put(&f->file);
}

/* A file's offset does not grow into what is none. */
static void test_remap_far(void **state)
{
	static const uint8_t bytes[PAGE_SIZE];
	struct fake_file *f = fake_file_new(bytes, sizeof(bytes), false);
	struct mm *mm = guest_new();
	uint64_t far = ((uint64_t)INT64_MAX & ~(PAGE_SIZE - 1)) - PAGE_SIZE;
	uint64_t at = guest_map(mm, BASE, PAGE_SIZE, PROT_READ, MAP_SHARED, f, far);
	uint64_t out;

	(void)state;
	assert_int_equal(mm_remap(mm, NULL, at, PAGE_SIZE, 2 * PAGE_SIZE, 0, 0, &out), -EINVAL);
	assert_int_equal(mm_remap(mm, NULL, at, PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE, 0, &out),
			 -EINVAL);
	assert_int_equal(mm_remap(mm, NULL, at, 0, 2 * PAGE_SIZE, MREMAP_MAYMOVE, 0, &out),
			 -EINVAL);
	assert_int_equal(mm_remap(mm, NULL, at, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE, 0, &out), 0);
	mm_put(mm);
	file_put(&f->file);
}

static void test_remap_shared(void **state)
{
	struct mm *mm = guest_new();
	uint64_t at = guest_map(mm, 0, 2 * PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);
	uint64_t out;
	uint8_t value;

	(void)state;
	store(mm, at + PAGE_SIZE, 3);
	/* A second view of the same. */
	assert_int_equal(mm_remap(mm, NULL, at + PAGE_SIZE, 0, PAGE_SIZE, MREMAP_MAYMOVE, 0, &out),
			 0);
	assert_int_equal(load(mm, out), 3);
	store(mm, out, 4);
	assert_int_equal(load(mm, at + PAGE_SIZE), 4);
	/* Beyond its end. */
	assert_int_equal(mm_remap(mm, NULL, at, 2 * PAGE_SIZE, 3 * PAGE_SIZE, MREMAP_MAYMOVE, 0,
				  &out),
			 0);
	assert_int_equal(guest_load(mm, out + 2 * PAGE_SIZE, &value), SIGBUS);
	guest_check(mm);
	mm_put(mm);
}

static void test_remap_keeps_old(void **state)
{
	struct mm *mm = guest_new();
	uint64_t at = anon(mm, 2);
	uint64_t out;

	(void)state;
	store(mm, at, 8);
	assert_int_equal(mm_remap(mm, NULL, at, 2 * PAGE_SIZE, 2 * PAGE_SIZE,
				  MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0, &out),
			 0);
	assert_int_equal(load(mm, out), 8);
	assert_int_equal(load(mm, at), 0);
	guest_check(mm);
	mm_put(mm);
}

static void test_brk(void **state)
{
	struct mm *mm = guest_new();

	(void)state;
	mm->info.start_brk = mm->info.brk = BASE;
	assert_int_equal(mm_brk(mm, NULL, 0), BASE);
	assert_int_equal(mm_brk(mm, NULL, BASE + 10000), BASE + 10000);
	store(mm, BASE + 9999, 1);
	assert_int_equal(mm_brk(mm, NULL, BASE + 100), BASE + 100);
	assert_int_equal(guest_store(mm, BASE + 9999, 1), SIGSEGV);
	assert_int_equal(mm_brk(mm, NULL, BASE + 3 * PAGE_SIZE), BASE + 3 * PAGE_SIZE);
	assert_int_equal(load(mm, BASE + 9999), 0);
	guest_map(mm, BASE + 10 * PAGE_SIZE, PAGE_SIZE, PROT_NONE, ANON, NULL, 0);
	assert_int_equal(mm_brk(mm, NULL, BASE + 10 * PAGE_SIZE), BASE + 3 * PAGE_SIZE);
	assert_int_equal(mm_brk(mm, NULL, UINT64_MAX), BASE + 3 * PAGE_SIZE);
	assert_int_equal(mm_brk(mm, NULL, BASE), BASE);
	assert_int_equal(mm->vmas.count, 1);
	guest_check(mm);
	mm_put(mm);
}

static void test_dontneed_gives_back(void **state)
{
	struct mm *mm = guest_new();
	uint64_t at = anon(mm, 4096);
	struct memfile_usage before;
	struct memfile_usage after;
	unsigned trips;

	(void)state;
	memfile_usage(kernel.memory, &before);
	for (unsigned i = 0; i < 4096; i++)
		store(mm, at + i * PAGE_SIZE, 1);
	memfile_usage(kernel.memory, &after);
	assert_true(after.resident >= before.resident + 4096 * PAGE_SIZE);
	trips = guest_trips();
	assert_int_equal(mm_advise(mm, at, 4096 * PAGE_SIZE, MADV_DONTNEED), 0);
	assert_int_equal(guest_trips(), trips); /* the hole is seen everywhere */
	memfile_usage(kernel.memory, &after);
	assert_true(after.resident <= before.resident + PAGE_SIZE);
	assert_int_equal(load(mm, at), 0);
	mm_put(mm);
}

static void test_advice_errors(void **state)
{
	struct mm *mm = guest_new();
	uint64_t at = anon(mm, 2);
	uint64_t shared = guest_map(mm, 0, PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);

	(void)state;
	assert_int_equal(mm_advise(mm, at, PAGE_SIZE, 12345), -EINVAL);
	assert_int_equal(mm_advise(mm, at + 1, PAGE_SIZE, MADV_NORMAL), -EINVAL);
	assert_int_equal(mm_advise(mm, at, UINT64_MAX, MADV_NORMAL), -EINVAL);
	assert_int_equal(mm_advise(mm, at, 0, MADV_NORMAL), 0);
	assert_int_equal(mm_advise(mm, BASE, PAGE_SIZE, MADV_NORMAL), -ENOMEM);
	assert_int_equal(mm_advise(mm, shared, PAGE_SIZE, MADV_FREE), -EINVAL);
	assert_int_equal(mm_advise(mm, shared, PAGE_SIZE, MADV_WIPEONFORK), -EINVAL);
	assert_int_equal(mm_advise(mm, at, PAGE_SIZE, MADV_REMOVE), -EINVAL);
	store(mm, shared, 5);
	assert_int_equal(mm_advise(mm, shared, PAGE_SIZE, MADV_DONTNEED), 0);
	assert_int_equal(load(mm, shared), 5);
	assert_int_equal(mm_advise(mm, shared, PAGE_SIZE, MADV_REMOVE), 0);
	assert_int_equal(load(mm, shared), 0);
	assert_int_equal(mm_advise(mm, at, 2 * PAGE_SIZE, MADV_POPULATE_WRITE), 0);
	assert_int_equal(mm_sync(mm, at, PAGE_SIZE, MS_SYNC), 0);
	assert_int_equal(mm_sync(mm, at, PAGE_SIZE, MS_SYNC | MS_ASYNC), -EINVAL);
	assert_int_equal(mm_sync(mm, BASE, PAGE_SIZE, MS_ASYNC), -ENOMEM);
	mm_put(mm);
}

/* --- the stack --- */

static void test_stack_grows(void **state)
{
	struct mm *mm = guest_new();
	uint64_t top = BASE + 1024 * PAGE_SIZE;

	(void)state;
	mm->stack_max = 512 * PAGE_SIZE;
	guest_map(mm, top - PAGE_SIZE, PAGE_SIZE, RW, ANON | MAP_GROWSDOWN, NULL, 0);
	store(mm, top - 20 * PAGE_SIZE, 1);
	store(mm, top - 500 * PAGE_SIZE, 2);
	assert_int_equal(load(mm, top - 20 * PAGE_SIZE), 1);
	assert_int_equal(guest_store(mm, top - 513 * PAGE_SIZE, 1), SIGSEGV);
	assert_int_equal(mm->vmas.count, 1);
	/* Not into what is below it. */
	guest_map(mm, top - 4096 * PAGE_SIZE, PAGE_SIZE, RW, ANON, NULL, 0);
	mm->stack_max = 8192 * PAGE_SIZE;
	assert_int_equal(guest_store(mm, top - 3900 * PAGE_SIZE, 1), SIGSEGV);
	store(mm, top - 3800 * PAGE_SIZE, 1);
	guest_check(mm);
	mm_put(mm);
}

/* --- a stub that fails --- */

static void test_broken_stub(void **state)
{
	struct mm *mm = guest_new();
	struct mm_map map = { 0, PAGE_SIZE, RW, ANON };
	uint64_t out = anon(mm, 4);
	struct mm *child;

	(void)state;
	guest_fail(ENOMEM);
	assert_int_not_equal(mm_map(mm, NULL, &map, &out), 0);
	assert_true(guest_killed(mm));
	assert_int_not_equal(mm_map(mm, NULL, &map, &out), 0);
	assert_int_not_equal(mm_fork(mm, &child), 0);
	mm_put(mm);
	mm = guest_new();
	anon(mm, 4);
	guest_fail(ESRCH);
	assert_int_not_equal(mm_fork(mm, &child), 0);
	mm_put(mm);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(map_errors),
		T(map_places),
		T(one_trip),
		T(huge),
		T(limits),
		T(many_vmas),
		T(file_end),
		T(truncate),
		T(cow),
		T(fork_trips),
		T(fork_alone),
		T(fork_advice),
		T(remap),
		T(remap_shorter),
		T(remap_many),
		T(remap_far),
		T(remap_shared),
		T(remap_keeps_old),
		T(brk),
		T(dontneed_gives_back),
		T(advice_errors),
		T(stack_grows),
		T(broken_stub),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
