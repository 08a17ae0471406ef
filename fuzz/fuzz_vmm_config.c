/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's config: what parses must serialise, parse again to the same
 * text, and make a command line.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "vmm/config.h"
#include "vmm/qemu_args.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct qemu_args args;
	static struct vmm_config cfg, again;
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *first = NULL, *second = NULL;

	if (vmm_config_parse((const char *)data, size, &cfg, &err) < 0) {
		if (err.kind == COFFER_ERR_NONE || !err.message[0])
			abort();
		return 0;
	}
	if (vmm_config_serialise(&cfg, &first, &err) < 0 ||
	    vmm_config_parse(first, strlen(first), &again, &err) < 0 ||
	    vmm_config_serialise(&again, &second, &err) < 0 || strcmp(first, second) != 0)
		abort();
	if (qemu_args_build(&args, &cfg, "/usr/bin/qemu-system-x86_64", false, 2000000, &err) < 0)
		abort();
	return 0;
}
