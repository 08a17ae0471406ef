/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/kind.c - the kinds of sandbox there are, by name
 */
#include "sandbox/kind.h"

#include <string.h>

#include "base/cleanup.h"
#include "sandbox/sentry.h"
#include "sandbox/vm.h"

struct sandbox_log sandbox_log = { .fd = -1 };

static const struct sandbox_kind sandbox_kinds[] = {
	{ .name = "vm", .make = sandbox_vm_new },
	{ .name = "sentry", .make = sandbox_sentry_new, .layers_directories = true,
	  .counts_calls = true },
};

const struct sandbox_kind *sandbox_kind_find(const char *name)
{
	/* A machine of its own is the stronger wall wherever it can be had. */
	if (!name || strcmp(name, "auto") == 0)
		return &sandbox_kinds[0];
	for (size_t i = 0; i < ARRAY_SIZE(sandbox_kinds); i++)
		if (strcmp(sandbox_kinds[i].name, name) == 0)
			return &sandbox_kinds[i];
	return NULL;
}
