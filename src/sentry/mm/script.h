/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/script.h - #! lines; mm/'s own
 */
#ifndef SENTRY_MM_SCRIPT_H
#define SENTRY_MM_SCRIPT_H

#include <stddef.h>

#define SCRIPT_LINE 256 /* bytes of a file that are looked at */

/**
 * script_parse() - What a file's first bytes say
 * @line:	SCRIPT_LINE bytes, zeros after the file's end; cut up
 * @name:	The interpreter
 * @arg:	Its one argument, NULL: none
 *
 * Return: 0; -ENOEXEC: it is no script
 */
int script_parse(char line[SCRIPT_LINE], const char **name, const char **arg);

#endif /* SENTRY_MM_SCRIPT_H */
