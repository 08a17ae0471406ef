/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/tty/ldisc_input.c - line discipline: what typed characters mean, and their echo
 *
 *	a byte -> mapped (ISTRIP, ICRNL ...) -> flow control -> signal -> editing of the line, or
 *	into the line
 *
 * Echo goes through output processing into what the master reads; it is dropped when nobody reads.
 * Absent: EXTPROC, input parity and breaks, which a pseudo terminal does not have.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/tty/ldisc_internal.h"

/* --- echo --- */

static void ldisc_echo_raw(struct ldisc *l, const void *data, size_t len)
{
	if (!l->stopped)
		ldisc_send(l, data, len);
	else if (l->held.len + len <= LDISC_ECHO)
		(void)ring_put(&l->held, data, len);
}

static void ldisc_echo_byte(struct ldisc *l, uint8_t c)
{
	uint8_t buf[8] = { c };

	/* Linux marks things in its echo with this byte, and so sends it as it is. */
	if (c == 0xff) {
		l->column++;
		ldisc_echo_raw(l, buf, 1);
		return;
	}
	ldisc_echo_raw(l, buf, ldisc_post(l, c, buf));
}

static void ldisc_echo_text(struct ldisc *l, const char *text)
{
	while (*text)
		ldisc_echo_byte(l, (uint8_t)*text++);
}

/* As the user sees it: control characters as ^X. */
static void ldisc_echo_char(struct ldisc *l, uint8_t c)
{
	const uint8_t caret[2] = { '^', c ^ 0100 };

	if (!(l->termios.lflag & ECHOCTL) || !ldisc_control(c) || c == '\t') {
		ldisc_echo_byte(l, c);
		return;
	}
	ldisc_echo_raw(l, caret, sizeof(caret));
	l->column += 2;
}

static void ldisc_echo_erased(struct ldisc *l)
{
	if (l->erasing)
		ldisc_echo_byte(l, '/');
	l->erasing = false;
}

/* A character of the line, and where the line began. */
static void ldisc_echo_typed(struct ldisc *l, uint8_t c)
{
	if (l->canon == l->head)
		l->canon_column = l->column;
	ldisc_echo_char(l, c);
}

/* --- the line --- */

static void ldisc_put(struct ldisc *l, uint8_t c)
{
	l->in[l->head++ % LDISC_INPUT] = c;
}

static void ldisc_put_marked(struct ldisc *l, uint8_t c)
{
	if (c == 0xff && (l->termios.iflag & PARMRK))
		ldisc_put(l, c);
	ldisc_put(l, c);
}

static bool ldisc_is(const struct ldisc *l, unsigned which, uint8_t c)
{
	return c && l->termios.cc[which] == c;
}

static bool ldisc_extended(const struct ldisc *l, unsigned which, uint8_t c)
{
	return (l->termios.lflag & IEXTEN) && ldisc_is(l, which, c);
}

/* --- erasing --- */

static bool ldisc_word(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '_' || (c >= 0xc0 && c != 0xd7 && c != 0xf7);
}

/* Back over a tab that was the last character; head is on it. */
static void ldisc_erase_tab(struct ldisc *l)
{
	unsigned width = 0, at = l->head;
	bool tab = false;

	while (at != l->canon && !tab) {
		uint8_t c = ldisc_at(l, --at);

		tab = c == '\t';
		if (tab)
			break;
		if (ldisc_control(c))
			width += l->termios.lflag & ECHOCTL ? 2 : 0;
		else if (!ldisc_inside(l, c))
			width++;
	}
	if (!tab)
		width += l->canon_column;
	for (unsigned n = 8 - (width & 7); n; n--) {
		ldisc_echo_raw(l, "\b", 1);
		if (l->column)
			l->column--;
	}
}

/* ECHOPRT: what is erased is printed, between \ and /. */
static void ldisc_erase_print(struct ldisc *l, uint8_t first, unsigned len)
{
	if (!l->erasing)
		ldisc_echo_byte(l, '\\');
	l->erasing = true;
	ldisc_echo_char(l, first);
	for (unsigned i = 1; i < len; i++) {
		uint8_t c = ldisc_at(l, l->head + i);

		ldisc_echo_raw(l, &c, 1);
		if (l->column)
			l->column--; /* as Linux counts them */
	}
}

