/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/procfs_net.c - /proc/net
 *
 * Sockets as the families print them, interfaces and routes as net/links.c knows them.
 *
 * Called through procfs_pid.c's table.
 */
#include "sentry/vfs/procfs.h"

#include <netinet/in.h>

#include "base/cleanup.h"
#include "sentry/net/links.h"
#include "sentry/net/socket.h"

static int procfs_show_tcp(struct textfs_node *node, struct buf *out)
{
	return socket_print_inet(AF_INET, IPPROTO_TCP, out);
}

static int procfs_show_tcp6(struct textfs_node *node, struct buf *out)
{
	return socket_print_inet(AF_INET6, IPPROTO_TCP, out);
}

static int procfs_show_udp(struct textfs_node *node, struct buf *out)
{
	return socket_print_inet(AF_INET, IPPROTO_UDP, out);
}

static int procfs_show_udp6(struct textfs_node *node, struct buf *out)
{
	return socket_print_inet(AF_INET6, IPPROTO_UDP, out);
}

static int procfs_show_icmp(struct textfs_node *node, struct buf *out)
{
	return socket_print_inet(AF_INET, IPPROTO_ICMP, out);
}

static int procfs_show_icmp6(struct textfs_node *node, struct buf *out)
{
	return socket_print_inet(AF_INET6, IPPROTO_ICMPV6, out);
}

static int procfs_show_unix(struct textfs_node *node, struct buf *out)
{
	return socket_print_unix(textfs_container(node), out);
}

static int procfs_show_dev(struct textfs_node *node, struct buf *out)
{
	return links_print_dev(out);
}

static int procfs_show_route(struct textfs_node *node, struct buf *out)
{
	return links_print_route(out);
}

static int procfs_show_inet6(struct textfs_node *node, struct buf *out)
{
	return links_print_inet6(out);
}

static const struct textfs_entry procfs_net_entries[] = {
	TEXTFS_SHOW("dev", procfs_show_dev),
	TEXTFS_SHOW("route", procfs_show_route),
	TEXTFS_SHOW("if_inet6", procfs_show_inet6),
	TEXTFS_TEXT("arp", "IP address       HW type     Flags       HW address            Mask     "
			   "Device\n"),
	TEXTFS_SHOW("tcp", procfs_show_tcp),
	TEXTFS_SHOW("tcp6", procfs_show_tcp6),
	TEXTFS_SHOW("udp", procfs_show_udp),
	TEXTFS_SHOW("udp6", procfs_show_udp6),
	TEXTFS_SHOW("icmp", procfs_show_icmp),
	TEXTFS_SHOW("icmp6", procfs_show_icmp6),
	TEXTFS_SHOW("unix", procfs_show_unix),
};

const struct textfs_dir procfs_net_dir = TEXTFS_DIR(procfs_net_entries);
