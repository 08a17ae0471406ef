/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/timing.c - when the stages of a create and start were reached
 *
 *	our thread:  storage | spawn | rootfs image |      waiting      | connect ...
 *	the guest:              .. start | kernel | agent's stages ... |
 *
 * Phases are the stretches between our own marks; the one in which we only wait
 * for the machine is divided by what the guest says of its boot.  Its clock
 * counts from its kernel's start, which is put where the greeting came minus
 * the age that the greeting told.  Whatever a guest says, phases are in order
 * and without gaps: each begins where the one before ended and none ends after
 * the wait.
 */
#include "container/timing.h"

#include <string.h>

#include "agent_extras.pb-c.h"
#include "base/cleanup.h"
#include "container/container.h"
#include "container/remote.h"

/* The phase that ends at each mark. */
static const char *const timing_names[] = {
	[TIMING_BEGIN] = NULL,
	[TIMING_STORAGE] = "storage",
	[TIMING_SPAWN] = "machine-spawn",
	[TIMING_FILL] = "rootfs-image",
	[TIMING_READY] = "greeting",
	[TIMING_CONNECT] = "connect",
	[TIMING_MOUNT] = "rootfs",
	[TIMING_CREATED] = "created",
	[TIMING_START] = "caller",
	[TIMING_LISTEN] = "listen",
	[TIMING_DOCUMENT] = "document",
	[TIMING_CREATE_PROCESS] = "create-process",
	[TIMING_STREAMS] = "streams",
	[TIMING_START_PROCESS] = "start-process",
	[TIMING_WAIT] = "wait-process",
	[TIMING_STARTED] = "started",
};
_Static_assert(ARRAY_SIZE(timing_names) == TIMING_MARK_COUNT, "a name for each mark");

/* What an agent calls its stages, and we call them; others are left to the next one. */
static const struct {
	const char *theirs, *ours;
} timing_stages[] = {
	{ "kernel", "kernel" },	      { "agent", "agent-init" },
	{ "modules", "agent-modules" }, { "vsock", "agent-vsock" },
	{ "ready", "agent-ready" },   { "root", "agent-root" },
	{ "mounts", "agent-mounts" }, { "limits", "agent-limits" },
	{ "loopback", "agent-loopback" }, { "serve", "agent-serve" },
};

void container_mark(struct coffer_container *c, enum timing_mark mark)
{
	pthread_mutex_lock(&c->lock);
	c->timing.marks[mark] = clock_now();
	pthread_mutex_unlock(&c->lock);
}

/* ---- what the guest says ---- */

static const char *timing_stage_name(const char *theirs)
{
	for (size_t i = 0; i < ARRAY_SIZE(timing_stages); i++)
		if (strcmp(timing_stages[i].theirs, theirs) == 0)
			return timing_stages[i].ours;
	return NULL;
}

static void timing_take(struct timing *t, const Ax__TimingResponse *resp)
{
	t->nstages = 0;
	for (size_t i = 0; i < resp->n_stages && t->nstages < TIMING_STAGES_MAX; i++) {
		const Ax__TimingResponse__Stage *s = resp->stages[i];
		const char *name = timing_stage_name(s->name);

		if (name)
			t->stages[t->nstages++] =
			    (struct timing_stage){ name, s->begin_usec, s->end_usec };
	}
}

/* Once, while it can be asked. */
static void timing_ask(struct coffer_container *c)
{
	Ax__TimingRequest msg = AX__TIMING_REQUEST__INIT;
	autoreply ProtobufCMessage *reply = NULL;
	bool known;

	pthread_mutex_lock(&c->lock);
	known = c->timing.nstages > 0;
	pthread_mutex_unlock(&c->lock);
	if (known || container_enter(c,
				     CONTAINER_IN(COFFER_STATE_CREATED) | CONTAINER_IN_STARTED,
				     "timing of", NULL) < 0)
		return;
	if (container_call(c, AGENT_EXTRAS, "Timing", &msg.base, AGENT_CALL_BUDGET, &reply,
			   NULL) == 0) {
		pthread_mutex_lock(&c->lock);
		timing_take(&c->timing, (const Ax__TimingResponse *)reply);
		pthread_mutex_unlock(&c->lock);
	}
	container_leave(c);
}

/* ---- phases ---- */

struct timing_list {
	struct coffer_phase *out;
	size_t n;
	usec_t end; /* of the last */
};

/* The stretch up to @until, as far as it is new; too short to see is left to the next. */
static void timing_add(struct timing_list *l, const char *name, usec_t until)
{
	if (!name || until <= l->end || l->n == COFFER_PHASES_MAX)
		return;
	l->out[l->n++] =
	    (struct coffer_phase){ .name = name, .begin = l->end, .duration = until - l->end };
	l->end = until;
}

static usec_t timing_min(usec_t a, usec_t b)
{
	return a < b ? a : b;
}

/* The wait for the machine, up to @ready. */
static void timing_add_boot(struct timing_list *l, const struct timing *t, usec_t ready)
{
	const struct coffer_timing *p = &t->public;
	usec_t age = p->guest_kernel + p->guest_agent;
	usec_t base = p->agent_ready > age ? p->agent_ready - age : 0;

	timing_add(l, "machine-start", timing_min(p->machine_running, ready));
	timing_add(l, "kernel-entry", timing_min(base, ready));
	for (unsigned i = 0; i < t->nstages; i++)
		if (t->stages[i].end < age + USEC_PER_SEC)
			timing_add(l, t->stages[i].name,
				   timing_min(base + t->stages[i].end, ready));
	if (t->nstages == 0) {
		timing_add(l, "kernel", timing_min(base + p->guest_kernel, ready));
		timing_add(l, "agent-init", timing_min(base + age, ready));
	}
	timing_add(l, timing_names[TIMING_READY], ready);
}

size_t coffer_container_phases(struct coffer_container *c,
			       struct coffer_phase out[COFFER_PHASES_MAX])
{
	struct timing_list l = { .out = out };

	if (c->remote)
		return remote_phases(c, out);
	timing_ask(c);
	pthread_mutex_lock(&c->lock);
	l.end = c->timing.marks[TIMING_BEGIN];
	for (int i = TIMING_BEGIN + 1; i < TIMING_MARK_COUNT; i++) {
		if (i == TIMING_READY)
			timing_add_boot(&l, &c->timing, c->timing.marks[i]);
		else
			timing_add(&l, timing_names[i], c->timing.marks[i]);
	}
	pthread_mutex_unlock(&c->lock);
	return l.n;
}

void coffer_container_timing(struct coffer_container *c, struct coffer_timing *timing)
{
	size_t size = timing->size;
	struct coffer_timing t;

	if (c->remote) {
		remote_timing(c, timing);
		return;
	}
	pthread_mutex_lock(&c->lock);
	t = c->timing.public;
	t.create_called = c->timing.marks[TIMING_BEGIN];
	t.rootfs_ready = c->timing.marks[TIMING_FILL];
	t.created = c->timing.marks[TIMING_CREATED];
	t.start_called = c->timing.marks[TIMING_START];
	t.started = c->timing.marks[TIMING_STARTED];
	pthread_mutex_unlock(&c->lock);
	t.size = size < sizeof(t) ? size : sizeof(t);
	memset(timing, 0, size);
	memcpy(timing, &t, t.size);
}
