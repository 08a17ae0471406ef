/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/park.c - the states of parked calls; park.h tells what they are for
 *
 *	handler -> TASK_PARKED -> park_listen() --ppoll(2)--> the guest's next event, or taken back
 *	wait_wake_task() -> park_wake() -> taken -> park_work_off() -> finish() -> trap_return()
 *
 * A thread has taken one call at most; nobody waits for it but the parked call's own thread, which
 * holds no lock. Deliberately absent: calls with a deadline, and futexes, whose words the two sides
 * mostly find changed before they sleep.
 */
#include "sentry/task/park.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/internal.h"

#define PARK_SKIP  16 /* so many calls are slept in after one that had to be taken back */
#define PARK_TURNS 4  /* so many, and it is a dialogue */

/* What a thread of ours has to do with others' calls. */
struct park_own {
	struct task *taken; /* a reference; its call is to be finished */
	bool turned;	    /* it has waited or read since a call of it woke somebody */
	bool woke;	    /* the call being served has */
	unsigned turns;	    /* in a row, each with a wake-up */
};

static _Thread_local struct park_own park_own;

/* --- who has it --- */

static bool park_change(struct park *park, int from, int to)
{
	return atomic_compare_exchange_strong(&park->state, &from, to);
}

static bool park_is_held(int state)
{
	return state == PARK_HELD || state == PARK_AGAIN;
}

/* Its own thread's, till nobody else is at it. */
static void park_await(struct park *park)
{
	unsigned busy;

	atomic_store(&park->awaited, true);
	while ((busy = atomic_load(&park->busy)))
		syscall(SYS_futex, &park->busy, FUTEX_WAIT_PRIVATE, busy, NULL, NULL, 0);
	atomic_store(&park->awaited, false);
}

/* The last that who has taken it does with it. */
static void park_leave(struct park *park)
{
	if (atomic_fetch_sub(&park->busy, 1) == 1 && atomic_load(&park->awaited))
		syscall(SYS_futex, &park->busy, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* --- for handlers --- */

bool park_possible(struct task *task)
{
	if (task != task_current || !task->thread || task->signals.restore_mask ||
	    trap_event_fd(task->thread) < 0)
		return false;
	if (!task->park.skip)
		return true;
	task->park.skip--;
	return false;
}

void park_begin(struct task *task, const struct park_ops *ops)
{
	struct park *park = &task->park;

	park->ops = ops;
	wait_begin(&park->wait, task);
	atomic_store(&park->state, PARK_HELD);
}

void park_cancel(struct task *task)
{
	wait_end(&task->park.wait);
	atomic_store(&task->park.state, PARK_NONE);
}

/* --- its own thread --- */

/* Return: false: somebody else has answered */
static bool park_watch(struct task *task, unsigned seen)
{
	struct park *park = &task->park;
	struct pollfd fd = { .fd = trap_event_fd(task->thread), .events = POLLIN };
	bool event = false;

	for (;;) {
		int state = atomic_load(&park->state);

		if (state == PARK_NONE || state == PARK_BACK)
			return state == PARK_BACK;
		if (!event && atomic_load(&task->wakeups) == seen &&
		    !atomic_load(&task->interrupted))
			event = wait_poll(&fd, 1, USEC_INFINITY) > 0;
		else if (park_is_held(state))
			park_await(park);
		else if (park_change(park, PARK_READY, PARK_HELD))
			return true;
	}
}

/* Taken back, or nobody could take it yet. */
static long park_resume(struct task *task)
{
	const struct park_ops *ops = task->park.ops;
	long r;

	park_cancel(task);
	task->park.skip = PARK_SKIP;
	r = ops->resume(task);
	if (ops->drop)
		ops->drop(task);
	syscall_done(task, task->event.nr, task->event.args, r);
	return r;
}

void park_settle(struct task *task)
{
	if (atomic_load(&task->park.busy))
		park_await(&task->park);
}

bool park_listen(struct task *task, long *result)
{
	struct park *park = &task->park;
	unsigned seen = park->wait.seen;
	bool ours = true;

	park_turn();
	atomic_store(&task->polling, true);
	if (park_change(park, PARK_HELD, PARK_READY))
		ours = park_watch(task, seen);
	atomic_store_explicit(&task->polling, false, memory_order_relaxed);
	if (!ours)
		return false;
	if (atomic_load(&park->state) == PARK_BACK) {
		*result = park->result;
		atomic_store(&park->state, PARK_NONE);
	} else {
		*result = park_resume(task);
	}
	return true;
}

/* --- wakers --- */

/* Only calls that are over soon: who waits for this one does not wait for much else. */
static bool park_takes(void)
{
	if (!task_current || park_own.taken || !park_own.turned || park_own.turns < PARK_TURNS)
		return false;
	switch (atomic_load_explicit(&task_current->watch, memory_order_relaxed)) {
	case SYS_write:
	case SYS_writev:
	case SYS_sendto:
	case SYS_sendmsg:
		return true;
	default:
		return false;
	}
}

static bool park_take(struct task *task)
{
	struct park *park = &task->park;

	atomic_fetch_add(&park->busy, 1);
	if (park_change(park, PARK_READY, PARK_HELD)) {
		park_own.taken = task_get(task);
		return true;
	}
	park_leave(park);
	return false;
}

void park_wake(struct task *task)
{
	struct park *park = &task->park;

	park_own.woke = true;
	for (;;) {
		switch (atomic_load(&park->state)) {
		case PARK_AGAIN:
			return;
		case PARK_HELD:
			if (park_change(park, PARK_HELD, PARK_AGAIN))
				return;
			break;
		case PARK_READY:
			if (!park_takes()) {
				task_wake(task);
				return;
			}
			if (park_take(task))
				return;
			break;
		default:
			task_wake(task);
			return;
		}
	}
}

void park_turn(void)
{
	park_own.turned = true;
}

/* Return: false: it is parked again, and not ours any more */
static bool park_try(struct task *task, long *result)
{
	struct park *park = &task->park;

	while ((*result = park->ops->finish(task)) == -EAGAIN) {
		if (park_change(park, PARK_HELD, PARK_READY))
			return false;
		atomic_store(&park->state, PARK_HELD);
	}
	return true;
}

/* As soon as nothing but the answer is left to do, its own thread may see the next event. */
static void park_finish(struct task *task)
{
	struct trap_thread *thread = task->thread;
	struct park *park = &task->park;
	long r;

	if (!park_try(task, &r))
		return;
	wait_end(&park->wait);
	if (park->ops->drop)
		park->ops->drop(task);
	syscall_done(task, task->event.nr, task->event.args, r);
	if (task_may_run(task, r)) {
		atomic_store(&park->state, PARK_NONE);
		trap_return(thread, r);
		return;
	}
	park->result = r;
	atomic_store(&park->state, PARK_BACK);
	task_wake(task);
}

/* The call is over, or sleeps. */
static void park_count(void)
{
	if (!park_own.woke)
		return;
	park_own.turns = park_own.turned ? park_own.turns + 1 : 0;
	park_own.woke = park_own.turned = false;
}

void park_work_off(void)
{
	struct task *self = task_current, *task;

	park_count();
	task = park_own.taken;
	if (!task)
		return;
	task_current = task;
	park_finish(task);
	task_current = self;
	park_own.taken = NULL; /* not before: what it wakes is not taken */
	park_leave(&task->park);
	task_put(task);
}
