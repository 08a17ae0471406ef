/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/cp.c - coffer cp: files into and out of a container
 *
 *	CONTAINER:PATH LOCAL    out; "-" instead of LOCAL: a tar stream on stdout
 *	LOCAL CONTAINER:PATH    in; "-": a tar stream from stdin, extracted below PATH
 *
 * A local path with a colon is told by a slash in front of the colon.
 */
#include "cli/target.h"

#include <string.h>
#include <unistd.h>

struct cp_opts {
	bool help, archive, follow, quiet;
};

#define FIELD(member) offsetof(struct cp_opts, member)
static const struct opt_row cp_rows[] = {
	{ "archive", 'a', OPT_FLAG, FIELD(archive), NULL, "Keep owners" },
	{ "follow-link", 'L', OPT_FLAG, FIELD(follow), NULL,
	  "Copy what a source that is a symbolic link points to" },
	{ "quiet", 'q', OPT_FLAG, FIELD(quiet), NULL, "Accepted; nothing is printed anyway" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

struct cp_end {
	char *container; /* owned; NULL: here */
	const char *path;
};

static int cp_parse(const char *arg, struct cp_end *out, struct coffer_error *err)
{
	const char *colon = strchr(arg, ':');

	*out = (struct cp_end){ .path = arg };
	if (!*arg)
		return err_invalid(err, "cp: empty path");
	if (!colon || colon == arg || memchr(arg, '/', (size_t)(colon - arg)) || *arg == '.')
		return 0;
	if (!colon[1])
		return err_invalid(err, "cp: %s: no path after the container", arg);
	out->container = strndup(arg, (size_t)(colon - arg));
	out->path = colon + 1;
	return out->container ? 0 : err_nomem(err);
}

/* Docker's: paths in the container are from its root. */
static int cp_absolute(const char *path, char **out, struct coffer_error *err)
{
	if (asprintf(out, "%s%s", *path == '/' ? "" : "/", path) < 0) {
		*out = NULL;
		return err_nomem(err);
	}
	return 0;
}

static int cp_in(struct coffer_container *c, const char *from, const char *to,
		 const struct coffer_copy_options *options, struct coffer_error *err)
{
	if (strcmp(from, "-") == 0)
		return coffer_container_put_archive(c, STDIN_FILENO, to, options, err);
	return coffer_container_copy_in(c, from, to, options, err);
}

static int cp_out(struct coffer_container *c, const char *from, const char *to,
		  const struct coffer_copy_options *options, struct coffer_error *err)
{
	if (strcmp(to, "-") == 0)
		return coffer_container_get_archive(c, from, STDOUT_FILENO, options, err);
	return coffer_container_copy_out(c, from, to, options, err);
}

static int cp_run(const struct cli *cli, const struct cp_opts *opts, const struct cp_end *from,
		  const struct cp_end *to, struct coffer_error *err)
{
	struct coffer_copy_options options = COFFER_COPY_OPTIONS_INIT;
	autocontainer struct coffer_container *c = NULL;
	autofree char *inside = NULL;
	int r;

	options.follow_link = opts->follow;
	options.keep_owners = opts->archive;
	r = target_open(cli, from->container ? from->container : to->container, &c, err);
	if (r == 0)
		r = cp_absolute(from->container ? from->path : to->path, &inside, err);
	if (r < 0)
		return r;
	if (from->container)
		return cp_out(c, inside, to->path, &options, err);
	return cp_in(c, from->path, inside, &options, err);
}

static int cp_check(const struct cp_end *from, const struct cp_end *to, struct coffer_error *err)
{
	if (!from->container && !to->container)
		return err_invalid(err, "cp: one of source and target must be CONTAINER:PATH");
	if (from->container && to->container)
		return err_unsupported(err, "cp: between two containers: copy to this side first");
	if (from->container && strcmp(to->path, "-") == 0 && isatty(STDOUT_FILENO))
		return err_invalid(err, "cp: a tar stream is not for a terminal");
	return 0;
}

static int cli_cp(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct cp_end from = { 0 }, to = { 0 };
	struct cp_opts opts = { 0 };
	int rest, code, r;

	code = cli_options(verb, OPT_ANYWHERE, argc, argv, &opts, &opts.help, 2, 2, &rest);
	if (code >= 0)
		return code;
	r = cp_parse(argv[rest], &from, &err);
	if (r == 0)
		r = cp_parse(argv[rest + 1], &to, &err);
	if (r == 0)
		r = cp_check(&from, &to, &err);
	code = r < 0 ? cli_fail(&err) : CLI_EXIT_OK;
	if (r == 0 && cp_run(cli, &opts, &from, &to, &err) < 0) {
		cli_fail(&err);
		code = CLI_EXIT_FAILED;
	}
	free(from.container);
	free(to.container);
	return code;
}

const struct cli_verb cli_verb_cp = {
	.name = "cp",
	.fn = cli_cp,
	.usage = "[OPTION...] CONTAINER:PATH LOCAL|-, or LOCAL|- CONTAINER:PATH",
	.help = "Copy files between a container and here",
	.rows = cp_rows,
	.nrows = ARRAY_SIZE(cp_rows),
};
