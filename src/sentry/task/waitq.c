/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/waitq.c - queues of those who want to know of a change
 *
 * A queue knows nothing of who is on it: an entry brings its own way of being woken. That a wake-up
 * is not lost follows from the order alone: who waits is on the queue before it looks, who changes
 * something looks at the queue after the change. Sleeping is in wait.c.
 *
 * Any thread.
 */
#include "sentry/task/waitq.h"

#define WAITQ_ALWAYS ((uint32_t)(POLLERR | POLLHUP | POLLNVAL))

void waitq_init(struct waitq *q)
{
	pthread_mutex_init(&q->lock, NULL);
	q->first = q->last = NULL;
}

void waitq_destroy(struct waitq *q)
{
	pthread_mutex_destroy(&q->lock);
}

void waitq_add(struct waitq *q, struct wait_entry *entry)
{
	pthread_mutex_lock(&q->lock);
	entry->queue = q;
	entry->next = NULL;
	entry->prev = q->last;
	if (q->last)
		q->last->next = entry;
	else
		q->first = entry;
	q->last = entry;
	pthread_mutex_unlock(&q->lock);
}

void waitq_remove(struct wait_entry *entry)
{
	struct waitq *q = entry->queue;

	if (!q)
		return;
	pthread_mutex_lock(&q->lock);
	if (entry->prev)
		entry->prev->next = entry->next;
	else
		q->first = entry->next;
	if (entry->next)
		entry->next->prev = entry->prev;
	else
		q->last = entry->prev;
	entry->queue = NULL;
	pthread_mutex_unlock(&q->lock);
}

bool waitq_empty(struct waitq *q)
{
	bool empty;

	pthread_mutex_lock(&q->lock);
	empty = !q->first;
	pthread_mutex_unlock(&q->lock);
	return empty;
}

unsigned waitq_wake_some(struct waitq *q, uint32_t events, unsigned max)
{
	unsigned woken = 0;

	pthread_mutex_lock(&q->lock);
	for (struct wait_entry *e = q->first; e && woken < max; e = e->next)
		if ((events & (e->mask | WAITQ_ALWAYS)) && e->wake(e, events))
			woken++;
	pthread_mutex_unlock(&q->lock);
	return woken;
}

void waitq_wake(struct waitq *q, uint32_t events)
{
	bool had = false; /* an exclusive one */

	pthread_mutex_lock(&q->lock);
	for (struct wait_entry *e = q->first; e; e = e->next) {
		if (!(events & (e->mask | WAITQ_ALWAYS)) || (e->exclusive && had))
			continue;
		if (e->wake(e, events) && e->exclusive)
			had = true;
	}
	pthread_mutex_unlock(&q->lock);
}
