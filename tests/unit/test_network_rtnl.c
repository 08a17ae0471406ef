/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink: addresses out of text, replies of every bad kind, and the kernel's own in a network
 * namespace of the test's own.
 */
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "network/rtnl.h"
#include "network/rtnl_message.h"

/* ---- text ---- */

static void test_addresses(void **state)
{
	struct address_prefix p;
	struct address a;

	assert_int_equal(address_parse(AF_INET, "192.168.64.3", &a, NULL), 0);
	assert_int_equal(address_size(&a), 4);
	assert_memory_equal(a.bytes, "\xc0\xa8\x40\x03", 4);
	assert_int_equal(address_parse_prefix(AF_INET6, "fd00::1/64", &p, NULL), 0);
	assert_int_equal(p.len, 64);
	assert_int_equal(address_size(&p.address), 16);
	assert_int_equal(p.address.bytes[0], 0xfd);
	assert_int_equal(address_parse_prefix(AF_INET, "0.0.0.0/0", &p, NULL), 0);
	assert_int_equal(address_parse_prefix(AF_INET, "1.2.3.4/32", &p, NULL), 0);
	assert_int_equal(address_parse_prefix(AF_INET6, "::/128", &p, NULL), 0);
}

static void test_bad_addresses(void **state)
{
	static const char *const bad[] = {
		"", "/", "/24", "1.2.3.4", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/+1", "1.2.3.4/1 ",
		"1.2.3.4/0032", "1.2.3/24", "01.2.3.4/8", "::1/64", "x/8", "1.2.3.4/99999999999",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb/8",
	};
	struct coffer_error err = COFFER_ERROR_INIT;
	struct address_prefix p;
	struct address a;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err_clear(&err);
		assert_int_equal(address_parse_prefix(AF_INET, bad[i], &p, &err), -EINVAL);
		assert_non_null(strstr(err.message, "IPv4"));
	}
	assert_int_equal(address_parse_prefix(AF_INET6, "::1/129", &p, NULL), -EINVAL);
	assert_int_equal(address_parse_prefix(AF_INET6, "10.0.0.1/8", &p, NULL), -EINVAL);
	assert_int_equal(address_parse(AF_INET6, "fe80::1%lo", &a, NULL), -EINVAL);
}

static void test_names(void **state)
{
	assert_int_equal(rtnl_check_name("eth0.1@x", NULL), 0);
	assert_int_equal(rtnl_check_name("123456789012345", NULL), 0);
	assert_int_equal(rtnl_check_name("1234567890123456", NULL), -EINVAL);
	assert_int_equal(rtnl_check_name("", NULL), -EINVAL);
	assert_int_equal(rtnl_check_name("..", NULL), -EINVAL);
	assert_int_equal(rtnl_check_name("a/b", NULL), -EINVAL);
}

/* ---- bytes ---- */

struct reply {
	struct nlmsghdr h;
	struct nlmsgerr e;
	struct nlattr a;
	char text[16];
};

static struct reply make_refusal(void)
{
	struct reply r = {
		.h = { .nlmsg_len = sizeof(r), .nlmsg_type = NLMSG_ERROR, .nlmsg_seq = 7,
		       .nlmsg_flags = NLM_F_CAPPED | NLM_F_ACK_TLVS },
		.e = { .error = -EEXIST, .msg.nlmsg_len = NLMSG_HDRLEN },
		.a = { .nla_len = NLA_HDRLEN + 9, .nla_type = NLMSGERR_ATTR_MSG },
		.text = "is there",
	};

	return r;
}

static void test_reply(void **state)
{
	struct reply r = make_refusal();
	struct rtnl_reply out = { 0 };

	assert_int_equal(rtnl_reply_parse(&r, sizeof(r), 7, &out), 0);
	assert_true(out.done);
	assert_int_equal(out.error, -EEXIST);
	assert_string_equal(out.text, "is there");

	out = (struct rtnl_reply){ 0 };
	assert_int_equal(rtnl_reply_parse(&r, sizeof(r), 8, &out), 0);
	assert_false(out.done);
}

