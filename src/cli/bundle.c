/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/bundle.c - coffer bundle: an image as a directory that OCI runtimes take
 */
#include "cli/images.h"

struct bundle_opts {
	bool help, quiet;
	const char *pull, *platform;
};

#define FIELD(member) offsetof(struct bundle_opts, member)
static const struct opt_row bundle_rows[] = {
	{ "pull", 0, OPT_WORD, FIELD(pull), "WHEN", "missing (default), always or never",
	  .words = images_pull_words },
	{ "platform", 0, OPT_STRING, FIELD(platform), "OS/ARCH[/VARIANT]",
	  "Of an image with several (default: this machine's)" },
	{ "quiet", 'q', OPT_FLAG, FIELD(quiet), NULL, "Tell nothing" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static int cli_bundle(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	autoimages struct coffer_images *images = NULL;
	autoimage struct coffer_image *image = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct transfer t = TRANSFER_INIT;
	struct bundle_opts opts = { 0 };
	int rest, code, r;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 2, 2, &rest);
	if (code >= 0)
		return code;
	t.how.platform = opts.platform;
	r = coffer_images_open(NULL, &images, &err);
	if (r == 0)
		r = transfer_begin(&t, opts.quiet, &err);
	if (r == 0)
		r = images_get(images, argv[rest], images_pull_parse(opts.pull), &t.how, &image,
			       &err);
	if (r == 0)
		r = coffer_image_bundle(image, argv[rest + 1], &t.how, &err);
	return transfer_end(&t, r, CLI_EXIT_FAILED, &err);
}

const struct cli_verb cli_verb_bundle = {
	.name = "bundle",
	.fn = cli_bundle,
	.usage = "[OPTION...] IMAGE DIR",
	.help = "Unpack an image to a directory that OCI runtimes take",
	.rows = bundle_rows,
	.nrows = ARRAY_SIZE(bundle_rows),
};
