/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/links.h - interfaces, addresses and routes of the sentry's network namespace
 *
 * Asked of the host's kernel anew each time, read-only.
 */
#ifndef SENTRY_NET_LINKS_H
#define SENTRY_NET_LINKS_H

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>

#include "base/buf.h"

/* links_dump() - All messages that answer a dump of @type (RTM_GETLINK, GETADDR, GETROUTE, GETNEIGH,
 * GETRULE) for @family (0: all); @message ends it by other than 0. Return: that, or negative errno */
int links_dump(uint16_t type, unsigned char family,
	       int (*message)(const struct nlmsghdr *header, void *data), void *data);

/* links_attribute() - The first of @type behind @fixed bytes of a message's body. NULL: none of at least
 * @size bytes */
const void *links_attribute(const struct nlmsghdr *header, size_t fixed, unsigned short type,
			    size_t size);

#define LINK_NAME_MAX 16

struct link_info {
	int index;
	char name[LINK_NAME_MAX];
	unsigned flags;
	unsigned short type; /* ARPHRD_* */
	uint32_t mtu, queue;
	uint8_t address[32], broadcast[32];
	size_t address_len;
	uint8_t state;	     /* IF_OPER_* */
	struct rtnl_link_stats64 stats;
};

/* links_each() - Until @fn returns other than 0 */
int links_each(int (*fn)(const struct link_info *link, void *data), void *data);
/* links_find() - By name. Return: 0, -ENODEV */
int links_find(const char *name, struct link_info *out);

/* /proc/net/dev, route, if_inet6 */
int links_print_dev(struct buf *out);
int links_print_route(struct buf *out);
int links_print_inet6(struct buf *out);

#endif /* SENTRY_NET_LINKS_H */
