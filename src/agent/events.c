/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/events.c - what happens to processes, told to whoever listens
 *
 *	process.c --start, exit--> every listener's stream
 *	the container's cgroup --killed for want of memory--^
 *
 * The first message of a stream is one without a type: it says that nothing
 * that happens from then on is missed.  Nothing is kept for later listeners.
 *
 * A listener may leave EVENTS_QUEUE_MAX bytes unread beyond its window; one
 * that falls further behind is told so and dropped, as an event that is
 * silently missing is worse than none.
 *
 * Control groups are watched only once somebody listens, so that a start that
 * nobody watches pays nothing.  Of a process that ends and whose group has
 * just lost one to the kernel, the loss is told first: it may be the reason.
 *
 * Callers: extras.c, process.c, container.c.
 */
#define LOG_CATEGORY "events"
#include "agent/events.h"

#include <stdlib.h>
#include <time.h>

#include "agent/usage.h"
#include "base/log.h"
#include "engine/cgroup.h"

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

static void events_tell(Ax__Event *event, struct timespec when)
{
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	at.seconds = when.tv_sec;
	at.nanos = (int32_t)when.tv_nsec;
	event->at = &at;
	for (struct events_listener *l = events_listeners, *next; l; l = next) {
		next = l->next;
		events_send(l, event);
	}
	event->at = NULL;
}

static struct timespec events_now(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_REALTIME, &now);
	return now;
}

/* ---- want of memory ---- */

struct events_oom {
	struct container *container; /* borrowed */
	struct cgroup_oom *watch;    /* owned */
	struct loop_source *source;
};

void events_forget(struct container *c)
{
	struct events_oom *o = steal_ptr(c->oom);

	if (!o)
		return;
	loop_remove(o->source);
	cgroup_oom_free(o->watch);
	free(o);
}

static void events_check_oom(struct container *c)
{
	Ax__Event event = AX__EVENT__INIT;
	uint64_t killed = 0;

	if (!c->oom)
		return;
	if (cgroup_oom_read(c->oom->watch, &killed) < 0) {
		events_forget(c);
		return;
	}
	if (killed == 0)
		return;
	event.type = AX__EVENT__TYPE__OOM;
	event.container_id = c->id;
	event.oom_kills = usage_oom_kills(c);
	events_tell(&event, events_now());
}

static void events_oom_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	events_check_oom(data);
}

static int events_watch_oom(struct container *c, struct coffer_error *err)
{
	int r;

	c->oom = calloc(1, sizeof(*c->oom));
	if (!c->oom)
		return err_nomem(err);
	c->oom->container = c;
	r = engine_oom_open(c->engine, &c->oom->watch, err);
	if (r == 0)
		r = loop_add_fd(c->agent->loop, cgroup_oom_fd(c->oom->watch), EPOLLIN,
				events_oom_handler, c, &c->oom->source, err);
	if (r < 0)
		events_forget(c);
	return r;
}

static void events_watch(struct container *c)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (c->engine && !c->oom && events_watch_oom(c, &err) < 0)
		log_debug("%s", err.message);
}

/* ---- processes ---- */

static void events_tell_process(const struct process *p, Ax__Event__Type type, pid_t pid,
				struct timespec when)
{
	Ax__Event event = AX__EVENT__INIT;

	event.type = type;
	event.container_id = p->container->id;
	event.id = p->id;
	event.pid = pid;
	event.exit_code = p->exit_code;
	events_tell(&event, when);
}

void events_tell_start(const struct process *p)
{
	if (!events_listeners)
		return;
	if (p->is_init)
		events_watch(p->container);
	events_tell_process(p, AX__EVENT__TYPE__START, p->pid, events_now());
}

void events_tell_exit(const struct process *p)
{
	if (!events_listeners)
		return;
	events_check_oom(p->container);
	events_tell_process(p, AX__EVENT__TYPE__EXIT, p->pid, p->exited_at);
}

/* ---- listeners ---- */

void extras_events(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Ax__Event first = AX__EVENT__INIT;
	struct timespec now = events_now();
	struct agent *agent = data;
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
	for (struct container *c = agent->containers; c; c = c->next)
		events_watch(c);
	at.seconds = now.tv_sec;
	at.nanos = (int32_t)now.tv_nsec;
	first.at = &at;
	events_send(l, &first);
}
