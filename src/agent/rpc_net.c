/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_net.c - IpLinkSet, IpAddrAdd, IpRouteAddLink, IpRouteAddDefault
 *
 * Every field is read and checked before anything is changed: a bad one is
 * INVALID_ARGUMENT, what the kernel refuses INTERNAL.  Of a request for both
 * families what was done for the first stays when the second fails.
 */
#define LOG_CATEGORY "net"
#include <stdio.h>
#include <sys/socket.h>

#include "agent/rpc.h"
#include "base/log.h"
#include "engine/sysctl.h"
#include "network/rtnl.h"

#define RPC_MTU_MAX INT32_MAX

/* An open socket and the interface's number. Return: that or negative errno */
static int rpc_net_open(struct rtnl *nl, const char *interface, struct coffer_error *err)
{
	int r = rtnl_open(nl, err);

	if (r == 0)
		r = rtnl_link_index(nl, interface, err);
	return r;
}

static void rpc_net_done(struct grpc_call *call, const char *interface, int r,
			 struct coffer_error *err)
{
	if (r < 0)
		err_wrap(err, "interface %s", interface);
	rpc_done(call, r, err);
}

/* ---- IpLinkSet ---- */

void rpc_ip_link_set(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__IpLinkSetRequest *req = (const void *)msg;
	bool has_mtu = req->_mtu_case == SC__IP_LINK_SET_REQUEST___MTU_MTU;
	struct coffer_error err = COFFER_ERROR_INIT;
	autortnl struct rtnl nl = RTNL_INIT;
	int r = rtnl_check_name(req->interface, &err);

	if (r == 0 && has_mtu && (req->mtu == 0 || req->mtu > RPC_MTU_MAX))
		r = err_invalid(&err, "mtu %u: want 1 to %d", req->mtu, RPC_MTU_MAX);
	if (r < 0) {
		rpc_refuse(call, &err);
		return;
	}
	r = rtnl_open(&nl, &err);
	if (r == 0)
		r = rtnl_link_set(&nl, req->interface, req->up, has_mtu ? req->mtu : 0, &err);
	rpc_net_done(call, req->interface, r, &err);
}

/* ---- IpAddrAdd ---- */

struct rpc_addresses {
	struct address_prefix v4, v6;
	bool has_v6;
};

static int rpc_addr_parse(const Sc__IpAddrAddRequest *req, struct rpc_addresses *out,
			  struct coffer_error *err)
{
	int r = rtnl_check_name(req->interface, err);

	out->has_v6 = req->_ipv6_address_case && req->ipv6address[0];
	if (r == 0)
		r = address_parse_prefix(AF_INET, req->ipv4address, &out->v4, err);
	if (r == 0 && out->has_v6)
		r = address_parse_prefix(AF_INET6, req->ipv6address, &out->v6, err);
	return r;
}

/* Static addresses only: none from router advertisements beside them. */
static void rpc_addr_stop_autoconf(const char *interface)
{
	static const char *const names[] = { "accept_ra", "autoconf" };
	struct coffer_error err = COFFER_ERROR_INIT;
	char key[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct oci_pair pair = { key, (char *)"0" };
		const struct oci_pairs pairs = { &pair, 1 };

		snprintf(key, sizeof(key), "net/ipv6/conf/%s/%s", interface, names[i]);
		if (sysctl_apply(&pairs, &err) < 0)
			log_warning("%s", err.message);
	}
}

void rpc_ip_addr_add(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__IpAddrAddRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	autortnl struct rtnl nl = RTNL_INIT;
	struct rpc_addresses a = { 0 };
	int r, index;

	if (rpc_addr_parse(req, &a, &err) < 0) {
		rpc_refuse(call, &err);
		return;
	}
	r = index = rpc_net_open(&nl, req->interface, &err);
	if (r > 0)
		r = rtnl_address_add(&nl, index, &a.v4, &err);
	if (r == 0 && a.has_v6) {
		rpc_addr_stop_autoconf(req->interface);
		r = rtnl_address_add(&nl, index, &a.v6, &err);
	}
	rpc_net_done(call, req->interface, r, &err);
}

