/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/kind.c - the kinds of sandbox there are, by name
 */
#include "sandbox/kind.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/kvm_probe.h"
#include "sandbox/sentry.h"
#include "sandbox/vm.h"

struct sandbox_log sandbox_log = { .fd = -1 };

enum { SANDBOX_KIND_VM, SANDBOX_KIND_SENTRY };

static const struct sandbox_kind sandbox_kinds[] = {
	[SANDBOX_KIND_VM] = { .name = "vm", .make = sandbox_vm_new, .shares_processors = true },
	[SANDBOX_KIND_SENTRY] = { .name = "sentry", .make = sandbox_sentry_new,
				  .layers_directories = true, .counts_calls = true },
};

/* A machine where the hardware has one: an emulated one is slow, and its emulator no small wall
 * either. The answer stays the same for as long as this process lives. */
static int sandbox_kind_auto(void)
{
	static _Atomic int known = -1;

	if (known < 0)
		known = kvm_probe(NULL) == 0 ? SANDBOX_KIND_VM : SANDBOX_KIND_SENTRY;
	return known;
}

const char *sandbox_kind_default(void)
{
	const char *env = secure_getenv("COFFER_SANDBOX");

	return env && *env ? env : "vm";
}

const struct sandbox_kind *sandbox_kind_find(const char *name)
{
	if (!name)
		name = sandbox_kind_default();
	if (strcmp(name, "auto") == 0)
		return &sandbox_kinds[sandbox_kind_auto()];
	for (size_t i = 0; i < ARRAY_SIZE(sandbox_kinds); i++)
		if (strcmp(sandbox_kinds[i].name, name) == 0)
			return &sandbox_kinds[i];
	return NULL;
}
