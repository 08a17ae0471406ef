/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/ps.c - coffer ps: the containers there are
 */
#include "cli/doc.h"
#include "cli/target.h"

#include <string.h>

#include "base/table.h"

#define PS_COMMAND_MAX 20 /* characters, unless all are wanted */

struct ps_opts {
	bool help, all, quiet, whole;
	const char *format;
};

static const char *const ps_formats[] = { "table", "json", NULL };

#define FIELD(member) offsetof(struct ps_opts, member)
static const struct opt_row ps_rows[] = {
	{ "all", 'a', OPT_FLAG, FIELD(all), NULL, "Also those that do not run" },
	{ "quiet", 'q', OPT_FLAG, FIELD(quiet), NULL, "Only ids" },
	{ "no-trunc", 0, OPT_FLAG, FIELD(whole), NULL, "Whole commands" },
	{ "format", 0, OPT_WORD, FIELD(format), "FORMAT",
	  "table (default), or json: an object a line", .words = ps_formats },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

/* "sh -c ..." in quotes; not cut inside a character. */
static char *ps_command(struct json_object *doc, bool whole)
{
	struct json_object *args = doc_get(doc, NULL, "Args");
	size_t n = args ? json_object_array_length(args) : 0, cut;
	char *text = strdup(doc_text(doc, NULL, "Path")), *out = NULL;

	for (size_t i = 0; text && i < n; i++) {
		char *longer;

		if (asprintf(&longer, "%s %s", text,
			     json_object_get_string(json_object_array_get_idx(args, i))) < 0)
			longer = NULL;
		free(text);
		text = longer;
	}
	cut = text ? strlen(text) : 0;
	if (!whole && cut > PS_COMMAND_MAX)
		for (cut = PS_COMMAND_MAX - 1; cut > 0 && (text[cut] & 0xc0) == 0x80; cut--)
			;
	if (text && asprintf(&out, "\"%.*s%s\"", (int)cut, text, text[cut] ? "…" : "") < 0)
		out = NULL;
	free(text);
	return out;
}

static void ps_since(struct json_object *doc, const char *in, const char *key, char *out,
		     size_t size)
{
	time_t at = doc_time(doc_text(doc, in, key)), now = time(NULL);

	doc_age(at > 0 && now > at ? now - at : 0, out, size);
}

/* "Up 5 minutes", "Exited (0) 2 hours ago" ... */
static void ps_status(struct json_object *doc, char *out, size_t size)
{
	const char *status = doc_text(doc, "State", "Status");
	char age[64];

	if (strcmp(status, "running") == 0 || strcmp(status, "paused") == 0) {
		ps_since(doc, "State", "StartedAt", age, sizeof(age));
		snprintf(out, size, "Up %s%s", age, *status == 'p' ? " (Paused)" : "");
	} else if (strcmp(status, "created") == 0) {
		snprintf(out, size, "Created");
	} else {
		bool known = doc_time(doc_text(doc, "State", "FinishedAt")) > 0;

		ps_since(doc, "State", "FinishedAt", age, sizeof(age));
		snprintf(out, size, "%s (%d)%s%s%s", *status == 'd' ? "Dead" : "Exited",
			 (int)doc_number(doc, "State", "ExitCode"), known ? " " : "",
			 known ? age : "", known ? " ago" : "");
	}
}

static int ps_print_json(struct json_object *doc, const char *command, const char *status,
			 const char *age, struct coffer_error *err)
{
	autojson struct json_object *obj = json_object_new_object();
	const char *id = doc_text(doc, NULL, "Id");
	struct json_object *labels = doc_get(doc, "Config", "Labels");

	if (!obj || !json_add(obj, "Command", json_object_new_string(command)) ||
	    !json_add(obj, "CreatedAt", json_object_new_string(doc_text(doc, NULL, "Created"))) ||
	    !json_add(obj, "ID", json_object_new_string(id)) ||
	    !json_add(obj, "Image", json_object_new_string(doc_text(doc, "Config", "Image"))) ||
	    !json_add(obj, "Labels", labels ? json_object_get(labels) : json_object_new_object()) ||
	    !json_add(obj, "Names", json_object_new_string(id)) ||
	    !json_add(obj, "RunningFor", json_object_new_string(age)) ||
	    !json_add(obj, "State", json_object_new_string(doc_text(doc, "State", "Status"))) ||
	    !json_add(obj, "Status", json_object_new_string(status)))
		return err_nomem(err);
	puts(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN |
						     JSON_C_TO_STRING_NOSLASHESCAPE));
	return 0;
}

static int ps_one(struct json_object *doc, const struct ps_opts *opts, struct table *table,
		  struct coffer_error *err)
{
	const char *id = doc_text(doc, NULL, "Id");
	autofree char *command = ps_command(doc, opts->whole);
	char age[64], created[80], status[128];

	if (!command)
		return err_nomem(err);
	ps_since(doc, NULL, "Created", age, sizeof(age));
	snprintf(created, sizeof(created), "%s ago", age);
	ps_status(doc, status, sizeof(status));
	if (opts->quiet)
		puts(id);
	else if (strcmp(opts->format, "json") == 0)
		return ps_print_json(doc, command, status, created, err);
	else
		table_add(table, (const char *[]){ id, doc_text(doc, "Config", "Image"), command,
						   created, status });
	return 0;
}

static int ps_all(const struct cli *cli, const struct ps_opts *opts, struct coffer_error *err)
{
	static const char *const titles[] = { "CONTAINER ID", "IMAGE", "COMMAND", "CREATED",
					      "STATUS" };
	CLEANUP(table_free) struct table table = TABLE_INIT(titles, ARRAY_SIZE(titles));
	autojson struct json_object *docs = NULL;
	int r = doc_load_all(cli, &docs, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < json_object_array_length(docs); i++) {
		struct json_object *doc = json_object_array_get_idx(docs, i);

		if (opts->all || doc_flag(doc, "State", "Running"))
			r = ps_one(doc, opts, &table, err);
	}
	if (r < 0 || opts->quiet || strcmp(opts->format, "json") == 0)
		return r;
	return table_print(&table, stdout, err);
}

static int cli_ps(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct ps_opts opts = { .format = "table" };
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 0, 0, &rest);
	if (code >= 0)
		return code;
	if (ps_all(cli, &opts, &err) < 0) {
		cli_fail(&err);
		return CLI_EXIT_FAILED;
	}
	return CLI_EXIT_OK;
}

const struct cli_verb cli_verb_ps = {
	.name = "ps",
	.fn = cli_ps,
	.usage = "[OPTION...]",
	.help = "List containers",
	.rows = ps_rows,
	.nrows = ARRAY_SIZE(ps_rows),
};
