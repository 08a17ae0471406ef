/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces: random operations against a simple model, a value and a few flags for each page.
 * Guest code and copies of the kernel have to see the same in all of them.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sentry/mm/user.h"
#include "sentry_mm_fixture.h"

#define WINDOW 96u
#define SPACES 3u
#define FILE_PAGES 64u

struct model_page {
	bool mapped, shared, keeps; /* keeps: MADV_DONTNEED brings @first back */
	int prot;
	uint8_t value, first;
	uint8_t *cell; /* shared */
};

static struct {
	struct mm *mm;
	struct model_page pages[WINDOW];
} spaces[SPACES];

static uint8_t model_cells[1u << 20];
static size_t model_cells_used;
static struct fake_file *model_files[4]; /* private: memory, host; shared: memory, host */
static uint8_t model_file_cells[4][FILE_PAGES];

static uint8_t *model_value(struct model_page *page)
{
	return page->shared ? page->cell : &page->value;
}

static void model_check(unsigned s)
{
	for (unsigned i = 0; i < WINDOW; i++) {
		struct model_page *page = &spaces[s].pages[i];
		uint64_t addr = BASE + i * PAGE_SIZE;
		uint8_t value = 0;
		int r = user_read(spaces[s].mm, &value, addr + 8, 1);

		if (!page->mapped || page->prot == PROT_NONE) {
			assert_int_equal(r, -EFAULT);
			continue;
		}
		assert_int_equal(r, 0);
		assert_int_equal(value, *model_value(page));
	}
	guest_check(spaces[s].mm);
}

static int random_prot(void)
{
	static const int prots[] = { PROT_NONE, PROT_READ, RW, RW, RW, PROT_READ | PROT_EXEC };

	return prots[rand() % 6];
}

static void model_map(unsigned s, unsigned from, unsigned n)
{
	int which = rand() % 8; /* 0..3 a file, 4..6 private, 7 shared memory */
	bool shared = which == 7 || which == 2 || which == 3;
	int prot = random_prot();
	unsigned first = (unsigned)rand() % (FILE_PAGES - WINDOW / 3);
	int flags = (shared ? MAP_SHARED : MAP_PRIVATE) | (which > 3 ? MAP_ANONYMOUS : 0);

	guest_map(spaces[s].mm, BASE + from * PAGE_SIZE, n * PAGE_SIZE, prot, flags,
		  which < 4 ? model_files[which] : NULL, which < 4 ? first * PAGE_SIZE : 0);
	for (unsigned i = 0; i < n; i++) {
		struct model_page *page = &spaces[s].pages[from + i];

		*page = (struct model_page){ .mapped = true, .prot = prot, .shared = shared };
		if (which < 2) {
			page->keeps = true;
			page->value = page->first = model_file_cells[which][first + i];
		} else if (which < 4) {
			page->cell = &model_file_cells[which][first + i];
		} else if (shared) {
			page->cell = &model_cells[model_cells_used++];
			assert_true(model_cells_used < sizeof(model_cells));
		}
	}
}

static void model_protect(unsigned s, unsigned from, unsigned n)
{
	int prot = random_prot();
	bool whole = true;
	int r = mm_protect(spaces[s].mm, BASE + from * PAGE_SIZE, n * PAGE_SIZE, prot);

	for (unsigned i = 0; i < n; i++)
		whole = whole && spaces[s].pages[from + i].mapped;
	assert_int_equal(r, whole ? 0 : -ENOMEM);
	for (unsigned i = 0; i < n && whole; i++)
		spaces[s].pages[from + i].prot = prot;
}

static void model_unmap(unsigned s, unsigned from, unsigned n)
{
	assert_int_equal(mm_unmap(spaces[s].mm, BASE + from * PAGE_SIZE, n * PAGE_SIZE), 0);
	for (unsigned i = 0; i < n; i++)
		spaces[s].pages[from + i].mapped = false;
}

static void model_dontneed(unsigned s, unsigned from, unsigned n)
{
	bool whole = true;
	int r = mm_advise(spaces[s].mm, BASE + from * PAGE_SIZE, n * PAGE_SIZE, MADV_DONTNEED);

	for (unsigned i = 0; i < n; i++) {
		struct model_page *page = &spaces[s].pages[from + i];

		whole = whole && page->mapped;
		page->value = page->keeps ? page->first : 0;
	}
	assert_int_equal(r, whole ? 0 : -ENOMEM);
}

