/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/launch.h - a process in its namespaces and cgroup, from clone to execve
 */
#ifndef ENGINE_LAUNCH_H
#define ENGINE_LAUNCH_H

#include "base/cleanup.h"
#include "base/error.h"
#include "engine/cgroup.h"
#include "engine/engine.h"
#include "engine/namespaces.h"

/*
 * Runs in the new process, tells the parent when it is set up, and ends in execve.  May move
 * the socket to another descriptor.  Returns only when it failed.
 */
typedef int (*launch_main)(void *data, int *sock, struct coffer_error *err);

struct launch {
	const struct ns_plan *ns; /* borrowed */
	int cgroup;               /* borrowed directory, or -1 */
	launch_main main;
	void *data;               /* for @main */
	const struct oci_process *program; /* what will be executed; borrowed */
	const struct cgroup *groups; /* the child enters those it is not cloned into; or NULL */
	/*
	 * The parent's answers.  @place moves the child into its control groups when it was not
	 * cloned into one (there is none, or it is busy with groups of its own), or with
	 * @place_always.  NULL: nothing to do.
	 */
	int (*place)(pid_t pid, void *data, struct coffer_error *err);
	bool place_always;
	/* Told who the child is, once, while that one goes on with its set-up. */
	int (*born)(pid_t pid, void *data, struct coffer_error *err);
	int (*hooks)(pid_t pid, void *data, struct coffer_error *err);
	/* Takes the listener of the child's filter, borrowed, to whom it is for. */
	int (*listener)(int listener, pid_t pid, void *data, struct coffer_error *err);
	void *parent_data;        /* for those */
	bool patient;             /* the child runs hooks: wait for its steps without limit */
	const char *const *below;    /* groups below those, @nbelow; borrowed */
	size_t nbelow;
	/* Filled by launch_start(). */
	struct engine_process process; /* owned */
	bool forked;                   /* the helper has handed over; @process is the real child */
	int sock;                      /* owned; -1 once execve is done */
};

#define LAUNCH_INIT { .cgroup = -1, .process = ENGINE_PROCESS_INIT, .sock = -1 }

/**
 * launch_start() - Clone and wait until the process is set up and waits for launch_go()
 *
 * Return: 0 or negative errno, with the child's own words in @err
 */
int launch_start(struct launch *l, struct coffer_error *err);

/* launch_send_to_gate() - Its record is kept: let it go and wait at its gate, close @sock */
int launch_send_to_gate(struct launch *l, struct coffer_error *err);

/* launch_go() - Let it execve and wait until that is done or has failed; then it is reaped */
int launch_go(struct launch *l, struct coffer_error *err);

/* launch_end() - Kill and reap what is left, close everything */
void launch_end(struct launch *l);
#define autolaunch CLEANUP(launch_end)

#endif /* ENGINE_LAUNCH_H */
