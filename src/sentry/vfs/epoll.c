/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/epoll.c - one descriptor that tells which of many are ready
 *
 *	member's queue --epoll_wake()--> ready list --collect: poll() once more--> events
 *	member's host descriptor ------> epoll of the host ---------------------> events
 *
 * A member is asked once, when it is added, what there is to sleep on. Queues of ours get an entry
 * that stays; who is woken there is put on the ready list, and asked again when events are
 * collected. A member that sleeps on a descriptor of the host and on nothing else is left to an
 * epoll of the host altogether: level, edge and one-shot are what the host makes of them, so that
 * a thousand connections cost one call. A member with both is put on the ready list by either.
 *
 * Members are not referenced: file_put() says when one is gone (epoll_forget()).
 *
 * Locks, from the outside in: epoll_lock (who is a member of what), an epoll's lock (its members'
 * events; one nested in another after that one's), locks of files' kinds, queues, ready_lock.
 */
#include "sentry/vfs/anon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/task/task.h"

#define EPOLL_NEST_MAX	  4	  /* epolls above or below another */
#define EPOLL_PATHS_MAX	  500	  /* ways up from one, which a wake-up goes all */
#define EPOLL_MEMBERS_MAX (1 << 18) /* of all epolls: fs.epoll.max_user_watches */
#define EPOLL_HOST_EVENTS 64

#define EPOLL_FLAGS	(EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP)
#define EPOLL_ALWAYS	((uint32_t)(EPOLLERR | EPOLLHUP))
#define EPOLL_ANY	((uint32_t)0x7fff & ~(uint32_t)EPOLLMSG)
#define EPOLL_EXCLUSIVE (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | \
			 EPOLLEXCLUSIVE)

struct epoll_hook {
	struct wait_entry entry;
	struct file_watch *watch;
	struct epoll_hook *next;
};

/* A member. */
struct file_watch {
	struct epoll *ep;
	struct file *file;		   /* borrowed */
	int fd;
	struct file_watch *bucket_next;	   /* epoll_lock */
	struct file_watch *file_next;	   /* epoll_lock; file->watches */
	struct file_watch *ready_prev, *ready_next; /* ready_lock */
	bool ready;			   /* ready_lock */
	bool exclusive;
	struct epoll_event event;	   /* ep->lock */
	_Atomic uint32_t mask;		   /* what counts now; 0: one-shot, and fired */
	struct epoll_hook hook, *more;	   /* queues; hook.watch NULL: none */
	int host_fd;			   /* -1: none; borrowed unless host_own */
	bool host_own;
};

struct epoll {
	struct file file;
	pthread_mutex_t lock;
	struct waitq sleepers; /* in epoll_await() */
	struct waitq pollers;  /* those who poll us, and epolls that we are a member of */
	pthread_mutex_t ready_lock;
	struct file_watch *ready_first, *ready_last;
	unsigned nready;
	bool host_first;       /* lock; who is asked first takes turns */
	_Atomic int host;      /* epoll of the host; -1: none yet */
	struct file_watch **buckets; /* epoll_lock */
	unsigned nbuckets, nmembers, nepolls;
};

static pthread_mutex_t epoll_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned epoll_members; /* epoll_lock */

static const struct file_ops epoll_ops;

static struct epoll *epoll_of(struct file *file)
{
	return container_of(file, struct epoll, file);
}

bool epoll_is(const struct file *file)
{
	return file->ops == &epoll_ops;
}

