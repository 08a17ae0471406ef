/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer/container.h - containers, each in a virtual machine of its own, and
 * the processes in them
 *
 *	                                                   PAUSED
 *	                                              pause |  ^ resume, stop
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
 * must be the last call on the container and its processes.  Of create, start,
 * stop, pause and resume one at a time runs on a container; all other calls,
 * however long they take, neither wait for another nor make one wait.
 *
 * A machine may end by itself, or fall silent.  Its container is errored then,
 * with the cause; coffer_container_death() has the details.
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

#include "coffer/copy.h"
#include "coffer/error.h"
#include "coffer/event.h"
#include "coffer/mount.h"
#include "coffer/process.h"
#include "coffer/record.h"
#include "coffer/socket.h"
#include "coffer/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

#define COFFER_MEMORY_MIN (UINT64_C(80) << 20) /* bytes; with less the guest does not boot */

struct coffer_container; /* opaque, made by coffer_container_new() */

enum coffer_state {
	COFFER_STATE_INITIALIZED, /* nothing runs, nothing is held */
	COFFER_STATE_CREATED,     /* the machine is up, no user code has run */
	COFFER_STATE_STARTED,     /* init has been started; it may have ended since */
	COFFER_STATE_PAUSED,      /* as started, but the machine stands still */
	COFFER_STATE_STOPPED,     /* nothing runs, nothing is held */
	COFFER_STATE_ERRORED,     /* as stopped, for good; the cause is kept */
	COFFER_STATE_COUNT,
};

/* Limits of the container inside its machine; 0: none. */
struct coffer_resources {
	uint64_t memory;     /* bytes */
	uint64_t pids;
	uint64_t cpu_quota;  /* microseconds in every cpu_period */
	uint64_t cpu_period; /* 0: 100000 */
};

/* /etc/resolv.conf of the container, when any of it is set. */
struct coffer_dns {
	const char *const *nameservers; /* IP addresses; these lists NULL-terminated or NULL */
	const char *const *searches;
	const char *const *options;
	const char *domain;
};

/* A container. Begin with COFFER_CONTAINER_CONFIG_INIT. */
struct coffer_container_config {
	size_t size;          /* sizeof(struct coffer_container_config) */
	const char *rootfs;   /* directory or file with an ext4 or erofs image. NULL: the built-in
			       * busybox */
	bool rootfs_share;    /* a directory: share it live instead of copying it */
	bool read_only;       /* the root file system refuses writes */
	struct coffer_layer layer; /* where writes into the root go */
	const struct coffer_mount *mounts;
	size_t nmounts;
	const struct coffer_relay *relays;
	size_t nrelays;
	const char *hostname; /* NULL: the id */
	const char *const *hosts;   /* "name:address" for /etc/hosts; NULL-terminated or NULL */
	struct coffer_dns dns;
	const char *const *sysctls; /* "key=value"; NULL-terminated or NULL */
	unsigned cpus;        /* at most 64; 0: 1 */
	uint64_t memory;      /* bytes of the machine, COFFER_MEMORY_MIN to 1 TiB, rounded up to
			       * 1 MiB; 0: 256 MiB, or resources.memory and 128 MiB more */
	struct coffer_resources resources;
	bool init;            /* run the program below an init that reaps orphans and passes signals
			       * on */
	const char *platform; /* "linux/ARCH" of the root's programs. NULL: this machine's; others
			       * are emulated by qemu-user, which must be installed */
	const char *sandbox;  /* the wall: "vm", a virtual machine; "sentry", an application
			       * kernel, which needs no KVM and starts in milliseconds; "auto".
			       * NULL: $COFFER_SANDBOX, else "vm" */
	bool strace;          /* of a sentry: its programs' system calls go to the log, at level
			       * info, as strace(1) writes them */
	const char *trace;    /* of a sentry: a file, made if need be, that starts, clones, execs and
			       * exits of its processes are added to as lines of JSON. NULL: none */
	const char *machine;  /* of a vm: "auto" (NULL), "qemu-kvm" or "qemu-tcg" */
	const char *kernel;   /* path; NULL: the one installed with the library */
	const char *initrd;   /* path; NULL: likewise */
	const char *run_dir;  /* absolute; where run directories are made. NULL: $COFFER_RUN,
			       * else /run/coffer for root, else $XDG_RUNTIME_DIR/coffer,
			       * else /tmp/coffer-UID */
	const struct coffer_process_config *process; /* init; required */
	const char *const *labels; /* "key=value", told by inspect; NULL-terminated or NULL */
	bool keep;                 /* what inspect says outlives the container, and its owner, in
				    * the run directory until coffer_record_remove() */
	const char *stop_signal;   /* the first of coffer_container_stop(). NULL: "TERM" */
	uint64_t stop_grace;       /* microseconds for those who stop it without saying, told by
				    * inspect; 0: 10 s */
	const char *image;         /* name and id of the image that rootfs is of, told by inspect; */
	const char *image_id;      /* NULL: none */
};
#define COFFER_CONTAINER_CONFIG_INIT { .size = sizeof(struct coffer_container_config) }

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

