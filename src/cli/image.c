/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/image.c - coffer image: all that is done with images, prune and check
 *
 * But for these two its commands are those that also stand for themselves.
 */
#include "cli/images.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/doc.h"

struct image_opts {
	bool help, all, force, repair;
};

#define FIELD(member) offsetof(struct image_opts, member)
static const struct opt_row image_rows[] = {
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static const struct opt_row image_prune_rows[] = {
	{ "all", 'a', OPT_FLAG, FIELD(all), NULL, "Also images with names" },
	{ "force", 'f', OPT_FLAG, FIELD(force), NULL, "Do not ask" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static const struct opt_row image_check_rows[] = {
	{ "repair", 0, OPT_FLAG, FIELD(repair), NULL,
	  "Remove what is faulty, so that the next pull fetches it" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static bool image_confirm(const struct image_opts *opts)
{
	char answer[16] = "";

	fprintf(stderr, "This removes all images%s that are not in use.\n"
			"Are you sure? [y/N] ", opts->all ? "" : " without a name");
	return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

static int cli_image_prune(const struct cli *cli, const struct cli_verb *verb, int argc,
			   char *argv[])
{
	autoimages struct coffer_images *images = NULL;
	struct coffer_prune done = { .size = sizeof(done) };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct image_opts opts = { 0 };
	char size[32];
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 0, 0, &rest);
	if (code >= 0)
		return code;
	if (!opts.force && !image_confirm(&opts)) {
		err_set(&err, COFFER_ERR_CANCELLED, 0,
			"image prune: nothing removed (see --force)");
		return images_failed(&err);
	}
	if (coffer_images_open(NULL, &images, &err) < 0 ||
	    coffer_images_prune(images, opts.all, &done, &err) < 0)
		return images_failed(&err);
	doc_size(done.bytes, false, size, sizeof(size));
	printf("Removed: %llu blobs, %llu root file systems, %llu parts\n"
	       "Total reclaimed space: %s\n",
	       (unsigned long long)done.blobs, (unsigned long long)done.roots,
	       (unsigned long long)done.parts, size);
	return CLI_EXIT_OK;
}

/* Names in it may be anybody's. */
static void image_found(void *data, const char *fault)
{
	cli_put(fault, stdout);
	putchar('\n');
}

static int cli_image_check(const struct cli *cli, const struct cli_verb *verb, int argc,
			   char *argv[])
{
	autoimages struct coffer_images *images = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct image_opts opts = { 0 };
	int rest, code, faults;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 0, 0, &rest);
	if (code >= 0)
		return code;
	if (coffer_images_open(NULL, &images, &err) < 0)
		return images_failed(&err);
	faults = coffer_images_check(images, opts.repair, image_found, NULL, &err);
	if (faults < 0)
		return images_failed(&err);
	if (faults == 0)
		puts("No faults");
	return faults == 0 || opts.repair ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

static const struct cli_verb image_prune = {
	.name = "image prune",
	.fn = cli_image_prune,
	.usage = "[OPTION...]",
	.help = "Remove what no name leads to and nobody uses",
	.rows = image_prune_rows,
	.nrows = ARRAY_SIZE(image_prune_rows),
};

static const struct cli_verb image_check = {
	.name = "image check",
	.fn = cli_image_check,
	.usage = "[OPTION...]",
	.help = "Verify all that is in the store",
	.rows = image_check_rows,
	.nrows = ARRAY_SIZE(image_check_rows),
};

static const struct {
	const char *name;
	const struct cli_verb *verb;
} image_verbs[] = {
	{ "ls", &cli_verb_images },	    { "list", &cli_verb_images },
	{ "pull", &cli_verb_pull },	    { "push", &cli_verb_push },
	{ "rm", &cli_verb_rmi },	    { "tag", &cli_verb_tag },
	{ "untag", &cli_verb_untag },	    { "history", &cli_verb_history },
	{ "inspect", &cli_verb_image_inspect },
	{ "save", &cli_verb_save },	    { "load", &cli_verb_load },
	{ "import", &cli_verb_import },	    { "prune", &image_prune },
	{ "check", &image_check },
};

static void image_help(const struct cli_verb *verb)
{
	cli_verb_help(verb, stdout);
	fputs("\nCommands:\n", stdout);
	for (size_t i = 0; i < ARRAY_SIZE(image_verbs); i++)
		printf("  %-26s %s\n", image_verbs[i].name, image_verbs[i].verb->help);
}

static int cli_image(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct coffer_error err = COFFER_ERROR_INIT;
	const char *name = argc > 1 ? argv[1] : "--help";

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		image_help(verb);
		return CLI_EXIT_OK;
	}
	for (size_t i = 0; i < ARRAY_SIZE(image_verbs); i++)
		if (strcmp(image_verbs[i].name, name) == 0)
			return image_verbs[i].verb->fn(cli, image_verbs[i].verb, argc - 1,
						       argv + 1);
	err_invalid(&err, "image: unknown command %s (see coffer image --help)", name);
	return cli_fail(&err);
}

const struct cli_verb cli_verb_image = {
	.name = "image",
	.fn = cli_image,
	.usage = "COMMAND [ARG...]",
	.help = "All that is done with images; prune and check",
	.rows = image_rows,
	.nrows = ARRAY_SIZE(image_rows),
};
