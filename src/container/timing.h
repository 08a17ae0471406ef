/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/timing.h - when the stages of a create and start were reached
 */
#ifndef CONTAINER_TIMING_H
#define CONTAINER_TIMING_H

#include "coffer/container.h"

#include "base/clock.h"

/* Stages of our own side, in their order; each ends where the next begins. */
enum timing_mark {
	TIMING_BEGIN,	/* create has been called */
	TIMING_STORAGE, /* sources are open */
	TIMING_SPAWN,	/* the monitor has been started */
	TIMING_FILL,	/* the root's image is there */
	TIMING_READY,	/* the agent has announced itself */
	TIMING_CONNECT, /* and there is a connection to it */
	TIMING_MOUNT,	/* the root is mounted */
	TIMING_CREATED,
	TIMING_START,	/* start has been called */
	TIMING_LISTEN,	/* for init's streams */
	TIMING_DOCUMENT,
	TIMING_CREATE_PROCESS,
	TIMING_STREAMS, /* they are connected */
	TIMING_START_PROCESS,
	TIMING_WAIT,	/* for its end */
	TIMING_STARTED,
	TIMING_MARK_COUNT,
};

#define TIMING_STAGES_MAX 12 /* of the guest */
#define TIMING_NAME_MAX	  16

/* {0} is fine. */
struct timing {
	usec_t marks[TIMING_MARK_COUNT]; /* CLOCK_MONOTONIC, 0: not reached */
	struct coffer_timing public;
	unsigned nstages; /* what the guest said of itself; CLOCK_BOOTTIME of its own */
	struct timing_stage {
		const char *name; /* static */
		usec_t begin, end;
	} stages[TIMING_STAGES_MAX];
};

/* container_mark() - Now; takes the container's lock */
void container_mark(struct coffer_container *c, enum timing_mark mark);

#endif /* CONTAINER_TIMING_H */
