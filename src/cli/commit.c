/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/commit.c - coffer commit and export: what a container has become, as an image or a tar
 */
#include "cli/doc.h"
#include "cli/images.h"
#include "cli/outfile.h"
#include "cli/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct commit_opts {
	bool help, quiet, pause;
	const char *author, *message, *output;
	struct opt_list changes;
};

#define FIELD(member) offsetof(struct commit_opts, member)
static const struct opt_row commit_rows[] = {
	{ "author", 'a', OPT_STRING, FIELD(author), "NAME", "Who has made it" },
	{ "change", 'c', OPT_LIST, FIELD(changes), "LINE",
	  "How it is to be run, as in a Dockerfile: CMD, ENTRYPOINT, ENV ..." },
	{ "message", 'm', OPT_STRING, FIELD(message), "TEXT", "For its history" },
	{ "pause", 'p', OPT_FLAG, FIELD(pause), NULL,
	  "Have its processes stand still meanwhile (default: true)" },
	{ "quiet", 'q', OPT_FLAG, FIELD(quiet), NULL, "Tell only the id" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static const struct opt_row commit_export_rows[] = {
	{ "output", 'o', OPT_STRING, FIELD(output), "FILE", "Write there (default: stdout)" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

/* Its name may be another image's by now; the id is not. *@out stays NULL for a --rootfs. */
static int commit_find_base(const struct cli *cli, const char *id, struct coffer_images *images,
			    struct coffer_image **out, struct coffer_error *err)
{
	autojson struct json_object *doc = NULL;
	const char *image, *platform;
	int r = doc_load(cli, id, &doc, err);

	if (r < 0)
		return r;
	image = doc_text(doc, NULL, "Image");
	platform = doc_text(doc, NULL, "Platform");
	if (strncmp(image, "sha256:", 7) != 0 && strncmp(image, "sha512:", 7) != 0 &&
	    strcmp(image, COFFER_IMAGE_BUILTIN) != 0)
		return 0;
	r = coffer_image_find(images, image, *platform ? platform : NULL, out, err);
	return r < 0 ? err_wrap(err, "container %s", id) : 0;
}

/* The lines, and the author as one more. @text: owned by the caller, as *@out */
static int commit_changes(const struct commit_opts *opts, char **text, const char ***out,
			  struct coffer_error *err)
{
	size_t n = opts->changes.n;

	*out = calloc(n + 2, sizeof(**out));
	if (!*out)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		(*out)[i] = opts->changes.v[i];
	if (!opts->author)
		return 0;
	if (asprintf(text, "MAINTAINER %s", opts->author) < 0) {
		*text = NULL;
		return err_nomem(err);
	}
	(*out)[n] = *text;
	return 0;
}

static int commit_run(const struct cli *cli, const struct commit_opts *opts, const char *container,
		      const char *name)
{
	autoimages struct coffer_images *images = NULL;
	autoimage struct coffer_image *base = NULL, *image = NULL;
	autocontainer struct coffer_container *c = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct transfer t = TRANSFER_INIT;
	autofree const char **changes = NULL;
	autofree char *author = NULL;
	int r, code;

	r = commit_changes(opts, &author, &changes, &err);
	if (r == 0)
		r = target_open(cli, container, &c, &err);
	if (r == 0)
		r = coffer_images_open(NULL, &images, &err);
	if (r == 0)
		r = commit_find_base(cli, coffer_container_id(c), images, &base, &err);
	if (r == 0)
		r = transfer_begin(&t, opts->quiet, &err);
	if (r == 0)
		r = coffer_container_commit(c, images, base, name, changes, opts->message,
					    opts->pause, &t.how, &image, &err);
	code = transfer_end(&t, r, CLI_EXIT_FAILED, &err);
	if (code == CLI_EXIT_OK)
		puts(coffer_image_id(image));
	return code;
}

static int cli_commit(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct commit_opts opts = { .pause = true };
	int rest, code;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, 2, &rest);
	if (code < 0)
		code = commit_run(cli, &opts, argv[rest], argv[rest + 1]);
	opt_list_free(&opts.changes);
	return code;
}

static int commit_export(struct coffer_container *c, const char *path,
			 const struct coffer_transfer *how, struct coffer_error *err)
{
	CLEANUP(outfile_close) struct outfile file = OUTFILE_INIT;
	int r = outfile_open(&file, path, err);

	if (r == 0)
		r = coffer_container_export(c, file.fd, how, err);
	return r < 0 ? r : outfile_commit(&file, err);
}

static int cli_export(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	autocontainer struct coffer_container *c = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct transfer t = TRANSFER_INIT;
	struct commit_opts opts = { 0 };
	int rest, code, r;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 1, 1, &rest);
	if (code >= 0)
		return code;
	r = target_open(cli, argv[rest], &c, &err);
	if (r == 0)
		r = transfer_begin(&t, true, &err);
	if (r == 0)
		r = commit_export(c, opts.output, &t.how, &err);
	return transfer_end(&t, r, CLI_EXIT_FAILED, &err);
}

const struct cli_verb cli_verb_commit = {
	.name = "commit",
	.fn = cli_commit,
	.usage = "[OPTION...] CONTAINER [NAME]",
	.help = "Make an image of what a running container has become",
	.rows = commit_rows,
	.nrows = ARRAY_SIZE(commit_rows),
};

const struct cli_verb cli_verb_export = {
	.name = "export",
	.fn = cli_export,
	.usage = "[OPTION...] CONTAINER",
	.help = "Write a running container's root file system to a tar",
	.rows = commit_export_rows,
	.nrows = ARRAY_SIZE(commit_export_rows),
};
