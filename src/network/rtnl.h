/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network/rtnl.h - interfaces, addresses and routes, by rtnetlink
 *
 * Everything acts on the network namespace that the calling thread was in at
 * rtnl_open().  What exists already is -EEXIST, an interface that does not
 * -ENODEV; errors carry the kernel's own words where it has any.
 */
#ifndef NETWORK_RTNL_H
#define NETWORK_RTNL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "network/address.h"

#define RTNL_NAME_MAX 15 /* bytes of an interface's name */

struct rtnl {
	int fd; /* owned */
	uint32_t seq;
};

#define RTNL_INIT                                                                                  \
	{                                                                                          \
		.fd = -1                                                                           \
	}

int rtnl_open(struct rtnl *nl, struct coffer_error *err);
void rtnl_close(struct rtnl *nl);
#define autortnl CLEANUP(rtnl_close)

/* rtnl_check_name() - Could an interface be called so? Return: 0 or -EINVAL */
int rtnl_check_name(const char *name, struct coffer_error *err);

/* rtnl_link_index() - Return: the interface's number, or negative errno */
int rtnl_link_index(struct rtnl *nl, const char *name, struct coffer_error *err);

/* rtnl_link_set() - Up or down, and the MTU, 0: as it is; both or none */
int rtnl_link_set(struct rtnl *nl, const char *name, bool up, uint32_t mtu,
		  struct coffer_error *err);

/* rtnl_address_add() - For ever, and usable at once: no duplicate is looked for */
int rtnl_address_add(struct rtnl *nl, int index, const struct address_prefix *prefix,
		     struct coffer_error *err);

struct rtnl_route {
	int family;			  /* AF_INET or AF_INET6; that of all below */
	int index;			  /* interface */
	const struct address_prefix *dst; /* NULL: default */
	const struct address *gateway;	  /* NULL: the destination is on the link */
	const struct address *source;	  /* NULL: the kernel chooses */
};

/* rtnl_route_add() - In the main table */
int rtnl_route_add(struct rtnl *nl, const struct rtnl_route *route, struct coffer_error *err);

#endif /* NETWORK_RTNL_H */
