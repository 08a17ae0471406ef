/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/guard.h - a process inside does not outlive the one that stands for it
 */
#ifndef OCI_INSIDE_GUARD_H
#define OCI_INSIDE_GUARD_H

#include "oci/inside/process.h"
#include "oci/sentry_names.h"

#define GUARD_MAX 127

struct guard {
	struct inside_process *init; /* borrowed */
	struct pollfd fds[1 + GUARD_MAX]; /* the listener first; all owned */
	char ids[1 + GUARD_MAX][SENTRY_ID_MAX]; /* "": not said yet */
	size_t n;
};

/* guard_begin() - Once init runs: whoever waits for that may go on */
int guard_begin(struct guard *g, struct inside_process *init, struct coffer_error *err);
void guard_end(struct guard *g);

/* guard_join() - Stand for process @id: wait for init, and go on. Return: descriptor to keep */
int guard_join(int sockets, const char *id, struct coffer_error *err);

#endif /* OCI_INSIDE_GUARD_H */
