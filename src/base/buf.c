/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/buf.c - a growable byte queue with a hard limit
 *
 * Bytes are taken from the head by moving an offset; the memory is compacted
 * only when the tail has no room, and freed when the queue runs empty after
 * having been large.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <string.h>

#define BUF_MIN  256
#define BUF_KEEP 65536 /* an empty buffer larger than this gives its memory back */

void buf_free(struct buf *b)
{
	cleanup_freep(&b->mem);
	b->mem = NULL;
	b->off = b->len = b->cap = 0;
}

int buf_reserve(struct buf *b, size_t n, uint8_t **p)
{
	size_t cap;
	uint8_t *mem;

	if (n > b->limit || b->len > b->limit - n)
		return -ENOBUFS;
	if (b->cap - b->off - b->len < n && b->off > 0) {
		memmove(b->mem, b->mem + b->off, b->len);
		b->off = 0;
	}
	if (b->cap - b->off - b->len < n) {
		cap = b->cap < BUF_MIN ? BUF_MIN : b->cap;
		while (cap < b->len + n)
			cap = cap > b->limit / 2 ? b->len + n : cap * 2;
		mem = realloc(b->mem, cap);
		if (!mem)
			return -ENOMEM;
		b->mem = mem;
		b->cap = cap;
	}
	*p = b->mem + b->off + b->len;
	return 0;
}

void buf_commit(struct buf *b, size_t n)
{
	b->len += n;
}

int buf_append(struct buf *b, const void *data, size_t n)
{
	uint8_t *p;
	int r;

	if (n == 0)
		return 0;
	r = buf_reserve(b, n, &p);
	if (r < 0)
		return r;
	memcpy(p, data, n);
	buf_commit(b, n);
	return 0;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n < b->len) {
		b->off += n;
		b->len -= n;
		return;
	}
	b->off = b->len = 0;
	if (b->cap > BUF_KEEP)
		buf_free(b);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	uint8_t *p;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	/* One byte more for vsnprintf's NUL, which is not committed. */
	r = buf_reserve(b, (size_t)n + 1, &p);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	vsnprintf((char *)p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf_commit(b, (size_t)n);
	return 0;
}

char *buf_steal_str(struct buf *b)
{
	size_t len = b->len;
	char *s;

	if (b->off > 0)
		memmove(b->mem, b->mem + b->off, len);
	b->off = 0;
	s = realloc(b->mem, len + 1);
	if (!s)
		return NULL;
	s[len] = '\0';
	b->mem = NULL;
	b->len = b->cap = 0;
	return s;
}
