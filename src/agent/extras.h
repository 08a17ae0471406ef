/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/extras.h - what the agent offers beside the contract
 *
 * The methods of src/rpc/proto/agent_extras.proto; the table that names them
 * is in extras.c.  A failure is the status that belongs to the error's kind.
 */
#ifndef AGENT_EXTRAS_H
#define AGENT_EXTRAS_H

#include "agent/agent.h"
#include "agent/container.h"
#include "agent_extras.pb-c.h"

/* extras_service() - For the server; lives as long as the program */
struct grpc_service extras_service(struct agent *agent);

/* The reply without fields; one for all, since every such message is the same on the wire. */
extern const Ax__UpdateResponse extras_empty;

/* extras_done() - Answer with extras_empty, or with the error when @r is negative */
void extras_done(struct grpc_call *call, int r, const struct coffer_error *err);

/* extras_find() - Return: 0, or -ENOENT and the words for it */
int extras_find(const struct agent *agent, const char *container_id, struct container **out,
		struct coffer_error *err);

#endif /* AGENT_EXTRAS_H */
