/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/brk.c - brk(2)
 *
 * The heap is ordinary private memory behind the program's data.
 */
#include "sentry/mm/space.h"

#include <errno.h>

#include "sentry/task/task.h"

static int brk_grow(struct mm *mm, struct task *task, uint64_t from, uint64_t to)
{
	struct mm_map map = { .addr = from,
			      .len = to - from,
			      .prot = PROT_READ | PROT_WRITE,
			      .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED };
	unsigned flags = VMA_MAY_WRITE | VMA_MAY_EXEC | (mm->lock_future ? VMA_LOCKED : 0);
	const struct vma *next = ranges_find(&mm->vmas, from, NULL);
	int r;

	if (next && next->r.start < to + PAGE_SIZE)
		return -ENOMEM;
	r = map_limits(mm, task, map.len, map.prot, flags);
	return r ? r : map_place(mm, &map, from, flags);
}

static int brk_shrink(struct mm *mm, uint64_t from, uint64_t to)
{
	int r = vma_reserve(mm);

	if (r)
		return r;
	vma_cut(mm, to);
	vma_cut(mm, from);
	vma_remove(mm, to, from, true);
	return 0;
}

uint64_t mm_brk(struct mm *mm, struct task *task, uint64_t brk)
{
	uint64_t limit = task ? task_limit(task, RLIMIT_DATA) : RLIM_INFINITY;
	uint64_t result;
	int r = 0;

	space_lock(mm);
	if (brk >= mm->info.start_brk && brk <= GUEST_END &&
	    (limit == RLIM_INFINITY || brk - mm->info.start_brk <= limit)) {
		uint64_t from = PAGE_UP(mm->info.brk);
		uint64_t to = PAGE_UP(brk);

		if (to > from)
			r = brk_grow(mm, task, from, to);
		else if (to < from)
			r = brk_shrink(mm, from, to);
		if (!r)
			mm->info.brk = brk;
	}
	result = mm->info.brk;
	space_unlock(mm);
	return result;
}
