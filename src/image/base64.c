/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/base64.c - bytes as text (RFC 4648, 4), as Basic authentication has it
 *
 * Short secrets only; neither quick nor constant in time.  Callers:
 * credentials.c, and what sends them.
 */
#include "image/base64.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t n)
{
	const unsigned char *in = data;
	char *text = calloc((n + 2) / 3 * 4 + 1, 1), *out = text;

	for (size_t i = 0; text && i < n; i += 3) {
		size_t left = n - i;
		uint32_t v = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
			     (left > 2 ? in[i + 2] : 0);

		*out++ = base64_digits[v >> 18];
		*out++ = base64_digits[v >> 12 & 63];
		*out++ = left > 1 ? base64_digits[v >> 6 & 63] : '=';
		*out++ = left > 2 ? base64_digits[v & 63] : '=';
	}
	return text;
}

/* base64_group() - Four digits at @text. Return: bytes they are, 0 when they are none */
static size_t base64_group(const char *text, char *out)
{
	uint32_t v = 0;
	size_t i, n;

	for (i = 0; i < 4 && text[i] != '='; i++) {
		const char *digit = text[i] ? strchr(base64_digits, text[i]) : NULL;

		if (!digit)
			return 0;
		v = v << 6 | (uint32_t)(digit - base64_digits);
	}
	n = i;
	v <<= 6 * (4 - n);
	/* Bits that belong to no byte have to be zero, else one secret has several texts. */
	if (n < 2 || (n == 2 && (text[3] != '=' || v & 0xffff)) || (n == 3 && v & 0xff))
		return 0;
	for (i = 0; i < n - 1; i++)
		out[i] = (char)(v >> (16 - 8 * i));
	return n - 1;
}

char *base64_decode(const char *text, size_t *n)
{
	size_t len = strlen(text);
	char *out = malloc(len / 4 * 3 + 1);

	*n = 0;
	if (!out)
		return NULL;
	for (size_t i = 0; i < len; i += 4) {
		size_t got = len % 4 == 0 ? base64_group(text + i, out + *n) : 0;

		if (got == 0 || (got < 3 && i + 4 < len)) {
			free(out);
			errno = EINVAL;
			return NULL;
		}
		*n += got;
	}
	out[*n] = '\0';
	return out;
}
