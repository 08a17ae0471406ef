/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/clocks.c - the clocks guests know by number
 *
 * Clocks of the world are the host's; those of processor time are usage.c's, of the caller or of
 * the process or thread that a negative number names (clock_getcpuclockid(3)).
 */
#include <errno.h>

#include "sentry/task/internal.h"
#include "sentry/task/ptimer.h"
#include "sentry/task/timer.h"

/* The bits of a negative clock number */
#define CLOCKS_PID(clock) (~((clock) >> 3))
#define CLOCKS_THREAD	  4
#define CLOCKS_KIND	  3
enum { CLOCKS_PROF, CLOCKS_VIRTUAL, CLOCKS_SCHED, CLOCKS_FD };

bool task_clock_is_cpu(clockid_t clock)
{
	return clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID ||
	       clock == PTIMER_CLOCK_USER;
}

static int clocks_of_number(struct task *task, clockid_t clock, uint64_t *guest, uint64_t *ours)
{
	struct sandbox_container *container = task->process->container;
	int nr = CLOCKS_PID(clock);

	if ((clock & CLOCKS_KIND) == CLOCKS_FD)
		return -EINVAL;
	if (clock & CLOCKS_THREAD) {
		const struct task *other = nr ? task_find(container, nr) : task;

		if (!other || other->process != task->process)
			return -EINVAL;
		task_cpu(other, guest, ours);
	} else {
		const struct process *other = nr ? process_find(container, nr) : task->process;

		if (!other)
			return -EINVAL;
		process_cpu(other, guest, ours);
	}
	if ((clock & CLOCKS_KIND) == CLOCKS_VIRTUAL)
		*ours = 0;
	return 0;
}

int task_clock_locked(struct task *task, clockid_t clock, uint64_t *nanoseconds)
{
	uint64_t guest, ours;
	int r = 0;

	if (clock < 0) {
		r = clocks_of_number(task, clock, &guest, &ours);
		if (r)
			return r;
	} else if (clock == CLOCK_THREAD_CPUTIME_ID) {
		task_cpu(task, &guest, &ours);
	} else if (clock == CLOCK_PROCESS_CPUTIME_ID) {
		process_cpu(task->process, &guest, &ours);
	} else if (clock == PTIMER_CLOCK_USER) {
		process_cpu(task->process, &guest, &ours);
		ours = 0;
	} else {
		return -EINVAL;
	}
	*nanoseconds = guest + ours;
	return 0;
}

int task_clock(struct task *task, clockid_t clock, uint64_t *nanoseconds)
{
	struct timespec ts;
	int r;

	if (task_clock_is_cpu(clock) && clock != PTIMER_CLOCK_USER) {
		pthread_mutex_lock(&kernel.tasks_lock);
		r = task_clock_locked(task, clock, nanoseconds);
		pthread_mutex_unlock(&kernel.tasks_lock);
		return r;
	}
	if (clock < 0 || clock > CLOCK_TAI || clock_gettime(clock, &ts))
		return -EINVAL;
	*nanoseconds = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	return 0;
}
