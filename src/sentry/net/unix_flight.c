/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/unix_flight.c - descriptors in messages, and the cycles they can make
 *
 * A unix socket that is only referred to by messages is lost when these lie in queues that can only
 * be read through lost sockets themselves. Then the queues are emptied:
 *
 *	candidates   all references to the file are in messages
 *	unseen       how many of them are not in queues of candidates; > 0: somebody can get it
 *	reachable    these, and whatever lies in their queues
 *	the rest     lost
 *
 * A reference to a file is in flight from before its message is in a queue until after it was taken
 * out, and changes of that wait while a collection looks. So one that is on its way is not found,
 * and counts as reachable.
 *
 * Files in flight are bounded, all together: by the sender's RLIMIT_NOFILE, and by a number.
 *
 * Called by unix_send.c, unix_recv.c and when a socket ends.
 */
#include "sentry/net/unix.h"

#include <linux/capability.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/task/task.h"

#define FLIGHT_MAX 65536u

static pthread_mutex_t flight_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned flight_count;		  /* files of any kind */
static struct unix_socket *flight_sockets; /* with inflight > 0 */
static _Atomic unsigned flight_nsockets;

static struct unix_socket *flight_socket(const struct file *file)
{
	return file->ops == &unix_file_ops ? (struct unix_socket *)file : NULL;
}

static void flight_link(struct unix_socket *u)
{
	if (u->inflight++)
		return;
	u->flight_prev = NULL;
	u->flight_next = flight_sockets;
	if (flight_sockets)
		flight_sockets->flight_prev = u;
	flight_sockets = u;
	atomic_fetch_add(&flight_nsockets, 1);
}

static void flight_unlink(struct unix_socket *u)
{
	if (--u->inflight)
		return;
	if (u->flight_prev)
		u->flight_prev->flight_next = u->flight_next;
	else
		flight_sockets = u->flight_next;
	if (u->flight_next)
		u->flight_next->flight_prev = u->flight_prev;
	atomic_fetch_sub(&flight_nsockets, 1);
}

static unsigned flight_limit(struct task *task)
{
	uint64_t limit = task_limit(task, RLIMIT_NOFILE);

	if (limit > FLIGHT_MAX || cred_capable(task->cred, CAP_SYS_RESOURCE) ||
	    cred_capable(task->cred, CAP_SYS_ADMIN))
		return FLIGHT_MAX;
	return (unsigned)limit;
}

static bool flight_try_attach(struct file **files, unsigned n, unsigned limit)
{
	bool fits;

	pthread_mutex_lock(&flight_lock);
	fits = flight_count + n <= limit;
	if (fits) {
		flight_count += n;
		for (unsigned i = 0; i < n; i++) {
			struct unix_socket *u = flight_socket(files[i]);

			if (u)
				flight_link(u);
		}
	}
	pthread_mutex_unlock(&flight_lock);
	return fits;
}

int flight_attach(struct task *task, struct file **files, unsigned n)
{
	unsigned limit = flight_limit(task);

	if (flight_try_attach(files, n, limit))
		return 0;
	flight_collect();
	return flight_try_attach(files, n, limit) ? 0 : -ETOOMANYREFS;
}

void flight_detach(struct file **files, unsigned n)
{
	if (!n)
		return;
	pthread_mutex_lock(&flight_lock);
	flight_count -= n;
	for (unsigned i = 0; i < n; i++) {
		struct unix_socket *u = flight_socket(files[i]);

		if (u)
			flight_unlink(u);
	}
	pthread_mutex_unlock(&flight_lock);
}

/* --- collection; flight_lock is held --- */

static void flight_visit_queue(const struct unix_queue *queue,
			       void (*visit)(struct unix_socket *u, void *data), void *data)
{
	for (const struct unix_message *m = queue->first; m; m = m->next) {
		for (unsigned i = 0; i < m->nfiles; i++) {
			struct unix_socket *u = flight_socket(m->files[i]);

			if (u && u->candidate)
				visit(u, data);
		}
	}
}

/* Candidates in messages that @u's readers get: also of connections it has not accepted. */
static void flight_visit(struct unix_socket *u, void (*visit)(struct unix_socket *u, void *data),
			 void *data)
{
	pthread_mutex_lock(&u->lock);
	flight_visit_queue(&u->queue, visit, data);
	for (struct unix_socket *other = u->backlog; other; other = other->backlog_next) {
		pthread_mutex_lock(&other->lock);
		flight_visit_queue(&other->queue, visit, data);
		pthread_mutex_unlock(&other->lock);
	}
	pthread_mutex_unlock(&u->lock);
}

