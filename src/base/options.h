/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/options.h - command line options as data
 *
 * A verb (and the program itself) describes its options in a table; the same
 * rows parse the command line and print the help, so they cannot drift apart.
 */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

/* What an option takes and the type of the field it fills. */
enum opt_type {
	OPT_FLAG,   /* nothing, or =true, =false; bool */
	OPT_STRING, /* const char *, pointing into argv; the last one wins */
	OPT_LIST,   /* struct opt_list; may be repeated */
	OPT_COUNT,  /* unsigned, @min to @max */
	OPT_SIZE,   /* uint64_t bytes: 256M, 1g, 1.5g ..., @min to @max */
	OPT_WORD,   /* const char *, one of @words */
	OPT_TYPE_COUNT,
};

#define OPT_LIST_MAX 1024

/* Zero-initialised is empty. */
struct opt_list {
	const char **v; /* NULL-terminated, NULL when empty; owned; the strings are argv's */
	size_t n;
};
void opt_list_free(struct opt_list *list);

struct opt_row {
	const char *name; /* long form, without dashes */
	char letter;      /* short form, 0 for none */
	enum opt_type type;
	size_t offset;    /* of the field in the struct that opt_parse() fills */
	const char *arg;  /* name of the argument in the help */
	const char *help;
	uint64_t min, max;        /* OPT_COUNT, OPT_SIZE */
	const char *const *words; /* OPT_WORD, NULL-terminated */
};

/* How options may be written beside "-x", "-xVALUE", "--name VALUE" and "--name=VALUE". */
#define OPT_ANYWHERE 0x01 /* also after other words, which go to the end of argv */
#define OPT_ONE_DASH 0x02 /* a long one also with one dash, as programs written in Go have it */

/**
 * opt_parse() - Read options up to the first word that is none, or "--"
 * @rows:	Table of @nrows
 * @how:	OPT_ANYWHERE, OPT_ONE_DASH or 0
 * @argc, @argv: argv[0] is the program's or verb's name
 * @dst:	Struct the rows' offsets are in
 * @rest:	Set to the index of the first word after the options
 *
 * Return: 0 or -EINVAL; the message names the option
 */
int opt_parse(const struct opt_row *rows, size_t nrows, unsigned how, int argc, char *const argv[],
	      void *dst, int *rest, struct coffer_error *err);

/* opt_print() - One line an option: "  -m, --memory SIZE   help" */
void opt_print(const struct opt_row *rows, size_t nrows, FILE *out);

/**
 * opt_parse_size() - "268435456", "256M", "1g", "1.5GiB", "64kb"; k, m, g, t are powers of 1024
 *
 * Return: 0 or -EINVAL
 */
int opt_parse_size(const char *text, uint64_t *bytes);

#endif /* BASE_OPTIONS_H */
