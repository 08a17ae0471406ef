/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/links.c - interfaces, addresses and routes of the sentry's network namespace
 *
 *	who asks -> a request of our own -> the host's rtnetlink -> its messages, one by one
 *
 * Guests' requests never reach the host: a dump for a family is all that is ever sent. Messages are
 * the host kernel's, but their lengths are checked all the same.
 *
 * Called by netlink.c, interface ioctls, procfs and sysfs.
 */
#include "sentry/net/links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "sentry/net/net.h"

#define LINKS_BUFFER 32768u
#define LINKS_STATS  offsetof(struct rtnl_link_stats64, rx_nohandler)

static const struct jail_call links_rows[] = {
	JAIL_IF(socket, 0, UINT32_MAX, AF_NETLINK),
	JAIL(sendmsg),
	JAIL(recvmsg),
	JAIL(close),
};
const struct jail_list links_calls = JAIL_LIST(links_rows);

static int links_ask(int fd, uint16_t type, unsigned char family)
{
	struct {
		struct nlmsghdr header;
		struct rtgenmsg body;
	} request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)),
			    .nlmsg_type = type,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			    .nlmsg_seq = 1 },
		.body = { .rtgen_family = family },
	};
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	struct iovec iov = { &request, sizeof(request) };
	struct msghdr msg = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1,
	};

	return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* One datagram's messages. Return: 0 go on, 1 that was all, else what ends it */
static int links_take(const char *bytes, int len,
		      int (*message)(const struct nlmsghdr *header, void *data), void *data)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)bytes;
	int r = 0;

	for (; !r && len > 0 && NLMSG_OK(header, (unsigned)len); header = NLMSG_NEXT(header, len)) {
		if (header->nlmsg_type == NLMSG_DONE)
			return 1;
		if (header->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *error = NLMSG_DATA(header);

			return header->nlmsg_len < NLMSG_LENGTH(sizeof(*error)) || !error->error ?
				       1 : error->error;
		}
		r = message(header, data);
	}
	return r;
}

int links_dump(uint16_t type, unsigned char family,
	       int (*message)(const struct nlmsghdr *header, void *data), void *data)
{
	autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	autofree char *bytes = malloc(LINKS_BUFFER);
	int r;

	if (fd < 0)
		return -errno;
	if (!bytes)
		return -ENOMEM;
	r = links_ask(fd, type, family);
	while (!r) {
		struct iovec iov = { bytes, LINKS_BUFFER };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

		if (n <= 0)
			return n < 0 && errno != EAGAIN ? -errno : 0;
		r = links_take(bytes, (int)n, message, data);
	}
	return r == 1 ? 0 : r;
}

const void *links_attribute(const struct nlmsghdr *header, size_t fixed, unsigned short type,
			    size_t size)
{
	size_t at = NLMSG_LENGTH(NLMSG_ALIGN(fixed));

	while (header->nlmsg_len >= at + sizeof(struct rtattr)) {
		const struct rtattr *attr = (const struct rtattr *)((const char *)header + at);

		if (attr->rta_len < sizeof(*attr) || attr->rta_len > header->nlmsg_len - at)
			return NULL;
		if ((attr->rta_type & NLA_TYPE_MASK) == type)
			return RTA_PAYLOAD(attr) >= size ? RTA_DATA(attr) : NULL;
		at += RTA_ALIGN(attr->rta_len);
	}
	return NULL;
}

/* --- interfaces --- */

struct links_walk {
	int (*fn)(const struct link_info *link, void *data);
	void *data;
};

static size_t links_address(const struct nlmsghdr *header, unsigned short type, uint8_t out[32])
{
	const uint8_t *data = links_attribute(header, sizeof(struct ifinfomsg), type, 0);
	size_t len;

	if (!data)
		return 0;
	len = RTA_PAYLOAD((const struct rtattr *)(const void *)(data - RTA_LENGTH(0)));
	if (len > 32)
		len = 32;
	memcpy(out, data, len);
	return len;
}

static int links_parse(const struct nlmsghdr *header, void *data)
{
	const struct links_walk *walk = data;
	const struct ifinfomsg *body = NLMSG_DATA(header);
	struct link_info link = { 0 };
	const void *attr;

	if (header->nlmsg_type != RTM_NEWLINK || header->nlmsg_len < NLMSG_LENGTH(sizeof(*body)))
		return 0;
	link.index = body->ifi_index;
	link.flags = body->ifi_flags;
	link.type = body->ifi_type;
	if ((attr = links_attribute(header, sizeof(*body), IFLA_IFNAME, 1)))
		strncpy(link.name, attr, sizeof(link.name) - 1);
	if ((attr = links_attribute(header, sizeof(*body), IFLA_MTU, sizeof(link.mtu))))
		memcpy(&link.mtu, attr, sizeof(link.mtu));
	if ((attr = links_attribute(header, sizeof(*body), IFLA_TXQLEN, sizeof(link.queue))))
		memcpy(&link.queue, attr, sizeof(link.queue));
	if ((attr = links_attribute(header, sizeof(*body), IFLA_OPERSTATE, 1)))
		memcpy(&link.state, attr, 1);
	/* As much as any kernel has of it. */
	if ((attr = links_attribute(header, sizeof(*body), IFLA_STATS64, LINKS_STATS)))
		memcpy(&link.stats, attr, LINKS_STATS);
	link.address_len = links_address(header, IFLA_ADDRESS, link.address);
	links_address(header, IFLA_BROADCAST, link.broadcast);
	return walk->fn(&link, walk->data);
}

