/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_image_auth.c - WWW-Authenticate, as registries send it; a header a line
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/registry/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct auth_challenge best = { 0 };
	char *text = strndup((const char *)data, size), *at = text, *line;

	if (!text)
		abort();
	while ((line = strsep(&at, "\n"))) {
		enum auth_scheme before = best.scheme;

		(void)auth_parse(line, &best);
		if (best.scheme < before || best.scheme > AUTH_BEARER)
			abort();
	}
	if (best.scheme == AUTH_BEARER && best.realm[0] == '\0')
		abort();
	if (strlen(best.realm) >= sizeof(best.realm) || strpbrk(best.realm, "\r\n") ||
	    strlen(best.scope) >= sizeof(best.scope) || strpbrk(best.scope, "\r\n"))
		abort();
	free(text);
	return 0;
}
