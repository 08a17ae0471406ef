/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest says about sockets and is not believed: options, control messages, netlink requests,
 * kinds; and what interfaces there are, as the C library sees them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/net/host.h"
#include "sentry/net/links.h"
#include "sentry_world.h"

static struct sandbox_container container = { .refs = 1, .serial = 1, .net_space = 1 };
static struct world *world;

static int setup(void **state)
{
	container.network = &socket_backend_host;
	world = world_new();
	world->process.container = &container;
	return 0;
}

static int teardown(void **state)
{
	world_free(world);
	return 0;
}

static struct socket *make(int family, int type, int protocol)
{
	struct file *file;

	assert_int_equal(socket_create(&world->task, family, type, protocol, &file), 0);
	assert_non_null(socket_of(file));
	return socket_of(file);
}

static unsigned pick(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 8) % n;
}

/* --- kinds --- */

static void test_kinds(void **state)
{
	static const struct {
		int family, type, protocol, answer;
	} rows[] = {
		{ AF_INET, SOCK_RAW, IPPROTO_ICMP, -EPERM },
		{ AF_INET, SOCK_RAW, IPPROTO_RAW, -EPERM },
		{ AF_INET, SOCK_STREAM, IPPROTO_SCTP, -EPROTONOSUPPORT },
		{ AF_INET, SOCK_STREAM, IPPROTO_MPTCP, -EPROTONOSUPPORT },
		{ AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, -EPROTONOSUPPORT },
		{ AF_INET6, SOCK_STREAM, IPPROTO_UDP, -EPROTONOSUPPORT },
		{ AF_INET, SOCK_SEQPACKET, 0, -ESOCKTNOSUPPORT },
		{ AF_PACKET, SOCK_RAW, 0, -EAFNOSUPPORT },
		{ AF_ALG, SOCK_SEQPACKET, 0, -EAFNOSUPPORT },
		{ AF_VSOCK, SOCK_STREAM, 0, -EAFNOSUPPORT },
		{ AF_BLUETOOTH, SOCK_RAW, 0, -EAFNOSUPPORT },
		{ AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT, -EPROTONOSUPPORT },
		{ AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, -EPROTONOSUPPORT },
		{ AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE, -ESOCKTNOSUPPORT },
		{ -1, SOCK_STREAM, 0, -EAFNOSUPPORT },
	};
	struct file *file;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(socket_create(&world->task, rows[i].family, rows[i].type,
					       rows[i].protocol, &file), rows[i].answer);
	container.network = NULL;
	assert_int_equal(socket_create(&world->task, AF_INET, SOCK_STREAM, 0, &file), -EAFNOSUPPORT);
}

/* --- options --- */

static void test_options_refused(void **state)
{
	struct sock_filter code = { BPF_RET | BPF_K, 0, 0, 0 };
	struct sock_fprog filter = { 1, &code };
	struct socket *s = make(AF_INET, SOCK_STREAM, 0);
	static const int tcp[] = { TCP_ULP, TCP_REPAIR, TCP_ZEROCOPY_RECEIVE, TCP_MD5SIG,
				   TCP_SAVE_SYN, TCP_QUEUE_SEQ };
	char value[256] = "tls";
	socklen_t len;

	assert_int_equal(socket_setsockopt(s, &world->task, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
					   sizeof(filter)), -ENOPROTOOPT);
	assert_int_equal(socket_setsockopt(s, &world->task, SOL_SOCKET, SO_ATTACH_BPF, value, 4),
			 -ENOPROTOOPT);
	assert_int_equal(socket_setsockopt(s, &world->task, SOL_SOCKET, SO_MARK, value, 4),
			 -ENOPROTOOPT);
	assert_int_equal(socket_setsockopt(s, &world->task, SOL_SOCKET, SO_ZEROCOPY, value, 4),
			 -ENOPROTOOPT);
	assert_int_equal(socket_setsockopt(s, &world->task, IPPROTO_IP, IP_OPTIONS, value, 4),
			 -ENOPROTOOPT);
	assert_int_equal(socket_setsockopt(s, &world->task, IPPROTO_IP, 64 /* IPT_SO_SET_REPLACE */,
					   value, sizeof(value)), -ENOPROTOOPT);
	for (size_t i = 0; i < ARRAY_SIZE(tcp); i++) {
		len = sizeof(value);
		assert_int_equal(socket_setsockopt(s, &world->task, IPPROTO_TCP, tcp[i], value, 4),
				 -ENOPROTOOPT);
		assert_int_equal(socket_getsockopt(s, &world->task, IPPROTO_TCP, tcp[i], value, &len),
				 -ENOPROTOOPT);
	}
	file_put(&s->file);
}