/* ---- IpRouteAddLink ---- */

/* What a route of one family is made of; what is not asked for is not set. */
struct rpc_route {
	bool wanted, has_source, has_gateway, has_dst;
	struct address_prefix dst;
	struct address source, gateway;
};

static int rpc_route_parse_link(int family, const char *dst, const char *src, struct rpc_route *out,
				struct coffer_error *err)
{
	int r;

	*out = (struct rpc_route){ .wanted = dst && dst[0] };
	if (!out->wanted)
		return 0;
	out->has_dst = true;
	r = address_parse_prefix(family, dst, &out->dst, err);
	out->has_source = src && src[0];
	if (r == 0 && out->has_source)
		r = address_parse(family, src, &out->source, err);
	return r;
}

static int rpc_route_add(struct rtnl *nl, int index, int family, const struct rpc_route *r,
			 struct coffer_error *err)
{
	const struct rtnl_route route = {
		.family = family,
		.index = index,
		.dst = r->has_dst ? &r->dst : NULL,
		.source = r->has_source ? &r->source : NULL,
		.gateway = r->has_gateway ? &r->gateway : NULL,
	};

	return r->wanted ? rtnl_route_add(nl, &route, err) : 0;
}

static void rpc_routes_add(struct grpc_call *call, const char *interface,
			   const struct rpc_route *v4, const struct rpc_route *v6)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autortnl struct rtnl nl = RTNL_INIT;
	int r, index;

	r = index = rpc_net_open(&nl, interface, &err);
	if (r > 0)
		r = rpc_route_add(&nl, index, AF_INET, v4, &err);
	if (r == 0)
		r = rpc_route_add(&nl, index, AF_INET6, v6, &err);
	rpc_net_done(call, interface, r, &err);
}

void rpc_ip_route_add_link(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__IpRouteAddLinkRequest *req = (const void *)msg;
	const char *dst6 = req->_dst_ipv6_addr_case ? req->dstipv6addr : NULL;
	const char *src6 = req->_src_ipv6_addr_case ? req->srcipv6addr : NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct rpc_route v4 = { 0 }, v6 = { 0 };
	int r = rtnl_check_name(req->interface, &err);

	if (r == 0)
		r = rpc_route_parse_link(AF_INET, req->dstipv4addr, req->srcipv4addr, &v4, &err);
	if (r == 0)
		r = rpc_route_parse_link(AF_INET6, dst6, src6, &v6, &err);
	if (r == 0 && !v4.wanted && !v6.wanted)
		r = err_invalid(&err, "a link route needs a destination");
	if (r < 0)
		rpc_refuse(call, &err);
	else
		rpc_routes_add(call, req->interface, &v4, &v6);
}

/* ---- IpRouteAddDefault ---- */

static int rpc_route_parse_gateway(int family, const char *gateway, struct rpc_route *out,
				   struct coffer_error *err)
{
	*out = (struct rpc_route){ .wanted = gateway && gateway[0] };
	out->has_gateway = out->wanted;
	return out->wanted ? address_parse(family, gateway, &out->gateway, err) : 0;
}

void rpc_ip_route_add_default(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__IpRouteAddDefaultRequest *req = (const void *)msg;
	const char *gateway6 = req->_ipv6_gateway_case ? req->ipv6gateway : NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct rpc_route v4 = { 0 }, v6 = { 0 };
	int r = rtnl_check_name(req->interface, &err);

	if (r == 0)
		r = rpc_route_parse_gateway(AF_INET, req->ipv4gateway, &v4, &err);
	if (r == 0)
		r = rpc_route_parse_gateway(AF_INET6, gateway6, &v6, &err);
	if (r < 0) {
		rpc_refuse(call, &err);
		return;
	}
	/* Without any gateway everything is on the link. */
	v4.wanted = v4.wanted || !v6.wanted;
	rpc_routes_add(call, req->interface, &v4, &v6);
}
