/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/control.c - the monitor's control socket
 *
 * Translates between RPCs and monitor.h and holds no state of its own but the
 * calls that wait: event streams, shutdowns (answered by the machine's final
 * event) and changes under way.  Who may connect is a matter of the socket's
 * permissions.  A listener that does not read its events loses its stream.
 */
#include "vmm/control.h"

#include <stdio.h>
#include <sys/queue.h>

#include "monitor.pb-c.h"
#include "rpc/grpc_server.h"

#define CONTROL_WAITING_MAX  32
#define CONTROL_END_DEFAULT  (5 * USEC_PER_SEC)

#define CONTROL_LIMITS                                                         \
	{                                                                      \
		.max_message = 16u << 10, .max_streams = 16,                   \
		.max_header_list = 8u << 10, .max_connections = 16,            \
		.max_queued = 64u << 10,                                       \
	}

enum control_wait_kind {
	CONTROL_EVENTS,
	CONTROL_SHUTDOWN,
	CONTROL_CHANGE, /* stays in the list after a cancel, with no call, until it is done */
};

struct control_wait {
	enum control_wait_kind kind;
	struct control *ctl;
	struct grpc_call *call;             /* NULL: cancelled */
	const ProtobufCMessageDescriptor *reply;
	LIST_ENTRY(control_wait) link;
};

struct control {
	struct monitor *mon;                /* borrowed */
	struct grpc_server *server;         /* owned */
	struct grpc_service service;
	LIST_HEAD(, control_wait) waiting;
	unsigned nwaiting;
};

static void control_wait_free(struct control_wait *w)
{
	LIST_REMOVE(w, link);
	w->ctl->nwaiting--;
	free(w);
}

static void control_cancelled(struct grpc_call *call, void *data)
{
	struct control_wait *w = data;

	if (w->kind == CONTROL_CHANGE)
		w->call = NULL;
	else
		control_wait_free(w);
}

/* Keep @call. Return: NULL when it was refused */
static struct control_wait *control_wait_new(struct control *ctl, enum control_wait_kind kind,
					     struct grpc_call *call)
{
	struct control_wait *w =
		ctl->nwaiting < CONTROL_WAITING_MAX ? calloc(1, sizeof(*w)) : NULL;

	if (!w) {
		grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED, "too many calls are waiting");
		return NULL;
	}
	*w = (struct control_wait){ .kind = kind, .ctl = ctl, .call = call };
	LIST_INSERT_HEAD(&ctl->waiting, w, link);
	ctl->nwaiting++;
	grpc_call_on_cancel(call, control_cancelled, w);
	return w;
}

static void control_info(struct grpc_call *call, const ProtobufCMessage *req, void *data)
{
	struct monitor *mon = ((struct control *)data)->mon;
	const struct monitor_timing *t = &mon->timing;
	Mon__Timing timing = MON__TIMING__INIT;
	Mon__InfoResponse resp = MON__INFO_RESPONSE__INIT;

	timing.vmm_started = t->vmm_started;
	timing.machine_spawned = t->machine_spawned;
	timing.control_ready = t->control_ready;
	timing.machine_running = t->machine_running;
	resp.machine = (char *)vmm_machine_str(mon->type->kind);
	resp.state = (char *)monitor_state_str(mon->state);
	resp.vmm_pid = getpid();
	resp.machine_pid = mon->type->ops->pid(mon->machine);
	resp.memory_bytes = mon->cfg->memory;
	resp.cpus = mon->cfg->cpus;
	resp.uptime_usec = t->machine_running ? clock_now() - t->machine_running : 0;
	resp.timing = &timing;
	resp.vmm_pss = monitor_pss(mon);
	grpc_call_reply(call, &resp.base);
}

static void control_change_done(const struct coffer_error *err, void *data)
{
	struct control_wait *w = data;
	ProtobufCMessage resp;

	protobuf_c_message_init(w->reply, &resp);
	if (w->call && err)
		grpc_call_fail(w->call, err);
	else if (w->call)
		grpc_call_reply(w->call, &resp);
	control_wait_free(w);
}

static void control_change(struct grpc_call *call, struct control *ctl,
			   const ProtobufCMessageDescriptor *reply,
			   int (*change)(struct monitor *, machine_done, void *,
					 struct coffer_error *))
{
	struct control_wait *w = control_wait_new(ctl, CONTROL_CHANGE, call);
	struct coffer_error err = COFFER_ERROR_INIT;

	if (!w)
		return;
	w->reply = reply;
	if (change(ctl->mon, control_change_done, w, &err) < 0)
		control_change_done(&err, w);
}

static void control_pause(struct grpc_call *call, const ProtobufCMessage *req, void *data)
{
	control_change(call, data, &mon__pause_response__descriptor, monitor_pause);
}

static void control_resume(struct grpc_call *call, const ProtobufCMessage *req, void *data)
{
	control_change(call, data, &mon__resume_response__descriptor, monitor_resume);
}

