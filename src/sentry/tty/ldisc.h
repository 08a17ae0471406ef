/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/tty/ldisc.h - line discipline: what a terminal does with bytes, both ways
 *
 *	master writes -> ldisc_receive() -> lines -> ldisc_read() -> the terminal's readers
 *	                       | echo
 *	master reads  <- out <-+------- ldisc_write() <- the terminal's writers
 *
 * Nothing but state and bytes: no lock, no task, no waiting. A signal that a character asks for is
 * handed back, and sent by who called.
 */
#ifndef SENTRY_TTY_LDISC_H
#define SENTRY_TTY_LDISC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sentry/tty/ring.h"

#define LDISC_CC     19
#define LDISC_INPUT  4096 /* the longest line is one less, and its end */
#define LDISC_OUTPUT 8192 /* what writers may leave for the master */
#define LDISC_FAR    4095 /* of which a flush does not reach */
#define LDISC_ECHO   4096 /* what echo may leave on top */

/* struct termios2 of the x86-64 interface */
struct ldisc_termios {
	uint32_t iflag, oflag, cflag, lflag;
	uint8_t line;
	uint8_t cc[LDISC_CC];
	uint32_t ispeed, ospeed;
};

struct ldisc {
	struct ldisc_termios termios;
	/* Input: counters that only grow, modulo LDISC_INPUT. Whole lines are before @canon. */
	uint8_t *in; /* owned; NULL: nothing has come yet */
	uint64_t ends[LDISC_INPUT / 64]; /* where a line ends; a NUL there is an end of file */
	unsigned tail, canon, head;
	bool literal; /* the next character has no meaning: VLNEXT */
	bool erasing; /* between \ and / of ECHOPRT */

	struct ring out;   /* to the master */
	struct ring held;  /* echo while output is stopped, since when it was in held_column */
	bool stopped;	   /* VSTOP, TCOOFF: nothing is taken from writers */
	bool suspended;	   /* by TCOOFF: VSTART does not help */
	unsigned column;   /* of output */
	unsigned held_column;
	/* What is echoed of bytes that came together is shown together, unless a signal takes it away */
	bool together;
	size_t together_from;
	unsigned together_column;
	unsigned canon_column; /* where the line that is being typed began */
};

void ldisc_init(struct ldisc *l);
void ldisc_free(struct ldisc *l);

/* ldisc_receive() - What was typed. Ends early when there is no room, and after a character that
 * sends a signal. Return: bytes taken; @sig: 0 or the signal */
size_t ldisc_receive(struct ldisc *l, const uint8_t *data, size_t len, int *sig);
/* ldisc_readable() - Bytes a read could have; in canonical mode 1 for an empty line at the end of
 * file, and only whole lines count */
size_t ldisc_readable(const struct ldisc *l);
/* ldisc_queued() - FIONREAD: ends of file are no bytes */
size_t ldisc_queued(const struct ldisc *l);
/* ldisc_read() - Return: bytes; @end: the line is complete, a read ends here */
size_t ldisc_read(struct ldisc *l, uint8_t *buf, size_t len, bool *end);
/* ldisc_write() - What a program writes. Return: bytes taken */
size_t ldisc_write(struct ldisc *l, const uint8_t *data, size_t len);
/* ldisc_room() - Bytes a write could place */
size_t ldisc_room(const struct ldisc *l);
/* ldisc_send() - What no program writes, and stopping does not stop, to the master: dropped when nobody
 * reads there */
void ldisc_send(struct ldisc *l, const void *data, size_t len);

void ldisc_set_termios(struct ldisc *l, const struct ldisc_termios *new);
void ldisc_flush_input(struct ldisc *l);
/* ldisc_flush_output() - But for what is on the master's side of the line already */
void ldisc_flush_output(struct ldisc *l);
void ldisc_stop(struct ldisc *l);
/* ldisc_start() - Undo VSTOP; not TCOOFF */
void ldisc_start(struct ldisc *l);

#endif /* SENTRY_TTY_LDISC_H */
