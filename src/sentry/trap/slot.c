/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap/slot.c - events through a thread's slot and futexes, where no listener can be had
 *
 * The guest can write to its slot: it may forge an event, which it could send anyway by jumping to
 * its handler, or lose an answer, which is its own. What is here is read once.
 */
#include "sentry/trap/internal.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Nothing wakes a futex's waiter when the other side is killed: look after a while, and then ever
 * more seldom. */
#define TRAP_SLOT_LOOK_FIRST (1000 * 1000L)
#define TRAP_SLOT_LOOK_LAST  (256 * TRAP_SLOT_LOOK_FIRST)

static long trap_slot_futex(uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

int trap_slot_receive(struct trap_thread *thread, uint64_t args[6])
{
	struct trap_slot *slot = thread->slot;
	struct timespec look = { .tv_nsec = TRAP_SLOT_LOOK_FIRST };
	uint32_t state;

	while ((state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE)) != TRAP_SLOT_EVENT) {
		if (trap_slot_futex(&slot->state, FUTEX_WAIT, state, &look) >= 0 ||
		    errno != ETIMEDOUT)
			continue;
		if (trap_stub_dead(thread->stub))
			return -ESRCH;
		if (look.tv_nsec < TRAP_SLOT_LOOK_LAST)
			look.tv_nsec *= 2;
	}
	if (atomic_load(&thread->stub->dead))
		return -ESRCH;
	for (int i = 0; i < 6; i++)
		args[i] = __atomic_load_n(&slot->args[i], __ATOMIC_RELAXED);
	return 0;
}

void trap_slot_answer(struct trap_thread *thread, uint64_t value)
{
	struct trap_slot *slot = thread->slot;

	__atomic_store_n(&slot->answer, value, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->state, TRAP_SLOT_ANSWERED, __ATOMIC_SEQ_CST);
	trap_slot_futex(&slot->state, FUTEX_WAKE, INT_MAX, NULL);
}
