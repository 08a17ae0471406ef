/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/signals.h - signals sent to us are meant for the program in the container
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "coffer/container.h"

struct signals {
	struct coffer_process *process;     /* whom they are for; borrowed */
	struct coffer_container *container; /* its, if it is ours to start and to end; else NULL */
	bool terminal;                      /* the window's size goes along, too */
	sigset_t set;
	pthread_t thread;
	atomic_bool started;                /* the program runs: forward instead of giving up */
	atomic_int caught;                  /* the signal that made us give up, or 0 */
	atomic_bool stopping;
};

/* signals_block() - In main, before any thread exists */
void signals_block(struct signals *s);

/* signals_start() - Take care of them in a thread, until signals_stop() */
int signals_start(struct signals *s, struct coffer_error *err);
void signals_stop(struct signals *s);

#endif /* CLI_SIGNALS_H */
