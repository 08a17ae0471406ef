/* SPDX-License-Identifier: Apache-2.0 */
/* The memory file: references, reuse, what goes back to the host, who may still look. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "sentry/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/memfile.h"

static struct memfile *mf;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(memfile_new(0, &mf, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	struct memfile_usage usage;

	(void)state;
	memfile_usage(mf, &usage);
	assert_int_equal(usage.allocated, 0);
	memfile_free(mf);
	return 0;
}

static uint64_t resident(void)
{
	struct memfile_usage usage;

	memfile_usage(mf, &usage);
	return usage.resident;
}

static uint64_t alloc(uint64_t pages)
{
	uint64_t offset;

	assert_int_equal(memfile_alloc(mf, pages * PAGE_SIZE, &offset), 0);
	return offset;
}

static void put(uint64_t offset, uint64_t pages)
{
	memfile_put(mf, offset, pages * PAGE_SIZE);
}

static bool all_are(uint64_t offset, uint64_t pages, uint8_t value)
{
	const uint8_t *p = memfile_ptr(mf, offset);

	for (uint64_t i = 0; i < pages * PAGE_SIZE; i++) {
		if (p[i] != value)
			return false;
	}
	return true;
}

static void test_zeroed_again(void **state)
{
	(void)state;
	for (uint64_t pages = 1; pages < 40; pages++) {
		uint64_t offset = alloc(pages);

		assert_true(all_are(offset, pages, 0));
		memset(memfile_ptr(mf, offset), 0xaa, pages * PAGE_SIZE);
		put(offset, pages);
	}
}

static void test_given_back(void **state)
{
	uint64_t before = resident();
	uint64_t offset = alloc(4096);

	(void)state;
	memset(memfile_ptr(mf, offset), 1, 4096 * PAGE_SIZE);
	assert_true(resident() >= before + 4096 * PAGE_SIZE);
	put(offset, 4096);
	assert_true(resident() <= before + 512 * PAGE_SIZE);
}

/* Single pages are kept, but not without bound. */
static void test_pages_given_back(void **state)
{
	uint64_t pages[2000];
	uint64_t before = resident();

	(void)state;
	for (size_t i = 0; i < 2000; i++) {
		pages[i] = alloc(1);
		memset(memfile_ptr(mf, pages[i]), 2, PAGE_SIZE);
	}
	for (size_t i = 0; i < 2000; i += 2)
		put(pages[i], 1);
	for (size_t i = 1; i < 2000; i += 2)
		put(pages[i], 1);
	assert_true(resident() <= before + 256 * PAGE_SIZE);
}

static void test_references(void **state)
{
	uint64_t offset = alloc(8);

	(void)state;
	assert_false(memfile_shared(mf, offset));
	memfile_get(mf, offset + 2 * PAGE_SIZE, 4 * PAGE_SIZE);
	assert_false(memfile_shared(mf, offset + PAGE_SIZE));
	assert_true(memfile_shared(mf, offset + 2 * PAGE_SIZE));
	assert_true(memfile_shared(mf, offset + 5 * PAGE_SIZE));
	assert_false(memfile_shared(mf, offset + 6 * PAGE_SIZE));
	memset(memfile_ptr(mf, offset), 3, 8 * PAGE_SIZE);
	put(offset, 8);
	assert_true(all_are(offset + 2 * PAGE_SIZE, 4, 3));
	put(offset + 2 * PAGE_SIZE, 4);
}

/* While somebody may look, nothing is used again; afterwards everything is. */
static void test_sections(void **state)
{
	uint64_t offset = alloc(3);

	(void)state;
	memset(memfile_ptr(mf, offset), 4, 3 * PAGE_SIZE);
	memfile_enter(mf);
	memfile_enter(mf);
	put(offset, 3);
	for (int i = 0; i < 100; i++) {
		uint64_t other = alloc(3);

		assert_true(other + 3 * PAGE_SIZE <= offset || other >= offset + 3 * PAGE_SIZE);
		memset(memfile_ptr(mf, other), 5, 3 * PAGE_SIZE);
		put(other, 3);
	}
	memfile_leave(mf);
	assert_true(all_are(offset, 3, 4));
	memfile_leave(mf);
	assert_true(resident() <= 256 * PAGE_SIZE);
	put(alloc(1), 1);
}

