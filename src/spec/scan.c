/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/scan.c - limits on the text before the JSON reader sees it
 *
 * json-c builds a tree of everything, known members or not, and an empty
 * object of two bytes costs it some 700; so values are counted here first,
 * roughly (commas and brackets outside strings), and NULs are refused because
 * they would cut keys and values short.  Grammar is the reader's business.
 */
#include "spec/schema.h"

/* 65536 empty objects are about 45 MiB of tree. */
#define SCAN_CONTAINERS_MAX 65536
#define SCAN_VALUES_MAX     262144

/* All of JSON outside strings.  The reader would take more, strict or not: NaN, Infinity,
 * and single quotes, which would also hide a string from this scan. */
#define SCAN_ALPHABET "{}[],:\" \t\r\n+-.0123456789Eaeflnrstu"

struct scan {
	bool in_string;
	size_t containers;
	size_t values;
};

/* scan_escape() - At a backslash. Return: bytes to skip, 0 for an escaped NUL */
static size_t scan_escape(const char *p, size_t left)
{
	if (left >= 6 && memcmp(p, "\\u0000", 6) == 0)
		return 0;
	return left > 1 ? 2 : 1;
}

static void scan_structure(struct scan *s, char c)
{
	switch (c) {
	case '"':
		s->in_string = true;
		break;
	case '{':
	case '[':
		s->containers++;
		s->values++;
		break;
	case ',':
		s->values++;
		break;
	default:
		break;
	}
}

static int scan_limits(const struct scan *s, struct coffer_error *err)
{
	if (s->containers > SCAN_CONTAINERS_MAX)
		return err_invalid(err, "config: more than %d objects and arrays",
				   SCAN_CONTAINERS_MAX);
	if (s->values > SCAN_VALUES_MAX)
		return err_invalid(err, "config: more than %d values", SCAN_VALUES_MAX);
	return 0;
}

int spec_scan(const char *json, size_t len, struct coffer_error *err)
{
	struct scan s = { 0 };
	size_t i, step;

	if (len > OCI_JSON_MAX)
		return err_invalid(err, "config: %zu bytes, the limit is %zu", len, OCI_JSON_MAX);
	for (i = 0; i < len; i += step) {
		step = 1;
		if (json[i] == '\0')
			return err_invalid(err, "config: NUL byte at offset %zu", i);
		if (!s.in_string) {
			if (strchr(SCAN_ALPHABET, json[i]) == NULL)
				return err_invalid(err, "config: JSON at offset %zu: unexpected character",
						   i);
			scan_structure(&s, json[i]);
		} else if (json[i] == '"') {
			s.in_string = false;
		} else if ((unsigned char)json[i] < 0x20) {
			return err_invalid(err, "config: control character in a string at offset %zu",
					   i);
		} else if (json[i] == '\\') {
			step = scan_escape(json + i, len - i);
			if (step == 0)
				return err_invalid(err, "config: escaped NUL at offset %zu", i);
		}
	}
	return scan_limits(&s, err);
}

/* utf8_sequence() - Length of the sequence at @p (terminated text), 0 when it is not one */
static size_t utf8_sequence(const unsigned char *p)
{
	/* Ranges of the second byte rule out overlong forms, surrogates and what is past the end. */
	static const struct {
		unsigned char first, last, low, high, more;
	} forms[] = {
		{ 0x00, 0x7f, 0, 0, 0 },       { 0xc2, 0xdf, 0x80, 0xbf, 1 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 2 }, { 0xe1, 0xec, 0x80, 0xbf, 2 },
		{ 0xed, 0xed, 0x80, 0x9f, 2 }, { 0xee, 0xef, 0x80, 0xbf, 2 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 3 }, { 0xf1, 0xf3, 0x80, 0xbf, 3 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 3 },
	};
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		if (p[0] < forms[i].first || p[0] > forms[i].last)
			continue;
		if (forms[i].more > 0 && (p[1] < forms[i].low || p[1] > forms[i].high))
			return 0;
		for (k = 2; k <= forms[i].more; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return (size_t)forms[i].more + 1;
	}
	return 0;
}

bool spec_utf8_valid(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	while (*p != '\0') {
		size_t n = utf8_sequence(p);

		if (n == 0)
			return false;
		p += n;
	}
	return true;
}
