/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/usage.c - processor time
 *
 * A guest thread's time is that of its host thread in the stub (told as user time) and of the
 * sentry's thread that serves it (told as system time). Both threads are used again for others, so
 * a task counts from the readings it began with.
 *
 * All with tasks_lock held.
 */
#include <sys/time.h>
#include <time.h>

#include "sentry/control/container.h"
#include "sentry/mm/mm.h"
#include "sentry/task/internal.h"

static uint64_t usage_host_clock(const struct task *task)
{
	struct timespec ts;
	clockid_t clock;

	if (pthread_getcpuclockid(task->host, &clock) || clock_gettime(clock, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void task_cpu_begin(struct task *task)
{
	task->cpu_host = usage_host_clock(task);
	if (task->thread)
		trap_thread_cpu(task->thread, &task->cpu_guest);
}

void task_cpu_switch(struct task *task, struct trap_thread *thread)
{
	uint64_t ours;

	task_cpu(task, &task->guest_past, &ours);
	task->cpu_guest = 0;
	trap_thread_cpu(thread, &task->cpu_guest);
}

void task_cpu(const struct task *task, uint64_t *guest, uint64_t *ours)
{
	uint64_t now = 0;

	*guest = task->guest_past;
	*ours = 0;
	if (!task->ready)
		return;
	if (task->thread) {
		trap_thread_cpu(task->thread, &now);
		if (now > task->cpu_guest)
			*guest += now - task->cpu_guest;
	}
	now = usage_host_clock(task);
	if (now > task->cpu_host)
		*ours = now - task->cpu_host;
}

static void usage_add_time(struct timeval *tv, uint64_t nanoseconds)
{
	uint64_t usec = (uint64_t)tv->tv_usec + nanoseconds / 1000;

	tv->tv_sec += (time_t)(usec / 1000000);
	tv->tv_usec = (suseconds_t)(usec % 1000000);
}

void usage_add(struct rusage *sum, const struct rusage *part)
{
	timeradd(&sum->ru_utime, &part->ru_utime, &sum->ru_utime);
	timeradd(&sum->ru_stime, &part->ru_stime, &sum->ru_stime);
	if (part->ru_maxrss > sum->ru_maxrss)
		sum->ru_maxrss = part->ru_maxrss;
	sum->ru_minflt += part->ru_minflt;
	sum->ru_majflt += part->ru_majflt;
}

void task_cpu_end(struct task *task)
{
	struct process *process = task->process;
	struct mm_usage usage;
	uint64_t guest, ours;

	task_cpu(task, &guest, &ours);
	process->guest_time += guest;
	process->our_time += ours;
	process->container->cpu_usec += (guest + ours) / 1000;
	if (!task->mm || process->ntasks > 1)
		return;
	mm_usage(task->mm, &usage);
	process->usage.ru_maxrss = (long)(usage.rss / 1024);
	process->usage.ru_minflt += (long)usage.minor_faults;
	process->usage.ru_majflt += (long)usage.major_faults;
}

uint64_t process_cpu(const struct process *process, uint64_t *guest, uint64_t *ours)
{
	*guest = process->guest_time;
	*ours = process->our_time;
	for (const struct task *t = process->tasks; t; t = t->next) {
		uint64_t g, o;

		task_cpu(t, &g, &o);
		*guest += g;
		*ours += o;
	}
	return *guest + *ours;
}

void process_usage(const struct process *process, struct rusage *out)
{
	uint64_t guest, ours;

	process_cpu(process, &guest, &ours);
	*out = process->usage;
	usage_add_time(&out->ru_utime, guest);
	usage_add_time(&out->ru_stime, ours);
}