static void flight_see(struct unix_socket *u, void *data)
{
	u->unseen--;
}

static void flight_reach(struct unix_socket *u, void *data)
{
	struct unix_socket **work = data;

	if (u->reachable)
		return;
	u->reachable = true;
	u->gc_next = *work;
	*work = u;
}

static void flight_mark(void)
{
	struct unix_socket *u, *work = NULL;

	for (u = flight_sockets; u; u = u->flight_next) {
		u->candidate = atomic_load(&u->socket.file.refs) == u->inflight;
		u->reachable = false;
		u->unseen = u->inflight;
	}
	for (u = flight_sockets; u; u = u->flight_next) {
		if (u->candidate)
			flight_visit(u, flight_see, NULL);
	}
	for (u = flight_sockets; u; u = u->flight_next) {
		if (u->candidate && u->unseen)
			flight_reach(u, &work);
	}
	while ((u = work)) {
		work = u->gc_next;
		flight_visit(u, flight_reach, &work);
	}
}

static void flight_take_queue(struct unix_socket *u, struct unix_queue *trash)
{
	if (!u->queue.first)
		return;
	if (trash->last)
		trash->last->next = u->queue.first;
	else
		trash->first = u->queue.first;
	trash->last = u->queue.last;
	trash->count += u->queue.count;
	trash->bytes += u->queue.bytes;
	u->queue = (struct unix_queue){ 0 };
}

static void flight_sweep(struct unix_queue *trash)
{
	for (struct unix_socket *u = flight_sockets; u; u = u->flight_next) {
		if (!u->candidate || u->reachable)
			continue;
		pthread_mutex_lock(&u->lock);
		flight_take_queue(u, trash);
		for (struct unix_socket *other = u->backlog; other; other = other->backlog_next) {
			pthread_mutex_lock(&other->lock);
			flight_take_queue(other, trash);
			pthread_mutex_unlock(&other->lock);
		}
		pthread_mutex_unlock(&u->lock);
	}
}

/* A look costs as much as there are in flight, so there is one for so many ends. */
void flight_ended(void)
{
	static _Atomic unsigned ends;
	unsigned nsockets = atomic_load(&flight_nsockets);

	if (!nsockets || atomic_fetch_add(&ends, 1) < nsockets / 16)
		return;
	atomic_store(&ends, 0);
	flight_collect();
}

/* What is emptied ends sockets, whose end asks for another look: one thread does all of it. */
void flight_collect(void)
{
	static _Atomic bool busy, again;

	if (!atomic_load(&flight_nsockets))
		return;
	atomic_store(&again, true);
	while (atomic_load(&again) && !atomic_exchange(&busy, true)) {
		struct unix_queue trash = { 0 };

		atomic_store(&again, false);
		pthread_mutex_lock(&flight_lock);
		flight_mark();
		flight_sweep(&trash);
		pthread_mutex_unlock(&flight_lock);
		unix_queue_free(&trash);
		atomic_store(&busy, false);
	}
}

/* --- releasing --- */

struct flight_release {
	struct file **files;
	size_t n, cap;
};

/* A file's end may release others, and so on: not by recursion, a stack is short. */
static _Thread_local struct flight_release *flight_active;

static void flight_later(struct flight_release *all, struct file **files, unsigned n)
{
	if (all->cap - all->n < n) {
		size_t cap = (all->n + n) * 2;
		struct file **more = reallocarray(all->files, cap, sizeof(struct file *));

		if (!more) {
			/* No memory to remember them: at worst this is deep. */
			for (unsigned i = 0; i < n; i++)
				file_put(files[i]);
			return;
		}
		all->files = more;
		all->cap = cap;
	}
	for (unsigned i = 0; i < n; i++)
		all->files[all->n++] = files[i];
}

void flight_release(struct file **files, unsigned n)
{
	struct flight_release all = { 0 };

	if (!n)
		return;
	if (flight_active) {
		flight_later(flight_active, files, n);
		return;
	}
	flight_active = &all;
	for (unsigned i = 0; i < n; i++)
		file_put(files[i]);
	while (all.n)
		file_put(all.files[--all.n]);
	flight_active = NULL;
	free(all.files);
}
