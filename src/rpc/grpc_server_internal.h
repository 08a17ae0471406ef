/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_server_internal.h - what the three files of the server share
 *
 *	grpc_server.c	server object, listeners, timer, cancelled calls
 *	grpc_conn.c	one connection: nghttp2's callbacks, request intake, windows
 *	grpc_call.c	one call: the handlers' API, replies, life time
 *
 * A call has two holders: its stream (until nghttp2 closes it) and its handler
 * (from dispatch until it finishes the call or its cancel callback ran).  The
 * memory goes with the last.  No callback of a handler ever runs inside
 * nghttp2: what happens there is noted (conn->ready, srv->due) and acted upon
 * when nghttp2 has returned.
 */
#ifndef RPC_GRPC_SERVER_INTERNAL_H
#define RPC_GRPC_SERVER_INTERNAL_H

#include <sys/queue.h>

#include "rpc/grpc_message.h"
#include "rpc/grpc_server.h"
#include "rpc/grpc_wire.h"

struct grpc_call {
	struct grpc_conn *conn; /* borrowed; NULL once the stream is gone */
	int32_t stream;
	unsigned refs;
	const struct grpc_service *service; /* borrowed; NULL: unknown method */
	const struct grpc_method *method;
	const ProtobufCMethodDescriptor *desc;

	/* Intake: meaningful until dispatch. */
	struct grpc_reader in;
	size_t header_bytes;
	size_t reserved;   /* of conn->reserved */
	size_t unconsumed; /* bytes of the stream's window held back */
	bool is_post, is_grpc, bad_timeout, saw_timeout;
	bool whole; /* the message is complete and the handler has not had it */

	/* A stream's intake goes on after dispatch. */
	bool dispatched;
	bool ended;	    /* the peer has sent its last byte */
	struct buf backlog; /* what came behind the message in @in: at most a window */
	grpc_handler on_message; /* set: the handler waits for the next */
	void *on_message_data;

	/* Output. */
	struct grpc_queue out;
	bool started; /* response headers are submitted */
	bool over;    /* status decided; nothing more is accepted */
	enum grpc_status status;
	char *message; /* owned, percent-encoded, may be NULL */
	bool drained;  /* and nobody has been told */
	void (*on_drained)(struct grpc_call *call, void *data);
	void *on_drained_data;

	usec_t deadline;
	bool held; /* the handler has it */
	void (*on_cancel)(struct grpc_call *call, void *data);
	void *on_cancel_data;

	LIST_ENTRY(grpc_call) link;    /* conn->calls, while conn is set */
	TAILQ_ENTRY(grpc_call) ready;  /* conn->ready, while is_ready */
	TAILQ_ENTRY(grpc_call) due;    /* srv->due, while is_due */
	bool is_ready, is_due;
	struct grpc_server *srv; /* for is_due only */
};

struct grpc_conn {
	struct grpc_server *srv; /* borrowed */
	struct grpc_wire wire;
	struct loop_source *source;
	uint32_t events;
	LIST_HEAD(, grpc_call) calls;
	TAILQ_HEAD(, grpc_call) ready; /* calls whose handler has something to hear */
	size_t reserved;               /* bytes of requests let in beyond their first window */
	size_t queued;		       /* bytes of replies not yet pulled by nghttp2 */
	bool busy;                     /* a batch is under way, it will flush */
	bool doomed;                   /* close it as soon as nothing of it is on the stack */
	LIST_ENTRY(grpc_conn) link;
};

struct grpc_listener {
	int fd; /* owned */
	struct loop_source *source;
	struct grpc_server *srv;
	SLIST_ENTRY(grpc_listener) link;
};

struct grpc_server {
	struct loop *loop;                   /* borrowed */
	const struct grpc_service *services; /* borrowed */
	size_t nservices;
	struct grpc_limits limits;
	nghttp2_session_callbacks *callbacks; /* owned */
	SLIST_HEAD(, grpc_listener) listeners;
	LIST_HEAD(, grpc_conn) conns;
	unsigned nconns;
	TAILQ_HEAD(grpc_due, grpc_call) due; /* calls whose cancel callback has to run */
	struct loop_source *timer;
	usec_t wake; /* what the timer is armed for */
	bool accept_paused;
};

/* grpc_server_wake() - Have the timer run at @when at the latest */
void grpc_server_wake(struct grpc_server *srv, usec_t when);
/* grpc_server_run_due() - Run the cancel callbacks that are due; not from inside nghttp2 */
void grpc_server_run_due(struct grpc_server *srv);

int grpc_conn_callbacks(nghttp2_session_callbacks **out);
/* grpc_conn_new() - Takes @fd over on success */
int grpc_conn_new(struct grpc_server *srv, int fd, struct coffer_error *err);
void grpc_conn_free(struct grpc_conn *conn);
/* grpc_conn_flush() - Write now, unless a batch is under way that will */
void grpc_conn_flush(struct grpc_conn *conn);
/* grpc_conn_tick() - Expire what is past its deadline, close if doomed. Return: next deadline */
usec_t grpc_conn_tick(struct grpc_conn *conn, usec_t now);
/* grpc_conn_release() - @call's request is no longer held; others may be let in */
void grpc_conn_release(struct grpc_conn *conn, struct grpc_call *call);
/* grpc_conn_ready() - Have grpc_call_dispatch() run for @call soon */
void grpc_conn_ready(struct grpc_conn *conn, struct grpc_call *call);
/* grpc_conn_advance() - The handler of the stream @call wants its next message */
void grpc_conn_advance(struct grpc_conn *conn, struct grpc_call *call);

struct grpc_call *grpc_call_new(struct grpc_conn *conn, int32_t stream);
/* grpc_call_unref() - One holder less */
void grpc_call_unref(struct grpc_call *call);
/* grpc_call_dispatch() - Unpack a request that is whole, and run what waits for it */
void grpc_call_dispatch(struct grpc_call *call);
/* grpc_call_end() - Decide status and submit it; the handler's hold is not touched */
void grpc_call_end(struct grpc_call *call, enum grpc_status status, const char *message);
/* grpc_call_detach() - The stream is gone; the handler learns of it later */
void grpc_call_detach(struct grpc_call *call);
/* grpc_call_expire() - The deadline has passed */
void grpc_call_expire(struct grpc_call *call);

#endif /* RPC_GRPC_SERVER_INTERNAL_H */
