/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/signals.h - a signal to more than one process
 */
#ifndef AGENT_SIGNALS_H
#define AGENT_SIGNALS_H

#include "agent/extras.h"

void extras_signal(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

#endif /* AGENT_SIGNALS_H */
