/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/exit.c - the end of tasks and processes
 *
 * A task ends in its own thread: it leaves its address space, files and numbers. The last one of a
 * process makes it a zombie: children get a new parent, groups that nobody can continue any more
 * are hung up, the parent is told. A zombie goes when it was waited for, or at once when nobody
 * will.
 *
 * A container's init takes everything with it, and ends after the others have.
 */
#include <signal.h>

#include "sentry/control/container.h"
#include "sentry/ipc/ipc.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/user.h"
#include "sentry/signal/signal.h"
#include "sentry/task/futex.h"
#include "sentry/task/internal.h"
#include "sentry/trace.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/vfs.h"

static pthread_cond_t exit_zapped = PTHREAD_COND_INITIALIZER; /* with tasks_lock */

void exit_task_gone(const struct sandbox_container *container)
{
	if (container->npids <= 1)
		pthread_cond_broadcast(&exit_zapped);
}

bool task_must_end_locked(const struct task *task)
{
	const struct process *process = task->process;

	return task->ending || process->exiting ||
	       (process->exec_task && process->exec_task != task);
}

bool task_must_end(struct task *task)
{
	bool must;

	pthread_mutex_lock(&kernel.tasks_lock);
	must = task_must_end_locked(task);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return must;
}

void process_end(struct process *process, int status)
{
	if (process->exiting || process->zombie)
		return;
	process->exiting = true;
	process->exit_status = status;
	for (struct task *t = process->tasks; t; t = t->next)
		task_interrupt(t);
}

void task_leave_mm(struct task *task)
{
	bool shared;

	pthread_mutex_lock(&kernel.tasks_lock);
	shared = task->process->ntasks > 1 || task->vfork_done;
	pthread_mutex_unlock(&kernel.tasks_lock);
	futex_leave(task);
	/* Who is alone has nobody who could look, and a copy of the page would be for nothing */
	if (task->clear_tid && shared) {
		uint32_t zero = 0;

		if (!user_write(task->mm, task->clear_tid, &zero, sizeof(zero)))
			futex_wake(task->mm, task->clear_tid, true, 1, UINT32_MAX);
	}
	task->clear_tid = task->robust_list = 0;
	pthread_mutex_lock(&kernel.tasks_lock);
	if (task->vfork_done) {
		struct waitq *q = task->vfork_done;

		task->vfork_done = NULL;
		waitq_wake(q, POLLIN);
	}
	pthread_mutex_unlock(&kernel.tasks_lock);
}

/* Who the children of an ending process go to; NULL: nobody waits for them */
static struct process *exit_reaper(const struct process *process)
{
	struct process *init = process->container->init;

	for (struct process *p = process->parent; p; p = p->parent)
		if (p->subreaper && !p->exiting && !p->zombie)
			return p;
	return init && !init->zapping && init != process ? init : NULL;
}

static bool exit_has_stopped(const struct pgrp *pgrp)
{
	for (const struct process *p = pgrp->processes; p; p = p->pgrp_next)
		if (p->signals.stopped)
			return true;
	return false;
}

/* @child (or its whole group, when it is @leaving itself) loses @parent, who could have continued
 * it from another group of its session */
static void exit_hang_up_orphans(const struct process *child, const struct process *parent,
				 const struct process *leaving)
{
	struct pgrp *pgrp = child->pgrp;

	if (!parent || !parent->pgrp || parent->pgrp == pgrp ||
	    parent->pgrp->session != pgrp->session)
		return;
	if (!exit_has_stopped(pgrp) || !signal_pgrp_orphaned(pgrp, leaving))
		return;
	signal_pgrp_send(pgrp, SIGHUP, NULL);
	signal_pgrp_send(pgrp, SIGCONT, NULL);
}

/* Whether the parent wants no zombies */
static bool exit_unwanted(const struct process *process)
{
	const struct process *parent = process->parent;
	const struct signal_action *action;

	if (!parent || parent->zapping)
		return true;
	if (process->exit_signal != SIGCHLD)
		return false;
	action = &parent->signals.actions[SIGCHLD];
	return action->handler == (uint64_t)(uintptr_t)SIG_IGN || (action->flags & SA_NOCLDWAIT);
}

