/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_message.c - length-prefixed messages: reading them, queueing them
 *
 * The reader's memory follows what has arrived, not what was announced, so
 * five bytes cannot cost the largest message.  Knows nothing of HTTP/2; used
 * by both ends of a call.
 */
#include "rpc/grpc_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define GRPC_READER_MIN 512

struct grpc_chunk {
	struct grpc_chunk *next;
	size_t len, off;
	uint8_t data[];
};

static size_t grpc_reader_take(uint8_t *dst, size_t want, const uint8_t **data, size_t *n)
{
	size_t k = *n < want ? *n : want;

	if (k)
		memcpy(dst, *data, k);
	*data += k;
	*n -= k;
	return k;
}

/* Room for @n more bytes of a body of r->len. */
static int grpc_reader_grow(struct grpc_reader *r, size_t n)
{
	uint64_t cap = r->cap ? r->cap : GRPC_READER_MIN;
	uint8_t *body;

	if (r->have + n <= r->cap)
		return 0;
	while (cap < r->have + n)
		cap *= 2;
	if (cap > r->len)
		cap = r->len;
	body = realloc(r->body, (size_t)cap);
	if (!body)
		return -ENOMEM;
	r->body = body;
	r->cap = (uint32_t)cap;
	return 0;
}

int grpc_reader_feed(struct grpc_reader *r, const uint8_t **data, size_t *n, size_t max)
{
	size_t k;

	if (r->nprefix < GRPC_PREFIX_LEN) {
		k = grpc_reader_take(r->prefix + r->nprefix, GRPC_PREFIX_LEN - r->nprefix, data, n);
		r->nprefix = (uint8_t)(r->nprefix + k);
		if (r->nprefix < GRPC_PREFIX_LEN)
			return 0;
		if (r->prefix[0])
			return -EOPNOTSUPP;
		r->len = (uint32_t)r->prefix[1] << 24 | (uint32_t)r->prefix[2] << 16 |
			 (uint32_t)r->prefix[3] << 8 | r->prefix[4];
		if (r->len > max)
			return -EMSGSIZE;
	}
	k = r->len - r->have;
	k = k < *n ? k : *n;
	if (k) {
		if (grpc_reader_grow(r, k) < 0)
			return -ENOMEM;
		r->have += (uint32_t)grpc_reader_take(r->body + r->have, k, data, n);
	}
	return r->have == r->len;
}

void grpc_reader_reset(struct grpc_reader *r)
{
	free(r->body);
	*r = (struct grpc_reader){ 0 };
}

int grpc_queue_put(struct grpc_queue *q, const ProtobufCMessage *msg, size_t max)
{
	size_t n = protobuf_c_message_get_packed_size(msg);
	struct grpc_chunk *c;

	if (n > max || n > UINT32_MAX)
		return -EMSGSIZE;
	c = malloc(sizeof(*c) + GRPC_PREFIX_LEN + n);
	if (!c)
		return -ENOMEM;
	c->next = NULL;
	c->off = 0;
	c->len = GRPC_PREFIX_LEN + n;
	c->data[0] = 0;
	c->data[1] = (uint8_t)(n >> 24);
	c->data[2] = (uint8_t)(n >> 16);
	c->data[3] = (uint8_t)(n >> 8);
	c->data[4] = (uint8_t)n;
	protobuf_c_message_pack(msg, c->data + GRPC_PREFIX_LEN);
	if (q->tail)
		q->tail->next = c;
	else
		q->head = c;
	q->tail = c;
	q->bytes += c->len;
	return 0;
}

static void grpc_queue_drop_head(struct grpc_queue *q)
{
	struct grpc_chunk *c = q->head;

	q->head = c->next;
	if (!q->head)
		q->tail = NULL;
	free(c);
}

size_t grpc_queue_pull(struct grpc_queue *q, uint8_t *out, size_t n)
{
	size_t done = 0, k;

	while (q->head && done < n) {
		struct grpc_chunk *c = q->head;

		k = c->len - c->off < n - done ? c->len - c->off : n - done;
		memcpy(out + done, c->data + c->off, k);
		c->off += k;
		done += k;
		if (c->off == c->len)
			grpc_queue_drop_head(q);
	}
	q->bytes -= done;
	return done;
}

void grpc_queue_clear(struct grpc_queue *q)
{
	while (q->head)
		grpc_queue_drop_head(q);
	q->bytes = 0;
}