/* The character of @len bytes from head on is no more; show it. */
static void ldisc_erase_echo(struct ldisc *l, unsigned which, unsigned len)
{
	uint32_t lflag = l->termios.lflag;
	uint8_t first = ldisc_at(l, l->head);

	if (lflag & ECHOPRT) {
		ldisc_erase_print(l, first, len);
	} else if (which == VERASE && !(lflag & ECHOE)) {
		ldisc_echo_char(l, l->termios.cc[VERASE]);
	} else if (first == '\t') {
		ldisc_erase_tab(l);
	} else {
		if (ldisc_control(first) && (lflag & ECHOCTL))
			ldisc_echo_text(l, "\b \b");
		if (!ldisc_control(first) || (lflag & ECHOCTL))
			ldisc_echo_text(l, "\b \b");
	}
}

/* One character, of several bytes maybe. Return: its length; 0: there is no whole one */
static unsigned ldisc_last_char(const struct ldisc *l)
{
	unsigned at = l->head;

	do
		at--;
	while (ldisc_inside(l, ldisc_at(l, at)) && at != l->canon);
	return ldisc_inside(l, ldisc_at(l, at)) ? 0 : l->head - at;
}

static void ldisc_erase_back(struct ldisc *l, unsigned which)
{
	bool word = false;

	while (l->head != l->canon) {
		unsigned len = ldisc_last_char(l);
		uint8_t c;

		if (!len)
			break;
		c = ldisc_at(l, l->head - len);
		if (which == VWERASE && word && !ldisc_word(c))
			break;
		word |= ldisc_word(c);
		l->head -= len;
		if (l->termios.lflag & ECHO)
			ldisc_erase_echo(l, which, len);
		if (which == VERASE)
			break;
	}
	if (l->head == l->canon && (l->termios.lflag & ECHO))
		ldisc_echo_erased(l);
}

static void ldisc_erase(struct ldisc *l, unsigned which)
{
	const uint32_t visible = ECHOK | ECHOKE | ECHOE;

	if (l->head == l->canon)
		return;
	if (which != VKILL || ((l->termios.lflag & ECHO) &&
			       (l->termios.lflag & visible) == visible)) {
		ldisc_erase_back(l, which);
		return;
	}
	l->head = l->canon;
	if (!(l->termios.lflag & ECHO))
		return;
	ldisc_echo_erased(l);
	ldisc_echo_char(l, l->termios.cc[VKILL]);
	if (l->termios.lflag & ECHOK)
		ldisc_echo_byte(l, '\n');
}

static void ldisc_reprint(struct ldisc *l, uint8_t c)
{
	ldisc_echo_erased(l);
	ldisc_echo_char(l, c);
	ldisc_echo_byte(l, '\n');
	for (unsigned at = l->canon; at != l->head; at++)
		ldisc_echo_char(l, ldisc_at(l, at));
}

/* --- characters that mean something; Return: whether this was one --- */

static bool ldisc_receive_flow(struct ldisc *l, uint8_t c)
{
	if (!(l->termios.iflag & IXON))
		return false;
	if (ldisc_is(l, VSTART, c)) {
		ldisc_start(l);
		return true;
	}
	if (ldisc_is(l, VSTOP, c)) {
		ldisc_stop(l);
		return true;
	}
	if (l->stopped && (l->termios.iflag & IXANY))
		ldisc_start(l);
	return false;
}

static bool ldisc_receive_signal(struct ldisc *l, uint8_t c, int *sig)
{
	static const struct {
		unsigned which;
		int sig;
	} chars[] = { { VINTR, SIGINT }, { VQUIT, SIGQUIT }, { VSUSP, SIGTSTP } };

	if (!(l->termios.lflag & ISIG))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(chars) && !*sig; i++) {
		if (ldisc_is(l, chars[i].which, c))
			*sig = chars[i].sig;
	}
	if (!*sig)
		return false;
	if (!(l->termios.lflag & NOFLSH)) {
		ldisc_flush_output(l);
		ldisc_flush_input(l);
	}
	if ((l->termios.iflag & IXON) && l->stopped)
		ldisc_start(l);
	if (l->termios.lflag & ECHO)
		ldisc_echo_char(l, c);
	return true;
}

