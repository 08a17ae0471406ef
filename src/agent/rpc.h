/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc.h - the contract's methods
 *
 * Handlers by family: rpc_fs.c, rpc_env.c, rpc_net.c, rpc_process.c; the table
 * that names them is in rpc.c.  Outside the process family a failure is the
 * status INTERNAL unless the contract says otherwise.
 */
#ifndef AGENT_RPC_H
#define AGENT_RPC_H

#include "agent/agent.h"
#include "sandbox_context.pb-c.h"

/* rpc_init() - Make agent->server */
int rpc_init(struct agent *agent, struct coffer_error *err);

/* The reply without fields; one for all, since every such message is the same on the wire. */
extern const Sc__SyncResponse rpc_empty;

/* rpc_done() - Answer with rpc_empty, or with INTERNAL and the error when @r is negative */
void rpc_done(struct grpc_call *call, int r, const struct coffer_error *err);

void rpc_mount(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_umount(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_mkdir(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_write_file(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_stat(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_sync(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

void rpc_setenv(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_getenv(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_sysctl(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_set_time(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_kill(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

void rpc_ip_link_set(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

void rpc_create_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_start_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_kill_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_wait_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_resize_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_close_process_stdin(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_delete_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

#endif /* AGENT_RPC_H */
