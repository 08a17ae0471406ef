/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/extras.c - what the agent offers beside the contract: the table, and the short ones
 *
 * A method of the service without a row answers UNIMPLEMENTED.
 */
#include "agent/extras.h"

#include <time.h>

#include "agent/link.h"

const Ax__UpdateResponse extras_empty = AX__UPDATE_RESPONSE__INIT;

void extras_done(struct grpc_call *call, int r, const struct coffer_error *err)
{
	if (r < 0)
		grpc_call_fail(call, err);
	else
		grpc_call_reply(call, &extras_empty.base);
}

int extras_find(const struct agent *agent, const char *container_id, struct container **out,
		struct coffer_error *err)
{
	*out = container_find(agent, container_id);
	if (*out)
		return 0;
	return err_set(err, COFFER_ERR_NOT_FOUND, 0, "container \"%.*s\" does not exist",
		       CONTAINER_ID_MAX, container_id);
}

static void extras_heartbeat(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	Google__Protobuf__Timestamp now = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Ax__HeartbeatResponse reply = AX__HEARTBEAT_RESPONSE__INIT;
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_REALTIME, &ts);
	now.seconds = ts.tv_sec;
	now.nanos = (int32_t)ts.tv_nsec;
	reply.uptime_usec = link_uptime();
	reply.now = &now;
	grpc_call_reply(call, &reply.base);
}

static const struct grpc_method extras_methods[] = {
	{ "Heartbeat", extras_heartbeat },
};

struct grpc_service extras_service(struct agent *agent)
{
	return (struct grpc_service){
		.desc = &ax__extras__descriptor,
		.methods = extras_methods,
		.nmethods = ARRAY_SIZE(extras_methods),
		.data = agent,
	};
}
