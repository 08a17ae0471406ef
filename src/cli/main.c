/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/main.c - the program people type: global options, configuration, verbs
 *
 * A verb is one pointer here and one file; options before the verb are the
 * program's, those after it the verb's.  No logic lives here that a user of
 * libcoffer would miss.
 */
#include "cli/cli.h"

#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/tty.h"
#include "coffer/coffer.h"

struct cli_globals {
	bool help;
	bool version;
	bool debug;
	const char *log_level;
	const char *log_format;
};

static const char *const cli_levels[] = { "error", "warning", "info", "debug", NULL };
static const char *const cli_formats[] = { "text", "json", NULL };

#define FIELD(member) offsetof(struct cli_globals, member)
static const struct opt_row cli_global_rows[] = {
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
	{ "version", 'v', OPT_FLAG, FIELD(version), NULL, "Show the version" },
	{ "debug", 'D', OPT_FLAG, FIELD(debug), NULL, "Same as --log-level debug" },
	{ "log-level", 0, OPT_WORD, FIELD(log_level), "LEVEL",
	  "Log to stderr (default: nothing): error, warning, info or debug", .words = cli_levels },
	{ "log-format", 0, OPT_WORD, FIELD(log_format), "FORMAT", "text (default) or json",
	  .words = cli_formats },
};

static const struct cli_verb *const cli_verbs[] = {
	&cli_verb_run,	   &cli_verb_exec,    &cli_verb_ps,   &cli_verb_logs,
	&cli_verb_inspect, &cli_verb_stats,   &cli_verb_wait, &cli_verb_kill,
	&cli_verb_stop,	   &cli_verb_pause,   &cli_verb_unpause, &cli_verb_rm,
	&cli_verb_cp,	   &cli_verb_port_forward, &cli_verb_analyze, &cli_verb_pull,
	&cli_verb_push,	   &cli_verb_images,  &cli_verb_rmi,  &cli_verb_tag,
	&cli_verb_untag,   &cli_verb_history, &cli_verb_image, &cli_verb_save,
	&cli_verb_load,	   &cli_verb_import,  &cli_verb_export, &cli_verb_commit,
	&cli_verb_bundle,  &cli_verb_login,   &cli_verb_logout,
};

void cli_put(const char *text, FILE *out)
{
	for (const char *p = text; *p; p++) {
		size_t n = tty_control(p);

		if (n == 0)
			fputc(*p, out);
		for (; n > 0; n--, p += n > 0)
			fprintf(out, "\\x%02x", (unsigned char)*p);
	}
}

int cli_fail(const struct coffer_error *err)
{
	fputs("coffer: ", stderr);
	/* Names and console lines in it are foreign bytes. */
	cli_put(err->message, stderr);
	fputc('\n', stderr);
	return CLI_EXIT_ERROR;
}

void cli_verb_help(const struct cli_verb *verb, FILE *out)
{
	fprintf(out, "Usage: coffer %s %s\n\n%s.\n\nOptions:\n", verb->name, verb->usage,
		verb->help);
	opt_print(verb->rows, verb->nrows, out);
}

int cli_options(const struct cli_verb *verb, unsigned how, int argc, char *argv[], void *opts,
		const bool *help, int min, int max, int *rest)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = opt_parse(verb->rows, verb->nrows, how, argc, argv, opts, rest, &err);

	if (r == 0 && *help) {
		cli_verb_help(verb, stdout);
		return CLI_EXIT_OK;
	}
	if (r == 0 && argc - *rest < min)
		r = err_invalid(&err, "missing argument, usage: coffer %s %s", verb->name,
				verb->usage);
	if (r == 0 && argc - *rest > max)
		r = err_invalid(&err, "%s: one argument too many", argv[*rest + max]);
	if (r == 0)
		return -1;
	err_wrap(&err, "%s", verb->name);
	return cli_fail(&err);
}

static void cli_help(FILE *out)
{
	fputs("Usage: coffer [OPTION...] COMMAND [ARG...]\n\n"
	      "Containers, each in a small virtual machine of its own.\n\nCommands:\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(cli_verbs); i++)
		fprintf(out, "  %-26s %s\n", cli_verbs[i]->name, cli_verbs[i]->help);
	fputs("\nOptions:\n", out);
	opt_print(cli_global_rows, ARRAY_SIZE(cli_global_rows), out);
	fputs("\n\"coffer COMMAND --help\" tells a command's options.\n", out);
}

static const struct cli_verb *cli_find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(cli_verbs); i++)
		if (strcmp(cli_verbs[i]->name, name) == 0)
			return cli_verbs[i];
	return NULL;
}

static int cli_start_log(const struct cli_globals *opts, const struct cli_config *config,
			 struct coffer_error *err)
{
	const char *level = opts->log_level ? opts->log_level : config->log_level;
	const char *format = opts->log_format ? opts->log_format : config->log_format;
	int r;

	/* An error is told in one line of our own; more only for those who ask. */
	if (!level && !format && !opts->debug)
		return 0;
	level = opts->debug ? "debug" : level ? level : "warning";
	format = format ? format : "text";
	r = coffer_log_to_fd(STDERR_FILENO, format, err);
	if (r == 0)
		r = coffer_log_set_level(level, err);
	if (r < 0)
		return r;
	/* The library keeps its own; these are for the lines of this program. */
	log_to_fd(STDERR_FILENO, strcmp(format, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
	log_set_level((enum log_level)log_level_parse(level));
	return 0;
}

int cli_main(int argc, char *argv[])
{
	autoconfig struct cli_config config = { 0 };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct cli_globals opts = { 0 };
	struct cli cli = { .started = clock_now() };
	const struct cli_verb *verb;
	int rest;

	io_open_standard();
	if (opt_parse(cli_global_rows, ARRAY_SIZE(cli_global_rows), 0, argc, argv, &opts, &rest,
		      &err) < 0)
		return cli_fail(&err);
	if (opts.version) {
		printf("coffer %s\n", coffer_version());
		return CLI_EXIT_OK;
	}
	if (opts.help || rest == argc) {
		cli_help(stdout);
		return CLI_EXIT_OK;
	}
	verb = cli_find_verb(argv[rest]);
	if (!verb) {
		err_invalid(&err, "unknown command %s (see coffer --help)", argv[rest]);
		return cli_fail(&err);
	}
	if (cli_config_load(&config, &err) < 0 || cli_start_log(&opts, &config, &err) < 0)
		return cli_fail(&err);
	cli.config = config;
	return verb->fn(&cli, verb, argc - rest, argv + rest);
}
