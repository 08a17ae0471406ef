/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/calls.c - which system calls a container's programs made that its sandbox does not have
 *
 * A program that does not work in an application kernel most likely wanted one of these, so inspect
 * names them. The owner asks when it is asked itself, and for the last time before the sandbox ends.
 *
 * Callers: record.c, stop.c, inspect.c.
 */
#include "container/calls.h"

#include <stdio.h>

#include "agent_extras.pb-c.h"
#include "base/json.h"
#include "container/container.h"
#include "sandbox/kind.h"

static struct json_object *calls_take(const Ax__CallsResponse *resp)
{
	struct json_object *doc = json_object_new_object();

	for (size_t i = 0; doc && i < resp->n_calls; i++) {
		const Ax__CallsResponse__Call *call = resp->calls[i];
		char number[32];

		if (!call->unimplemented)
			continue;
		snprintf(number, sizeof(number), "call %u", call->number);
		json_add(doc, call->name[0] ? call->name : number,
			 json_object_new_uint64(call->unimplemented));
	}
	return doc;
}

void calls_ask(struct coffer_container *c)
{
	Ax__CallsRequest msg = AX__CALLS_REQUEST__INIT;
	autoreply ProtobufCMessage *reply = NULL;

	if (!sandbox_kind_find(c->config->sandbox)->counts_calls ||
	    container_enter(c, CONTAINER_IN(COFFER_STATE_CREATED) | CONTAINER_IN_STARTED, "calls of",
			    NULL) < 0)
		return;
	if (container_call(c, AGENT_EXTRAS, "Calls", &msg.base, AGENT_CALL_BUDGET, &reply, NULL) ==
	    0) {
		pthread_mutex_lock(&c->lock);
		json_object_put(c->calls);
		c->calls = calls_take((const Ax__CallsResponse *)reply);
		pthread_mutex_unlock(&c->lock);
	}
	container_leave(c);
}

struct json_object *calls_make(const struct coffer_container *c)
{
	return json_object_get(c->calls);
}
