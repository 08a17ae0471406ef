/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/run.c - coffer run: a program in a new container
 *
 *	foreground   its streams, terminal and signals are here (session.c)
 *	background   the same, in a process of our own (background.c), output to a log
 *
 * The exit code is the program's, or one of enum cli_exit.
 */
#include "cli/cli.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/tty.h"
#include "cli/background.h"
#include "cli/run_config.h"
#include "cli/target.h"
#include "cli/timing.h"

/* What one run holds. */
struct run {
	const struct cli *cli;
	const struct run_opts *opts;
	struct coffer_container *container;
	struct run_image image;
	struct session session;
	struct logfile log;
	struct background background;
	struct coffer_phase phases[COFFER_PHASES_MAX];
	size_t nphases;
};

/* Tell of the end before the start. Return: exit code */
static int run_fail(struct run *run, int code, const struct coffer_error *err)
{
	const char *id = run->container ? coffer_container_id(run->container) : "";

	tty_restore();
	if (run->background.report_fd < 0) {
		cli_fail(err);
		return code;
	}
	/* Whoever is told can use the name again. */
	if (run->container) {
		coffer_container_stop(run->container, 0, NULL);
		coffer_record_remove(target_run_dir(run->cli), id, false, NULL);
	}
	background_report(&run->background, code, id, err);
	return code;
}

/* The program could not be run: then the agent's verdict is the exit code. */
static int run_start_failed(struct run *run, const struct coffer_error *err)
{
	struct coffer_exit end;
	int code = CLI_EXIT_ERROR;

	if (coffer_process_wait(run->session.process, 0, &end, NULL) == 0 &&
	    (end.code == CLI_EXIT_NOT_EXECUTABLE || end.code == CLI_EXIT_NOT_FOUND))
		code = end.code;
	return run_fail(run, code, err);
}

/* @err: of a failed create or start. Given up because of a signal is no error to tell. */
static int run_gave_up(struct run *run, const struct coffer_error *err)
{
	int caught = atomic_load(&run->session.signals.caught);

	if (err->kind == COFFER_ERR_CANCELLED && caught && run->background.report_fd < 0)
		return CLI_EXIT_SIGNAL + caught;
	return run_start_failed(run, err);
}

static int run_write_cidfile(const struct run *run, struct coffer_error *err)
{
	const char *path = run->opts->cidfile, *id = coffer_container_id(run->container);
	autoclose int fd = -1;
	int r;

	if (!path)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(err, "run: option --cidfile: %s", path);
	r = io_write_full(fd, id, strlen(id));
	return r < 0 ? err_sysn(err, r, "run: option --cidfile: %s", path) : 0;
}

static int run_prepare(struct run *run, struct coffer_error *err)
{
	int r = run_write_cidfile(run, err);

	if (r == 0 && run->session.log)
		r = logfile_open(&run->log, run->cli, coffer_container_id(run->container), err);
	if (r == 0 && run->session.tty)
		r = tty_raw(STDIN_FILENO, err);
	return r;
}

/* A machine that ended by itself took the program with it, which is told beside its code. */
static int run_end(struct run *run, int code)
{
	struct coffer_death death = { .size = sizeof(death) };

	if (coffer_container_death(run->container, &death, NULL) == 0)
		cli_fail(&death.cause);
	return code;
}

static int run_go(struct run *run)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (coffer_container_create(run->container, &err) < 0)
		return run_gave_up(run, &err);
	if (run_prepare(run, &err) < 0)
		return run_fail(run, CLI_EXIT_ERROR, &err);
	if (coffer_container_start(run->container, &err) < 0)
		return run_gave_up(run, &err);
	if (run->background.report_fd >= 0)
		background_report(&run->background, CLI_EXIT_OK,
				  coffer_container_id(run->container), NULL);
	return run_end(run, session_run(&run->session));
}

static void run_report(const struct run *run)
{
	struct timing_run t = {
		.main = run->cli->started,
		.ended = run->session.ended,
		.stopped = clock_now(),
		.first_byte = run->session.relays[COFFER_STDOUT].first_byte,
		.nphases = run->nphases,
	};

	memcpy(t.phases, run->phases, sizeof(t.phases));
	timing_print(&t, stderr);
}

/* From here on there are threads. */
static int run_container(struct run *run)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct session *s = &run->session;
	int code;

	s->signals.terminal = s->tty;
	s->signals.process = s->process;
	s->signals.container = run->container;
	signals_block(&s->signals);
	if (signals_start(&s->signals, &err) < 0)
		return run_fail(run, CLI_EXIT_ERROR, &err);
	code = run_go(run);
	tty_restore();
	if (run->opts->timing)
		run->nphases = coffer_container_phases(run->container, run->phases);
	signals_stop(&s->signals);
	return code;
}

static int run_with(struct run *run, char *args[])
{
	struct coffer_transfer how = COFFER_TRANSFER_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	int code = 0, r = 0;

	how.platform = run->opts->platform;

	if (run->opts->detach) {
		run->session.log = &run->log;
		r = background_fork(&run->background, &code, &err);
	}
	if (r > 0)
		return code;
	if (r == 0 && run->opts->detach && run->image.name)
		r = run_image_open(&run->image, run->image.name, IMAGES_PULL_MISSING, &how, &err);
	if (r == 0)
		r = session_open(&run->session, &err);
	if (r == 0)
		r = run_new(run->opts, run->cli, &run->image, args, &run->session, &run->container,
			    &err);
	code = r < 0 ? run_fail(run, CLI_EXIT_ERROR, &err) : run_container(run);
	/* Last, for whoever follows the log: its end is the end of the container's owner. */
	logfile_close(&run->log);
	coffer_container_free(run->container);
	return code;
}

/*
 * The image, where people see how it is fetched and can end it.  What will own
 * the container in the background opens it anew: it cannot be owned by both.
 * Return: exit code
 */
static int run_fetch(struct run *run, const char *name)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct transfer t = TRANSFER_INIT;
	int r;

	t.how.platform = run->opts->platform;
	r = transfer_begin(&t, run->opts->quiet, &err);
	if (r == 0)
		r = run_image_open(&run->image, name, images_pull_parse(run->opts->pull), &t.how,
				   &err);
	if (run->opts->detach)
		run_image_close(&run->image);
	return transfer_end(&t, r, CLI_EXIT_ERROR, &err);
}

static int cli_run(const struct cli *cli, const struct cli_verb *verb, int argc, char *argv[])
{
	CLEANUP(run_opts_free) struct run_opts opts = RUN_OPTS_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct run run = { .cli = cli, .opts = &opts, .background = BACKGROUND_INIT,
			   .log = { .dir_fd = -1, .fd = -1 } };
	int rest, code;

	code = cli_options(verb, 0, argc, argv, &opts, &opts.help, 0, argc, &rest);
	if (code >= 0)
		return code;
	if (run_check(&opts, cli, argc - rest, &err) < 0)
		return cli_fail(&err);
	code = run_rootfs(&opts, cli) ? CLI_EXIT_OK : run_fetch(&run, argv[rest++]);
	if (code == CLI_EXIT_OK) {
		code = run_with(&run, argv + rest);
		session_close(&run.session);
		if (opts.timing)
			run_report(&run);
	}
	run_image_close(&run.image);
	return code;
}

const struct cli_verb cli_verb_run = {
	.name = "run",
	.fn = cli_run,
	.usage = "[OPTION...] IMAGE [COMMAND [ARG...]]",
	.help = "Run an image's program in a new container and wait for it",
	.rows = run_rows,
	.nrows = RUN_NROWS,
};
