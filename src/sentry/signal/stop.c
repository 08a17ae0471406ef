/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/signal/stop.c - job control: processes that are stopped, and continued
 *
 * A stop is wanted by the task that takes the signal; each task parks as soon as it has something
 * to deliver, and the last one makes the stop true and tells the parent. SIGCONT undoes it when it
 * is sent, whatever becomes of it later. Frozen containers park in the same place, and nobody is
 * told.
 *
 * tasks_lock held; signal_park() lets it go while it sleeps.
 */
#include "sentry/signal/internal.h"

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"

static uint32_t stop_uid(const struct process *process)
{
	const struct task *task = process->tasks;

	return task && task->cred ? task->cred->uid : 0;
}

void signal_parent_notify(struct process *process, int code, int status)
{
	struct process *parent = process->parent;
	const struct signal_action *action;
	struct signal_info info;

	if (!parent)
		return;
	action = &parent->signals.actions[SIGCHLD];
	if (action->handler != SIGNAL_IGNORE && !(action->flags & SA_NOCLDSTOP)) {
		signal_info_child(&info, code, process->pid, stop_uid(process), status, 0, 0);
		signal_process_send(parent, SIGCHLD, &info);
	}
	waitq_wake(&parent->child_wait, POLLIN);
}

void signal_stop_begin(struct process *process, int sig)
{
	struct signal_process *s = &process->signals;

	if (s->stop_wanted)
		return;
	s->stop_wanted = true;
	s->stop_signal = sig;
	s->stop_reported = false;
	s->continue_pending = false;
	for (struct task *t = process->tasks; t; t = t->next)
		task_interrupt(t);
}

void signal_stop_check(struct process *process, const struct task *leaving)
{
	struct signal_process *s = &process->signals;

	if (!s->stop_wanted || s->stopped || process->exiting)
		return;
	for (const struct task *t = process->tasks; t; t = t->next) {
		if (t != leaving && !t->stopped)
			return;
	}
	s->stopped = true;
	signal_parent_notify(process, CLD_STOPPED, s->stop_signal);
}

void signal_stop_end(struct process *process)
{
	struct signal_process *s = &process->signals;
	bool told = s->stopped;

	if (!s->stop_wanted)
		return;
	s->stop_wanted = false;
	s->stopped = false;
	s->stop_reported = false;
	for (struct task *t = process->tasks; t; t = t->next)
		task_interrupt(t);
	if (told) {
		s->continue_pending = true;
		signal_parent_notify(process, CLD_CONTINUED, SIGCONT);
	}
}

bool signal_parking(const struct task *task)
{
	const struct process *process = task->process;

	return !signal_ending(task) &&
	       (process->signals.stop_wanted || process->container->frozen);
}

void signal_park(struct task *task)
{
	task->stopped = true;
	while (signal_parking(task)) {
		struct wait wait;

		signal_stop_check(task->process, NULL);
		/* What is sent from here on interrupts again, and is looked at above. */
		task->interrupted = false;
		pthread_mutex_unlock(&kernel.tasks_lock);
		wait_begin(&wait, task);
		(void)wait_sleep(&wait, USEC_INFINITY);
		wait_end(&wait);
		pthread_mutex_lock(&kernel.tasks_lock);
	}
	task->stopped = false;
}

bool signal_pgrp_orphaned(const struct pgrp *pgrp, const struct process *leaving)
{
	for (const struct process *p = pgrp->processes; p; p = p->pgrp_next) {
		const struct process *parent = p->parent;

		if (p == leaving || p->zombie || !parent)
			continue;
		if (parent->pgrp != pgrp && parent->pgrp &&
		    parent->pgrp->session == pgrp->session)
			return false;
	}
	return true;
}
