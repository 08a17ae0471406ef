/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/events.c - what happens to processes, for contract/events.c
 *
 * Of a process that ends and whose container has just lost one for want of memory, the loss is told
 * first: it may be the reason.
 *
 * Called on the control loop only.
 */
#include "sentry/control/events.h"

#include "sentry/control/container.h"

static void events_tell_process(const struct control_process *p, Ax__Event__Type type,
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

void events_tell_start(const struct control_process *p)
{
	events_tell_process(p, AX__EVENT__TYPE__START, NULL);
}

void events_tell_exit(const struct control_process *p)
{
	struct control_container *c = p->container;
	uint64_t kills = c->kernel ? c->kernel->oom_kills : 0;

	if (kills != c->oom_told)
		events_tell_oom(c->id, kills);
	c->oom_told = kills;
	events_tell_process(p, AX__EVENT__TYPE__EXIT, &p->exited_at);
}
