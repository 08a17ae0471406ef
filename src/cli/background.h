/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/background.h - coffer run -d: a process of ours that owns the container
 */
#ifndef CLI_BACKGROUND_H
#define CLI_BACKGROUND_H

#include "base/error.h"
#include "coffer/container.h"

/* What the owner says when its container has been started, or could not be. */
struct background_report {
	int code; /* exit code of the command; 0: it runs */
	char id[COFFER_ID_MAX + 1];
	struct coffer_error err;
};

#define BACKGROUND_FDS_MAX 64

/* In the owner, until it has reported. */
struct background {
	int report_fd;                     /* owned; -1: it has, or is none */
	int inherited[BACKGROUND_FDS_MAX]; /* the caller's descriptors */
	size_t n;
};
#define BACKGROUND_INIT { .report_fd = -1 }

/**
 * background_fork() - Split in two; no other thread may exist
 * @out:	Filled in the owner
 * @code:	In the caller's process, set to the command's exit code
 *
 * The owner has a session of its own.  The other one waits for the report,
 * hands signals that ask for an end to the owner, and prints the id or the
 * error.  To be called before there is a container: descriptors of one would
 * be shared by both.
 *
 * Return: 0 in the owner, 1 in the caller's process, negative errno
 */
int background_fork(struct background *out, int *code, struct coffer_error *err);

/* background_report() - Tell it. If all is well, let go of the caller's terminal and all else that
 * came from there: somebody may wait for its end of file */
void background_report(struct background *b, int code, const char *id,
		       const struct coffer_error *err);

#endif /* CLI_BACKGROUND_H */
