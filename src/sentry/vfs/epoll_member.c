/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/epoll_member.c - who is a member of an epoll, and what it sleeps on
 *
 * A member is asked once, when it is added, what there is to sleep on. Queues of ours get an entry
 * that stays. A member that sleeps on a descriptor of the host and on nothing else is left to an
 * epoll of the host altogether: level, edge and one-shot are what the host makes of them, so that
 * a thousand connections cost one call. One with both is put on the ready list by either.
 *
 * Members are not referenced: file_put() says when one is gone (epoll_forget()).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "sentry/vfs/bound.h"
#include "sentry/vfs/epoll.h"

#define EPOLL_ALWAYS	((uint32_t)(EPOLLERR | EPOLLHUP))
#define EPOLL_ANY	((uint32_t)0x7fff & ~(uint32_t)EPOLLMSG)
#define EPOLL_EXCLUSIVE ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | \
				    EPOLLET | EPOLLEXCLUSIVE))

/* Of all epolls: fs.epoll.max_user_watches. */
static struct bound epoll_members = { .each = 4096, .least = 8192, .most = 1u << 18 };

/* --- what a member sleeps on --- */

struct epoll_collector {
	struct wait wait;
	struct file_watch *watch;
	int error;
};

static void epoll_collect_queue(struct wait *wait, struct waitq *q, uint32_t mask)
{
	struct epoll_collector *c = container_of(wait, struct epoll_collector, wait);
	struct file_watch *w = c->watch;
	struct epoll_hook *hook = &w->hook;

	if (hook->watch) {
		hook = calloc(1, sizeof(*hook));
		if (!hook) {
			c->error = -ENOMEM;
			return;
		}
		hook->next = w->more;
		w->more = hook;
	}
	hook->watch = w;
	hook->entry = (struct wait_entry){ .mask = mask, .exclusive = w->exclusive,
					   .wake = epoll_wake };
	waitq_add(q, &hook->entry);
}

static void epoll_collect_host(struct wait *wait, int fd, uint32_t mask)
{
	struct epoll_collector *c = container_of(wait, struct epoll_collector, wait);

	if (c->watch->host_fd >= 0)
		c->error = -EPERM; /* no kind of file has two */
	c->watch->host_fd = fd;
}

/* As it is for the host: all of it, or only edges that bring it to the ready list. */
static struct epoll_event epoll_host_event(struct file_watch *w)
{
	uint32_t events = w->event.events & ~(uint32_t)EPOLLWAKEUP;

	if (!epoll_host_only(w))
		events = (events & ~EPOLL_FLAGS) | EPOLLET;
	return (struct epoll_event){ .events = events, .data.ptr = w };
}

/* The same descriptor under two numbers of the guest's is two members, which the host does not
 * take: the second is a duplicate. */
static int epoll_host_add(struct epoll *ep, struct file_watch *w)
{
	struct epoll_event event = epoll_host_event(w);
	int host = epoll_host(ep);
	int fd = w->host_fd;

	w->host_fd = -1;
	if (host < 0)
		return host;
	if (epoll_ctl(host, EPOLL_CTL_ADD, fd, &event) < 0) {
		autoclose int copy = -1;

		if (errno == EPERM)
			return 0; /* a regular file: always ready, as its poll() says */
		if (errno != EEXIST)
			return -errno;
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (copy < 0 || epoll_ctl(host, EPOLL_CTL_ADD, copy, &event) < 0)
			return -errno;
		w->host_own = true;
		fd = steal_fd(&copy);
	}
	w->host_fd = fd;
	return 0;
}

static int epoll_hook_up(struct epoll *ep, struct file_watch *w, uint32_t *ready)
{
	struct epoll_collector c = {
		.wait = { .on = epoll_collect_queue, .on_host = epoll_collect_host },
		.watch = w,
	};

	*ready = file_poll(w->file, EPOLL_ANY, &c.wait);
	if (!c.error && w->host_fd >= 0)
		return epoll_host_add(ep, w);
	return c.error;
}

static void epoll_unhook(struct file_watch *w)
{
	struct epoll_hook *next;

	if (w->hook.watch)
		waitq_remove(&w->hook.entry);
	for (struct epoll_hook *hook = w->more; hook; hook = next) {
		next = hook->next;
		waitq_remove(&hook->entry);
		free(hook);
	}
	if (w->host_fd >= 0) {
		epoll_ctl(w->ep->host, EPOLL_CTL_DEL, w->host_fd, NULL);
		if (w->host_own)
			close(w->host_fd);
	}
}

/* --- members; epoll_lock held --- */

static struct file_watch **epoll_bucket(struct epoll *ep, int fd)
{
	return &ep->buckets[(unsigned)fd & (ep->nbuckets - 1)];
}

static struct file_watch *epoll_find(struct epoll *ep, const struct file *file, int fd)
{
	struct file_watch *w = ep->nbuckets ? *epoll_bucket(ep, fd) : NULL;

	while (w && (w->file != file || w->fd != fd))
		w = w->bucket_next;
	return w;
}

/* Twice as many buckets when there is one member for each. */
static int epoll_grow(struct epoll *ep)
{
	struct epoll grown = { .nbuckets = ep->nbuckets ? ep->nbuckets * 2 : 8 };

	if (ep->nmembers < ep->nbuckets)
		return 0;
	grown.buckets = calloc(grown.nbuckets, sizeof(struct file_watch *));
	if (!grown.buckets)
		return -ENOMEM;
	for (unsigned i = 0; i < ep->nbuckets; i++) {
		struct file_watch *next;

		for (struct file_watch *w = ep->buckets[i]; w; w = next) {
			struct file_watch **bucket = epoll_bucket(&grown, w->fd);

			next = w->bucket_next;
			w->bucket_next = *bucket;
			*bucket = w;
		}
	}
	free(ep->buckets);
	ep->buckets = grown.buckets;
	ep->nbuckets = grown.nbuckets;
	return 0;
}

