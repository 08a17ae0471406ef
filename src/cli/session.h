/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/session.h - a process in a container with its streams, terminal and signals here
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "cli/logfile.h"
#include "cli/relay.h"
#include "cli/signals.h"

struct session {
	struct coffer_process *process; /* borrowed; set when there is one */
	bool tty;                       /* ours is the process's terminal */
	uint16_t rows, columns;         /* of it, as the process was told */
	struct logfile *log;            /* where its output goes instead of here; NULL: here */
	struct logfile_stream *streams; /* of the log, one for each stream */
	int stdin_fd;                   /* its stdin that nobody feeds, with a log */
	struct relay relays[COFFER_STREAM_COUNT];
	int ended_fd;                   /* eventfd, readable once it has ended */
	struct signals signals;
	uint64_t ended;                 /* CLOCK_MONOTONIC when the exit was known, microseconds */
};

int session_open(struct session *s, struct coffer_error *err);
void session_close(struct session *s);

/* session_stdio() - What the process is to be given: pipes, a terminal */
void session_stdio(struct session *s, bool interactive, bool tty, bool output,
		   struct coffer_process_config *cfg);

/* session_check_tty() - Is there a terminal to give? @verb: for the error */
int session_check_tty(const char *verb, struct coffer_error *err);

/**
 * session_run() - From the process's start to its end, with all it wrote
 *
 * Return: its exit code, or 125 with the reason printed
 */
int session_run(struct session *s);

#endif /* CLI_SESSION_H */
