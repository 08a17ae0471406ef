/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/rm.c - coffer rm: what is left of containers
 */
#include "cli/target.h"

#include <limits.h>

struct rm_opts {
	bool help, force;
};

#define FIELD(member) offsetof(struct rm_opts, member)
static const struct opt_row rm_rows[] = {
	{ "force", 'f', OPT_FLAG, FIELD(force), NULL, "Kill those that run" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static int rm_one(const struct cli *cli, const char *id, void *data, struct coffer_error *err)
{
	const struct rm_opts *opts = data;

	return coffer_record_remove(target_run_dir(cli), id, opts->force, err);
}

static int cli_rm(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct rm_opts opts = { 0 };
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, INT_MAX, &rest);
	if (code >= 0)
		return code;
	return target_each(cli, argc - rest, argv + rest, rm_one, &opts);
}

const struct cli_verb cli_verb_rm = {
	.name = "rm",
	.fn = cli_rm,
	.usage = "[OPTION...] CONTAINER...",
	.help = "Remove containers that have ended",
	.rows = rm_rows,
	.nrows = ARRAY_SIZE(rm_rows),
};
