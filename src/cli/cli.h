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
	CLI_EXIT_FAILED = 1,           /* a command other than run and exec could not do it */
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

/**
 * cli_options() - A verb's command line
 * @how:	OPT_ANYWHERE or 0
 * @min, @max:	Of the words after the options
 * @rest:	Set to the index of the first of them
 *
 * Help and mistakes are dealt with here.
 *
 * Return: -1 to go on, else the verb's exit code
 */
int cli_options(const struct cli_verb *verb, unsigned how, int argc, char *argv[], void *opts,
		const bool *help, int min, int max, int *rest);

/* cli_main() - The whole program. Return: exit code */
int cli_main(int argc, char *argv[]);

/* cli_fail() - "coffer: <message>" on stderr, one line, control bytes escaped. Return: 125 */
int cli_fail(const struct coffer_error *err);

/* cli_put() - A text whose control bytes would steer a terminal, with them as \xNN */
void cli_put(const char *text, FILE *out);

/* cli_verb_help() - Usage and options of one verb */
void cli_verb_help(const struct cli_verb *verb, FILE *out);

/* Each in its own file, but for verbs that are each other's reverse. */
extern const struct cli_verb cli_verb_analyze;
extern const struct cli_verb cli_verb_bundle;
extern const struct cli_verb cli_verb_commit;
extern const struct cli_verb cli_verb_cp;
extern const struct cli_verb cli_verb_exec;
extern const struct cli_verb cli_verb_export;
extern const struct cli_verb cli_verb_history;
extern const struct cli_verb cli_verb_image;
extern const struct cli_verb cli_verb_image_inspect;
extern const struct cli_verb cli_verb_images;
extern const struct cli_verb cli_verb_import;
extern const struct cli_verb cli_verb_inspect;
extern const struct cli_verb cli_verb_kill;
extern const struct cli_verb cli_verb_load;
extern const struct cli_verb cli_verb_login;
extern const struct cli_verb cli_verb_logout;
extern const struct cli_verb cli_verb_logs;
extern const struct cli_verb cli_verb_pause;
extern const struct cli_verb cli_verb_port_forward;
extern const struct cli_verb cli_verb_ps;
extern const struct cli_verb cli_verb_pull;
extern const struct cli_verb cli_verb_push;
extern const struct cli_verb cli_verb_rm;
extern const struct cli_verb cli_verb_rmi;
extern const struct cli_verb cli_verb_run;
extern const struct cli_verb cli_verb_save;
extern const struct cli_verb cli_verb_stats;
extern const struct cli_verb cli_verb_stop;
extern const struct cli_verb cli_verb_tag;
extern const struct cli_verb cli_verb_unpause;
extern const struct cli_verb cli_verb_untag;
extern const struct cli_verb cli_verb_wait;

#endif /* CLI_CLI_H */
