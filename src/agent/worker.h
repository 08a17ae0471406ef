/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/worker.h - calls that may block for long, in a forked child
 */
#ifndef AGENT_WORKER_H
#define AGENT_WORKER_H

#include "agent/agent.h"

/* Runs in the child; fills @err on failure. @arg is the caller's, as it was at the fork. */
typedef int (*worker_fn)(const void *arg, struct coffer_error *err);

/**
 * worker_answer() - Run @fn aside and answer @call with its result
 * @reply:	Message for success; must outlive the call (static)
 *
 * The call is always answered, also when no worker can be started.
 */
void worker_answer(struct agent *agent, struct grpc_call *call, worker_fn fn, const void *arg,
		   const ProtobufCMessage *reply);

#endif /* AGENT_WORKER_H */
