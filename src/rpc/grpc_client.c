/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_client.c - gRPC client: the connection and the blocking wait
 *
 * All I/O happens in grpc_client_work(): write what is queued, wait for the
 * socket, read, hand the bytes to nghttp2, whose callbacks (grpc_pending.c)
 * sort them by call.  So waiting for one call also serves all others, and the
 * order in which calls are waited for does not matter.  A connection that
 * breaks ends every call on it and refuses new ones.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/io.h"
#include "rpc/grpc_client_internal.h"
#include "rpc/proto_check.h"

#define GRPC_CLIENT_READS 16 /* before the caller looks at its deadline again */

/* ---- the connection ---- */

static void grpc_client_break(struct grpc_client *c, enum grpc_status status, const char *why)
{
	struct grpc_pending *p;

	if (c->broken)
		return;
	c->broken = why;
	while ((p = LIST_FIRST(&c->calls))) {
		nghttp2_session_set_stream_user_data(c->wire.session, p->stream, NULL);
		grpc_pending_end(p, status, why);
		grpc_pending_detach(p);
	}
	shutdown(c->wire.fd, SHUT_RDWR);
}

void grpc_client_flush(struct grpc_client *c)
{
	if (c->broken)
		return;
	if (grpc_wire_flush(&c->wire) < 0)
		grpc_client_break(c, GRPC_INTERNAL, "connection given up: it cannot be written");
	else if (grpc_wire_over(&c->wire))
		grpc_client_break(c, GRPC_UNAVAILABLE, "the session has ended");
}

static void grpc_client_read(struct grpc_client *c)
{
	ssize_t n = GRPC_WIRE_READ;

	for (unsigned i = 0; i < GRPC_CLIENT_READS && n == GRPC_WIRE_READ; i++) {
		n = grpc_wire_read(&c->wire);
		if (n == -EAGAIN)
			return;
		if (n == 0 || n == -ECONNRESET)
			grpc_client_break(c, GRPC_UNAVAILABLE, "connection closed by the peer");
		else if (n == -EPROTO)
			grpc_client_break(c, GRPC_INTERNAL, "the peer does not speak HTTP/2");
		else if (n < 0)
			grpc_client_break(c, GRPC_INTERNAL, "reading from the connection failed");
	}
}

/* Return: revents of the connection, 0 on deadline, negative errno; -ECANCELED: told to give up */
static int grpc_client_wait(const struct grpc_client *c, short events, usec_t deadline)
{
	struct pollfd fds[] = { { .fd = c->wire.fd, .events = events },
				{ .fd = c->cancel_fd, .events = POLLIN } };
	int r;

	do
		r = poll(fds, ARRAY_SIZE(fds), deadline_poll_ms(deadline));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return fds[1].revents ? -ECANCELED : fds[0].revents;
}

/* Write, wait until @deadline for something to read, read. */
static void grpc_client_work(struct grpc_client *c, usec_t deadline)
{
	short events = POLLIN;
	int r;

	grpc_client_flush(c);
	if (c->broken)
		return;
	if (grpc_wire_blocked(&c->wire))
		events |= POLLOUT;
	/* Deadline 0 takes what is there and needs no poll(2) to know. */
	r = deadline ? grpc_client_wait(c, events, deadline) : events;
	if (r == -ECANCELED)
		grpc_client_break(c, GRPC_CANCELLED, "given up");
	else if (r < 0)
		grpc_client_break(c, GRPC_INTERNAL, "waiting for the connection failed");
	else if (r > 0)
		grpc_client_read(c);
	/* What came may want an answer: acknowledgements, windows. */
	grpc_client_flush(c);
}

int grpc_client_new(int fd, const struct grpc_limits *limits, struct grpc_client **out,
		    struct coffer_error *err)
{
	nghttp2_session_callbacks *cbs;
	struct grpc_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_nomem(err);
	c->limits = limits ? *limits : (struct grpc_limits)GRPC_LIMITS_DEFAULT;
	c->cancel_fd = -1;
	LIST_INIT(&c->calls);
	if (grpc_pending_callbacks(&cbs) < 0) {
		free(c);
		return err_nomem(err);
	}
	r = grpc_wire_init(&c->wire, fd, false, cbs, &c->limits, c, err);
	nghttp2_session_callbacks_del(cbs);
	if (r < 0) {
		free(c);
		return r;
	}
	*out = c;
	return 0;
}

void grpc_client_free(struct grpc_client *c)
{
	if (!c)
		return;
	grpc_client_break(c, GRPC_CANCELLED, "the client was closed");
	grpc_wire_close(&c->wire);
	free(c);
}

void grpc_client_set_cancel(struct grpc_client *c, int fd)
{
	c->cancel_fd = fd;
}

int grpc_client_fd(const struct grpc_client *c)
{
	return c->wire.fd;
}

bool grpc_client_want_write(const struct grpc_client *c)
{
	return !c->broken && grpc_wire_blocked(&c->wire);
}

/* ---- calls ---- */

static int grpc_client_queue(struct grpc_client *c, struct grpc_pending *p,
			     const ProtobufCMessage *req, struct coffer_error *err)
{
	const char *method = p->method->name;
	int r;

	if (c->queued >= c->limits.max_queued)
		return err_set(err, COFFER_ERR_INTERNAL, ENOBUFS,
			       "%s: too many requests the peer has not taken", method);
	r = grpc_queue_put(&p->out, req, c->limits.max_message);
	if (r == -EMSGSIZE)
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, EMSGSIZE,
			       "%s: request larger than %zu bytes", method, c->limits.max_message);
	if (r < 0)
		return err_nomem(err);
	c->queued += p->out.bytes;
	return 0;
}

