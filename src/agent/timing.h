/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/timing.h - when the agent reached the stages of its boot
 */
#ifndef AGENT_TIMING_H
#define AGENT_TIMING_H

#include <stdint.h>

#include "agent/agent.h"

/* timing_stage() - @name: static text; CLOCK_BOOTTIME in microseconds */
void timing_stage(const char *name, uint64_t begin_usec, uint64_t end_usec);

/* extras_timing() - All of them, in the order in which they were told */
void extras_timing(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

#endif /* AGENT_TIMING_H */
