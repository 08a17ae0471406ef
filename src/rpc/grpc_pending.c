/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_pending.c - one call of the client, as nghttp2's callbacks see it
 *
 * Replies are collected raw and unpacked when the caller takes them.  What a
 * peer can make us hold per call is one largest message and one window: the
 * stream's window is opened for the message that will be taken next, and shut
 * for whatever comes behind it until the caller has taken that.
 */
#include <stdlib.h>
#include <string.h>

#include "rpc/grpc_client_internal.h"
#include "rpc/grpc_text.h"

#define GRPC_PATH_MAX 256

/* How a stream that was reset without a status has to be read (PROTOCOL-HTTP2, "Errors"). */
static const struct {
	uint32_t code;
	enum grpc_status status;
	const char *text;
} grpc_reset_table[] = {
	{ NGHTTP2_REFUSED_STREAM, GRPC_UNAVAILABLE, "the peer refused the call" },
	{ NGHTTP2_CANCEL, GRPC_CANCELLED, "the peer cancelled the call" },
	{ NGHTTP2_ENHANCE_YOUR_CALM, GRPC_RESOURCE_EXHAUSTED, "the peer is overloaded" },
	{ NGHTTP2_INADEQUATE_SECURITY, GRPC_PERMISSION_DENIED, "the peer wants more security" },
};

static const struct {
	unsigned http;
	enum grpc_status status;
} grpc_http_table[] = {
	{ 400, GRPC_INTERNAL },	     { 401, GRPC_UNAUTHENTICATED }, { 403, GRPC_PERMISSION_DENIED },
	{ 404, GRPC_UNIMPLEMENTED }, { 429, GRPC_UNAVAILABLE },	    { 502, GRPC_UNAVAILABLE },
	{ 503, GRPC_UNAVAILABLE },   { 504, GRPC_UNAVAILABLE },
};

static void grpc_pending_unref(struct grpc_pending *p)
{
	struct grpc_reply *reply;

	if (--p->refs > 0)
		return;
	while ((reply = STAILQ_FIRST(&p->replies))) {
		STAILQ_REMOVE_HEAD(&p->replies, link);
		grpc_reader_reset(&reply->message);
		free(reply);
	}
	grpc_reader_reset(&p->in);
	grpc_queue_clear(&p->out);
	free(p);
}

void grpc_pending_detach(struct grpc_pending *p)
{
	LIST_REMOVE(p, link);
	p->client->queued -= p->out.bytes;
	grpc_queue_clear(&p->out);
	p->client = NULL;
	grpc_pending_unref(p);
}

void grpc_pending_end(struct grpc_pending *p, enum grpc_status status, const char *text)
{
	if (p->over)
		return;
	p->over = true;
	p->status = status;
	if (text)
		snprintf(p->text, sizeof(p->text), "%s", text);
	grpc_reader_reset(&p->in);
	if (p->client && !p->client->broken)
		nghttp2_submit_rst_stream(p->client->wire.session, NGHTTP2_FLAG_NONE, p->stream,
					  NGHTTP2_CANCEL);
}

/* ---- request ---- */

static ssize_t grpc_pending_pull(nghttp2_session *session, int32_t stream, uint8_t *out, size_t n,
				 uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct grpc_pending *p = source->ptr;
	size_t k = grpc_queue_pull(&p->out, out, n);

	p->client->queued -= k;
	if (!p->out.bytes)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)k;
}