static void model_store(unsigned s, unsigned i)
{
	struct model_page *page = &spaces[s].pages[i];
	uint8_t value = (uint8_t)rand();
	uint64_t addr = BASE + i * PAGE_SIZE + 8;
	bool may = page->mapped && (page->prot & PROT_WRITE);
	int r;

	if (rand() % 2) {
		r = user_write(spaces[s].mm, addr, &value, 1);
		assert_int_equal(r, may ? 0 : -EFAULT);
	} else {
		r = guest_store(spaces[s].mm, addr, value);
		assert_int_equal(r, may ? 0 : SIGSEGV);
	}
	if (may)
		*model_value(page) = value;
}

static void model_load(unsigned s, unsigned i)
{
	struct model_page *page = &spaces[s].pages[i];
	bool may = page->mapped && page->prot != PROT_NONE;
	uint8_t value = 0;
	int r = guest_load(spaces[s].mm, BASE + i * PAGE_SIZE + 8, &value);

	assert_int_equal(r, may ? 0 : SIGSEGV);
	if (may)
		assert_int_equal(value, *model_value(page));
	r = guest_fetch(spaces[s].mm, BASE + i * PAGE_SIZE);
	assert_int_equal(r, may && (page->prot & PROT_EXEC) ? 0 : SIGSEGV);
}

/* A move into some other place of the window, of all or the first part. */
static void model_remap(unsigned s, unsigned from, unsigned n)
{
	struct mm *mm = spaces[s].mm;
	unsigned to = (unsigned)rand() % (WINDOW - n);
	unsigned keep = rand() % 2 ? n : 1 + (unsigned)rand() % n;
	const struct vma *vma = vma_at(mm, BASE + from * PAGE_SIZE);
	bool one = vma && vma->r.end >= BASE + (from + n) * PAGE_SIZE;
	bool overlaps = from < to + keep && to < from + n;
	uint64_t out;
	int r = mm_remap(mm, NULL, BASE + from * PAGE_SIZE, n * PAGE_SIZE, keep * PAGE_SIZE,
			 MREMAP_MAYMOVE | MREMAP_FIXED, BASE + to * PAGE_SIZE, &out);

	assert_int_equal(r, overlaps ? -EINVAL : one ? 0 : -EFAULT);
	if (r)
		return;
	for (unsigned i = 0; i < n; i++) {
		if (i < keep)
			spaces[s].pages[to + i] = spaces[s].pages[from + i];
		spaces[s].pages[from + i].mapped = false;
	}
}

static void model_fork(unsigned s)
{
	unsigned to = (unsigned)rand() % SPACES;

	if (to == s)
		return;
	mm_put(spaces[to].mm);
	assert_int_equal(mm_fork(spaces[s].mm, &spaces[to].mm), 0);
	memcpy(spaces[to].pages, spaces[s].pages, sizeof(spaces[s].pages));
}

static void model_step(void)
{
	unsigned s = (unsigned)rand() % SPACES;
	unsigned n = 1 + (unsigned)rand() % (WINDOW / 3 - 1);
	unsigned from = (unsigned)rand() % (WINDOW - n);

	switch (rand() % 24) {
	case 0:
	case 1:
		model_map(s, from, n);
		break;
	case 2:
		model_unmap(s, from, n);
		break;
	case 3:
	case 4:
		model_protect(s, from, n);
		break;
	case 5:
		model_dontneed(s, from, n);
		break;
	case 6:
		model_remap(s, from, 1 + n / 4);
		break;
	case 7:
		model_fork(s);
		break;
	case 8:
	case 9:
	case 10:
		model_load(s, from);
		break;
	default:
		model_store(s, from);
	}
}

static void test_random(void **state)
{
	static uint8_t data[FILE_PAGES * PAGE_SIZE];

	(void)state;
	srand(23);
	for (unsigned f = 0; f < 4; f++) {
		for (unsigned i = 0; i < FILE_PAGES; i++) {
			model_file_cells[f][i] = (uint8_t)(rand());
			memset(data + i * PAGE_SIZE, model_file_cells[f][i], PAGE_SIZE);
		}
		model_files[f] = fake_file_new(data, sizeof(data), f % 2);
	}
	for (unsigned s = 0; s < SPACES; s++)
		spaces[s].mm = guest_new();
	for (unsigned i = 0; i < 30000; i++) {
		model_step();
		if (i % 100 == 0)
			model_check((unsigned)rand() % SPACES);
	}
	for (unsigned s = 0; s < SPACES; s++) {
		model_check(s);
		mm_put(spaces[s].mm);
	}
	for (unsigned f = 0; f < 4; f++)
		file_put(&model_files[f]->file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random, fake_setup, fake_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
