/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/console.h - the end of a guest's console log, for error messages
 */
#ifndef SANDBOX_CONSOLE_H
#define SANDBOX_CONSOLE_H

#include <stddef.h>

#include "base/error.h"

#define CONSOLE_TAIL_MAX 512 /* bytes of text, terminator included */

/**
 * console_tail() - The last lines as one line of printable ASCII, " | " between them
 * @dirfd:	Directory with console.log, which the guest fills with what it likes
 * @text:	Set to "" when there is nothing
 */
void console_tail(int dirfd, char text[static CONSOLE_TAIL_MAX]);

/* console_explain() - Add the tail, if any, to @err's message, once */
void console_explain(int dirfd, struct coffer_error *err);

#endif /* SANDBOX_CONSOLE_H */
