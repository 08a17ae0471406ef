/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_proxy.c - ProxyVsock, StopVsockProxy
 */
#include <string.h>

#include "agent/proxy.h"
#include "agent/rpc.h"

#define RPC_PROXY_MODE 0777 /* the contract: whoever may reach it, unless permissions are given */

static int rpc_proxy_args(const Sc__ProxyVsockRequest *req, struct proxy_args *args,
			  struct coffer_error *err)
{
	size_t n = strlen(req->id);

	*args = (struct proxy_args){
		.id = req->id,
		.port = req->vsock_port,
		.path = req->guestpath,
		.out_of = req->action == SC__PROXY_VSOCK_REQUEST__ACTION__OUT_OF,
		.mode = req->_guest_socket_permissions_case ? req->guestsocketpermissions
							    : RPC_PROXY_MODE,
	};
	if (n == 0 || n > PROXY_ID_MAX)
		return err_invalid(err, "id: want 1 to %d bytes", PROXY_ID_MAX);
	if (req->vsock_port == 0)
		return err_invalid(err, "vsock_port 0");
	if (req->guestpath[0] != '/')
		return err_invalid(err, "guestPath \"%.256s\" is not absolute", req->guestpath);
	if (args->mode > 07777)
		return err_invalid(err, "guestSocketPermissions 0%o", args->mode);
	if (!args->out_of && req->action != SC__PROXY_VSOCK_REQUEST__ACTION__INTO)
		return err_invalid(err, "action %d is not known", (int)req->action);
	return 0;
}

void rpc_proxy_vsock(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct proxy_args args;

	if (rpc_proxy_args((const void *)msg, &args, &err) < 0)
		rpc_refuse(call, &err);
	else
		rpc_done(call, proxy_start(data, &args, &err), &err);
}

void rpc_stop_vsock_proxy(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__StopVsockProxyRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;

	rpc_done(call, proxy_stop(data, req->id, &err), &err);
}
