/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/signal/signal.h - what is pending, who gets it, and how it is delivered
 *
 * All state is ours, under kernel.tasks_lock; the host's signals carry none of it. A task that has
 * something to deliver is interrupted (task/task.h), and calls signal_deliver() when it has its
 * registers: that takes the next signal, ends, stops or ignores as its action says, or builds a
 * frame on the guest's stack exactly as Linux does on x86-64.
 */
#ifndef SENTRY_SIGNAL_SIGNAL_H
#define SENTRY_SIGNAL_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "sentry/task/waitq.h"

struct pgrp;
struct process;
struct sandbox_container;
struct task;

#define SIGNAL_MAX 64

/* siginfo_t of the x86-64 interface: 128 bytes. */
struct signal_info {
	int32_t signo, errno_, code, pad;
	uint8_t fields[112]; /* from offset 16 */
};

struct signal_action {
	uint64_t handler; /* SIG_DFL 0, SIG_IGN 1 */
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

struct signal_queued;

/* Pending signals: standard ones once each, real-time ones in order, bounded by
 * RLIMIT_SIGPENDING of the receiver's user. */
struct signal_pending {
	uint64_t set;
	struct signal_queued *first, *last;
};

struct signal_process {
	struct signal_action actions[SIGNAL_MAX + 1]; /* by number */
	struct signal_pending pending;
	struct waitq arrivals; /* woken whenever one is queued, for the process or a task of it */
	bool stop_wanted;      /* job control: every task is to park */
	bool stopped;	       /* and all have; for wait(2) */
	bool stop_reported, continue_pending; /* wait(2)'s: set and cleared by who reports it */
	int stop_signal;
};

struct signal_task {
	uint64_t mask;
	uint64_t saved_mask; /* of sigsuspend, ppoll ...: restored when no handler runs */
	bool restore_mask;
	struct signal_pending pending;
	uint64_t stack_addr, stack_size; /* sigaltstack */
	uint32_t stack_flags;
	/* Of the last fault: every frame tells them */
	uint64_t fault_trapno, fault_error, fault_address;
};

/* Sources. info may be NULL: as from the kernel (SI_KERNEL). tasks_lock held by the caller.
 *
 * A container's init gets from inside only what it has a handler for. KILL and STOP reach it from
 * outside: without info, or as SI_USER from process 0, which nobody inside is. The latter also ends
 * it by whatever ends other processes.
 *
 * Return: 0 (also when it is ignored), -EAGAIN: queue is full */
int signal_task_send(struct task *task, int sig, const struct signal_info *info);
int signal_process_send(struct process *process, int sig, const struct signal_info *info);
int signal_pgrp_send(struct pgrp *pgrp, int sig, const struct signal_info *info);
/* signal_container_send() - Every process of a container but its init, if @all_but_init */
int signal_container_send(struct sandbox_container *container, int sig, bool all_but_init);

/* signal_container_freeze() - Park all its tasks, or let them go on. Only SIGKILL gets through. */
void signal_container_freeze(struct sandbox_container *container, bool frozen);

/* signal_fault() - A fault of the task itself: cannot be blocked or ignored. From its own thread,
 * without tasks_lock. */
void signal_fault(struct task *task, int sig, int code, uint64_t address, int trapno,
		  uint64_t error);

void signal_info_user(struct signal_info *info, int sig, int code, int pid, uint32_t uid);
void signal_info_child(struct signal_info *info, int code, int pid, uint32_t uid, int status,
		       uint64_t utime, uint64_t stime);

/* signal_due() - Whether signal_deliver() would do something. tasks_lock held. */
bool signal_due(struct task *task);

/**
 * signal_deliver() - Deal with everything that is due, before guest code runs on
 * @call:	The number of the call that has just been served, -1: none
 * @result:	Its result, maybe one of -ERESTART*
 *
 * With task->regs valid. May sleep (a stopped process). Decides about restarting: sets rip and rax.
 *
 * Return: false: the task has to end
 */
bool signal_deliver(struct task *task, int call, long result);

/* signal_mask_set() - Replace the mask (KILL and STOP never in it) and look again what is due */
void signal_mask_set(struct task *task, uint64_t mask);
/* signal_mask_temporary() - For sigsuspend, ppoll, pselect6, epoll_pwait: until the call is over,
 * and through a handler that interrupts it */
void signal_mask_temporary(struct task *task, uint64_t mask);
/* signal_mask_restore() - The call is over and nothing is due: the task loop's, with restore_mask */
void signal_mask_restore(struct task *task);

/* signal_take() - For sigtimedwait, signalfd: remove one of @set. tasks_lock held. Return: its
 * number or 0 */
int signal_take(struct task *task, uint64_t set, struct signal_info *info);

/* signal_timer_merge() - If one of the timer @id is still queued, for @task or (NULL) the process,
 * its overrun grows by @more, to *@overrun. tasks_lock held. Return: whether it was */
bool signal_timer_merge(struct process *process, struct task *task, int sig, int id, uint64_t more,
			int *overrun);

/* At clone, exec and end. tasks_lock held. @from NULL: nobody's child. @flags: CLONE_* */
void signal_process_init(struct process *process, const struct process *from, uint64_t flags);
void signal_task_init(struct task *task, const struct task *from, uint64_t flags);
void signal_process_exec(struct process *process, struct task *task);
void signal_task_free(struct task *task);
void signal_process_free(struct process *process);

/* signal_parent_notify() - SIGCHLD for a stop or continuation (CLD_*), and whoever waits is woken.
 * tasks_lock held */
void signal_parent_notify(struct process *process, int code, int status);
/* signal_pgrp_orphaned() - No member has a parent in another group of the session: nobody could
 * continue it, so that it is not stopped from the terminal. @leaving (may be NULL) does not count.
 * tasks_lock held */
bool signal_pgrp_orphaned(const struct pgrp *pgrp, const struct process *leaving);

/* may @from send @sig to @to? 0 or -EPERM; tasks_lock held */
int signal_permitted(const struct task *from, const struct process *to, int sig);

/* signal_action_changed() - What is pending is forgotten if it is ignored now. tasks_lock held */
void signal_action_changed(struct process *process, int sig);
/* signal_unheard() - Whether @task ignores or blocks it, as the terminal asks. tasks_lock held */
bool signal_unheard(const struct task *task, int sig);

/* signal_return() - rt_sigreturn(2): registers, mask and stack from the frame at the stack pointer.
 * Return: what rax gets */
long signal_return(struct task *task);
/* signal_stack_set() - sigaltstack(2) with the stack pointer @sp. Return: 0, -EPERM, -EINVAL,
 * -ENOMEM */
int signal_stack_set(struct task *task, uint64_t sp, uint64_t addr, uint64_t size, uint32_t flags);
/* signal_stack_flags() - As sigaltstack(2) tells them */
uint32_t signal_stack_flags(const struct task *task, uint64_t sp);

static inline uint64_t signal_bit(int sig)
{
	return UINT64_C(1) << (sig - 1);
}

#endif /* SENTRY_SIGNAL_SIGNAL_H */
