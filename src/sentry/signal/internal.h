/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/signal/internal.h - what the files of this room share
 *
 * All with tasks_lock held but signal_frame_push().
 */
#ifndef SENTRY_SIGNAL_INTERNAL_H
#define SENTRY_SIGNAL_INTERNAL_H

#include <signal.h>
#include <stddef.h>

#include "sentry/signal/signal.h"

#define SIGNAL_DEFAULT UINT64_C(0)
#define SIGNAL_IGNORE  UINT64_C(1)

#define SIGNAL_SET_ONE(sig) (UINT64_C(1) << ((sig)-1))
#define SIGNAL_SET_KERNEL   (SIGNAL_SET_ONE(SIGKILL) | SIGNAL_SET_ONE(SIGSTOP))
#define SIGNAL_SET_STOP                                                     \
	(SIGNAL_SET_ONE(SIGSTOP) | SIGNAL_SET_ONE(SIGTSTP) | SIGNAL_SET_ONE(SIGTTIN) | \
	 SIGNAL_SET_ONE(SIGTTOU))
/* Whose default is to be ignored */
#define SIGNAL_SET_QUIET                                                     \
	(SIGNAL_SET_ONE(SIGCHLD) | SIGNAL_SET_ONE(SIGCONT) | SIGNAL_SET_ONE(SIGURG) | \
	 SIGNAL_SET_ONE(SIGWINCH))
/* Of faults: taken before all others */
#define SIGNAL_SET_FAULT                                                     \
	(SIGNAL_SET_ONE(SIGSEGV) | SIGNAL_SET_ONE(SIGBUS) | SIGNAL_SET_ONE(SIGILL) | \
	 SIGNAL_SET_ONE(SIGTRAP) | SIGNAL_SET_ONE(SIGFPE) | SIGNAL_SET_ONE(SIGSYS))

/* Most that a container may have queued, whatever its limits say: it is host memory */
#define SIGNAL_QUEUE_MAX 32768

#define SIGNAL_REALTIME 32 /* the first real-time signal of the kernel */

/* What of struct signal_info is ever told; the rest is zero. */
#define SIGNAL_INFO_BYTES 48

/* --- queue.c --- */

/* signal_queue_add() - @count: what the container has queued, bounded by @limit. Return: 0 or
 * -EAGAIN */
int signal_queue_add(struct signal_pending *pending, unsigned *count, uint64_t limit, int sig,
		     const struct signal_info *info);
/* signal_queue_take() - The next of @set. Return: its number or 0 */
int signal_queue_take(struct signal_pending *pending, unsigned *count, uint64_t set,
		      struct signal_info *info);
/* signal_queue_flush() - Forget all of @set */
void signal_queue_flush(struct signal_pending *pending, unsigned *count, uint64_t set);

/* --- send.c --- */

/* signal_process_flush() - Forget all of @set that is pending for the process or a task of it */
void signal_process_flush(struct process *process, uint64_t set);
/* signal_retarget() - @task does not take these of the process's any more: others are to look */
void signal_retarget(struct task *task, uint64_t set);
/* signal_force() - A signal that @task gets whatever it has blocked or ignored */
void signal_force(struct task *task, int sig, const struct signal_info *info);
bool signal_quiet(const struct signal_action *action, int sig);

/* signal_ending() - The task has to end: nothing is delivered any more */
bool signal_ending(const struct task *task);

/* --- stop.c --- */

/* signal_stop_begin() - Every task of the process is to park; called by one of them */
void signal_stop_begin(struct process *process, int sig);
/* signal_stop_check() - All tasks but @leaving have parked: tell the parent */
void signal_stop_check(struct process *process, const struct task *leaving);
void signal_stop_end(struct process *process);
bool signal_parking(const struct task *task);
/* signal_park() - The calling task's: sleep while it has to be parked; tasks_lock is let go */
void signal_park(struct task *task);

/* --- frame.c --- */

/* signal_frame_push() - Build the handler's frame and enter it. Return: 0 or -EFAULT */
int signal_frame_push(struct task *task, int sig, const struct signal_info *info,
		      const struct signal_action *action, uint64_t mask);

#endif /* SENTRY_SIGNAL_INTERNAL_H */
