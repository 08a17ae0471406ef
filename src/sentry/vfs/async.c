/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/async.c - O_ASYNC: a signal when there is something to read or room to write
 *
 *	file's queues -> async_wake() -> timer thread -> SIGIO, or what F_SETSIG says
 *
 * Who wakes a queue may hold any lock, and a signal needs the outermost; so it is sent by the timer
 * thread, and several that come at once may be one. Files that sleep on descriptors of the host
 * send none: nobody looks at those while no task sleeps.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"
#include "sentry/task/timer.h"
#include "sentry/vfs/anon.h"

#define ASYNC_QUEUES 4

struct file_async {
	struct timer timer;
	struct file *file; /* whose this is */
	struct sandbox_container *container; /* a reference; owners are of it */
	struct cred *cred; /* reference: who wanted signals */
	_Atomic uint32_t events;
	unsigned nhooks;
	struct async_hook {
		struct wait_entry entry;
		struct file_async *async;
	} hooks[ASYNC_QUEUES];
};

struct async_collector {
	struct wait wait;
	struct file_async *async;
};

static pthread_mutex_t async_lock = PTHREAD_MUTEX_INITIALIZER; /* file->async, all of them */

static bool async_wake(struct wait_entry *entry, uint32_t events)
{
	struct file_async *async = container_of(entry, struct async_hook, entry)->async;

	if (!atomic_fetch_or(&async->events, events))
		timer_arm(&async->timer, CLOCK_MONOTONIC, 1);
	return false;
}

static void async_collect(struct wait *wait, struct waitq *q, uint32_t mask)
{
	struct file_async *async = container_of(wait, struct async_collector, wait)->async;
	struct async_hook *hook = &async->hooks[async->nhooks];

	if (async->nhooks == ASYNC_QUEUES)
		return;
	async->nhooks++;
	hook->async = async;
	hook->entry = (struct wait_entry){ .mask = mask, .wake = async_wake };
	waitq_add(q, &hook->entry);
}

static void async_collect_host(struct wait *wait, int fd, uint32_t mask)
{
}

/* As Linux's sigio_perm(): no way to signal whom one may not signal otherwise. */
static bool async_permitted(const struct file_async *async, const struct process *to)
{
	const struct cred *own = async->cred;
	const struct cred *other = to->tasks ? to->tasks->cred : NULL;

	return other && (own->euid == 0 || own->euid == other->suid || own->euid == other->uid ||
			 own->uid == other->suid || own->uid == other->uid);
}

static void async_send(const struct file_async *async, struct process *to, uint32_t events)
{
	bool in = events & (POLLIN | POLLHUP | POLLERR);
	int64_t band = in ? POLLIN | POLLRDNORM : POLLOUT | POLLWRNORM | POLLWRBAND;
	struct signal_info info = { .signo = async->file->async_sig, .code = in ? POLL_IN : POLL_OUT };

	if (!async_permitted(async, to))
		return;
	memcpy(info.fields, &band, sizeof(band));
	signal_process_send(to, info.signo ? info.signo : SIGIO, info.signo ? &info : NULL);
}

static void async_expired(struct timer *timer)
{
	struct file_async *async = container_of(timer, struct file_async, timer);
	uint32_t events = atomic_exchange(&async->events, 0);
	int owner = async->file->async_owner;

	pthread_mutex_lock(&kernel.tasks_lock);
	if (owner > 0) {
		struct process *process = process_find(async->container, owner);

		if (process)
			async_send(async, process, events);
	} else if (owner < 0) {
		struct pgrp *pgrp = pgrp_find(async->container, -owner);

		for (struct process *p = pgrp ? pgrp->processes : NULL; p; p = p->pgrp_next)
			async_send(async, p, events);
	}
	pthread_mutex_unlock(&kernel.tasks_lock);
}

static int async_start(struct file *file, struct task *task)
{
	struct async_collector c = {
		.wait = { .on = async_collect, .on_host = async_collect_host },
	};

	if (file->async || !file->ops->poll)
		return 0;
	c.async = calloc(1, sizeof(*c.async));
	if (!c.async)
		return -ENOMEM;
	c.async->timer.fn = async_expired;
	c.async->file = file;
	c.async->container = container_get(task->process->container);
	c.async->cred = cred_get(task->cred);
	file->async = c.async;
	file_poll(file, POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLPRI, &c.wait);
	return 0;
}

static void async_stop(struct file_async *async)
{
	for (unsigned i = 0; i < async->nhooks; i++)
		waitq_remove(&async->hooks[i].entry);
	timer_cancel(&async->timer);
	cred_put(async->cred);
	container_put(async->container);
	free(async);
}

int file_set_async(struct file *file, struct task *task, bool on)
{
	struct file_async *gone = NULL;
	int r = 0;

	pthread_mutex_lock(&async_lock);
	if (on)
		r = async_start(file, task);
	else
		gone = steal_ptr(file->async);
	pthread_mutex_unlock(&async_lock);
	if (gone)
		async_stop(gone);
	return r;
}
