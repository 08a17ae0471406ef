/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer/process.h - a program in a container: its init, or an exec
 *
 * Processes belong to their container: pointers are borrowed and there until
 * coffer_process_delete() or the container's free.  Functions and threads as
 * container.h says.
 */
#ifndef COFFER_PROCESS_H
#define COFFER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "coffer/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define COFFER_ID_MAX  64         /* characters of a container or process id */
#define COFFER_FOREVER UINT64_MAX /* a timeout that never comes */

struct coffer_process; /* opaque, owned by its container */

enum coffer_stream {
	COFFER_STDIN = 0,
	COFFER_STDOUT = 1,
	COFFER_STDERR = 2,
	COFFER_STREAM_COUNT,
};

/* What a stream of a process is outside. */
enum coffer_stdio_mode {
	COFFER_STDIO_NULL,    /* nothing: /dev/null inside */
	COFFER_STDIO_PIPE,    /* coffer_process_take_stream() gives the caller's end */
	COFFER_STDIO_INHERIT, /* the caller's own stream of the same number */
	COFFER_STDIO_FD,      /* .fd, of which the library keeps a duplicate */
};

struct coffer_stdio {
	enum coffer_stdio_mode mode;
	int fd; /* with COFFER_STDIO_FD */
};

/* Names and meanings of setrlimit(2); RLIM_INFINITY is UINT64_MAX. */
struct coffer_rlimit {
	const char *type; /* "RLIMIT_NOFILE" ... */
	uint64_t soft, hard;
};

/*
 * What to run.  Begin with COFFER_PROCESS_CONFIG_INIT.  For an exec, what is
 * not set here is as init's configuration has it, but for args, terminal and
 * stdio; so an exec is never less confined by default.
 */
struct coffer_process_config {
	size_t size;             /* sizeof(struct coffer_process_config) */
	const char *const *args; /* program and arguments, NULL-terminated; at least one */
	const char *const *env;  /* "KEY=value" over the default PATH (an exec's: over init's);
				  * NULL-terminated or NULL */
	const char *cwd;         /* absolute; made when missing. NULL: "/" */
	const char *user;        /* "name", "uid", "uid:gid", "name:group". NULL: root */
	const uint32_t *groups;  /* additional group ids */
	size_t ngroups;
	bool terminal;           /* on a terminal: stdin and stdout carry it, stderr must be null */
	uint16_t rows;           /* initial size of the terminal; 0: unset */
	uint16_t columns;
	struct coffer_stdio stdio[COFFER_STREAM_COUNT];
	const char *const *cap_add;  /* "CAP_NET_ADMIN", "NET_ADMIN" or "ALL", over the usual 14; */
	const char *const *cap_drop; /* dropped before; NULL-terminated or NULL */
	const struct coffer_rlimit *rlimits;
	size_t nrlimits;
	bool no_new_privs;
	const char *seccomp; /* the "linux.seccomp" object of an OCI document, JSON. NULL: none */
};
#define COFFER_PROCESS_CONFIG_INIT { .size = sizeof(struct coffer_process_config) }

/* How a process ended. */
struct coffer_exit {
	int code;                  /* 0 to 255: its status, or 128 + signal */
	struct timespec exited_at; /* by the clock of the guest; 0 when unknown */
};

/* coffer_process_id() - An exec's id, or its container's for init; borrowed */
COFFER_PUBLIC const char *coffer_process_id(const struct coffer_process *process);

/* coffer_process_pid() - Its number as the guest sees it, -1 before start */
COFFER_PUBLIC int coffer_process_pid(struct coffer_process *process);

/**
 * coffer_process_take_stream() - The caller's end of one of its streams
 *
 * A connected stream socket, blocking.  Shut stdin down for writing (or close
 * it) to give the program its end of file; output ends with end of file.
 *
 * Return: descriptor, now the caller's to close; -1 if it is no
 * COFFER_STDIO_PIPE, not started, or taken already
 */
COFFER_PUBLIC int coffer_process_take_stream(struct coffer_process *process,
					     enum coffer_stream stream);

/**
 * coffer_process_wait() - Wait until it has ended
 * @timeout:	Microseconds; 0 only looks, COFFER_FOREVER waits for ever
 * @status:	May be NULL
 *
 * Any number of threads may wait, also after the end and after the container's
 * stop; all get the same status.  What of its output the library copies has
 * been written then, unless nothing comes for 3 s after the end.  A machine
 * that ends, asked or not, ends its processes with 137.
 *
 * Errors: timeout (it still runs), invalid-state (not started); the container's
 * cause, when it became errored before the start
 */
COFFER_PUBLIC int coffer_process_wait(struct coffer_process *process, uint64_t timeout,
				      struct coffer_exit *status, struct coffer_error *err);

/**
 * coffer_process_wait_or() - coffer_process_wait() that somebody can call off
 * @cancel_fd:	The wait fails with COFFER_ERR_CANCELLED once it is readable; -1: none
 *
 * Nothing of a wait that was called off stays behind, here or inside.
 */
COFFER_PUBLIC int coffer_process_wait_or(struct coffer_process *process, uint64_t timeout,
					 int cancel_fd, struct coffer_exit *status,
					 struct coffer_error *err);

/**
 * coffer_process_wait_fd() - A descriptor for poll(2)
 *
 * Readable when coffer_process_wait() with timeout 0 should be tried (it may
 * still say timeout), and for ever once the process has ended.  Borrowed;
 * valid until the container is created anew or freed.
 *
 * Return: descriptor, or -1 before start
 */
COFFER_PUBLIC int coffer_process_wait_fd(struct coffer_process *process);

/**
 * coffer_process_kill() - Send a signal
 * @sig:	1 to 64
 *
 * After its end: 0, nothing is sent.
 *
 * Errors: invalid-argument (@sig), timeout (the machine does not answer)
 */
COFFER_PUBLIC int coffer_process_kill(struct coffer_process *process, int sig,
				      struct coffer_error *err);

/**
 * coffer_process_kill_foreground() - A signal to the foreground process group of its terminal
 *
 * What a key like Ctrl-C would reach.  Errors: as kill; unsupported (no terminal)
 */
COFFER_PUBLIC int coffer_process_kill_foreground(struct coffer_process *process, int sig,
						 struct coffer_error *err);

/**
 * coffer_signal_parse() - "KILL", "SIGKILL", "9", "RTMIN+3", in any case
 *
 * Return: 1 to 64; -EINVAL with an error that names @text
 */
COFFER_PUBLIC int coffer_signal_parse(const char *text, struct coffer_error *err);

/* coffer_process_resize() - Set its terminal's size. Errors: unsupported (no terminal) */
COFFER_PUBLIC int coffer_process_resize(struct coffer_process *process, uint16_t rows,
					uint16_t columns, struct coffer_error *err);

/* coffer_process_close_stdin() - End of file for the program after what was written; idempotent */
COFFER_PUBLIC int coffer_process_close_stdin(struct coffer_process *process,
					     struct coffer_error *err);

/**
 * coffer_process_delete() - Forget an exec that has ended; its id is free again
 * @force:	Kill one that runs
 *
 * The pointer is invalid afterwards.  Threads that wait for it get its exit
 * first.  Init is deleted by its container's stop.
 *
 * Errors: invalid-state (it runs and @force is not set; it is init)
 */
COFFER_PUBLIC int coffer_process_delete(struct coffer_process *process, bool force,
					struct coffer_error *err);

#ifdef __cplusplus
}
#endif

#endif /* COFFER_PROCESS_H */
