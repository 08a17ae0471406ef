/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_net.c - IpLinkSet
 *
 * Two ioctls; addresses and routes are not served yet and would want netlink.
 */
#define LOG_CATEGORY "net"
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "agent/rpc.h"

static int rpc_link_set_up(int sock, struct ifreq *ifr, bool up, struct coffer_error *err)
{
	if (ioctl(sock, SIOCGIFFLAGS, ifr) < 0)
		return err_sys(err, "get flags");
	if (up)
		ifr->ifr_flags |= IFF_UP;
	else
		ifr->ifr_flags = (short)(ifr->ifr_flags & ~IFF_UP);
	if (ioctl(sock, SIOCSIFFLAGS, ifr) < 0)
		return err_sys(err, "set %s", up ? "up" : "down");
	return 0;
}

static int rpc_link_set(const Sc__IpLinkSetRequest *req, struct coffer_error *err)
{
	autoclose int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };
	size_t n = strlen(req->interface);

	if (sock < 0)
		return err_sys(err, "socket");
	if (n == 0 || n >= sizeof(ifr.ifr_name))
		return err_invalid(err, "not a name");
	memcpy(ifr.ifr_name, req->interface, n);
	if (req->_mtu_case == SC__IP_LINK_SET_REQUEST___MTU_MTU) {
		if (req->mtu > INT32_MAX)
			return err_invalid(err, "MTU %u", req->mtu);
		ifr.ifr_mtu = (int)req->mtu;
		if (ioctl(sock, SIOCSIFMTU, &ifr) < 0)
			return err_sys(err, "set MTU %u", req->mtu);
	}
	return rpc_link_set_up(sock, &ifr, req->up, err);
}

void rpc_ip_link_set(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__IpLinkSetRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = rpc_link_set(req, &err);

	if (r < 0)
		err_wrap(&err, "interface %.64s", req->interface);
	rpc_done(call, r, &err);
}
