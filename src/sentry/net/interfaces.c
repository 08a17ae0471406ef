/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/interfaces.c - the SIOCGIF* questions that any socket answers
 *
 *	ioctl(2) -> struct ifreq of the guest -> net/links.c -> the same, filled
 *
 * Changes of interfaces are refused; so is what reaches into drivers.
 *
 * Called by the families' ioctl operations.
 */
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/net/links.h"
#include "sentry/net/net.h"
#include "sentry/task/task.h"

/* What an address of AF_INET is called, and is. */
struct interface_address {
	char label[IFNAMSIZ];
	int index;
	struct in_addr local, peer, mask, broadcast;
};

struct interface_search {
	const char *name;
	struct interface_address *out;
};

static bool interface_parse(const struct nlmsghdr *header, struct interface_address *out)
{
	const struct ifaddrmsg *body = NLMSG_DATA(header);
	const void *attr;

	if (header->nlmsg_type != RTM_NEWADDR || header->nlmsg_len < NLMSG_LENGTH(sizeof(*body)) ||
	    body->ifa_family != AF_INET)
		return false;
	memset(out, 0, sizeof(*out));
	out->index = (int)body->ifa_index;
	if ((attr = links_attribute(header, sizeof(*body), IFA_ADDRESS, 4)))
		memcpy(&out->peer, attr, 4);
	out->local = out->peer;
	if ((attr = links_attribute(header, sizeof(*body), IFA_LOCAL, 4)))
		memcpy(&out->local, attr, 4);
	if ((attr = links_attribute(header, sizeof(*body), IFA_BROADCAST, 4)))
		memcpy(&out->broadcast, attr, 4);
	if ((attr = links_attribute(header, sizeof(*body), IFA_LABEL, 1)))
		strncpy(out->label, attr, IFNAMSIZ - 1);
	if (body->ifa_prefixlen)
		out->mask.s_addr = htonl(UINT32_MAX << (32 - body->ifa_prefixlen % 33));
	return true;
}

static int interface_match(const struct nlmsghdr *header, void *data)
{
	struct interface_search *search = data;
	struct interface_address address;

	if (!interface_parse(header, &address) || strcmp(address.label, search->name) != 0)
		return 0;
	*search->out = address;
	return 2;
}

static void interface_put_address(struct ifreq *ifr, struct in_addr address)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = address };

	memcpy(&ifr->ifr_addr, &in, sizeof(in));
}

static int interface_address(struct ifreq *ifr, uint32_t cmd)
{
	struct interface_address address;
	struct interface_search search = { .name = ifr->ifr_name, .out = &address };
	int r = links_dump(RTM_GETADDR, AF_INET, interface_match, &search);

	if (r != 2)
		return r < 0 ? r : -EADDRNOTAVAIL;
	switch (cmd) {
	case SIOCGIFADDR:
		interface_put_address(ifr, address.local);
		break;
	case SIOCGIFDSTADDR:
		interface_put_address(ifr, address.peer);
		break;
	case SIOCGIFBRDADDR:
		interface_put_address(ifr, address.broadcast);
		break;
	default:
		interface_put_address(ifr, address.mask);
		break;
	}
	return 0;
}

struct interface_named {
	int index;
	char name[IFNAMSIZ];
};

static int interface_match_index(const struct link_info *link, void *data)
{
	struct interface_named *named = data;

	if (link->index != named->index)
		return 0;
	memcpy(named->name, link->name, sizeof(named->name));
	return 2;
}

static int interface_name(struct ifreq *ifr)
{
	struct interface_named named = { .index = ifr->ifr_ifindex };
	int r = links_each(interface_match_index, &named);

	if (r != 2)
		return r < 0 ? r : -ENODEV;
	memcpy(ifr->ifr_name, named.name, sizeof(ifr->ifr_name));
	return 0;
}

