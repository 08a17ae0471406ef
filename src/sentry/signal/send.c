/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/signal/send.c - where signals come from, and who is to look
 *
 *	kill(2), terminals, timers, control/ -> signal_*_send() -> queue -> task_interrupt()
 *
 * What a process ignores is dropped here unless it is blocked, SIGKILL ends it here, and stopping
 * and continuing take each other's signals away here, since that happens even to signals nobody
 * ever takes. All else is decided when it is delivered.
 *
 * tasks_lock held by the caller, but for signal_fault().
 */
#include "sentry/signal/internal.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"

static unsigned *send_count(const struct process *process)
{
	return &process->container->nsignals;
}

bool signal_quiet(const struct signal_action *action, int sig)
{
	if (action->handler == SIGNAL_IGNORE)
		return true;
	return action->handler == SIGNAL_DEFAULT && (SIGNAL_SET_QUIET & signal_bit(sig));
}

/* By somebody outside of the container: nobody whom its processes could name. */
static bool send_outside(const struct signal_info *info)
{
	int32_t pid;

	memcpy(&pid, info->fields, sizeof(pid));
	return info->code == SI_USER && pid == 0;
}

/*
 * A program that was not written to be an init would not notice what ends it anywhere else. Who
 * asks from outside means that, so the default action is done, as a machine's agent does it.
 */
static bool send_ends_init(const struct process *process, int sig, const struct signal_info *info)
{
	const uint64_t harmless = SIGNAL_SET_QUIET | SIGNAL_SET_STOP;

	return process == process->container->init && send_outside(info) &&
	       process->signals.actions[sig].handler == SIGNAL_DEFAULT &&
	       !((harmless | process->tasks->signals.mask) & signal_bit(sig));
}

static bool send_ignored(const struct process *process, const struct task *task, int sig,
			 const struct signal_info *info)
{
	const struct signal_action *action = &process->signals.actions[sig];

	if (task && (task->signals.mask & signal_bit(sig)))
		return false; /* the action may be another when it is unblocked */
	if (process == process->container->init && action->handler == SIGNAL_DEFAULT &&
	    !((SIGNAL_SET_KERNEL & signal_bit(sig)) &&
	      (info->code == SI_KERNEL || send_outside(info))))
		return true;
	return signal_quiet(action, sig);
}

void signal_process_flush(struct process *process, uint64_t set)
{
	signal_queue_flush(&process->signals.pending, send_count(process), set);
	for (struct task *t = process->tasks; t; t = t->next)
		signal_queue_flush(&t->signals.pending, send_count(process), set);
}

/* A task that would take it, best one that nothing has interrupted yet. */
static struct task *send_choose(struct process *process, int sig)
{
	struct task *second = NULL;

	for (struct task *t = process->tasks; t; t = t->next) {
		if (t->signals.mask & signal_bit(sig))
			continue;
		if (!t->interrupted)
			return t;
		if (!second)
			second = t;
	}
	return second;
}

static int send_queue(struct process *process, struct task *task, int sig,
		      const struct signal_info *info)
{
	struct signal_pending *pending =
		task ? &task->signals.pending : &process->signals.pending;
	struct task *taker;
	int r;

	if (sig < SIGNAL_REALTIME && (pending->set & signal_bit(sig)))
		return 0;
	r = signal_queue_add(pending, send_count(process),
			     process->limits[RLIMIT_SIGPENDING].rlim_cur, sig, info);
	if (r < 0)
		return r;
	waitq_wake(&process->signals.arrivals, POLLIN | POLLRDNORM);
	if (!task)
		taker = send_choose(process, sig);
	else
		taker = task->signals.mask & signal_bit(sig) ? NULL : task;
	if (taker)
		task_interrupt(taker);
	return 0;
}