/* Only members that the host knows all about are its alone. */
static bool epoll_host_only(const struct file_watch *w)
{
	return w->host_fd >= 0 && !w->hook.watch;
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

static bool epoll_ready_add(struct epoll *ep, struct file_watch *w)
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

static void epoll_ready_remove(struct epoll *ep, struct file_watch *w)
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
static bool epoll_tell(struct epoll *ep)
{
	bool heard = waitq_wake_some(&ep->sleepers, POLLIN, 1) > 0;

	if (waitq_empty(&ep->pollers))
		return heard;
	waitq_wake(&ep->pollers, POLLIN | POLLRDNORM);
	return true;
}

static bool epoll_wake(struct wait_entry *entry, uint32_t events)
{
	struct file_watch *w = container_of(entry, struct epoll_hook, entry)->watch;
	uint32_t mask = w->mask;

	if (!mask || !(events & mask))
		return false;
	epoll_ready_add(w->ep, w);
	return epoll_tell(w->ep);
}

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

/* The host's epoll. Whoever sleeps without it looks again. */
static int epoll_host(struct epoll *ep)
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

/* As it is for the host: all of it, or only edges that bring it to the ready list. */
static struct epoll_event epoll_host_event(struct file_watch *w)
{
	uint32_t events = w->event.events & ~(uint32_t)EPOLLWAKEUP;

	if (!epoll_host_only(w))
		events = (events & ~(uint32_t)EPOLL_FLAGS) | EPOLLET;
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
	epoll_members++;
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
	epoll_members--;
}

/* Off every list; ep->lock keeps out who collects. */
static void epoll_remove(struct file_watch *w)
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

/* --- epolls in epolls; epoll_lock held --- */

static unsigned epoll_height(const struct epoll *ep)
{
	unsigned max = 0;

	for (const struct file_watch *w = ep->file.watches; w; w = w->file_next) {
		unsigned h = 1 + epoll_height(w->ep);

		max = h > max ? h : max;
	}
	return max;
}

/* How far it goes down; more than EPOLL_NEST_MAX: too far, or round to @top. */
static unsigned epoll_depth(const struct epoll *ep, const struct epoll *top)
{
	unsigned max = 0;

	if (ep == top)
		return EPOLL_NEST_MAX + 1;
	for (unsigned i = 0; ep->nepolls && i < ep->nbuckets; i++) {
		for (struct file_watch *w = ep->buckets[i]; w; w = w->bucket_next) {
			unsigned d = epoll_is(w->file) ? 1 + epoll_depth(epoll_of(w->file), top) : 0;

			max = d > max ? d : max;
		}
	}
	return max;
}

/* Ways up from it, counted until there are too many. */
static unsigned epoll_paths(const struct epoll *ep)
{
	unsigned n = 0;

	for (const struct file_watch *w = ep->file.watches; w && n <= EPOLL_PATHS_MAX;
	     w = w->file_next)
		n += 1 + epoll_paths(w->ep);
	return n;
}

static bool epoll_paths_fit(const struct epoll *ep, unsigned more)
{
	if (epoll_paths(ep) + more > EPOLL_PATHS_MAX)
		return false;
	for (unsigned i = 0; ep->nepolls && i < ep->nbuckets; i++)
		for (struct file_watch *w = ep->buckets[i]; w; w = w->bucket_next)
			if (epoll_is(w->file) && !epoll_paths_fit(epoll_of(w->file), more))
				return false;
	return true;
}

static int epoll_check_nesting(const struct epoll *ep, const struct epoll *member)
{
	if (epoll_height(ep) + 1 + epoll_depth(member, ep) > EPOLL_NEST_MAX)
		return -ELOOP;
	return epoll_paths_fit(member, epoll_paths(ep) + 1) ? 0 : -EINVAL;
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
	w->mask = w->event.events & ~(uint32_t)EPOLL_FLAGS;
}

static int epoll_add(struct epoll *ep, struct file *file, int fd, const struct epoll_event *event)
{
	struct file_watch *w;
	uint32_t ready = 0;
	int r = epoll_is(file) ? epoll_check_nesting(ep, epoll_of(file)) : 0;

	if (!r && epoll_members >= EPOLL_MEMBERS_MAX)
		r = -ENOSPC;
	if (!r)
		r = epoll_grow(ep);
	if (r)
		return r;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
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
	    (op == EPOLL_CTL_MOD || epoll_is(file) || event->events & ~(uint32_t)EPOLL_EXCLUSIVE))
		return -EINVAL;
	pthread_mutex_lock(&epoll_lock);
	r = epoll_change(epoll_of(epoll), op, file, fd, event);
	pthread_mutex_unlock(&epoll_lock);
	return r;
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

static int epoll_take_host(struct epoll *ep, struct epoll_event *events, int max)
{
	struct epoll_event got[EPOLL_HOST_EVENTS];
	int taken = 0;
	int n;

	if (ep->host < 0 || max <= 0)
		return 0;
	n = epoll_pwait(ep->host, got, max < EPOLL_HOST_EVENTS ? max : EPOLL_HOST_EVENTS, 0, NULL);
	for (int i = 0; i < n; i++) {
		struct file_watch *w = got[i].data.ptr;

		if (epoll_host_only(w))
			events[taken++] = (struct epoll_event){ .events = got[i].events,
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