static int interface_link(struct ifreq *ifr, uint32_t cmd)
{
	struct link_info link;
	int r = links_find(ifr->ifr_name, &link);

	if (r)
		return r;
	memset(&ifr->ifr_ifru, 0, sizeof(ifr->ifr_ifru));
	switch (cmd) {
	case SIOCGIFINDEX:
		ifr->ifr_ifindex = link.index;
		break;
	case SIOCGIFFLAGS:
		ifr->ifr_flags = (short)link.flags;
		break;
	case SIOCGIFMTU:
		ifr->ifr_mtu = (int)link.mtu;
		break;
	case SIOCGIFTXQLEN:
		ifr->ifr_qlen = (int)link.queue;
		break;
	case SIOCGIFHWADDR:
		ifr->ifr_hwaddr.sa_family = link.type;
		memcpy(ifr->ifr_hwaddr.sa_data, link.address,
		       link.address_len < 14 ? link.address_len : 14);
		break;
	default: /* SIOCGIFMETRIC, SIOCGIFMAP: zeros */
		break;
	}
	return 0;
}

/* --- SIOCGIFCONF --- */

struct interface_list {
	struct ifreq *rows;
	size_t n, room;
};

static int interface_collect(const struct nlmsghdr *header, void *data)
{
	struct interface_list *list = data;
	struct interface_address address;
	struct ifreq *more;

	if (!interface_parse(header, &address))
		return 0;
	if (list->n == list->room) {
		more = reallocarray(list->rows, list->room + 16, sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->rows = more;
		list->room += 16;
	}
	memset(&list->rows[list->n], 0, sizeof(struct ifreq));
	memcpy(list->rows[list->n].ifr_name, address.label, IFNAMSIZ);
	interface_put_address(&list->rows[list->n++], address.local);
	return 0;
}

static long interface_list(struct task *task, uint64_t arg)
{
	struct interface_list list = { 0 };
	autofree struct ifreq *rows = NULL;
	struct ifconf conf;
	size_t n;
	int r = user_read(task->mm, &conf, arg, sizeof(conf));

	if (!r)
		r = links_dump(RTM_GETADDR, AF_INET, interface_collect, &list);
	rows = list.rows;
	if (r)
		return r;
	n = list.n;
	if (conf.ifc_buf) {
		size_t room = conf.ifc_len < 0 ? 0 : (size_t)conf.ifc_len / sizeof(*rows);

		n = n < room ? n : room;
		r = user_write(task->mm, (uint64_t)(uintptr_t)conf.ifc_buf, rows,
			       n * sizeof(*rows));
	}
	conf.ifc_len = (int)(n * sizeof(*rows));
	return r ? r : user_write(task->mm, arg, &conf, sizeof(conf));
}

static long interface_question(struct task *task, uint32_t cmd, uint64_t arg)
{
	struct ifreq ifr;
	int r = user_read(task->mm, &ifr, arg, sizeof(ifr));

	if (r)
		return r;
	ifr.ifr_name[IFNAMSIZ - 1] = '\0';
	switch (cmd) {
	case SIOCGIFNAME:
		r = interface_name(&ifr);
		break;
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
		r = interface_address(&ifr, cmd);
		break;
	default:
		r = interface_link(&ifr, cmd);
		break;
	}
	return r ? r : user_write(task->mm, arg, &ifr, sizeof(ifr));
}

long socket_ioctl(struct task *task, uint32_t cmd, uint64_t arg)
{
	switch (cmd) {
	case SIOCGIFCONF:
		return interface_list(task, arg);
	case SIOCGIFNAME:
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
	case SIOCGIFINDEX:
	case SIOCGIFFLAGS:
	case SIOCGIFMTU:
	case SIOCGIFTXQLEN:
	case SIOCGIFHWADDR:
	case SIOCGIFMETRIC:
	case SIOCGIFMAP:
		return interface_question(task, cmd, arg);
	case SIOCETHTOOL:
		return -EOPNOTSUPP;
	case SIOCSIFADDR:
	case SIOCSIFFLAGS:
	case SIOCSIFMTU:
	case SIOCSIFNETMASK:
	case SIOCSIFBRDADDR:
	case SIOCSIFNAME:
	case SIOCSIFHWADDR:
	case SIOCSIFTXQLEN:
	case SIOCADDRT:
	case SIOCDELRT:
		return -EPERM;
	default:
		return -ENOTTY;
	}
}
