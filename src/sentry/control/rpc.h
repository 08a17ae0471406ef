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
#include "contract/contract.h"
#include "sentry/control/control.h"

RPC_METHOD(rpc_mount);
RPC_METHOD(rpc_umount);
RPC_METHOD(rpc_sync);
RPC_METHOD(rpc_setenv);
RPC_METHOD(rpc_getenv);
RPC_METHOD(rpc_sysctl);
RPC_METHOD(rpc_set_time);
RPC_METHOD(rpc_kill);
RPC_METHOD(rpc_ip_link_set);
RPC_METHOD(rpc_ip_addr_add);
RPC_METHOD(rpc_ip_route_add_link);
RPC_METHOD(rpc_ip_route_add_default);
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

/* rpc_open() - A regular file at a path of the contract, a reference */
int rpc_open(const char *path, uint32_t flags, uint32_t mode, struct file **out,
	     struct coffer_error *err);
/* rpc_parents() - Make the directories that a path of the contract lies in */
int rpc_parents(const char *path, struct coffer_error *err);

struct grpc_service rpc_extras(struct control *control);

#endif /* SENTRY_CONTROL_RPC_H */
