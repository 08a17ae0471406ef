/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/futex.h - words of guest memory that tasks wait on
 *
 * All may sleep for guest memory, and are called without locks.
 */
#ifndef SENTRY_TASK_FUTEX_H
#define SENTRY_TASK_FUTEX_H

#include <stdbool.h>
#include <stdint.h>

struct mm;
struct task;

/* futex_wake() - At most @max of those that wait on @addr with one of @bits. Return: how many, or
 * -EFAULT, -EINVAL */
long futex_wake(struct mm *mm, uint64_t addr, bool shared, unsigned max, uint32_t bits);

/* futex_call() - futex(2) */
long futex_call(struct task *task, const uint64_t args[6]);
/* futex_waitv() - futex_waitv(2) */
long futex_waitv(struct task *task, const uint64_t args[6]);

/* futex_leave() - @task leaves its address space: what its robust list names, and PI futexes it
 * holds, go to others, marked as of a dead owner. Own thread. */
void futex_leave(struct task *task);

#endif /* SENTRY_TASK_FUTEX_H */
