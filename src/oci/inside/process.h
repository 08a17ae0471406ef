/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/process.h - a process in the sentry, and ours that stands for it
 */
#ifndef OCI_INSIDE_PROCESS_H
#define OCI_INSIDE_PROCESS_H

#include <stdbool.h>

#include "oci/inside/pump.h"
#include "sandbox/agent.h"
#include "spec/spec.h"

#define INSIDE_EXIT_NOT_EXECUTABLE 126
#define INSIDE_EXIT_NOT_FOUND	   127
#define INSIDE_EXIT_LOST 137 /* as if killed: the sentry is gone, and all in it */

struct inside_process {
	struct agent_process key;	/* borrowed */
	int sockets;			/* the contract's directory; borrowed */
	struct agent *calls, *wait;	/* owned */
	bool terminal;
	int signals;			/* owned, as all below */
	struct pump pumps[3];
	/* For what else the process waits for: filled before, looked at after each wait. */
	struct pollfd *(*more)(void *data, size_t *n);
	void (*moved)(void *data);
	void *data;
};

#define INSIDE_PROCESS_INIT { .sockets = -1, .signals = -1, \
			      .pumps = { PUMP_INIT, PUMP_INIT, PUMP_INIT } }

/* inside_connect() - The contract. @sockets: directory of its sockets */
int inside_connect(int sockets, struct agent **out, struct coffer_error *err);

/* inside_start() - Make it as @spec says, with our standard streams, and start it. On failure it is
 * gone; an error's errno tells ENOENT ... */
int inside_start(struct inside_process *p, const struct oci_spec *spec, struct coffer_error *err);
/* inside_wait() - Pass signals and bytes on until it has ended. Return: its exit code */
int inside_wait(struct inside_process *p);
void inside_free(struct inside_process *p);
#define autoinside CLEANUP(inside_free)

#endif /* OCI_INSIDE_PROCESS_H */
