/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/table.c - the families' rows as one table, and the way through it
 *
 *	trap -> task loop -> syscall_serve() -> a family's handler
 *
 * Called by the task loop only.
 */
#include "sentry/syscalls/syscalls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/kernel.h"
#include "sentry/syscalls/strace.h"
#include "sentry/task/task.h"

const struct syscall_family *const syscalls_families[] = {
	&syscalls_file,	  &syscalls_path,   &syscalls_io,      &syscalls_poll,
	&syscalls_event,  &syscalls_mm,	    &syscalls_process, &syscalls_thread,
	&syscalls_cred,	  &syscalls_signal, &syscalls_time,    &syscalls_socket,
	&syscalls_system, &syscalls_xattr,  &syscalls_mount,   &syscalls_inotify,
	&syscalls_ipc,	  NULL,
};

static const struct syscall_row *table_rows[SENTRY_SYSCALL_MAX];

void syscalls_init(void)
{
	for (size_t i = 0; syscalls_families[i]; i++) {
		const struct syscall_family *family = syscalls_families[i];

		for (size_t k = 0; k < family->nrows; k++) {
			const struct syscall_row *row = &family->rows[k];

			if (row->nr >= SENTRY_SYSCALL_MAX || table_rows[row->nr]) {
				fprintf(stderr, "two rows for system call %u\n", row->nr);
				abort();
			}
			table_rows[row->nr] = row;
		}
	}
}

const struct syscall_row *syscall_row(int nr)
{
	return nr >= 0 && nr < SENTRY_SYSCALL_MAX ? table_rows[nr] : NULL;
}

void syscall_done(struct task *task, int nr, const uint64_t args[6], long result)
{
	if (kernel.strace)
		strace_call(task, syscall_row(nr), nr, args, result);
}

long syscall_serve(struct task *task, int nr, const uint64_t args[6])
{
	const struct syscall_row *row = syscall_row(nr);
	long result;

	if (nr >= 0 && nr < SENTRY_SYSCALL_MAX)
		atomic_fetch_add_explicit(&kernel.calls[nr], 1, memory_order_relaxed);
	if (!row) {
		if (nr >= 0 && nr < SENTRY_SYSCALL_MAX)
			atomic_fetch_add_explicit(&kernel.unimplemented[nr], 1,
						  memory_order_relaxed);
		if (kernel.strace)
			strace_call(task, NULL, nr, args, -ENOSYS);
		return -ENOSYS;
	}
	result = row->handler(task, args);
	if (result != TASK_PARKED)
		syscall_done(task, nr, args, result);
	return result;
}
