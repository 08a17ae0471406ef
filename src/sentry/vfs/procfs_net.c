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

static const struct textfs_entry procfs_net_entries[] = {
	TEXTFS_SHOW("tcp", procfs_show_tcp),
	TEXTFS_SHOW("tcp6", procfs_show_tcp6),
	TEXTFS_SHOW("udp", procfs_show_udp),
	TEXTFS_SHOW("udp6", procfs_show_udp6),
	TEXTFS_SHOW("icmp", procfs_show_icmp),
	TEXTFS_SHOW("icmp6", procfs_show_icmp6),
	TEXTFS_SHOW("unix", procfs_show_unix),
};

const struct textfs_dir procfs_net_dir = TEXTFS_DIR(procfs_net_entries);
