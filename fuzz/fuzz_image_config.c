/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image's configuration, and lines of a Dockerfile applied to it.  The input
 * is those lines, an empty one, and the JSON.  What is written must be read
 * again, and then be written equal.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/document.h"

#define LINES 16

static void check_written(const struct image_config *c)
{
	autobuf struct buf first = BUF_INIT((size_t)64 << 20), second = BUF_INIT((size_t)64 << 20);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct image_config again;

	if (image_config_emit(c, &first, &err) < 0 ||
	    image_config_parse(buf_data(&first), first.len, &again, &err) < 0 ||
	    image_config_emit(&again, &second, &err) < 0)
		abort();
	if (first.len != second.len || memcmp(buf_data(&first), buf_data(&second), first.len) != 0)
		abort();
	image_config_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = strndup((const char *)data, size);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct image_config c;
	char *rest = text, *lines[LINES];
	size_t n = 0;

	while (rest && n < LINES && *rest != '{') {
		lines[n] = strsep(&rest, "\n");
		n += *lines[n] != '\0';
	}
	if (!rest)
		return 0;
	if (image_config_parse(rest, strlen(rest), &c, &err) < 0) {
		if (err.kind == COFFER_ERR_NONE || !err.message[0])
			abort();
		return 0;
	}
	check_written(&c);
	for (size_t i = 0; i < n; i++)
		if (image_config_change(&c, lines[i], &err) < 0 && !err.message[0])
			abort();
	check_written(&c);
	image_config_free(&c);
	return 0;
}
