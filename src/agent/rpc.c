/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc.c - the table of the contract's methods, and what contract/ asks of us
 *
 * A method of the contract without a row answers UNIMPLEMENTED.
 */
#include "agent/rpc.h"

#include <fcntl.h>
#include <stdio.h>

#include "agent/events.h"
#include "agent/extras.h"
#include "agent/link.h"
#include "agent/process.h"
#include "agent/proxy.h"

static const struct grpc_method rpc_methods[] = {
	{ "Mount", rpc_mount },
	{ "Umount", rpc_umount },
	{ "Setenv", rpc_setenv },
	{ "Getenv", rpc_getenv },
	{ "Mkdir", rpc_mkdir },
	{ "Sysctl", rpc_sysctl },
	{ "SetTime", rpc_set_time },
	{ "SetupEmulator", rpc_setup_emulator },
	{ "WriteFile", rpc_write_file },
	{ "Copy", rpc_copy },
	{ "Stat", rpc_stat },
	{ "FilesystemOperation", rpc_filesystem_operation },
	{ "CreateProcess", rpc_create_process },
	{ "DeleteProcess", rpc_delete_process },
	{ "StartProcess", rpc_start_process },
	{ "KillProcess", rpc_kill_process },
	{ "WaitProcess", rpc_wait_process },
	{ "ResizeProcess", rpc_resize_process },
	{ "CloseProcessStdin", rpc_close_process_stdin },
	{ "ContainerStatistics", rpc_container_statistics },
	{ "ProxyVsock", rpc_proxy_vsock },
	{ "StopVsockProxy", rpc_stop_vsock_proxy },
	{ "IpLinkSet", rpc_ip_link_set },
	{ "IpAddrAdd", rpc_ip_addr_add },
	{ "IpRouteAddLink", rpc_ip_route_add_link },
	{ "IpRouteAddDefault", rpc_ip_route_add_default },
	{ "ConfigureDns", rpc_configure_dns },
	{ "ConfigureHosts", rpc_configure_hosts },
	{ "Sync", rpc_sync },
	{ "Kill", rpc_kill },
};

/* The same service as it was before Copy; see sandbox_context_copy.proto. */
static const struct grpc_method rpc_copy_methods[] = {
	{ "CopyIn", rpc_copy_in, .stream = true },
	{ "CopyOut", rpc_copy_out },
};

static int rpc_dial(void *side, uint32_t port, struct coffer_error *err)
{
	return link_dial(side, port, err);
}

/* With a network namespace of its own the container has a loopback of its own. */
static int rpc_network(void *side, const char *id, struct contract_network *out,
		       struct coffer_error *err)
{
	const struct process *init;
	struct container *c = NULL;
	char path[32];
	int r = extras_find(side, id, &c, err);

	if (r < 0)
		return r;
	init = container_process(c, c->id);
	if (!init || init->state != PROCESS_RUNNING)
		return err_state(err, "container %s is not running", c->id);
	out->owner = c;
	if (!oci_namespace_find(init->spec, "network"))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", init->proc->child.pid);
	out->netns = open(path, O_RDONLY | O_CLOEXEC);
	return out->netns < 0 ? err_sys(err, "open the container's network") : 0;
}

static const struct contract_ops rpc_ops = {
	.dial = rpc_dial,
	.dialled = link_dialled,
	.network = rpc_network,
	.listened = events_listened,
	.proxy_start = proxy_start,
	.proxy_stop = proxy_stop,
};

int rpc_init(struct agent *agent, struct coffer_error *err)
{
	/* The server keeps both for as long as it lives. */
	static const struct grpc_limits limits = GRPC_LIMITS_DEFAULT;
	static struct grpc_service services[3];

	contract_use(&rpc_ops, agent->loop, agent);
	services[0] = (struct grpc_service){
		.desc = &sc__sandbox_context__descriptor,
		.methods = rpc_methods,
		.nmethods = ARRAY_SIZE(rpc_methods),
		.data = agent,
	};
	services[1] = (struct grpc_service){
		.desc = &scc__sandbox_context__descriptor,
		.methods = rpc_copy_methods,
		.nmethods = ARRAY_SIZE(rpc_copy_methods),
		.data = agent,
	};
	services[2] = extras_service(agent);
	return grpc_server_new(agent->loop, services, ARRAY_SIZE(services), &limits,
			       &agent->server, err);
}
