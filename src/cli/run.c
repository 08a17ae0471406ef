/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/run.c - coffer run: a program in a new container, its streams here
 *
 *	main thread      create, start, wait, stop
 *	signal thread    forwards signals (signals.c)
 *	stream threads   copy stdin, stdout, stderr (relay.c)
 *
 * The exit code is the program's, or one of enum cli_exit.
 */
#include "cli/cli.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/relay.h"
#include "cli/signals.h"
#include "base/tty.h"
#include "cli/timing.h"
#include "coffer/coffer.h"

struct run_opts {
	bool help, interactive, tty, read_only, timing;
	const char *rootfs, *name, *workdir, *user, *hostname, *machine, *kernel, *initrd;
	struct opt_list env;
	unsigned cpus;
	uint64_t memory;
};

static const char *const run_machines[] = { "auto", "qemu-kvm", "qemu-tcg", NULL };

#define FIELD(member) offsetof(struct run_opts, member)
static const struct opt_row run_rows[] = {
	{ "rootfs", 0, OPT_STRING, FIELD(rootfs), "PATH",
	  "Root: a directory (copied) or an ext4 image (not changed)" },
	{ "name", 0, OPT_STRING, FIELD(name), "NAME", "The container's id (default: random)" },
	{ "interactive", 'i', OPT_FLAG, FIELD(interactive), NULL, "Pass stdin on" },
	{ "tty", 't', OPT_FLAG, FIELD(tty), NULL, "Run on a terminal of its own; includes -i" },
	{ "env", 'e', OPT_LIST, FIELD(env), "KEY=VALUE",
	  "Set a variable (KEY alone: as it is here)" },
	{ "workdir", 'w', OPT_STRING, FIELD(workdir), "DIR", "Working directory (default: /)" },
	{ "user", 'u', OPT_STRING, FIELD(user), "USER[:GROUP]",
	  "Names or numbers (default: root)" },
	{ "hostname", 0, OPT_STRING, FIELD(hostname), "NAME", "Host name (default: the id)" },
	{ "cpus", 0, OPT_COUNT, FIELD(cpus), "N", "CPUs of the machine (default: 1)", 1, 64 },
	{ "memory", 'm', OPT_SIZE, FIELD(memory), "SIZE", "Memory of the machine (default: 256M)",
	  COFFER_MEMORY_MIN, UINT64_C(1) << 40 },
	{ "read-only", 0, OPT_FLAG, FIELD(read_only), NULL, "Refuse writes to the root" },
	{ "timing", 0, OPT_FLAG, FIELD(timing), NULL, "At the end, tell where the time went" },
	{ "machine", 0, OPT_WORD, FIELD(machine), "NAME", "auto, qemu-kvm or qemu-tcg",
	  .words = run_machines },
	{ "kernel", 0, OPT_STRING, FIELD(kernel), "FILE", "Kernel to boot" },
	{ "initrd", 0, OPT_STRING, FIELD(initrd), "FILE", "Initial ramdisk with the agent" },
	{ "help", 'h', OPT_FLAG, FIELD(help), NULL, "Show this help" },
};

/* What one run holds. */
struct run {
	const struct run_opts *opts;
	struct coffer_container *container;
	struct coffer_process *process; /* borrowed */
	struct signals signals;
	struct relay relays[COFFER_STREAM_COUNT];
	int ended_fd;		/* eventfd, readable once the program has ended */
	uint16_t rows, columns; /* of the terminal, as the program was told */
	struct coffer_timing timing;
	uint64_t ended;
};

static const char *run_pick(const char *option, const char *config)
{
	return option ? option : config;
}

/* "KEY" alone takes our value, and is dropped when we have none. The new strings are owned. */
static int run_env(const struct opt_list *given, struct opt_list *out, struct coffer_error *err)
{
	out->v = calloc(given->n + 1, sizeof(*out->v));
	if (!out->v)
		return err_nomem(err);
	for (size_t i = 0; i < given->n; i++) {
		const char *value = getenv(given->v[i]);
		char *s;

		if (!*given->v[i])
			return err_invalid(err, "option --env: empty");
		if (!strchr(given->v[i], '=') && !value)
			continue;
		if (strchr(given->v[i], '='))
			s = strdup(given->v[i]);
		else if (asprintf(&s, "%s=%s", given->v[i], value) < 0)
			s = NULL;
		if (!s)
			return err_nomem(err);
		out->v[out->n++] = s;
	}
	return 0;
}

