/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_sandbox_hello.c - the agent's greeting, from a guest that means no good
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct agent_hello hello;

	if (size > AGENT_HELLO_MAX)
		return 0;
	if (agent_hello_parse((const char *)data, size, &hello, NULL) < 0)
		return 0;
	/* What is accepted is printable and in order. */
	for (const char *p = hello.version; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			abort();
	if (strlen(hello.version) >= sizeof(hello.version) || hello.init_usec > hello.uptime_usec)
		abort();
	return 0;
}
