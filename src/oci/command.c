/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/command.c - coffer-oci: options before the command, the table of commands, errors
 *
 * The command line is runc's: what docker, podman, containerd and conmon call.
 * An error is one line, in the log and on standard error; they look for words
 * in it.
 */
#define LOG_CATEGORY "" /* the program's own words */
#include "oci/oci.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "base/tty.h"
#include "spec/spec.h"

#define COMMAND_ROOT     "/run/coffer-oci"
#define COMMAND_ROOT_XDG "coffer-oci"

struct command_globals {
	bool help, version, debug, systemd_cgroup;
	const char *root, *log, *log_format, *log_level, *rootless, *criu, *cgroup_manager, *sandbox;
};

static const char *const command_formats[] = { "text", "json", NULL };
static const char *const command_levels[] = { "error", "warning", "info", "debug", NULL };
static const char *const command_rootless[] = { "auto", "true", "false", NULL };
static const char *const command_managers[] = { "cgroupfs", "systemd", "disabled", NULL };
static const char *const command_sandboxes[] = { "none", "sentry", NULL };

#define OCI_OPTS struct command_globals
#define COMMAND_WORD(name_, member_, arg_, help_, words_)                                       \
	{ name_, 0, OPT_WORD, offsetof(struct command_globals, member_), arg_, help_,           \
	  .words = (words_) }

static const struct opt_row command_rows[] = {
	OCI_TEXT("root", 0, root, "DIR", "Directory of the containers' state"),
	OCI_TEXT("log", 0, log, "FILE", "Append the log to it (default: standard error)"),
	COMMAND_WORD("log-format", log_format, "FORMAT", "text (default) or json",
		     command_formats),
	COMMAND_WORD("log-level", log_level, "LEVEL", "error, warning (default), info or debug",
		     command_levels),
	OCI_FLAG("debug", 0, debug, "Same as --log-level debug"),
	OCI_FLAG("systemd-cgroup", 0, systemd_cgroup, "Same as --cgroup-manager systemd"),
	COMMAND_WORD("cgroup-manager", cgroup_manager, "NAME",
		     "cgroupfs (default), systemd or disabled", command_managers),
	COMMAND_WORD("rootless", rootless, "auto|true|false",
		     "Is a cgroup that we have no right to only a warning", command_rootless),
	COMMAND_WORD("sandbox", sandbox, "KIND",
		     "none (default), or sentry: new containers get a kernel of their own",
		     command_sandboxes),
	OCI_TEXT("criu", 0, criu, "FILE", "Program for checkpoint and restore"),
	OCI_FLAG("version", 'v', version, "Show the version"),
	OCI_ROW_HELP,
};

static const struct oci_command *const command_table[] = {
	&oci_create, &oci_start, &oci_run,   &oci_exec,   &oci_kill,   &oci_delete,
	&oci_state,  &oci_list,	 &oci_ps,    &oci_pause,  &oci_resume, &oci_update,
	&oci_events, &oci_spec_command,	     &oci_features,
	&oci_checkpoint, &oci_restore,
};

/* ---- errors and log ---- */

static bool command_logs_apart; /* the log is not standard error */

static int command_fail(const struct coffer_error *err, int code)
{
	log_error("%s", err->message);
	if (!command_logs_apart)
		return code;
	for (const char *p = err->message; *p; p++) {
		size_t n = tty_control(p);

		fputc(n ? '?' : *p, stderr);
		p += n == 2;
	}
	fputc('\n', stderr);
	return code;
}

