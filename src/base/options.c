/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/options.c - command line options as data
 *
 * getopt_long() does the splitting; its tables are made from the rows.  Its own messages are off:
 * every complaint comes back as an error object.  Used by the programs with verbs.
 */
#include "base/options.h"

#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define OPT_ROWS_MAX 64
#define OPT_LONG     256 /* a long option is this plus its row, a short one its letter */

void opt_list_free(struct opt_list *list)
{
	free(list->v);
	*list = (struct opt_list){ 0 };
}

static int opt_list_add(struct opt_list *list, const char *value)
{
	const char **v;

	if (list->n >= OPT_LIST_MAX)
		return -E2BIG;
	v = realloc(list->v, (list->n + 2) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	v[list->n++] = value;
	v[list->n] = NULL;
	list->v = v;
	return 0;
}

/* The power of 1024 that a unit stands for, or -1. "k", "kb" and "kib" are the same. */
static int opt_unit_shift(const char *unit)
{
	static const char letters[] = "kmgt";
	const char *p;

	if (*unit == '\0' || strcasecmp(unit, "b") == 0)
		return 0;
	p = strchr(letters, tolower((unsigned char)*unit));
	if (!p)
		return -1;
	unit++;
	if (*unit && strcasecmp(unit, "b") != 0 && strcasecmp(unit, "ib") != 0)
		return -1;
	return (int)(p - letters + 1) * 10;
}

int opt_parse_size(const char *text, uint64_t *bytes)
{
	uint64_t whole = 0, frac = 0, scale = 1;
	const char *p = text;
	int shift;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
			return -EINVAL;
	if (*p == '.') {
		if (!isdigit((unsigned char)*++p))
			return -EINVAL;
		/* Six digits are finer than any unit's use; later ones are only checked. */
		for (; isdigit((unsigned char)*p); p++) {
			if (scale < 1000000) {
				frac = frac * 10 + (uint64_t)(*p - '0');
				scale *= 10;
			}
		}
	}
	shift = opt_unit_shift(p);
	if (shift < 0 || whole > UINT64_MAX >> shift >> 1)
		return -EINVAL;
	*bytes = (whole << shift) + (frac << shift) / scale;
	return 0;
}

static int opt_bad(struct coffer_error *err, const struct opt_row *row, const char *value,
		   const char *why)
{
	return err_invalid(err, "option --%s: %s: %s", row->name, value, why);
}

static int opt_set_count(const struct opt_row *row, const char *value, unsigned *dst,
			 struct coffer_error *err)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || errno || n > UINT_MAX)
		return opt_bad(err, row, value, "not a number");
	if (n < row->min || n > row->max)
		return err_invalid(err, "option --%s: %s: must be %llu to %llu", row->name, value,
				   (unsigned long long)row->min, (unsigned long long)row->max);
	*dst = (unsigned)n;
	return 0;
}

static int opt_set_size(const struct opt_row *row, const char *value, uint64_t *dst,
			struct coffer_error *err)
{
	uint64_t n;

	if (opt_parse_size(value, &n) < 0)
		return opt_bad(err, row, value, "not a size (such as 256M or 1g)");
	if (n < row->min || n > row->max)
		return err_invalid(err, "option --%s: %s: must be %lluM to %lluM", row->name, value,
				   (unsigned long long)row->min >> 20,
				   (unsigned long long)row->max >> 20);
	*dst = n;
	return 0;
}

static int opt_set_word(const struct opt_row *row, const char *value, const char **dst,
			struct coffer_error *err)
{
	char known[256] = "";

	for (const char *const *w = row->words; *w; w++) {
		if (strcmp(*w, value) == 0) {
			*dst = value;
			return 0;
		}
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
			 *known ? ", " : "", *w);
	}
	return err_invalid(err, "option --%s: %s: must be one of %s", row->name, value, known);
}

static int opt_set_flag(const struct opt_row *row, const char *value, bool *dst,
			struct coffer_error *err)
{
	*dst = !value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
	if (*dst || strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
		return 0;
	return opt_bad(err, row, value, "not true or false");
}

static int opt_set(const struct opt_row *row, const char *value, void *dst,
		   struct coffer_error *err)
{
	void *field = (char *)dst + row->offset;
	int r;

