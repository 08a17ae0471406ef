/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/freezer.h - a container's processes stopped as they stand, and continued
 */
#ifndef AGENT_FREEZER_H
#define AGENT_FREEZER_H

#include "agent/extras.h"

struct freezer;

/* extras_freeze() - Answers once nothing of the container runs any more */
void extras_freeze(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void extras_thaw(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

/* freezer_is_frozen() - Is it, or is it about to be? */
bool freezer_is_frozen(const struct container *c);

/* freezer_forget() - @c is about to be freed, or has been thawed by a kill: who waits is told */
void freezer_forget(struct container *c);

#endif /* AGENT_FREEZER_H */
