/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/stream.h - bytes between a descriptor of the caller's and a process's stream
 */
#ifndef CONTAINER_STREAM_H
#define CONTAINER_STREAM_H

#include <stdbool.h>

#include "base/error.h"

struct stream;

/* What tells a stream of its process; all borrowed, there until stream_free(). */
struct stream_process {
	int exit_fd; /* readable: the process has ended */
	int gone_fd; /* readable: its machine has */
	void (*arrived)(void *data); /* by the stream's thread, once: nothing more will come */
	void *data;
};

/**
 * stream_start() - A thread that copies until end of file
 * @ours:	The caller's descriptor; duplicated
 * @theirs:	The process's stream, a connected socket; taken over in any case
 * @output:	From the process to us
 */
int stream_start(int ours, int theirs, bool output, const struct stream_process *process,
		struct stream **out, struct coffer_error *err);

/* stream_end_input() - End of file for the process after what has been read; idempotent */
void stream_end_input(struct stream *s);

/* stream_free() - Waits for the thread, which ends soon after the machine. NULL is fine */
void stream_free(struct stream *s);

#endif /* CONTAINER_STREAM_H */