int grpc_pending_submit(struct grpc_pending *p, const ProtobufCServiceDescriptor *service,
			usec_t timeout, struct coffer_error *err)
{
	nghttp2_data_provider body = { .source.ptr = p, .read_callback = grpc_pending_pull };
	char path[GRPC_PATH_MAX], wait[GRPC_TIMEOUT_MAX] = "";
	bool timed = timeout != USEC_INFINITY;
	int n;

	n = snprintf(path, sizeof(path), "/%s/%s", service->name, p->method->name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return err_invalid(err, "method name too long: %s", p->method->name);
	if (timed)
		grpc_timeout_format(timeout, wait);
	nghttp2_nv nv[] = {
		GRPC_NV(":method", "POST"),	    GRPC_NV(":scheme", "http"),
		GRPC_NV_TEXT(":path", path),	    GRPC_NV(":authority", "localhost"),
		GRPC_NV("te", "trailers"),	    GRPC_NV("content-type", "application/grpc"),
		GRPC_NV_TEXT("grpc-timeout", wait),
	};

	p->stream = nghttp2_submit_request(p->client->wire.session, NULL, nv,
					   ARRAY_SIZE(nv) - (timed ? 0 : 1), &body, p);
	if (p->stream == NGHTTP2_ERR_NOMEM)
		return err_nomem(err);
	if (p->stream < 0)
		return err_set(err, COFFER_ERR_INTERRUPTED, 0, "%s: %s", p->method->name,
			       nghttp2_strerror(p->stream));
	return 0;
}

/* ---- response headers ---- */

static unsigned grpc_pending_number(const uint8_t *value, size_t n, unsigned otherwise)
{
	unsigned v = 0;

	if (n < 1 || n > 3)
		return otherwise;
	for (size_t i = 0; i < n; i++) {
		if (value[i] < '0' || value[i] > '9')
			return otherwise;
		v = v * 10 + (value[i] - '0');
	}
	return v;
}

static int grpc_pending_on_header(nghttp2_session *session, const nghttp2_frame *frame,
				  const uint8_t *name, size_t nlen, const uint8_t *value,
				  size_t vlen, uint8_t flags, void *user)
{
	struct grpc_pending *p = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	if (!p || p->over)
		return 0;
	p->header_bytes += nlen + vlen + GRPC_HEADER_OVERHEAD;
	if (grpc_wire_is(name, nlen, ":status"))
		p->http_status = grpc_pending_number(value, vlen, 0);
	else if (grpc_wire_is(name, nlen, "content-type"))
		p->is_grpc = grpc_wire_content_type(value, vlen);
	else if (grpc_wire_is(name, nlen, "grpc-status"))
		p->grpc_status = (int)grpc_pending_number(value, vlen, GRPC_UNKNOWN);
	else if (grpc_wire_is(name, nlen, "grpc-message"))
		grpc_percent_decode(value, vlen, p->text, sizeof(p->text));
	return 0;
}

static enum grpc_status grpc_pending_http_status(unsigned http)
{
	for (size_t i = 0; i < ARRAY_SIZE(grpc_http_table); i++) {
		if (grpc_http_table[i].http == http)
			return grpc_http_table[i].status;
	}
	return GRPC_UNKNOWN;
}

static void grpc_pending_check_headers(struct grpc_pending *p)
{
	char text[64];

	if (p->over || p->http_status / 100 == 1)
		return;
	if (p->header_bytes > p->client->limits.max_header_list) {
		grpc_pending_end(p, GRPC_INTERNAL, "the peer's headers are too large");
	} else if (p->http_status != 200) {
		snprintf(text, sizeof(text), "the peer answered with HTTP status %u",
			 p->http_status);
		grpc_pending_end(p, grpc_pending_http_status(p->http_status), text);
	} else if (!p->is_grpc) {
		grpc_pending_end(p, GRPC_UNKNOWN, "the peer's answer is not gRPC");
	}
}

static int grpc_pending_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct grpc_pending *p;

	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	p = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (p)
		grpc_pending_check_headers(p);
	return 0;
}

/* ---- response messages ---- */

