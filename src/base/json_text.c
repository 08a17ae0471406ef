/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/json_text.c - limits on the text before the JSON reader sees it
 *
 * json-c builds a tree of everything, known members or not, and an empty
 * object of two bytes costs it some 700; so values are counted here first,
 * roughly (commas and brackets outside strings).  NULs are refused because
 * they would cut keys and values short, numbers past 64 bits because they
 * would be rounded, overlong UTF-8 because its own check lets that pass.
 * Grammar beyond that is the reader's business.
 */
#include "base/json_text.h"

#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"

/* 65536 empty objects are about 45 MiB of tree. */
#define SCAN_CONTAINERS_MAX 65536
#define SCAN_VALUES_MAX	    262144

/* All of JSON outside strings.  The reader would take more, strict or not: NaN, Infinity,
 * and single quotes, which would also hide a string from this scan. */
#define SCAN_ALPHABET "{}[],:\" \t\r\n+-.0123456789Eaeflnrstu"

struct scan {
	bool in_string;
	size_t containers;
	size_t values;
};

/* scan_utf8() - Length of the sequence at @s of @left bytes, 0 when it is not one */
static size_t scan_utf8(const char *s, size_t left)
{
	/* The second byte's range rules out overlong forms, surrogates and what is past the end. */
	static const struct {
		unsigned char first, last, low, high, size;
	} forms[] = {
		{ 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	const unsigned char *p = (const unsigned char *)s;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(forms); i++)
		if (p[0] >= forms[i].first && p[0] <= forms[i].last)
			break;
	if (i == ARRAY_SIZE(forms) || forms[i].size > left)
		return 0;
	if (forms[i].size > 1 && (p[1] < forms[i].low || p[1] > forms[i].high))
		return 0;
	for (k = 2; k < forms[i].size; k++)
		if ((p[k] & 0xc0) != 0x80)
			return 0;
	return forms[i].size;
}

bool json_text_is_utf8(const char *s)
{
	size_t left = strlen(s), n;

	for (; left > 0; s += n, left -= n) {
		n = scan_utf8(s, left);
		if (n == 0)
			return false;
	}
	return true;
}

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

/**
 * scan_number() - Refuse an integer that does not fit 64 bits
 * @p:		Its first digit
 * @left:	Bytes from there to the end
 * @negative:	A minus stands before it
 *
 * The reader would round it to the nearest that fits.  Fractions are refused
 * later, where an integer is wanted.
 *
 * Return: its digits, 0 when it does not fit
 */
static size_t scan_number(const char *p, size_t left, bool negative)
{
	const char *max = negative ? "9223372036854775808" : "18446744073709551615";
	size_t n = 0, most = strlen(max);

	while (n < left && p[n] >= '0' && p[n] <= '9')
		n++;
	if (n < left && strchr(".eE", p[n]) != NULL)
		return n;
	return n > most || (n == most && memcmp(p, max, n) > 0) ? 0 : n;
}

static int scan_limits(const char *what, const struct scan *s, struct coffer_error *err)
{
	if (s->containers > SCAN_CONTAINERS_MAX)
		return err_invalid(err, "%s: more than %d objects and arrays", what,
				   SCAN_CONTAINERS_MAX);
	if (s->values > SCAN_VALUES_MAX)
		return err_invalid(err, "%s: more than %d values", what, SCAN_VALUES_MAX);
	return 0;
}

/* scan_token() - The byte at @i, outside strings. Return: bytes to skip, 0 with *@why set */
static size_t scan_token(struct scan *s, const char *json, size_t i, size_t len, const char **why)
{
	size_t step = 1;

	*why = "unexpected character";
	if (json[i] == '\0' || strchr(SCAN_ALPHABET, json[i]) == NULL)
		return 0;
	if (json[i] >= '0' && json[i] <= '9') {
		*why = "number does not fit 64 bits";
		step = scan_number(json + i, len - i, i > 0 && json[i - 1] == '-');
	}
	scan_structure(s, json[i]);
	return step;
}

/* scan_text() - The same inside a string */
static size_t scan_text(struct scan *s, const char *json, size_t i, size_t len, const char **why)
{
	if (json[i] == '\\') {
		*why = "escaped NUL";
		return scan_escape(json + i, len - i);
	}
	if ((unsigned char)json[i] < 0x20) {
		*why = "control character in a string";
		return 0;
	}
	if (json[i] == '"')
		s->in_string = false;
	*why = "not UTF-8";
	return scan_utf8(json + i, len - i);
}

int json_text_check(const char *what, const char *json, size_t len, struct coffer_error *err)
{
	struct scan s = { 0 };
	const char *why = NULL;
	size_t i, step;

	for (i = 0; i < len; i += step) {
		step = s.in_string ? scan_text(&s, json, i, len, &why)
				   : scan_token(&s, json, i, len, &why);
		if (step == 0)
			return json_text_fail(what, json, i, why, err);
	}
	return scan_limits(what, &s, err);
}

const char *json_text_quote(char buf[static JSON_QUOTE_MAX], const char *s)
{
	size_t n = 0;

	for (; *s != '\0' && n < JSON_QUOTE_MAX - 4; s++)
		buf[n++] = isprint((unsigned char)*s) && *s != '"' ? *s : '?';
	if (*s != '\0') {
		memcpy(buf + n, "...", 3);
		n += 3;
	}
	buf[n] = '\0';
	return buf;
}
