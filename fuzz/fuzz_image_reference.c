/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of images and platforms: what is accepted must come out as a text that
 * means the same, whatever the default registry is.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/document.h"
#include "image/reference.h"

static void check_again(const char *text, const char *registry, const struct reference *ref)
{
	struct reference again;

	if (reference_parse(text, registry, &again, NULL) < 0 ||
	    memcmp(&again, ref, sizeof(again)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = strndup((const char *)data, size);
	struct coffer_error err = COFFER_ERROR_INIT;
	char out[REFERENCE_TEXT_MAX], second[100];
	struct platform p, same;
	struct reference ref;

	if (!text)
		return 0;
	if (reference_parse(text, NULL, &ref, &err) == 0) {
		reference_canonical(&ref, out);
		check_again(out, "other.example:5000", &ref);
		reference_familiar(&ref, out);
		check_again(out, NULL, &ref);
	} else if (err.kind == COFFER_ERR_NONE || !err.message[0]) {
		abort();
	}
	if (platform_parse(text, &p, NULL) == 0) {
		platform_format(&p, out);
		if (platform_parse(out, &same, NULL) < 0)
			abort();
		platform_format(&same, second);
		if (strcmp(out, second) != 0)
			abort();
	}
	return 0;
}