static void exit_tell_parent(struct process *process)
{
	struct process *parent = process->parent;
	int status = process->exit_status;
	struct signal_info info;
	uint64_t guest, ours;

	if (!parent)
		return;
	process_cpu(process, &guest, &ours);
	signal_info_child(&info,
			  !(status & 0x7f) ? CLD_EXITED :
			  (status & 0x80)  ? CLD_DUMPED :
					     CLD_KILLED,
			  process->pid, process->exit_uid,
			  (status & 0x7f) ? (status & 0x7f) : status >> 8 & 0xff,
			  guest / 10000000, ours / 10000000);
	if (process->exit_signal)
		signal_process_send(parent, process->exit_signal, &info);
	waitq_wake(&parent->child_wait, POLLIN);
}

static void exit_give_children(struct process *process)
{
	struct process *reaper = exit_reaper(process), *child, *next;

	for (child = process->children; child; child = next) {
		next = child->sibling_next;
		if (child->parent_death_signal)
			signal_process_send(child, child->parent_death_signal, NULL);
		process_set_parent(child, reaper);
		child->exit_signal = SIGCHLD;
		if (child->zombie) {
			bool unwanted = exit_unwanted(child);

			exit_tell_parent(child);
			if (unwanted)
				process_unlink(child);
		} else {
			exit_hang_up_orphans(child, process, NULL);
		}
	}
}

/* The last task of @process has ended. tasks_lock held. */
static void process_finish(struct process *process)
{
	struct sandbox_container *container = process->container;
	struct session *session = process->pgrp->session;
	bool unwanted;

	process->zombie = true;
	trace_exit(process, process->exit_status);
	exit_give_children(process);
	if (session->id == process->pid && session->tty)
		tty_disassociate(session);
	exit_hang_up_orphans(process, process->parent, process);
	signal_process_free(process);
	unwanted = exit_unwanted(process);
	exit_tell_parent(process);
	if (container->init == process) {
		container->init = NULL;
		process_put(process);
	}
	waitq_wake(&process->exited, POLLIN);
	waitq_wake(&container->events, POLLIN);
	if (unwanted)
		process_unlink(process);
}

static int exit_kill(struct process *process, void *data)
{
	if (process != data)
		process_end(process, SIGKILL);
	return 0;
}

/* The container's init ends: everybody else first */
static void exit_zap(struct process *init)
{
	struct sandbox_container *container = init->container;
	struct process *child, *next;

	pthread_mutex_lock(&kernel.tasks_lock);
	init->zapping = true;
	process_each(container, exit_kill, init);
	for (child = init->children; child; child = next) {
		next = child->sibling_next;
		if (child->zombie)
			process_unlink(child);
	}
	while (container->npids > 1)
		pthread_cond_wait(&exit_zapped, &kernel.tasks_lock);
	pthread_mutex_unlock(&kernel.tasks_lock);
}

/* What others may look at goes out of their sight first, then away */
static void exit_release(struct task *task)
{
	struct trap_thread *thread;
	struct fs_context *fs;
	struct fdtable *files;
	struct mm *mm;

	park_settle(task);
	pthread_mutex_lock(&kernel.tasks_lock);
	task_cpu_end(task);
	thread = steal_ptr(task->thread);
	mm = steal_ptr(task->mm);
	files = steal_ptr(task->files);
	fs = steal_ptr(task->fs);
	pthread_mutex_unlock(&kernel.tasks_lock);
	if (thread)
		trap_thread_put(thread);
	fdtable_put(files);
	fs_context_put(fs);
	mm_put(mm);
}

void task_exit(struct task *task)
{
	struct process *process = task->process;
	bool last;

	atomic_store(&task->watch, TASK_SETTLING);
	task_leave_mm(task);
	exit_release(task);
	pthread_mutex_lock(&kernel.tasks_lock);
	/* Of several that end at the same time the last one to come here has the rest to do */
	last = ++process->nleaving == process->ntasks;
	if (last && !process->exiting)
		process->exit_status = task->end_status; /* not the leader's */
	pthread_mutex_unlock(&kernel.tasks_lock);
	if (last) {
		timer_set_free(process);
		sem_exit(process);
		if (process->container->init == process)
			exit_zap(process);
	}
	pthread_mutex_lock(&kernel.tasks_lock);
	process->exit_uid = task->cred->uid;
	signal_task_free(task);
	process->nleaving--;
	task_unlink(task);
	if (process->ntasks)
		waitq_wake(&process->task_gone, POLLIN);
	else
		process_finish(process);
	pthread_mutex_unlock(&kernel.tasks_lock);
}
