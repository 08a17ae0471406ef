/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/engine.h - a container on the kernel we stand on: OCI spec to process
 *
 * Used by the guest agent (inside the VM) and by the OCI runtime on the host.
 * It knows nothing of VMs, images or RPC.
 *
 *	engine_create()  forks the container's init, gives it namespaces, cgroup,
 *	                 mounts, root, devices ... and leaves it waiting before execve
 *	engine_start()   lets it go; returns once execve succeeded or failed
 *	engine_exec()    a further process in a running container
 *	engine_kill(), engine_kill_all(), engine_pause(), engine_update(), engine_stats() ...
 *	engine_delete()
 *
 * A container lives on when the process that made it ends, if that one wants
 * so: it keeps what engine_create_args.record is told, makes a gate
 * (engine_create_args.gate), lets go with engine_release(), and any later
 * process takes hold again with engine_open().
 *
 * Errors before execve come back from the child as text naming the step.
 *
 * Calls clone without the C library's fork handlers, so the calling process
 * has one thread (the agent, coffer-oci, a helper the library forks).  Every
 * child but the returned ones is reaped before a call returns; no call waits
 * without limit, but for hooks without a timeout.  Needs Linux 5.12
 * (mount_setattr, openat2, clone3 into a cgroup).
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/spawn.h"
#include "engine/stats.h"
#include "spec/spec.h"

/* Descriptors for a process; -1 is /dev/null. With a terminal they are ignored. */
struct engine_stdio {
	int in, out, err;  /* borrowed */
};

struct engine_container;
struct cgroup_oom;
struct engine_process {
	struct child child;     /* the process in our pid namespace; owned */
	int ptmx;               /* terminal master when spec says terminal; owned, else -1 */
};

#define ENGINE_PROCESS_INIT { .child = CHILD_INIT, .ptmx = -1 }

enum engine_cgroup_manager {
	ENGINE_CGROUPFS, /* directories made by ourselves, v1, v2 or both */
	ENGINE_SYSTEMD,  /* a scope of systemd; cgroupsPath is "slice:prefix:name" */
	ENGINE_NO_CGROUP, /* stay in the caller's; limits are left out */
};

/* What must be kept to take hold of the container later; strings are the engine's. */
struct engine_record {
	pid_t pid;                     /* init in our pid namespace; 0: not made yet */
	uint64_t start_time;           /* of it, clock ticks since boot: /proc/PID/stat field 22 */
	const struct oci_strv *cgroup; /* words for cgroup_open(), opaque to the caller */
};

struct engine_create_args {
	const char *id;
	const char *bundle;            /* absolute directory the spec's relative root is taken from */
	const struct oci_spec *spec;   /* validated; borrowed until engine_delete() */
	struct engine_stdio stdio;
	bool own_kernel;               /* a guest of its own: global sysctls are fine */
	enum engine_cgroup_manager manager;
	/*
	 * Where init waits for engine_start() once it is set up: engine_gate_listen()'s, borrowed.
	 * -1: a private pair, and init dies with the calling thread until started.
	 */
	int gate;
	unsigned preserve_fds;         /* descriptors 3 to 3+n-1 are left open for the program */
	bool no_pivot;                 /* change the root by moving it: for a root on a ramdisk */
	bool no_new_keyring;           /* stay in the caller's session keyring */
	bool rootless;                 /* no right to cgroups is a warning, not an error */
	bool find_program;             /* one that nobody has fails here, not only at the start */
	/*
	 * Told before anything is made (pid 0: only the cgroup is decided), and again when init
	 * is there, before hooks run: what it has stored by then must be enough to clean up after
	 * a SIGKILL of the calling process.  An error ends the creation.  May be NULL.
	 */
	int (*record)(const struct engine_record *rec, void *data, struct coffer_error *err);
	void *record_data;
};

#define ENGINE_CREATE_ARGS_INIT { .stdio = { -1, -1, -1 }, .gate = -1 }

int engine_create(const struct engine_create_args *args, struct engine_container **out,
		  struct coffer_error *err);

/* engine_gate_listen() - Make a gate: the socket "gate" in the directory @dirfd. Return: descriptor */
int engine_gate_listen(int dirfd, struct coffer_error *err);
/*
 * engine_gate_connect() - For engine_open_args.gate.
 * Return: descriptor; -ENOENT or -ECONNREFUSED when nobody waits there (any more)
 */
int engine_gate_connect(int dirfd, struct coffer_error *err);
/* engine_gate_remove() - Once init has been started */
int engine_gate_remove(int dirfd, struct coffer_error *err);

struct engine_open_args {
	const char *id;
	const char *bundle;
	const struct oci_spec *spec;   /* as it was created with; borrowed until engine_delete() */
	struct engine_record record;
	int gate;                      /* for engine_start(): socket connected to the gate, or -1; owned */
	bool rootless;
};