static int command_start_log(const struct command_globals *g, struct coffer_error *err)
{
	bool json = g->log_format && strcmp(g->log_format, "json") == 0;
	int fd = STDERR_FILENO;

	if (g->log && *g->log) {
		fd = open(g->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
		if (fd < 0)
			return err_sys(err, "open log %s", g->log);
		command_logs_apart = true;
	}
	log_to_fd(fd, json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
	if (g->debug || g->log_level)
		log_set_level(
		    (enum log_level)log_level_parse(g->debug ? "debug" : g->log_level));
	return 0;
}

/* ---- what the options before the command mean ---- */

static bool command_in_user_namespace(void)
{
	static const char all[] = "         0          0 4294967295\n";
	autofree char *map = NULL;

	return io_read_file(AT_FDCWD, "/proc/self/uid_map", 4096, &map, NULL, NULL) == 0 &&
	       strcmp(map, all) != 0;
}

/* Root of a user namespace is somebody else's root only when called so. */
static bool command_uses_xdg(const char *dir)
{
	const char *user = getenv("USER");

	if (!dir || dir[0] != '/')
		return false;
	return geteuid() != 0 ||
	       (!(user && strcmp(user, "root") == 0) && command_in_user_namespace());
}

static int command_xdg_root(const char *dir, char root[PATH_MAX], struct coffer_error *err)
{
	snprintf(root, PATH_MAX, "%s/" COMMAND_ROOT_XDG, dir);
	if (mkdir(root, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "create %s", root);
	/* The sticky bit keeps it from being tidied up. */
	return chmod(root, S_ISVTX | 0700) < 0 ? err_sys(err, "chmod %s", root) : 0;
}

static int command_root(const struct command_globals *g, char root[PATH_MAX],
			struct coffer_error *err)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	size_t n;

	if (!g->root && command_uses_xdg(xdg))
		return command_xdg_root(xdg, root, err);
	if (!g->root || g->root[0] == '/') {
		n = (size_t)snprintf(root, PATH_MAX, "%s", g->root ? g->root : COMMAND_ROOT);
	} else {
		if (!getcwd(root, PATH_MAX))
			return err_sys(err, "current directory");
		n = strlen(root);
		n += (size_t)snprintf(root + n, PATH_MAX - n, "/%s", g->root);
	}
	return n >= PATH_MAX ? err_sysn(err, ENAMETOOLONG, "--root") : 0;
}

static int command_globals(const struct command_globals *g, struct oci *oci, char root[PATH_MAX],
			   struct coffer_error *err)
{
	static const enum engine_cgroup_manager managers[] = { ENGINE_CGROUPFS, ENGINE_SYSTEMD,
							       ENGINE_NO_CGROUP };
	int r = command_root(g, root, err);

	oci->root = root;
	oci->criu = g->criu;
	oci->sentry = g->sandbox && strcmp(g->sandbox, "sentry") == 0;
	oci->manager = g->systemd_cgroup ? ENGINE_SYSTEMD : ENGINE_CGROUPFS;
	for (size_t i = 0; g->cgroup_manager && command_managers[i]; i++)
		if (strcmp(g->cgroup_manager, command_managers[i]) == 0)
			oci->manager = managers[i];
	if (!g->rootless || strcmp(g->rootless, "auto") == 0)
		oci->rootless = geteuid() != 0 || command_in_user_namespace();
	else
		oci->rootless = strcmp(g->rootless, "true") == 0;
	return r;
}

/* ---- commands ---- */

static void command_help(const struct oci_command *cmd)
{
	printf("Usage: coffer-oci %s %s\n\n%s.\n\nOptions:\n", cmd->name, cmd->usage, cmd->help);
	opt_print(cmd->rows, cmd->nrows, stdout);
}

static void command_help_all(void)
{
	fputs("Usage: coffer-oci [OPTION...] COMMAND [ARG...]\n\n"
	      "OCI runtime: containers on this host's kernel.\n\nCommands:\n",
	      stdout);
	for (size_t i = 0; i < ARRAY_SIZE(command_table); i++)
		printf("  %-26s %s\n", command_table[i]->name, command_table[i]->help);
	fputs("\nOptions:\n", stdout);
	opt_print(command_rows, ARRAY_SIZE(command_rows), stdout);
	fputs("\n\"coffer-oci COMMAND --help\" tells a command's options.\n", stdout);
}

static const struct oci_command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(command_table); i++)
		if (strcmp(command_table[i]->name, name) == 0)
			return command_table[i];
	return NULL;
}

