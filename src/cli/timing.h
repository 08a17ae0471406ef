/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/timing.h - coffer run --timing
 */
#ifndef CLI_TIMING_H
#define CLI_TIMING_H

#include <stdint.h>
#include <stdio.h>

#include "coffer/container.h"

/* CLOCK_MONOTONIC in microseconds, 0 for "did not happen". */
struct timing_run {
	uint64_t main;       /* our main() */
	uint64_t first_byte; /* of the program's stdout, here */
	uint64_t ended;      /* the exit status was known here */
	uint64_t stopped;    /* nothing of the container is left */
	struct coffer_phase phases[COFFER_PHASES_MAX]; /* of create and start */
	size_t nphases;
};

/* timing_print() - One line a stage that was reached: name, milliseconds */
void timing_print(const struct timing_run *t, FILE *out);

#endif /* CLI_TIMING_H */
