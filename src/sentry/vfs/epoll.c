/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/epoll.c - one descriptor that tells which of many are ready
 *
 *	member's queue --epoll_wake()--> ready list --collect: poll() once more--> events
 *	member's host descriptor ------> epoll of the host ---------------------> events
 *
 * Who is woken on a queue of ours is put on the ready list, and asked again when events are
 * collected; what stays ready goes to the list's end. Members that sleep on a descriptor of the host
 * alone are in an epoll of the host's, whose events are taken as they are.
 *
 * Locks, from the outside in: epoll_lock (who is a member of what), an epoll's lock (its members'
 * events; one nested in another after that one's), locks of files' kinds, queues, ready_lock.
 */
#include "sentry/vfs/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#include "sentry/task/task.h"

pthread_mutex_t epoll_lock = PTHREAD_MUTEX_INITIALIZER;

static const struct file_ops epoll_ops;

bool epoll_is(const struct file *file)
{
	return file->ops == &epoll_ops;
}

/* --- the ready list --- */

/* To the end, or to the front from where it was popped. Return: false: it was there already */
static bool epoll_ready_link(struct epoll *ep, struct file_watch *w, bool first)
{
	bool linked;

	pthread_mutex_lock(&ep->ready_lock);
	linked = !w->ready;
	if (linked) {
		w->ready = true;
		w->ready_prev = first ? NULL : ep->ready_last;
		w->ready_next = first ? ep->ready_first : NULL;
		*(w->ready_prev ? &w->ready_prev->ready_next : &ep->ready_first) = w;
		*(w->ready_next ? &w->ready_next->ready_prev : &ep->ready_last) = w;
		ep->nready++;
	}
	pthread_mutex_unlock(&ep->ready_lock);
	return linked;
}

bool epoll_ready_add(struct epoll *ep, struct file_watch *w)
{
	return epoll_ready_link(ep, w, false);
}

static void epoll_ready_unlink(struct epoll *ep, struct file_watch *w)
{
	*(w->ready_prev ? &w->ready_prev->ready_next : &ep->ready_first) = w->ready_next;
	*(w->ready_next ? &w->ready_next->ready_prev : &ep->ready_last) = w->ready_prev;
	w->ready = false;
	ep->nready--;
}

static struct file_watch *epoll_ready_pop(struct epoll *ep)
{
	struct file_watch *w;

	pthread_mutex_lock(&ep->ready_lock);
	w = ep->ready_first;
	if (w)
		epoll_ready_unlink(ep, w);
	pthread_mutex_unlock(&ep->ready_lock);
	return w;
}

void epoll_ready_remove(struct epoll *ep, struct file_watch *w)
{
	pthread_mutex_lock(&ep->ready_lock);
	if (w->ready)
		epoll_ready_unlink(ep, w);
	pthread_mutex_unlock(&ep->ready_lock);
}

static unsigned epoll_ready_count(struct epoll *ep)
{
	unsigned n;

	pthread_mutex_lock(&ep->ready_lock);
	n = ep->nready;
	pthread_mutex_unlock(&ep->ready_lock);
	return n;
}

/* One sleeper is enough: it wakes the next when it leaves something behind. */
bool epoll_tell(struct epoll *ep)
{
	bool heard = waitq_wake_some(&ep->sleepers, POLLIN, 1) > 0;

	if (waitq_empty(&ep->pollers))
		return heard;
	waitq_wake(&ep->pollers, POLLIN | POLLRDNORM);
	return true;
}

bool epoll_wake(struct wait_entry *entry, uint32_t events)
{
	struct file_watch *w = container_of(entry, struct epoll_hook, entry)->watch;
	uint32_t mask = w->mask;

	if (!mask || !(events & mask))
		return false;
	epoll_ready_add(w->ep, w);
	return epoll_tell(w->ep);
}

/* The host's epoll. Whoever sleeps without it looks again. */
int epoll_host(struct epoll *ep)
{
	int none = -1;
	int fd;

	if (ep->host >= 0)
		return ep->host;
	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!atomic_compare_exchange_strong(&ep->host, &none, fd)) {
		close(fd);
		return ep->host;
	}
	waitq_wake(&ep->sleepers, POLLIN);
	return fd;
}

/* --- what is ready; ep->lock held --- */

static int epoll_take_ready(struct epoll *ep, struct epoll_event *events, int max)
{
	struct file_watch *w;
	int n = 0;

	/* Each once: those that stay ready go to the end. */
	for (unsigned left = epoll_ready_count(ep); left && n < max; left--) {
		uint32_t ready;

		w = epoll_ready_pop(ep);
		if (!w)
			break;
		ready = w->mask ? file_poll(w->file, w->mask, NULL) & w->mask : 0;
		if (!ready)
			continue;
		events[n++] = (struct epoll_event){ .events = ready, .data = w->event.data };
		if (w->event.events & EPOLLONESHOT)
			w->mask = 0;
		else if (!(w->event.events & EPOLLET))
			epoll_ready_add(ep, w);
	}
	return n;
}

