/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/reap.c - wait4(2) and waitid(2)
 *
 * Children are a process's, whichever of its threads made them or waits.
 */
#include "sentry/task/reap.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "sentry/task/internal.h"

static bool reap_eligible(const struct process *child, const struct reap *reap)
{
	bool clone = child->exit_signal != SIGCHLD;

	if (reap->what == REAP_PID && child->pid != reap->id)
		return false;
	if (reap->what == REAP_PGRP && (!child->pgrp || child->pgrp->id != reap->id))
		return false;
	if (reap->what == REAP_PROCESS && child != reap->process)
		return false;
	return (reap->options & __WALL) || clone == !!(reap->options & __WCLONE);
}

static void reap_tell(struct reap *reap, const struct process *child, int code, int status)
{
	reap->pid = child->pid;
	reap->code = code;
	reap->status = status;
	reap->uid = child->zombie ? child->exit_uid :
		    child->tasks  ? child->tasks->cred->uid :
				    0;
	process_usage(child, &reap->usage);
	usage_add(&reap->usage, &child->children_usage);
}

static void reap_zombie(struct process *parent, struct process *child, struct reap *reap)
{
	int raw = child->exit_status, sig = raw & 0x7f;

	reap_tell(reap, child, !sig ? CLD_EXITED : raw & 0x80 ? CLD_DUMPED : CLD_KILLED,
		  sig ? sig : raw >> 8 & 0xff);
	reap->raw = raw;
	if (reap->options & WNOWAIT)
		return;
	usage_add(&parent->children_usage, &reap->usage);
	process_unlink(child);
}

/* Return: whether @child has something to tell */
static bool reap_look(struct process *parent, struct process *child, struct reap *reap)
{
	struct signal_process *s = &child->signals;

	if (child->zombie) {
		if (reap->options & WEXITED)
			reap_zombie(parent, child, reap);
		return reap->options & WEXITED;
	}
	if (s->stopped && !s->stop_reported && (reap->options & WUNTRACED)) {
		s->stop_reported = !(reap->options & WNOWAIT);
		reap_tell(reap, child, CLD_STOPPED, s->stop_signal);
		reap->raw = s->stop_signal << 8 | 0x7f;
		return true;
	}
	if (s->continue_pending && (reap->options & WCONTINUED)) {
		s->continue_pending = reap->options & WNOWAIT;
		reap_tell(reap, child, CLD_CONTINUED, SIGCONT);
		reap->raw = 0xffff;
		return true;
	}
	return false;
}

/* tasks_lock held. Return: 1 found, 0 nothing yet, -ECHILD */
static int reap_scan(struct process *parent, struct reap *reap)
{
	int result = -ECHILD;

	for (struct process *child = parent->children; child; child = child->sibling_next) {
		if (!reap_eligible(child, reap))
			continue;
		if (reap_look(parent, child, reap))
			return 1;
		/* A zombie that this call does not ask for will never tell anything else */
		if (!child->zombie || (reap->options & WEXITED))
			result = 0;
	}
	return result;
}

long reap_wait(struct task *task, struct reap *reap)
{
	struct process *parent = task->process;
	struct wait wait;
	int r;

	wait_begin(&wait, task);
	for (;;) {
		wait_reset(&wait);
		wait_on(&wait, &parent->child_wait, POLLIN);
		pthread_mutex_lock(&kernel.tasks_lock);
		r = reap_scan(parent, reap);
		pthread_mutex_unlock(&kernel.tasks_lock);
		if (r || (reap->options & WNOHANG))
			break;
		r = wait_sleep(&wait, USEC_INFINITY);
		if (r)
			break;
	}
	wait_end(&wait);
	return r > 0 ? 0 : r;
}
