/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/tty/ring.h - bytes in order, in memory that grows with them
 *
 * No lock. Empty is all zero; ring_free() makes it so again.
 */
#ifndef SENTRY_TTY_RING_H
#define SENTRY_TTY_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring {
	uint8_t *data; /* owned */
	size_t first, len, cap;
};

/* ring_put() - All of it, or -ENOMEM */
int ring_put(struct ring *ring, const void *data, size_t len);
/* ring_peek() - The oldest bytes as far as they lie together. Return: how many */
size_t ring_peek(const struct ring *ring, const uint8_t **data);
void ring_drop(struct ring *ring, size_t len); /* the oldest */
void ring_cut(struct ring *ring, size_t len);  /* to the oldest so many */
void ring_clear(struct ring *ring);
void ring_free(struct ring *ring);

#endif /* SENTRY_TTY_RING_H */
