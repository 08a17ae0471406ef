/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/events.c - what happens to a container, told to subscribers
 *
 * Each subscriber has a ring of its own; who emits never waits.  When it is
 * full, what comes is counted, and the count is told as COFFER_EVENT_LOST when
 * there is room again: a reader sees where something is missing.
 *
 * Subscriptions of another process's container are remote.c's.
 */
#include "container/container.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "container/remote.h"

#define EVENTS_ROOM 256 /* events that wait; LOST takes one place */

struct coffer_events {
	struct coffer_container *container; /* borrowed; NULL: it has been freed */
	int fd; /* eventfd, readable while there is an event; remote: the connection */

	/* Guarded by the container's lock. */
	struct coffer_events *next;
	uint64_t lost; /* since the last that was put into the ring */
	unsigned head, n;
	struct coffer_event ring[EVENTS_ROOM];
};

static const char *const events_names[] = {
	[COFFER_EVENT_CREATE] = "create", [COFFER_EVENT_START] = "start",
	[COFFER_EVENT_EXEC] = "exec",	  [COFFER_EVENT_OOM] = "oom",
	[COFFER_EVENT_EXIT] = "exit",	  [COFFER_EVENT_PAUSE] = "pause",
	[COFFER_EVENT_RESUME] = "resume", [COFFER_EVENT_STOP] = "stop",
	[COFFER_EVENT_DIE] = "die",	  [COFFER_EVENT_LOST] = "lost",
};
_Static_assert(ARRAY_SIZE(events_names) == COFFER_EVENT_COUNT, "a name for each type");

const char *coffer_event_str(enum coffer_event_type type)
{
	return (unsigned)type < COFFER_EVENT_COUNT ? events_names[type] : "unknown";
}

static void events_append(struct coffer_events *s, const struct coffer_event *event)
{
	s->ring[(s->head + s->n) % EVENTS_ROOM] = *event;
	s->n++;
	container_signal(s->fd);
}

static void events_put(struct coffer_events *s, const struct coffer_event *event)
{
	/* With something lost, its mark needs a place, too. */
	if (s->n + (s->lost > 0) >= EVENTS_ROOM) {
		s->lost++;
		return;
	}
	if (s->lost > 0) {
		struct coffer_event mark = { .size = sizeof(mark),
					     .type = COFFER_EVENT_LOST,
					     .at = event->at,
					     .count = s->lost };

		events_append(s, &mark);
		s->lost = 0;
	}
	events_append(s, event);
}

void events_emit(struct coffer_container *c, struct coffer_event event)
{
	event.size = sizeof(event);
	clock_gettime(CLOCK_REALTIME, &event.at);
	for (struct coffer_events *s = c->events.first; s; s = s->next)
		events_put(s, &event);
}

void events_close(struct coffer_container *c)
{
	pthread_mutex_lock(&c->lock);
	for (struct coffer_events *s = c->events.first; s; s = s->next) {
		s->container = NULL;
		container_signal(s->fd);
	}
	c->events.first = NULL;
	pthread_mutex_unlock(&c->lock);
}

int coffer_container_events(struct coffer_container *c, struct coffer_events **out,
			    struct coffer_error *err)
{
	struct coffer_events *s = calloc(1, sizeof(*s));

	int r;

	*out = NULL;
	if (!s)
		return err_nomem(err);
	s->container = c;
	s->fd = c->remote ? remote_events(c, err) : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->fd < 0) {
		r = c->remote ? s->fd : err_sys(err, "eventfd");
		free(s);
		return r;
	}
	pthread_mutex_lock(&c->lock);
	s->next = c->events.first;
	c->events.first = s;
	pthread_mutex_unlock(&c->lock);
	*out = s;
	return 0;
}

int coffer_events_fd(struct coffer_events *s)
{
	return s->fd;
}

/* With the lock. Return: there was one */
static bool events_take(struct coffer_events *s, struct coffer_event *out)
{
	if (s->n == 0 && s->lost > 0) {
		struct coffer_event mark = { .size = sizeof(mark),
					     .type = COFFER_EVENT_LOST,
					     .count = s->lost };

		clock_gettime(CLOCK_REALTIME, &mark.at);
		events_append(s, &mark);
		s->lost = 0;
	}
	if (s->n == 0)
		return false;
	*out = s->ring[s->head];
	s->head = (s->head + 1) % EVENTS_ROOM;
	s->n--;
	if (s->n == 0 && s->lost == 0)
		container_reset(s->fd);
	return true;
}

int coffer_events_next(struct coffer_events *s, uint64_t timeout, struct coffer_event *out,
		       struct coffer_error *err)
{
	usec_t deadline = deadline_in(timeout);
	struct coffer_container *c = s->container;
	size_t size = out->size;

	if (size < sizeof(size))
		return err_invalid(err, "event: its size is not set");
	if (c && c->remote)
		return remote_events_next(c, s->fd, timeout, out, err);
	while (c) {
		struct pollfd pfd = { .fd = s->fd, .events = POLLIN };
		struct coffer_event event;
		bool taken;

		pthread_mutex_lock(&c->lock);
		taken = events_take(s, &event);
		pthread_mutex_unlock(&c->lock);
		if (taken) {
			memset(out, 0, size);
			event.size = size < sizeof(event) ? size : sizeof(event);
			memcpy(out, &event, event.size);
			return 0;
		}
		if (poll(&pfd, 1, deadline_poll_ms(deadline)) == 0)
			return err_timeout(err, "no event");
		c = s->container;
	}
	return err_set(err, COFFER_ERR_INTERRUPTED, 0, "the container has been freed");
}

void coffer_events_free(struct coffer_events *s)
{
	struct coffer_container *c = s ? s->container : NULL;

	if (!s)
		return;
	if (c) {
		pthread_mutex_lock(&c->lock);
		for (struct coffer_events **p = &c->events.first; *p; p = &(*p)->next)
			if (*p == s) {
				*p = s->next;
				break;
			}
		pthread_mutex_unlock(&c->lock);
	}
	close_fd(&s->fd);
	free(s);
}
