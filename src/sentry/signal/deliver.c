/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/signal/deliver.c - what happens to a task before its guest code runs on
 *
 *	signal_deliver(): park while stopped; take the next signal: ignore, stop, end, or a frame for
 *	its handler; until nothing is due. The first handler, or that there is none, decides what
 *	becomes of the interrupted call.
 *
 * Called by the task loop in the task's own thread, without a lock.
 */
#include "sentry/signal/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"

#define DELIVER_SYSCALL_BYTES 2 /* 0f 05 */

enum deliver_end {
	DELIVER_DONE,	 /* nothing is due */
	DELIVER_HANDLER, /* a signal was taken for its handler */
	DELIVER_FATAL,
};

struct deliver_taken {
	int sig;
	struct signal_info info;
	struct signal_action action;
	uint64_t mask; /* for the frame */
};

bool signal_ending(const struct task *task)
{
	const struct process *process = task->process;

	return process->exiting || (process->exec_task && process->exec_task != task);
}

bool signal_due(struct task *task)
{
	uint64_t pending = task->signals.pending.set | task->process->signals.pending.set;

	return signal_ending(task) || (pending & ~task->signals.mask) || signal_parking(task);
}

int signal_take(struct task *task, uint64_t set, struct signal_info *info)
{
	unsigned *count = &task->process->container->nsignals;
	int sig = signal_queue_take(&task->signals.pending, count, set, info);

	return sig ? sig : signal_queue_take(&task->process->signals.pending, count, set, info);
}

/* What the action says that is not a handler. Return: whether the process ends */
static bool deliver_default(struct task *task, int sig)
{
	struct process *process = task->process;

	if (signal_quiet(&process->signals.actions[sig], sig))
		return false;
	if (process == process->container->init && !(SIGNAL_SET_KERNEL & signal_bit(sig)))
		return false;
	if (SIGNAL_SET_STOP & signal_bit(sig)) {
		if (sig == SIGSTOP || !signal_pgrp_orphaned(process->pgrp, NULL))
			signal_stop_begin(process, sig);
		return false;
	}
	process_end(process, sig);
	return true;
}

static void deliver_take_action(struct task *task, struct deliver_taken *taken)
{
	struct signal_action *action = &task->process->signals.actions[taken->sig];

	taken->action = *action;
	taken->mask = task->signals.restore_mask ? task->signals.saved_mask : task->signals.mask;
	if (action->flags & SA_RESETHAND)
		action->handler = SIGNAL_DEFAULT;
}

/* tasks_lock held. */
static enum deliver_end deliver_next(struct task *task, struct deliver_taken *taken)
{
	struct process *process = task->process;

	for (;;) {
		uint64_t handler;

		if (signal_ending(task))
			return DELIVER_FATAL;
		if (signal_parking(task)) {
			signal_park(task);
			continue;
		}
		taken->sig = signal_take(task, ~task->signals.mask, &taken->info);
		if (!taken->sig)
			return DELIVER_DONE;
		handler = process->signals.actions[taken->sig].handler;
		if (handler != SIGNAL_DEFAULT && handler != SIGNAL_IGNORE) {
			deliver_take_action(task, taken);
			return DELIVER_HANDLER;
		}
		if (deliver_default(task, taken->sig))
			return DELIVER_FATAL;
	}
}

static void deliver_again(struct task *task, uint64_t nr)
{
	task->regs.rip -= DELIVER_SYSCALL_BYTES;
	task->regs.rax = nr;
	task->regs_changed = true;
}

static bool deliver_interrupted(long result)
{
	return result == -ERESTARTSYS || result == -ERESTARTNOINTR ||
	       result == -ERESTARTNOHAND || result == -ERESTART_RESTARTBLOCK;
}

/* The call that a handler interrupts. */
static void deliver_restart_handler(struct task *task, int call, long result, uint64_t flags)
{
	if (result == -ERESTARTNOINTR || (result == -ERESTARTSYS && (flags & SA_RESTART))) {
		deliver_again(task, (uint64_t)call);
		return;
	}
	task->regs.rax = (uint64_t)-EINTR;
	task->regs_changed = true;
}

static void deliver_restart_quiet(struct task *task, int call, long result)
{
	deliver_again(task, result == -ERESTART_RESTARTBLOCK ? SYS_restart_syscall :
							       (uint64_t)call);
}

/* tasks_lock held; let go while the frame is built. */
static void deliver_handler(struct task *task, struct deliver_taken *taken)
{
	struct signal_task *s = &task->signals;
	struct signal_info fault = { .signo = SIGSEGV, .code = SI_KERNEL };
	int r;

	pthread_mutex_unlock(&kernel.tasks_lock);
	r = signal_frame_push(task, taken->sig, &taken->info, &taken->action, taken->mask);
	pthread_mutex_lock(&kernel.tasks_lock);
	if (r < 0) {
		if (taken->sig == SIGSEGV)
			task->process->signals.actions[SIGSEGV].handler = SIGNAL_DEFAULT;
		signal_force(task, SIGSEGV, &fault);
		return;
	}
	s->restore_mask = false;
	s->mask |= taken->action.mask;
	if (!(taken->action.flags & SA_NODEFER))
		s->mask |= signal_bit(taken->sig);
	s->mask &= ~SIGNAL_SET_KERNEL;
	signal_retarget(task, s->mask);
}

static void deliver_restore_mask(struct task *task)
{
	task->signals.mask = task->signals.saved_mask;
	task->signals.restore_mask = false;
}

bool signal_deliver(struct task *task, int call, long result)
{
	bool interrupted = call >= 0 && deliver_interrupted(result);
	struct deliver_taken taken;
	enum deliver_end end;

	pthread_mutex_lock(&kernel.tasks_lock);
	/* A temporary mask lets in only what ended the call. */
	if (task->signals.restore_mask && !interrupted && result != -EINTR)
		deliver_restore_mask(task);
	for (;;) {
		end = deliver_next(task, &taken);
		if (end == DELIVER_FATAL)
			break;
		if (end == DELIVER_HANDLER && interrupted)
			deliver_restart_handler(task, call, result, taken.action.flags);
		else if (interrupted)
			deliver_restart_quiet(task, call, result);
		interrupted = false;
		if (end == DELIVER_HANDLER)
			deliver_handler(task, &taken);
		else if (task->signals.restore_mask)
			deliver_restore_mask(task); /* and look again */
		else
			break;
	}
	if (end == DELIVER_DONE)
		task->interrupted = false; /* nothing is due */
	pthread_mutex_unlock(&kernel.tasks_lock);
	return end == DELIVER_DONE;
}
