/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/tail.c - the last bytes of an endless stream of foreign text
 *
 * Keeps what a human wants to read after an accident: the end of the guest's
 * console and of QEMU's stderr.  The text is never interpreted, only cleaned on
 * its way into an error message.
 */
#include "vmm/tail.h"

#include <string.h>

#define TAIL_SEPARATOR " | "

void tail_add(struct tail *t, const void *data, size_t n)
{
	const char *p = data;

	if (n > TAIL_SIZE) {
		p += n - TAIL_SIZE;
		n = TAIL_SIZE;
	}
	if (t->len + n > TAIL_SIZE) {
		size_t drop = t->len + n - TAIL_SIZE;

		memmove(t->mem, t->mem + drop, t->len - drop);
		t->len -= drop;
	}
	memcpy(t->mem + t->len, p, n);
	t->len += n;
}

static bool tail_is_break(char c)
{
	return c == '\n' || c == '\r' || c == '\0';
}

static char tail_clean(char c)
{
	if (c == '\t')
		return ' ';
	return c < ' ' || c == 0x7f || (unsigned char)c > 0x7f ? '?' : c;
}

/* The line that ends before @end: its start, and *@stop its end. Empty when *@stop == result. */
static size_t tail_line_before(const struct tail *t, size_t end, size_t *stop)
{
	while (end > 0 && tail_is_break(t->mem[end - 1]))
		end--;
	*stop = end;
	while (end > 0 && !tail_is_break(t->mem[end - 1]))
		end--;
	return end;
}

/* Put [@from, @to) in front of what @out holds at *@at. Return: false when full */
static bool tail_prepend(char *out, size_t *at, const char *from, size_t n)
{
	while (n > 0 && *at > 0)
		out[--*at] = tail_clean(from[--n]);
	return n == 0;
}

bool tail_last(const struct tail *t, unsigned lines, char *out, size_t size)
{
	size_t end = t->len, at = size - 1;

	out[at] = '\0';
	for (unsigned i = 0; i < lines; i++) {
		size_t stop, start = tail_line_before(t, end, &stop);

		if (start == stop)
			break;
		if (i > 0 && !tail_prepend(out, &at, TAIL_SEPARATOR, strlen(TAIL_SEPARATOR)))
			break;
		if (!tail_prepend(out, &at, t->mem + start, stop - start))
			break;
		end = start;
	}
	memmove(out, out + at, size - at);
	return out[0] != '\0';
}

bool tail_find(const struct tail *t, const char *needle, char *out, size_t size)
{
	size_t end = t->len, n = 0;
	const char *hit = NULL;

	while (end > 0 && !hit) {
		size_t stop, start = tail_line_before(t, end, &stop);

		hit = memmem(t->mem + start, stop - start, needle, strlen(needle));
		if (hit)
			n = (size_t)(t->mem + stop - hit);
		end = start;
	}
	if (!hit)
		return false;
	if (n > size - 1)
		n = size - 1;
	for (size_t i = 0; i < n; i++)
		out[i] = tail_clean(hit[i]);
	out[n] = '\0';
	return true;
}
