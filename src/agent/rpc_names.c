/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_names.c - ConfigureDns, ConfigureHosts: files of a root's /etc
 *
 * Written aside and renamed into place, so that a reader finds the old file or
 * the new one, and a link of that name is replaced instead of followed.
 */
#include <string.h>

#include "agent/guestpath.h"
#include "agent/names.h"
#include "agent/rpc.h"
#include "base/io.h"
#include "base/path.h"

#define RPC_NAMES_MODE 0644

/* <location>/etc, made when it is missing. Return: descriptor or negative errno */
static int rpc_names_open_etc(const struct agent *agent, const char *location,
			      struct coffer_error *err)
{
	autoguestplace struct guestplace place = GUESTPLACE_INIT;
	autoguestpath struct guestpath gp = GUESTPATH_INIT;
	autofree char *etc = path_join(location, "etc");
	int r;

	if (!etc)
		return err_nomem(err);
	r = guestplace_of_path(agent, etc, &place, err);
	if (r == 0)
		r = guestplace_open(&place, &gp, err);
	return r < 0 ? r : path_mkdirs_in_root(gp.rootfd, gp.path, 0755, err);
}

static int rpc_names_write(const struct agent *agent, const char *location, const char *name,
			   const char *text, struct coffer_error *err)
{
	autoclose int path = rpc_names_open_etc(agent, location, err);

	if (path < 0)
		return path;
	return io_swap_file(path, name, text, strlen(text), RPC_NAMES_MODE, err);
}

static void rpc_names_put(struct grpc_call *call, const struct agent *agent, const char *location,
			  const char *name, const char *text)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int r;

	if (location[0] != '/') {
		err_invalid(&err, "location \"%.256s\" is not absolute", location);
		rpc_refuse(call, &err);
		return;
	}
	r = rpc_names_write(agent, location, name, text, &err);
	if (r < 0)
		err_wrap(&err, "%.256s/etc/%s", location, name);
	rpc_done(call, r, &err);
}

void rpc_configure_dns(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__ConfigureDnsRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *text = NULL;

	if (names_dns_text(req, &text, &err) < 0)
		rpc_refuse(call, &err);
	else
		rpc_names_put(call, data, req->location, "resolv.conf", text);
}

void rpc_configure_hosts(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__ConfigureHostsRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *text = NULL;

	if (names_hosts_text(req, &text, &err) < 0)
		rpc_refuse(call, &err);
	else
		rpc_names_put(call, data, req->location, "hosts", text);
}
