/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/inspect.c - coffer inspect: all there is to say, as a JSON array
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/doc.h"
#include "cli/images.h"
#include "cli/logfile.h"
#include "cli/target.h"

enum inspect_type {
	INSPECT_ANY, /* a container; an image when there is no such container */
	INSPECT_CONTAINER,
	INSPECT_IMAGE,
};

struct inspect_opts {
	bool help;
	const char *type, *platform;
};

static const char *const inspect_types[] = { "container", "image", NULL };

#define FIELD(member) offsetof(struct inspect_opts, member)
static const struct opt_row inspect_rows[] = {
	{ "type", 0, OPT_WORD, FIELD(type), "TYPE",
	  "container or image (default: the first of them)", .words = inspect_types },
	{ "platform", 0, OPT_STRING, FIELD(platform), "OS/ARCH[/VARIANT]",
	  "Of an image with several" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

/* What one command is about. The store is opened when it is needed. */
struct inspect {
	const struct cli *cli;
	const struct inspect_opts *opts;
	enum inspect_type type;
	struct coffer_images *images; /* owned */
	struct json_object *list;     /* owned */
};

static void inspect_close(struct inspect *in)
{
	coffer_images_close(in->images);
	json_object_put(in->list);
}

static int inspect_container(struct inspect *in, const char *name, struct coffer_error *err)
{
	autojson struct json_object *doc = NULL;
	autofree char *log = NULL;
	char id[COFFER_ID_MAX + 1];
	int r = target_find(in->cli, name, id, err);

	if (r == 0)
		r = doc_load(in->cli, id, &doc, err);
	if (r < 0)
		return r;
	if (logfile_find(in->cli, id, &log, NULL) == 0)
		json_add(doc, "LogPath", json_object_new_string(log));
	json_object_array_add(in->list, steal_ptr(doc));
	return 0;
}

static int inspect_image(struct inspect *in, const char *name, struct coffer_error *err)
{
	autoimage struct coffer_image *image = NULL;
	autofree char *text = NULL;
	struct json_object *doc;
	int r = in->images ? 0 : coffer_images_open(NULL, &in->images, err);

	if (r == 0)
		r = coffer_image_find(in->images, name, in->opts->platform, &image, err);
	if (r == 0)
		r = coffer_image_inspect(image, &text, err);
	if (r == 0)
		r = images_parse(text, &doc, err);
	if (r == 0)
		json_object_array_add(in->list, doc);
	return r;
}

static int inspect_one(struct inspect *in, const char *name, struct coffer_error *err)
{
	int r = -ENOENT;

	if (in->type != INSPECT_IMAGE)
		r = inspect_container(in, name, err);
	if (in->type == INSPECT_IMAGE ||
	    (r < 0 && in->type == INSPECT_ANY && err->kind == COFFER_ERR_NOT_FOUND)) {
		err_clear(err);
		r = inspect_image(in, name, err);
	}
	if (r < 0 && in->type == INSPECT_ANY && err->kind == COFFER_ERR_NOT_FOUND)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "no such container or image: %s",
			       name);
	return r;
}

static int inspect_verb(const struct cli *cli, const struct cli_verb *verb, enum inspect_type type,
			int argc, char *argv[])
{
	struct inspect_opts opts = { 0 };
	CLEANUP(inspect_close) struct inspect in = { .cli = cli, .opts = &opts, .type = type,
						     .list = json_object_new_array() };
	int rest, code, result = CLI_EXIT_OK;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, INT_MAX, &rest);
	if (code >= 0)
		return code;
	if (opts.type)
		in.type = *opts.type == 'c' ? INSPECT_CONTAINER : INSPECT_IMAGE;
	for (int i = rest; in.list && i < argc; i++) {
		struct coffer_error err = COFFER_ERROR_INIT;

		if (inspect_one(&in, argv[i], &err) < 0) {
			cli_fail(&err);
			result = CLI_EXIT_FAILED;
		}
	}
	/* Those found are told, even if others were not. */
	if (json_object_array_length(in.list) == 0)
		puts("[]");
	else
		puts(json_object_to_json_string_ext(in.list, JSON_C_TO_STRING_PRETTY |
								 JSON_C_TO_STRING_SPACED |
								 JSON_C_TO_STRING_NOSLASHESCAPE));
	return result;
}

static int cli_inspect(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	return inspect_verb(cli, verb, INSPECT_ANY, argc, argv);
}

const struct cli_verb cli_verb_inspect = {
	.name = "inspect",
	.fn = cli_inspect,
	.usage = "[OPTION...] CONTAINER|IMAGE...",
	.help = "Show all there is to say about containers or images, as JSON",
	.rows = inspect_rows,
	.nrows = ARRAY_SIZE(inspect_rows),
};

static int cli_image_inspect(const struct cli *cli, const struct cli_verb *verb, int argc,
			     char *argv[])
{
	return inspect_verb(cli, verb, INSPECT_IMAGE, argc, argv);
}

/* Without --type. */
const struct cli_verb cli_verb_image_inspect = {
	.name = "image inspect",
	.fn = cli_image_inspect,
	.usage = "[OPTION...] IMAGE...",
	.help = "Show all there is to say about images, as JSON",
	.rows = inspect_rows + 1,
	.nrows = ARRAY_SIZE(inspect_rows) - 1,
};
