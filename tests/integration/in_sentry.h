/* SPDX-License-Identifier: Apache-2.0 */
/*
 * in_sentry.h - the same tests with either sandbox
 *
 * COFFER_SANDBOX, which the library reads itself, says what containers run in.
 */
#ifndef IN_SENTRY_H
#define IN_SENTRY_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline bool in_sentry(void)
{
	const char *kind = getenv("COFFER_SANDBOX");

	return kind && strcmp(kind, "sentry") == 0;
}

/* in_sentry_without() - The same; then @what is said to be left out */
static inline bool in_sentry_without(const char *what)
{
	if (!in_sentry())
		return false;
	printf("left out in a sentry: %s\n", what);
	return true;
}

#endif /* IN_SENTRY_H */
