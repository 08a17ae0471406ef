/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/tag.c - coffer tag, untag and rmi: names of images, given and taken
 */
#include "cli/images.h"

#include <limits.h>

struct tag_opts {
	bool help, force;
};

#define FIELD(member) offsetof(struct tag_opts, member)
static const struct opt_row tag_rows[] = {
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static const struct opt_row tag_remove_rows[] = {
	{ "force", 'f', OPT_FLAG, FIELD(force), NULL, "Also what has several names, by its id" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static int tag_image(const char *source, const char *target, struct coffer_error *err)
{
	autoimages struct coffer_images *images = NULL;
	autoimage struct coffer_image *image = NULL;
	int r = coffer_images_open(NULL, &images, err);

	if (r == 0)
		r = coffer_image_find(images, source, NULL, &image, err);
	return r < 0 ? r : coffer_image_tag(image, target, err);
}

static int cli_tag(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct tag_opts opts = { 0 };
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 2, 2, &rest);
	if (code >= 0)
		return code;
	return tag_image(argv[rest], argv[rest + 1], &err) < 0 ? images_failed(&err) : CLI_EXIT_OK;
}

static int tag_take_away(struct coffer_images *images, const char *name, void *data,
			 struct coffer_error *err)
{
	return coffer_images_untag(images, name, err);
}

static int tag_remove(struct coffer_images *images, const char *name, void *data,
		      struct coffer_error *err)
{
	const struct tag_opts *opts = data;

	return coffer_images_remove(images, name, opts->force, err);
}

static int cli_untag(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct tag_opts opts = { 0 };
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, INT_MAX, &rest);
	return code >= 0 ? code : images_each(argc - rest, argv + rest, tag_take_away, &opts);
}

static int cli_rmi(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct tag_opts opts = { 0 };
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, INT_MAX, &rest);
	return code >= 0 ? code : images_each(argc - rest, argv + rest, tag_remove, &opts);
}

const struct cli_verb cli_verb_tag = {
	.name = "tag",
	.fn = cli_tag,
	.usage = "IMAGE NAME",
	.help = "Give an image one more name",
	.rows = tag_rows,
	.nrows = ARRAY_SIZE(tag_rows),
};

const struct cli_verb cli_verb_untag = {
	.name = "untag",
	.fn = cli_untag,
	.usage = "NAME...",
	.help = "Take names away from images",
	.rows = tag_rows,
	.nrows = ARRAY_SIZE(tag_rows),
};

const struct cli_verb cli_verb_rmi = {
	.name = "rmi",
	.fn = cli_rmi,
	.usage = "[OPTION...] IMAGE...",
	.help = "Remove images, or their names while they have others",
	.rows = tag_remove_rows,
	.nrows = ARRAY_SIZE(tag_remove_rows),
};