static void run_env_free(struct opt_list *env)
{
	for (size_t i = 0; i < env->n; i++)
		free((char *)env->v[i]);
	opt_list_free(env);
}

static void run_opts_free(struct run_opts *opts)
{
	opt_list_free(&opts->env);
}

/* The library checks the values; the terminal is ours to check. */
static int run_check(struct run_opts *opts, int nargs, struct coffer_error *err)
{
	if (nargs == 0)
		return err_invalid(err, "run: no command given (see coffer run --help)");
	if (opts->tty) {
		opts->interactive = true;
		if (!isatty(STDIN_FILENO))
			return err_invalid(err, "run: the input device is not a TTY");
	}
	return 0;
}

static int run_new(struct run *run, const struct cli *cli, char *args[], struct coffer_error *err)
{
	struct coffer_container_config cfg = COFFER_CONTAINER_CONFIG_INIT;
	const struct run_opts *opts = run->opts;
	const char *run_dir = getenv("COFFER_RUN");
	struct coffer_process_config p = COFFER_PROCESS_CONFIG_INIT;
	CLEANUP(run_env_free) struct opt_list env = { 0 };
	int r;

	r = run_env(&opts->env, &env, err);
	if (r < 0)
		return r;
	cfg.rootfs = run_pick(opts->rootfs, cli->config.rootfs);
	cfg.read_only = opts->read_only;
	cfg.hostname = opts->hostname;
	cfg.cpus = opts->cpus ? opts->cpus : cli->config.cpus;
	cfg.memory = opts->memory ? opts->memory : cli->config.memory;
	cfg.machine = run_pick(opts->machine, cli->config.machine);
	cfg.kernel = run_pick(opts->kernel, cli->config.kernel);
	cfg.initrd = run_pick(opts->initrd, cli->config.initrd);
	cfg.run_dir = run_pick(run_dir && *run_dir ? run_dir : NULL, cli->config.run_dir);
	p.args = (const char *const *)args;
	p.env = env.v;
	p.cwd = opts->workdir;
	p.user = opts->user;
	p.terminal = opts->tty;
	p.stdio[COFFER_STDOUT].mode = COFFER_STDIO_PIPE;
	if (opts->interactive)
		p.stdio[COFFER_STDIN].mode = COFFER_STDIO_PIPE;
	if (opts->tty)
		tty_size(STDIN_FILENO, &run->rows, &run->columns);
	else
		p.stdio[COFFER_STDERR].mode = COFFER_STDIO_PIPE;
	p.rows = run->rows;
	p.columns = run->columns;
	cfg.process = &p;
	r = coffer_container_new(opts->name, &cfg, &run->container, err);
	if (r == 0)
		run->process = coffer_container_process(run->container);
	return r;
}

