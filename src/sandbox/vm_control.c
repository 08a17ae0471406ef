/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/vm_control.c - requests to coffer-vmm's control socket
 *
 * Rare and cheap, so each makes a connection.  Starting and stopping do not go
 * this way: they work through the monitor's descriptors, which also tell of
 * its death.
 */
#include "sandbox/vm_control.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "monitor.pb-c.h"
#include "rpc/grpc_client.h"

#define VM_CONTROL_SOCKET "vmm.sock"
#define VM_CONTROL_BUDGET (5 * USEC_PER_SEC)

/* No request has fields. @reply, unless NULL, is for the caller to free */
static int vm_control_call(int dirfd, const char *method, const ProtobufCMessageDescriptor *request,
			   ProtobufCMessage **reply, struct coffer_error *err)
{
	const struct grpc_limits limits = GRPC_LIMITS_DEFAULT;
	CLEANUP(grpc_client_freep) struct grpc_client *rpc = NULL;
	autoclose int fd = io_unix_connect(dirfd, VM_CONTROL_SOCKET, SOCK_STREAM, err);
	ProtobufCMessage req;
	int r;

	if (fd < 0)
		return fd;
	r = grpc_client_new(fd, &limits, &rpc, err);
	if (r < 0)
		return r;
	steal_fd(&fd);
	protobuf_c_message_init(request, &req);
	return grpc_client_call(rpc, &mon__monitor__descriptor, method, &req,
				clock_budget(VM_CONTROL_BUDGET), reply, err);
}

static const struct {
	const char *method;
	const ProtobufCMessageDescriptor *request;
} vm_control_calls[] = {
	[VM_CONTROL_PAUSE] = { "Pause", &mon__pause_request__descriptor },
	[VM_CONTROL_RESUME] = { "Resume", &mon__resume_request__descriptor },
};
_Static_assert(ARRAY_SIZE(vm_control_calls) == VM_CONTROL_COUNT, "a method for each call");

int vm_control(int dirfd, enum vm_control_call call, struct coffer_error *err)
{
	return vm_control_call(dirfd, vm_control_calls[call].method, vm_control_calls[call].request,
			       NULL, err);
}

uint64_t vm_control_pss(int dirfd)
{
	ProtobufCMessage *reply = NULL;
	uint64_t pss;

	if (vm_control_call(dirfd, "Info", &mon__info_request__descriptor, &reply, NULL) < 0)
		return 0;
	pss = ((const Mon__InfoResponse *)reply)->vmm_pss;
	protobuf_c_message_free_unpacked(reply, NULL);
	return pss;
}
