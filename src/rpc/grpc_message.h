/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_message.h - length-prefixed messages: reading them, queueing them
 *
 * On the wire a message is one flag byte (0: not compressed), four bytes of
 * length, the bytes.  HTTP/2 cuts that stream into DATA frames anywhere.
 */
#ifndef RPC_GRPC_MESSAGE_H
#define RPC_GRPC_MESSAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRPC_PREFIX_LEN 5

/* One message, whole or growing. */
struct grpc_reader {
	uint8_t prefix[GRPC_PREFIX_LEN];
	uint8_t nprefix; /* bytes of it seen */
	uint32_t len;    /* announced; valid when nprefix is GRPC_PREFIX_LEN */
	uint32_t have;
	uint32_t cap;
	uint8_t *body; /* owned; NULL for an empty message */
};

/**
 * grpc_reader_feed() - Take bytes until a message is whole
 * @data, @n:	Advanced past what was taken
 * @max:	Most bytes of a message
 *
 * Return: 1 the message is whole, 0 more is needed; -EMSGSIZE (announced too
 * large, nothing stored), -EOPNOTSUPP (compressed), -ENOMEM
 */
int grpc_reader_feed(struct grpc_reader *r, const uint8_t **data, size_t *n, size_t max);

/* grpc_reader_started() - Some of a message was seen */
static inline bool grpc_reader_started(const struct grpc_reader *r)
{
	return r->nprefix > 0;
}

/* grpc_reader_announced() - Length of the message under way, 0 while it is unknown */
static inline uint32_t grpc_reader_announced(const struct grpc_reader *r)
{
	return r->nprefix == GRPC_PREFIX_LEN ? r->len : 0;
}

/* grpc_reader_reset() - Forget the message, ready for the next */
void grpc_reader_reset(struct grpc_reader *r);

struct grpc_chunk;

/* Packed messages waiting for HTTP/2 to take them. */
struct grpc_queue {
	struct grpc_chunk *head, *tail; /* owned */
	size_t bytes;                   /* not yet pulled */
};

/* grpc_queue_put() - Pack @msg. Return: 0, -EMSGSIZE above @max, -ENOMEM */
int grpc_queue_put(struct grpc_queue *q, const ProtobufCMessage *msg, size_t max);
/* grpc_queue_pull() - Move at most @n bytes out. Return: bytes */
size_t grpc_queue_pull(struct grpc_queue *q, uint8_t *out, size_t n);
void grpc_queue_clear(struct grpc_queue *q);

#endif /* RPC_GRPC_MESSAGE_H */
