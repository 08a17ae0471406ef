/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network/rtnl.c - interfaces, addresses and routes, by rtnetlink
 *
 * One request, one acknowledgement: the kernel does the work inside sendmsg(2)
 * and the answer lies in the socket when that returns.  Nothing is listed or
 * watched.
 *
 * Callers: agent.
 */
#include "network/rtnl.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/io.h"
#include "network/rtnl_message.h"

#define RTNL_REPLY_MAX	  8192
#define RTNL_REPLY_BUDGET (5 * USEC_PER_SEC)

int rtnl_open(struct rtnl *nl, struct coffer_error *err)
{
	int on = 1;

	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (nl->fd < 0)
		return err_sys(err, "netlink socket");
	/* Best effort: the kernel's words, and not our own request back. */
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	return 0;
}

void rtnl_close(struct rtnl *nl)
{
	close_fd(&nl->fd);
}

int rtnl_check_name(const char *name, struct coffer_error *err)
{
	size_t n = strnlen(name, RTNL_NAME_MAX + 1);

	if (n == 0 || n > RTNL_NAME_MAX || strpbrk(name, "/: \t\n\v\f\r") ||
	    strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_invalid(err, "\"%.*s\" is not an interface's name", RTNL_NAME_MAX + 1,
				   name);
	return 0;
}

/* One datagram from the kernel; others may send to us, too. Return: bytes, 0: not the kernel's */
static ssize_t rtnl_receive(const struct rtnl *nl, void *data, size_t size)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1
	};
	ssize_t n = recvmsg(nl->fd, &msg, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (msg.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return from.nl_pid == 0 ? n : 0;
}

static int rtnl_await_reply(const struct rtnl *nl, struct rtnl_reply *reply)
{
	usec_t deadline = deadline_in(clock_budget(RTNL_REPLY_BUDGET));
	uint8_t data[RTNL_REPLY_MAX];
	ssize_t n;
	int r;

	while (!reply->done) {
		r = io_wait(nl->fd, POLLIN, deadline);
		if (r <= 0)
			return r < 0 ? r : -ETIMEDOUT;
		n = rtnl_receive(nl, data, sizeof(data));
		if (n < 0)
			return (int)n;
		r = rtnl_reply_parse(data, (size_t)n, nl->seq, reply);
		if (r < 0)
			return r;
	}
	return reply->error;
}

/* Return: 0 with @reply filled, or negative errno */
static int rtnl_ask(struct rtnl *nl, struct rtnl_message *m, struct rtnl_reply *reply,
		    const char *what, struct coffer_error *err)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int r;

	*reply = (struct rtnl_reply){ 0 };
	if (m->full)
		return err_sysn(err, EMSGSIZE, "%s", what);
	m->header.nlmsg_seq = ++nl->seq;
	if (sendto(nl->fd, m->bytes, m->header.nlmsg_len, 0, (struct sockaddr *)&kernel,
		   sizeof(kernel)) < 0)
		return err_sys(err, "%s", what);
	r = rtnl_await_reply(nl, reply);
	if (r < 0 && reply->text[0])
		return err_sysn(err, r, "%s: %s", what, reply->text);
	return r < 0 ? err_sysn(err, r, "%s", what) : 0;
}

int rtnl_link_index(struct rtnl *nl, const char *name, struct coffer_error *err)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct rtnl_message m;
	struct rtnl_reply reply;
	int r = rtnl_check_name(name, err);

	if (r < 0)
		return r;
	rtnl_message_begin(&m, RTM_GETLINK, 0, &info, sizeof(info));
	rtnl_message_put(&m, IFLA_IFNAME, name, strlen(name) + 1);
	rtnl_message_put_u32(&m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	r = rtnl_ask(nl, &m, &reply, "find the interface", err);
	if (r < 0)
		return r;
	return reply.index > 0 ? reply.index : err_sysn(err, EBADMSG, "find the interface");
}

/* By its name alone: an interface that has to be found first costs a long reply. */
int rtnl_link_set(struct rtnl *nl, const char *name, bool up, uint32_t mtu,
		  struct coffer_error *err)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC,
				  .ifi_flags = up ? IFF_UP : 0,
				  .ifi_change = IFF_UP };
	struct rtnl_message m;
	struct rtnl_reply reply;
	int r = rtnl_check_name(name, err);

	if (r < 0)
		return r;
	rtnl_message_begin(&m, RTM_NEWLINK, 0, &info, sizeof(info));
	rtnl_message_put(&m, IFLA_IFNAME, name, strlen(name) + 1);
	if (mtu)
		rtnl_message_put_u32(&m, IFLA_MTU, mtu);
	return rtnl_ask(nl, &m, &reply, up ? "set up" : "set down", err);
}

static void rtnl_put_address(struct rtnl_message *m, uint16_t type, const struct address *a)
{
	if (a)
		rtnl_message_put(m, type, a->bytes, address_size(a));
}

int rtnl_address_add(struct rtnl *nl, int index, const struct address_prefix *prefix,
		     struct coffer_error *err)
{
	struct ifaddrmsg info = { .ifa_family = (uint8_t)prefix->address.family,
				  .ifa_prefixlen = (uint8_t)prefix->len,
				  .ifa_flags = IFA_F_PERMANENT | IFA_F_NODAD,
				  .ifa_scope = RT_SCOPE_UNIVERSE,
				  .ifa_index = (uint32_t)index };
	struct rtnl_message m;
	struct rtnl_reply reply;

	rtnl_message_begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	rtnl_put_address(&m, IFA_LOCAL, &prefix->address);
	rtnl_put_address(&m, IFA_ADDRESS, &prefix->address);
	return rtnl_ask(nl, &m, &reply, "add address", err);
}

int rtnl_route_add(struct rtnl *nl, const struct rtnl_route *route, struct coffer_error *err)
{
	struct rtmsg info = { .rtm_family = (uint8_t)route->family,
			      .rtm_dst_len = route->dst ? (uint8_t)route->dst->len : 0,
			      .rtm_table = RT_TABLE_MAIN,
			      .rtm_protocol = RTPROT_STATIC,
			      .rtm_scope = route->gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
			      .rtm_type = RTN_UNICAST };
	struct rtnl_message m;
	struct rtnl_reply reply;

	rtnl_message_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	rtnl_put_address(&m, RTA_DST, route->dst ? &route->dst->address : NULL);
	rtnl_put_address(&m, RTA_GATEWAY, route->gateway);
	rtnl_put_address(&m, RTA_PREFSRC, route->source);
	rtnl_message_put_u32(&m, RTA_OIF, (uint32_t)route->index);
	return rtnl_ask(nl, &m, &reply, "add route", err);
}
