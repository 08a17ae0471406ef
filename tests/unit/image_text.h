/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_text.h - JSON in tests: single quotes stand for double ones
 */
#ifndef IMAGE_TEXT_H
#define IMAGE_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"

#define TEXT_HASH   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define TEXT_DIGEST "sha256:" TEXT_HASH
#define TEXT_OTHER  "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static inline char *text_json(const char *text)
{
	char *copy = strdup(text);

	assert_non_null(copy);
	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	return copy;
}

/* The message names what is wrong, and the code its kind. */
static inline void text_refused(int r, const struct coffer_error *err, int want, const char *message)
{
	if (r != want || !strstr(err->message, message))
		fail_msg("wanted %d \"%s\", got %d \"%s\"", want, message, r, err->message);
}

#endif /* IMAGE_TEXT_H */
