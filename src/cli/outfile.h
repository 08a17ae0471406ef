/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/outfile.h - what a command writes: a file that is whole or not there, or stdout
 */
#ifndef CLI_OUTFILE_H
#define CLI_OUTFILE_H

#include "base/error.h"

struct outfile {
	const char *path; /* borrowed; NULL: stdout */
	char *aside;      /* owned; where it is until it is whole; NULL: in its place */
	int fd;
};
#define OUTFILE_INIT { .fd = -1 }

/**
 * outfile_open() - @path: NULL: stdout, which may not be a terminal
 *
 * A device or a pipe is written to as it is.
 */
int outfile_open(struct outfile *f, const char *path, struct coffer_error *err);
/* outfile_commit() - It is whole */
int outfile_commit(struct outfile *f, struct coffer_error *err);
/* outfile_close() - Without a commit nothing of it stays */
void outfile_close(struct outfile *f);

/* outfile_open_input() - @path for reading; NULL or "-": stdin, which may not be a terminal.
 * Return: descriptor, to be closed */
int outfile_open_input(const char *path, struct coffer_error *err);

#endif /* CLI_OUTFILE_H */
