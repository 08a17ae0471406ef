/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/ptimer.h - a process's timers: setitimer(2), timer_create(2), RLIMIT_CPU
 *
 * All state is under tasks_lock; functions take it themselves.
 */
#ifndef SENTRY_TASK_PTIMER_H
#define SENTRY_TASK_PTIMER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct process;
struct task;

/* Nanoseconds; value 0: not armed. */
struct ptimer_spec {
	uint64_t interval, value;
};

/* ptimer_itimer() - @which: ITIMER_*. @new NULL: only tell. Return: 0, -EINVAL, -ENOMEM */
int ptimer_itimer(struct task *task, int which, const struct ptimer_spec *new,
		  struct ptimer_spec *old);

/* ptimer_create() - @value NULL: its id. Return: its id, -EINVAL, -EAGAIN, -ENOMEM */
int ptimer_create(struct task *task, clockid_t clock, int notify, int sig, const uint64_t *value,
		  int tid);
int ptimer_delete(struct task *task, int id);
int ptimer_overrun(struct task *task, int id);
/* ptimer_set() - @absolute: new->value is a time of its clock. @new NULL: only tell */
int ptimer_set(struct task *task, int id, const struct ptimer_spec *new, bool absolute,
	       struct ptimer_spec *old);

/* clocks.c: what a clock of the guest says. @task: who asks. Return: 0 or -EINVAL */
int task_clock(struct task *task, clockid_t clock, uint64_t *nanoseconds);
/* task_clock_locked() - With tasks_lock held */
int task_clock_locked(struct task *task, clockid_t clock, uint64_t *nanoseconds);
/* task_clock_is_cpu() - It stands still while nobody runs */
bool task_clock_is_cpu(clockid_t clock);

/* Clocks of struct ptimer that guests have no number for */
#define PTIMER_CLOCK_USER ((clockid_t)0x1000) /* of the process in guest code */

#endif /* SENTRY_TASK_PTIMER_H */
