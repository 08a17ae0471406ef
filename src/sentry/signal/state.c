/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/signal/state.c - signal state of tasks and processes: beginning, masks, stacks, end
 *
 * Called by task/ when tasks come and go, and by whoever changes a mask. tasks_lock held where
 * signal.h says so; a task's own mask and stack are changed by its own thread only.
 */
#include "sentry/signal/internal.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#define STATE_STACK_MIN 2048

static void state_reset_handlers(struct process *process)
{
	for (int sig = 1; sig <= SIGNAL_MAX; sig++) {
		struct signal_action *action = &process->signals.actions[sig];

		if (action->handler != SIGNAL_IGNORE)
			action->handler = SIGNAL_DEFAULT;
		action->flags = 0;
		action->restorer = 0;
		action->mask = 0;
	}
}

void signal_process_init(struct process *process, const struct process *from, uint64_t flags)
{
	memset(&process->signals, 0, sizeof(process->signals));
	waitq_init(&process->signals.arrivals);
	if (from)
		memcpy(process->signals.actions, from->signals.actions,
		       sizeof(process->signals.actions));
	if (flags & CLONE_CLEAR_SIGHAND)
		state_reset_handlers(process);
}

void signal_task_init(struct task *task, const struct task *from, uint64_t flags)
{
	struct signal_task *s = &task->signals;

	memset(s, 0, sizeof(*s));
	if (!from)
		return;
	s->mask = from->signals.restore_mask ? from->signals.saved_mask : from->signals.mask;
	/* Two tasks in one memory do not share a stack, unless one waits for the other. */
	if ((flags & (CLONE_VM | CLONE_VFORK)) == CLONE_VM) {
		s->stack_flags = SS_DISABLE;
		return;
	}
	s->stack_addr = from->signals.stack_addr;
	s->stack_size = from->signals.stack_size;
	s->stack_flags = from->signals.stack_flags;
}

void signal_process_exec(struct process *process, struct task *task)
{
	state_reset_handlers(process);
	task->signals.stack_addr = 0;
	task->signals.stack_size = 0;
	task->signals.fault_trapno = 0;
	task->signals.fault_error = 0;
	task->signals.fault_address = 0;
}

void signal_task_free(struct task *task)
{
	struct process *process = task->process;

	signal_queue_flush(&task->signals.pending, &process->container->nsignals, UINT64_MAX);
	signal_retarget(task, ~task->signals.mask);
	if (process->exiting) /* and so not stopped any more */
		process->signals.stop_wanted = process->signals.stopped = false;
	signal_stop_check(process, task);
}

/* The queue stays as long as the process' memory does: a signalfd may still sleep on it. */
void signal_process_free(struct process *process)
{
	signal_queue_flush(&process->signals.pending, &process->container->nsignals, UINT64_MAX);
}

void signal_mask_set(struct task *task, uint64_t mask)
{
	uint64_t fresh;

	mask &= ~SIGNAL_SET_KERNEL;
	if (mask == task->signals.mask)
		return;
	pthread_mutex_lock(&kernel.tasks_lock);
	fresh = mask & ~task->signals.mask;
	task->signals.mask = mask;
	signal_retarget(task, fresh);
	if (signal_due(task))
		task_interrupt(task);
	else
		task->interrupted = false;
	pthread_mutex_unlock(&kernel.tasks_lock);
}

void signal_mask_temporary(struct task *task, uint64_t mask)
{
	uint64_t saved = task->signals.mask;

	signal_mask_set(task, mask);
	task->signals.saved_mask = saved;
	task->signals.restore_mask = true;
}

void signal_mask_restore(struct task *task)
{
	task->signals.restore_mask = false;
	signal_mask_set(task, task->signals.saved_mask);
}

void signal_action_changed(struct process *process, int sig)
{
	if (signal_quiet(&process->signals.actions[sig], sig))
		signal_process_flush(process, signal_bit(sig));
}

bool signal_unheard(const struct task *task, int sig)
{
	return (task->signals.mask & signal_bit(sig)) ||
	       task->process->signals.actions[sig].handler == SIGNAL_IGNORE;
}

static bool state_on_stack(const struct signal_task *s, uint64_t sp)
{
	if (s->stack_flags & SS_AUTODISARM)
		return false;
	return sp > s->stack_addr && sp - s->stack_addr <= s->stack_size;
}

uint32_t signal_stack_flags(const struct task *task, uint64_t sp)
{
	const struct signal_task *s = &task->signals;
	uint32_t where = SS_DISABLE;

	if (s->stack_size)
		where = state_on_stack(s, sp) ? SS_ONSTACK : 0;
	return where | (s->stack_flags & SS_AUTODISARM);
}

int signal_stack_set(struct task *task, uint64_t sp, uint64_t addr, uint64_t size, uint32_t flags)
{
	struct signal_task *s = &task->signals;
	uint32_t mode = flags & ~SS_AUTODISARM;

	if (state_on_stack(s, sp))
		return -EPERM;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	if (mode == SS_DISABLE) {
		addr = 0;
		size = 0;
	} else if (size < STATE_STACK_MIN) {
		return -ENOMEM;
	}
	s->stack_addr = addr;
	s->stack_size = size;
	s->stack_flags = flags;
	return 0;
}

int signal_permitted(const struct task *from, const struct process *to, int sig)
{
	const struct cred *us = from->cred, *them;

	if (from->process == to || !to->tasks || !to->tasks->cred)
		return 0;
	them = to->tasks->cred;
	if (us->euid == them->suid || us->euid == them->uid || us->uid == them->suid ||
	    us->uid == them->uid || cred_capable(us, CAP_KILL))
		return 0;
	if (sig == SIGCONT && from->process->pgrp->session == to->pgrp->session)
		return 0;
	return -EPERM;
}
