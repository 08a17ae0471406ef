/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/epoll.h - what the files of epoll share
 *
 *	epoll.c         what is ready, who is told, how it is collected
 *	epoll_member.c  who is a member, and what it sleeps on
 *	epoll_nest.c    epolls that are members of epolls
 */
#ifndef SENTRY_VFS_EPOLL_H
#define SENTRY_VFS_EPOLL_H

#include "base/cleanup.h"
#include "sentry/vfs/anon.h"

#define EPOLL_FLAGS ((uint32_t)(EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP))

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
	unsigned nbuckets, nepolls;
	_Atomic unsigned nmembers;   /* changed under epoll_lock */
};

/* Who is a member of what, in all of them. */
extern pthread_mutex_t epoll_lock;

static inline struct epoll *epoll_of(struct file *file)
{
	return container_of(file, struct epoll, file);
}

/* epoll_host_only() - Only members that the host knows all about are its alone */
static inline bool epoll_host_only(const struct file_watch *w)
{
	return w->host_fd >= 0 && !w->hook.watch;
}

/* epoll_ready_add() - To the end of the ready list. Return: false: it was there already */
bool epoll_ready_add(struct epoll *ep, struct file_watch *w);
void epoll_ready_remove(struct epoll *ep, struct file_watch *w);
/* epoll_tell() - There is something: one sleeper and all pollers. Return: whether anybody heard */
bool epoll_tell(struct epoll *ep);
/* epoll_wake() - A member's queue was woken */
bool epoll_wake(struct wait_entry *entry, uint32_t events);
/* epoll_host() - The host's epoll, made now if there is none. Negative errno */
int epoll_host(struct epoll *ep);

/* epoll_remove() - Not a member any more; frees it. epoll_lock held. */
void epoll_remove(struct file_watch *w);

/* epoll_check_nesting() - May @member become one of @ep? 0, -ELOOP, -EINVAL. epoll_lock held. */
int epoll_check_nesting(const struct epoll *ep, struct epoll *member);

#endif /* SENTRY_VFS_EPOLL_H */