/* Whatever we answer, the host answers the same on a socket of its own. */
static void same_option(struct socket *s, int host, int level, int name)
{
	char ours[64] = { 0 }, theirs[64] = { 0 };
	socklen_t our_len = sizeof(ours), their_len = sizeof(theirs);
	int r = socket_getsockopt(s, &world->task, level, name, ours, &our_len);

	if (r == -ENOPROTOOPT)
		return;
	assert_int_equal(r, getsockopt(host, level, name, theirs, &their_len) < 0 ? -errno : 0);
	if (r)
		return;
	assert_int_equal(our_len, their_len);
	/* These differ from socket to socket, or from moment to moment. */
	if ((level == SOL_SOCKET && (name == SO_COOKIE || name == SO_INCOMING_CPU)) ||
	    (level == IPPROTO_TCP && (name == TCP_INFO || name == TCP_CC_INFO)))
		return;
	assert_memory_equal(ours, theirs, our_len);
}

static void test_options_same(void **state)
{
	static const int levels[] = { SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPPROTO_UDP,
				      IPPROTO_ICMP, SOL_NETLINK };
	static const int kinds[][2] = { { AF_INET, SOCK_STREAM }, { AF_INET6, SOCK_STREAM },
					{ AF_INET, SOCK_DGRAM }, { AF_INET6, SOCK_DGRAM } };
	unsigned known = 0;

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct socket *s = make(kinds[k][0], kinds[k][1], 0);
		int host = socket(kinds[k][0], kinds[k][1], 0);

		for (size_t l = 0; l < ARRAY_SIZE(levels); l++) {
			for (int name = 0; name < 256; name++) {
				int value;
				socklen_t len = sizeof(value);

				same_option(s, host, levels[l], name);
				known += !socket_getsockopt(s, &world->task, levels[l], name, &value,
							    &len);
			}
		}
		file_put(&s->file);
		close(host);
	}
	assert_true(known > 100);
}

static void test_options_set(void **state)
{
	static const int names[][2] = { { SOL_SOCKET, SO_REUSEADDR }, { SOL_SOCKET, SO_KEEPALIVE },
					{ IPPROTO_TCP, TCP_NODELAY }, { IPPROTO_IP, IP_TOS } };
	struct socket *s = make(AF_INET, SOCK_STREAM, 0);
	int on = 8, got;
	socklen_t len;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(socket_setsockopt(s, &world->task, names[i][0], names[i][1], &on,
						   sizeof(on)), 0);
		len = sizeof(got);
		assert_int_equal(socket_getsockopt(s, &world->task, names[i][0], names[i][1], &got,
						   &len), 0);
		assert_true(got != 0);
	}
	assert_int_equal(socket_setsockopt(s, &world->task, IPPROTO_TCP, TCP_INFO, &on, 4),
			 -ENOPROTOOPT);
	assert_int_equal(socket_setsockopt(s, &world->task, SOL_SOCKET, SO_TYPE, &on, 4),
			 -ENOPROTOOPT);
	file_put(&s->file);
}

/* --- control messages --- */

