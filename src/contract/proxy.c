/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/proxy.c - ProxyVsock, StopVsockProxy: which proxies there are
 *
 *	into     listens on a unix socket; each client gets a connection to the host's port
 *	out of   listens on a port; each client gets a connection to a unix socket
 *
 * Who listens and who carries is the side's: agent/proxy.c, sentry/control/proxy.c.
 */
#include "contract/proxy.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define PROXY_MODE 0777 /* the contract: whoever may reach it, unless permissions are given */

static struct contract_proxy *proxies;

static struct contract_proxy **proxy_find(const char *id)
{
	struct contract_proxy **p = &proxies;

	while (*p && strcmp((*p)->id, id) != 0)
		p = &(*p)->next;
	return p;
}

/* Not on the list any more. */
static void proxy_free(struct contract_proxy *p)
{
	contract_ops->proxy_stop(p);
	free(p->path);
	free(p->id);
	free(p);
}

static int proxy_check(const Sc__ProxyVsockRequest *req, struct coffer_error *err)
{
	size_t n = strlen(req->id);

	if (n == 0 || n > PROXY_ID_MAX)
		return err_invalid(err, "id: want 1 to %d bytes", PROXY_ID_MAX);
	if (req->vsock_port == 0)
		return err_invalid(err, "vsock_port 0");
	if (req->guestpath[0] != '/')
		return err_invalid(err, "guestPath \"%.256s\" is not absolute", req->guestpath);
	if (req->_guest_socket_permissions_case && req->guestsocketpermissions > 07777)
		return err_invalid(err, "guestSocketPermissions 0%o", req->guestsocketpermissions);
	if (req->action != SC__PROXY_VSOCK_REQUEST__ACTION__OUT_OF &&
	    req->action != SC__PROXY_VSOCK_REQUEST__ACTION__INTO)
		return err_invalid(err, "action %d is not known", (int)req->action);
	return 0;
}

static int proxy_start(void *data, const Sc__ProxyVsockRequest *req, struct coffer_error *err)
{
	struct contract_proxy *p;
	int r;

	if (*proxy_find(req->id))
		return err_set(err, COFFER_ERR_ALREADY_EXISTS, 0, "proxy %s exists already",
			       req->id);
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_nomem(err);
	*p = (struct contract_proxy){
		.id = strdup(req->id),
		.path = strdup(req->guestpath),
		.port = req->vsock_port,
		.out_of = req->action == SC__PROXY_VSOCK_REQUEST__ACTION__OUT_OF,
		.mode = req->_guest_socket_permissions_case ? req->guestsocketpermissions
							    : PROXY_MODE,
	};
	r = p->id && p->path ? contract_ops->proxy_start(data, p, err) : err_nomem(err);
	if (r < 0) {
		proxy_free(p);
		return r;
	}
	p->next = proxies;
	proxies = p;
	return 0;
}

RPC_METHOD(rpc_proxy_vsock)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (proxy_check((const void *)msg, &err) < 0)
		rpc_refuse(call, &err);
	else
		rpc_done(call, proxy_start(data, (const void *)msg, &err), &err);
}

RPC_METHOD(rpc_stop_vsock_proxy)
{
	const Sc__StopVsockProxyRequest *req = (const void *)msg;
	struct contract_proxy **link = proxy_find(req->id), *p = *link;
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = 0;

	if (p) {
		*link = p->next;
		proxy_free(p);
	} else {
		r = err_set(&err, COFFER_ERR_NOT_FOUND, 0, "proxy \"%.*s\" does not exist",
			    PROXY_ID_MAX, req->id);
	}
	rpc_done(call, r, &err);
}

void proxy_stop_below(const char *prefix)
{
	struct contract_proxy **link = &proxies, *p;

	while ((p = *link)) {
		if (strncmp(p->path, prefix, strlen(prefix)) == 0) {
			*link = p->next;
			proxy_free(p);
		} else {
			link = &p->next;
		}
	}
}
