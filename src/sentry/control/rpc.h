/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/rpc.h - the contract's methods, as the kernel serves them
 *
 * By family: rpc_process.c, rpc_files.c, rpc_machine.c (mounts, network, names, the rest of the
 * contract), rpc_extras.c; the table is in rpc.c.
 */
#ifndef SENTRY_CONTROL_RPC_H
#define SENTRY_CONTROL_RPC_H

#include "agent_extras.pb-c.h"
#include "sandbox_context.pb-c.h"
#include "sentry/control/control.h"

/* The reply without fields; one for all, since every such message is the same on the wire. */
extern const Sc__SyncResponse rpc_empty;

/* rpc_done() - Answer with rpc_empty, or INTERNAL with the error, as the contract has it */
void rpc_done(struct grpc_call *call, int r, const struct coffer_error *err);
/* rpc_answer() - The same with the status that belongs to the error's kind */
void rpc_answer(struct grpc_call *call, int r, const struct coffer_error *err);
/* rpc_refuse() - A field of the request is bad */
void rpc_refuse(struct grpc_call *call, const struct coffer_error *err);

#define RPC_METHOD(name) void name(struct grpc_call *call, const ProtobufCMessage *msg, void *data)

RPC_METHOD(rpc_mount);
RPC_METHOD(rpc_umount);
RPC_METHOD(rpc_sync);
RPC_METHOD(rpc_setenv);
RPC_METHOD(rpc_getenv);
RPC_METHOD(rpc_sysctl);
RPC_METHOD(rpc_set_time);
RPC_METHOD(rpc_kill);
RPC_METHOD(rpc_ip_link_set);
RPC_METHOD(rpc_configure_dns);
RPC_METHOD(rpc_configure_hosts);

RPC_METHOD(rpc_mkdir);
RPC_METHOD(rpc_write_file);
RPC_METHOD(rpc_stat);

RPC_METHOD(rpc_create_process);
RPC_METHOD(rpc_start_process);
RPC_METHOD(rpc_kill_process);
RPC_METHOD(rpc_wait_process);
RPC_METHOD(rpc_resize_process);
RPC_METHOD(rpc_close_process_stdin);
RPC_METHOD(rpc_delete_process);

RPC_METHOD(rpc_setup_emulator);
RPC_METHOD(rpc_container_statistics);
RPC_METHOD(rpc_filesystem_operation);

struct grpc_service rpc_extras(struct control *control);

#endif /* SENTRY_CONTROL_RPC_H */
