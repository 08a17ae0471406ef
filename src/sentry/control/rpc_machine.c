/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/rpc_machine.c - the methods about the machine: mounts, names, environment, clock
 *
 * There is no machine, so some of these have nothing to do: what the caller wants is so already, or
 * the error says why it cannot be.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "rpc/names.h"
#include "sentry/control/container.h"
#include "sentry/control/machine.h"
#include "sentry/control/rpc.h"
#include "sentry/task/task.h"

#define RPC_NAMES_MODE 0644

RPC_METHOD(rpc_mount)
{
	const Sc__MountRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	const struct oci_strv options = { req->options, req->n_options };
	const struct machine_mount mount = { req->type, req->source, req->destination, &options };
	int r = machine_mount(&mount, &err);

	rpc_done(call, r, &err);
}

RPC_METHOD(rpc_umount)
{
	const Sc__UmountRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = machine_unmount(req->path, req->flags, &err);

	/* The contract's status for anything but a busy mount. */
	if (r < 0 && r != -EBUSY)
		rpc_refuse(call, &err);
	else
		rpc_done(call, r, &err);
}

RPC_METHOD(rpc_sync)
{
	mount_table_sync(machine_mounts());
	/* Containers come and go on this thread only. */
	for (struct sandbox_container *c = kernel.containers; c; c = c->next)
		mount_table_sync(c->mounts);
	rpc_done(call, 0, NULL);
}

RPC_METHOD(rpc_setenv)
{
	const Sc__SetenvRequest *req = (const void *)msg;
	const char *value = req->_value_case == SC__SETENV_REQUEST___VALUE_VALUE ? req->value : "";
	struct coffer_error err = COFFER_ERROR_INIT;

	if (setenv(req->key, value, 1) < 0) {
		err_sys(&err, "set \"%s\"", req->key);
		rpc_refuse(call, &err);
		return;
	}
	rpc_done(call, 0, NULL);
}

RPC_METHOD(rpc_getenv)
{
	const Sc__GetenvRequest *req = (const void *)msg;
	Sc__GetenvResponse reply = SC__GETENV_RESPONSE__INIT;

	reply.value = getenv(req->key);
	if (reply.value)
		reply._value_case = SC__GETENV_RESPONSE___VALUE_VALUE;
	grpc_call_reply(call, &reply.base);
}

RPC_METHOD(rpc_sysctl)
{
	const Sc__SysctlRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = 0;

	if (req->n_settings)
		r = err_unsupported(&err, "sysctl %s: settings are a container's here",
				    req->settings[0]->key);
	rpc_answer(call, r, &err);
}

/* The clock is the host's, and right. */
RPC_METHOD(rpc_set_time)
{
	rpc_done(call, 0, NULL);
}

static int rpc_kill_each(struct process *process, void *data)
{
	const int *sig = data;

	signal_process_send(process, *sig, NULL);
	return 0;
}

/* As the contract means it: process ids of a machine; -1 is all, others there are none. */
RPC_METHOD(rpc_kill)
{
	const Sc__KillRequest *req = (const void *)msg;
	Sc__KillResponse reply = SC__KILL_RESPONSE__INIT;
	int sig = req->signal;

	reply.result = req->pid == -1 && sig >= 0 && sig <= SIGNAL_MAX ? 0 : -1;
	pthread_mutex_lock(&kernel.tasks_lock);
	for (struct sandbox_container *c = kernel.containers; c && reply.result == 0 && sig;
	     c = c->next)
		process_each(c, rpc_kill_each, &sig);
	pthread_mutex_unlock(&kernel.tasks_lock);
	grpc_call_reply(call, &reply.base);
}

/* What a container writes is in the host's files at once, whose file system is the host's to freeze. */
RPC_METHOD(rpc_filesystem_operation)
{
	const Sc__FilesystemOperationRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;

	err_unsupported(&err, "%.200s: without a kernel of its own a sandbox has no disks to freeze, "
			      "thaw or trim", req->path);
	grpc_call_fail(call, &err);
}

