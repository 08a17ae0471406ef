/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_criu_answer.c - what criu says to a request
 */
#include <stdlib.h>
#include <string.h>

#include "oci/criu_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct criu_answer a;
	uint8_t *copy = malloc(size ? size : 1);

	/* A copy of its own, so that a read past its end is seen. */
	if (!copy)
		abort();
	memcpy(copy, data, size);
	if (criu_read_answer(copy, size, &a, &err) < 0 && err.kind == COFFER_ERR_NONE)
		abort();
	if (strnlen(a.script, sizeof(a.script)) == sizeof(a.script) ||
	    strnlen(a.message, sizeof(a.message)) == sizeof(a.message))
		abort();
	free(copy);
	return 0;
}
