/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/tty/ldisc.c - line discipline: reading, output processing, modes
 *
 * The other half, what typed characters mean, is ldisc_input.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/tty/ldisc_internal.h"

#define LDISC_TAB 8

static const struct ldisc_termios ldisc_defaults = {
	.iflag = ICRNL | IXON,
	.oflag = OPOST | ONLCR,
	.cflag = B38400 | CS8 | CREAD,
	.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	.cc = {
		[VINTR] = 003, [VQUIT] = 034, [VERASE] = 0177, [VKILL] = 025, [VEOF] = 004,
		[VMIN] = 1, [VSTART] = 021, [VSTOP] = 023, [VSUSP] = 032, [VREPRINT] = 022,
		[VDISCARD] = 017, [VWERASE] = 027, [VLNEXT] = 026,
	},
	.ispeed = 38400,
	.ospeed = 38400,
};

void ldisc_init(struct ldisc *l)
{
	*l = (struct ldisc){ .termios = ldisc_defaults };
}

void ldisc_free(struct ldisc *l)
{
	free(l->in);
	l->in = NULL;
	ring_free(&l->out);
	ring_free(&l->held);
}

void ldisc_flush_input(struct ldisc *l)
{
	l->tail = l->canon = l->head = 0;
	memset(l->ends, 0, sizeof(l->ends));
	l->literal = false;
	l->erasing = false;
}

void ldisc_flush_output(struct ldisc *l)
{
	ring_cut(&l->out, LDISC_FAR);
	if (l->held.len)
		l->column = l->held_column;
	ring_clear(&l->held);
	if (l->together && l->together_from <= l->out.len) {
		l->column = l->together_column;
		ring_cut(&l->out, l->together_from);
	}
}

void ldisc_stop(struct ldisc *l)
{
	if (!l->stopped)
		l->held_column = l->column;
	l->stopped = true;
}

void ldisc_send(struct ldisc *l, const void *data, size_t len)
{
	if (l->out.len + len <= LDISC_OUTPUT + LDISC_ECHO)
		(void)ring_put(&l->out, data, len);
}

void ldisc_start(struct ldisc *l)
{
	const uint8_t *data;
	size_t n;

	if (l->suspended)
		return;
	l->stopped = false;
	while ((n = ring_peek(&l->held, &data)) > 0) {
		ldisc_send(l, data, n);
		ring_drop(&l->held, n);
	}
}

void ldisc_set_termios(struct ldisc *l, const struct ldisc_termios *new)
{
	const struct ldisc_termios old = l->termios;

	l->termios = *new;
	if ((old.lflag ^ new->lflag) & ICANON) {
		/* What is there becomes one line, or plain bytes. */
		memset(l->ends, 0, sizeof(l->ends));
		l->canon = l->tail;
		if ((new->lflag & ICANON) && l->head != l->tail) {
			ldisc_set_end(l, l->head - 1, true);
			l->canon = l->head;
		}
		l->literal = false;
		l->erasing = false;
	}
	if ((old.iflag & IXON) && !(new->iflag & IXON) && l->stopped)
		ldisc_start(l);
}

/* --- reading --- */

size_t ldisc_readable(const struct ldisc *l)
{
	return (l->termios.lflag & ICANON ? l->canon : l->head) - l->tail;
}

size_t ldisc_queued(const struct ldisc *l)
{
	size_t n = ldisc_readable(l);

	if (!(l->termios.lflag & ICANON))
		return n;
	for (unsigned at = l->tail; at != l->canon; at++)
		n -= ldisc_is_end(l, at) && ldisc_at(l, at) == 0;
	return n;
}

static size_t ldisc_read_line(struct ldisc *l, uint8_t *buf, size_t len, bool *end)
{
	size_t n = 0;

	*end = false;
	while (l->tail != l->canon && !*end) {
		uint8_t c = ldisc_at(l, l->tail);
		bool last = ldisc_is_end(l, l->tail);

		/* An end of file goes with the bytes before it, even if they just fit. */
		if (n == len && !(last && c == 0))
			break;
		ldisc_set_end(l, l->tail++, false);
		if (!last || c != 0)
			buf[n++] = c;
		*end = last;
	}
	return n;
}

size_t ldisc_read(struct ldisc *l, uint8_t *buf, size_t len, bool *end)
{
	size_t n;

	if (l->termios.lflag & ICANON)
		return ldisc_read_line(l, buf, len, end);
	for (n = 0; n < len && l->tail != l->head; n++)
		buf[n] = ldisc_at(l, l->tail++);
	l->canon = l->tail;
	*end = false;
	return n;
}

/* --- output --- */

static size_t ldisc_post_newline(struct ldisc *l, uint8_t *buf)
{
	size_t n = 0;

	if (l->termios.oflag & (ONLCR | ONLRET))
		l->column = 0;
	l->canon_column = l->column;
	if (l->termios.oflag & ONLCR)
		buf[n++] = '\r';
	buf[n++] = '\n';
	return n;
}

static size_t ldisc_post_return(struct ldisc *l, uint8_t *buf)
{
	uint32_t oflag = l->termios.oflag;

	if ((oflag & ONOCR) && l->column == 0)
		return 0;
	if (!(oflag & OCRNL) || (oflag & ONLRET))
		l->column = l->canon_column = 0;
	buf[0] = oflag & OCRNL ? '\n' : '\r';
	return 1;
}

static size_t ldisc_post_tab(struct ldisc *l, uint8_t *buf)
{
	unsigned spaces = LDISC_TAB - l->column % LDISC_TAB;

	l->column += spaces;
	if ((l->termios.oflag & TABDLY) == XTABS) {
		memset(buf, ' ', spaces);
		return spaces;
	}
	buf[0] = '\t';
	return 1;
}

size_t ldisc_post(struct ldisc *l, uint8_t c, uint8_t *buf)
{
	buf[0] = c;
	if (!(l->termios.oflag & OPOST))
		return 1;
	switch (c) {
	case '\n':
		return ldisc_post_newline(l, buf);
	case '\r':
		return ldisc_post_return(l, buf);
	case '\t':
		return ldisc_post_tab(l, buf);
	case '\b':
		if (l->column)
			l->column--;
		return 1;
	default:
		if (ldisc_control(c))
			return 1;
		if (l->termios.oflag & OLCUC)
			buf[0] = ldisc_upper(c);
		l->column += !ldisc_inside(l, c);
		return 1;
	}
}

size_t ldisc_room(const struct ldisc *l)
{
	if (l->stopped || l->out.len >= LDISC_OUTPUT)
		return 0;
	return LDISC_OUTPUT - l->out.len;
}

static bool ldisc_plain(uint8_t c)
{
	return c >= ' ' && c < 0x7f;
}

/* How much at the beginning goes out as it is. */
static size_t ldisc_write_plain(struct ldisc *l, const uint8_t *data, size_t len)
{
	size_t n = 0;

	if (!(l->termios.oflag & OPOST))
		return len;
	if (l->termios.oflag & OLCUC)
		return 0;
	while (n < len && ldisc_plain(data[n]))
		n++;
	l->column += (unsigned)n;
	return n;
}

size_t ldisc_write(struct ldisc *l, const uint8_t *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t room = ldisc_room(l), n;
		uint8_t post[LDISC_TAB];

		if (!room)
			break;
		n = ldisc_write_plain(l, data + done, len - done < room ? len - done : room);
		if (n) {
			if (ring_put(&l->out, data + done, n) < 0)
				break;
			done += n;
			continue;
		}
		n = ldisc_post(l, data[done], post);
		if (ring_put(&l->out, post, n) < 0)
			break;
		done++;
	}
	return done;
}
