/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_conn.c - one connection of the server
 *
 * A batch: read, note what the peer did (this file's nghttp2 callbacks), run
 * the handlers of the requests that became whole, write.  So an answer that a
 * handler has at once leaves in the batch its request came in.
 *
 * Intake is bounded in two steps.  Every call may send one window
 * (GRPC_STREAM_WINDOW), which a request nearly always fits.  A larger one is
 * let in when its announced length can be reserved on the connection; until
 * then its window stays shut, while those that hold a reservation go on, so
 * the peer waits but nobody locks up.  The connection's own window never
 * shuts.
 *
 * A stream of requests is the same over and over: one message at a time is
 * taken in, what came behind it waits in call->backlog, and that window is
 * given back when the handler wants the next (grpc_conn_advance()).  Its
 * messages are reserved even if small, because some of the window may be used
 * up and not be given back before half of it is.
 */
#define LOG_CATEGORY "rpc"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "rpc/grpc_server_internal.h"
#include "rpc/grpc_text.h"

#define GRPC_CONN_READS 8 /* in one batch, so that one peer cannot hold up the loop */

/* ---- intake ---- */

static void grpc_conn_admit(struct grpc_conn *conn, struct grpc_call *call)
{
	size_t need = grpc_reader_announced(&call->in);

	if (!call->reserved) {
		if (need + GRPC_PREFIX_LEN <= GRPC_STREAM_WINDOW && !call->method->stream)
			return;
		if (conn->reserved && conn->reserved + need > conn->srv->limits.max_queued)
			return;
		call->reserved = need;
		conn->reserved += need;
	}
	nghttp2_session_consume_stream(conn->wire.session, call->stream, call->unconsumed);
	call->unconsumed = 0;
}

/* A message is being put together; between two of a stream, what comes waits for its handler. */
static bool grpc_conn_taking(const struct grpc_call *call)
{
	return !call->over && !call->whole && (!call->dispatched || call->on_message);
}

void grpc_conn_release(struct grpc_conn *conn, struct grpc_call *call)
{
	struct grpc_call *other;

	grpc_reader_reset(&call->in);
	if (!call->reserved)
		return;
	conn->reserved -= call->reserved;
	call->reserved = 0;
	for (other = LIST_FIRST(&conn->calls); other; other = LIST_NEXT(other, link)) {
		if (other->unconsumed && grpc_conn_taking(other))
			grpc_conn_admit(conn, other);
	}
}

void grpc_conn_ready(struct grpc_conn *conn, struct grpc_call *call)
{
	if (call->is_ready)
		return;
	call->is_ready = true;
	TAILQ_INSERT_TAIL(&conn->ready, call, ready);
}

static void grpc_conn_refuse_reader(struct grpc_call *call, int r)
{
	static const struct {
		int err;
		enum grpc_status status;
		const char *message;
	} why[] = {
		{ -EMSGSIZE, GRPC_RESOURCE_EXHAUSTED, "request larger than this server takes" },
		{ -EOPNOTSUPP, GRPC_UNIMPLEMENTED, "compressed messages are not supported" },
		{ -ENOMEM, GRPC_RESOURCE_EXHAUSTED, "out of memory" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(why); i++) {
		if (why[i].err == r)
			grpc_call_end(call, why[i].status, why[i].message);
	}
}

/* Nothing more comes, and no whole message is left. */
static void grpc_conn_stream_end(struct grpc_conn *conn, struct grpc_call *call)
{
	if (grpc_reader_started(&call->in))
		grpc_call_end(call, GRPC_INTERNAL, "request cut short");
	else if (!call->dispatched)
		grpc_call_end(call, GRPC_INTERNAL, "request without a message");
	else if (call->on_message)
		grpc_conn_ready(conn, call);
}

void grpc_conn_advance(struct grpc_conn *conn, struct grpc_call *call)
{
	size_t n = call->backlog.len, left = n;
	const uint8_t *p = n ? buf_data(&call->backlog) : NULL;
	int r;

	nghttp2_session_consume_stream(conn->wire.session, call->stream, call->unconsumed - n);
	call->unconsumed = n;
	r = n ? grpc_reader_feed(&call->in, &p, &left, conn->srv->limits.max_message) : 0;
	buf_consume(&call->backlog, n - left);
	if (r < 0)
		grpc_conn_refuse_reader(call, r);
	else if (r == 1)
		call->whole = true;
	else if (call->ended)
		grpc_conn_stream_end(conn, call);
	else
		grpc_conn_admit(conn, call);
	if (call->whole)
		grpc_conn_ready(conn, call);
	grpc_conn_flush(conn);
	/* Whoever has called this is not called back from inside it. */
	if (call->is_ready && !conn->busy)
		grpc_server_wake(conn->srv, 0);
}

/* What comes behind a message that the handler has not had. */
static void grpc_conn_behind(struct grpc_call *call, const uint8_t *data, size_t n)
{
	if (!call->method->stream)
		grpc_call_end(call, GRPC_INTERNAL, "more than one request message");
	else if (buf_append(&call->backlog, data, n) < 0)
		grpc_call_end(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
}

static int grpc_conn_on_data(nghttp2_session *session, uint8_t flags, int32_t stream,
			     const uint8_t *data, size_t len, void *user)
{
	struct grpc_conn *conn = user;
	struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream);
	size_t n = len;
	int r;

	if (nghttp2_session_consume_connection(session, len))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (!call || call->over || !len)
		return 0;
	call->unconsumed += len;
	if (grpc_conn_taking(call)) {
		r = grpc_reader_feed(&call->in, &data, &n, conn->srv->limits.max_message);
		if (r < 0) {
			grpc_conn_refuse_reader(call, r);
			return 0;
		}
		call->whole = r == 1;
		if (call->whole && call->method->stream)
			grpc_conn_ready(conn, call);
		if (!call->whole)
			grpc_conn_admit(conn, call);
	}
	if (n > 0)
		grpc_conn_behind(call, data, n);
	return 0;
}

/* ---- headers ---- */

static void grpc_conn_find_method(struct grpc_call *call, const uint8_t *path, size_t n)
{
	struct grpc_server *srv = call->srv;

	for (size_t i = 0; i < srv->nservices; i++) {
		const struct grpc_service *s = &srv->services[i];
		size_t k = strlen(s->desc->name);

		if (n < k + 2 || path[0] != '/' || memcmp(path + 1, s->desc->name, k) != 0 ||
		    path[k + 1] != '/')
			continue;
		for (size_t m = 0; m < s->nmethods; m++) {
			const char *name = s->methods[m].name;

			if (strlen(name) == n - k - 2 && !memcmp(path + k + 2, name, n - k - 2)) {
				call->service = s;
				call->method = &s->methods[m];
				call->desc =
				    protobuf_c_service_descriptor_get_method_by_name(s->desc, name);
				return;
			}
		}
	}
}

static int grpc_conn_on_header(nghttp2_session *session, const nghttp2_frame *frame,
			       const uint8_t *name, size_t nlen, const uint8_t *value, size_t vlen,
			       uint8_t flags, void *user)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	usec_t timeout;

	if (!call)
		return 0;
	call->header_bytes += nlen + vlen + GRPC_HEADER_OVERHEAD;
	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (grpc_wire_is(name, nlen, ":path")) {
		grpc_conn_find_method(call, value, vlen);
	} else if (grpc_wire_is(name, nlen, ":method")) {
		call->is_post = grpc_wire_is(value, vlen, "POST");
	} else if (grpc_wire_is(name, nlen, "content-type")) {
		call->is_grpc = grpc_wire_content_type(value, vlen);
	} else if (grpc_wire_is(name, nlen, "grpc-timeout")) {
		if (grpc_timeout_parse(value, vlen, &timeout) < 0)
			call->bad_timeout = true;
		else
			call->deadline = deadline_in(timeout);
	}
	return 0;
}

/* Not gRPC at all: an HTTP status says so. */
static void grpc_conn_refuse_http(struct grpc_call *call, const char *status)
{
	nghttp2_nv nv = GRPC_NV_TEXT(":status", status);

	call->started = call->over = true;
	call->deadline = USEC_INFINITY;
	nghttp2_submit_response(call->conn->wire.session, call->stream, &nv, 1, NULL);
}

static void grpc_conn_check_request(struct grpc_conn *conn, struct grpc_call *call)
{
	if (!call->is_post)
		grpc_conn_refuse_http(call, "405");
	else if (!call->is_grpc)
		grpc_conn_refuse_http(call, "415");
	else if (call->header_bytes > conn->srv->limits.max_header_list)
		grpc_call_end(call, GRPC_RESOURCE_EXHAUSTED, "header list too large");
	else if (!call->method)
		grpc_call_end(call, GRPC_UNIMPLEMENTED, "unknown method");
	else if (call->bad_timeout)
		grpc_call_end(call, GRPC_INTERNAL, "malformed grpc-timeout");
	else if (call->deadline != USEC_INFINITY)
		grpc_server_wake(conn->srv, call->deadline);
}

static void grpc_conn_request_end(struct grpc_conn *conn, struct grpc_call *call)
{
	call->ended = true;
	if (call->method && call->method->stream) {
		if (grpc_conn_taking(call))
			grpc_conn_stream_end(conn, call);
		return;
	}
	if (!call->whole) {
		grpc_call_end(call, GRPC_INTERNAL,
			      grpc_reader_started(&call->in) ? "request cut short"
							     : "request without a message");
		return;
	}
	grpc_conn_ready(conn, call);
}

/* ---- nghttp2's other callbacks ---- */

static int grpc_conn_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame,
				      void *user)
{
	struct grpc_call *call;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	call = grpc_call_new(user, frame->hd.stream_id);
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
	return 0;
}

