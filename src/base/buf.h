/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/buf.h - a growable byte queue with a hard limit
 *
 * Every buffer that foreign bytes can make grow is one of these: append fails
 * with -ENOBUFS at the limit instead of growing without bound.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct buf {
	uint8_t *mem; /* owned */
	size_t off;   /* first valid byte */
	size_t len;   /* valid bytes */
	size_t cap;
	size_t limit; /* most valid bytes ever */
};

#define BUF_INIT(limit_) { .limit = (limit_) }

void buf_free(struct buf *b);
#define autobuf CLEANUP(buf_free)

/* buf_data() - NULL before the first byte ever */
static inline const uint8_t *buf_data(const struct buf *b)
{
	return b->mem ? b->mem + b->off : NULL;
}

/* buf_reserve() - Room for @n more bytes at the tail; *@p points there. Return: 0, -ENOBUFS, -ENOMEM */
int buf_reserve(struct buf *b, size_t n, uint8_t **p);
/* buf_commit() - @n reserved bytes were written */
void buf_commit(struct buf *b, size_t n);
int buf_append(struct buf *b, const void *data, size_t n);
/* buf_consume() - Drop @n bytes (at most len) from the head */
void buf_consume(struct buf *b, size_t n);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* buf_steal_str() - Terminate, hand over as malloc'd string, leave @b empty. NULL: no memory */
char *buf_steal_str(struct buf *b);

#endif /* BASE_BUF_H */