	switch (row->type) {
	case OPT_FLAG:
		return opt_set_flag(row, value, field, err);
	case OPT_STRING:
		*(const char **)field = value;
		return 0;
	case OPT_LIST:
		r = opt_list_add(field, value);
		return r < 0 ? err_sysn(err, r, "option --%s", row->name) : 0;
	case OPT_COUNT:
		return opt_set_count(row, value, field, err);
	case OPT_SIZE:
		return opt_set_size(row, value, field, err);
	case OPT_WORD:
		return opt_set_word(row, value, field, err);
	default:
		return err_internal(err, "option --%s has no type", row->name);
	}
}

struct opt_tables {
	struct option longs[OPT_ROWS_MAX + 1];
	char shorts[2 + OPT_ROWS_MAX * 2 + 1];
};

/* "+" stops at the first other word, ":" tells a missing argument from an unknown option. */
static void opt_make_tables(const struct opt_row *rows, size_t nrows, unsigned how,
			    struct opt_tables *t)
{
	char *s = t->shorts;

	if (!(how & OPT_ANYWHERE))
		*s++ = '+';
	*s++ = ':';
	for (size_t i = 0; i < nrows && i < OPT_ROWS_MAX; i++) {
		int has_arg = rows[i].type == OPT_FLAG ? optional_argument : required_argument;

		t->longs[i] = (struct option){ .name = rows[i].name,
					       .has_arg = has_arg,
					       .val = OPT_LONG + (int)i };
		if (!rows[i].letter)
			continue;
		*s++ = rows[i].letter;
		if (has_arg == required_argument)
			*s++ = ':';
	}
	*s = '\0';
}

static const struct opt_row *opt_by_code(const struct opt_row *rows, size_t nrows, int code)
{
	if (code >= OPT_LONG)
		return &rows[code - OPT_LONG];
	for (size_t i = 0; i < nrows; i++)
		if (rows[i].letter && rows[i].letter == code)
			return &rows[i];
	return NULL;
}

/* getopt leaves the culprit's code in optopt, 0 for an unknown long one. */
static int opt_complain(int code, char *const argv[], struct coffer_error *err)
{
	const char *word = argv[optind - 1];

	if (code == ':')
		return err_invalid(err, "option %s needs an argument", word);
	if (optopt && word[1] != '-')
		return err_invalid(err, "unknown option -%c", optopt);
	return err_invalid(err, "unknown option %s", word);
}

int opt_parse(const struct opt_row *rows, size_t nrows, unsigned how, int argc, char *const argv[],
	      void *dst, int *rest, struct coffer_error *err)
{
	int (*get)(int, char *const[], const char *, const struct option *, int *) =
	    how & OPT_ONE_DASH ? getopt_long_only : getopt_long;
	struct opt_tables tables = { 0 };
	int c, r;

	opt_make_tables(rows, nrows, how, &tables);
	opterr = 0;
	optind = 0; /* glibc: start afresh, also with another table */
	while ((c = get(argc, argv, tables.shorts, tables.longs, NULL)) != -1) {
		const struct opt_row *row;

		if (c == '?' || c == ':')
			return opt_complain(c, argv, err);
		row = opt_by_code(rows, nrows, c);
		if (!row)
			return err_invalid(err, "unknown option -%c", c);
		r = opt_set(row, optarg, dst, err);
		if (r < 0)
			return r;
	}
	*rest = optind;
	return 0;
}

void opt_print(const struct opt_row *rows, size_t nrows, FILE *out)
{
	for (size_t i = 0; i < nrows; i++) {
		char left[64], letter[5] = "    ";

		if (rows[i].letter)
			snprintf(letter, sizeof(letter), "-%c, ", rows[i].letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, rows[i].name,
			 rows[i].arg ? " " : "", rows[i].arg ? rows[i].arg : "");
		fprintf(out, "  %-26s %s\n", left, rows[i].help);
	}
}