static const ProtobufCMethodDescriptor *
grpc_client_method(const ProtobufCServiceDescriptor *service, const char *method,
		   const ProtobufCMessage *req, struct coffer_error *err)
{
	const ProtobufCMethodDescriptor *m =
	    protobuf_c_service_descriptor_get_method_by_name(service, method);

	if (m && m->input == req->descriptor)
		return m;
	err_invalid(err, "service %s has no method %s that takes %s", service->name, method,
		    req->descriptor->name);
	return NULL;
}

int grpc_client_start(struct grpc_client *c, const ProtobufCServiceDescriptor *service,
		      const char *method, const ProtobufCMessage *req, usec_t timeout,
		      struct grpc_pending **out, struct coffer_error *err)
{
	const ProtobufCMethodDescriptor *m = grpc_client_method(service, method, req, err);
	struct grpc_pending *p;
	int r;

	if (!m)
		return -EINVAL;
	if (!c->broken && !nghttp2_session_check_request_allowed(c->wire.session))
		grpc_client_break(c, GRPC_UNAVAILABLE, "the peer takes no more calls");
	if (c->broken)
		return err_set(err, COFFER_ERR_INTERRUPTED, 0, "%s: %s", method, c->broken);
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_nomem(err);
	p->client = c;
	p->method = m;
	p->max_message = c->limits.max_message;
	p->refs = 2;
	p->deadline = timeout == USEC_INFINITY ? USEC_INFINITY : deadline_in(timeout);
	p->grpc_status = -1;
	STAILQ_INIT(&p->replies);
	LIST_INSERT_HEAD(&c->calls, p, link);
	r = grpc_client_queue(c, p, req, err);
	if (r == 0)
		r = grpc_pending_submit(p, service, timeout, err);
	if (r < 0) {
		p->over = true; /* there is no stream to reset */
		grpc_pending_detach(p);
		grpc_pending_free(p);
		return r;
	}
	grpc_client_flush(c);
	*out = p;
	return 0;
}

static int grpc_pending_unpack(struct grpc_pending *p, struct grpc_reader *message,
			       ProtobufCMessage **msg, struct coffer_error *err)
{
	struct coffer_error why = COFFER_ERROR_INIT;
	int r = proto_unpack(p->method->output, message->body, message->len,
			     PROTO_BUDGET(p->max_message), msg, &why);

	grpc_reader_reset(message);
	if (r == 0)
		return 0;
	grpc_pending_end(p, GRPC_INTERNAL, why.message);
	return err_set(err, COFFER_ERR_INTERNAL, -r, "%s: the reply cannot be used: %s",
		       p->method->name, why.message);
}

/* The end of a call as seen by the one who waits for its messages. */
static int grpc_pending_result(struct grpc_pending *p, ProtobufCMessage **msg,
			       struct coffer_error *err)
{
	*msg = NULL;
	if (p->status == GRPC_OK)
		return 0;
	return grpc_status_to_error(p->status, p->method->name, p->text, err);
}

static void grpc_pending_expire(struct grpc_pending *p)
{
	char text[128];

	snprintf(text, sizeof(text), "%s: no answer in time", p->method->name);
	grpc_pending_end(p, GRPC_DEADLINE_EXCEEDED, text);
	grpc_client_flush(p->client);
}

int grpc_pending_recv(struct grpc_pending *p, usec_t deadline, ProtobufCMessage **msg,
		      struct coffer_error *err)
{
	struct grpc_reader message;
	bool worked = false;

	for (;;) {
		if (grpc_pending_take(p, &message))
			return grpc_pending_unpack(p, &message, msg, err);
		if (p->over)
			return grpc_pending_result(p, msg, err);
		/* Not only when nothing came: a peer can always find something to say. */
		if (worked && deadline_left(p->deadline) == 0)
			grpc_pending_expire(p);
		else if (worked && deadline_left(deadline) == 0)
			return err_timeout(err, "%s: no answer yet", p->method->name);
		else
			grpc_client_work(p->client, deadline < p->deadline ? deadline : p->deadline);
		worked = true;
	}
}

int grpc_client_call(struct grpc_client *c, const ProtobufCServiceDescriptor *service,
		     const char *method, const ProtobufCMessage *req, usec_t timeout,
		     ProtobufCMessage **resp, struct coffer_error *err)
{
	CLEANUP(grpc_pending_freep) struct grpc_pending *p = NULL;
	ProtobufCMessage *msg = NULL, *more = NULL;
	int r;

	r = grpc_client_start(c, service, method, req, timeout, &p, err);
	if (!p)
		return r;
	r = grpc_pending_recv(p, USEC_INFINITY, &msg, err);
	if (r == 0 && !msg)
		return err_internal(err, "%s: the peer sent no reply", method);
	if (r == 0)
		r = grpc_pending_recv(p, USEC_INFINITY, &more, err);
	if (r == 0 && more)
		r = err_internal(err, "%s: the peer sent more than one reply", method);
	if (more)
		protobuf_c_message_free_unpacked(more, NULL);
	if (r < 0 || !resp) {
		if (msg)
			protobuf_c_message_free_unpacked(msg, NULL);
		return r == -ETIME ? -ETIMEDOUT : r;
	}
	*resp = msg;
	return 0;
}
