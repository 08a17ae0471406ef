/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/clone.c - fork, vfork, threads
 *
 *	flags checked -> memory, files, place: shared or copied -> numbers and relatives (tasks_lock)
 *	-> words that the caller wants written -> a thread of its own -> (vfork) wait
 *
 * Until it has a number nobody sees the new task, and task_put() undoes everything. Namespaces
 * cannot be made in here but for mounts, nor signal actions be shared by processes.
 *
 * Called by the clone family's handlers, in the thread of the task that clones.
 */
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/user.h"
#include "sentry/task/internal.h"
#include "sentry/task/pidfd.h"
#include "sentry/trace.h"
#include "sentry/vfs/vfs.h"

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND UINT64_C(0x100000000)
#endif

static int clone_check(const struct task *task, const struct task_clone *args)
{
	uint64_t flags = args->flags;

	if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
		return -EINVAL;
	if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
		return -EINVAL;
	if ((flags & CLONE_SIGHAND) && (flags & CLONE_CLEAR_SIGHAND))
		return -EINVAL;
	if ((flags & CLONE_THREAD) && (flags & CLONE_PIDFD))
		return -EINVAL;
	if ((flags & CLONE_PARENT) && task->process->container->init == task->process)
		return -EINVAL;
	if ((flags & CLONE_NEWNS) && (flags & CLONE_FS))
		return -EINVAL;
	if ((flags & CLONE_NEW_ANY & ~(uint64_t)CLONE_NEWNS) ||
	    ((flags & CLONE_NEWNS) && !cred_capable(task->cred, CAP_SYS_ADMIN)))
		return -EPERM;
	if ((flags & CLONE_SIGHAND) && !(flags & CLONE_THREAD))
		return -EINVAL;
	return 0;
}

struct clone_count {
	uint32_t uid;
	uint64_t n;
};

static int clone_count(struct process *process, void *data)
{
	struct clone_count *count = data;

	if (process->tasks && process->tasks->cred && process->tasks->cred->uid == count->uid)
		count->n += process->ntasks;
	return 0;
}

/* RLIMIT_NPROC is about the user's tasks. tasks_lock held */
static int clone_limit(struct task *task)
{
	struct clone_count count = { .uid = task->cred->uid };
	uint64_t limit = task_limit(task, RLIMIT_NPROC);

	if (limit == RLIM_INFINITY || !count.uid || cred_capable(task->cred, CAP_SYS_RESOURCE) ||
	    cred_capable(task->cred, CAP_SYS_ADMIN))
		return 0;
	process_each(task->process->container, clone_count, &count);
	return count.n >= limit ? -EAGAIN : 0;
}

static void clone_inherit_process(struct process *child, const struct process *from)
{
	memcpy(child->limits, from->limits, sizeof(child->limits));
	child->personality = from->personality;
	child->dumpable = from->dumpable;
	child->oom_score_adj = from->oom_score_adj;
	child->loginuid = from->loginuid;
}

static void clone_inherit_task(struct task *child, const struct task *from,
			       const struct task_clone *args)
{
	memcpy(child->name, from->name, sizeof(child->name));
	child->timer_slack = from->timer_slack;
	child->sched = from->sched;
	if (child->sched.reset_on_fork)
		child->sched = (struct task_sched){ .affinity = from->sched.affinity,
						    .nice = from->sched.nice > 0 ?
								    from->sched.nice :
								    0 };
	child->regs = from->regs;
	child->regs.rax = 0;
	if (args->stack)
		child->regs.rsp = args->stack + args->stack_size;
	if (args->flags & CLONE_SETTLS)
		child->regs.fs_base = args->tls;
	if (args->flags & CLONE_CHILD_CLEARTID)
		child->clear_tid = args->child_tid;
	child->fresh = true;
}

/* What may fail and needs no lock. @child is put by the caller. Return: 0 or negative errno */
static int clone_resources(struct task *child, struct task *from, uint64_t flags)
{
	int r;

	child->cred = cred_get(from->cred);
	child->files = flags & CLONE_FILES ? fdtable_get(from->files) : fdtable_copy(from->files);
	child->fs = flags & CLONE_FS ? fs_context_get(from->fs) : fs_context_copy(from->fs);
	child->fp = malloc(trap_fp_size());
	if (!child->files || !child->fs || !child->fp)
		return -ENOMEM;
	r = trap_fp_get(from->thread, child->fp);
	if (!r && (flags & CLONE_NEWNS))
		r = fs_context_unshare_mounts(child->fs);
	if (r)
		return r;
	if (flags & CLONE_VM)
		child->mm = mm_get(from->mm);
	else
		r = mm_fork(from->mm, &child->mm);
	if (!r)
		r = trap_thread_get(mm_stub(child->mm), &child->thread);
	return r == -ESRCH ? -EAGAIN : r; /* its stub was killed by somebody */
}

/* Numbers and relatives. tasks_lock held */
static int clone_link(struct task *child, struct task *from, const struct task_clone *args)
{
	struct process *process = child->process, *parent = from->process;
	int r;

	if (task_must_end_locked(from))
		return -EINTR;
	/* Who signals a group means a child that is about to be in it as well. Gives way once, not
	 * to lose against a fast timer for ever. */
	if (signal_due(from) && !from->clone_again) {
		from->clone_again = true;
		return -ERESTARTNOINTR;
	}
	r = clone_limit(from);
	if (r)
		return r;
	if (process == parent) {
		r = task_link(child);
		if (!r)
			signal_task_init(child, from, args->flags);
		return r;
	}
	clone_inherit_process(process, parent);
	process->exit_signal = args->exit_signal;
	if (args->flags & CLONE_PARENT) {
		process->exit_signal = parent->exit_signal;
		parent = parent->parent;
	}
	r = process_link(process, parent, child);
	if (r)
		return r;
	signal_process_init(process, from->process, args->flags);
	signal_task_init(child, from, args->flags);
	pgrp_enter(process, from->process->pgrp);
	cpu_limit_changed(process);
	return 0;
}

