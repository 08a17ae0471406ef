/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/host_options.c - options of inet sockets that are let through to the host
 *
 * One row an option. What is not here does not exist (ENOPROTOOPT), as on a Linux built without it:
 * filters, marks, what maps pages, upper layer protocols, repair.
 *
 * Called through the operations.
 */
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/net/host.h"

static const struct jail_call host_options_rows[] = {
	JAIL(getsockopt),
	JAIL(setsockopt),
};
const struct jail_list host_options_calls = JAIL_LIST(host_options_rows);

enum { HOST_GET = 1, HOST_SET = 2, HOST_BOTH = 3 };

struct host_option {
	uint16_t level, name;
	uint8_t may;
	uint8_t size; /* the longest value that is set */
};

#define HOST_INT(level_, name_)	 { (level_), (name_), HOST_BOTH, sizeof(int) }
#define HOST_READ(level_, name_) { (level_), (name_), HOST_GET, 0 }
#define HOST_STRUCT(level_, name_, size_) { (level_), (name_), HOST_BOTH, (size_) }
#define HOST_WRITE(level_, name_, size_)  { (level_), (name_), HOST_SET, (size_) }

static const struct host_option host_option_rows[] = {
	HOST_INT(SOL_SOCKET, SO_REUSEADDR),
	HOST_INT(SOL_SOCKET, SO_REUSEPORT),
	HOST_INT(SOL_SOCKET, SO_KEEPALIVE),
	HOST_INT(SOL_SOCKET, SO_BROADCAST),
	HOST_INT(SOL_SOCKET, SO_OOBINLINE),
	HOST_INT(SOL_SOCKET, SO_DONTROUTE),
	HOST_INT(SOL_SOCKET, SO_SNDBUF),
	HOST_INT(SOL_SOCKET, SO_RCVBUF),
	HOST_INT(SOL_SOCKET, SO_RCVLOWAT),
	HOST_INT(SOL_SOCKET, SO_PRIORITY),
	HOST_INT(SOL_SOCKET, SO_TIMESTAMP),
	HOST_INT(SOL_SOCKET, SO_TIMESTAMPNS),
	HOST_INT(SOL_SOCKET, SO_RXQ_OVFL),
	HOST_INT(SOL_SOCKET, SO_NO_CHECK),
	HOST_INT(SOL_SOCKET, SO_PASSCRED),
	HOST_STRUCT(SOL_SOCKET, SO_LINGER, sizeof(struct linger)),
	HOST_STRUCT(SOL_SOCKET, SO_MAX_PACING_RATE, 8),
	HOST_STRUCT(SOL_SOCKET, SO_BINDTODEVICE, 16),
	HOST_READ(SOL_SOCKET, SO_ERROR),
	HOST_READ(SOL_SOCKET, SO_ACCEPTCONN),
	HOST_READ(SOL_SOCKET, SO_SNDLOWAT),
	HOST_READ(SOL_SOCKET, SO_INCOMING_CPU),
	HOST_READ(SOL_SOCKET, SO_MEMINFO),
	HOST_READ(SOL_SOCKET, SO_COOKIE),
	HOST_READ(SOL_SOCKET, SO_DEBUG),
	HOST_READ(SOL_SOCKET, SO_MARK),

	HOST_INT(IPPROTO_IP, IP_TOS),
	HOST_INT(IPPROTO_IP, IP_TTL),
	HOST_INT(IPPROTO_IP, IP_PKTINFO),
	HOST_INT(IPPROTO_IP, IP_RECVTTL),
	HOST_INT(IPPROTO_IP, IP_RECVTOS),
	HOST_INT(IPPROTO_IP, IP_RECVORIGDSTADDR),
	HOST_INT(IPPROTO_IP, IP_MTU_DISCOVER),
	HOST_INT(IPPROTO_IP, IP_RECVERR),
	HOST_INT(IPPROTO_IP, IP_FREEBIND),
	HOST_INT(IPPROTO_IP, IP_MINTTL),
	HOST_INT(IPPROTO_IP, IP_UNICAST_IF),
	HOST_INT(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT),
	HOST_INT(IPPROTO_IP, IP_MULTICAST_TTL),
	HOST_INT(IPPROTO_IP, IP_MULTICAST_LOOP),
	HOST_INT(IPPROTO_IP, IP_MULTICAST_ALL),
	HOST_STRUCT(IPPROTO_IP, IP_MULTICAST_IF, sizeof(struct ip_mreqn)),
	HOST_WRITE(IPPROTO_IP, IP_ADD_MEMBERSHIP, sizeof(struct ip_mreqn)),
	HOST_WRITE(IPPROTO_IP, IP_DROP_MEMBERSHIP, sizeof(struct ip_mreqn)),
	HOST_WRITE(IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, sizeof(struct ip_mreq_source)),
	HOST_WRITE(IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP, sizeof(struct ip_mreq_source)),
	HOST_READ(IPPROTO_IP, IP_MTU),
	HOST_READ(IPPROTO_IP, IP_OPTIONS),

	HOST_INT(IPPROTO_IPV6, IPV6_V6ONLY),
	HOST_INT(IPPROTO_IPV6, IPV6_UNICAST_HOPS),
	HOST_INT(IPPROTO_IPV6, IPV6_MULTICAST_HOPS),
	HOST_INT(IPPROTO_IPV6, IPV6_MULTICAST_LOOP),
	HOST_INT(IPPROTO_IPV6, IPV6_MULTICAST_IF),
	HOST_INT(IPPROTO_IPV6, IPV6_MULTICAST_ALL),
	HOST_INT(IPPROTO_IPV6, IPV6_UNICAST_IF),
	HOST_INT(IPPROTO_IPV6, IPV6_RECVPKTINFO),
	HOST_INT(IPPROTO_IPV6, IPV6_RECVHOPLIMIT),
	HOST_INT(IPPROTO_IPV6, IPV6_RECVTCLASS),
	HOST_INT(IPPROTO_IPV6, IPV6_TCLASS),
	HOST_INT(IPPROTO_IPV6, IPV6_MTU_DISCOVER),
	HOST_INT(IPPROTO_IPV6, IPV6_MTU),
	HOST_INT(IPPROTO_IPV6, IPV6_RECVERR),
	HOST_INT(IPPROTO_IPV6, IPV6_DONTFRAG),
	HOST_INT(IPPROTO_IPV6, IPV6_FREEBIND),
	HOST_INT(IPPROTO_IPV6, IPV6_RECVPATHMTU),
	HOST_INT(IPPROTO_IPV6, IPV6_AUTOFLOWLABEL),
	HOST_INT(IPPROTO_IPV6, IPV6_ADDR_PREFERENCES),
	HOST_WRITE(IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, sizeof(struct ipv6_mreq)),
	HOST_WRITE(IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP, sizeof(struct ipv6_mreq)),

	HOST_INT(IPPROTO_TCP, TCP_NODELAY),
	HOST_INT(IPPROTO_TCP, TCP_MAXSEG),
	HOST_INT(IPPROTO_TCP, TCP_CORK),
	HOST_INT(IPPROTO_TCP, TCP_KEEPIDLE),
	HOST_INT(IPPROTO_TCP, TCP_KEEPINTVL),
	HOST_INT(IPPROTO_TCP, TCP_KEEPCNT),
	HOST_INT(IPPROTO_TCP, TCP_SYNCNT),
	HOST_INT(IPPROTO_TCP, TCP_LINGER2),
	HOST_INT(IPPROTO_TCP, TCP_DEFER_ACCEPT),
	HOST_INT(IPPROTO_TCP, TCP_WINDOW_CLAMP),
	HOST_INT(IPPROTO_TCP, TCP_QUICKACK),
	HOST_INT(IPPROTO_TCP, TCP_USER_TIMEOUT),
	HOST_INT(IPPROTO_TCP, TCP_FASTOPEN),
	HOST_INT(IPPROTO_TCP, TCP_FASTOPEN_CONNECT),
	HOST_INT(IPPROTO_TCP, TCP_NOTSENT_LOWAT),
	HOST_INT(IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS),
	HOST_INT(IPPROTO_TCP, TCP_INQ),
	HOST_STRUCT(IPPROTO_TCP, TCP_CONGESTION, 16),
	HOST_READ(IPPROTO_TCP, TCP_INFO),
	HOST_READ(IPPROTO_TCP, TCP_CC_INFO),

	HOST_INT(IPPROTO_UDP, UDP_CORK),
	HOST_INT(IPPROTO_UDP, UDP_SEGMENT),
	HOST_INT(IPPROTO_UDP, UDP_GRO),
	HOST_INT(IPPROTO_UDP, UDP_NO_CHECK6_TX),
	HOST_INT(IPPROTO_UDP, UDP_NO_CHECK6_RX),
};