static void test_bad_replies(void **state)
{
	struct reply r = make_refusal();
	struct rtnl_reply out = { 0 };

	/* Cut anywhere: refused, or at least nothing is believed of what is missing. */
	for (size_t n = 0; n < sizeof(r); n++) {
		out = (struct rtnl_reply){ 0 };
		rtnl_reply_parse(&r, n, 7, &out);
		assert_false(out.done);
	}
	r.h.nlmsg_len = NLMSG_HDRLEN - 1;
	assert_int_equal(rtnl_reply_parse(&r, sizeof(r), 7, &out), -EBADMSG);
	r.h.nlmsg_len = UINT32_MAX;
	assert_int_equal(rtnl_reply_parse(&r, sizeof(r), 7, &out), -EBADMSG);
	r = make_refusal();
	r.e.error = 5;
	assert_int_equal(rtnl_reply_parse(&r, sizeof(r), 7, &out), 0);
	assert_true(out.error < 0);
	r = make_refusal();
	r.a.nla_len = 200;
	out = (struct rtnl_reply){ 0 };
	assert_int_equal(rtnl_reply_parse(&r, sizeof(r), 7, &out), 0);
	assert_string_equal(out.text, "");
	r = make_refusal();
	r.h.nlmsg_flags = NLM_F_ACK_TLVS;
	r.e.msg.nlmsg_len = UINT32_MAX;
	out = (struct rtnl_reply){ 0 };
	assert_int_equal(rtnl_reply_parse(&r, sizeof(r), 7, &out), 0);
	assert_string_equal(out.text, "");
}

static void test_message_full(void **state)
{
	struct ifinfomsg info = { 0 };
	struct rtnl_message m;
	char big[RTNL_MESSAGE_MAX] = { 0 };

	rtnl_message_begin(&m, RTM_NEWLINK, 0, &info, sizeof(info));
	rtnl_message_put(&m, 1, big, 5);
	assert_false(m.full);
	assert_int_equal(m.header.nlmsg_len % 4, 0);
	rtnl_message_put(&m, 1, big, sizeof(big));
	assert_true(m.full);
}

/* ---- the kernel's ---- */

static short flags_of(const char *name)
{
	struct ifreq ifr = { 0 };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	assert_int_equal(ioctl(s, SIOCGIFFLAGS, &ifr), 0);
	close(s);
	return ifr.ifr_flags;
}

static void test_kernel(void **state)
{
	struct address source;
	struct coffer_error err = COFFER_ERROR_INIT;
	autortnl struct rtnl nl = RTNL_INIT;
	struct address_prefix p;
	struct rtnl_route route = { .family = AF_INET };
	int index;

	if (unshare(CLONE_NEWNET) < 0) {
		print_message("no network namespace of our own: skipped\n");
		skip();
	}
	assert_int_equal(rtnl_open(&nl, &err), 0);
	index = rtnl_link_index(&nl, "lo", &err);
	assert_int_equal(index, 1);
	assert_int_equal(rtnl_link_index(&nl, "nosuch0", &err), -ENODEV);
	assert_int_equal(rtnl_link_set(&nl, "lo", true, 4000, &err), 0);
	assert_true(flags_of("lo") & IFF_UP);
	assert_int_equal(rtnl_link_set(&nl, "nosuch0", true, 0, &err), -ENODEV);

	assert_int_equal(address_parse_prefix(AF_INET, "10.0.0.1/24", &p, &err), 0);
	assert_int_equal(rtnl_address_add(&nl, index, &p, &err), 0);
	err_clear(&err);
	assert_int_equal(rtnl_address_add(&nl, index, &p, &err), -EEXIST);
	assert_non_null(strstr(err.message, "add address"));

	assert_int_equal(address_parse(AF_INET, "10.0.0.1", &source, &err), 0);
	route.index = index;
	route.source = &source;
	assert_int_equal(address_parse_prefix(AF_INET, "10.9.0.0/16", &p, &err), 0);
	route.dst = &p;
	assert_int_equal(rtnl_route_add(&nl, &route, &err), 0);
	assert_int_equal(rtnl_route_add(&nl, &route, &err), -EEXIST);

	assert_int_equal(rtnl_link_set(&nl, "lo", false, 0, &err), 0);
	assert_false(flags_of("lo") & IFF_UP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),   cmocka_unit_test(test_bad_addresses),
		cmocka_unit_test(test_names),	    cmocka_unit_test(test_reply),
		cmocka_unit_test(test_bad_replies), cmocka_unit_test(test_message_full),
		cmocka_unit_test(test_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