static void clone_undo(struct task *child, bool thread)
{
	struct process *process = child->process;

	if (!thread)
		timer_set_free(process);
	pthread_mutex_lock(&kernel.tasks_lock);
	if (thread) {
		signal_task_free(child);
		task_unlink(child);
	} else {
		process->zombie = true;
		task_unlink(child);
		signal_process_free(process);
		process_unlink(process);
	}
	pthread_mutex_unlock(&kernel.tasks_lock);
}

static void clone_vfork_wait(struct task *task, struct task *child, struct waitq *q)
{
	struct wait wait;
	bool done;

	wait_begin(&wait, task);
	do {
		wait_reset(&wait);
		wait_on(&wait, q, POLLIN);
		pthread_mutex_lock(&kernel.tasks_lock);
		done = !child->vfork_done;
		pthread_mutex_unlock(&kernel.tasks_lock);
	} while (!done && !wait_sleep_killable(&wait, USEC_INFINITY));
	wait_end(&wait);
	pthread_mutex_lock(&kernel.tasks_lock);
	child->vfork_done = NULL;
	pthread_mutex_unlock(&kernel.tasks_lock);
}

/* The child has a number: tell it, and let it run. Return: the number or -EAGAIN */
static long clone_launch(struct task *task, struct task *child, const struct task_clone *args)
{
	int32_t tid = child->tid;
	struct waitq vfork = WAITQ_INIT;

	if (args->flags & CLONE_PARENT_SETTID)
		(void)user_write(task->mm, args->parent_tid, &tid, sizeof(tid));
	if (args->flags & CLONE_CHILD_SETTID)
		(void)user_write(child->mm, args->child_tid, &tid, sizeof(tid));
	if (args->flags & CLONE_VFORK)
		child->vfork_done = &vfork;
	if (task_launch(child)) {
		child->vfork_done = NULL;
		clone_undo(child, child->process == task->process);
		return -EAGAIN;
	}
	trace_clone(task, tid, args->flags & CLONE_THREAD);
	if (args->flags & CLONE_VFORK)
		clone_vfork_wait(task, child, &vfork);
	return tid;
}

/* Return: the descriptor or negative errno */
static int clone_pidfd(struct task *task, struct process *process, uint64_t addr)
{
	struct file *file;
	int32_t fd;
	int r = pidfd_open(process, 0, &file);

	if (r)
		return r;
	fd = fd_install(task, file, true, 0);
	if (fd < 0)
		return fd;
	r = user_write(task->mm, addr, &fd, sizeof(fd));
	if (!r)
		return fd;
	fd_close(task, fd);
	return r;
}

static long clone_make(struct task *task, struct task *child, const struct task_clone *args)
{
	long r = clone_resources(child, task, args->flags);
	int pidfd = -1;

	if (r)
		return r;
	clone_inherit_task(child, task, args);
	if (args->flags & CLONE_PIDFD) {
		pidfd = clone_pidfd(task, child->process, args->pidfd);
		if (pidfd < 0)
			return pidfd;
	}
	pthread_mutex_lock(&kernel.tasks_lock);
	r = clone_link(child, task, args);
	pthread_mutex_unlock(&kernel.tasks_lock);
	if (!r)
		r = clone_launch(task, child, args);
	if (r < 0 && pidfd >= 0)
		fd_close(task, pidfd);
	return r;
}

long task_clone(struct task *task, const struct task_clone *args)
{
	struct process *process;
	struct task *child;
	long r = clone_check(task, args);

	if (r)
		return r;
	if (args->flags & CLONE_THREAD)
		process = process_get(task->process);
	else
		process = process_new(task->process->container);
	child = process ? task_new(process) : NULL;
	process_put(process);
	if (!child)
		return -ENOMEM;
	r = clone_make(task, child, args);
	task_put(child);
	if (r >= 0)
		task->clone_again = false;
	return r;
}

long task_unshare(struct task *task, uint64_t flags)
{
	struct fdtable *files = NULL, *old_files = NULL;
	struct fs_context *fs = NULL, *old_fs = NULL;
	int r = 0;

	if (flags & CLONE_FILES) {
		files = fdtable_copy(task->files);
		r = files ? 0 : -ENOMEM;
	}
	if (!r && (flags & (CLONE_FS | CLONE_NEWNS))) {
		fs = fs_context_copy(task->fs);
		r = !fs ? -ENOMEM : flags & CLONE_NEWNS ? fs_context_unshare_mounts(fs) : 0;
	}
	pthread_mutex_lock(&kernel.tasks_lock);
	if (!r && files) {
		old_files = task->files;
		task->files = steal_ptr(files);
	}
	if (!r && fs) {
		old_fs = task->fs;
		task->fs = steal_ptr(fs);
	}
	pthread_mutex_unlock(&kernel.tasks_lock);
	fdtable_put(files);
	fdtable_put(old_files);
	fs_context_put(fs);
	fs_context_put(old_fs);
	return r;
}
