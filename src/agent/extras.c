/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/extras.c - what the agent offers beside the contract: the table, and the short ones
 *
 * A method of the service without a row answers UNIMPLEMENTED.
 */
#include "agent/extras.h"

#include <time.h>

#include "agent/events.h"
#include "agent/freezer.h"
#include "agent/link.h"
#include "agent/rpc_archive.h"
#include "agent/signals.h"
#include "agent/timing.h"
#include "contract/forward.h"

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

/* ---- Update ---- */

static int extras_update_container(struct container *c, const Ax__UpdateRequest *req,
				   struct coffer_error *err)
{
	const struct process *init = container_process(c, c->id);
	auto_oci_resources struct oci_resources *res = NULL;
	int r;

	r = oci_resources_parse((const char *)req->resources.data, req->resources.len, &res, err);
	if (r == 0)
		r = oci_resources_validate(res, "resources", err);
	if (r < 0)
		return err_wrap(err, "resources of container %s", c->id);
	if (!init || init->state == PROCESS_CREATING || init->state == PROCESS_STOPPED)
		return err_state(err, "container %s is not running", c->id);
	return engine_update(c->engine, res, err);
}

static void extras_update(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Ax__UpdateRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct container *c = NULL;
	int r = extras_find(data, req->container_id, &c, &err);

	if (r == 0)
		r = extras_update_container(c, req, &err);
	rpc_answer(call, r, &err);
}

/* clang-format off */
static const struct grpc_method extras_methods[] = {
	{ "Heartbeat", extras_heartbeat },
	{ "Update", extras_update },
	{ "Freeze", extras_freeze },
	{ "Thaw", extras_thaw },
	{ "Signal", extras_signal },
	{ "Events", extras_events },
	{ "Timing", extras_timing },
	{ "ForwardTcp", extras_forward_tcp },
	{ "ArchiveStat", rpc_archive_stat },
	{ "ArchiveGet", rpc_archive_get },
	{ "ArchivePut", rpc_archive_put },
};
/* clang-format on */

struct grpc_service extras_service(struct agent *agent)
{
	return (struct grpc_service){
		.desc = &ax__extras__descriptor,
		.methods = extras_methods,
		.nmethods = ARRAY_SIZE(extras_methods),
		.data = agent,
	};
}
