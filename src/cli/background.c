/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/background.c - coffer run -d: a process of ours that owns the container
 *
 *	coffer run -d --fork--> owner: setsid, create, start --report--> then it waits, as run does
 *	      `-- waits for the report, prints the id or the error, exits
 *
 * There is no daemon: the owner is what would otherwise stay in the foreground.
 */
#include "cli/background.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cli/cli.h"

static const int background_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/* Signals that have come since the last look go to the owner, which gives up. */
static int background_pass_on(int signal_fd, pid_t owner)
{
	struct signalfd_siginfo si;

	if (read(signal_fd, &si, sizeof(si)) != sizeof(si))
		return 0;
	/* It has ended but for its report: then that counts. */
	kill(owner, (int)si.ssi_signo);
	return (int)si.ssi_signo;
}

static int background_lost(pid_t owner)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int status;

	if (waitpid(owner, &status, 0) == owner && WIFSIGNALED(status))
		err_set(&err, COFFER_ERR_INTERRUPTED, 0,
			"run: the process in the background was killed by signal %d",
			WTERMSIG(status));
	else
		err_set(&err, COFFER_ERR_INTERRUPTED, 0,
			"run: the process in the background ended without a word");
	return cli_fail(&err);
}

/* Return: exit code */
static int background_await(int report_fd, int signal_fd, pid_t owner)
{
	struct pollfd fds[] = { { .fd = report_fd, .events = POLLIN },
				{ .fd = signal_fd, .events = POLLIN } };
	struct background_report report;
	int caught = 0;

	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			continue;
		if (fds[1].revents)
			caught = background_pass_on(signal_fd, owner);
		if (fds[0].revents)
			break;
	}
	if (io_read_full(report_fd, &report, sizeof(report)) != sizeof(report))
		return background_lost(owner);
	report.err.message[sizeof(report.err.message) - 1] = '\0';
	if (report.err.kind == COFFER_ERR_CANCELLED && caught)
		return CLI_EXIT_SIGNAL + caught;
	if (report.err.kind)
		cli_fail(&report.err);
	report.id[sizeof(report.id) - 1] = '\0';
	if (report.code == CLI_EXIT_OK)
		puts(report.id);
	return report.code;
}

static int background_wait(int report_fd, pid_t owner, const sigset_t *set)
{
	autoclose int signal_fd = signalfd(-1, set, SFD_CLOEXEC);
	struct coffer_error err = COFFER_ERROR_INIT;

	if (signal_fd < 0) {
		err_sys(&err, "signalfd");
		kill(owner, SIGTERM);
		return cli_fail(&err);
	}
	return background_await(report_fd, signal_fd, owner);
}

/* Those beyond the standard ones. More than there is room for stay open. */
static void background_note_inherited(struct background *b)
{
	autoclosedir DIR *d = opendir("/proc/self/fd");
	struct dirent *e;

	while (d && (e = readdir(d)) && b->n < BACKGROUND_FDS_MAX) {
		int fd = atoi(e->d_name);

		if (fd > STDERR_FILENO && fd != dirfd(d) && fd != b->report_fd)
			b->inherited[b->n++] = fd;
	}
}

int background_fork(struct background *out, int *code, struct coffer_error *err)
{
	autoclose int rd = -1, wr = -1;
	sigset_t set, before;
	pid_t owner;
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	rd = p[0];
	wr = p[1];
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(background_signals); i++)
		sigaddset(&set, background_signals[i]);
	sigprocmask(SIG_BLOCK, &set, &before);
	fflush(NULL);
	owner = fork();
	if (owner < 0)
		return err_sys(err, "fork");
	if (owner == 0) {
		/* Still blocked: signals.c takes them. */
		setsid();
		close_fd(&rd);
		out->report_fd = steal_fd(&wr);
		background_note_inherited(out);
		return 0;
	}
	close_fd(&wr);
	*code = background_wait(rd, owner, &set);
	return 1;
}

static void background_let_go(struct background *b, struct background_report *report)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i <= STDERR_FILENO && null >= 0; i++)
		dup2(null, i);
	if (null > STDERR_FILENO)
		close(null);
	for (size_t i = 0; i < b->n; i++)
		close(b->inherited[i]);
	if (chdir("/") < 0)
		report->code = CLI_EXIT_ERROR;
}

void background_report(struct background *b, int code, const char *id,
		       const struct coffer_error *err)
{
	struct background_report report = { .code = code };

	snprintf(report.id, sizeof(report.id), "%s", id);
	if (err)
		report.err = *err;
	/* Nobody may be left to read it. */
	signal(SIGPIPE, SIG_IGN);
	if (code == 0)
		background_let_go(b, &report);
	io_write_full(b->report_fd, &report, sizeof(report));
	close_fd(&b->report_fd);
}
