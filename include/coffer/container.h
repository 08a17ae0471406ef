/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer/container.h - containers, each in a virtual machine of its own, and
 * the processes in them
 *
 *	new -> INITIALIZED --create--> CREATED --start--> STARTED --stop--> STOPPED
 *	                                  `-----------------stop--------------^
 *	a failed create, start or stop, or a machine that died --> ERRORED
 *
 * create boots the machine and prepares the root file system, start runs the
 * container's first process (its init).  A stopped container can be created
 * anew.  On an errored container every call fails with the stored cause; what
 * it held has been given back already.  A call in the wrong state fails with
 * COFFER_ERR_INVALID_STATE and changes nothing.
 *
 * Any thread may call anything at any time, except that coffer_container_free()
 * must be the last call on the container and its processes.  Calls on one
 * container run one after the other; only the waits and
 * coffer_container_cancel() never wait for another call.
 *
 * Functions return 0 or a negative errno and then fill *err (which may be
 * NULL).  Times are microseconds.  Strings handed in are copied.
 */
#ifndef COFFER_CONTAINER_H
#define COFFER_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "coffer/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define COFFER_ID_MAX     64                     /* characters of a container or process id */
#define COFFER_MEMORY_MIN (UINT64_C(80) << 20)   /* bytes; with less the guest does not boot */
#define COFFER_FOREVER    UINT64_MAX             /* a timeout that never comes */

struct coffer_container; /* opaque, made by coffer_container_new() */
struct coffer_process;   /* opaque, owned by its container */

enum coffer_state {
	COFFER_STATE_INITIALIZED, /* nothing runs, nothing is held */
	COFFER_STATE_CREATED,     /* the machine is up, no user code has run */
	COFFER_STATE_STARTED,     /* init has been started; it may have ended since */
	COFFER_STATE_STOPPED,     /* nothing runs, nothing is held */
	COFFER_STATE_ERRORED,     /* as stopped, for good; the cause is kept */
	COFFER_STATE_COUNT,
};

/* Which streams of a process the caller wants as descriptors; the others are
 * /dev/null inside. */
enum coffer_stream {
	COFFER_STDIN = 0,
	COFFER_STDOUT = 1,
	COFFER_STDERR = 2,
	COFFER_STREAM_COUNT,
};
#define COFFER_STREAM_BIT(stream) (1u << (stream))

/* What to run. Begin with COFFER_PROCESS_CONFIG_INIT. */
struct coffer_process_config {
	size_t size;             /* sizeof(struct coffer_process_config) */
	const char *const *args; /* program and arguments, NULL-terminated; at least one */
	const char *const *env;  /* "KEY=value" over the default PATH; NULL-terminated or NULL */
	const char *cwd;         /* absolute; made when missing. NULL: "/" */
	const char *user;        /* "name", "uid", "uid:gid", "name:group". NULL: root */
	bool terminal;           /* on a terminal: stdin and stdout carry it, stderr must be off */
	uint16_t rows;           /* initial size of the terminal; 0: unset */
	uint16_t columns;
	unsigned streams;        /* COFFER_STREAM_BIT()s */
};
#define COFFER_PROCESS_CONFIG_INIT { .size = sizeof(struct coffer_process_config) }

/* A container. Begin with COFFER_CONTAINER_CONFIG_INIT. */
struct coffer_container_config {
	size_t size;          /* sizeof(struct coffer_container_config) */
	const char *rootfs;   /* directory (copied, needs no root) or file with an ext4 or
			       * erofs image (not changed). NULL: the built-in busybox */
	bool read_only;       /* the root file system refuses writes */
	const char *hostname; /* NULL: the id */
	unsigned cpus;        /* at most 64; 0: 1 */
	uint64_t memory;      /* bytes of the machine, COFFER_MEMORY_MIN to 1 TiB, rounded up to
			       * 1 MiB; 0: 256 MiB */
	const char *machine;  /* "auto" (NULL), "qemu-kvm" or "qemu-tcg" */
	const char *kernel;   /* path; NULL: the one installed with the library */
	const char *initrd;   /* path; NULL: likewise */
	const char *run_dir;  /* absolute; where run directories are made. NULL: $COFFER_RUN,
			       * else /run/coffer for root, else $XDG_RUNTIME_DIR/coffer,
			       * else /tmp/coffer-UID */
	const struct coffer_process_config *process; /* init; required */
};
#define COFFER_CONTAINER_CONFIG_INIT { .size = sizeof(struct coffer_container_config) }

/* How a process ended. */
struct coffer_exit {
	int code;                  /* 0 to 255: its status, or 128 + signal */
	struct timespec exited_at; /* by the clock of the guest; 0 when unknown */
};

/* When the stages of the last create and start were reached: CLOCK_MONOTONIC
 * in microseconds, 0 for not yet.  The guest_* fields are durations. */
struct coffer_timing {
	size_t size;             /* sizeof(struct coffer_timing), set by the caller */
	uint64_t create_called;
	uint64_t machine_spawned; /* coffer-vmm has been started */
	uint64_t rootfs_ready;    /* the root file system's image is there */
	uint64_t machine_running; /* the machine's CPUs run */
	uint64_t agent_ready;     /* the guest's agent has announced itself */
	uint64_t created;
	uint64_t start_called;
	uint64_t started;
	uint64_t guest_kernel;    /* from the machine's first instruction to the agent's */
	uint64_t guest_agent;     /* from the agent's first instruction until ready */
};

/**
 * coffer_container_new() - A container object; nothing is started
 * @id:		1 to 64 characters of a-z A-Z 0-9 _ . - and no punctuation first. NULL: 12
 *		random hexadecimal digits
 * @config:	Copied
 * @out:	Set to the container; give it back with coffer_container_free()
 *
 * All of the configuration that can be checked without touching files is
 * checked here.
 *
 * Errors: invalid-argument (the message names the field), unsupported (a
 * config of a newer libcoffer)
 */
COFFER_PUBLIC int coffer_container_new(const char *id,
				       const struct coffer_container_config *config,
				       struct coffer_container **out, struct coffer_error *err);

/* coffer_container_free() - Stop without grace if needed, then free it and its processes */
COFFER_PUBLIC void coffer_container_free(struct coffer_container *container);

/* coffer_container_id() - The name it has or was given; borrowed, there until free */
COFFER_PUBLIC const char *coffer_container_id(const struct coffer_container *container);

/* coffer_container_state() - As it is now; waits for a call that is changing it */
COFFER_PUBLIC enum coffer_state coffer_container_state(struct coffer_container *container);

/* coffer_state_str() - "initialized", "created" ...; a static string */
COFFER_PUBLIC const char *coffer_state_str(enum coffer_state state);

/**
 * coffer_container_create() - Boot the machine and prepare the root file system
 *
 * From initialized or stopped.  Takes as long as a boot; see
 * coffer_container_cancel().
 *
 * Errors: already-exists (another live container has the id), not-found and
 * invalid-argument (rootfs, kernel ...), unsupported (machine), timeout (the
 * guest gave no sign; its last console lines are in the message), cancelled
 */
COFFER_PUBLIC int coffer_container_create(struct coffer_container *container,
					  struct coffer_error *err);

/**
 * coffer_container_start() - Run init
 *
 * When the program cannot be run the container becomes errored, and
 * coffer_process_wait() on init gives 127 (not found) or 126 (not executable).
 *
 * Errors: not-found and others of the program, by its agent's words; timeout and
 * interrupted (the agent does not answer, the machine went away), cancelled
 */
COFFER_PUBLIC int coffer_container_start(struct coffer_container *container,
					 struct coffer_error *err);

/**
 * coffer_container_stop() - End all processes and the machine
 * @grace:	Microseconds: SIGTERM first and wait this long for init to end by itself; 0:
 *		at once
 *
 * From created, started or stopped (does nothing).  Waiters of processes that
 * still ran get 137.  What the container wrote is gone with it.
 */
COFFER_PUBLIC int coffer_container_stop(struct coffer_container *container, uint64_t grace,
					struct coffer_error *err);

/**
 * coffer_container_cancel() - Make a create or start in another thread give up soon
 *
 * The one that runs, else the next one, fails with COFFER_ERR_CANCELLED.  A
 * start that succeeds all the same forgets it.  Safe in a signal handler.
 */
COFFER_PUBLIC void coffer_container_cancel(struct coffer_container *container);

/* coffer_container_timing() - Fill *@timing, whose size is set */
COFFER_PUBLIC void coffer_container_timing(struct coffer_container *container,
					   struct coffer_timing *timing);

/* coffer_container_process() - Its first process (init); borrowed, there from new to free */
COFFER_PUBLIC struct coffer_process *coffer_container_process(struct coffer_container *container);

/**
 * coffer_container_exec() - Run a further process in a started container
 * @id:		As a container's, unique in the container, also after its end. NULL: generated
 * @out:	Set to the running process; borrowed, there until the container is freed
 *
 * Environment, directory and user are those of @config alone.  One that fails
 * leaves the container as it was.
 *
 * Errors: invalid-argument, already-exists (@id), those of the program,
 * timeout, interrupted
 */
COFFER_PUBLIC int coffer_container_exec(struct coffer_container *container, const char *id,
					const struct coffer_process_config *config,
					struct coffer_process **out, struct coffer_error *err);

/* coffer_process_pid() - Its number as the guest sees it, -1 before start */
COFFER_PUBLIC int coffer_process_pid(struct coffer_process *process);

/**
 * coffer_process_take_stream() - The caller's end of one of its streams
 *
 * A connected stream socket, blocking.  Shut stdin down for writing (or close
 * it) to give the program its end of file; output ends with end of file.
 *
 * Return: descriptor, now the caller's to close; -1 if not asked for in
 * streams, not started, or taken already
 */
COFFER_PUBLIC int coffer_process_take_stream(struct coffer_process *process,
					     enum coffer_stream stream);

/**
 * coffer_process_wait() - Wait until it has ended
 * @timeout:	Microseconds; 0 only looks, COFFER_FOREVER waits for ever
 * @status:	May be NULL
 *
 * Any number of threads may wait, also after the end and after the container's
 * stop; all get the same status.
 *
 * Errors: timeout (it still runs), invalid-state (not started),
 * interrupted (the machine went away; the message has its last console lines)
 */
COFFER_PUBLIC int coffer_process_wait(struct coffer_process *process, uint64_t timeout,
				      struct coffer_exit *status, struct coffer_error *err);

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

/* coffer_process_resize() - Set its terminal's size. Errors: unsupported (no terminal) */
COFFER_PUBLIC int coffer_process_resize(struct coffer_process *process, uint16_t rows,
					uint16_t columns, struct coffer_error *err);

/* coffer_process_close_stdin() - End of file for the program after what was written; idempotent */
COFFER_PUBLIC int coffer_process_close_stdin(struct coffer_process *process,
					     struct coffer_error *err);

#ifdef __cplusplus
}
#endif

#endif /* COFFER_CONTAINER_H */
