/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/relay.h - bytes between our own descriptors and a process's streams
 */
#ifndef CLI_RELAY_H
#define CLI_RELAY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* One direction, copied by a thread of its own: a reader that is slow on one
 * side never holds up the other. */
struct relay {
	int from;            /* input: borrowed; output: the process's, taken over */
	int to;              /* the other way round */
	bool output;         /* from the process to us */
	/* Output: takes it instead of `to`. Return: 0 or negative errno */
	int (*sink)(void *data, const char *p, size_t n);
	void *sink_data;
	int ended_fd;        /* eventfd; borrowed. Readable: the process has ended */
	uint64_t first_byte; /* output: CLOCK_MONOTONIC of the first one, microseconds, or 0 */
	int error;           /* negative errno of our own descriptor: bytes are missing; or 0 */
	pthread_t thread;
	bool running;
};

/* relay_start() - Copy until end of file; on failure the process's descriptor is closed */
int relay_start(struct relay *relay, struct coffer_error *err);

/**
 * relay_finish() - After the process has ended and ended_fd is readable
 *
 * Output: waits until all of it has been written to us, at most a few seconds
 * for a byte that does not come.  Input: stops at once.  Closes the process's
 * descriptor.
 */
void relay_finish(struct relay *relay);

#endif /* CLI_RELAY_H */
