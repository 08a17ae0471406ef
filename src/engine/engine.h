/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/engine.h - a container on the kernel we stand on: OCI spec to process
 *
 * Used by the guest agent (inside the VM) and, on the host, by the OCI runtime
 * and the host sandbox.  It knows nothing of VMs, images or RPC.
 *
 *	engine_create()  forks the container's init, gives it namespaces, cgroup,
 *	                 mounts, root, devices ... and leaves it waiting before execve
 *	engine_start()   lets it go; returns once execve succeeded or failed
 *	engine_exec()    a further process in a running container
 *	engine_kill_all(), engine_delete()
 *
 * Errors before execve come back from the child as text naming the step.
 *
 * Calls clone without the C library's fork handlers, so the calling process
 * has one thread (the agent, coffer-oci, a helper the library forks).  Every
 * child but the returned ones is reaped before a call returns; no call waits
 * without limit.  Needs Linux 5.12 (mount_setattr, openat2, clone3 into a cgroup).
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/spawn.h"
#include "spec/spec.h"

/* Descriptors for a process; -1 is /dev/null. With a terminal they are ignored. */
struct engine_stdio {
	int in, out, err;  /* borrowed */
};

struct engine_container;
struct engine_process {
	struct child child;     /* the process in our pid namespace; owned */
	int ptmx;               /* terminal master when spec says terminal; owned, else -1 */
};

#define ENGINE_PROCESS_INIT { .child = CHILD_INIT, .ptmx = -1 }

struct engine_create_args {
	const char *id;
	const char *bundle;            /* directory the spec's relative root is taken from */
	const struct oci_spec *spec;   /* validated; borrowed until engine_delete() */
	struct engine_stdio stdio;
	bool own_kernel;               /* a guest of its own: global sysctls are fine */
};

int engine_create(const struct engine_create_args *args, struct engine_container **out,
		  struct coffer_error *err);
/* engine_init() - The init process; borrowed. Its child is reaped by the caller, else by delete */
struct engine_process *engine_init(struct engine_container *c);
/* engine_start() - On failure init is gone and reaped, and the error's errno tells
 * ENOENT (127) or EACCES, ENOEXEC (126) */
int engine_start(struct engine_container *c, struct coffer_error *err);
/* engine_exec() - Failures as with engine_start(); @out is filled on success only */
int engine_exec(struct engine_container *c, const struct oci_process *process,
		const struct engine_stdio *stdio, struct engine_process *out,
		struct coffer_error *err);
/* engine_kill_all() - Signal every process of the container (cgroup.kill for SIGKILL) */
int engine_kill_all(struct engine_container *c, int sig, struct coffer_error *err);
/* engine_delete() - Kill what is left, remove the cgroup, free. Every step runs; the first
 * error is returned */
int engine_delete(struct engine_container *c, struct coffer_error *err);

#endif /* ENGINE_ENGINE_H */
