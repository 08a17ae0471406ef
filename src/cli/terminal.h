/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/terminal.h - the user's terminal: raw mode and size
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdint.h>

#include "base/error.h"

/**
 * terminal_raw() - Put the terminal on @fd into raw mode
 *
 * It is put back by terminal_restore(), at exit(), and when the program dies
 * of a fatal signal.  One terminal a process.
 */
int terminal_raw(int fd, struct coffer_error *err);

/* terminal_restore() - Undo terminal_raw(); idempotent, async-signal-safe */
void terminal_restore(void);

/* terminal_size() - Zeros when @fd is no terminal or does not know */
void terminal_size(int fd, uint16_t *rows, uint16_t *columns);

#endif /* CLI_TERMINAL_H */
