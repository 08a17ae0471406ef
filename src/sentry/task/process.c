/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/process.c - how tasks and processes come into being, are found, and go
 *
 *	new     memory, one reference, nobody knows it
 *	link    a number, a place among the others; from here on it can be seen
 *	unlink  a task when it ends, a process when it was waited for
 *	put     the last reference frees what is left
 *
 * The table of numbers holds a reference of each process, a task one of its process. A task's own
 * thread holds one of the task.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/control/container.h"
#include "sentry/mm/mm.h"
#include "sentry/task/internal.h"
#include "sentry/vfs/vfs.h"

static unsigned process_ntasks; /* of all containers; tasks_lock */

struct process *process_get(struct process *process)
{
	atomic_fetch_add_explicit(&process->refs, 1, memory_order_relaxed);
	return process;
}

void process_put(struct process *process)
{
	if (!process || atomic_fetch_sub_explicit(&process->refs, 1, memory_order_acq_rel) != 1)
		return;
	waitq_destroy(&process->child_wait);
	waitq_destroy(&process->task_gone);
	waitq_destroy(&process->exited);
	waitq_destroy(&process->signals.arrivals);
	container_put(process->container);
	free(process);
}

struct process *process_new(struct sandbox_container *container)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process)
		return NULL;
	process->container = container_get(container);
	process->dumpable = true;
	process->started = clock_now();
	waitq_init(&process->child_wait);
	waitq_init(&process->task_gone);
	waitq_init(&process->exited);
	atomic_init(&process->refs, 1);
	return process;
}

struct task *task_get(struct task *task)
{
	atomic_fetch_add_explicit(&task->refs, 1, memory_order_relaxed);
	return task;
}

void task_put(struct task *task)
{
	if (!task || atomic_fetch_sub_explicit(&task->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (task->thread)
		trap_thread_put(task->thread);
	if (task->mm)
		mm_put(task->mm);
	if (task->files)
		fdtable_put(task->files);
	if (task->fs)
		fs_context_put(task->fs);
	cred_put(task->cred);
	process_put(task->process);
	free(task->fp);
	free(task);
}

struct task *task_new(struct process *process)
{
	struct task *task = calloc(1, sizeof(*task));

	if (!task)
		return NULL;
	task->process = process_get(process);
	task->started = clock_now();
	task->cut_call = -1;
	task->timer_slack = 50000;
	atomic_init(&task->watch, TASK_SETTLING);
	atomic_init(&task->refs, 1);
	return task;
}

/* Return: the new task's number, -EAGAIN: as many as there may be, -ENOMEM */
static int task_number(struct task *task)
{
	struct sandbox_container *container = task->process->container;
	struct pid *pid;

	if ((container->pids_max && container->npids >= container->pids_max) ||
	    (kernel.pids_max && process_ntasks >= kernel.pids_max))
		return -EAGAIN;
	pid = pid_new(container->pids);
	if (!pid)
		return -ENOMEM;
	pid->task = task;
	container->npids++;
	process_ntasks++;
	return pid->nr;
}

int task_link(struct task *task)
{
	struct process *process = task->process;
	struct task **end = &process->tasks;
	int nr = task_number(task);

	if (nr < 0)
		return nr;
	task->tid = nr;
	while (*end)
		end = &(*end)->next;
	*end = task_get(task);
	process->ntasks++;
	return 0;
}

void task_unlink(struct task *task)
{
	struct process *process = task->process;
	struct sandbox_container *container = process->container;
	struct task **at = &process->tasks;

	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	task->next = NULL;
	process->ntasks--;
	container->npids--;
	process_ntasks--;
	pid_get(container->pids, task->tid)->task = NULL;
	pid_drop_unused(container->pids, task->tid);
	exit_task_gone(container);
	task_put(task);
}

int process_link(struct process *process, struct process *parent, struct task *leader)
{
	int r = task_link(leader);

	if (r)
		return r;
	process->pid = leader->tid;
	pid_get(process->container->pids, process->pid)->process = process_get(process);
	process_set_parent(process, parent);
	return 0;
}

static void process_leave_parent(struct process *process)
{
	struct process *parent = process->parent;

	if (!parent)
		return;
	if (process->sibling_prev)
		process->sibling_prev->sibling_next = process->sibling_next;
	else
		parent->children = process->sibling_next;
	if (process->sibling_next)
		process->sibling_next->sibling_prev = process->sibling_prev;
	else
		parent->children_last = process->sibling_prev;
	process->sibling_prev = process->sibling_next = NULL;
	process->parent = NULL;
}

void process_set_parent(struct process *process, struct process *parent)
{
	process_leave_parent(process);
	if (!parent)
		return;
	process->parent = parent;
	process->sibling_prev = parent->children_last;
	if (parent->children_last)
		parent->children_last->sibling_next = process;
	else
		parent->children = process;
	parent->children_last = process;
}

void process_unlink(struct process *process)
{
	struct pid_table *pids = process->container->pids;

	process_set_parent(process, NULL);
	pgrp_leave(process);
	pid_get(pids, process->pid)->process = NULL;
	pid_drop_unused(pids, process->pid);
	process_put(process);
}

/* What others may look at; NULL when it has ended. */

struct mm *task_mm_get(struct task *task)
{
	return task->mm ? mm_get(task->mm) : NULL;
}

struct fdtable *task_files_get(struct task *task)
{
	return task->files ? fdtable_get(task->files) : NULL;
}

struct fs_context *task_fs_get(struct task *task)
{
	return task->fs ? fs_context_get(task->fs) : NULL;
}

struct cred *task_cred_get(struct task *task)
{
	return task->cred ? cred_get(task->cred) : NULL;
}

void task_cred_set(struct task *task, struct cred *cred)
{
	struct cred *old;

	pthread_mutex_lock(&kernel.tasks_lock);
	old = task->cred;
	task->cred = cred;
	pthread_mutex_unlock(&kernel.tasks_lock);
	cred_put(old);
}

uint64_t task_limit(const struct task *task, unsigned resource)
{
	/* One word, changed by prlimit(2) at any time anyway */
	return __atomic_load_n(&task->process->limits[resource].rlim_cur, __ATOMIC_RELAXED);
}