/* A stream that is not there gets no relay. */
static int run_relays(struct run *run, struct coffer_error *err)
{
	static const int ours[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };

	for (int i = 0; i < COFFER_STREAM_COUNT; i++) {
		struct relay *relay = &run->relays[i];
		int fd = coffer_process_take_stream(run->process, i), r;

		if (fd < 0)
			continue;
		relay->output = i != COFFER_STDIN;
		relay->from = relay->output ? fd : ours[i];
		relay->to = relay->output ? ours[i] : fd;
		relay->ended_fd = run->ended_fd;
		r = relay_start(relay, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The program could not be run: then the agent's verdict is the exit code. */
static int run_start_failed(struct run *run, const struct coffer_error *err)
{
	struct coffer_exit end;

	tty_restore();
	cli_fail(err);
	if (coffer_process_wait(run->process, 0, &end, NULL) == 0 &&
	    (end.code == CLI_EXIT_NOT_EXECUTABLE || end.code == CLI_EXIT_NOT_FOUND))
		return end.code;
	return CLI_EXIT_ERROR;
}

/* @err: of a failed create or start. Given up because of a signal is no error to tell. */
static int run_gave_up(struct run *run, const struct coffer_error *err)
{
	int caught = atomic_load(&run->signals.caught);

	if (err->kind == COFFER_ERR_CANCELLED && caught)
		return CLI_EXIT_SIGNAL + caught;
	return run_start_failed(run, err);
}

/* Until now nobody cared for changes of the window. */
static void run_resize(const struct run *run)
{
	uint16_t rows, columns;

	if (!run->opts->tty)
		return;
	tty_size(STDIN_FILENO, &rows, &columns);
	if (rows > 0 && columns > 0 && (rows != run->rows || columns != run->columns))
		coffer_process_resize(run->process, rows, columns, NULL);
}

/* A program whose output was lost has not done what it says it has. */
static int run_finish_relays(struct run *run, struct coffer_error *err)
{
	static const char *const names[] = { "read standard input", "write standard output",
					     "write standard error" };
	int r = 0;

	for (int i = 0; i < COFFER_STREAM_COUNT; i++) {
		relay_finish(&run->relays[i]);
		if (run->relays[i].error)
			r = err_sysn(err, run->relays[i].error, "%s", names[i]);
	}
	return r;
}

static int run_started(struct run *run)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_exit end = { .code = CLI_EXIT_ERROR };
	const uint64_t one = 1;
	int r, lost;

	atomic_store(&run->signals.started, true);
	r = run_relays(run, &err);
	run_resize(run);
	if (r == 0)
		r = coffer_process_wait(run->process, COFFER_FOREVER, &end, &err);
	run->ended = clock_now();
	if (write(run->ended_fd, &one, sizeof(one)) < 0 && r == 0)
		r = err_sys(&err, "write to an eventfd");
	lost = run_finish_relays(run, r < 0 ? NULL : &err);
	tty_restore();
	return r < 0 || lost < 0 ? cli_fail(&err) : end.code;
}

static int run_go(struct run *run)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (coffer_container_create(run->container, &err) < 0)
		return run_gave_up(run, &err);
	if (run->opts->tty && tty_raw(STDIN_FILENO, &err) < 0)
		return cli_fail(&err);
	if (coffer_container_start(run->container, &err) < 0)
		return run_gave_up(run, &err);
	return run_started(run);
}

static void run_report(const struct run *run, const struct cli *cli)
{
	struct timing_run t = {
		.main = cli->started,
		.ended = run->ended,
		.stopped = clock_now(),
		.first_byte = run->relays[COFFER_STDOUT].first_byte,
		.container = run->timing,
	};

	timing_print(&t, stderr);
}

static int run_container(struct run *run, const struct cli *cli, char *args[])
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autoclose int ended_fd = eventfd(0, EFD_CLOEXEC);
	int code;

	run->ended_fd = ended_fd;
	if (ended_fd < 0) {
		err_sys(&err, "make an eventfd");
		return cli_fail(&err);
	}
	run->signals.terminal = run->opts->tty;
	signals_block(&run->signals);
	if (run_new(run, cli, args, &err) < 0)
		return cli_fail(&err);
	run->signals.container = run->container;
	if (signals_start(&run->signals, &err) < 0) {
		coffer_container_free(run->container);
		return cli_fail(&err);
	}
	code = run_go(run);
	tty_restore();
	run->timing.size = sizeof(run->timing);
	coffer_container_timing(run->container, &run->timing);
	signals_stop(&run->signals);
	coffer_container_free(run->container);
	return code;
}

static int cli_run(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	CLEANUP(run_opts_free) struct run_opts opts = { 0 };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct run run = { .opts = &opts, .ended_fd = -1 };
	int rest, code;

	if (opt_parse(run_rows, ARRAY_SIZE(run_rows), 0, argc, argv, &opts, &rest, &err) < 0) {
		err_wrap(&err, "run");
		return cli_fail(&err);
	}
	if (opts.help) {
		cli_verb_help(verb, stdout);
		return CLI_EXIT_OK;
	}
	if (run_check(&opts, argc - rest, &err) < 0)
		return cli_fail(&err);
	code = run_container(&run, cli, argv + rest);
	if (opts.timing)
		run_report(&run, cli);
	return code;
}

const struct cli_verb cli_verb_run = {
	.name = "run",
	.fn = cli_run,
	.usage = "[OPTION...] [--] COMMAND [ARG...]",
	.help = "Run a program in a new container and wait for it",
	.rows = run_rows,
	.nrows = ARRAY_SIZE(run_rows),
};
