/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_systemd_variant.c - properties that a document gives by annotation
 *
 *	org.systemd.property.CollectMode: 'inactive-or-failed'
 *	org.systemd.property.TimeoutStopSec: uint64 90
 *	org.systemd.property.After: ['a.service', 'b.service']
 *
 * The value is GVariant's text form, of which this reads what properties of
 * scopes need: booleans, numbers with or without their type, strings, lists
 * of strings.  "...Sec" becomes "...USec" with microseconds, as in unit files.
 *
 * Callers: cgroup_systemd.c.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/cgroup_systemd.h"

#define SYSTEMD_ANNOTATION "org.systemd.property."
#define SYSTEMD_VALUE_MAX  4096 /* bytes of an annotation's value */
#define SYSTEMD_LIST_MAX   128

static const struct systemd_type {
	const char *word, *sig;
	bool is_signed;
	unsigned bits;
} systemd_types[] = {
	{ "byte", "y", false, 8 },    { "int16", "n", true, 16 },   { "uint16", "q", false, 16 },
	{ "int32", "i", true, 32 },   { "uint32", "u", false, 32 }, { "int64", "x", true, 64 },
	{ "uint64", "t", false, 64 }, { "double", "d", true, 0 },
};

static const char *systemd_skip(const char *at)
{
	return at + strspn(at, " \t\n");
}

static const struct systemd_type *systemd_type_find(const char **at)
{
	for (size_t i = 0; i < ARRAY_SIZE(systemd_types); i++) {
		const struct systemd_type *t = &systemd_types[i];
		size_t n = strlen(t->word);

		if (strncmp(*at, t->word, n) == 0 && strchr(" \t\n", (*at)[n]) && (*at)[n]) {
			*at = systemd_skip(*at + n);
			return t;
		}
		if ((*at)[0] == '@' && (*at)[1] == t->sig[0] && (*at)[2] == ' ') {
			*at = systemd_skip(*at + 2);
			return t;
		}
	}
	return NULL;
}

static bool systemd_number_fits(const struct systemd_type *t, bool negative, uint64_t n)
{
	uint64_t max = UINT64_MAX >> (64 - t->bits);

	if (!t->is_signed)
		return !negative && n <= max;
	return n <= (max >> 1) + negative;
}

static int systemd_number_parse(const char **at, const struct systemd_type *t,
				struct systemd_prop *out)
{
	bool negative = **at == '-';
	const char *digits = *at + (negative || **at == '+');
	char *end;

	out->sig = t->sig;
	if (!isdigit((unsigned char)*digits))
		return -EINVAL;
	errno = 0;
	if (t->bits == 0) {
		out->d = strtod(*at, &end);
	} else {
		out->n = strtoull(digits, &end, 0);
		if (errno || !systemd_number_fits(t, negative, out->n))
			return -EINVAL;
		out->n = negative ? -out->n : out->n;
	}
	*at = end;
	return errno ? -EINVAL : 0;
}

/* A quoted string. Return: malloc'd, or NULL */
static char *systemd_string_parse(const char **at)
{
	char quote = **at;
	const char *p = *at + 1;
	char *out;
	size_t n = 0;

	if (quote != '\'' && quote != '"')
		return NULL;
	out = malloc(strlen(p) + 1);
	if (!out)
		return NULL;
	for (; *p && *p != quote; p++) {
		if (*p == '\\' && !strchr("\\'\"", *++p))
			break;
		if (!*p)
			break;
		out[n++] = *p;
	}
	if (*p != quote) {
		free(out);
		return NULL;
	}
	out[n] = '\0';
	*at = p + 1;
	return out;
}

static int systemd_list_parse(const char **at, struct systemd_prop *out)
{
	size_t n = 0;

	out->sig = "as";
	out->strv = calloc(SYSTEMD_LIST_MAX + 1, sizeof(*out->strv));
	if (!out->strv)
		return -ENOMEM;
	*at = systemd_skip(*at + 1);
	while (**at != ']') {
		if (n == SYSTEMD_LIST_MAX)
			return -E2BIG;
		out->strv[n] = systemd_string_parse(at);
		if (!out->strv[n++])
			return -EINVAL;
		*at = systemd_skip(*at);
		if (**at == ',')
			*at = systemd_skip(*at + 1);
		else if (**at != ']')
			return -EINVAL;
	}
	(*at)++;
	return 0;
}

