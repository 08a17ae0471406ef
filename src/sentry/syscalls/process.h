/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/process.h - the process family's handlers that have a file of their own
 */
#ifndef SENTRY_SYSCALLS_PROCESS_H
#define SENTRY_SYSCALLS_PROCESS_H

#include <stddef.h>
#include <stdint.h>

struct mm;
struct process;
struct task;

/* process_state.c: limits, times, prctl(2) and the like */
long process_prctl(struct task *task, const uint64_t args[6]);
long process_personality(struct task *task, const uint64_t args[6]);
long process_prlimit64(struct task *task, const uint64_t args[6]);
long process_getrlimit(struct task *task, const uint64_t args[6]);
long process_setrlimit(struct task *task, const uint64_t args[6]);
long process_getrusage(struct task *task, const uint64_t args[6]);
long process_times(struct task *task, const uint64_t args[6]);

/* user_read_struct() - One that grows with the kernel's age: what the guest does not have is zero,
 * what we do not know must be. Return: 0, -EFAULT, -E2BIG */
int user_read_struct(struct mm *mm, void *dst, size_t size, uint64_t src, uint64_t src_size);

#endif /* SENTRY_SYSCALLS_PROCESS_H */
