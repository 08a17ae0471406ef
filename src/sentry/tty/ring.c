/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/tty/ring.c - bytes in order, in memory that grows with them
 *
 * Who puts bounds how much; terminals that nobody types at cost nothing.
 */
#include "sentry/tty/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RING_FIRST 256

static int ring_grow(struct ring *ring, size_t need)
{
	size_t cap = ring->cap ? ring->cap : RING_FIRST;
	size_t part;
	uint8_t *data;

	while (cap < need)
		cap *= 2;
	if (cap == ring->cap)
		return 0;
	data = malloc(cap);
	if (!data)
		return -ENOMEM;
	part = ring->cap - ring->first < ring->len ? ring->cap - ring->first : ring->len;
	if (ring->len) {
		memcpy(data, ring->data + ring->first, part);
		memcpy(data + part, ring->data, ring->len - part);
	}
	free(ring->data);
	ring->data = data;
	ring->first = 0;
	ring->cap = cap;
	return 0;
}

int ring_put(struct ring *ring, const void *data, size_t len)
{
	size_t at, part;
	int r = ring_grow(ring, ring->len + len);

	if (r < 0)
		return r;
	at = (ring->first + ring->len) % ring->cap;
	part = ring->cap - at < len ? ring->cap - at : len;
	memcpy(ring->data + at, data, part);
	memcpy(ring->data, (const uint8_t *)data + part, len - part);
	ring->len += len;
	return 0;
}

size_t ring_peek(const struct ring *ring, const uint8_t **data)
{
	size_t part = ring->cap - ring->first;

	*data = ring->len ? ring->data + ring->first : NULL;
	return part < ring->len ? part : ring->len;
}

void ring_drop(struct ring *ring, size_t len)
{
	ring->len -= len;
	ring->first = ring->len ? (ring->first + len) % ring->cap : 0;
}

void ring_cut(struct ring *ring, size_t len)
{
	if (len < ring->len)
		ring->len = len;
}

void ring_clear(struct ring *ring)
{
	ring->first = 0;
	ring->len = 0;
}

void ring_free(struct ring *ring)
{
	free(ring->data);
	*ring = (struct ring){ 0 };
}