static int grpc_conn_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct grpc_call *call;

	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (!call)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		grpc_conn_check_request(user, call);
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM && !call->over && !call->ended)
		grpc_conn_request_end(user, call);
	return 0;
}

/* An answer that came before the request was whole: the rest of it is not wanted. */
static int grpc_conn_on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	int32_t stream = frame->hd.stream_id;

	if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	if (nghttp2_session_get_stream_remote_close(session, stream) == 0)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_NO_ERROR);
	return 0;
}

static int grpc_conn_on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code,
				     void *user)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream);

	if (call)
		grpc_call_detach(call);
	return 0;
}

int grpc_conn_callbacks(nghttp2_session_callbacks **out)
{
	if (nghttp2_session_callbacks_new(out))
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_begin_headers_callback(*out, grpc_conn_on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(*out, grpc_conn_on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(*out, grpc_conn_on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(*out, grpc_conn_on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(*out, grpc_conn_on_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(*out, grpc_conn_on_stream_close);
	return 0;
}

/* ---- the socket ---- */

static void grpc_conn_dispatch(struct grpc_conn *conn)
{
	struct grpc_call *call;

	while ((call = TAILQ_FIRST(&conn->ready))) {
		TAILQ_REMOVE(&conn->ready, call, ready);
		call->is_ready = false;
		grpc_call_dispatch(call);
	}
}

static void grpc_conn_read(struct grpc_conn *conn)
{
	ssize_t n;

	for (unsigned i = 0; i < GRPC_CONN_READS; i++) {
		n = grpc_wire_read(&conn->wire);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			if (n < 0)
				log_debug("connection dropped: %s", strerror((int)-n));
			conn->doomed = true;
			return;
		}
		grpc_conn_dispatch(conn);
		if (n < GRPC_WIRE_READ)
			return;
	}
}

static void grpc_conn_write(struct grpc_conn *conn)
{
	uint32_t events;

	conn->busy = true;
	if (grpc_wire_flush(&conn->wire) < 0 || conn->wire.write_dead ||
	    grpc_wire_over(&conn->wire))
		conn->doomed = true;
	conn->busy = false;
	/* Replies have left, and their senders want to know. */
	if (!TAILQ_EMPTY(&conn->ready))
		grpc_server_wake(conn->srv, 0);
	events = grpc_wire_blocked(&conn->wire) ? EPOLLIN | EPOLLOUT : EPOLLIN;
	if (events == conn->events)
		return;
	if (loop_set_events(conn->source, events) < 0)
		conn->doomed = true;
	conn->events = events;
}

void grpc_conn_flush(struct grpc_conn *conn)
{
	if (conn->busy)
		return;
	grpc_conn_write(conn);
	/* The caller is a handler somewhere, so not now. */
	if (conn->doomed)
		grpc_server_wake(conn->srv, 0);
}

static void grpc_conn_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct grpc_conn *conn = data;
	struct grpc_server *srv = conn->srv;

	conn->busy = true;
	if (events & ~(uint32_t)EPOLLOUT)
		grpc_conn_read(conn);
	grpc_conn_write(conn);
	if (conn->doomed)
		grpc_conn_free(conn);
	grpc_server_run_due(srv);
}

usec_t grpc_conn_tick(struct grpc_conn *conn, usec_t now)
{
	struct grpc_call *call, *next;
	usec_t wake = USEC_INFINITY;
	bool expired = !TAILQ_EMPTY(&conn->ready);

	conn->busy = true;
	grpc_conn_dispatch(conn);
	for (call = LIST_FIRST(&conn->calls); call; call = next) {
		next = LIST_NEXT(call, link);
		if (call->deadline <= now) {
			grpc_call_expire(call);
			expired = true;
		} else if (call->deadline < wake) {
			wake = call->deadline;
		}
	}
	conn->busy = false;
	if (expired)
		grpc_conn_write(conn);
	if (conn->doomed)
		grpc_conn_free(conn);
	return wake;
}

int grpc_conn_new(struct grpc_server *srv, int fd, struct coffer_error *err)
{
	struct grpc_conn *conn = calloc(1, sizeof(*conn));
	int r;

	if (!conn)
		return err_nomem(err);
	conn->srv = srv;
	LIST_INIT(&conn->calls);
	TAILQ_INIT(&conn->ready);
	r = grpc_wire_init(&conn->wire, fd, true, srv->callbacks, &srv->limits, conn, err);
	if (r < 0) {
		free(conn);
		return r;
	}
	conn->events = EPOLLIN;
	r = loop_add_fd(srv->loop, fd, conn->events, grpc_conn_handler, conn, &conn->source, err);
	if (r < 0) {
		conn->wire.fd = -1; /* still the caller's */
		grpc_wire_close(&conn->wire);
		free(conn);
		return r;
	}
	LIST_INSERT_HEAD(&srv->conns, conn, link);
	srv->nconns++;
	return 0;
}

void grpc_conn_free(struct grpc_conn *conn)
{
	struct grpc_call *call;

	conn->busy = true;
	nghttp2_session_terminate_session(conn->wire.session, NGHTTP2_NO_ERROR);
	grpc_wire_flush(&conn->wire);
	while ((call = LIST_FIRST(&conn->calls))) {
		nghttp2_session_set_stream_user_data(conn->wire.session, call->stream, NULL);
		grpc_call_detach(call);
	}
	loop_remove(conn->source);
	grpc_wire_close(&conn->wire);
	LIST_REMOVE(conn, link);
	conn->srv->nconns--;
	free(conn);
}
