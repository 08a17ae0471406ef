/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/waitq.h - how a task waits, for one thing or for many
 *
 * There is one way to sleep: put entries on queues (and descriptors of the host into the poll
 * table), look whether it is worth sleeping, sleep, take them off again. Whoever changes what
 * somebody may wait for calls waitq_wake() on the queue afterwards.
 *
 *	struct wait wait;
 *	wait_begin(&wait, task);
 *	for (;;) {
 *		wait_reset(&wait);
 *		wait_on(&wait, &pipe->readers, POLLIN);
 *		if (there is something) break;
 *		r = wait_sleep(&wait, deadline);      0, -ETIMEDOUT, -ERESTARTSYS
 *		if (r) break;
 *	}
 *	wait_end(&wait);
 *
 * Who wants to be told for longer than one sleep (epoll, O_ASYNC) hands a poll operation a struct
 * wait with functions of its own in ->on and ->on_host and no task: what would be slept on is then
 * given to these, and nothing is put anywhere. wait_begin(&wait, NULL) makes such a one.
 *
 * A queue's lock is a leaf; a wake-up callback runs under it and takes no other lock but queues'
 * of its own, from member to epoll, never back.
 */
#ifndef SENTRY_TASK_WAITQ_H
#define SENTRY_TASK_WAITQ_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct task;
struct wait;
struct wait_entry;

struct waitq {
	pthread_mutex_t lock;
	struct wait_entry *first, *last;
};

#define WAITQ_INIT { .lock = PTHREAD_MUTEX_INITIALIZER }

struct wait_entry {
	struct waitq *queue; /* NULL: on none */
	struct wait_entry *prev, *next;
	uint32_t mask;	     /* of POLL*; ERR and HUP always wake */
	bool exclusive;	     /* after one of these was woken, no further one is */
	/* Under the queue's lock. Return: whether it counts as woken, for exclusive ones */
	bool (*wake)(struct wait_entry *entry, uint32_t events);
};

void waitq_init(struct waitq *q);
void waitq_destroy(struct waitq *q); /* nobody may be on it */
/* waitq_wake() - Any thread, any lock held */
void waitq_wake(struct waitq *q, uint32_t events);
/* waitq_wake_some() - At most @max entries. Return: how many */
unsigned waitq_wake_some(struct waitq *q, uint32_t events, unsigned max);
void waitq_add(struct waitq *q, struct wait_entry *entry); /* entry->wake and mask are set */
void waitq_remove(struct wait_entry *entry);		   /* also when on none */
bool waitq_empty(struct waitq *q);

#define WAIT_INLINE 4

struct wait_slot {
	struct wait_entry entry;
	struct wait *wait;
};

/* One sleep of one task. Allocates only beyond WAIT_INLINE queues or descriptors. */
struct wait {
	struct task *task;
	unsigned seen; /* task->wakeups when it was last reset: what came later ends the sleep */
	struct wait_slot inline_slots[WAIT_INLINE];
	struct wait_chunk *chunks, *chunk; /* more slots, which do not move; the one in use */
	unsigned nslots;
	struct pollfd inline_fds[WAIT_INLINE], *fds;
	unsigned nfds, cap_fds;
	bool failed; /* out of memory: wait_sleep() says so */
	/* Set by who collects instead of sleeping: all that wait_on() and wait_on_host() then do */
	void (*on)(struct wait *wait, struct waitq *q, uint32_t mask);
	void (*on_host)(struct wait *wait, int fd, uint32_t mask);
};

void wait_begin(struct wait *wait, struct task *task);
void wait_reset(struct wait *wait); /* everything off */
void wait_end(struct wait *wait);
void wait_on(struct wait *wait, struct waitq *q, uint32_t mask);
/* wait_on_host() - A descriptor of the host; kept by the caller until wait_reset() or end */
void wait_on_host(struct wait *wait, int fd, uint32_t mask);

/**
 * wait_sleep() - Until a queue is woken, a descriptor is ready, @deadline, or a signal
 * @deadline:	CLOCK_MONOTONIC microseconds, USEC_INFINITY: none
 *
 * No lock may be held, no memfile_enter() section be open. May return 0 for no reason.
 *
 * Return: 0, -ETIMEDOUT, -ENOMEM, -ERESTARTSYS: a signal to be delivered, or the task must end
 */
int wait_sleep(struct wait *wait, usec_t deadline);
/* wait_sleep_killable() - The same, but only the task's end disturbs it */
int wait_sleep_killable(struct wait *wait, usec_t deadline);
/* wait_woken() - Whether something was woken since wait_reset(): it is time to look again */
bool wait_woken(const struct wait *wait);

/* wait_signal_install() - Once, before there are tasks: the host's signal that ends a poll(2) of
 * another thread of ours */
void wait_signal_install(void);

#endif /* SENTRY_TASK_WAITQ_H */
