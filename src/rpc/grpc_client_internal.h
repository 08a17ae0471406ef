/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_client_internal.h - what the two files of the client share
 *
 *	grpc_client.c	the connection: socket, starting calls, the blocking wait
 *	grpc_pending.c	one call: nghttp2's callbacks, replies, final status
 *
 * A pending call has two holders, its stream and the caller; the memory goes
 * with the last.
 */
#ifndef RPC_GRPC_CLIENT_INTERNAL_H
#define RPC_GRPC_CLIENT_INTERNAL_H

#include <sys/queue.h>

#include "rpc/grpc_client.h"
#include "rpc/grpc_message.h"
#include "rpc/grpc_wire.h"

#define GRPC_PENDING_TEXT COFFER_ERROR_MESSAGE_MAX

/* A whole reply that nobody has taken yet. */
struct grpc_reply {
	struct grpc_reader message;
	size_t unconsumed; /* bytes of the stream's window that taking it gives back */
	STAILQ_ENTRY(grpc_reply) link;
};

struct grpc_pending {
	struct grpc_client *client; /* borrowed; NULL once the stream is gone */
	const ProtobufCMethodDescriptor *method;
	size_t max_message;
	int32_t stream;
	unsigned refs;
	usec_t deadline;
	struct grpc_queue out;

	struct grpc_reader in;
	size_t unconsumed; /* of the message under way */
	STAILQ_HEAD(, grpc_reply) replies;

	size_t header_bytes;
	unsigned http_status;
	bool is_grpc;
	int grpc_status;               /* as received, -1: not yet */
	char text[GRPC_PENDING_TEXT];  /* the peer's message, or ours when we gave up */
	bool over;                     /* status below is final */
	enum grpc_status status;
	LIST_ENTRY(grpc_pending) link; /* client->calls, while client is set */
};

struct grpc_client {
	struct grpc_wire wire;
	struct grpc_limits limits;
	int cancel_fd; /* borrowed; -1: none */
	LIST_HEAD(, grpc_pending) calls;
	size_t queued;      /* bytes of requests not yet pulled by nghttp2 */
	const char *broken; /* why the connection is of no use any more; static */
};

/* grpc_client_flush() - Write what can be written; may end every call */
void grpc_client_flush(struct grpc_client *c);

int grpc_pending_callbacks(nghttp2_session_callbacks **out);
/* grpc_pending_submit() - Headers and body of the request into the session */
int grpc_pending_submit(struct grpc_pending *p, const ProtobufCServiceDescriptor *service,
			usec_t timeout, struct coffer_error *err);
/* grpc_pending_take() - The next whole reply, still packed. Return: there was one */
bool grpc_pending_take(struct grpc_pending *p, struct grpc_reader *message);
/* grpc_pending_end() - Final status; RST_STREAM when the stream is still there */
void grpc_pending_end(struct grpc_pending *p, enum grpc_status status, const char *text);
/* grpc_pending_detach() - The stream is gone */
void grpc_pending_detach(struct grpc_pending *p);

#endif /* RPC_GRPC_CLIENT_INTERNAL_H */
