/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/rpc.c - the table of the contract's methods, and what contract/ asks of us
 *
 * A method without a row answers UNIMPLEMENTED.
 */
#include "sentry/control/rpc.h"

#include "base/cleanup.h"
#include "sentry/control/copy.h"
#include "sentry/control/proxy.h"
#include "sentry/gofer/gofer.h"
#include "sentry/kernel.h"

static const struct grpc_method rpc_methods[] = {
	{ "Mount", rpc_mount },
	{ "Umount", rpc_umount },
	{ "Setenv", rpc_setenv },
	{ "Getenv", rpc_getenv },
	{ "Mkdir", rpc_mkdir },
	{ "Sysctl", rpc_sysctl },
	{ "SetTime", rpc_set_time },
	{ "WriteFile", rpc_write_file },
	{ "Copy", rpc_copy },
	{ "Stat", rpc_stat },
	{ "CreateProcess", rpc_create_process },
	{ "DeleteProcess", rpc_delete_process },
	{ "StartProcess", rpc_start_process },
	{ "KillProcess", rpc_kill_process },
	{ "WaitProcess", rpc_wait_process },
	{ "ResizeProcess", rpc_resize_process },
	{ "CloseProcessStdin", rpc_close_process_stdin },
	{ "ContainerStatistics", rpc_container_statistics },
	{ "FilesystemOperation", rpc_filesystem_operation },
	{ "SetupEmulator", rpc_setup_emulator },
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
	int fd = gofer_dial_port(kernel.gofer, port);

	return fd < 0 ? err_sysn(err, fd, "dial the host's port %u", port) : fd;
}

/* The gofer's answer was the last word. */
static int rpc_dialled(int fd, uint32_t port, struct coffer_error *err)
{
	return 0;
}

/* Guests' inet sockets are sockets of the namespace we are in, so its loopback is theirs. */
static int rpc_network(void *side, const char *id, struct contract_network *out,
		       struct coffer_error *err)
{
	const struct control_container *c = control_container_find(side, id);
	const struct control_process *init = c ? control_process_find(c, c->id) : NULL;

	if (!c)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "container \"%.*s\" does not exist",
			       CONTROL_ID_MAX, id);
	out->owner = c;
	if (!init || init->state != CONTROL_RUNNING)
		return err_state(err, "container %s is not running", c->id);
	return 0;
}

static const struct contract_ops rpc_ops = {
	.dial = rpc_dial,
	.dialled = rpc_dialled,
	.network = rpc_network,
	.forwards_max = 256,
	.proxy_start = proxy_start,
	.proxy_stop = proxy_stop,
};

int rpc_start(struct control *control, struct coffer_error *err)
{
	/* The server keeps both for as long as it lives. */
	static const struct grpc_limits limits = GRPC_LIMITS_DEFAULT;
	static struct grpc_service services[3];
	int r;

	contract_use(&rpc_ops, control->loop, control);
	services[0] = (struct grpc_service){
		.desc = &sc__sandbox_context__descriptor,
		.methods = rpc_methods,
		.nmethods = ARRAY_SIZE(rpc_methods),
		.data = control,
	};
	services[1] = (struct grpc_service){
		.desc = &scc__sandbox_context__descriptor,
		.methods = rpc_copy_methods,
		.nmethods = ARRAY_SIZE(rpc_copy_methods),
		.data = control,
	};
	services[2] = rpc_extras(control);
	r = grpc_server_new(control->loop, services, ARRAY_SIZE(services), &limits,
			    &control->server, err);
	return r < 0 ? r : grpc_server_listen(control->server, control->config->listen_fd, err);
}