static int send_signal(struct process *process, struct task *task, int sig,
		       const struct signal_info *info)
{
	struct signal_info kernel_info = { .signo = sig, .code = SI_KERNEL };

	if (sig < 1 || sig > SIGNAL_MAX)
		return sig ? -EINVAL : 0;
	if (process->exiting || process->zombie || !process->tasks)
		return 0;
	if (!info)
		info = &kernel_info;
	if (SIGNAL_SET_STOP & signal_bit(sig))
		signal_process_flush(process, signal_bit(SIGCONT));
	if (sig == SIGCONT) {
		signal_process_flush(process, SIGNAL_SET_STOP);
		signal_stop_end(process);
	}
	if (send_ends_init(process, sig, info)) {
		process_end(process, sig);
		return 0;
	}
	if (send_ignored(process, task ? task : process->tasks, sig, info))
		return 0;
	if (sig == SIGKILL) {
		process_end(process, SIGKILL);
		return 0;
	}
	return send_queue(process, task, sig, info);
}

int signal_task_send(struct task *task, int sig, const struct signal_info *info)
{
	return send_signal(task->process, task, sig, info);
}

int signal_process_send(struct process *process, int sig, const struct signal_info *info)
{
	return send_signal(process, NULL, sig, info);
}

int signal_pgrp_send(struct pgrp *pgrp, int sig, const struct signal_info *info)
{
	struct process *next;
	int r = 0;

	for (struct process *p = pgrp->processes; p; p = next) {
		int one;

		next = p->pgrp_next;
		one = signal_process_send(p, sig, info);
		r = r ? r : one;
	}
	return r;
}

struct send_all {
	int sig;
	bool all_but_init;
};

static int send_one_of_all(struct process *process, void *data)
{
	const struct send_all *all = data;
	struct signal_info info;

	signal_info_user(&info, all->sig, SI_USER, 0, 0);
	if (!all->all_but_init || process != process->container->init)
		signal_process_send(process, all->sig, &info);
	return 0;
}

int signal_container_send(struct sandbox_container *container, int sig, bool all_but_init)
{
	struct send_all all = { .sig = sig, .all_but_init = all_but_init };

	return process_each(container, send_one_of_all, &all);
}

static int send_interrupt_all(struct process *process, void *data)
{
	(void)data;
	for (struct task *t = process->tasks; t; t = t->next)
		task_interrupt(t);
	return 0;
}

void signal_container_freeze(struct sandbox_container *container, bool frozen)
{
	container->frozen = frozen;
	process_each(container, send_interrupt_all, NULL);
}

void signal_retarget(struct task *task, uint64_t set)
{
	uint64_t due = task->process->signals.pending.set & set;

	for (struct task *t = task->process->tasks; t && due; t = t->next) {
		if (t == task || !(due & ~t->signals.mask))
			continue;
		due &= t->signals.mask;
		task_interrupt(t);
	}
}

void signal_force(struct task *task, int sig, const struct signal_info *info)
{
	struct signal_action *action = &task->process->signals.actions[sig];

	if (action->handler == SIGNAL_IGNORE || (task->signals.mask & signal_bit(sig))) {
		action->handler = SIGNAL_DEFAULT;
		task->signals.mask &= ~signal_bit(sig);
	}
	if (action->handler == SIGNAL_DEFAULT) {
		process_end(task->process, sig); /* init, too */
		return;
	}
	/* What an earlier sender left under this number is not about the fault. */
	signal_queue_flush(&task->signals.pending, send_count(task->process), signal_bit(sig));
	if (signal_queue_add(&task->signals.pending, send_count(task->process), UINT64_MAX, sig,
			     info) < 0)
		process_end(task->process, sig);
	task_interrupt(task);
}

void signal_fault(struct task *task, int sig, int code, uint64_t address, int trapno,
		  uint64_t error)
{
	struct signal_info info = { .signo = sig, .code = code };

	/* A guest can bring events of its own, by a jump into its stub. */
	if (sig < 1 || sig >= SIGNAL_REALTIME)
		info.signo = sig = SIGSEGV;
	memcpy(info.fields, &address, sizeof(address));
	pthread_mutex_lock(&kernel.tasks_lock);
	task->signals.fault_trapno = (uint64_t)trapno;
	task->signals.fault_error = error;
	task->signals.fault_address = address;
	signal_force(task, sig, &info);
	pthread_mutex_unlock(&kernel.tasks_lock);
}
