/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/bound.c - counters with a limit that goes by the memory
 *
 * Called by whoever keeps something for a guest.
 */
#include "sentry/vfs/bound.h"

#include <stdint.h>

#include "sentry/vfs/facts.h"

size_t bound_limit(const struct bound *b)
{
	uint64_t limit = facts_memory_all() / b->each;

	return limit < b->least ? b->least : limit > b->most ? b->most : (size_t)limit;
}

bool bound_take(struct bound *b, size_t n)
{
	size_t limit = bound_limit(b), used = atomic_load_explicit(&b->used, memory_order_relaxed);

	do {
		if (n > limit || used > limit - n)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&b->used, &used, used + n,
							memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

void bound_add(struct bound *b, size_t n)
{
	atomic_fetch_add_explicit(&b->used, n, memory_order_relaxed);
}

bool bound_is_full(const struct bound *b)
{
	return atomic_load_explicit(&b->used, memory_order_relaxed) > bound_limit(b);
}

void bound_give(struct bound *b, size_t n)
{
	atomic_fetch_sub_explicit(&b->used, n, memory_order_relaxed);
}
