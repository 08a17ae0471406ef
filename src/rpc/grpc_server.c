/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_server.c - gRPC server on an event loop: listeners, timer, cancels
 *
 * One timer serves everything that must not happen where it was found out:
 * deadlines, connections to close, cancel callbacks that became due while a
 * handler of another call was running, and a new try at accepting after the
 * process ran out of descriptors.  There is no graceful shutdown: freeing the
 * server says GOAWAY, cancels every call and closes.
 */
#define LOG_CATEGORY "rpc"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "rpc/grpc_server_internal.h"

#define GRPC_ACCEPT_BATCH 16
#define GRPC_ACCEPT_PAUSE (100 * USEC_PER_MSEC)

void grpc_server_wake(struct grpc_server *srv, usec_t when)
{
	if (when >= srv->wake)
		return;
	srv->wake = when;
	loop_arm(srv->timer, deadline_left(when), 0);
}

void grpc_server_run_due(struct grpc_server *srv)
{
	struct grpc_call *call;

	while ((call = TAILQ_FIRST(&srv->due))) {
		TAILQ_REMOVE(&srv->due, call, due);
		call->is_due = false;
		/* Without a callback the handler will finish the call in vain. */
		if (!call->on_cancel)
			continue;
		call->held = false;
		call->on_cancel(call, call->on_cancel_data);
		grpc_call_unref(call);
	}
}

static void grpc_server_accepting(struct grpc_server *srv, bool on)
{
	struct grpc_listener *l;

	srv->accept_paused = !on;
	for (l = SLIST_FIRST(&srv->listeners); l; l = SLIST_NEXT(l, link))
		loop_set_events(l->source, on ? EPOLLIN : 0);
}

static void grpc_server_timer_handler(struct loop_source *src, void *data)
{
	struct grpc_server *srv = data;
	struct grpc_conn *conn, *next;
	usec_t now = clock_now(), wake = USEC_INFINITY, w;

	srv->wake = USEC_INFINITY;
	if (srv->accept_paused)
		grpc_server_accepting(srv, true);
	for (conn = LIST_FIRST(&srv->conns); conn; conn = next) {
		next = LIST_NEXT(conn, link);
		w = grpc_conn_tick(conn, now);
		wake = w < wake ? w : wake;
	}
	grpc_server_run_due(srv);
	grpc_server_wake(srv, wake);
}

static void grpc_server_accept_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct grpc_listener *l = data;

	for (unsigned i = 0; i < GRPC_ACCEPT_BATCH; i++) {
		autoclose int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (c < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			log_warning("accept: %s; pausing", strerror(errno));
			grpc_server_accepting(l->srv, false);
			grpc_server_wake(l->srv, deadline_in(GRPC_ACCEPT_PAUSE));
		}
		if (c < 0)
			return;
		if (grpc_server_adopt(l->srv, c, NULL) == 0)
			steal_fd(&c);
	}
}

int grpc_server_adopt(struct grpc_server *srv, int fd, struct coffer_error *err)
{
	if (srv->nconns >= srv->limits.max_connections) {
		log_warning("connection refused: %u are open", srv->nconns);
		return err_set(err, COFFER_ERR_INTERNAL, ENOBUFS, "too many connections (%u)",
			       srv->nconns);
	}
	return grpc_conn_new(srv, fd, err);
}

int grpc_server_listen(struct grpc_server *srv, int fd, struct coffer_error *err)
{
	struct grpc_listener *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return err_nomem(err);
	l->srv = srv;
	r = loop_add_fd(srv->loop, fd, EPOLLIN, grpc_server_accept_handler, l, &l->source, err);
	if (r < 0) {
		free(l);
		return r;
	}
	l->fd = fd;
	SLIST_INSERT_HEAD(&srv->listeners, l, link);
	return 0;
}

static int grpc_server_check_services(const struct grpc_service *services, size_t n,
				      struct coffer_error *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct grpc_service *s = &services[i];

		for (size_t m = 0; m < s->nmethods; m++) {
			if (!protobuf_c_service_descriptor_get_method_by_name(s->desc,
									      s->methods[m].name))
				return err_invalid(err, "service %s has no method %s",
						   s->desc->name, s->methods[m].name);
		}
	}
	return 0;
}

int grpc_server_new(struct loop *loop, const struct grpc_service *services, size_t nservices,
		    const struct grpc_limits *limits, struct grpc_server **out,
		    struct coffer_error *err)
{
	CLEANUP(grpc_server_freep) struct grpc_server *srv = NULL;
	int r;

	r = grpc_server_check_services(services, nservices, err);
	if (r < 0)
		return r;
	srv = calloc(1, sizeof(*srv));
	if (!srv)
		return err_nomem(err);
	srv->loop = loop;
	srv->services = services;
	srv->nservices = nservices;
	srv->limits = limits ? *limits : (struct grpc_limits)GRPC_LIMITS_DEFAULT;
	srv->wake = USEC_INFINITY;
	SLIST_INIT(&srv->listeners);
	LIST_INIT(&srv->conns);
	TAILQ_INIT(&srv->due);
	if (grpc_conn_callbacks(&srv->callbacks) < 0)
		return err_nomem(err);
	r = loop_add_timer(loop, grpc_server_timer_handler, srv, &srv->timer, err);
	if (r < 0)
		return r;
	*out = steal_ptr(srv);
	return 0;
}

void grpc_server_free(struct grpc_server *srv)
{
	struct grpc_listener *l;

	if (!srv)
		return;
	while ((l = SLIST_FIRST(&srv->listeners))) {
		SLIST_REMOVE_HEAD(&srv->listeners, link);
		loop_remove(l->source);
		close_fd(&l->fd);
		free(l);
	}
	while (!LIST_EMPTY(&srv->conns))
		grpc_conn_free(LIST_FIRST(&srv->conns));
	grpc_server_run_due(srv);
	loop_remove(srv->timer);
	nghttp2_session_callbacks_del(srv->callbacks);
	free(srv);
}
