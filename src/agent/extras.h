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
#include "contract/contract.h"

/* extras_service() - For the server; lives as long as the program */
struct grpc_service extras_service(struct agent *agent);

/* extras_find() - Return: 0, or -ENOENT and the words for it */
int extras_find(const struct agent *agent, const char *container_id, struct container **out,
		struct coffer_error *err);

#endif /* AGENT_EXTRAS_H */
