/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/wait.c - a task's sleep
 *
 *	wait_reset() notes task->wakeups; whoever wakes the task counts it up first and then
 *	looks whether it sleeps, and how; wait_sleep() lets the host compare the count once more
 *	(futex), or announces that it polls, and compares itself (poll)
 *
 * so that whatever comes after wait_reset() ends the sleep, however late that begins. A poll(2) is
 * ended by a signal that is blocked everywhere else: sent a moment too early it stays pending, a
 * moment too late it makes some later poll return for no reason.
 *
 * Only the task's own thread sleeps; any thread wakes.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/task/internal.h"
#include "sentry/task/task.h"

#define WAIT_CHUNK  32
#define WAIT_SIGNAL SIGUSR1

struct wait_chunk {
	struct wait_chunk *next;
	struct wait_slot slots[WAIT_CHUNK];
};

static pid_t wait_process; /* the one all threads are in */

static void wait_on_signal(int sig)
{
	(void)sig;
}

void wait_signal_install(void)
{
	struct sigaction action = { .sa_handler = wait_on_signal };

	wait_process = getpid();
	sigfillset(&action.sa_mask);
	sigaction(WAIT_SIGNAL, &action, NULL);
}

void task_wake(struct task *task)
{
	atomic_fetch_add(&task->wakeups, 1);
	if (atomic_load(&task->polling))
		syscall(SYS_tgkill, wait_process, task->host_tid, WAIT_SIGNAL);
	else if (atomic_load(&task->sleeping))
		syscall(SYS_futex, &task->wakeups, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool wait_wake_task(struct wait_entry *entry, uint32_t events)
{
	(void)events;
	park_wake(container_of(entry, struct wait_slot, entry)->wait->task);
	return true;
}

void wait_begin(struct wait *wait, struct task *task)
{
	wait->task = task;
	wait->chunks = wait->chunk = NULL;
	wait->nslots = 0;
	wait->fds = wait->inline_fds;
	wait->nfds = 0;
	wait->cap_fds = WAIT_INLINE;
	wait->failed = false;
	wait->on = NULL;
	wait->on_host = NULL;
	if (task)
		wait->seen = atomic_load(&task->wakeups);
}

void wait_reset(struct wait *wait)
{
	unsigned n = wait->nslots < WAIT_INLINE ? wait->nslots : WAIT_INLINE;

	for (unsigned i = 0; i < n; i++)
		waitq_remove(&wait->inline_slots[i].entry);
	wait->nslots -= n;
	for (struct wait_chunk *c = wait->chunks; wait->nslots; c = c->next) {
		n = wait->nslots < WAIT_CHUNK ? wait->nslots : WAIT_CHUNK;
		for (unsigned i = 0; i < n; i++)
			waitq_remove(&c->slots[i].entry);
		wait->nslots -= n;
	}
	wait->chunk = NULL;
	wait->nfds = 0;
	if (wait->task)
		wait->seen = atomic_load(&wait->task->wakeups);
}

void wait_end(struct wait *wait)
{
	wait_reset(wait);
	while (wait->chunks) {
		struct wait_chunk *next = wait->chunks->next;

		free(wait->chunks);
		wait->chunks = next;
	}
	if (wait->fds != wait->inline_fds)
		free(wait->fds);
	wait->fds = wait->inline_fds;
	wait->cap_fds = WAIT_INLINE;
}

static struct wait_slot *wait_slot_next(struct wait *wait)
{
	unsigned at;

	if (wait->nslots < WAIT_INLINE)
		return &wait->inline_slots[wait->nslots++];
	at = (wait->nslots - WAIT_INLINE) % WAIT_CHUNK;
	if (!at) {
		struct wait_chunk **link = wait->chunk ? &wait->chunk->next : &wait->chunks;

		if (!*link)
			*link = calloc(1, sizeof(**link));
		if (!*link)
			return NULL;
		wait->chunk = *link;
	}
	wait->nslots++;
	return &wait->chunk->slots[at];
}

void wait_on(struct wait *wait, struct waitq *q, uint32_t mask)
{
	struct wait_slot *slot;

	if (wait->on) {
		wait->on(wait, q, mask);
		return;
	}
	slot = wait_slot_next(wait);
	if (!slot) {
		wait->failed = true;
		return;
	}
	slot->wait = wait;
	slot->entry = (struct wait_entry){ .mask = mask, .wake = wait_wake_task };
	waitq_add(q, &slot->entry);
}

static bool wait_fds_grow(struct wait *wait)
{
	unsigned cap = wait->cap_fds * 4;
	struct pollfd *fds = malloc(cap * sizeof(*fds));

	if (!fds)
		return false;
	for (unsigned i = 0; i < wait->nfds; i++)
		fds[i] = wait->fds[i];
	if (wait->fds != wait->inline_fds)
		free(wait->fds);
	wait->fds = fds;
	wait->cap_fds = cap;
	return true;
}

void wait_on_host(struct wait *wait, int fd, uint32_t mask)
{
	if (wait->on_host) {
		wait->on_host(wait, fd, mask);
		return;
	}
	if (wait->nfds == wait->cap_fds && !wait_fds_grow(wait)) {
		wait->failed = true;
		return;
	}
	wait->fds[wait->nfds++] = (struct pollfd){ .fd = fd, .events = (short)mask };
}

bool wait_woken(const struct wait *wait)
{
	return atomic_load(&wait->task->wakeups) != wait->seen;
}

/* Return: 0 or -ETIMEDOUT */
static int wait_sleep_futex(struct wait *wait, usec_t deadline)
{
	struct task *task = wait->task;
	struct timespec ts = { .tv_sec = (time_t)(deadline / USEC_PER_SEC),
			       .tv_nsec = (long)(deadline % USEC_PER_SEC) * 1000 };
	long r;

	atomic_store(&task->sleeping, true);
	r = syscall(SYS_futex, &task->wakeups, FUTEX_WAIT_BITSET_PRIVATE, wait->seen,
		    deadline == USEC_INFINITY ? NULL : &ts, NULL, FUTEX_BITSET_MATCH_ANY);
	if (r < 0)
		r = -errno;
	atomic_store_explicit(&task->sleeping, false, memory_order_relaxed);
	return r == -ETIMEDOUT ? -ETIMEDOUT : 0;
}

int wait_poll(struct pollfd *fds, unsigned nfds, usec_t deadline)
{
	usec_t left = deadline_left(deadline);
	struct timespec ts = { .tv_sec = (time_t)(left / USEC_PER_SEC),
			       .tv_nsec = (long)(left % USEC_PER_SEC) * 1000 };
	sigset_t mask;

	sigfillset(&mask);
	sigdelset(&mask, WAIT_SIGNAL);
	return ppoll(fds, nfds, left == USEC_INFINITY ? NULL : &ts, &mask);
}

static int wait_sleep_poll(struct wait *wait, usec_t deadline)
{
	struct task *task = wait->task;
	int r = 1;

	atomic_store(&task->polling, true);
	if (!wait_woken(wait))
		r = wait_poll(wait->fds, wait->nfds, deadline);
	atomic_store_explicit(&task->polling, false, memory_order_relaxed);
	return r ? 0 : -ETIMEDOUT;
}

static int wait_sleep_any(struct wait *wait, usec_t deadline)
{
	if (wait->failed)
		return -ENOMEM;
	park_work_off();
	park_turn();
	return wait->nfds ? wait_sleep_poll(wait, deadline) : wait_sleep_futex(wait, deadline);
}

int wait_sleep(struct wait *wait, usec_t deadline)
{
	if (atomic_load(&wait->task->interrupted))
		return -ERESTARTSYS;
	return wait_sleep_any(wait, deadline);
}

int wait_sleep_killable(struct wait *wait, usec_t deadline)
{
	if (atomic_load(&wait->task->interrupted) && task_must_end(wait->task))
		return -ERESTARTSYS;
	return wait_sleep_any(wait, deadline);
}
