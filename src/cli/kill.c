/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/kill.c - coffer kill: a signal to containers' first processes
 */
#include "cli/target.h"

#include <limits.h>

struct kill_opts {
	bool help, all;
	const char *signal;
};

#define FIELD(member) offsetof(struct kill_opts, member)
static const struct opt_row kill_rows[] = {
	{ "signal", 's', OPT_STRING, FIELD(signal), "SIGNAL", "Name or number (default: KILL)" },
	{ "all", 'a', OPT_FLAG, FIELD(all), NULL, "To every process of the container" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

struct kill_how {
	int sig;
	bool all;
};

static int kill_one(const struct cli *cli, const char *id, void *data, struct coffer_error *err)
{
	autocontainer struct coffer_container *c = NULL;
	const struct kill_how *how = data;
	int r = target_open(cli, id, &c, err);

	if (r < 0)
		return r;
	if (how->all)
		return coffer_container_kill_all(c, how->sig, err);
	return coffer_process_kill(coffer_container_process(c), how->sig, err);
}

static int cli_kill(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct kill_opts opts = { .signal = "KILL" };
	struct kill_how how;
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, INT_MAX, &rest);
	if (code >= 0)
		return code;
	how = (struct kill_how){ .sig = coffer_signal_parse(opts.signal, &err), .all = opts.all };
	if (how.sig < 0) {
		err_wrap(&err, "kill: option --signal");
		return cli_fail(&err);
	}
	return target_each(cli, argc - rest, argv + rest, kill_one, &how);
}

const struct cli_verb cli_verb_kill = {
	.name = "kill",
	.fn = cli_kill,
	.usage = "[OPTION...] CONTAINER...",
	.help = "Send a signal to containers",
	.rows = kill_rows,
	.nrows = ARRAY_SIZE(kill_rows),
};
