/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_client.h - gRPC client: blocking calls with deadlines, several in flight
 *
 * A client is one connection.  It has no thread: I/O happens inside the calls
 * below.  It is used by one thread at a time (callers lock); a call that is
 * waited for in poll(2) uses grpc_client_fd() and grpc_pending_recv() with
 * deadline 0, the latter first: waiting for another call may have read it all.
 * Every wait has a deadline; a peer that never answers costs a time-out, one
 * that breaks the protocol costs the connection.  Times are taken as given,
 * budgets that scale go through clock_budget() before.
 */
#ifndef RPC_GRPC_CLIENT_H
#define RPC_GRPC_CLIENT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "rpc/grpc.h"

struct grpc_client;
struct grpc_pending; /* a call in flight */

/* grpc_client_new() - Speak on the connected socket @fd (taken over on success); @limits NULL:
 * the default */
int grpc_client_new(int fd, const struct grpc_limits *limits, struct grpc_client **out,
		    struct coffer_error *err);
void grpc_client_free(struct grpc_client *client);
DEFINE_CLEANUP(struct grpc_client *, grpc_client_free);

/* grpc_client_set_cancel() - While @fd (borrowed, -1: none) is readable, a wait ends the connection
 * with GRPC_CANCELLED */
void grpc_client_set_cancel(struct grpc_client *client, int fd);

/* grpc_client_fd() - Poll it for POLLIN (and POLLOUT while grpc_client_want_write()) */
int grpc_client_fd(const struct grpc_client *client);
bool grpc_client_want_write(const struct grpc_client *client);

/**
 * grpc_client_call() - A unary call
 * @timeout:	Budget, sent as grpc-timeout too; USEC_INFINITY for none
 * @resp:	Set to the reply; free with protobuf_c_message_free_unpacked(). May be NULL.
 *
 * Return: 0 or negative errno; @err carries the peer's status as kind and its message
 */
int grpc_client_call(struct grpc_client *client, const ProtobufCServiceDescriptor *service,
		     const char *method, const ProtobufCMessage *req, usec_t timeout,
		     ProtobufCMessage **resp, struct coffer_error *err);

/* grpc_client_start() - Send the request of a unary or server-streaming call and return */
int grpc_client_start(struct grpc_client *client, const ProtobufCServiceDescriptor *service,
		      const char *method, const ProtobufCMessage *req, usec_t timeout,
		      struct grpc_pending **out, struct coffer_error *err);

/**
 * grpc_pending_recv() - The next message of a call
 * @deadline:	Absolute; 0 only takes what is there
 * @msg:	Set to the message, or to NULL at the end of a stream that ended with OK
 *
 * Return: 0; -ETIMEDOUT (kind timeout, the call goes on); other negative errno: the call is
 * over, -ETIME (kind timeout too) when its own time has run out
 */
int grpc_pending_recv(struct grpc_pending *pending, usec_t deadline, ProtobufCMessage **msg,
		      struct coffer_error *err);
/* grpc_pending_free() - Cancels (RST_STREAM) when it is not over */
void grpc_pending_free(struct grpc_pending *pending);
DEFINE_CLEANUP(struct grpc_pending *, grpc_pending_free);

#endif /* RPC_GRPC_CLIENT_H */
