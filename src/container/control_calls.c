/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/control_calls.c - what other processes can ask of a container
 *
 * One row a method.  A function takes what it needs of the request, calls the
 * public API and fills the reply; that the request makes sense is the API's to
 * check, as for any caller.
 */
#include "container/control.h"

#include <poll.h>
#include <stdlib.h>

#include "container/transfer.h"

/* @data lives until the reply has been sent. */
static void control_put_struct(struct control_call *call, void *data, size_t size)
{
	call->hold = data;
	call->reply.data = (ProtobufCBinaryData){ .len = size, .data = data };
}

/* A zeroed struct of the API that says its size, as the reply. NULL: no memory */
static void *control_new_struct(struct control_call *call, size_t size, struct coffer_error *err)
{
	size_t *s = calloc(1, size);

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	*s = size;
	control_put_struct(call, s, size);
	return s;
}

static int control_take_path(const struct control_call *call, const char **path,
			     struct coffer_error *err)
{
	int r = wire_take_text(&call->req->path, "path", path, err);

	if (r == 0 && !*path)
		return err_invalid(err, "path: not given");
	return r;
}

/* Return: the number of the request, if it fits a port or signal */
static int control_take_number(const struct control_call *call, uint32_t max, uint32_t *out,
			       struct coffer_error *err)
{
	if (call->req->number > max)
		return err_invalid(err, "%llu: out of range",
				   (unsigned long long)call->req->number);
	*out = (uint32_t)call->req->number;
	return 0;
}

static int control_put_fd(struct control_call *call, int fd)
{
	if (fd < 0)
		return fd;
	call->fds.v[call->fds.n++] = fd;
	return 0;
}

static int control_state(struct control_call *call, struct coffer_error *err)
{
	call->reply.number = coffer_container_state(call->c);
	return 0;
}

static int control_stop(struct control_call *call, struct coffer_error *err)
{
	return coffer_container_stop(call->c, call->req->usec, err);
}

static int control_pause(struct control_call *call, struct coffer_error *err)
{
	return coffer_container_pause(call->c, err);
}

static int control_resume(struct control_call *call, struct coffer_error *err)
{
	return coffer_container_resume(call->c, err);
}

static int control_kill_all(struct control_call *call, struct coffer_error *err)
{
	uint32_t sig;
	int r = control_take_number(call, INT32_MAX, &sig, err);

	return r < 0 ? r : coffer_container_kill_all(call->c, (int)sig, err);
}

static int control_update(struct control_call *call, struct coffer_error *err)
{
	struct coffer_resources resources;
	int r = wire_take_struct(&call->req->data, &resources, sizeof(resources), false, err);

	return r < 0 ? r : coffer_container_update(call->c, &resources, err);
}

static int control_death(struct control_call *call, struct coffer_error *err)
{
	struct coffer_death *death = control_new_struct(call, sizeof(*death), err);

	return death ? coffer_container_death(call->c, death, err) : -ENOMEM;
}

static int control_inspect(struct control_call *call, struct coffer_error *err)
{
	char *json = NULL;
	int r = coffer_container_inspect(call->c, &json, err);

	call->hold = json;
	call->reply.text = wire_text(json);
	return r;
}

static int control_timing(struct control_call *call, struct coffer_error *err)
{
	struct coffer_timing *timing = control_new_struct(call, sizeof(*timing), err);

	if (!timing)
		return -ENOMEM;
	coffer_container_timing(call->c, timing);
	return 0;
}

static int control_phases(struct control_call *call, struct coffer_error *err)
{
	struct coffer_phase phases[COFFER_PHASES_MAX];
	struct {
		Ct__Phase *list[COFFER_PHASES_MAX];
		Ct__Phase phases[COFFER_PHASES_MAX];
	} *hold = calloc(1, sizeof(*hold));
	size_t n;

	if (!hold)
		return err_nomem(err);
	call->hold = hold;
	n = coffer_container_phases(call->c, phases);
	for (size_t i = 0; i < n; i++) {
		ct__phase__init(&hold->phases[i]);
		hold->phases[i].name = wire_text(phases[i].name);
		hold->phases[i].begin = phases[i].begin;
		hold->phases[i].duration = phases[i].duration;
		hold->list[i] = &hold->phases[i];
	}
	call->reply.phases = hold->list;
	call->reply.n_phases = n;
	return 0;
}

