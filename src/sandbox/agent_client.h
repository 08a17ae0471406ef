/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/agent_client.h - the agent contract over gRPC
 */
#ifndef SANDBOX_AGENT_CLIENT_H
#define SANDBOX_AGENT_CLIENT_H

#include "sandbox/agent.h"

#define AGENT_PORT 1024 /* vsock port of the contract; the host's port for the ready line, too */

/* agent_client_new() - Speak the contract on the connected socket @fd (taken over on success) */
int agent_client_new(int fd, struct agent **out, struct coffer_error *err);

#endif /* SANDBOX_AGENT_CLIENT_H */
