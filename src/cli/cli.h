/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/cli.h - what the program hands to its verbs
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/config.h"
#include "base/options.h"

/* Exit codes of our own; everything else is the program's. */
enum cli_exit {
	CLI_EXIT_OK = 0,
	CLI_EXIT_ERROR = 125,          /* coffer itself failed */
	CLI_EXIT_NOT_EXECUTABLE = 126, /* the program is there but cannot be run */
	CLI_EXIT_NOT_FOUND = 127,      /* there is no such program */
	CLI_EXIT_SIGNAL = 128,         /* plus the signal's number */
};

struct cli {
	struct cli_config config; /* from the files, command line applied over it by the verbs */
	uint64_t started;         /* CLOCK_MONOTONIC of main(), microseconds */
};

/* A row of the verb table, which stands in the verb's file. argv[0] is the verb. */
struct cli_verb {
	const char *name;
	int (*fn)(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[]);
	const char *usage; /* what follows the verb */
	const char *help;  /* one line */
	const struct opt_row *rows;
	size_t nrows;
};

/* cli_main() - The whole program. Return: exit code */
int cli_main(int argc, char *argv[]);

/* cli_fail() - "coffer: <message>" on stderr, one line, control bytes escaped. Return: 125 */
int cli_fail(const struct coffer_error *err);

/* cli_verb_help() - Usage and options of one verb */
void cli_verb_help(const struct cli_verb *verb, FILE *out);

/* Each in its own file. */
extern const struct cli_verb cli_verb_run;

#endif /* CLI_CLI_H */