/* Guests run on the host's processors as they are. */
RPC_METHOD(rpc_setup_emulator)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	err_unsupported(&err, "programs of another architecture: only a virtual machine runs them");
	grpc_call_fail(call, &err);
}

/* The sentry may not change the namespace it is in. */
static void rpc_refuse_network(struct grpc_call *call, const char *interface)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	err_unsupported(&err, "interface %.64s: a sandbox without a kernel of its own has the network "
			      "that was set up for it on the host", interface);
	grpc_call_fail(call, &err);
}

/* The loopback device of the sentry's namespace is up when it starts; others are the host's to set. */
RPC_METHOD(rpc_ip_link_set)
{
	const Sc__IpLinkSetRequest *req = (const void *)msg;
	if (strcmp(req->interface, "lo") != 0)
		rpc_refuse_network(call, req->interface);
	else
		rpc_done(call, 0, NULL);
}

RPC_METHOD(rpc_ip_addr_add)
{
	const Sc__IpAddrAddRequest *req = (const void *)msg;

	rpc_refuse_network(call, req->interface);
}

RPC_METHOD(rpc_ip_route_add_link)
{
	const Sc__IpRouteAddLinkRequest *req = (const void *)msg;

	rpc_refuse_network(call, req->interface);
}

RPC_METHOD(rpc_ip_route_add_default)
{
	const Sc__IpRouteAddDefaultRequest *req = (const void *)msg;

	rpc_refuse_network(call, req->interface);
}

/* ---- files of names ---- */

/* Written aside and renamed, so that a link of that name is replaced instead of followed. */
static int rpc_names_write(struct walk *walk, const char *dir, const char *name, const char *text,
			   struct coffer_error *err)
{
	autofree char *path = NULL, *aside = NULL;
	autofile struct file *file = NULL;
	struct walk to = *walk;
	size_t len = strlen(text);
	long n;
	int r;

	if (asprintf(&path, "%s/%s", dir, name) < 0 || asprintf(&aside, "%s/.%s.new", dir, name) < 0)
		return err_nomem(err);
	r = machine_mkdirs(walk, dir, 0755, err);
	if (r < 0)
		return r;
	vfs_unlink(walk, aside, false);
	r = vfs_open(walk, aside, O_WRONLY | O_CREAT | O_EXCL, RPC_NAMES_MODE, 0, &file);
	n = r == 0 ? file_write_kernel(file, text, len, 0) : r;
	if (n >= 0 && (size_t)n < len)
		n = -ENOSPC;
	if (n >= 0) {
		if (to.start.mount)
			path_get(&to.start);
		n = vfs_rename(walk, aside, &to, path, 0);
		walk_end(&to);
	}
	return n < 0 ? err_sysn(err, (int)n, "write %s", path) : 0;
}

static void rpc_names_put(struct grpc_call *call, const char *location, const char *name,
			  const char *text)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *etc = NULL;
	const char *rest;
	struct walk walk;
	int r;

	if (asprintf(&etc, "%s/etc", location) < 0) {
		etc = NULL;
		err_nomem(&err);
		rpc_done(call, -ENOMEM, &err);
		return;
	}
	r = machine_walk(&walk, etc, &rest, &err);
	if (r < 0) {
		rpc_refuse(call, &err);
		return;
	}
	r = rpc_names_write(&walk, rest, name, text, &err);
	walk_end(&walk);
	if (r < 0)
		err_wrap(&err, "%.256s/etc/%s", location, name);
	rpc_done(call, r, &err);
}

RPC_METHOD(rpc_configure_dns)
{
	const Sc__ConfigureDnsRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *text = NULL;

	if (names_dns_text(req, &text, &err) < 0)
		rpc_refuse(call, &err);
	else
		rpc_names_put(call, req->location, "resolv.conf", text);
}

RPC_METHOD(rpc_configure_hosts)
{
	const Sc__ConfigureHostsRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *text = NULL;

	if (names_hosts_text(req, &text, &err) < 0)
		rpc_refuse(call, &err);
	else
		rpc_names_put(call, req->location, "hosts", text);
}
