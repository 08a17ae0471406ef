/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/events.c - what happens to processes, told to whoever listens
 *
 * The first message of a stream is one without a type: nothing that happens from then on is missed.
 * A listener that falls too far behind is told so and dropped. Of a process that ends and whose
 * container has just lost one for want of memory, the loss is told first: it may be the reason.
 *
 * Called on the control loop only.
 */
#include "sentry/control/events.h"

#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"

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

static void events_send(struct events_listener *l, Ax__Event *event)
{
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	struct grpc_call *call = l->call;
	struct timespec now = { 0 };
	bool sent;

	clock_gettime(CLOCK_REALTIME, &now);
	at.seconds = now.tv_sec;
	at.nanos = (int32_t)now.tv_nsec;
	event->at = &at;
	sent = grpc_call_queued(call) < EVENTS_QUEUE_MAX && grpc_call_send(call, &event->base) == 0;
	event->at = NULL;
	if (sent)
		return;
	events_leave(l);
	grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED, "events are not read fast enough");
}

static void events_tell(Ax__Event *event)
{
	for (struct events_listener *l = events_listeners, *next; l; l = next) {
		next = l->next;
		events_send(l, event);
	}
}

static void events_tell_process(const struct control_process *p, Ax__Event__Type type)
{
	Ax__Event event = AX__EVENT__INIT;

	event.type = type;
	event.container_id = p->container->id;
	event.id = p->id;
	event.pid = p->pid;
	event.exit_code = p->exit_code;
	events_tell(&event);
}

static void events_tell_oom(struct control_container *c)
{
	uint64_t kills = c->kernel ? c->kernel->oom_kills : 0;
	Ax__Event event = AX__EVENT__INIT;

	if (kills == c->oom_told)
		return;
	c->oom_told = kills;
	event.type = AX__EVENT__TYPE__OOM;
	event.container_id = c->id;
	event.oom_kills = kills;
	events_tell(&event);
}

void events_tell_start(const struct control_process *p)
{
	events_tell_process(p, AX__EVENT__TYPE__START);
}

void events_tell_exit(const struct control_process *p)
{
	events_tell_oom(p->container);
	events_tell_process(p, AX__EVENT__TYPE__EXIT);
}

RPC_METHOD(extras_events)
{
	Ax__Event first = AX__EVENT__INIT;
	struct events_listener *l = events_count < EVENTS_LISTENERS_MAX ? calloc(1, sizeof(*l)) : NULL;

	if (!l) {
		grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED, "too many listeners");
		return;
	}
	*l = (struct events_listener){ .next = events_listeners, .link = &events_listeners,
				       .call = call };
	if (l->next)
		l->next->link = &l->next;
	events_listeners = l;
	events_count++;
	grpc_call_on_cancel(call, events_cancelled, l);
	events_send(l, &first);
}
