/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/tty.h - the user's terminal: raw mode and size
 */
#ifndef BASE_TTY_H
#define BASE_TTY_H

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

#endif /* BASE_TTY_H */
