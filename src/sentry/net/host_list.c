/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/host_list.c - all sockets of the host backend, as /proc/net shows them
 *
 * Kept for that alone. What a socket is doing is asked of the host when somebody looks.
 *
 * Called by host.c and procfs.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/net/host.h"
#include "sentry/vfs/vfs.h"

static pthread_mutex_t host_list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct host_socket *host_list; /* host_list_lock */

void host_list_add(struct host_socket *h)
{
	pthread_mutex_lock(&host_list_lock);
	h->prev = NULL;
	h->next = host_list;
	if (host_list)
		host_list->prev = h;
	host_list = h;
	pthread_mutex_unlock(&host_list_lock);
}

void host_list_remove(struct host_socket *h)
{
	pthread_mutex_lock(&host_list_lock);
	if (h->prev)
		h->prev->next = h->next;
	else
		host_list = h->next;
	if (h->next)
		h->next->prev = h->prev;
	pthread_mutex_unlock(&host_list_lock);
}

/* Address and port in hexadecimal, words as the machine has them. */
static int host_print_name(struct host_socket *h, bool peer, struct buf *out)
{
	const struct sockaddr_in6 *in6;
	const struct sockaddr_in *in;
	struct socket_addr addr = { 0 };
	uint32_t words[4] = { 0 };

	if (h->socket.ops->name(&h->socket, peer, &addr))
		memset(&addr, 0, sizeof(addr));
	in = (const struct sockaddr_in *)&addr.addr;
	in6 = (const struct sockaddr_in6 *)&addr.addr;
	if (h->socket.family == AF_INET)
		return buf_printf(out, "%08X:%04X ", in->sin_addr.s_addr, ntohs(in->sin_port));
	memcpy(words, &in6->sin6_addr, sizeof(words));
	return buf_printf(out, "%08X%08X%08X%08X:%04X ", words[0], words[1], words[2], words[3],
			  ntohs(in6->sin6_port));
}

static unsigned host_state(struct host_socket *h)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info.tcpi_state);

	if (h->socket.protocol != IPPROTO_TCP)
		return TCP_CLOSE;
	if (getsockopt(h->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return TCP_CLOSE;
	return info.tcpi_state;
}

static int host_print_socket(struct host_socket *h, unsigned number, struct buf *out)
{
	const struct inode *inode = h->socket.file.inode;
	unsigned state = host_state(h);
	int r = buf_printf(out, "%4u: ", number);

	if (!r)
		r = host_print_name(h, false, out);
	if (!r)
		r = host_print_name(h, true, out);
	if (!r)
		r = buf_printf(out,
			       "%02X 00000000:00000000 00:00000000 00000000 %5u        0 %lu 1 "
			       "0000000000000000 100 0 0 10 0\n",
			       state, inode->attr.st_uid, inode->attr.st_ino);
	return r;
}

int socket_print_inet(int family, int protocol, struct buf *out)
{
	const char *wide = family == AF_INET6 ? "                         " : "";
	unsigned number = 0;
	int r = buf_printf(out,
			   "  sl  local_address%s rem_address%s   st tx_queue rx_queue tr tm->when "
			   "retrnsmt   uid  timeout inode\n", wide, wide);

	pthread_mutex_lock(&host_list_lock);
	for (struct host_socket *h = host_list; h && !r; h = h->next) {
		if (h->socket.family != family || h->socket.protocol != protocol)
			continue;
		/* A stream that is neither connected nor listens is in no table of Linux's. */
		if (protocol == IPPROTO_TCP && host_state(h) == TCP_CLOSE)
			continue;
		r = host_print_socket(h, number++, out);
	}
	pthread_mutex_unlock(&host_list_lock);
	return r;
}
