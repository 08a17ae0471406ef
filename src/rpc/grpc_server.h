/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_server.h - gRPC server on an event loop
 *
 * Handlers run on the loop thread and may answer at once or later; a handler
 * that waits (WaitProcess) keeps the call and registers grpc_call_on_cancel().
 * A call is valid until grpc_call_finish()/reply()/fail() or until the cancel
 * callback ran, whichever is first.  Without a cancel callback it stays valid
 * until finished, though nobody may listen any more.  The server is not freed
 * from inside a handler or cancel callback.
 */
#ifndef RPC_GRPC_SERVER_H
#define RPC_GRPC_SERVER_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "rpc/grpc.h"

struct grpc_server;
struct grpc_call;

/* @req is freed after the handler returns. */
typedef void (*grpc_handler)(struct grpc_call *call, const ProtobufCMessage *req, void *data);

struct grpc_method {
	const char *name; /* as in the .proto: "CreateProcess" */
	grpc_handler handler;
	bool stream; /* the request is a stream: @handler gets its first message, see receive() */
};

/* A method of @desc without a row answers UNIMPLEMENTED. */
struct grpc_service {
	const ProtobufCServiceDescriptor *desc;
	const struct grpc_method *methods;
	size_t nmethods;
	void *data; /* handed to the handlers */
};

/* grpc_server_new() - @services are borrowed; @limits NULL: the default */
int grpc_server_new(struct loop *loop, const struct grpc_service *services, size_t nservices,
		    const struct grpc_limits *limits, struct grpc_server **out,
		    struct coffer_error *err);
void grpc_server_free(struct grpc_server *srv);
DEFINE_CLEANUP(struct grpc_server *, grpc_server_free);

/* grpc_server_listen() - Accept connections on @fd (non-blocking, taken over on success) */
int grpc_server_listen(struct grpc_server *srv, int fd, struct coffer_error *err);
/* grpc_server_adopt() - Serve the connected socket @fd (taken over on success) */
int grpc_server_adopt(struct grpc_server *srv, int fd, struct coffer_error *err);

/* grpc_call_reply() - One message and status OK; the call is over */
void grpc_call_reply(struct grpc_call *call, const ProtobufCMessage *msg);
/**
 * grpc_call_receive() - Have @fn run once with the next message of the request, NULL at its end
 *
 * To be called again for each further message.  While it is not, the peer is
 * held back: one window (GRPC_STREAM_WINDOW) is all that is kept of it.
 * @fn never runs before this returns, and @req is freed after it.
 */
void grpc_call_receive(struct grpc_call *call, grpc_handler fn, void *data);

/* grpc_call_send() - One message of a stream. Return: 0; -EAGAIN max_queued is reached, -EMSGSIZE
 * above max_message, -ECANCELED the call has ended, -ENOMEM */
int grpc_call_send(struct grpc_call *call, const ProtobufCMessage *msg);
/* grpc_call_queued() - Bytes of replies that the peer's window or its socket does not take yet */
size_t grpc_call_queued(const struct grpc_call *call);
/* grpc_call_on_drained() - Have @fn run once when nothing is queued any more; something must be */
void grpc_call_on_drained(struct grpc_call *call, void (*fn)(struct grpc_call *call, void *data),
			  void *data);
/* grpc_call_finish() - Status and message; the call is over */
void grpc_call_finish(struct grpc_call *call, enum grpc_status status, const char *message);
/* grpc_call_fail() - finish() with the status that belongs to the error's kind */
void grpc_call_fail(struct grpc_call *call, const struct coffer_error *err);
/* grpc_call_on_cancel() - To be set before the handler returns: @fn runs when the client cancels,
 * disconnects or its deadline passes; after it the call is gone */
void grpc_call_on_cancel(struct grpc_call *call, void (*fn)(struct grpc_call *call, void *data),
			 void *data);

#endif /* RPC_GRPC_SERVER_H */