static const struct host_option *host_option_find(int level, int name)
{
	for (size_t i = 0; i < ARRAY_SIZE(host_option_rows); i++) {
		const struct host_option *row = &host_option_rows[i];

		if (row->level == level && row->name == name)
			return row;
	}
	return NULL;
}

int host_getsockopt(struct socket *s, int level, int name, void *value, socklen_t *len)
{
	const struct host_option *row = host_option_find(level, name);

	if (!row || !(row->may & HOST_GET))
		return -ENOPROTOOPT;
	return getsockopt(host_of(s)->fd, level, name, value, len) < 0 ? -errno : 0;
}

int host_setsockopt(struct socket *s, int level, int name, const void *value, socklen_t len)
{
	const struct host_option *row = host_option_find(level, name);

	if (!row || !(row->may & HOST_SET))
		return -ENOPROTOOPT;
	/* More than the option has is not looked at. */
	if (len > row->size)
		len = row->size;
	return setsockopt(host_of(s)->fd, level, name, value, len) < 0 ? -errno : 0;
}

/* --- control messages that may be sent --- */

static const struct host_option host_control_rows[] = {
	HOST_WRITE(IPPROTO_IP, IP_PKTINFO, sizeof(struct in_pktinfo)),
	HOST_WRITE(IPPROTO_IP, IP_TTL, sizeof(int)),
	HOST_WRITE(IPPROTO_IP, IP_TOS, sizeof(int)),
	HOST_WRITE(IPPROTO_IPV6, IPV6_PKTINFO, sizeof(struct in6_pktinfo)),
	HOST_WRITE(IPPROTO_IPV6, IPV6_HOPLIMIT, sizeof(int)),
	HOST_WRITE(IPPROTO_IPV6, IPV6_TCLASS, sizeof(int)),
	HOST_WRITE(IPPROTO_IPV6, IPV6_DONTFRAG, sizeof(int)),
	HOST_WRITE(IPPROTO_UDP, UDP_SEGMENT, sizeof(uint16_t)),
};

static bool host_control_known(const struct cmsghdr *header)
{
	for (size_t i = 0; i < ARRAY_SIZE(host_control_rows); i++) {
		const struct host_option *row = &host_control_rows[i];

		if (row->level == header->cmsg_level && row->name == header->cmsg_type)
			return header->cmsg_len <= CMSG_LEN(row->size);
	}
	return false;
}

bool host_control_allowed(const void *bytes, size_t len)
{
	for (size_t at = 0; len - at >= sizeof(struct cmsghdr);) {
		struct cmsghdr header;

		memcpy(&header, (const char *)bytes + at, sizeof(header));
		if (header.cmsg_len < sizeof(header) || header.cmsg_len > len - at ||
		    !host_control_known(&header))
			return false;
		at += CMSG_ALIGN(header.cmsg_len);
		if (at > len)
			break;
	}
	return true;
}
