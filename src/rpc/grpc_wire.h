/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_wire.h - one HTTP/2 session on one socket, for client and server
 *
 * Private to rpc/.  Never blocks; what the socket does not take is kept here
 * (less than two frames), the rest stays in the session until pulled.
 */
#ifndef RPC_GRPC_WIRE_H
#define RPC_GRPC_WIRE_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "rpc/grpc.h"

/* Bytes of one recv(2); fewer mean that the socket is empty. */
#define GRPC_WIRE_READ 16384
/* A peer's stream may send this much before we open its window further. */
#define GRPC_STREAM_WINDOW 65535

struct grpc_wire {
	int fd;                   /* owned */
	nghttp2_session *session; /* owned */
	struct buf left;          /* what the socket did not take */
	size_t max_frames;        /* frames waiting in the session before the peer is given up */
	bool write_dead;          /* the peer takes no more; there may be something to read */
};

/**
 * grpc_wire_init() - Session and settings; nothing is sent yet
 * @fd:	Connected stream socket, taken over on success
 */
int grpc_wire_init(struct grpc_wire *w, int fd, bool server, const nghttp2_session_callbacks *cbs,
		   const struct grpc_limits *limits, void *user, struct coffer_error *err);
/* grpc_wire_close() - Also valid for an all-zero wire with fd -1 */
void grpc_wire_close(struct grpc_wire *w);

/* grpc_wire_read() - One recv(2). Return: bytes handed to the session, 0 at the end of the stream,
 * -EAGAIN; any other negative errno costs the connection */
ssize_t grpc_wire_read(struct grpc_wire *w);
/* grpc_wire_flush() - Write what can be written. Return: 0, or negative errno: give up */
int grpc_wire_flush(struct grpc_wire *w);
/* grpc_wire_blocked() - Bytes wait for the socket to become writable */
bool grpc_wire_blocked(const struct grpc_wire *w);
/* grpc_wire_over() - The session neither wants nor has anything more */
bool grpc_wire_over(const struct grpc_wire *w);

/* A header of two literals; both must outlive the session's submit call. */
#define GRPC_NV(name_, value_)                                                                     \
	{ .name = (uint8_t *)(name_), .namelen = sizeof(name_) - 1, .value = (uint8_t *)(value_), \
	  .valuelen = sizeof(value_) - 1,                                                          \
	  .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE }
/* A literal name and a string that is copied. */
#define GRPC_NV_TEXT(name_, text_)                                                              \
	{ .name = (uint8_t *)(name_), .namelen = sizeof(name_) - 1, .value = (uint8_t *)(text_), \
	  .valuelen = strlen(text_), .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME }

/* grpc_wire_is() - The header name or value @s is the literal @lit */
#define grpc_wire_is(s, n, lit) ((n) == sizeof(lit) - 1 && !memcmp((s), (lit), sizeof(lit) - 1))

/* What a header counts beside its bytes (RFC 7541, 4.1). */
#define GRPC_HEADER_OVERHEAD 32

/* grpc_wire_content_type() - It is gRPC with protobuf messages */
bool grpc_wire_content_type(const uint8_t *value, size_t n);

#endif /* RPC_GRPC_WIRE_H */