static void test_control_parse(void **state)
{
	unsigned seed = 5;

	for (int round = 0; round < 200000; round++) {
		unsigned char bytes[120] __attribute__((aligned(8)));
		size_t len = pick(&seed, sizeof(bytes) + 1);
		struct socket_control control = { 0 };
		struct cmsghdr *header = (struct cmsghdr *)(void *)bytes;
		int r;

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (unsigned char)(pick(&seed, 3) ? 0 : pick(&seed, 256));
		/* Likely ones now and then. */
		if (pick(&seed, 2)) {
			header->cmsg_len = pick(&seed, 100);
			header->cmsg_level = pick(&seed, 2) ? SOL_SOCKET : IPPROTO_IP;
			header->cmsg_type = (int)pick(&seed, 4);
		}
		r = socket_control_parse(&world->task, bytes, len, &control);
		assert_true(r == 0 || r == -EINVAL || r == -EBADF || r == -EPERM);
		if (!r)
			host_control_allowed(control.raw, control.raw_len);
		assert_true(control.raw_len <= CMSG_ALIGN(len));
		socket_control_free(&control);
	}
}

static bool allowed(int level, int type, size_t len)
{
	union {
		struct cmsghdr header;
		char bytes[256];
	} control = { .header = { .cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type } };

	return host_control_allowed(&control, CMSG_SPACE(len));
}

static void test_control_allowed(void **state)
{
	assert_true(allowed(IPPROTO_IP, IP_TTL, sizeof(int)));
	assert_true(allowed(IPPROTO_IP, IP_PKTINFO, sizeof(struct in_pktinfo)));
	assert_true(allowed(IPPROTO_IPV6, IPV6_PKTINFO, sizeof(struct in6_pktinfo)));
	assert_false(allowed(IPPROTO_IP, IP_TTL, 100));
	assert_false(allowed(IPPROTO_IP, IP_RETOPTS, 4));
	assert_false(allowed(SOL_SOCKET, SO_MARK, 4));
	assert_false(allowed(SOL_SOCKET, SCM_RIGHTS, 4));
	assert_false(allowed(IPPROTO_IPV6, IPV6_RTHDR, 24));
}

/* --- netlink --- */

static long request(struct socket *s, const void *data, size_t len)
{
	struct user_io io;
	long n;

	user_io_kernel(&io, (void *)data, len);
	n = s->ops->send(s, &world->task, &io, NULL, NULL, 0);
	user_io_end(&io);
	return n;
}

static long answer(struct socket *s, void *data, size_t len)
{
	struct socket_addr from;
	struct user_io io;
	int flags = 0;
	long n;

	user_io_kernel(&io, data, len);
	n = s->ops->recv(s, &world->task, &io, &from, NULL, MSG_DONTWAIT, &flags);
	user_io_end(&io);
	return n;
}

static void test_netlink_refused(void **state)
{
	static const uint16_t types[] = { RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR,
					  RTM_NEWROUTE, RTM_DELROUTE, RTM_SETLINK, RTM_NEWNEIGH,
					  RTM_NEWQDISC };
	struct socket *s = make(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	struct {
		struct nlmsghdr header;
		struct ifinfomsg body;
	} ask = { .header = { .nlmsg_len = sizeof(ask), .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
			      .nlmsg_seq = 77 } };
	struct {
		struct nlmsghdr header;
		struct nlmsgerr body;
	} got;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		ask.header.nlmsg_type = types[i];
		assert_int_equal(request(s, &ask, sizeof(ask)), sizeof(ask));
		assert_int_equal(answer(s, &got, sizeof(got)), sizeof(got));
		assert_int_equal(got.header.nlmsg_type, NLMSG_ERROR);
		assert_int_equal(got.header.nlmsg_seq, 77);
		assert_int_equal(got.body.error, -EPERM);
	}
	ask.header.nlmsg_type = RTM_GETLINK;
	ask.body.ifi_index = 0x7ffffff0;
	assert_int_equal(request(s, &ask, sizeof(ask)), sizeof(ask));
	assert_int_equal(answer(s, &got, sizeof(got)), sizeof(got));
	assert_int_equal(got.body.error, -ENODEV);
	assert_int_equal(answer(s, &got, sizeof(got)), -EAGAIN);
	file_put(&s->file);
}

