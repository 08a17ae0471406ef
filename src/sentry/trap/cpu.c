/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap/cpu.c - processor time of guest threads
 *
 * The host tells a stranger the time of a whole process only. That is a thread's time as long as
 * its guest has one. From the second one on the mapper reads the clocks, being a thread of that
 * process; it has no place to put them but a slot, so a guest can shift time between its threads,
 * but not claim more than all of them have used.
 */
#include "sentry/trap/internal.h"

#include <sys/syscall.h>
#include <time.h>

#define CPU_CLOCK_PROCESS 2u
#define CPU_CLOCK_THREAD  6u
#define CPU_NSEC	  UINT64_C(1000000000)

/* The kernel's encoding; the C library makes only the process's kind for others. */
static clockid_t cpu_clock(pid_t id, unsigned kind)
{
	return (clockid_t)(~(unsigned)id << 3 | kind);
}

void trap_stub_cpu(const struct trap_stub *stub, uint64_t *nanoseconds)
{
	struct timespec t = { 0, 0 };

	clock_gettime(cpu_clock(stub->pid, CPU_CLOCK_PROCESS), &t);
	*nanoseconds = (uint64_t)t.tv_sec * CPU_NSEC + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_read(struct trap_thread *thread)
{
	struct trap_stub *stub = thread->stub;
	struct trap_slot *slot = thread->slot;
	uint64_t all, own;

	trap_stub_cpu(stub, &all);
	stub->control->ops[0] = (struct trap_op){
		.nr = SYS_clock_gettime,
		.args = { (uint64_t)(int64_t)cpu_clock(thread->tid, CPU_CLOCK_THREAD),
			  thread->slot_addr + TRAP_SLOT_CLOCK },
	};
	if (trap_ops_run(stub, 1) < 0)
		return thread->cpu_last;
	own = __atomic_load_n(&slot->clock[0], __ATOMIC_RELAXED) * CPU_NSEC +
	      __atomic_load_n(&slot->clock[1], __ATOMIC_RELAXED);
	return own < all ? own : all;
}

/* Readings of the only thread go on from where they are. */
void trap_cpu_begin(struct trap_thread *thread)
{
	struct trap_stub *stub = thread->stub;

	if (!stub->many)
		for (struct trap_thread *t = stub->threads; t; t = t->next)
			if (t->used && t != thread) {
				trap_stub_cpu(stub, &t->cpu_last);
				t->cpu_shift = (int64_t)(t->cpu_last - cpu_read(t));
				stub->many = true;
			}
	thread->cpu_shift = 0;
	thread->cpu_last = 0;
}

void trap_thread_cpu(const struct trap_thread *thread, uint64_t *nanoseconds)
{
	struct trap_thread *t = (struct trap_thread *)thread; /* what is known of it changes */
	struct trap_stub *stub = t->stub;
	uint64_t now;

	pthread_mutex_lock(&stub->lock);
	if (!stub->many) {
		trap_stub_cpu(stub, &now);
	} else {
		now = cpu_read(t) + (uint64_t)t->cpu_shift;
		if (now < t->cpu_last)
			now = t->cpu_last;
	}
	t->cpu_last = now;
	pthread_mutex_unlock(&stub->lock);
	*nanoseconds = now;
}
