/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/inspect.c - coffer inspect: all there is to say, as a JSON array
 */
#include "cli/doc.h"
#include "cli/logfile.h"
#include "cli/target.h"

#include <limits.h>

struct inspect_opts {
	bool help;
};

#define FIELD(member) offsetof(struct inspect_opts, member)
static const struct opt_row inspect_rows[] = {
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static int inspect_one(const struct cli *cli, const char *name, struct json_object *list,
		       struct coffer_error *err)
{
	autojson struct json_object *doc = NULL;
	autofree char *log = NULL;
	char id[COFFER_ID_MAX + 1];
	int r = target_find(cli, name, id, err);

	if (r == 0)
		r = doc_load(cli, id, &doc, err);
	if (r < 0)
		return r;
	if (logfile_find(cli, id, &log, NULL) == 0)
		json_add(doc, "LogPath", json_object_new_string(log));
	json_object_array_add(list, steal_ptr(doc));
	return 0;
}

static int cli_inspect(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	autojson struct json_object *list = json_object_new_array();
	struct inspect_opts opts = { 0 };
	int rest, code, result = CLI_EXIT_OK;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, INT_MAX, &rest);
	if (code >= 0)
		return code;
	for (int i = rest; list && i < argc; i++) {
		struct coffer_error err = COFFER_ERROR_INIT;

		if (inspect_one(cli, argv[i], list, &err) < 0) {
			cli_fail(&err);
			result = CLI_EXIT_FAILED;
		}
	}
	/* Those found are told, even if others were not. */
	if (json_object_array_length(list) == 0)
		puts("[]");
	else
		puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY |
							      JSON_C_TO_STRING_SPACED |
							      JSON_C_TO_STRING_NOSLASHESCAPE));
	return result;
}

const struct cli_verb cli_verb_inspect = {
	.name = "inspect",
	.fn = cli_inspect,
	.usage = "CONTAINER...",
	.help = "Show all there is to say about containers, as JSON",
	.rows = inspect_rows,
	.nrows = ARRAY_SIZE(inspect_rows),
};
