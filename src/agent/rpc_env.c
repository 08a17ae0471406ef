/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_env.c - Setenv, Getenv, Sysctl, SetTime, Kill: the guest's own state
 */
#define LOG_CATEGORY "env"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "agent/rpc.h"
#include "engine/sysctl.h"

void rpc_setenv(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__SetenvRequest *req = (const void *)msg;
	const char *value = req->_value_case == SC__SETENV_REQUEST___VALUE_VALUE ? req->value : "";
	struct coffer_error err = COFFER_ERROR_INIT;

	if (setenv(req->key, value, 1) < 0) {
		err_sys(&err, "set \"%s\"", req->key);
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT, err.message);
		return;
	}
	rpc_done(call, 0, NULL);
}

void rpc_getenv(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__GetenvRequest *req = (const void *)msg;
	Sc__GetenvResponse reply = SC__GETENV_RESPONSE__INIT;

	reply.value = getenv(req->key);
	if (reply.value)
		reply._value_case = SC__GETENV_RESPONSE___VALUE_VALUE;
	grpc_call_reply(call, &reply.base);
}

void rpc_sysctl(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__SysctlRequest *req = (const void *)msg;
	autofree struct oci_pair *pairs = calloc(req->n_settings + 1, sizeof(*pairs));
	struct coffer_error err = COFFER_ERROR_INIT;
	struct oci_pairs keys = { pairs, req->n_settings };
	int r;

	for (size_t i = 0; pairs && i < keys.n; i++)
		pairs[i] = (struct oci_pair){ req->settings[i]->key, req->settings[i]->value };
	r = pairs ? sysctl_apply(&keys, &err) : err_nomem(&err);
	rpc_done(call, r, &err);
}

void rpc_set_time(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__SetTimeRequest *req = (const void *)msg;
	struct timeval tv = { .tv_sec = req->sec, .tv_usec = req->usec };
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = settimeofday(&tv, NULL) < 0 ? err_sys(&err, "set the clock") : 0;

	rpc_done(call, r, &err);
}

/* Outside a guest a pid that means many processes would reach those of the machine. */
static bool rpc_kill_allowed(const struct agent *agent, int32_t pid)
{
	return agent->init || pid > 1;
}

void rpc_kill(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__KillRequest *req = (const void *)msg;
	Sc__KillResponse reply = SC__KILL_RESPONSE__INIT;

	reply.result = rpc_kill_allowed(data, req->pid) ? kill(req->pid, req->signal) : -1;
	grpc_call_reply(call, &reply.base);
}
