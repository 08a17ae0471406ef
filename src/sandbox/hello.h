/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/hello.h - the line with which an agent says that it is up
 */
#ifndef SANDBOX_HELLO_H
#define SANDBOX_HELLO_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define AGENT_HELLO_MAX 512 /* bytes of the line */

/* What an agent says of itself when it is up. */
struct agent_hello {
	char version[64];     /* printable ASCII */
	uint64_t uptime_usec; /* since the sandbox's start, when it was ready */
	uint64_t init_usec;   /* the same at its first instruction */
};

/* agent_hello_parse() - The ready line, without its newline, from a guest nobody trusts */
int agent_hello_parse(const char *line, size_t len, struct agent_hello *out,
		      struct coffer_error *err);

#endif /* SANDBOX_HELLO_H */