static void test_zero(void **state)
{
	uint64_t offset = alloc(1024);

	(void)state;
	memset(memfile_ptr(mf, offset), 6, 1024 * PAGE_SIZE);
	memfile_zero(mf, offset + PAGE_SIZE, 1022 * PAGE_SIZE);
	assert_true(resident() < 300 * PAGE_SIZE);
	assert_true(all_are(offset, 1, 6));
	assert_true(all_are(offset + 1023 * PAGE_SIZE, 1, 6));
	assert_true(all_are(offset + PAGE_SIZE, 3, 0));
	put(offset, 1024);
}

static void test_limit(void **state)
{
	struct memfile *small;
	uint64_t offset;

	(void)state;
	assert_int_equal(memfile_new(0, &small, NULL), 0);
	assert_int_equal(memfile_alloc(small, UINT64_C(1) << 40, &offset), -ENOMEM);
	assert_int_equal(memfile_alloc(small, PAGE_SIZE, &offset), 0);
	memfile_put(small, offset, PAGE_SIZE);
	memfile_free(small);
}

/* Runs of all sizes come and go; each has its own content, and nobody else's. */
static void test_random(void **state)
{
	struct run {
		uint64_t offset, pages;
	} runs[200] = { { 0, 0 } };

	(void)state;
	srand(11);
	for (unsigned i = 0; i < 20000; i++) {
		struct run *r = &runs[rand() % 200];

		if (r->pages) {
			uint8_t value = (uint8_t)(r - runs);

			for (uint64_t n = 0; n < r->pages; n++) {
				uint8_t *p = memfile_ptr(mf, r->offset + n * PAGE_SIZE);

				assert_true(p[0] == value && p[PAGE_SIZE - 1] == value);
			}
			put(r->offset, r->pages);
			r->pages = 0;
			continue;
		}
		r->pages = 1 + (uint64_t)rand() % (rand() % 10 ? 6 : rand() % 10 ? 200 : 1500);
		r->offset = alloc(r->pages);
		for (uint64_t n = 0; n < r->pages; n++) {
			uint8_t *p = memfile_ptr(mf, r->offset + n * PAGE_SIZE);

			assert_true(p[0] == 0 && p[PAGE_SIZE - 1] == 0);
			p[0] = p[PAGE_SIZE - 1] = (uint8_t)(r - runs);
		}
	}
	for (size_t i = 0; i < 200; i++) {
		if (runs[i].pages)
			put(runs[i].offset, runs[i].pages);
	}
	assert_true(resident() <= 256 * PAGE_SIZE);
}

/* A file of the host that lost its end. The harness has put a handler of its own. */
static void test_copy_survives(void **state)
{
	int fd = memfd_create("short", MFD_CLOEXEC);
	char buf[3 * PAGE_SIZE];
	char *map;

	(void)state;
	assert_int_equal(copy_init(), 0);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, PAGE_SIZE), 0);
	map = mmap(NULL, 3 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	assert_int_equal(copy_bytes(buf, map, sizeof(buf)), 2 * PAGE_SIZE);
	assert_int_equal(copy_bytes(map + 100, buf, sizeof(buf) - 100), 2 * PAGE_SIZE);
	assert_int_equal(copy_zeros(map, sizeof(buf)), 2 * PAGE_SIZE);
	assert_int_equal(copy_zeros(map, PAGE_SIZE), 0);
	munmap(map, 3 * PAGE_SIZE);
	close(fd);
}

static void test_window(void **state)
{
	int fd = memfd_create("word", MFD_CLOEXEC);
	struct copy_window *w;
	struct copy_window *w2;

	(void)state;
	assert_int_equal(copy_init(), 0);
	assert_int_equal(ftruncate(fd, 2 * PAGE_SIZE), 0);
	assert_int_equal(copy_window_open(fd, PAGE_SIZE, PROT_READ | PROT_WRITE, &w), 0);
	assert_int_equal(copy_window_open(fd, 0, PROT_READ | PROT_WRITE, &w2), 0);
	*(volatile uint32_t *)w->page = 5;
	assert_int_equal(*(volatile uint32_t *)w->page, 5);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(*(volatile uint32_t *)w->page, 0);
	*(volatile uint32_t *)w2->page = 7;
	assert_int_equal(*(volatile uint32_t *)w2->page, 7);
	copy_window_close(w);
	copy_window_close(w2);
	close(fd);
}