static void epoll_link(struct epoll *ep, struct file_watch *w)
{
	struct file_watch **bucket = epoll_bucket(ep, w->fd);

	w->bucket_next = *bucket;
	*bucket = w;
	w->file_next = w->file->watches;
	w->file->watches = w;
	ep->nmembers++;
	ep->nepolls += epoll_is(w->file);
}

static void epoll_unlink(struct epoll *ep, struct file_watch *w)
{
	struct file_watch **p;

	for (p = epoll_bucket(ep, w->fd); *p != w; p = &(*p)->bucket_next)
		;
	*p = w->bucket_next;
	for (p = &w->file->watches; *p != w; p = &(*p)->file_next)
		;
	*p = w->file_next;
	ep->nmembers--;
	ep->nepolls -= epoll_is(w->file);
	bound_give(&epoll_members, 1);
}

/* Off every list; ep->lock keeps out who collects. */
void epoll_remove(struct file_watch *w)
{
	struct epoll *ep = w->ep;

	pthread_mutex_lock(&ep->lock);
	epoll_unhook(w);
	epoll_ready_remove(ep, w);
	epoll_unlink(ep, w);
	pthread_mutex_unlock(&ep->lock);
	free(w);
}

void epoll_forget(struct file *file)
{
	pthread_mutex_lock(&epoll_lock);
	while (file->watches)
		epoll_remove(file->watches);
	pthread_mutex_unlock(&epoll_lock);
}

/* --- epoll_ctl --- */

/* What is ready when it becomes a member, or is wanted in another way, is an event. */
static void epoll_announce(struct epoll *ep, struct file_watch *w, uint32_t ready)
{
	if (!epoll_host_only(w) && ready & w->mask && epoll_ready_add(ep, w))
		epoll_tell(ep);
}

static void epoll_set_event(struct file_watch *w, const struct epoll_event *event)
{
	w->event = *event;
	w->event.events |= EPOLL_ALWAYS;
	w->mask = w->event.events & ~EPOLL_FLAGS;
}

static int epoll_add(struct epoll *ep, struct file *file, int fd, const struct epoll_event *event)
{
	struct file_watch *w;
	uint32_t ready = 0;
	int r = epoll_is(file) ? epoll_check_nesting(ep, epoll_of(file)) : 0;

	if (!r)
		r = epoll_grow(ep);
	if (!r && !bound_take(&epoll_members, 1))
		r = -ENOSPC;
	if (r)
		return r;
	w = calloc(1, sizeof(*w));
	if (!w) {
		bound_give(&epoll_members, 1);
		return -ENOMEM;
	}
	w->ep = ep;
	w->file = file;
	w->fd = fd;
	w->host_fd = -1;
	w->exclusive = event->events & EPOLLEXCLUSIVE;
	epoll_set_event(w, event);
	epoll_link(ep, w);
	r = epoll_hook_up(ep, w, &ready);
	if (r)
		epoll_remove(w);
	else
		epoll_announce(ep, w, ready);
	return r;
}

static int epoll_modify(struct epoll *ep, struct file_watch *w, const struct epoll_event *event)
{
	struct epoll_event host;
	uint32_t ready;

	if (w->exclusive || event->events & EPOLLEXCLUSIVE)
		return -EINVAL;
	pthread_mutex_lock(&ep->lock);
	epoll_set_event(w, event);
	pthread_mutex_unlock(&ep->lock);
	host = epoll_host_event(w);
	if (w->host_fd >= 0 && epoll_ctl(ep->host, EPOLL_CTL_MOD, w->host_fd, &host) < 0)
		return -errno;
	if (epoll_host_only(w))
		return 0;
	ready = file_poll(w->file, w->mask, NULL);
	epoll_announce(ep, w, ready);
	return 0;
}

static int epoll_change(struct epoll *ep, int op, struct file *file, int fd,
			const struct epoll_event *event)
{
	struct file_watch *w = epoll_find(ep, file, fd);

	switch (op) {
	case EPOLL_CTL_ADD:
		return w ? -EEXIST : epoll_add(ep, file, fd, event);
	case EPOLL_CTL_MOD:
		return w ? epoll_modify(ep, w, event) : -ENOENT;
	case EPOLL_CTL_DEL:
		if (!w)
			return -ENOENT;
		epoll_remove(w);
		return 0;
	default:
		return -EINVAL;
	}
}

int epoll_control(struct file *epoll, int op, struct file *file, int fd,
		  const struct epoll_event *event)
{
	int r;

	if (!file->ops->poll)
		return -EPERM;
	if (file == epoll || !epoll_is(epoll))
		return -EINVAL;
	if (op != EPOLL_CTL_DEL && event->events & EPOLLEXCLUSIVE &&
	    (op == EPOLL_CTL_MOD || epoll_is(file) || event->events & ~EPOLL_EXCLUSIVE))
		return -EINVAL;
	pthread_mutex_lock(&epoll_lock);
	r = epoll_change(epoll_of(epoll), op, file, fd, event);
	pthread_mutex_unlock(&epoll_lock);
	return r;
}
