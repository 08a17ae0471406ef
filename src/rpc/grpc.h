/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc.h - what gRPC's client and server share: statuses and limits
 *
 * Source of the protocol: "gRPC over HTTP2" (PROTOCOL-HTTP2.md) and the status
 * code list of the gRPC project.  Transport: HTTP/2 with prior knowledge on any
 * connected stream socket, no TLS, no compression.
 */
#ifndef RPC_GRPC_H
#define RPC_GRPC_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
	GRPC_UNAUTHENTICATED = 16,
	GRPC_STATUS_COUNT,
};

/* The one mapping between error kinds and statuses, both ways. */
enum grpc_status grpc_status_from_kind(enum coffer_error_kind kind);
enum coffer_error_kind grpc_status_to_kind(enum grpc_status status);
const char *grpc_status_str(enum grpc_status status);

/**
 * grpc_status_to_error() - A call's failure as an error object
 * @method:	Named when there is no text
 * @text:	The peer's message, may be NULL; cleaned of everything that is not one line of text
 *
 * Return: negative errno, never 0
 */
int grpc_status_to_error(enum grpc_status status, const char *method, const char *text,
			 struct coffer_error *err);

/* Everything the peer can make us hold is bounded by these. */
struct grpc_limits {
	size_t max_message;     /* bytes of one message, both ways */
	uint32_t max_streams;   /* concurrent calls on a connection */
	size_t max_header_list; /* bytes of one header list, uncompressed */
	unsigned max_connections; /* server only */
	size_t max_queued;      /* bytes waiting to be written on one connection */
};

#define GRPC_LIMITS_DEFAULT                                                    \
	{                                                                      \
		.max_message = 4u << 20, .max_streams = 128,                   \
		.max_header_list = 16u << 10, .max_connections = 256,          \
		.max_queued = 8u << 20,                                        \
	}

#endif /* RPC_GRPC_H */
