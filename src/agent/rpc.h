/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc.h - the contract's methods
 *
 * Handlers by family: rpc_fs.c, rpc_files.c, rpc_copy.c, rpc_copy_stream.c, rpc_env.c, rpc_net.c,
 * rpc_names.c, rpc_stats.c, rpc_process.c, and those of contract/; the table that names them is in
 * rpc.c.  Outside the process family a failure is the status INTERNAL unless the contract says
 * otherwise.
 */
#ifndef AGENT_RPC_H
#define AGENT_RPC_H

#include "agent/agent.h"
#include "contract/contract.h"
#include "sandbox_context_copy.pb-c.h"

/* rpc_init() - Make agent->server */
int rpc_init(struct agent *agent, struct coffer_error *err);

RPC_METHOD(rpc_mount);
RPC_METHOD(rpc_umount);
RPC_METHOD(rpc_sync);

RPC_METHOD(rpc_mkdir);
RPC_METHOD(rpc_write_file);
RPC_METHOD(rpc_stat);
RPC_METHOD(rpc_filesystem_operation);

RPC_METHOD(rpc_copy);
RPC_METHOD(rpc_copy_in);
RPC_METHOD(rpc_copy_out);

RPC_METHOD(rpc_setenv);
RPC_METHOD(rpc_getenv);
RPC_METHOD(rpc_sysctl);
RPC_METHOD(rpc_set_time);
RPC_METHOD(rpc_kill);

RPC_METHOD(rpc_setup_emulator);

RPC_METHOD(rpc_ip_link_set);
RPC_METHOD(rpc_ip_addr_add);
RPC_METHOD(rpc_ip_route_add_link);
RPC_METHOD(rpc_ip_route_add_default);
RPC_METHOD(rpc_configure_dns);
RPC_METHOD(rpc_configure_hosts);

RPC_METHOD(rpc_container_statistics);

RPC_METHOD(rpc_create_process);
RPC_METHOD(rpc_start_process);
RPC_METHOD(rpc_kill_process);
RPC_METHOD(rpc_wait_process);
RPC_METHOD(rpc_resize_process);
RPC_METHOD(rpc_close_process_stdin);
RPC_METHOD(rpc_delete_process);

#endif /* AGENT_RPC_H */
