/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/exec.c - coffer exec: a further program in a running container
 *
 * Its streams are here; the container belongs to whoever runs it.  The exit
 * code is the program's, or one of enum cli_exit.
 */
#include "cli/session.h"
#include "cli/target.h"
#include "cli/words.h"

#include <limits.h>

#include "base/tty.h"

struct exec_opts {
	bool help, interactive, tty, detach, privileged;
	const char *workdir, *user;
	struct opt_list env, env_file;
};

#define FIELD(member) offsetof(struct exec_opts, member)
static const struct opt_row exec_rows[] = {
	{ "interactive", 'i', OPT_FLAG, FIELD(interactive), NULL, "Pass stdin on" },
	{ "tty", 't', OPT_FLAG, FIELD(tty), NULL, "Run on a terminal of its own; includes -i" },
	{ "detach", 'd', OPT_FLAG, FIELD(detach), NULL, "Do not wait; input and output are nothing" },
	{ "env", 'e', OPT_LIST, FIELD(env), "KEY=VALUE",
	  "Set a variable (KEY alone: as it is here)" },
	{ "env-file", 0, OPT_LIST, FIELD(env_file), "FILE", "Set those in the lines of a file" },
	{ "workdir", 'w', OPT_STRING, FIELD(workdir), "DIR",
	  "Working directory (default: the container's)" },
	{ "user", 'u', OPT_STRING, FIELD(user), "USER[:GROUP]",
	  "Names or numbers (default: the container's)" },
	{ "privileged", 0, OPT_FLAG, FIELD(privileged), NULL, "Refused" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

static void exec_opts_free(struct exec_opts *opts)
{
	opt_list_free(&opts->env);
	opt_list_free(&opts->env_file);
}

static int exec_check(struct exec_opts *opts, struct coffer_error *err)
{
	if (opts->privileged)
		return err_unsupported(err, "exec: option --privileged: a program is never less "
					    "confined than its container; run that with --cap-add");
	if (opts->detach && (opts->interactive || opts->tty))
		return err_invalid(err, "exec: options --detach and --%s exclude each other",
				   opts->tty ? "tty" : "interactive");
	return opts->tty ? session_check_tty("exec", err) : 0;
}

/* What the API says of a program that cannot be run, as a shell's exit codes. */
static int exec_failed(const struct coffer_error *err)
{
	cli_fail(err);
	if (err->kind == COFFER_ERR_NOT_FOUND)
		return CLI_EXIT_NOT_FOUND;
	return err->err == EACCES || err->err == ENOEXEC || err->err == EISDIR
		   ? CLI_EXIT_NOT_EXECUTABLE
		   : CLI_EXIT_ERROR;
}

static int exec_attended(struct session *s)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int code;

	s->signals.process = s->process;
	s->signals.terminal = s->tty;
	signals_block(&s->signals);
	if (signals_start(&s->signals, &err) < 0 ||
	    (s->tty && tty_raw(STDIN_FILENO, &err) < 0))
		return cli_fail(&err);
	code = session_run(s);
	signals_stop(&s->signals);
	return code;
}

static int exec_in(struct coffer_container *c, const struct exec_opts *opts, char *args[])
{
	struct coffer_process_config cfg = COFFER_PROCESS_CONFIG_INIT;
	CLEANUP(session_close) struct session s = { 0 };
	struct coffer_error err = COFFER_ERROR_INIT;
	CLEANUP(words_free) struct words words = { 0 };

	if (session_open(&s, &err) < 0 ||
	    words_env(&words, &opts->env_file, &opts->env, &cfg.env, &err) < 0)
		return cli_fail(&err);
	cfg.args = (const char *const *)args;
	cfg.cwd = opts->workdir;
	cfg.user = opts->user;
	session_stdio(&s, opts->interactive, opts->tty, !opts->detach, &cfg);
	if (coffer_container_exec(c, NULL, &cfg, &s.process, &err) < 0)
		return exec_failed(&err);
	return opts->detach ? CLI_EXIT_OK : exec_attended(&s);
}

static int cli_exec(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	CLEANUP(exec_opts_free) struct exec_opts opts = { 0 };
	autocontainer struct coffer_container *c = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	int rest, code;

	code = cli_options(verb, 0, argc, argv, &opts, &opts.help, 2, INT_MAX, &rest);
	if (code >= 0)
		return code;
	if (exec_check(&opts, &err) < 0 || target_open(cli, argv[rest], &c, &err) < 0)
		return cli_fail(&err);
	return exec_in(c, &opts, argv + rest + 1);
}

const struct cli_verb cli_verb_exec = {
	.name = "exec",
	.fn = cli_exec,
	.usage = "[OPTION...] CONTAINER COMMAND [ARG...]",
	.help = "Run a further program in a running container",
	.rows = exec_rows,
	.nrows = ARRAY_SIZE(exec_rows),
};
