/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/tty.h - the user's terminal: raw mode and size
 */
#ifndef BASE_TTY_H
#define BASE_TTY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/**
 * tty_raw() - Put the terminal on @fd into raw mode
 *
 * It is put back by tty_restore(), at exit(), and when the program dies
 * of a fatal signal.  One terminal a process.
 */
int tty_raw(int fd, struct coffer_error *err);

/* tty_restore() - Undo tty_raw(); idempotent, async-signal-safe */
void tty_restore(void);

/* tty_size() - Zeros when @fd is no terminal or does not know */
void tty_size(int fd, uint16_t *rows, uint16_t *columns);

/**
 * tty_control() - Does @s begin with a character that steers a terminal?
 *
 * Also one of U+0080 to U+009F, which do what escape sequences do.
 *
 * Return: its bytes, 0 if it is another character, or the end
 */
static inline size_t tty_control(const char *s)
{
	const unsigned char *c = (const unsigned char *)s;

	if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
		return 2;
	return (c[0] && c[0] < 0x20) || c[0] == 0x7f;
}

#endif /* BASE_TTY_H */
