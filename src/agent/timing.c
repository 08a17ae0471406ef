/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/timing.c - when the agent reached the stages of its boot
 *
 * Callers: main.c and boot.c tell, extras.c answers.
 */
#include "agent/timing.h"

#include "agent_extras.pb-c.h"

#define TIMING_STAGES_MAX 16

static struct {
	const char *name;
	uint64_t begin, end;
} timing_stages[TIMING_STAGES_MAX];
static size_t timing_count;

void timing_stage(const char *name, uint64_t begin_usec, uint64_t end_usec)
{
	if (timing_count == TIMING_STAGES_MAX)
		return;
	timing_stages[timing_count].name = name;
	timing_stages[timing_count].begin = begin_usec;
	timing_stages[timing_count++].end = end_usec;
}

void extras_timing(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	Ax__TimingResponse__Stage stages[TIMING_STAGES_MAX], *pointers[TIMING_STAGES_MAX];
	Ax__TimingResponse reply = AX__TIMING_RESPONSE__INIT;

	for (size_t i = 0; i < timing_count; i++) {
		stages[i] = (Ax__TimingResponse__Stage)AX__TIMING_RESPONSE__STAGE__INIT;
		stages[i].name = (char *)timing_stages[i].name;
		stages[i].begin_usec = timing_stages[i].begin;
		stages[i].end_usec = timing_stages[i].end;
		pointers[i] = &stages[i];
	}
	reply.stages = pointers;
	reply.n_stages = timing_count;
	grpc_call_reply(call, &reply.base);
}