/* What the host gives is made ours in its place. */
static int epoll_take_host(struct epoll *ep, struct epoll_event *events, int max)
{
	int taken = 0;
	int n;

	if (ep->host < 0 || max <= 0)
		return 0;
	n = epoll_pwait(ep->host, events, max, 0, NULL);
	for (int i = 0; i < n; i++) {
		struct file_watch *w = events[i].data.ptr;

		if (epoll_host_only(w))
			events[taken++] = (struct epoll_event){ .events = events[i].events,
								.data = w->event.data };
		else
			epoll_ready_add(ep, w);
	}
	return taken;
}

/* The host is asked first, because it may bring members to the ready list; but every other time only
 * for what the list leaves room for, so that neither keeps the other out. */
static int epoll_collect(struct epoll *ep, struct epoll_event *events, int max)
{
	int room = max;
	int n;

	pthread_mutex_lock(&ep->lock);
	ep->host_first = !ep->host_first;
	if (!ep->host_first)
		room -= (int)epoll_ready_count(ep);
	n = epoll_take_host(ep, events, room);
	n += epoll_take_ready(ep, events + n, max - n);
	if (!n && room < max) {
		n = epoll_take_host(ep, events, max);
		n += epoll_take_ready(ep, events + n, max - n);
	}
	pthread_mutex_unlock(&ep->lock);
	return n;
}

unsigned epoll_count(struct file *epoll)
{
	return epoll_of(epoll)->nmembers;
}

int epoll_await(struct task *task, struct file *epoll, struct epoll_event *events, int max,
		usec_t deadline)
{
	struct epoll *ep = epoll_of(epoll);
	struct wait wait;
	int r = 0;
	int n;

	wait_begin(&wait, task);
	for (;;) {
		wait_reset(&wait);
		if (deadline && !r) {
			wait_on(&wait, &ep->sleepers, POLLIN);
			if (ep->host >= 0)
				wait_on_host(&wait, ep->host, POLLIN);
		}
		n = epoll_collect(ep, events, max);
		if (n || r || !deadline)
			break;
		r = wait_sleep(&wait, deadline);
	}
	wait_end(&wait);
	if (epoll_ready_count(ep))
		waitq_wake_some(&ep->sleepers, POLLIN, 1);
	if (n || r == -ETIMEDOUT)
		return n;
	return r == -ERESTARTSYS ? -EINTR : r;
}

/* --- as a file --- */

static bool epoll_any_ready(struct epoll *ep)
{
	bool found = false;

	pthread_mutex_lock(&ep->lock);
	for (unsigned left = epoll_ready_count(ep); left && !found; left--) {
		struct file_watch *w = epoll_ready_pop(ep);

		if (!w)
			break;
		found = w->mask && file_poll(w->file, w->mask, NULL) & w->mask;
		if (found)
			epoll_ready_link(ep, w, true);
	}
	pthread_mutex_unlock(&ep->lock);
	return found;
}

static uint32_t epoll_poll(struct file *file, uint32_t mask, struct wait *wait)
{
	struct epoll *ep = epoll_of(file);
	struct pollfd pfd = { .fd = -1, .events = POLLIN };
	const struct timespec now = { 0 };

	if (wait) {
		wait_on(wait, &ep->pollers, mask);
		pfd.fd = epoll_host(ep);
		if (pfd.fd >= 0)
			wait_on_host(wait, pfd.fd, POLLIN);
	}
	pfd.fd = ep->host;
	if (epoll_any_ready(ep) || (pfd.fd >= 0 && ppoll(&pfd, 1, &now, NULL) > 0))
		return mask & (POLLIN | POLLRDNORM);
	return 0;
}

static void epoll_release(struct file *file)
{
	struct epoll *ep = epoll_of(file);

	pthread_mutex_lock(&epoll_lock);
	for (unsigned i = 0; i < ep->nbuckets; i++)
		while (ep->buckets[i])
			epoll_remove(ep->buckets[i]);
	pthread_mutex_unlock(&epoll_lock);
	if (ep->host >= 0)
		close(ep->host);
	free(ep->buckets);
	file_free_common(file);
	waitq_destroy(&ep->sleepers);
	waitq_destroy(&ep->pollers);
	pthread_mutex_destroy(&ep->lock);
	pthread_mutex_destroy(&ep->ready_lock);
	free(ep);
}

static const struct file_ops epoll_ops = {
	.name = "anon_inode:[eventpoll]",
	.poll = epoll_poll,
	.seek = anon_seek,
	.release = epoll_release,
};

int epoll_open(struct file **out)
{
	struct epoll *ep = calloc(1, sizeof(*ep));

	if (!ep)
		return -ENOMEM;
	file_init(&ep->file, &epoll_ops, O_RDWR, NULL, NULL);
	pthread_mutex_init(&ep->lock, NULL);
	pthread_mutex_init(&ep->ready_lock, NULL);
	waitq_init(&ep->sleepers);
	waitq_init(&ep->pollers);
	ep->host = -1;
	*out = &ep->file;
	return 0;
}
