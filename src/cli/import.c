/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/import.c - coffer import: the tar of a root file system becomes an image
 */
#include "cli/images.h"

#include <stdio.h>

#include "cli/outfile.h"

struct import_opts {
	bool help, quiet;
	const char *message, *platform;
	struct opt_list changes;
};

#define FIELD(member) offsetof(struct import_opts, member)
static const struct opt_row import_rows[] = {
	{ "change", 'c', OPT_LIST, FIELD(changes), "LINE",
	  "How it is to be run, as in a Dockerfile: CMD, ENTRYPOINT, ENV ..." },
	{ "message", 'm', OPT_STRING, FIELD(message), "TEXT", "For its history" },
	{ "platform", 0, OPT_STRING, FIELD(platform), "OS/ARCH[/VARIANT]",
	  "What it is for (default: this machine's)" },
	{ "quiet", 'q', OPT_FLAG, FIELD(quiet), NULL, "Tell only the id" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static int import_run(const struct import_opts *opts, const char *path, const char *name)
{
	autoimages struct coffer_images *images = NULL;
	autoimage struct coffer_image *image = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct transfer t = TRANSFER_INIT;
	autoclose int fd = -1;
	int r, code;

	t.how.platform = opts->platform;
	r = fd = outfile_open_input(path, &err);
	if (r >= 0)
		r = coffer_images_open(NULL, &images, &err);
	if (r == 0)
		r = transfer_begin(&t, opts->quiet, &err);
	if (r == 0)
		r = coffer_images_import(images, fd, name, opts->changes.v, opts->message, &t.how,
					 &image, &err);
	code = transfer_end(&t, r, CLI_EXIT_FAILED, &err);
	if (code == CLI_EXIT_OK)
		puts(coffer_image_id(image));
	return code;
}

static int cli_import(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct import_opts opts = { 0 };
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, 2, &rest);
	if (code < 0)
		code = import_run(&opts, argv[rest], argv[rest + 1]);
	opt_list_free(&opts.changes);
	return code;
}

const struct cli_verb cli_verb_import = {
	.name = "import",
	.fn = cli_import,
	.usage = "[OPTION...] FILE|- [NAME]",
	.help = "Make an image of the tar of a root file system",
	.rows = import_rows,
	.nrows = ARRAY_SIZE(import_rows),
};
