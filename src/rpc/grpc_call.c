/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_call.c - one call on the server: the handlers' API and its life time
 *
 * Replies go into the call's queue, from which nghttp2 pulls when the peer's
 * window and the socket allow; a status without any message becomes a single
 * header block (trailers only).  Every API function is a no-op on a call that
 * has ended under its handler, so a handler needs no check before it answers.
 */
#include <stdlib.h>
#include <string.h>

#include "rpc/grpc_server_internal.h"
#include "rpc/grpc_text.h"
#include "rpc/proto_check.h"

#define GRPC_MESSAGE_MAX (3 * COFFER_ERROR_MESSAGE_MAX) /* every byte may need an escape */
#define GRPC_STATUS_TEXT 4

struct grpc_call *grpc_call_new(struct grpc_conn *conn, int32_t stream)
{
	struct grpc_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->conn = conn;
	call->srv = conn->srv;
	call->stream = stream;
	call->refs = 1;
	call->deadline = USEC_INFINITY;
	call->backlog = (struct buf)BUF_INIT(GRPC_STREAM_WINDOW);
	LIST_INSERT_HEAD(&conn->calls, call, link);
	return call;
}

void grpc_call_unref(struct grpc_call *call)
{
	if (--call->refs > 0)
		return;
	if (call->is_due)
		TAILQ_REMOVE(&call->srv->due, call, due);
	grpc_reader_reset(&call->in);
	buf_free(&call->backlog);
	grpc_queue_clear(&call->out);
	free(call->message);
	free(call);
}

static void grpc_call_schedule_cancel(struct grpc_call *call)
{
	if (!call->held || call->is_due)
		return;
	call->is_due = true;
	TAILQ_INSERT_TAIL(&call->srv->due, call, due);
	grpc_server_wake(call->srv, 0);
}

void grpc_call_detach(struct grpc_call *call)
{
	struct grpc_conn *conn = call->conn;

	if (call->is_ready)
		TAILQ_REMOVE(&conn->ready, call, ready);
	call->is_ready = false;
	LIST_REMOVE(call, link);
	grpc_conn_release(conn, call);
	buf_free(&call->backlog);
	conn->queued -= call->out.bytes;
	grpc_queue_clear(&call->out);
	call->conn = NULL;
	call->over = true;
	grpc_call_schedule_cancel(call);
	grpc_call_unref(call);
}

void grpc_call_expire(struct grpc_call *call)
{
	call->deadline = USEC_INFINITY;
	grpc_call_end(call, GRPC_DEADLINE_EXCEEDED, "deadline exceeded");
	grpc_call_schedule_cancel(call);
}

static nghttp2_nv grpc_call_status_nv(const struct grpc_call *call, char text[GRPC_STATUS_TEXT])
{
	text[0] = (char)('0' + call->status / 10);
	text[1] = (char)('0' + call->status % 10);
	text[2] = '\0';
	return (nghttp2_nv)GRPC_NV_TEXT("grpc-status", call->status < 10 ? text + 1 : text);
}

static int grpc_call_submit_trailer(struct grpc_call *call)
{
	char text[GRPC_STATUS_TEXT];
	nghttp2_nv nv[2] = { grpc_call_status_nv(call, text) };

	if (call->message)
		nv[1] = (nghttp2_nv)GRPC_NV_TEXT("grpc-message", call->message);
	return nghttp2_submit_trailer(call->conn->wire.session, call->stream, nv,
				      call->message ? 2 : 1);
}

/* nghttp2 pulls the reply from here. */
static ssize_t grpc_call_pull(nghttp2_session *session, int32_t stream, uint8_t *out, size_t n,
			      uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct grpc_call *call = source->ptr;
	size_t k = grpc_queue_pull(&call->out, out, n);

	call->conn->queued -= k;
	if (call->out.bytes)
		return (ssize_t)k;
	if (call->on_drained) {
		call->drained = true;
		grpc_conn_ready(call->conn, call);
	}
	if (!call->over)
		return k ? (ssize_t)k : NGHTTP2_ERR_DEFERRED;
	*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	if (grpc_call_submit_trailer(call))
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return (ssize_t)k;
}

/* Headers alone when all there is to say is the status. */
static int grpc_call_submit_response(struct grpc_call *call)
{
	char text[GRPC_STATUS_TEXT];
	nghttp2_nv nv[] = {
		GRPC_NV(":status", "200"),
		GRPC_NV("content-type", "application/grpc"),
		grpc_call_status_nv(call, text),
		GRPC_NV_TEXT("grpc-message", call->message ? call->message : ""),
	};
	nghttp2_data_provider body = { .source.ptr = call, .read_callback = grpc_call_pull };
	nghttp2_session *session = call->conn->wire.session;

	call->started = true;
	if (call->over && !call->out.bytes)
		return nghttp2_submit_response(session, call->stream, nv, call->message ? 4 : 3,
					       NULL);
	return nghttp2_submit_response(session, call->stream, nv, 2, &body);
}

static void grpc_call_push(struct grpc_call *call)
{
	nghttp2_session *session = call->conn->wire.session;

	if (call->started)
		nghttp2_session_resume_data(session, call->stream);
	else if (grpc_call_submit_response(call))
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->stream,
					  NGHTTP2_INTERNAL_ERROR);
	grpc_conn_flush(call->conn);
}