static void test_netlink_garbage(void **state)
{
	struct socket *s = make(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	unsigned seed = 9;
	char *reply = malloc(1 << 16);

	for (int round = 0; round < 3000; round++) {
		unsigned char bytes[200] __attribute__((aligned(8)));
		struct nlmsghdr *header = (struct nlmsghdr *)(void *)bytes;
		size_t len = pick(&seed, sizeof(bytes) + 1);

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (unsigned char)pick(&seed, 256);
		if (pick(&seed, 3)) {
			header->nlmsg_len = pick(&seed, 2) ? (uint32_t)len : pick(&seed, 300);
			header->nlmsg_type = (uint16_t)(RTM_BASE + pick(&seed, 24));
			header->nlmsg_flags = (uint16_t)(pick(&seed, 4) ? NLM_F_REQUEST : 0);
			header->nlmsg_flags |= pick(&seed, 50) ? 0 : NLM_F_DUMP;
		}
		request(s, bytes, len);
		while (answer(s, reply, 1 << 16) >= 0)
			;
	}
	free(reply);
	file_put(&s->file);
}

/* Datagrams fit the smallest buffer that readers have, and end with a message that says so. */
static void test_netlink_dump(void **state)
{
	static const uint16_t types[] = { RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE };
	struct {
		struct nlmsghdr header;
		struct rtgenmsg body;
	} ask = { .header = { .nlmsg_len = sizeof(ask), .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			      .nlmsg_seq = 5 } };
	struct socket *s = make(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	char reply[4096] __attribute__((aligned(8)));

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		bool done = false;
		long n;

		ask.header.nlmsg_type = types[i];
		assert_int_equal(request(s, &ask, sizeof(ask)), sizeof(ask));
		while (!done) {
			int left;

			n = answer(s, reply, sizeof(reply));
			assert_true(n > 0);
			left = (int)n;
			for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)reply;
			     left > 0 && NLMSG_OK(h, (unsigned)left);
			     h = NLMSG_NEXT(h, left)) {
				assert_false(done);
				assert_int_equal(h->nlmsg_seq, 5);
				assert_true(h->nlmsg_flags & NLM_F_MULTI);
				done = h->nlmsg_type == NLMSG_DONE;
				if (!done)
					assert_int_equal(h->nlmsg_type, types[i] - 2);
			}
		}
		assert_int_equal(answer(s, reply, sizeof(reply)), -EAGAIN);
	}
	file_put(&s->file);
}

static int same_link(const struct link_info *link, void *data)
{
	unsigned *count = data;

	assert_int_equal(if_nametoindex(link->name), link->index);
	(*count)++;
	return 0;
}

static void test_links(void **state)
{
	struct if_nameindex *all = if_nameindex();
	unsigned count = 0, want = 0;
	struct link_info link;
	struct buf text = BUF_INIT(1 << 20);

	while (all && all[want].if_index)
		want++;
	assert_int_equal(links_each(same_link, &count), 0);
	assert_int_equal(count, want);
	if_freenameindex(all);
	if (want == 0)
		return;
	assert_int_equal(links_find("lo", &link), 0);
	assert_true(link.flags & IFF_LOOPBACK);
	assert_int_equal(links_find("no such one", &link), -ENODEV);
	assert_int_equal(links_print_dev(&text), 0);
	assert_int_equal(buf_append(&text, "", 1), 0);
	assert_non_null(strstr((const char *)buf_data(&text), "    lo: "));
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_options_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_options_same, setup, teardown),
		cmocka_unit_test_setup_teardown(test_options_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_control_parse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_control_allowed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_netlink_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_netlink_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_netlink_dump, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
