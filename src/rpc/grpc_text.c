/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_text.c - the small texts in gRPC's headers: time-outs and messages
 *
 * Pure functions over bounded buffers; input is whatever the peer sent.  The
 * UTF-8 check serves the protobuf check too.
 */
#include "rpc/grpc_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define GRPC_TIMEOUT_DIGITS  8
#define GRPC_TIMEOUT_LARGEST UINT64_C(99999999)

/* Finest first.  Nanoseconds are understood but never sent. */
static const struct {
	uint8_t unit;
	usec_t usec;
} grpc_timeout_units[] = {
	{ 'u', 1 },
	{ 'm', USEC_PER_MSEC },
	{ 'S', USEC_PER_SEC },
	{ 'M', 60 * USEC_PER_SEC },
	{ 'H', 3600 * USEC_PER_SEC },
};

int grpc_timeout_parse(const uint8_t *value, size_t len, usec_t *usec)
{
	uint64_t n = 0;

	if (len < 2 || len > GRPC_TIMEOUT_DIGITS + 1)
		return -EINVAL;
	for (size_t i = 0; i < len - 1; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -EINVAL;
		n = n * 10 + (value[i] - '0');
	}
	if (value[len - 1] == 'n') {
		*usec = (n + 999) / 1000;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(grpc_timeout_units); i++) {
		if (value[len - 1] == grpc_timeout_units[i].unit) {
			*usec = n * grpc_timeout_units[i].usec;
			return 0;
		}
	}
	return -EINVAL;
}

void grpc_timeout_format(usec_t usec, char out[GRPC_TIMEOUT_MAX])
{
	size_t i = 0;
	uint64_t n = usec;

	while (n > GRPC_TIMEOUT_LARGEST && i + 1 < ARRAY_SIZE(grpc_timeout_units)) {
		i++;
		n = usec / grpc_timeout_units[i].usec + (usec % grpc_timeout_units[i].usec != 0);
	}
	if (n > GRPC_TIMEOUT_LARGEST)
		n = GRPC_TIMEOUT_LARGEST;
	snprintf(out, GRPC_TIMEOUT_MAX, "%u%c", (unsigned)n, grpc_timeout_units[i].unit);
}

size_t grpc_percent_encode(const char *text, char *out, size_t size)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (const uint8_t *p = (const uint8_t *)text; *p; p++) {
		if (*p >= 0x20 && *p <= 0x7e && *p != '%') {
			if (n + 1 >= size)
				break;
			out[n++] = (char)*p;
			continue;
		}
		if (n + 3 >= size)
			break;
		out[n++] = '%';
		out[n++] = hex[*p >> 4];
		out[n++] = hex[*p & 15];
	}
	out[n] = '\0';
	return n;
}

static int grpc_hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t grpc_percent_decode(const uint8_t *value, size_t len, char *out, size_t size)
{
	size_t n = 0;
	int c;

	for (size_t i = 0; i < len && n + 1 < size; i++) {
		c = value[i];
		if (c == '%' && len - i > 2 && grpc_hex_digit(value[i + 1]) >= 0 &&
		    grpc_hex_digit(value[i + 2]) >= 0) {
			c = grpc_hex_digit(value[i + 1]) << 4 | grpc_hex_digit(value[i + 2]);
			i += 2;
		}
		out[n++] = (char)(c ? c : '?');
	}
	out[n] = '\0';
	return n;
}

/* Length of the valid sequence at @s, 0 when there is none (RFC 3629, table 3-7 of Unicode). */
static size_t grpc_utf8_sequence(const uint8_t *s, size_t n)
{
	uint8_t lo = 0x80, hi = 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return s[0] != 0;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		lo = 0xa0; /* shorter form exists */
	else if (s[0] == 0xed)
		hi = 0x9f; /* surrogates */
	else if (s[0] == 0xf0)
		lo = 0x90;
	else if (s[0] == 0xf4)
		hi = 0x8f; /* past U+10FFFF */
	if (n < len || s[1] < lo || s[1] > hi)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	}
	return len;
}

size_t grpc_text_utf8(const uint8_t *s, size_t n)
{
	size_t i = 0, len;

	while (i < n) {
		len = grpc_utf8_sequence(s + i, n - i);
		if (!len)
			break;
		i += len;
	}
	return i;
}

/* C1 controls (U+0080 to U+009F) steer terminals as escape sequences do. */
static bool grpc_text_printable(const uint8_t *s, size_t len)
{
	if (len == 1)
		return s[0] >= 0x20 && s[0] != 0x7f;
	return !(len == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

void grpc_text_clean(const char *text, char *out, size_t size)
{
	const uint8_t *s = (const uint8_t *)text;
	size_t left = strlen(text), n = 0, len;

	while (left > 0) {
		len = grpc_utf8_sequence(s, left);
		if (n + (len ? len : 1) >= size)
			break;
		if (len && grpc_text_printable(s, len)) {
			memcpy(out + n, s, len);
			n += len;
		} else {
			out[n++] = '?';
		}
		len = len ? len : 1;
		s += len;
		left -= len;
	}
	out[n] = '\0';
}
