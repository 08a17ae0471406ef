/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/run.c - the loop that serves one guest thread
 *
 *	trap_wait -> a call       -> syscall_serve -> trap_return
 *	          -> a call with registers, a fault, a kick -> serve -> signals -> trap_resume
 *	          -> the stub is gone -> the process ends as if killed
 *
 * task->watch says what the thread is at: TASK_GUEST while the guest may run. Who has something for
 * the task sets interrupted and then looks at watch; the loop sets watch and then looks at
 * interrupted. So one of both sees the other: either the task deals with it before the guest runs,
 * or the guest is kicked out again.
 *
 * A call that would block may be parked instead: somebody else answers it then (park.h).
 *
 * A call whose answer has to wait for signals, but came without registers, is answered with a kick
 * on its heels; what it was is kept in cut_call and cut_result for signal_deliver().
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sentry/mm/mm.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/internal.h"

_Thread_local struct task *task_current;

void task_interrupt(struct task *task)
{
	atomic_store(&task->interrupted, true);
	if (atomic_load(&task->watch) == TASK_GUEST && task->thread)
		trap_kick(task->thread);
	task_wake(task); /* also then: watch may be old, and the task about to sleep */
}

static bool task_restarts(long result)
{
	return result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK;
}

static void task_kill(struct task *task, int sig)
{
	pthread_mutex_lock(&kernel.tasks_lock);
	process_end(task->process, sig);
	pthread_mutex_unlock(&kernel.tasks_lock);
}

/* Everything that is due before the guest runs. Return: false: it must end */
static bool task_settle(struct task *task, int call, long result)
{
	if (!task->has_regs && trap_regs_get(task->thread, &task->regs)) {
		task_kill(task, SIGSEGV);
		return false;
	}
	task->has_regs = true;
	do {
		atomic_store(&task->interrupted, false);
		if (task_must_end(task) || !signal_deliver(task, call, result))
			return false;
		call = -1;
	} while (atomic_load(&task->interrupted));
	return true;
}

static long task_serve(struct task *task)
{
	struct trap_event *e = &task->event;
	long result;

	task->call_started = clock_now();
	atomic_store_explicit(&task->watch, e->nr, memory_order_relaxed);
	result = syscall_serve(task, e->nr, e->args);
	park_work_off();
	if (task->signals.restore_mask && !atomic_load(&task->interrupted))
		signal_mask_restore(task);
	return result;
}

bool task_may_run(struct task *task, long result)
{
	atomic_store(&task->watch, TASK_GUEST);
	return !atomic_load(&task->interrupted) && !task_restarts(result);
}

static bool task_call(struct task *task)
{
	long result = task_serve(task);

	if (result == TASK_PARKED && !park_listen(task, &result))
		return true;
	if (task_may_run(task, result)) {
		trap_return(task->thread, result);
		return true;
	}
	if (task_must_end(task))
		return false;
	task->cut_call = task->event.nr;
	task->cut_result = result;
	trap_kick(task->thread);
	trap_return(task->thread, task_restarts(result) ? -EINTR : result);
	return true;
}

/* Signals, then on with the registers as they are now. Return: false: it must end */
static bool task_resume(struct task *task, int call, long result, bool look)
{
	for (;;) {
		if (look && !task_settle(task, call, result))
			return false;
		if (task->fresh)
			break;
		if (task->regs_changed && trap_regs_set(task->thread, &task->regs)) {
			task_kill(task, SIGSEGV);
			return false;
		}
		task->regs_changed = false;
		atomic_store(&task->watch, TASK_GUEST);
		if (!atomic_load(&task->interrupted)) {
			task->has_regs = false;
			trap_resume(task->thread);
			return true;
		}
		atomic_store(&task->watch, TASK_SETTLING);
		call = -1;
		look = true;
	}
	task->fresh = task->has_regs = task->regs_changed = false;
	if (trap_thread_start(task->thread, &task->regs, task->fp)) {
		task_kill(task, SIGKILL);
		return false;
	}
	free(task->fp);
	task->fp = NULL;
	/* Only now: a kick before the start would have had nothing to hit */
	atomic_store(&task->watch, TASK_GUEST);
	if (atomic_load(&task->interrupted))
		trap_kick(task->thread);
	return true;
}

/* Return: whether there is a signal to look at */
static bool task_fault(struct task *task)
{
	struct trap_event *e = &task->event;
	int sig = e->signal, code = e->code;

	if (sig == SIGSEGV || sig == SIGBUS) {
		sig = mm_fault(task->mm, e, &code);
		if (!sig)
			return atomic_load(&task->interrupted);
	}
	signal_fault(task, sig, code, e->address, e->trapno, e->error);
	return true;
}

/* A call that came with registers */
static bool task_call_frame(struct task *task)
{
	int call = task->event.nr;
	long result;

	if (trap_regs_get(task->thread, &task->regs)) {
		task_kill(task, SIGSEGV);
		return false;
	}
	task->has_regs = true;
	result = task_serve(task);
	atomic_store_explicit(&task->watch, TASK_SETTLING, memory_order_relaxed);
	if (task->fresh || call == SYS_rt_sigreturn)
		call = -1; /* whatever it returned is no result of a call */
	if (!task->fresh) {
		task->regs.rax = (uint64_t)result;
		task->regs_changed = true;
	}
	return task_resume(task, call, result,
			   atomic_load(&task->interrupted) ||
				   (call >= 0 && task_restarts(result)));
}

static bool task_frame(struct task *task)
{
	int call = task->cut_call;

	atomic_store_explicit(&task->watch, TASK_SETTLING, memory_order_relaxed);
	task->has_regs = task->regs_changed = false;
	task->cut_call = -1;
	if (!task->event.signal)
		return task_resume(task, call, task->cut_result, true);
	if (task->event.signal == SIGSYS)
		return task_call_frame(task);
	return task_resume(task, -1, 0, task_fault(task));
}

static bool task_event(struct task *task)
{
	switch (task->event.kind) {
	case TRAP_CALL:
		return task_call(task);
	case TRAP_FRAME:
		return task_frame(task);
	default:
		task_kill(task, SIGKILL);
		return false;
	}
}

void task_run(struct task *task)
{
	bool alive;

	task_current = task;
	task->host = pthread_self();
	task->host_tid = gettid();
	pthread_mutex_lock(&kernel.tasks_lock);
	task_cpu_begin(task);
	task->ready = true;
	task->has_regs = true;
	pthread_mutex_unlock(&kernel.tasks_lock);
	alive = task_resume(task, -1, 0, atomic_load(&task->interrupted));
	while (alive) {
		trap_wait(task->thread, &task->event);
		alive = task_event(task);
	}
	task_exit(task);
	task_current = NULL;
	task_put(task);
}
