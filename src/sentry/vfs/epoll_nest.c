/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/epoll_nest.c - epolls that are members of epolls: how deep, how many ways, no rounds
 *
 * A wake-up goes all the ways up from a member, under its queue's lock; so there is a bound to both
 * their length and their number.
 */
#include <errno.h>

#include "sentry/vfs/epoll.h"

#define EPOLL_NEST_MAX	4   /* epolls above or below another */
#define EPOLL_PATHS_MAX 500 /* ways up from one */

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

int epoll_check_nesting(const struct epoll *ep, struct epoll *member)
{
	if (epoll_height(ep) + 1 + epoll_depth(member, ep) > EPOLL_NEST_MAX)
		return -ELOOP;
	return epoll_paths_fit(member, epoll_paths(ep) + 1) ? 0 : -EINVAL;
}
