/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/save.c - coffer save and load: images as archives
 */
#include "cli/images.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "cli/outfile.h"

struct save_opts {
	bool help, quiet, all_platforms;
	const char *output, *input, *format, *platform;
};

/* In the order of enum coffer_archive_kind. */
static const char *const save_formats[] = { "docker-archive", "oci-archive", "oci-dir", NULL };

#define FIELD(member) offsetof(struct save_opts, member)
static const struct opt_row save_rows[] = {
	{ "output", 'o', OPT_STRING, FIELD(output), "FILE", "Write there (default: stdout)" },
	{ "format", 0, OPT_WORD, FIELD(format), "FORMAT",
	  "docker-archive (default), oci-archive or oci-dir", .words = save_formats },
	{ "platform", 0, OPT_STRING, FIELD(platform), "OS/ARCH[/VARIANT]",
	  "Of an image with several (default: this machine's)" },
	{ "all-platforms", 0, OPT_FLAG, FIELD(all_platforms), NULL, "All of them" },
	{ "quiet", 'q', OPT_FLAG, FIELD(quiet), NULL, "Tell nothing" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static const struct opt_row save_load_rows[] = {
	{ "input", 'i', OPT_STRING, FIELD(input), "FILE", "Read it (default: stdin)" },
	{ "platform", 0, OPT_STRING, FIELD(platform), "OS/ARCH[/VARIANT]",
	  "Of an image with several (default: this machine's)" },
	{ "quiet", 'q', OPT_FLAG, FIELD(quiet), NULL, "Tell only the names" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static enum coffer_archive_kind save_kind(const struct save_opts *opts)
{
	int i = COFFER_ARCHIVE_DOCKER;

	while (opts->format && save_formats[i] && strcmp(save_formats[i], opts->format) != 0)
		i++;
	return (enum coffer_archive_kind)i;
}

static int save_check(const struct save_opts *opts, struct coffer_error *err)
{
	enum coffer_archive_kind kind = save_kind(opts);

	if (opts->platform && opts->all_platforms)
		return err_invalid(err, "save: options --platform and --all-platforms exclude "
					"each other");
	if (opts->all_platforms && kind == COFFER_ARCHIVE_DOCKER)
		return err_invalid(err, "save: option --all-platforms: a docker-archive has one "
					"platform; see --format");
	if (kind == COFFER_ARCHIVE_OCI_DIR && !opts->output)
		return err_invalid(err, "save: option --format oci-dir: needs --output");
	return 0;
}

static int save_into_dir(struct coffer_images *images, const struct save_opts *opts,
			 const char *const *names, const struct coffer_transfer *how,
			 struct coffer_error *err)
{
	bool made = mkdir(opts->output, 0777) == 0;
	autoclose int fd = -1;
	int r;

	if (!made && errno != EEXIST)
		return err_sys(err, "make %s", opts->output);
	fd = open(opts->output, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %s", opts->output);
	r = coffer_images_save(images, names, COFFER_ARCHIVE_OCI_DIR, fd, how, err);
	if (r < 0 && made)
		rmdir(opts->output); /* if nothing is in it */
	return r;
}

static int save_into_file(struct coffer_images *images, const struct save_opts *opts,
			  const char *const *names, const struct coffer_transfer *how,
			  struct coffer_error *err)
{
	CLEANUP(outfile_close) struct outfile file = OUTFILE_INIT;
	int r = outfile_open(&file, opts->output, err);

	if (r == 0)
		r = coffer_images_save(images, names, save_kind(opts), file.fd, how, err);
	return r < 0 ? r : outfile_commit(&file, err);
}

static int save_run(const struct save_opts *opts, const char *const *names)
{
	autoimages struct coffer_images *images = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct transfer t = TRANSFER_INIT;
	int r;

	t.how.platform = opts->platform;
	t.how.all_platforms = opts->all_platforms;
	r = coffer_images_open(NULL, &images, &err);
	if (r == 0)
		r = transfer_begin(&t, opts->quiet, &err);
	if (r == 0 && save_kind(opts) == COFFER_ARCHIVE_OCI_DIR)
		r = save_into_dir(images, opts, names, &t.how, &err);
	else if (r == 0)
		r = save_into_file(images, opts, names, &t.how, &err);
	return transfer_end(&t, r, CLI_EXIT_FAILED, &err);
}

static int cli_save(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct save_opts opts = { 0 };
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, INT_MAX, &rest);
	if (code >= 0)
		return code;
	if (save_check(&opts, &err) < 0)
		return cli_fail(&err);
	return save_run(&opts, (const char *const *)argv + rest);
}

static void save_loaded(void *data, const char *name)
{
	printf("Loaded image: %s\n", name);
}

static int cli_load(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	autoimages struct coffer_images *images = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct transfer t = TRANSFER_INIT;
	struct save_opts opts = { 0 };
	autoclose int fd = -1;
	int rest, code, r;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 0, 0, &rest);
	if (code >= 0)
		return code;
	t.how.platform = opts.platform;
	r = fd = outfile_open_input(opts.input, &err);
	if (r >= 0)
		r = coffer_images_open(NULL, &images, &err);
	if (r == 0)
		r = transfer_begin(&t, opts.quiet, &err);
	if (r == 0)
		r = coffer_images_load(images, fd, &t.how, save_loaded, NULL, &err);
	return transfer_end(&t, r, CLI_EXIT_FAILED, &err);
}

const struct cli_verb cli_verb_save = {
	.name = "save",
	.fn = cli_save,
	.usage = "[OPTION...] IMAGE...",
	.help = "Write images to an archive",
	.rows = save_rows,
	.nrows = ARRAY_SIZE(save_rows),
};

const struct cli_verb cli_verb_load = {
	.name = "load",
	.fn = cli_load,
	.usage = "[OPTION...]",
	.help = "Read images from an archive",
	.rows = save_load_rows,
	.nrows = ARRAY_SIZE(save_load_rows),
};
