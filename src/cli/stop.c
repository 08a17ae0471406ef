/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/stop.c - coffer stop: ask containers to end, then end them
 */
#include "cli/doc.h"
#include "cli/target.h"

#include <limits.h>

#include "base/clock.h"

struct stop_opts {
	bool help;
	const char *time;
};

#define FIELD(member) offsetof(struct stop_opts, member)
static const struct opt_row stop_rows[] = {
	{ "time", 't', OPT_STRING, FIELD(time), "SECONDS",
	  "To wait before killing; -1: for ever (default: the container's, else 10)" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static int stop_parse(const char *text, long *seconds, struct coffer_error *err)
{
	char *end;

	errno = 0;
	*seconds = strtol(text, &end, 10);
	if (!*text || *end || errno || *seconds < -1 || *seconds > INT_MAX)
		return err_invalid(err, "stop: option --time: %s: not a number of seconds", text);
	return 0;
}

/* Return: microseconds to wait */
static int stop_grace(const struct cli *cli, const char *id, const long *given, uint64_t *grace,
		      struct coffer_error *err)
{
	autojson struct json_object *doc = NULL;
	int r;

	if (given) {
		*grace = *given < 0 ? COFFER_FOREVER : (uint64_t)*given * USEC_PER_SEC;
		return 0;
	}
	r = doc_load(cli, id, &doc, err);
	if (r == 0)
		*grace = (uint64_t)doc_number(doc, "Config", "StopTimeout") * USEC_PER_SEC;
	return r;
}

static int stop_one(const struct cli *cli, const char *id, void *data, struct coffer_error *err)
{
	autocontainer struct coffer_container *c = NULL;
	uint64_t grace;
	int r;

	r = target_open(cli, id, &c, err);
	/* One that has ended is stopped. */
	if (r < 0 && err->kind == COFFER_ERR_INVALID_STATE)
		return 0;
	if (r == 0)
		r = stop_grace(cli, id, data, &grace, err);
	if (r == 0)
		r = coffer_container_stop(c, grace, err);
	/* Its owner went as soon as it had nothing left to own. */
	return r < 0 && err->kind == COFFER_ERR_INTERRUPTED ? 0 : r;
}

static int cli_stop(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct stop_opts opts = { 0 };
	int rest, code;
	long seconds;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, INT_MAX, &rest);
	if (code >= 0)
		return code;
	if (opts.time && stop_parse(opts.time, &seconds, &err) < 0)
		return cli_fail(&err);
	return target_each(cli, argc - rest, argv + rest, stop_one, opts.time ? &seconds : NULL);
}

const struct cli_verb cli_verb_stop = {
	.name = "stop",
	.fn = cli_stop,
	.usage = "[OPTION...] CONTAINER...",
	.help = "End containers: ask first, then kill",
	.rows = stop_rows,
	.nrows = ARRAY_SIZE(stop_rows),
};