static void control_shutdown(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Mon__ShutdownRequest *req = (const Mon__ShutdownRequest *)msg;
	struct control *ctl = data;

	if (!control_wait_new(ctl, CONTROL_SHUTDOWN, call))
		return;
	monitor_end(ctl->mon, req->force,
		    req->timeout_ms ? req->timeout_ms * USEC_PER_MSEC : CONTROL_END_DEFAULT);
}

static const Mon__Event__Kind control_event_kinds[] = {
	[MACHINE_RUNNING] = MON__EVENT__KIND__RUNNING,
	[MACHINE_PAUSED] = MON__EVENT__KIND__PAUSED,
	[MACHINE_RESUMED] = MON__EVENT__KIND__RESUMED,
	[MACHINE_SHUTDOWN] = MON__EVENT__KIND__SHUTDOWN,
	[MACHINE_PANIC] = MON__EVENT__KIND__GUEST_PANIC,
	[MACHINE_DIED] = MON__EVENT__KIND__MACHINE_DIED,
};
_Static_assert(ARRAY_SIZE(control_event_kinds) == MACHINE_EVENT_COUNT, "a kind for each event");

/* Return: false when the stream was ended because its reader does not keep up */
static bool control_send_event(struct control_wait *w, Mon__Event *ev)
{
	if (grpc_call_send(w->call, &ev->base) == 0)
		return true;
	grpc_call_finish(w->call, GRPC_RESOURCE_EXHAUSTED, "events are not read");
	control_wait_free(w);
	return false;
}

static void control_events(struct grpc_call *call, const ProtobufCMessage *req, void *data)
{
	static const Mon__Event__Kind present[MONITOR_STATE_COUNT] = {
		[MONITOR_RUNNING] = MON__EVENT__KIND__RUNNING,
		[MONITOR_PAUSED] = MON__EVENT__KIND__PAUSED,
	};
	struct control *ctl = data;
	struct control_wait *w = control_wait_new(ctl, CONTROL_EVENTS, call);
	Mon__Event ev = MON__EVENT__INIT;

	if (!w)
		return;
	ev.kind = present[ctl->mon->state];
	ev.time_usec = clock_now();
	ev.message = (char *)monitor_state_str(ctl->mon->state);
	control_send_event(w, &ev);
}

void control_event(struct control *ctl, const struct machine_event *event)
{
	struct control_wait *w, *next;
	Mon__ShutdownResponse resp = MON__SHUTDOWN_RESPONSE__INIT;
	Mon__Event ev = MON__EVENT__INIT;

	if (!ctl)
		return;
	ev.kind = control_event_kinds[event->kind];
	ev.time_usec = clock_now();
	ev.message = (char *)event->message;
	ev.exit_code = event->process.exit_code;
	ev.exit_signal = event->process.signal;
	for (w = LIST_FIRST(&ctl->waiting); w; w = next) {
		bool final = machine_event_is_final(event->kind);

		next = LIST_NEXT(w, link);
		if (w->kind == CONTROL_EVENTS) {
			if (!control_send_event(w, &ev) || !final)
				continue;
			grpc_call_finish(w->call, GRPC_OK, "");
			control_wait_free(w);
		} else if (w->kind == CONTROL_SHUTDOWN && final) {
			grpc_call_reply(w->call, &resp.base);
			control_wait_free(w);
		}
	}
}

static const struct grpc_method control_methods[] = {
	{ "Info", control_info },
	{ "Pause", control_pause },
	{ "Resume", control_resume },
	{ "Shutdown", control_shutdown },
	{ "Events", control_events },
};

int control_new(struct monitor *mon, int fd, struct control **out, struct coffer_error *err)
{
	const struct grpc_limits limits = CONTROL_LIMITS;
	struct control *ctl = calloc(1, sizeof(*ctl));
	int r;

	if (!ctl)
		return err_nomem(err);
	ctl->mon = mon;
	LIST_INIT(&ctl->waiting);
	ctl->service = (struct grpc_service){ .desc = &mon__monitor__descriptor,
					      .methods = control_methods,
					      .nmethods = ARRAY_SIZE(control_methods),
					      .data = ctl };
	r = grpc_server_new(mon->loop, &ctl->service, 1, &limits, &ctl->server, err);
	if (r == 0)
		r = grpc_server_listen(ctl->server, fd, err);
	if (r < 0) {
		grpc_server_freep(&ctl->server);
		free(ctl);
		return r;
	}
	*out = ctl;
	return 0;
}

/* The machine is gone: no change is under way any more, so every wait belongs to a call. */
void control_free(struct control *ctl)
{
	struct control_wait *w, *next;

	if (!ctl)
		return;
	grpc_server_free(ctl->server);
	for (w = LIST_FIRST(&ctl->waiting); w; w = next) {
		next = LIST_NEXT(w, link);
		free(w);
	}
	free(ctl);
}