static char *grpc_call_encode(const char *message)
{
	char text[GRPC_MESSAGE_MAX + 1];

	if (!message || !*message)
		return NULL;
	grpc_percent_encode(message, text, sizeof(text));
	return strdup(text); /* without memory the status goes alone */
}

void grpc_call_end(struct grpc_call *call, enum grpc_status status, const char *message)
{
	if (call->over)
		return;
	call->over = true;
	call->status = (unsigned)status < GRPC_STATUS_COUNT ? status : GRPC_UNKNOWN;
	call->message = call->status == GRPC_OK ? NULL : grpc_call_encode(message);
	grpc_conn_release(call->conn, call);
	buf_free(&call->backlog);
	grpc_call_push(call);
}

/* The first message goes to the method's handler, which then holds the call. */
static void grpc_call_hand_over(struct grpc_call *call, const ProtobufCMessage *req)
{
	grpc_handler fn = steal_ptr(call->on_message);

	if (call->dispatched) {
		fn(call, req, call->on_message_data);
		return;
	}
	call->dispatched = true;
	call->held = true;
	call->refs++;
	call->method->handler(call, req, call->service->data);
}

static void grpc_call_dispatch_message(struct grpc_call *call)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	ProtobufCMessage *req = NULL;
	int r;

	r = proto_unpack(call->desc->input, call->in.body, call->in.len,
			 PROTO_BUDGET(call->srv->limits.max_message), &req, &err);
	if (r < 0) {
		grpc_call_end(call, r == -ENOBUFS ? GRPC_RESOURCE_EXHAUSTED : GRPC_INTERNAL,
			      err.message);
		return;
	}
	grpc_conn_release(call->conn, call);
	call->whole = false;
	grpc_call_hand_over(call, req);
	protobuf_c_message_free_unpacked(req, NULL);
}

void grpc_call_dispatch(struct grpc_call *call)
{
	void (*drained)(struct grpc_call *, void *) = NULL;

	call->refs++;
	if (call->drained)
		drained = steal_ptr(call->on_drained);
	call->drained = false;
	if (drained && !call->over)
		drained(call, call->on_drained_data);
	if (call->whole && !call->over)
		grpc_call_dispatch_message(call);
	else if (call->on_message && call->ended && !call->over)
		grpc_call_hand_over(call, NULL);
	grpc_call_unref(call);
}

void grpc_call_receive(struct grpc_call *call, grpc_handler fn, void *data)
{
	call->on_message = fn;
	call->on_message_data = data;
	if (!call->over)
		grpc_conn_advance(call->conn, call);
}

size_t grpc_call_queued(const struct grpc_call *call)
{
	return call->out.bytes;
}

void grpc_call_on_drained(struct grpc_call *call, void (*fn)(struct grpc_call *call, void *data),
			  void *data)
{
	call->on_drained = fn;
	call->on_drained_data = data;
}

static int grpc_call_queue(struct grpc_call *call, const ProtobufCMessage *msg)
{
	size_t before = call->out.bytes;
	int r = grpc_queue_put(&call->out, msg, call->srv->limits.max_message);

	if (r == 0)
		call->conn->queued += call->out.bytes - before;
	return r;
}

static bool grpc_call_congested(const struct grpc_call *call)
{
	return call->conn->queued >= call->srv->limits.max_queued;
}

int grpc_call_send(struct grpc_call *call, const ProtobufCMessage *msg)
{
	int r;

	if (call->over)
		return -ECANCELED;
	if (grpc_call_congested(call))
		return -EAGAIN;
	r = grpc_call_queue(call, msg);
	if (r == 0)
		grpc_call_push(call);
	return r;
}

/* The handler lets go. */
static void grpc_call_drop(struct grpc_call *call)
{
	if (!call->held)
		return;
	call->held = false;
	call->on_cancel = NULL;
	call->on_message = NULL;
	call->on_drained = NULL;
	grpc_call_unref(call);
}

void grpc_call_reply(struct grpc_call *call, const ProtobufCMessage *msg)
{
	int r;

	if (!call->over) {
		r = grpc_call_congested(call) ? -EAGAIN : grpc_call_queue(call, msg);
		if (r == -EMSGSIZE)
			grpc_call_end(call, GRPC_RESOURCE_EXHAUSTED, "reply too large");
		else if (r < 0)
			grpc_call_end(call, GRPC_RESOURCE_EXHAUSTED, "too many replies queued");
		else
			grpc_call_end(call, GRPC_OK, NULL);
	}
	grpc_call_drop(call);
}

void grpc_call_finish(struct grpc_call *call, enum grpc_status status, const char *message)
{
	grpc_call_end(call, status, message);
	grpc_call_drop(call);
}

void grpc_call_fail(struct grpc_call *call, const struct coffer_error *err)
{
	enum grpc_status status = grpc_status_from_kind(err->kind);

	grpc_call_finish(call, status == GRPC_OK ? GRPC_INTERNAL : status, err->message);
}

void grpc_call_on_cancel(struct grpc_call *call, void (*fn)(struct grpc_call *call, void *data),
			 void *data)
{
	call->on_cancel = fn;
	call->on_cancel_data = data;
}
