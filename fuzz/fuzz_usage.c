/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_usage.c - files of a control group, as ContainerStatistics reads them
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/usage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	Sc__BlockIOEntry *entries = NULL;

	if (!text)
		abort();
	usage_value(text, "");
	usage_value(text, "file");
	if (usage_parse_io(text, &entries) > 1024)
		abort();
	free(entries);
	free(text);
	return 0;
}
