/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/streams.c - a process' standard streams: connections to the host and relays
 *
 *	host port <--vsock--> relay <--pipe--> process
 *	host port <--vsock--> relay <--terminal master--> process     (stdin and stdout only)
 *
 * Order: dial (at CreateProcess, so that a host that does not listen is an
 * error of that call), pipes, start, process_ended.  The connections come up
 * while the engine works; relays run from the start of the process on, and
 * whatever the host sends earlier waits in its socket.
 *
 * Callers: process.c.
 */
#include "agent/streams.h"

#include <fcntl.h>
#include <unistd.h>

#include "agent/link.h"
#include "base/io.h"

/* Room for a burst of output while the loop is busy; the kernel may grant less.  A terminal holds
 * less, so this is also the most that a process can have left behind when it ends. */
#define STREAMS_PIPE_SIZE (1 << 20)

/* CloseProcessStdin travels on another connection and may overtake the data. */
#define STREAMS_STDIN_QUIET (100 * USEC_PER_MSEC)

void streams_init(struct streams *s, struct agent *agent)
{
	*s = (struct streams){ .agent = agent };
	for (int i = 0; i < STREAM_COUNT; i++)
		s->stream[i].sock = s->stream[i].ours = s->stream[i].childs = -1;
}

static bool streams_dialling(const struct streams *s)
{
	for (int i = 0; i < STREAM_COUNT; i++)
		if (s->stream[i].dialling)
			return true;
	return false;
}

/* The callback may free the streams: nothing may be touched after it. */
static void streams_report(struct streams *s, const struct coffer_error *err)
{
	streams_dialled done = steal_ptr(s->done);

	if (done)
		done(s->data, err);
}

static void streams_dial_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct streams *s = data;
	struct stream *st = s->stream;

	while (st->dialling != src)
		st++;
	loop_remove(steal_ptr(st->dialling));
	if (link_dialled(fd, st->port, &err) < 0)
		streams_report(s, &err);
	else if (!streams_dialling(s))
		streams_report(s, NULL);
}

int streams_dial(struct streams *s, struct coffer_error *err)
{
	int r = 0;

	for (int i = 0; i < STREAM_COUNT && r == 0; i++) {
		struct stream *st = &s->stream[i];

		if (!st->wanted)
			continue;
		r = st->sock = link_dial(s->agent, st->port, err);
		if (r >= 0)
			r = loop_add_fd(s->agent->loop, st->sock, EPOLLOUT, streams_dial_handler, s,
					&st->dialling, err);
	}
	if (r < 0)
		streams_free(s);
	return r;
}

void streams_when_dialled(struct streams *s, streams_dialled done, void *data)
{
	s->done = done;
	s->data = data;
	if (!streams_dialling(s))
		streams_report(s, NULL);
}

static int streams_pipe(struct stream *st, bool input, struct coffer_error *err)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	st->ours = p[input ? 1 : 0];
	st->childs = p[input ? 0 : 1];
	fcntl(st->ours, F_SETPIPE_SZ, STREAMS_PIPE_SIZE);
	return io_set_nonblock(st->ours, true);
}

int streams_pipes(struct streams *s, struct engine_stdio *out, struct coffer_error *err)
{
	int r = 0;

	for (int i = 0; i < STREAM_COUNT && r == 0; i++)
		if (s->stream[i].wanted)
			r = streams_pipe(&s->stream[i], i == STREAM_IN, err);
	*out = (struct engine_stdio){
		.in = s->stream[STREAM_IN].childs,
		.out = s->stream[STREAM_OUT].childs,
		.err = s->stream[STREAM_ERR].childs,
	};
	return r;
}

void streams_close_child(struct streams *s)
{
	for (int i = 0; i < STREAM_COUNT; i++)
		close_fd(&s->stream[i].childs);
}

/* The terminal serves both directions; a descriptor can be watched only once, so each has its own.
 */
static int streams_open_tty(struct streams *s, int ptmx, struct coffer_error *err)
{
	int r = io_set_nonblock(ptmx, true);

	for (int i = STREAM_IN; i <= STREAM_OUT && r == 0; i++) {
		if (!s->stream[i].wanted)
			continue;
		s->stream[i].ours = fcntl(ptmx, F_DUPFD_CLOEXEC, 3);
		if (s->stream[i].ours < 0)
			r = -errno;
	}
	return r < 0 ? err_sysn(err, r, "terminal master") : 0;
}

static int streams_start_stream(struct streams *s, int i, struct coffer_error *err)
{
	struct stream *st = &s->stream[i];
	int src = i == STREAM_IN ? st->sock : st->ours;
	int dst = i == STREAM_IN ? st->ours : st->sock;
	int r;

	if (src < 0 || dst < 0)
		return 0;
	r = relay_new(s->agent->loop, src, dst, &st->relay, err);
	if (r == 0)
		st->sock = st->ours = -1;
	return r;
}

int streams_start(struct streams *s, int ptmx, struct coffer_error *err)
{
	int r = 0;

	if (ptmx >= 0)
		r = streams_open_tty(s, ptmx, err);
	for (int i = 0; i < STREAM_COUNT && r == 0; i++)
		r = streams_start_stream(s, i, err);
	if (r == 0 && s->stdin_closed)
		streams_close_stdin(s);
	return r;
}

void streams_close_stdin(struct streams *s)
{
	struct relay *relay = s->stream[STREAM_IN].relay;

	s->stdin_closed = true;
	if (relay)
		relay_finish_quiet(relay, clock_budget(STREAMS_STDIN_QUIET));
}

void streams_process_ended(struct streams *s)
{
	relay_free(steal_ptr(s->stream[STREAM_IN].relay));
	for (int i = 0; i < STREAM_COUNT; i++) {
		struct stream *st = &s->stream[i];

		if (st->relay) {
			relay_finish(st->relay, STREAMS_PIPE_SIZE);
		} else if (!st->dialling) {
			/* It never ran its program: nothing will come, and the host waits. */
			close_fd(&st->sock);
			close_fd(&st->ours);
		}
	}
}

void streams_free(struct streams *s)
{
	for (int i = 0; i < STREAM_COUNT; i++) {
		struct stream *st = &s->stream[i];

		loop_remove(steal_ptr(st->dialling));
		relay_free(steal_ptr(st->relay));
		close_fd(&st->sock);
		close_fd(&st->ours);
		close_fd(&st->childs);
	}
	s->done = NULL;
}