static void grpc_pending_keep(struct grpc_pending *p)
{
	struct grpc_reply *reply = calloc(1, sizeof(*reply));

	if (!reply) {
		grpc_pending_end(p, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	reply->message = p->in;
	reply->unconsumed = p->unconsumed;
	p->in = (struct grpc_reader){ 0 };
	p->unconsumed = 0;
	STAILQ_INSERT_TAIL(&p->replies, reply, link);
}

/* The message under way is the next to be taken: let the rest of it come. */
static void grpc_pending_admit(struct grpc_pending *p)
{
	if (!p->client || !p->unconsumed || !STAILQ_EMPTY(&p->replies))
		return;
	nghttp2_session_consume_stream(p->client->wire.session, p->stream, p->unconsumed);
	p->unconsumed = 0;
}

static int grpc_pending_on_data(nghttp2_session *session, uint8_t flags, int32_t stream,
				const uint8_t *data, size_t len, void *user)
{
	struct grpc_client *client = user;
	struct grpc_pending *p = nghttp2_session_get_stream_user_data(session, stream);
	size_t n = len;
	int r;

	if (nghttp2_session_consume_connection(session, len))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	while (p && !p->over && n > 0) {
		size_t before = n;

		r = grpc_reader_feed(&p->in, &data, &n, client->limits.max_message);
		p->unconsumed += before - n;
		if (r == -EMSGSIZE)
			grpc_pending_end(p, GRPC_RESOURCE_EXHAUSTED,
					 "reply larger than this client takes");
		else if (r == -EOPNOTSUPP)
			grpc_pending_end(p, GRPC_INTERNAL, "the reply is compressed");
		else if (r < 0)
			grpc_pending_end(p, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		else if (r == 1)
			grpc_pending_keep(p);
	}
	if (p && !p->over)
		grpc_pending_admit(p);
	return 0;
}

bool grpc_pending_take(struct grpc_pending *p, struct grpc_reader *message)
{
	struct grpc_reply *reply = STAILQ_FIRST(&p->replies);

	if (!reply)
		return false;
	STAILQ_REMOVE_HEAD(&p->replies, link);
	*message = reply->message;
	if (p->client && !p->over)
		nghttp2_session_consume_stream(p->client->wire.session, p->stream,
					       reply->unconsumed);
	grpc_pending_admit(p);
	free(reply);
	return true;
}

/* ---- the end ---- */

static void grpc_pending_final_status(struct grpc_pending *p, uint32_t code)
{
	/* Closed, so there is nothing to reset. */
	p->over = true;
	p->status = GRPC_UNKNOWN;
	if (p->grpc_status >= 0) {
		if (p->grpc_status < GRPC_STATUS_COUNT)
			p->status = (enum grpc_status)p->grpc_status;
		if (p->status != GRPC_OK || !grpc_reader_started(&p->in))
			return;
		p->status = GRPC_INTERNAL;
		snprintf(p->text, sizeof(p->text), "the reply is cut short");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(grpc_reset_table); i++) {
		if (grpc_reset_table[i].code == code) {
			p->status = grpc_reset_table[i].status;
			snprintf(p->text, sizeof(p->text), "%s", grpc_reset_table[i].text);
			return;
		}
	}
	p->status = GRPC_INTERNAL;
	snprintf(p->text, sizeof(p->text), "the call ended without a status (%s)",
		 nghttp2_http2_strerror(code));
}

static int grpc_pending_on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code,
					void *user)
{
	struct grpc_pending *p = nghttp2_session_get_stream_user_data(session, stream);

	if (!p)
		return 0;
	if (!p->over)
		grpc_pending_final_status(p, code);
	grpc_pending_detach(p);
	return 0;
}

int grpc_pending_callbacks(nghttp2_session_callbacks **out)
{
	if (nghttp2_session_callbacks_new(out))
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_header_callback(*out, grpc_pending_on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(*out, grpc_pending_on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(*out, grpc_pending_on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(*out, grpc_pending_on_stream_close);
	return 0;
}

void grpc_pending_free(struct grpc_pending *p)
{
	if (!p)
		return;
	/* A unary reply may have been taken just ahead of its trailers. */
	if (p->client && !p->over) {
		grpc_pending_end(p, GRPC_CANCELLED, NULL);
		grpc_client_flush(p->client);
	}
	grpc_pending_unref(p);
}