int links_each(int (*fn)(const struct link_info *link, void *data), void *data)
{
	struct links_walk walk = { .fn = fn, .data = data };

	return links_dump(RTM_GETLINK, AF_UNSPEC, links_parse, &walk);
}

struct links_search {
	const char *name;
	struct link_info *out;
};

static int links_match(const struct link_info *link, void *data)
{
	struct links_search *search = data;

	if (strcmp(link->name, search->name) != 0)
		return 0;
	*search->out = *link;
	return 2;
}

int links_find(const char *name, struct link_info *out)
{
	struct links_search search = { .name = name, .out = out };
	int r = links_each(links_match, &search);

	return r == 2 ? 0 : r < 0 ? r : -ENODEV;
}

/* --- as text --- */

static int links_print_one(const struct link_info *link, void *data)
{
	const struct rtnl_link_stats64 *s = &link->stats;

	return buf_printf(data,
			  "%6s: %7llu %7llu %4llu %4llu %4llu %5llu %10llu %9llu %8llu %7llu %4llu "
			  "%4llu %4llu %5llu %7llu %10llu\n",
			  link->name, s->rx_bytes, s->rx_packets, s->rx_errors, s->rx_dropped,
			  s->rx_fifo_errors, s->rx_length_errors + s->rx_frame_errors,
			  s->rx_compressed, s->multicast, s->tx_bytes, s->tx_packets,
			  s->tx_errors, s->tx_dropped, s->tx_fifo_errors, s->collisions,
			  s->tx_carrier_errors, s->tx_compressed);
}

int links_print_dev(struct buf *out)
{
	int r = buf_printf(out,
			   "Inter-|   Receive                                                |  "
			   "Transmit\n face |bytes    packets errs drop fifo frame compressed "
			   "multicast|bytes    packets errs drop fifo colls carrier compressed\n");

	return r ? r : links_each(links_print_one, out);
}

struct links_name {
	int index;
	char name[LINK_NAME_MAX];
};

static int links_match_index(const struct link_info *link, void *data)
{
	struct links_name *name = data;

	if (link->index != name->index)
		return 0;
	memcpy(name->name, link->name, sizeof(name->name));
	return 2;
}

static int links_print_one_route(const struct nlmsghdr *header, void *data)
{
	const struct rtmsg *body = NLMSG_DATA(header);
	struct links_name link = { .name = "*" };
	uint32_t dst = 0, gateway = 0, metric = 0, mask;
	unsigned flags = 1; /* RTF_UP */
	char line[128];
	const void *attr;

	if (header->nlmsg_type != RTM_NEWROUTE || header->nlmsg_len < NLMSG_LENGTH(sizeof(*body)) ||
	    body->rtm_family != AF_INET || body->rtm_table != RT_TABLE_MAIN)
		return 0;
	if ((attr = links_attribute(header, sizeof(*body), RTA_DST, 4)))
		memcpy(&dst, attr, 4);
	if ((attr = links_attribute(header, sizeof(*body), RTA_PRIORITY, 4)))
		memcpy(&metric, attr, 4);
	if ((attr = links_attribute(header, sizeof(*body), RTA_GATEWAY, 4))) {
		memcpy(&gateway, attr, 4);
		flags |= 2; /* RTF_GATEWAY */
	}
	if ((attr = links_attribute(header, sizeof(*body), RTA_OIF, 4))) {
		memcpy(&link.index, attr, 4);
		links_each(links_match_index, &link);
	}
	if (body->rtm_dst_len == 32)
		flags |= 4; /* RTF_HOST */
	mask = body->rtm_dst_len ? UINT32_MAX << (32 - body->rtm_dst_len % 33) : 0;
	snprintf(line, sizeof(line), "%s\t%08X\t%08X\t%04X\t0\t0\t%u\t%08X\t0\t0\t0", link.name, dst,
		 gateway, flags, metric, __builtin_bswap32(mask));
	return buf_printf(data, "%-127s\n", line);
}

int links_print_route(struct buf *out)
{
	int r = buf_printf(out, "%-127s\n",
			   "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\t"
			   "Window\tIRTT");

	return r ? r : links_dump(RTM_GETROUTE, AF_INET, links_print_one_route, out);
}

static int links_print_one_inet6(const struct nlmsghdr *header, void *data)
{
	const struct ifaddrmsg *body = NLMSG_DATA(header);
	struct links_name link = { .name = "*" };
	const uint8_t *address;
	int r = 0;

	if (header->nlmsg_type != RTM_NEWADDR || header->nlmsg_len < NLMSG_LENGTH(sizeof(*body)) ||
	    body->ifa_family != AF_INET6)
		return 0;
	address = links_attribute(header, sizeof(*body), IFA_ADDRESS, 16);
	if (!address)
		return 0;
	link.index = (int)body->ifa_index;
	links_each(links_match_index, &link);
	for (int i = 0; i < 16 && !r; i++)
		r = buf_printf(data, "%02x", address[i]);
	/* Scopes are other numbers here than in messages: 253 a link's, 254 the host's. */
	return r ? r : buf_printf(data, " %02x %02x %02x %02x %8s\n", link.index, body->ifa_prefixlen,
				  body->ifa_scope == RT_SCOPE_HOST ? 0x10 :
				  body->ifa_scope == RT_SCOPE_LINK ? 0x20 : 0,
				  body->ifa_flags, link.name);
}

int links_print_inet6(struct buf *out)
{
	return links_dump(RTM_GETADDR, AF_INET6, links_print_one_inet6, out);
}
