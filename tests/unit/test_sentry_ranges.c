/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges in order, against a plain array of units. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sentry/mm/ranges.h"

#define UNITS 2000

struct elem {
	struct range r;
	unsigned id;
};

/* What each unit belongs to: an element's id, and its offset. */
static struct {
	unsigned id;
	uint64_t offset;
} model[UNITS + 1];

static void check(struct ranges *set)
{
	struct ranges_pos pos;
	struct elem *e = ranges_find(set, 0, &pos);
	uint64_t at = 0;
	unsigned count = 0;

	for (; e; e = ranges_next(set, &pos), count++) {
		assert_ptr_equal(ranges_at(set, pos), e);
		assert_true(e->r.start >= at && e->r.end > e->r.start);
		for (; at < e->r.start; at++)
			assert_int_equal(model[at].id, 0);
		for (; at < e->r.end; at++) {
			assert_int_equal(model[at].id, e->id);
			assert_int_equal(model[at].offset, e->r.offset + (at - e->r.start));
		}
	}
	for (; at < UNITS; at++)
		assert_int_equal(model[at].id, 0);
	assert_int_equal(count, set->count);
	e = ranges_last(set, &pos);
	for (; e; e = ranges_prev(set, &pos))
		count--;
	assert_int_equal(count, 0);
}

static void remove_range(struct ranges *set, uint64_t start, uint64_t end)
{
	struct ranges_pos pos;
	struct elem *e;

	assert_int_equal(ranges_reserve(set, 2), 0);
	ranges_split(set, start);
	ranges_split(set, end);
	e = ranges_find(set, start, &pos);
	while (e && e->r.start < end) {
		ranges_remove(set, &pos);
		e = ranges_at(set, pos);
	}
	for (uint64_t i = start; i < end; i++)
		model[i].id = 0;
}

static bool join(void *data, const void *l, const void *r)
{
	const struct elem *left = l;
	const struct elem *right = r;

	(void)data;
	return left->id == right->id &&
	       left->r.offset + (left->r.end - left->r.start) == right->r.offset;
}

static void test_random(void **state)
{
	struct ranges set;

	(void)state;
	srand(7);
	ranges_init(&set, sizeof(struct elem));
	memset(model, 0, sizeof(model));
	for (unsigned i = 1; i < 20000; i++) {
		uint64_t start = (uint64_t)rand() % UNITS;
		uint64_t len = 1 + (uint64_t)rand() % (rand() % 16 ? 4 : 200);
		uint64_t end = start + len < UNITS ? start + len : UNITS;
		struct elem e = { { start, end, (uint64_t)rand() % 3 * 1000 }, 1 + i % 5 };

		remove_range(&set, start, end);
		if (rand() % 4) {
			assert_int_equal(ranges_reserve(&set, 1), 0);
			assert_memory_equal(ranges_insert(&set, &e), &e, sizeof(e));
			for (uint64_t at = start; at < end; at++) {
				model[at].id = e.id;
				model[at].offset = e.r.offset + (at - start);
			}
			if (rand() % 2)
				ranges_join(&set, start, end, join, NULL);
		}
		if (i % 64 == 0)
			check(&set);
	}
	check(&set);
	ranges_join(&set, 0, UNITS, join, NULL);
	check(&set);
	ranges_free(&set);
}

static void test_copy(void **state)
{
	struct ranges set;
	struct ranges copy;

	(void)state;
	memset(model, 0, sizeof(model));
	ranges_init(&set, sizeof(struct elem));
	ranges_init(&copy, sizeof(struct elem));
	assert_int_equal(ranges_copy(&copy, &set), 0);
	assert_int_equal(copy.count, 0);
	ranges_free(&copy);
	for (uint64_t i = 0; i < UNITS; i += 2) {
		struct elem e = { { i, i + 1, i }, 3 };

		assert_int_equal(ranges_reserve(&set, 1), 0);
		ranges_insert(&set, &e);
		model[i].id = 3;
		model[i].offset = i;
	}
	check(&set);
	assert_int_equal(ranges_copy(&copy, &set), 0);
	ranges_free(&set);
	check(&copy);
	ranges_free(&copy);
}

static void test_empty(void **state)
{
	struct ranges_pos pos = { 0, 0 };
	struct ranges set;

	(void)state;
	ranges_init(&set, sizeof(struct elem));
	assert_null(ranges_find(&set, 0, &pos));
	assert_null(ranges_next(&set, &pos));
	assert_null(ranges_prev(&set, &pos));
	assert_null(ranges_last(&set, &pos));
	assert_null(ranges_split(&set, 5));
	ranges_join(&set, 0, 10, join, NULL);
	ranges_free(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
