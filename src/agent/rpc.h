/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc.h - the contract's methods
 *
 * Handlers by family: rpc_fs.c, rpc_files.c, rpc_copy.c, rpc_copy_stream.c, rpc_env.c, rpc_net.c, rpc_names.c, rpc_proxy.c,
 * rpc_stats.c, rpc_process.c; the table that names them is in rpc.c.  Outside the process family a failure is the
 * status INTERNAL unless the contract says otherwise.
 */
#ifndef AGENT_RPC_H
#define AGENT_RPC_H

#include "agent/agent.h"
#include "sandbox_context.pb-c.h"
#include "sandbox_context_copy.pb-c.h"

/* rpc_init() - Make agent->server */
int rpc_init(struct agent *agent, struct coffer_error *err);

/* The reply without fields; one for all, since every such message is the same on the wire. */
extern const Sc__SyncResponse rpc_empty;

/* rpc_done() - Answer with rpc_empty, or with INTERNAL and the error when @r is negative */
void rpc_done(struct grpc_call *call, int r, const struct coffer_error *err);

/* rpc_refuse() - A field of the request is bad: INVALID_ARGUMENT, before anything was done */
void rpc_refuse(struct grpc_call *call, const struct coffer_error *err);

void rpc_mount(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_umount(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_sync(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

void rpc_mkdir(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_write_file(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_stat(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_filesystem_operation(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

void rpc_copy(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_copy_in(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_copy_out(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

void rpc_setenv(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_getenv(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_sysctl(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_set_time(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_kill(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

void rpc_setup_emulator(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

void rpc_ip_link_set(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_ip_addr_add(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_ip_route_add_link(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_ip_route_add_default(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_configure_dns(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_configure_hosts(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_proxy_vsock(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_stop_vsock_proxy(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

void rpc_container_statistics(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

void rpc_create_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_start_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_kill_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_wait_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_resize_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_close_process_stdin(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_delete_process(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

#endif /* AGENT_RPC_H */