static int control_stats(struct control_call *call, struct coffer_error *err)
{
	struct coffer_stats *stats = control_new_struct(call, sizeof(*stats), err);
	uint32_t categories;
	int r = stats ? control_take_number(call, UINT32_MAX, &categories, err) : -ENOMEM;

	return r < 0 ? r : coffer_container_stats(call->c, categories, stats, err);
}

static int control_send_events(struct control_call *call, struct coffer_events *events,
			       struct coffer_error *err)
{
	struct coffer_event *event;
	int r;

	/* That the subscription stands. */
	r = control_reply(call, NULL);
	event = r == 0 ? control_new_struct(call, sizeof(*event), err) : NULL;
	if (!event)
		return -ECONNRESET;
	while (r == 0) {
		struct pollfd fds[] = { { .fd = coffer_events_fd(events), .events = POLLIN },
					{ .fd = call->sock, .events = POLLIN } };

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return err_sys(err, "poll");
		if (fds[1].revents)
			/* Or control_free() makes it seem so: then he is told. */
			return err_set(err, COFFER_ERR_INTERRUPTED, 0, "the container has been freed");
		r = coffer_events_next(events, 0, event, err);
		if (r == 0)
			r = control_reply(call, NULL);
		else if (r == -ETIMEDOUT)
			r = 0;
	}
	return r;
}

static int control_events(struct control_call *call, struct coffer_error *err)
{
	struct coffer_events *events;
	int r = coffer_container_events(call->c, &events, err);

	if (r < 0)
		return r;
	r = control_send_events(call, events, err);
	coffer_events_free(events);
	return r;
}

static int control_freeze(struct control_call *call, struct coffer_error *err)
{
	const char *path;
	int r = control_take_path(call, &path, err);

	return r < 0 ? r : coffer_container_fs_freeze(call->c, path, err);
}

static int control_thaw(struct control_call *call, struct coffer_error *err)
{
	const char *path;
	int r = control_take_path(call, &path, err);

	return r < 0 ? r : coffer_container_fs_thaw(call->c, path, err);
}

static int control_trim(struct control_call *call, struct coffer_error *err)
{
	const char *path;
	int r = control_take_path(call, &path, err);

	return r < 0 ? r : coffer_container_fs_trim(call->c, path, &call->reply.number, err);
}

static int control_stat(struct control_call *call, struct coffer_error *err)
{
	struct coffer_path_stat *st = control_new_struct(call, sizeof(*st), err);
	const char *path;
	int r = st ? control_take_path(call, &path, err) : -ENOMEM;

	if (r < 0)
		return r;
	return transfer_local.stat(call->c, path, call->req->flags & 1, st, err);
}

static int control_transfer(struct control_call *call, struct coffer_error *err)
{
	autotransfer struct transfer transfer = TRANSFER_INIT;
	struct transfer_request request = {
		.follow = call->req->flags & 1,
		.keep_types = call->req->flags & 2,
		.keep_owners = call->req->flags & 4,
		.pause = call->req->flags & 8,
	};
	uint32_t kind;
	int r = control_take_number(call, TRANSFER_KIND_COUNT - 1, &kind, err);

	if (r == 0)
		r = control_take_path(call, &request.path, err);
	if (r < 0)
		return r;
	request.kind = kind;
	r = transfer_local.open(call->c, &request, call->sock, &transfer, err);
	if (r == 0)
		r = control_put_fd(call, steal_fd(&transfer.data_fd));
	return r < 0 ? r : control_put_fd(call, steal_fd(&transfer.verdict_fd));
}

static int control_dial(struct control_call *call, struct coffer_error *err)
{
	uint32_t port;
	int r = control_take_number(call, UINT32_MAX, &port, err);

	return r < 0 ? r : control_put_fd(call, transfer_local.dial(call->c, port, err));
}

