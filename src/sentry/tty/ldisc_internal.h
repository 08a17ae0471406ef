/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/tty/ldisc_internal.h - what the line discipline's halves share
 */
#ifndef SENTRY_TTY_LDISC_INTERNAL_H
#define SENTRY_TTY_LDISC_INTERNAL_H

#include "sentry/tty/ldisc.h"

#include <asm/termbits.h>

static inline uint8_t ldisc_at(const struct ldisc *l, unsigned place)
{
	return l->in[place % LDISC_INPUT];
}

static inline bool ldisc_is_end(const struct ldisc *l, unsigned place)
{
	place %= LDISC_INPUT;
	return (l->ends[place / 64] >> (place % 64)) & 1;
}

static inline void ldisc_set_end(struct ldisc *l, unsigned place, bool end)
{
	uint64_t bit = UINT64_C(1) << (place % 64);

	place %= LDISC_INPUT;
	if (end)
		l->ends[place / 64] |= bit;
	else
		l->ends[place / 64] &= ~bit;
}

static inline bool ldisc_control(uint8_t c)
{
	return c < 0x20 || c == 0x7f;
}

/* Letters as the host's kernel has them: of Latin 1 */
static inline uint8_t ldisc_lower(uint8_t c)
{
	bool upper = (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7);

	return upper ? (uint8_t)(c + 0x20) : c;
}

static inline uint8_t ldisc_upper(uint8_t c)
{
	bool lower = (c >= 'a' && c <= 'z') || (c >= 0xdf && c != 0xf7);

	return lower ? (uint8_t)(c - 0x20) : c;
}

/* A byte that does not begin a character. */
static inline bool ldisc_inside(const struct ldisc *l, uint8_t c)
{
	return (l->termios.iflag & IUTF8) && (c & 0xc0) == 0x80;
}

/* ldisc_post() - One byte through output processing into @buf of at least 8. Return: how many */
size_t ldisc_post(struct ldisc *l, uint8_t c, uint8_t *buf);

#endif /* SENTRY_TTY_LDISC_INTERNAL_H */