/* engine_open() - Take hold of a container that another process made. One whose init has ended
 * can be killed (what is left of it) and deleted. */
int engine_open(const struct engine_open_args *args, struct engine_container **out,
		struct coffer_error *err);
/* engine_release() - Let go of it: it stays as it is, only the object is freed */
void engine_release(struct engine_container *c);

/* engine_init() - The init process; borrowed. Its child is reaped by the caller, else by delete.
 * Not our child after engine_open(): it can be signalled and polled, not waited for */
struct engine_process *engine_init(struct engine_container *c);
/* engine_alive() - Has init not ended yet? */
bool engine_alive(const struct engine_container *c);
/* engine_start() - On failure init is gone and reaped, and the error's errno tells
 * ENOENT (127) or EACCES, ENOEXEC (126). Runs the poststart hooks. */
int engine_start(struct engine_container *c, struct coffer_error *err);

struct engine_exec_args {
	const struct oci_process *process;
	struct engine_stdio stdio;
	unsigned preserve_fds;
	bool no_new_keyring;
	bool own_mounts; /* stay in the caller's mount namespace: the program is of there */
	const char *const *cgroups; /* "[CONTROLLER,...:]PATH" below the container's; borrowed */
	size_t ncgroups;
};

#define ENGINE_EXEC_ARGS_INIT { .stdio = { -1, -1, -1 } }

/* engine_exec() - Failures as with engine_start(); @out is filled on success only */
int engine_exec(struct engine_container *c, const struct engine_exec_args *args,
		struct engine_process *out, struct coffer_error *err);

/* engine_kill() - Signal init. Return: -ESRCH when it has ended */
int engine_kill(struct engine_container *c, int sig, struct coffer_error *err);
/* engine_kill_all() - Signal every process of the container (cgroup.kill for SIGKILL) */
int engine_kill_all(struct engine_container *c, int sig, struct coffer_error *err);

/* engine_pause(), engine_resume() - The freezer of the cgroup; waits until it has taken effect */
int engine_pause(struct engine_container *c, struct coffer_error *err);
int engine_resume(struct engine_container *c, struct coffer_error *err);
/* engine_paused() - Return: 1, 0, negative errno */
int engine_paused(struct engine_container *c, struct coffer_error *err);
/* engine_update() - Apply the members of @res that are set, leave the others */
int engine_update(struct engine_container *c, const struct oci_resources *res,
		  struct coffer_error *err);
int engine_stats(struct engine_container *c, struct engine_stats *out, struct coffer_error *err);
/* engine_oom_open() - Hears of processes killed for want of memory; cgroup_oom_read() and
 * cgroup_oom_free() are its functions. Return: -EOPNOTSUPP when nobody counts memory */
int engine_oom_open(struct engine_container *c, struct cgroup_oom **out, struct coffer_error *err);
/* engine_pids() - Every process, in our pid namespace's numbers. @pids: malloc'd, the caller frees */
int engine_pids(struct engine_container *c, pid_t **pids, size_t *n, struct coffer_error *err);

/* ---- for a program that keeps processes in files ---- */

/* engine_freezer() - Directory of the control group that stops it; borrowed, NULL: none */
const char *engine_freezer(const struct engine_container *c);

/* A mount whose content is not the container's: where in the root, and what is there. */
typedef int (*engine_external_fn)(const char *place, const char *source, void *data,
				  struct coffer_error *err);
/* engine_external() - Call @fn for each of them. @rootfd: the root, with or without its mounts */
int engine_external(const struct engine_container *c, int rootfd, engine_external_fn fn,
		    void *data, struct coffer_error *err);

/* engine_restore() - As engine_create(), but init is made by somebody else: see restore.c for the
 * steps that follow. @args: borrowed until engine_restore_adopt() */
int engine_restore(const struct engine_create_args *args, struct engine_container **out,
		   struct coffer_error *err);
/* engine_restore_root() - In the process that will make init: mounts of its own, with the root on
 * the directory @dir */
int engine_restore_root(struct engine_container *c, const char *dir, struct coffer_error *err);
/* engine_restore_enter() - Process @pid, which will make init, goes where init belongs */
int engine_restore_enter(struct engine_container *c, pid_t pid, struct coffer_error *err);
/* engine_restore_hooks() - @pid is in the container's namespaces: prestart, createRuntime */
int engine_restore_hooks(struct engine_container *c, pid_t pid, struct coffer_error *err);
/* engine_restore_adopt() - @pid is init, and our child. From here on it is a started container */
int engine_restore_adopt(struct engine_container *c, pid_t pid, struct coffer_error *err);

/* engine_delete() - Kill what is left, remove the cgroup, run the poststop hooks, free. Every step
 * runs; the first error is returned */
int engine_delete(struct engine_container *c, struct coffer_error *err);

#endif /* ENGINE_ENGINE_H */
