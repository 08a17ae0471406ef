/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/rpc_extras.c - what is offered beside the contract: the short methods
 *
 * A method of the service without a row answers UNIMPLEMENTED.
 */
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "contract/forward.h"
#include "sentry/control/archive.h"
#include "sentry/control/container.h"
#include "sentry/control/events.h"
#include "sentry/control/freezer.h"
#include "sentry/control/rpc.h"
#include "sentry/control/setup.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/task.h"
#include "sentry/task/timer.h"
#include "sentry/tty/tty.h"

static int extras_find(const struct control *control, const char *id,
		       struct control_container **out, struct coffer_error *err)
{
	*out = control_container_find(control, id);
	return *out ? 0 : err_set(err, COFFER_ERR_NOT_FOUND, 0, "container \"%.*s\" does not exist",
				  CONTROL_ID_MAX, id);
}

static RPC_METHOD(extras_heartbeat)
{
	Google__Protobuf__Timestamp now = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Ax__HeartbeatResponse reply = AX__HEARTBEAT_RESPONSE__INIT;
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_REALTIME, &ts);
	now.seconds = ts.tv_sec;
	now.nanos = (int32_t)ts.tv_nsec;
	reply.uptime_usec = clock_nanoseconds(CLOCK_BOOTTIME) / 1000;
	reply.now = &now;
	grpc_call_reply(call, &reply.base);
}

static int extras_update_container(const struct control_container *c, const Ax__UpdateRequest *req,
				   struct coffer_error *err)
{
	const struct control_process *init = control_process_find(c, c->id);
	auto_oci_resources struct oci_resources *res = NULL;
	int r = oci_resources_parse((const char *)req->resources.data, req->resources.len, &res, err);

	if (r == 0)
		r = oci_resources_validate(res, "resources", err);
	if (r < 0)
		return err_wrap(err, "resources of container %s", c->id);
	if (!init || init->state == CONTROL_STOPPED)
		return err_state(err, "container %s is not running", c->id);
	return setup_limits(c->kernel, res, err);
}

static RPC_METHOD(extras_update)
{
	const Ax__UpdateRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct control_container *c = NULL;
	int r = extras_find(data, req->container_id, &c, &err);

	if (r == 0)
		r = extras_update_container(c, req, &err);
	rpc_answer(call, r, &err);
}

/* ---- Signal ---- */

static int extras_signal_process(struct control_container *c, struct control_process *p, int sig,
				 struct coffer_error *err)
{
	return control_kill(p, sig, err);
}

static int extras_signal_all(struct control_container *c, struct control_process *p, int sig,
			     struct coffer_error *err)
{
	const struct control_process *init = control_process_find(c, c->id);

	if (!init || init->state == CONTROL_CREATED)
		return err_state(err, "container %s has not been started", c->id);
	pthread_mutex_lock(&kernel.tasks_lock);
	if (sig)
		signal_container_send(c->kernel, sig, false);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return 0;
}

static int extras_signal_foreground(struct control_container *c, struct control_process *p, int sig,
				    struct coffer_error *err)
{
	struct signal_info info;
	struct pgrp *pgrp;

	if (p->state == CONTROL_STOPPED)
		return 0;
	if (!p->tty)
		return err_state(err, "process %s has no terminal", p->id);
	signal_info_user(&info, sig, SI_USER, 0, 0);
	pthread_mutex_lock(&kernel.tasks_lock);
	pgrp = pgrp_find(c->kernel, tty_foreground(p->tty));
	if (pgrp && sig)
		signal_pgrp_send(pgrp, sig, &info);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return pgrp ? 0 : control_kill(p, sig, err);
}

/* Modes that are not known are refused. */
static int (*const extras_signal_modes[])(struct control_container *c, struct control_process *p,
					  int sig, struct coffer_error *err) = {
	[AX__SIGNAL_REQUEST__MODE__PROCESS] = extras_signal_process,
	[AX__SIGNAL_REQUEST__MODE__ALL] = extras_signal_all,
	[AX__SIGNAL_REQUEST__MODE__FOREGROUND] = extras_signal_foreground,
};

static int extras_signal_find(const struct control *control, const Ax__SignalRequest *req,
			      struct control_container **c, struct control_process **p,
			      struct coffer_error *err)
{
	int r;

	if (req->signal < 0 || req->signal > SIGNAL_MAX)
		return err_invalid(err, "signal %d: want 0 to %d", req->signal, SIGNAL_MAX);
	if ((unsigned)req->mode >= ARRAY_SIZE(extras_signal_modes))
		return err_invalid(err, "mode %d is not known", (int)req->mode);
	r = extras_find(control, req->container_id, c, err);
	if (r < 0 || req->mode == AX__SIGNAL_REQUEST__MODE__ALL)
		return r;
	*p = control_process_find(*c, req->id);
	return *p ? 0 : err_state(err, "container %s has no process %.128s", (*c)->id, req->id);
}

static RPC_METHOD(extras_signal)
{
	const Ax__SignalRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct control_container *c = NULL;
	struct control_process *p = NULL;
	int r = extras_signal_find(data, req, &c, &p, &err);

	if (r == 0)
		r = extras_signal_modes[req->mode](c, p, req->signal, &err);
	rpc_answer(call, r, &err);
}

/* There is no boot worth telling of. */
static RPC_METHOD(extras_timing)
{
	const Ax__TimingResponse reply = AX__TIMING_RESPONSE__INIT;

	grpc_call_reply(call, &reply.base);
}

/* ---- Calls ---- */

static size_t extras_count_calls(Ax__CallsResponse__Call *calls, Ax__CallsResponse__Call **list)
{
	size_t n = 0;

	for (unsigned nr = 0; nr < SENTRY_SYSCALL_MAX; nr++) {
		const struct syscall_row *row = syscall_row((int)nr);
		uint64_t made = kernel.calls[nr];

		if (!made)
			continue;
		calls[n] = (Ax__CallsResponse__Call)AX__CALLS_RESPONSE__CALL__INIT;
		if (row)
			calls[n].name = (char *)row->name;
		calls[n].number = nr;
		calls[n].made = made;
		calls[n].unimplemented = kernel.unimplemented[nr];
		list[n] = &calls[n];
		n++;
	}
	return n;
}

static RPC_METHOD(extras_calls)
{
	autofree Ax__CallsResponse__Call *calls = calloc(SENTRY_SYSCALL_MAX, sizeof(*calls));
	autofree Ax__CallsResponse__Call **list = calloc(SENTRY_SYSCALL_MAX, sizeof(*list));
	Ax__CallsResponse reply = AX__CALLS_RESPONSE__INIT;

	if (!calls || !list) {
		grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	reply.n_calls = extras_count_calls(calls, list);
	reply.calls = list;
	grpc_call_reply(call, &reply.base);
}

static const struct grpc_method extras_methods[] = {
	{ "Heartbeat", extras_heartbeat }, { "Update", extras_update },
	{ "Signal", extras_signal },	   { "Events", extras_events },
	{ "Timing", extras_timing },	   { "Calls", extras_calls },
	{ "ArchiveStat", archive_stat },   { "ArchiveGet", archive_get },
	{ "ArchivePut", archive_put },	   { "ForwardTcp", extras_forward_tcp },
	{ "Freeze", extras_freeze },	   { "Thaw", extras_thaw },
};

struct grpc_service rpc_extras(struct control *control)
{
	return (struct grpc_service){
		.desc = &ax__extras__descriptor,
		.methods = extras_methods,
		.nmethods = ARRAY_SIZE(extras_methods),
		.data = control,
	};
}
