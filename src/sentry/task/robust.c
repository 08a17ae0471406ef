/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/robust.c - futexes of a task that leaves its address space
 *
 * The list is the guest's, in its memory, and may say anything: it is followed a limited number of
 * steps, and only words that hold the task's own number are touched.
 */
#include <linux/futex.h>

#include "sentry/mm/user.h"
#include "sentry/task/futex.h"
#include "sentry/task/futex_queue.h"
#include "sentry/task/task.h"

#define ROBUST_PI UINT64_C(1) /* in a pointer to an entry */

struct robust_head {
	uint64_t next;
	int64_t offset; /* from an entry to its word */
	uint64_t pending;
};

/* Return: 0, or negative errno: the list makes no sense */
static int robust_die(struct task *task, uint64_t addr, bool pi, bool pending)
{
	struct user_word word;
	uint32_t value;
	bool wake = false;
	int r;

	if (addr % sizeof(uint32_t))
		return -EINVAL;
	r = user_word_get(task->mm, addr, 1, 1, &word);
	if (r)
		return r;
	value = atomic_load(word.word);
	if (pending && !pi && !value) {
		/* It had let go, and not come to wake the next */
		wake = true;
	} else if ((value & FUTEX_TID_MASK) == (uint32_t)task->tid) {
		while (!atomic_compare_exchange_weak(word.word, &value,
						     (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED) &&
		       (value & FUTEX_TID_MASK) == (uint32_t)task->tid)
			;
		wake = !pi && (value & FUTEX_WAITERS);
	}
	user_word_put(&word);
	if (wake)
		(void)futex_wake(task->mm, addr, true, 1, UINT32_MAX);
	return 0;
}

static void robust_walk(struct task *task)
{
	struct robust_head head;
	uint64_t entry;

	if (user_read(task->mm, &head, task->robust_list, sizeof(head)))
		return;
	entry = head.next;
	for (int i = 0; i < ROBUST_LIST_LIMIT; i++) {
		uint64_t at = entry & ~ROBUST_PI, next;
		bool pi = entry & ROBUST_PI;

		if (at == task->robust_list)
			break;
		/* The next one first: the word's new owner may free the entry */
		if (user_read(task->mm, &next, at, sizeof(next)))
			return;
		if (at != (head.pending & ~ROBUST_PI) &&
		    robust_die(task, at + (uint64_t)head.offset, pi, false))
			return;
		entry = next;
	}
	if (head.pending)
		(void)robust_die(task, (head.pending & ~ROBUST_PI) + (uint64_t)head.offset,
				 head.pending & ROBUST_PI, true);
}

void futex_leave(struct task *task)
{
	if (task->robust_list)
		robust_walk(task);
	futex_pi_abandon(task);
}
