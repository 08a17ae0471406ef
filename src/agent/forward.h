/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/forward.h - a TCP port of a container, carried to a port of the host
 */
#ifndef AGENT_FORWARD_H
#define AGENT_FORWARD_H

#include "agent/extras.h"

/* extras_forward_tcp() - Answers once both connections stand */
void extras_forward_tcp(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

/* forward_stop_all() - When the agent ends, after its server */
void forward_stop_all(void);

#endif /* AGENT_FORWARD_H */