static int control_connect(struct control_call *call, struct coffer_error *err)
{
	uint32_t port;
	int r = control_take_number(call, UINT16_MAX, &port, err);

	if (r == 0)
		r = transfer_local.connect(call->c, (uint16_t)port, call->sock, err);
	return r < 0 ? r : control_put_fd(call, r);
}

static int control_listen(struct control_call *call, struct coffer_error *err)
{
	uint32_t port;
	int r = control_take_number(call, UINT32_MAX, &port, err);

	return r < 0 ? r : control_put_fd(call, transfer_local.listen(call->c, port, err));
}

static int control_unlisten(struct control_call *call, struct coffer_error *err)
{
	uint32_t port;
	int r = control_take_number(call, UINT32_MAX, &port, err);

	if (r == 0)
		transfer_local.unlisten(call->c, port);
	return r;
}

static int control_relay_add(struct control_call *call, struct coffer_error *err)
{
	struct coffer_relay relay = {
		.direction = call->req->flags & 1 ? COFFER_RELAY_OUT_OF : COFFER_RELAY_INTO,
		.mode = (mode_t)(call->req->number & 07777),
	};
	int r = wire_take_text(&call->req->id, "id", &relay.id, err);

	if (r == 0)
		r = control_take_path(call, &relay.guest_path, err);
	if (r == 0)
		r = wire_take_text(&call->req->host_path, "path", &relay.host_path, err);
	return r < 0 ? r : transfer_local.relay_add(call->c, &relay, err);
}

static int control_relay_remove(struct control_call *call, struct coffer_error *err)
{
	const char *id;
	int r = wire_take_text(&call->req->id, "id", &id, err);

	return r < 0 ? r : transfer_local.relay_remove(call->c, id ? id : "", err);
}

static int (*const control_methods[])(struct control_call *call, struct coffer_error *err) = {
	[CT__METHOD__STATE] = control_state,
	[CT__METHOD__STOP] = control_stop,
	[CT__METHOD__PAUSE] = control_pause,
	[CT__METHOD__RESUME] = control_resume,
	[CT__METHOD__KILL_ALL] = control_kill_all,
	[CT__METHOD__UPDATE] = control_update,
	[CT__METHOD__DEATH] = control_death,
	[CT__METHOD__INSPECT] = control_inspect,
	[CT__METHOD__TIMING] = control_timing,
	[CT__METHOD__PHASES] = control_phases,
	[CT__METHOD__STATS] = control_stats,
	[CT__METHOD__EVENTS] = control_events,
	[CT__METHOD__EXEC] = control_exec,
	[CT__METHOD__FIND] = control_find,
	[CT__METHOD__WAIT] = control_wait,
	[CT__METHOD__KILL] = control_kill,
	[CT__METHOD__KILL_FOREGROUND] = control_kill_foreground,
	[CT__METHOD__RESIZE] = control_resize,
	[CT__METHOD__CLOSE_STDIN] = control_close_stdin,
	[CT__METHOD__DELETE] = control_delete,
	[CT__METHOD__FREEZE] = control_freeze,
	[CT__METHOD__THAW] = control_thaw,
	[CT__METHOD__TRIM] = control_trim,
	[CT__METHOD__STAT] = control_stat,
	[CT__METHOD__TRANSFER] = control_transfer,
	[CT__METHOD__DIAL] = control_dial,
	[CT__METHOD__CONNECT] = control_connect,
	[CT__METHOD__LISTEN] = control_listen,
	[CT__METHOD__UNLISTEN] = control_unlisten,
	[CT__METHOD__RELAY_ADD] = control_relay_add,
	[CT__METHOD__RELAY_REMOVE] = control_relay_remove,
};

int control_call(struct control_call *call, struct coffer_error *err)
{
	unsigned method = call->req->method;

	if (call->req->version != WIRE_VERSION)
		return err_unsupported(err, "version %u of the control socket; this is %d",
				       call->req->version, WIRE_VERSION);
	if (method >= ARRAY_SIZE(control_methods) || !control_methods[method])
		return err_unsupported(err, "method %u: unknown", method);
	return control_methods[method](call, err);
}
