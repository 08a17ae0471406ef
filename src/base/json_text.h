/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/json_text.h - JSON as foreign text, before there is a tree of it
 */
#ifndef BASE_JSON_TEXT_H
#define BASE_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/**
 * json_text_check() - Refuse what the JSON reader would let through or choke on
 * @what:	The document, for the error
 *
 * NUL bytes (raw or as an escape), control characters in strings, what is not
 * UTF-8 or not JSON's alphabet, integers past 64 bits, and more values than a
 * document of any sense has: a few bytes of text become hundreds in memory.
 * Its size is for the caller to bound.
 */
int json_text_check(const char *what, const char *json, size_t len, struct coffer_error *err);

/* json_text_fail() - "@what: JSON at offset N: @why, in a.b[0]". Return: -EINVAL */
int json_text_fail(const char *what, const char *json, size_t offset, const char *why,
		   struct coffer_error *err);

/* json_text_is_utf8() - @s is UTF-8: shortest form, no surrogates, at most U+10FFFF */
bool json_text_is_utf8(const char *s);

#define JSON_QUOTE_MAX 96

/* json_text_quote() - @s made printable and short into @buf. Return: @buf */
const char *json_text_quote(char buf[static JSON_QUOTE_MAX], const char *s);

#endif /* BASE_JSON_TEXT_H */
