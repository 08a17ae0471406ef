/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/wait.c - coffer wait: until containers have ended, and with which codes
 */
#include "cli/doc.h"
#include "cli/target.h"

#include <limits.h>

struct wait_opts {
	bool help;
};

#define FIELD(member) offsetof(struct wait_opts, member)
static const struct opt_row wait_rows[] = {
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

/* One that has ended before is told of by its record. */
static int wait_record(const struct cli *cli, const char *id, int *code, struct coffer_error *err)
{
	autojson struct json_object *doc = NULL;
	int r = doc_load(cli, id, &doc, err);

	if (r == 0)
		*code = (int)doc_number(doc, "State", "ExitCode");
	return r;
}

static int wait_one(const struct cli *cli, const char *name, int *code, struct coffer_error *err)
{
	autocontainer struct coffer_container *c = NULL;
	char id[COFFER_ID_MAX + 1];
	struct coffer_exit end;
	int r;

	r = target_find(cli, name, id, err);
	if (r < 0)
		return r;
	r = coffer_container_open(target_run_dir(cli), id, &c, err);
	if (r == 0)
		r = coffer_process_wait(coffer_container_process(c), COFFER_FOREVER, &end, err);
	if (r == 0) {
		*code = end.code;
		return 0;
	}
	return err->kind == COFFER_ERR_INTERRUPTED ? wait_record(cli, id, code, err) : r;
}

static int cli_wait(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct wait_opts opts = { 0 };
	int rest, code, result = CLI_EXIT_OK;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, INT_MAX, &rest);
	if (code >= 0)
		return code;
	for (int i = rest; i < argc; i++) {
		struct coffer_error err = COFFER_ERROR_INIT;

		if (wait_one(cli, argv[i], &code, &err) < 0) {
			cli_fail(&err);
			result = CLI_EXIT_FAILED;
			continue;
		}
		printf("%d\n", code);
		fflush(stdout);
	}
	return result;
}

const struct cli_verb cli_verb_wait = {
	.name = "wait",
	.fn = cli_wait,
	.usage = "CONTAINER...",
	.help = "Wait until containers have ended; print their exit codes",
	.rows = wait_rows,
	.nrows = ARRAY_SIZE(wait_rows),
};
