/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/pause.c - coffer pause, coffer unpause: machines stand still, and go on
 */
#include "cli/target.h"

#include <limits.h>

struct pause_opts {
	bool help;
};

#define FIELD(member) offsetof(struct pause_opts, member)
static const struct opt_row pause_rows[] = {
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static int pause_one(const struct cli *cli, const char *id, void *data, struct coffer_error *err)
{
	int (*const *call)(struct coffer_container *, struct coffer_error *) = data;
	autocontainer struct coffer_container *c = NULL;
	int r = target_open(cli, id, &c, err);

	return r < 0 ? r : (*call)(c, err);
}

static int pause_all(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[],
		     int (*call)(struct coffer_container *, struct coffer_error *))
{
	struct pause_opts opts = { 0 };
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, INT_MAX, &rest);
	return code >= 0 ? code : target_each(cli, argc - rest, argv + rest, pause_one, &call);
}

static int cli_pause(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	return pause_all(cli, verb, argc, argv, coffer_container_pause);
}

static int cli_unpause(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	return pause_all(cli, verb, argc, argv, coffer_container_resume);
}

const struct cli_verb cli_verb_pause = {
	.name = "pause",
	.fn = cli_pause,
	.usage = "CONTAINER...",
	.help = "Have containers' machines stand still",
	.rows = pause_rows,
	.nrows = ARRAY_SIZE(pause_rows),
};

const struct cli_verb cli_verb_unpause = {
	.name = "unpause",
	.fn = cli_unpause,
	.usage = "CONTAINER...",
	.help = "Have paused containers go on",
	.rows = pause_rows,
	.nrows = ARRAY_SIZE(pause_rows),
};