/* A stretch of the last create and start; they follow each other without a gap. */
struct coffer_phase {
	const char *name;  /* static, such as "machine-spawn", "kernel", "start-process" */
	uint64_t begin;    /* CLOCK_MONOTONIC, microseconds */
	uint64_t duration; /* microseconds */
};
#define COFFER_PHASES_MAX 32

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

/* coffer_container_state() - As it is now; a call that is under way may be changing it */
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
 * From created, started, paused or stopped (does nothing).  Waiters of
 * processes that still ran get 137.  Every step of it is tried, whatever
 * fails.  Disks have been written back; a private layer is gone with it.
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

/* coffer_container_phases() - Fill at most COFFER_PHASES_MAX of @out. Return: how many */
COFFER_PUBLIC size_t coffer_container_phases(struct coffer_container *container,
					     struct coffer_phase out[COFFER_PHASES_MAX]);

/**
 * coffer_container_pause() - Have the machine stand still, from started
 *
 * Waits go on waiting; calls that need the guest fail with invalid-state.
 */
COFFER_PUBLIC int coffer_container_pause(struct coffer_container *container,
					 struct coffer_error *err);
/* coffer_container_resume() - From paused; then the guest's clock is right within a second */
COFFER_PUBLIC int coffer_container_resume(struct coffer_container *container,
					  struct coffer_error *err);

/* coffer_container_kill_all() - @sig to every process of it; none forks its way out */
COFFER_PUBLIC int coffer_container_kill_all(struct coffer_container *container, int sig,
					    struct coffer_error *err);

/* coffer_container_update() - Change limits while started; fields of 0 stay as they are */
COFFER_PUBLIC int coffer_container_update(struct coffer_container *container,
					  const struct coffer_resources *resources,
					  struct coffer_error *err);

/* How a container's machine ended, if nobody asked it to. */
struct coffer_death {
	size_t size;      /* sizeof(struct coffer_death), set by the caller */
	char process[64]; /* "coffer-vmm", "qemu", "virtiofsd", "kernel" (panic), "agent" */
	int exit_code;    /* of it, -1: not known */
	int signal;       /* that killed it; 0: none */
	bool oom;         /* the host's kernel did, for want of memory */
	struct coffer_error cause; /* the same in words */
	char console[2048]; /* the guest's last lines; control characters replaced */
};

/* coffer_container_death() - Errors: empty (it has not died) */
COFFER_PUBLIC int coffer_container_death(struct coffer_container *container,
					 struct coffer_death *out, struct coffer_error *err);

/**
 * coffer_container_inspect() - All there is to say about it, as a JSON object
 * @json:	Set to a string that the caller frees with free(3)
 */
COFFER_PUBLIC int coffer_container_inspect(struct coffer_container *container, char **json,
					   struct coffer_error *err);

/**
 * coffer_container_open() - A live container that another process owns
 * @run_dir:	As in the configuration
 * @out:	Give it back with coffer_container_free(), which leaves the container alone
 *
 * Everything works as on one's own but create, start, cancel and the stream of
 * a process that was not started through @out.
 *
 * Errors: not-found, interrupted (its owner is gone)
 */
COFFER_PUBLIC int coffer_container_open(const char *run_dir, const char *id,
					struct coffer_container **out, struct coffer_error *err);

/* coffer_container_find_process() - By its id; init's is the container's. Errors: not-found */
COFFER_PUBLIC int coffer_container_find_process(struct coffer_container *container, const char *id,
						struct coffer_process **out,
						struct coffer_error *err);

/* coffer_container_process() - Its first process (init); borrowed, there from new to free */
COFFER_PUBLIC struct coffer_process *coffer_container_process(struct coffer_container *container);

/**
 * coffer_container_exec() - Run a further process in a started container
 * @id:		As a container's, unique in the container, also after its end. NULL: generated
 * @out:	Set to the running process; borrowed, there until the container is freed
 *
 * What @config does not set is as init's configuration has it.  One that fails
 * leaves the container as it was.  At most 200 run at a time.
 *
 * Errors: invalid-argument, already-exists (@id), not-found (no such program),
 * others with EACCES (it cannot be executed), timeout, interrupted
 */
COFFER_PUBLIC int coffer_container_exec(struct coffer_container *container, const char *id,
					const struct coffer_process_config *config,
					struct coffer_process **out, struct coffer_error *err);

#ifdef __cplusplus
}
#endif

#endif /* COFFER_CONTAINER_H */
