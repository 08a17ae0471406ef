/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/transfer.h - a call of the library that takes long: seen, and ended by Ctrl-C
 */
#ifndef CLI_TRANSFER_H
#define CLI_TRANSFER_H

#include <signal.h>

#include "base/error.h"
#include "cli/bars.h"

struct transfer {
	struct coffer_transfer how; /* to be completed, and handed to the library */
	struct bars bars;
	sigset_t before; /* what was blocked */
	int signal_fd;   /* owned; -1: it has not begun, or has ended */
};
#define TRANSFER_INIT { .how = COFFER_TRANSFER_INIT, .signal_fd = -1 }

/**
 * transfer_begin() - From here on signals that ask for an end only cancel it
 * @quiet:	Nothing is told of it
 *
 * transfer_end() has to follow, in the same thread, also when this fails.
 */
int transfer_begin(struct transfer *t, bool quiet, struct coffer_error *err);

/**
 * transfer_end() - Tell how it went
 * @r:		What the library returned
 * @failed:	Exit code of an error
 *
 * Return: exit code; what a signal has ended ends with its number and without words
 */
int transfer_end(struct transfer *t, int r, int failed, const struct coffer_error *err);

#endif /* CLI_TRANSFER_H */
