/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/pull.c - coffer pull and push: images from and to registries
 */
#include "cli/images.h"

#include <stdio.h>

struct pull_opts {
	bool help, quiet, all_platforms;
	const char *platform;
	unsigned parallel;
};

#define FIELD(member) offsetof(struct pull_opts, member)
static const struct opt_row pull_rows[] = {
	{ "platform", 0, OPT_STRING, FIELD(platform), "OS/ARCH[/VARIANT]",
	  "Of an image with several (default: pull this machine's, push all)" },
	{ "all-platforms", 0, OPT_FLAG, FIELD(all_platforms), NULL, "All of them" },
	{ "parallel", 0, OPT_COUNT, FIELD(parallel), "N", "Blobs at once (default: 4)", 1, 16 },
	{ "quiet", 'q', OPT_FLAG, FIELD(quiet), NULL, "Tell only the name" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static int pull_images(struct coffer_images *images, const char *name,
		       const struct coffer_transfer *how, struct coffer_error *err)
{
	return coffer_image_pull(images, name, how, NULL, err);
}

static int pull_run(const struct pull_opts *opts, const char *name,
		    int (*fn)(struct coffer_images *images, const char *name,
			      const struct coffer_transfer *how, struct coffer_error *err))
{
	autoimages struct coffer_images *images = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct transfer t = TRANSFER_INIT;
	int r, code;

	t.how.platform = opts->platform;
	t.how.all_platforms = opts->all_platforms;
	t.how.parallel = opts->parallel;
	r = coffer_images_open(NULL, &images, &err);
	if (r == 0)
		r = transfer_begin(&t, opts->quiet, &err);
	if (r == 0)
		r = fn(images, name, &t.how, &err);
	code = transfer_end(&t, r, CLI_EXIT_FAILED, &err);
	if (code == CLI_EXIT_OK)
		puts(name);
	return code;
}

static int pull_verb(const struct cli_verb *verb, int argc, char *argv[],
		     int (*fn)(struct coffer_images *images, const char *name,
			       const struct coffer_transfer *how, struct coffer_error *err))
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct pull_opts opts = { 0 };
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, 1, &rest);
	if (code >= 0)
		return code;
	if (opts.platform && opts.all_platforms) {
		err_invalid(&err, "%s: options --platform and --all-platforms exclude each other",
			    verb->name);
		return cli_fail(&err);
	}
	return pull_run(&opts, argv[rest], fn);
}

static int cli_pull(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	return pull_verb(verb, argc, argv, pull_images);
}

static int cli_push(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	return pull_verb(verb, argc, argv, coffer_image_push);
}

const struct cli_verb cli_verb_pull = {
	.name = "pull",
	.fn = cli_pull,
	.usage = "[OPTION...] NAME",
	.help = "Fetch an image from a registry",
	.rows = pull_rows,
	.nrows = ARRAY_SIZE(pull_rows),
};

const struct cli_verb cli_verb_push = {
	.name = "push",
	.fn = cli_push,
	.usage = "[OPTION...] NAME",
	.help = "Send an image to the registry it is named after",
	.rows = pull_rows,
	.nrows = ARRAY_SIZE(pull_rows),
};
