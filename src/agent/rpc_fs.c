/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_fs.c - Mount, Umount, Sync
 *
 * Paths go through guestpath.c.  What may wait for a device goes to a worker.
 */
#define LOG_CATEGORY "fs"
#include <unistd.h>

#include "agent/guestmount.h"
#include "agent/rpc.h"
#include "agent/worker.h"

void rpc_mount(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__MountRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	const struct guestmount_args args = {
		.agent = data,
		.type = req->type,
		.source = req->source,
		.destination = req->destination,
		.options = { req->options, req->n_options },
	};
	int r = guestmount_make(&args, &err);

	if (r < 0 && guestmount_source_may_appear(&args, &err))
		worker_answer(data, call, guestmount_make_late, &args, &rpc_empty.base);
	else
		rpc_done(call, r, &err);
}

void rpc_umount(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__UmountRequest *req = (const void *)msg;
	const struct guestmount_remove_args args = { .agent = data,
						     .path = req->path,
						     .flags = req->flags };

	worker_answer(data, call, guestmount_remove, &args, &rpc_empty.base);
}

static int rpc_sync_worker(const void *arg, struct coffer_error *err)
{
	sync();
	return 0;
}

void rpc_sync(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	worker_answer(data, call, rpc_sync_worker, NULL, &rpc_empty.base);
}
