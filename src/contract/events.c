/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/events.c - what happens to processes, told to whoever listens
 *
 * The first message of a stream is one without a type: it says that nothing that happens from then
 * on is missed. Nothing is kept for later listeners.
 *
 * A listener may leave EVENTS_QUEUE_MAX bytes unread beyond its window; one that falls further
 * behind is told so and dropped, as an event that is silently missing is worse than none.
 *
 * What happens is told by the sides: agent/events.c, sentry/control/events.c.
 */
#include "contract/events.h"

#include <stdlib.h>

#include "base/cleanup.h"

#define EVENTS_LISTENERS_MAX 64
#define EVENTS_QUEUE_MAX     (64u << 10)

struct events_listener {
	struct events_listener *next, **link; /* in events_listeners */
	struct grpc_call *call;
};

static struct events_listener *events_listeners;
static size_t events_count;

static void events_leave(struct events_listener *l)
{
	*l->link = l->next;
	if (l->next)
		l->next->link = l->link;
	events_count--;
	free(l);
}

static void events_cancelled(struct grpc_call *call, void *data)
{
	events_leave(data);
}

static void events_send(struct events_listener *l, const Ax__Event *event)
{
	struct grpc_call *call = l->call;

	if (grpc_call_queued(call) < EVENTS_QUEUE_MAX && grpc_call_send(call, &event->base) == 0)
		return;
	events_leave(l);
	grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED, "events are not read fast enough");
}

static Google__Protobuf__Timestamp events_time(const struct timespec *when)
{
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	struct timespec now = { 0 };

	if (!when)
		clock_gettime(CLOCK_REALTIME, &now);
	at.seconds = when ? when->tv_sec : now.tv_sec;
	at.nanos = (int32_t)(when ? when->tv_nsec : now.tv_nsec);
	return at;
}

bool events_heard(void)
{
	return events_listeners;
}

void events_tell(Ax__Event *event, const struct timespec *when)
{
	Google__Protobuf__Timestamp at = events_time(when);

	event->at = &at;
	for (struct events_listener *l = events_listeners, *next; l; l = next) {
		next = l->next;
		events_send(l, event);
	}
	event->at = NULL;
}

void events_tell_oom(const char *container, uint64_t kills)
{
	Ax__Event event = AX__EVENT__INIT;

	event.type = AX__EVENT__TYPE__OOM;
	event.container_id = (char *)container;
	event.oom_kills = kills;
	events_tell(&event, NULL);
}

RPC_METHOD(extras_events)
{
	Google__Protobuf__Timestamp at = events_time(NULL);
	Ax__Event first = AX__EVENT__INIT;
	struct events_listener *l;

	if (events_count == EVENTS_LISTENERS_MAX) {
		grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED, "too many listeners");
		return;
	}
	l = calloc(1, sizeof(*l));
	if (!l) {
		grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	*l = (struct events_listener){ .next = events_listeners,
				       .link = &events_listeners,
				       .call = call };
	if (l->next)
		l->next->link = &l->next;
	events_listeners = l;
	events_count++;
	grpc_call_on_cancel(call, events_cancelled, l);
	if (contract_ops->listened)
		contract_ops->listened(data);
	first.at = &at;
	events_send(l, &first);
}