static bool ldisc_receive_edit(struct ldisc *l, uint8_t c)
{
	bool echo = l->termios.lflag & ECHO;

	if (ldisc_is(l, VERASE, c)) {
		ldisc_erase(l, VERASE);
	} else if (ldisc_is(l, VKILL, c)) {
		ldisc_erase(l, VKILL);
	} else if (ldisc_extended(l, VWERASE, c)) {
		ldisc_erase(l, VWERASE);
	} else if (ldisc_extended(l, VLNEXT, c)) {
		l->literal = true;
		if (echo)
			ldisc_echo_erased(l);
		if (echo && (l->termios.lflag & ECHOCTL))
			ldisc_echo_text(l, "^\b");
	} else if (echo && ldisc_extended(l, VREPRINT, c)) {
		ldisc_reprint(l, c);
	} else {
		return false;
	}
	return true;
}

static bool ldisc_receive_end(struct ldisc *l, uint8_t c)
{
	uint32_t lflag = l->termios.lflag;

	if (c == '\n') {
		if (lflag & (ECHO | ECHONL))
			ldisc_echo_byte(l, c);
	} else if (ldisc_is(l, VEOF, c)) {
		c = 0;
	} else if (ldisc_is(l, VEOL, c) || ldisc_extended(l, VEOL2, c)) {
		if (lflag & ECHO)
			ldisc_echo_typed(l, c);
		if (c == 0xff && (l->termios.iflag & PARMRK))
			ldisc_put(l, c);
	} else {
		return false;
	}
	ldisc_set_end(l, l->head, true);
	ldisc_put(l, c);
	l->canon = l->head;
	return true;
}

/* @newline: a return that ICRNL made a newline of, and is one for echo too */
static void ldisc_receive_plain(struct ldisc *l, uint8_t c, bool newline)
{
	if (l->termios.lflag & ECHO) {
		ldisc_echo_erased(l);
		if (newline)
			ldisc_echo_byte(l, c);
		else
			ldisc_echo_typed(l, c);
	}
	ldisc_put_marked(l, c);
}

/* Return: false: the character is none at all (IGNCR) */
static bool ldisc_map_return(const struct ldisc *l, uint8_t *c)
{
	uint32_t iflag = l->termios.iflag;

	if (*c == '\r' && (iflag & IGNCR))
		return false;
	if (*c == '\r' && (iflag & ICRNL))
		*c = '\n';
	else if (*c == '\n' && (iflag & INLCR))
		*c = '\r';
	return true;
}

static uint8_t ldisc_map_bits(const struct ldisc *l, uint8_t c)
{
	if (l->termios.iflag & ISTRIP)
		c &= 0x7f;
	if ((l->termios.iflag & IUCLC) && (l->termios.lflag & IEXTEN))
		c = ldisc_lower(c);
	return c;
}

static void ldisc_receive_char(struct ldisc *l, uint8_t typed, int *sig)
{
	uint8_t c = typed = ldisc_map_bits(l, typed);

	if (l->literal) {
		l->literal = false;
		ldisc_receive_plain(l, c, false);
		return;
	}
	if (ldisc_receive_flow(l, c) || ldisc_receive_signal(l, c, sig) ||
	    !ldisc_map_return(l, &c))
		return;
	if ((l->termios.lflag & ICANON) &&
	    (ldisc_receive_edit(l, c) || ldisc_receive_end(l, c)))
		return;
	ldisc_receive_plain(l, c, c == '\n' && typed != '\n');
}

/* Whether there is room for one more; a line that is too long loses its last character. */
static bool ldisc_make_room(struct ldisc *l)
{
	unsigned used = l->head - l->tail;
	unsigned max = l->termios.iflag & PARMRK ? LDISC_INPUT - 4 : LDISC_INPUT - 1;

	if (used < max)
		return true;
	if (!(l->termios.lflag & ICANON) || l->canon != l->tail)
		return false;
	l->head = l->tail + max;
	return true;
}

size_t ldisc_receive(struct ldisc *l, const uint8_t *data, size_t len, int *sig)
{
	size_t n = 0;

	*sig = 0;
	if (!l->in)
		l->in = malloc(LDISC_INPUT);
	if (!l->in)
		return 0;
	if (!l->together) {
		l->together_from = l->out.len;
		l->together_column = l->held.len ? l->held_column : l->column;
	}
	l->together = true;
	while (n < len && !*sig && ldisc_make_room(l))
		ldisc_receive_char(l, data[n++], sig);
	l->together = *sig && n < len;
	return n;
}