static void command_free_lists(const struct oci_command *cmd, char *opts)
{
	for (size_t i = 0; i < cmd->nrows; i++)
		if (cmd->rows[i].type == OPT_LIST)
			opt_list_free((struct opt_list *)(void *)(opts + cmd->rows[i].offset));
}

/* Return: exit code, or negative errno */
static int command_call(const struct oci *oci, const struct oci_command *cmd, int argc,
			char *argv[], char *opts, struct coffer_error *err)
{
	unsigned how = OPT_ONE_DASH | (cmd->options_first ? 0 : OPT_ANYWHERE);
	int rest, nargs, r;

	r = opt_parse(cmd->rows, cmd->nrows, how, argc, argv, opts, &rest, err);
	if (r < 0)
		return err_wrap(err, "%s", cmd->name);
	if (((const struct oci_no_opts *)(const void *)opts)->help) {
		command_help(cmd);
		return 0;
	}
	nargs = argc - rest;
	if (nargs < cmd->min_args || (cmd->max_args >= 0 && nargs > cmd->max_args))
		return err_invalid(err, "%s: %s arguments (usage: coffer-oci %s%s%s)", cmd->name,
				   nargs < cmd->min_args ? "missing" : "too many", cmd->name,
				   cmd->usage[0] ? " " : "", cmd->usage);
	return cmd->fn(oci, opts, nargs, argv + rest, err);
}

static int command_run(const struct oci *oci, const struct oci_command *cmd, int argc,
		       char *argv[])
{
	_Alignas(max_align_t) char opts[OCI_OPTS_MAX] = { 0 };
	struct coffer_error err = COFFER_ERROR_INIT;
	int code = command_call(oci, cmd, argc, argv, opts, &err);

	command_free_lists(cmd, opts);
	if (code < 0)
		return command_fail(&err, cmd->failure ? cmd->failure : OCI_EXIT_ERROR);
	if (fflush(stdout) != 0) {
		err_sys(&err, "write standard output");
		return command_fail(&err, OCI_EXIT_ERROR);
	}
	return code;
}

static int command_version(void)
{
	/* What clients of runc read, then what those of crun look for. */
	printf("coffer-oci version %s\nspec: %s\n"
	       "+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF\n",
	       OCI_PROGRAM_VERSION, OCI_VERSION);
	return 0;
}

int oci_main(int argc, char *argv[], int (*protect)(char *argv[], struct coffer_error *err))
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct command_globals globals = { 0 };
	const struct oci_command *cmd;
	struct oci oci = { 0 };
	char root[PATH_MAX];
	int rest;

	io_open_standard();
	log_to_fd(STDERR_FILENO, LOG_FORMAT_TEXT);
	if (opt_parse(command_rows, ARRAY_SIZE(command_rows), OPT_ONE_DASH, argc, argv, &globals,
		      &rest, &err) < 0)
		return command_fail(&err, OCI_EXIT_ERROR);
	if (globals.version)
		return command_version();
	if (globals.help || rest == argc || strcmp(argv[rest], "help") == 0) {
		command_help_all();
		return 0;
	}
	if (command_start_log(&globals, &err) < 0)
		return command_fail(&err, OCI_EXIT_ERROR);
	cmd = command_find(argv[rest]);
	if (!cmd) {
		err_invalid(&err, "unknown command %s (see coffer-oci --help)", argv[rest]);
		return command_fail(&err, OCI_EXIT_ERROR);
	}
	if (cmd->enters && protect && protect(argv, &err) < 0)
		return command_fail(&err, OCI_EXIT_ERROR);
	if (command_globals(&globals, &oci, root, &err) < 0)
		return command_fail(&err, OCI_EXIT_ERROR);
	return command_run(&oci, cmd, argc - rest, argv + rest);
}