static int systemd_value_parse(const char **at, struct systemd_prop *out)
{
	const struct systemd_type *type = systemd_type_find(at);
	static const struct systemd_type whole = { "", "i", true, 32 }, real = { "", "d", true, 0 };

	if (type)
		return systemd_number_parse(at, type, out);
	if (strncmp(*at, "@as ", 4) == 0)
		*at = systemd_skip(*at + 3);
	if (**at == '[')
		return systemd_list_parse(at, out);
	if (**at == '\'' || **at == '"') {
		out->sig = "s";
		out->strv = calloc(2, sizeof(*out->strv));
		if (!out->strv)
			return -ENOMEM;
		out->strv[0] = systemd_string_parse(at);
		return out->strv[0] ? 0 : -EINVAL;
	}
	for (int v = 0; v < 2; v++) {
		const char *word = v ? "true" : "false";

		if (strncmp(*at, word, strlen(word)) == 0) {
			*at += strlen(word);
			out->sig = "b";
			out->n = (uint64_t)v;
			return 0;
		}
	}
	return systemd_number_parse(at, strpbrk(*at, ".eE") && !strpbrk(*at, "xX") ? &real : &whole,
				    out);
}

int systemd_variant_parse(const char *text, struct systemd_prop *out, struct coffer_error *err)
{
	const char *at = systemd_skip(text);
	int r;

	if (strlen(text) > SYSTEMD_VALUE_MAX)
		return err_invalid(err, "value of %zu bytes", strlen(text));
	r = systemd_value_parse(&at, out);
	if (r == 0 && *systemd_skip(at))
		r = -EINVAL;
	if (r == -ENOMEM)
		return err_nomem(err);
	return r < 0 ? err_invalid(err, "\"%s\" is no boolean, number, string or list of strings",
				   text)
		     : 0;
}

static bool systemd_property_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return n >= 3 && !name[n] && isupper((unsigned char)name[0]) &&
	       n < sizeof(((struct systemd_prop *)NULL)->name) - 1;
}

/* "TimeoutStopSec" to "TimeoutStopUSec"; "TimeoutStopUSec" is what it is already. */
static int systemd_seconds(struct systemd_prop *p, struct coffer_error *err)
{
	size_t n = strlen(p->name);
	char kind = p->sig[0];

	if (n < 4 || strcmp(p->name + n - 3, "Sec") != 0 || !islower((unsigned char)p->name[n - 4]))
		return 0;
	if (kind == 'd' && isfinite(p->d) && p->d >= 0 && p->d < 1e12)
		p->n = (uint64_t)(p->d * (double)USEC_PER_SEC);
	else if (strchr("ynqiuxt", kind) && p->n <= UINT64_MAX / USEC_PER_SEC)
		p->n *= USEC_PER_SEC;
	else
		return err_invalid(err, "seconds are a number");
	p->sig = "t";
	snprintf(p->name + n - 3, sizeof(p->name) - n + 3, "USec");
	return 0;
}

int systemd_props_annotations(const struct oci_pairs *annotations, struct systemd_props *props,
			      struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < annotations->n; i++) {
		const struct oci_pair *pair = &annotations->v[i];
		const char *name = pair->key + strlen(SYSTEMD_ANNOTATION);
		struct systemd_prop *p;

		if (strncmp(pair->key, SYSTEMD_ANNOTATION, strlen(SYSTEMD_ANNOTATION)) != 0)
			continue;
		if (!systemd_property_name(name))
			return err_invalid(err, "annotations: %s names no property", pair->key);
		p = systemd_props_add(props, name, "b");
		if (!p)
			return err_nomem(err);
		r = systemd_variant_parse(pair->value, p, err);
		if (r == 0)
			r = systemd_seconds(p, err);
		if (r < 0)
			err_wrap(err, "annotations: %s", pair->key);
	}
	return r;
}
