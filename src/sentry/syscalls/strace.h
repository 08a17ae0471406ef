/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/strace.h - calls written down as strace(1) does
 */
#ifndef SENTRY_SYSCALLS_STRACE_H
#define SENTRY_SYSCALLS_STRACE_H

#include <stdint.h>

struct syscall_row;
struct task;

/* strace_call() - One line to the log; @row NULL: a call that is not there */
void strace_call(struct task *task, const struct syscall_row *row, int nr, const uint64_t args[6],
		 long result);

#endif /* SENTRY_SYSCALLS_STRACE_H */