/* A page that cannot be had, touched by other means. */
static void test_bounded(void **state)
{
	struct memfile *small;
	uint64_t offset;
	volatile uint32_t *words;
	struct coffer_error err = COFFER_ERROR_INIT;

	(void)state;
	assert_int_equal(memfile_new(16 * PAGE_SIZE, &small, &err), 0);
	if (!memfile_bounded(small)) {
		print_message("[  SKIPPED ] no right to mount here\n");
		memfile_free(small);
		skip();
	}
	assert_int_equal(copy_init(), 0);
	assert_int_equal(memfile_alloc(small, 64 * PAGE_SIZE, &offset), 0); /* more than there is */
	assert_int_equal(memfile_populate(small, offset, 16 * PAGE_SIZE), 0);
	assert_int_equal(memfile_populate(small, offset + 16 * PAGE_SIZE, PAGE_SIZE), -ENOMEM);
	assert_int_equal(copy_zeros(memfile_ptr(small, offset), 20 * PAGE_SIZE), 4 * PAGE_SIZE);
	memfile_enter(small);
	words = memfile_ptr(small, offset + 30 * PAGE_SIZE);
	assert_int_equal(words[0], 0);
	words[0] = 5;
	assert_int_equal(words[0], 5);
	memfile_leave(small);
	assert_int_not_equal(copy_zeros(memfile_ptr(small, offset + 30 * PAGE_SIZE), 1), 0);
	memfile_zero(small, offset, PAGE_SIZE);
	assert_int_equal(words[0], 0); /* there is one again, and it is the file's */
	memfile_put(small, offset, 64 * PAGE_SIZE);
	memfile_free(small);
}

/* --- threads --- */

#define SLOTS	8u
#define THREADS 4u
#define ROUNDS	20000u

/* Pages that are replaced all the time; each is full of its number. */
static struct {
	pthread_mutex_t lock;
	uint64_t offset;
	uint32_t number;
} slots[SLOTS];

static void fill(uint64_t offset, uint32_t number)
{
	uint32_t *p = memfile_ptr(mf, offset);

	for (size_t i = 0; i < PAGE_SIZE / sizeof(*p); i++)
		p[i] = number;
}

static void replace(unsigned i, uint32_t number)
{
	uint64_t fresh;
	uint64_t old;

	if (memfile_alloc_raw(mf, PAGE_SIZE, &fresh))
		abort();
	fill(fresh, number);
	pthread_mutex_lock(&slots[i].lock);
	old = slots[i].offset;
	slots[i].offset = fresh;
	slots[i].number = number;
	pthread_mutex_unlock(&slots[i].lock);
	put(old, 1);
}

/* Looked up inside, the page is what it was for as long as we look. */
static bool look(unsigned i)
{
	const uint32_t *p;
	uint32_t number;
	bool good = true;

	memfile_enter(mf);
	pthread_mutex_lock(&slots[i].lock);
	p = memfile_ptr(mf, slots[i].offset);
	number = slots[i].number;
	pthread_mutex_unlock(&slots[i].lock);
	for (size_t k = 0; k < PAGE_SIZE / sizeof(*p); k += 5)
		good = good && p[k] == number;
	memfile_leave(mf);
	return good;
}

static void *churn(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned slot = (unsigned)rand_r(&seed) % SLOTS;

		if (rand_r(&seed) % 2)
			replace(slot, (uint32_t)(i * THREADS + seed));
		else if (!look(slot))
			return (void *)1;
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (unsigned i = 0; i < SLOTS; i++) {
		pthread_mutex_init(&slots[i].lock, NULL);
		slots[i].offset = alloc(1);
		fill(slots[i].offset, slots[i].number = i);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn,
						(void *)(uintptr_t)(i + 1)), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(threads[i], &result);
		assert_null(result);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		put(slots[i].offset, 1);
	put(alloc(1), 1);
	assert_true(resident() <= 257 * PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed_again),
		cmocka_unit_test(test_given_back),
		cmocka_unit_test(test_pages_given_back),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_copy_survives),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
