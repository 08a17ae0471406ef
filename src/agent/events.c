/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/events.c - what happens to processes, for contract/events.c
 *
 *	process.c --start, exit--> every listener's stream
 *	the container's cgroup --killed for want of memory--^
 *
 * Control groups are watched only once somebody listens, so that a start that
 * nobody watches pays nothing.  Of a process that ends and whose group has
 * just lost one to the kernel, the loss is told first: it may be the reason.
 *
 * Callers: contract/events.c, process.c, container.c.
 */
#define LOG_CATEGORY "events"
#include "agent/events.h"

#include <stdlib.h>
#include <time.h>

#include "agent/usage.h"
#include "base/log.h"
#include "engine/cgroup.h"

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
	uint64_t killed = 0;

	if (!c->oom)
		return;
	if (cgroup_oom_read(c->oom->watch, &killed) < 0) {
		events_forget(c);
		return;
	}
	if (killed)
		events_tell_oom(c->id, usage_oom_kills(c));
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

void events_listened(void *side)
{
	const struct agent *agent = side;

	for (struct container *c = agent->containers; c; c = c->next)
		events_watch(c);
}

/* ---- processes ---- */

static void events_tell_process(const struct process *p, Ax__Event__Type type,
				const struct timespec *when)
{
	Ax__Event event = AX__EVENT__INIT;

	event.type = type;
	event.container_id = p->container->id;
	event.id = p->id;
	event.pid = p->pid;
	event.exit_code = p->exit_code;
	events_tell(&event, when);
}

void events_tell_start(const struct process *p)
{
	if (!events_heard())
		return;
	if (p->is_init)
		events_watch(p->container);
	events_tell_process(p, AX__EVENT__TYPE__START, NULL);
}

void events_tell_exit(const struct process *p)
{
	if (!events_heard())
		return;
	events_check_oom(p->container);
	events_tell_process(p, AX__EVENT__TYPE__EXIT, &p->exited_at);
}
