/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/copy_run.h - one transfer, from its begin to the guest's verdict
 */
#ifndef CONTAINER_COPY_RUN_H
#define CONTAINER_COPY_RUN_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "container/transfer.h"

/* Budget of a guest that neither takes nor gives anything; tests have less patience. */
extern usec_t copy_run_idle;

struct copy_run {
	struct coffer_container *c; /* borrowed */
	struct transfer t; /* data_fd blocks, for at most the idle budget */
	enum transfer_kind kind;
	int cancel_fd;     /* borrowed */
	int end_fd;        /* owned; eventfd for the watcher */
	pthread_t watcher;
	bool is_watched;
	atomic_bool cancelled;
	bool had_pipe_signal;
	sigset_t signals;  /* as the caller has them */
};

/**
 * copy_run_begin() - Open a transfer
 *
 * Until copy_run_end() a write to a broken pipe or socket is no signal for this
 * thread, and once @cancel_fd is readable the stream breaks.
 */
int copy_run_begin(struct copy_run *run, struct coffer_container *c,
		   const struct transfer_request *request, int cancel_fd,
		   struct coffer_error *err);

/**
 * copy_run_end() - The stream is done with
 * @r:		How: 0, or negative errno with @err filled
 * @count:	Set to the guest's count on success
 *
 * The guest's verdict decides; where the stream broke it also says why.
 */
int copy_run_end(struct copy_run *run, int r, uint64_t *count, struct coffer_error *err);

#endif /* CONTAINER_COPY_RUN_H */
