/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/wait.c - coffer wait: until containers have ended, and with which codes
 */
#include "cli/doc.h"
#include "cli/target.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#define WAIT_LOOK_MS 10

struct wait_opts {
	bool help;
};

#define FIELD(member) offsetof(struct wait_opts, member)
static const struct opt_row wait_rows[] = {
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

/* One that has ended before is told of by its record. Return: 1 when it says so, 0 when its owner is
 * still at it, or an error */
static int wait_record(const struct cli *cli, const char *id, int *code, struct coffer_error *err)
{
	autojson struct json_object *doc = NULL;
	const char *status;
	int r = doc_load(cli, id, &doc, err);

	if (r < 0)
		return r;
	status = doc_text(doc, "State", "Status");
	if (doc_flag(doc, "State", "Running") || strcmp(status, "created") == 0)
		return 0;
	*code = (int)doc_number(doc, "State", "ExitCode");
	return 1;
}

static int wait_process(const struct cli *cli, const char *id, int *code, struct coffer_error *err)
{
	autocontainer struct coffer_container *c = NULL;
	struct coffer_exit end;
	int r = coffer_container_open(target_run_dir(cli), id, &c, err);

	if (r == 0)
		r = coffer_process_wait(coffer_container_process(c), COFFER_FOREVER, &end, err);
	if (r == 0)
		*code = end.code;
	return r;
}

/* An owner that makes its container, or clears it away, answers nobody, but not for long. */
static int wait_one(const struct cli *cli, const char *name, int *code, struct coffer_error *err)
{
	char id[COFFER_ID_MAX + 1];
	int r = target_find(cli, name, id, err);

	while (r == 0) {
		r = wait_process(cli, id, code, err);
		if (r == 0 || (err->kind != COFFER_ERR_INTERRUPTED && err->err != EAGAIN))
			return r;
		*err = (struct coffer_error)COFFER_ERROR_INIT;
		r = wait_record(cli, id, code, err);
		if (r == 0)
			poll(NULL, 0, WAIT_LOOK_MS);
	}
	return r < 0 ? r : 0;
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
