/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/session.c - a process in a container with its streams, terminal and signals here
 *
 *	main thread      waits for the process
 *	signal thread    forwards signals (signals.c)
 *	stream threads   copy stdin, stdout, stderr (relay.c), or fill the log
 *
 * Used by run.c for a container's first process and by exec.c for others.
 */
#include "cli/session.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/tty.h"
#include "cli/cli.h"

static const char *const session_streams[] = { "stdin", "stdout", "stderr" };

int session_open(struct session *s, struct coffer_error *err)
{
	s->stdin_fd = -1;
	s->ended_fd = eventfd(0, EFD_CLOEXEC);
	return s->ended_fd < 0 ? err_sys(err, "make an eventfd") : 0;
}

void session_close(struct session *s)
{
	free(s->streams);
	close_fd(&s->stdin_fd);
	close_fd(&s->ended_fd);
}

int session_check_tty(const char *verb, struct coffer_error *err)
{
	return isatty(STDIN_FILENO)
		   ? 0
		   : err_invalid(err, "%s: the input device is not a TTY", verb);
}

void session_stdio(struct session *s, bool interactive, bool tty, bool output,
		   struct coffer_process_config *cfg)
{
	s->tty = tty && !s->log;
	cfg->terminal = tty;
	if (output)
		cfg->stdio[COFFER_STDOUT].mode = COFFER_STDIO_PIPE;
	if (interactive || tty)
		cfg->stdio[COFFER_STDIN].mode = COFFER_STDIO_PIPE;
	if (output && !tty)
		cfg->stdio[COFFER_STDERR].mode = COFFER_STDIO_PIPE;
	if (s->tty)
		tty_size(STDIN_FILENO, &s->rows, &s->columns);
	cfg->rows = s->rows;
	cfg->columns = s->columns;
}

static int session_log_streams(struct session *s, struct coffer_error *err)
{
	if (!s->log)
		return 0;
	s->streams = calloc(COFFER_STREAM_COUNT, sizeof(*s->streams));
	if (!s->streams)
		return err_nomem(err);
	for (int i = 0; i < COFFER_STREAM_COUNT; i++) {
		s->streams[i].log = s->log;
		s->streams[i].name = session_streams[i];
	}
	return 0;
}

static int session_start_relay(struct session *s, int i, int fd, struct coffer_error *err)
{
	struct relay *relay = &s->relays[i];

	relay->output = i != COFFER_STDIN;
	relay->from = relay->output ? fd : i;
	relay->to = relay->output ? i : fd;
	relay->ended_fd = s->ended_fd;
	if (s->log) {
		relay->sink = logfile_write;
		relay->sink_data = &s->streams[i];
	}
	return relay_start(relay, err);
}

/* A stream that is not there gets no relay. */
static int session_start_relays(struct session *s, struct coffer_error *err)
{
	int r = session_log_streams(s, err);

	for (int i = 0; r == 0 && i < COFFER_STREAM_COUNT; i++) {
		int fd = coffer_process_take_stream(s->process, (enum coffer_stream)i);

		if (fd >= 0 && s->log && i == COFFER_STDIN)
			s->stdin_fd = fd;
		else if (fd >= 0)
			r = session_start_relay(s, i, fd, err);
	}
	return r;
}

/* Until now nobody cared for changes of the window. */
static void session_resize(const struct session *s)
{
	uint16_t rows, columns;

	if (!s->tty)
		return;
	tty_size(STDIN_FILENO, &rows, &columns);
	if (rows > 0 && columns > 0 && (rows != s->rows || columns != s->columns))
		coffer_process_resize(s->process, rows, columns, NULL);
}

/* A program whose output was lost has not done what it says it has. */
static int session_finish_relays(struct session *s, struct coffer_error *err)
{
	static const char *const names[] = { "read standard input", "write standard output",
					     "write standard error" };
	int r = 0;

	for (int i = 0; i < COFFER_STREAM_COUNT; i++) {
		relay_finish(&s->relays[i]);
		if (s->relays[i].error)
			r = err_sysn(err, s->relays[i].error, "%s", names[i]);
		if (s->streams)
			logfile_end(&s->streams[i]);
	}
	return r;
}

int session_run(struct session *s)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_exit end = { .code = CLI_EXIT_ERROR };
	const uint64_t one = 1;
	int r, lost;

	atomic_store(&s->signals.started, true);
	r = session_start_relays(s, &err);
	session_resize(s);
	if (r == 0)
		r = coffer_process_wait(s->process, COFFER_FOREVER, &end, &err);
	s->ended = clock_now();
	if (write(s->ended_fd, &one, sizeof(one)) < 0 && r == 0)
		r = err_sys(&err, "write to an eventfd");
	lost = session_finish_relays(s, r < 0 ? NULL : &err);
	tty_restore();
	return r < 0 || lost < 0 ? cli_fail(&err) : end.code;
}
