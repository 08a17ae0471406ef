/* SPDX-License-Identifier: Apache-2.0 */
/* registries.json: limits that are accepted are limits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/reference.h"
#include "image/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct settings s;

	if (settings_parse((const char *)data, size, &s, &err) < 0) {
		if (err.kind == COFFER_ERR_NONE || !err.message[0] || s.nregistries)
			abort();
		return 0;
	}
	if (!s.limits.bytes || !s.limits.entries || !s.limits.name || !s.limits.ratio ||
	    !reference_is_registry(s.default_registry))
		abort();
	for (size_t i = 0; i < s.nregistries; i++)
		if (!settings_registry(&s, s.registries[i].name)->name)
			abort();
	settings_free(&s);
	return 0;
}
