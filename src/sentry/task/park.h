/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/park.h - calls that whoever makes them ready finishes
 *
 * Waking a thread on another processor costs more than a call. So a call that would block may be
 * parked: the handler keeps what is needed in task->park and returns TASK_PARKED, and the task's
 * thread goes to listen for its guest's next event. Who wakes it finishes the call in its place and
 * answers the guest, which runs on this very processor then; the task's own thread sleeps on.
 *
 *	              queue woken, by a task                    finish() is not -EAGAIN
 *	READY --------------------------------> HELD, by it ----------------------------> NONE
 *	  |  ^                                    |   |
 *	  |  +------------------------------------+   +--> BACK: with a result, for its own thread:
 *	  |            finish() is -EAGAIN                 a signal has come meanwhile
 *	  +--> HELD, by its own thread: a signal, the end, a waker that is no task --> NONE
 *
 * Whoever changes READY to HELD owns all of the task that is its thread's own, until it changes the
 * state again. A wake-up while it is held is noted (AGAIN) and makes the holder look once more.
 *
 * A waker has locks held, so it only takes the call, and works it off at the end of its own call or
 * before it sleeps in it; both without a lock. It takes one only in a dialogue, where it waits or
 * reads between any two wake-ups: else both have work to do, and two processors do that sooner.
 */
#ifndef SENTRY_TASK_PARK_H
#define SENTRY_TASK_PARK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "sentry/task/waitq.h"

struct file;
struct task;

/* What a handler returns that has parked its call; never a guest's result. */
#define TASK_PARKED (-4096L)

enum park_state {
	PARK_NONE,  /* no call is parked, or somebody has answered it */
	PARK_READY, /* it may be taken */
	PARK_HELD,  /* somebody is at it */
	PARK_AGAIN, /* the same, and there was a wake-up meanwhile */
	PARK_BACK,  /* its own thread is to answer with the result */
};

struct park_ops {
	/* Without sleeping, by any task's thread, with task_current the parked one. No lock is held.
	 * Return: the call's result, -EAGAIN: there is nothing yet */
	long (*finish)(struct task *task);
	/* By its own thread, as if it had never been parked: may sleep */
	long (*resume)(struct task *task);
	/* Let go of what is kept here; NULL: nothing */
	void (*drop)(struct task *task);
};

struct park {
	_Atomic int state;     /* enum park_state */
	_Atomic unsigned busy; /* others that have taken it, and are not through with it */
	_Atomic bool awaited;  /* its own thread sleeps on busy */
	unsigned skip;	       /* so many calls that are slept in, for nobody took the last one */
	const struct park_ops *ops;
	struct wait wait;      /* the queues that wake it */
	long result;	       /* of BACK */
	/* the handler's */
	struct file *file;     /* a reference */
	struct iovec iov;
};

/* --- for handlers, in the task's own thread --- */

/* park_possible() - Whether the call being served can be answered by another thread at all */
bool park_possible(struct task *task);
/* park_begin() - Then wait_on() with task->park.wait, and TASK_PARKED or park_cancel() */
void park_begin(struct task *task, const struct park_ops *ops);
void park_cancel(struct task *task);

/* --- for the task loop --- */

/* park_listen() - After TASK_PARKED, till the call is done. Return: false: somebody else has
 * answered it; true: with its result */
bool park_listen(struct task *task, long *result);
/* park_settle() - Its own thread lets go of task->thread: nobody answers with it any more */
void park_settle(struct task *task);
/* park_work_off() - Finish what this thread has taken. No lock held; before it sleeps */
void park_work_off(void);

/* --- for wakers --- */

/* park_wake() - What @task waits for may have come: out of wait_sleep(), or its parked call is
 * taken. Any lock may be held. */
void park_wake(struct task *task);
/* park_turn() - This thread waits for others or takes in what they sent: its next wake-up may take
 * a call */
void park_turn(void);

#endif /* SENTRY_TASK_PARK_H */
