/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network/address.h - internet addresses and prefixes out of text
 */
#ifndef NETWORK_ADDRESS_H
#define NETWORK_ADDRESS_H

#include <stdint.h>
#include <stddef.h>

#include "base/error.h"

struct address {
	int family;	   /* AF_INET or AF_INET6 */
	uint8_t bytes[16]; /* in network order; the first four when AF_INET */
};

struct address_prefix {
	struct address address;
	unsigned len; /* bits */
};

/* address_size() - Bytes of an address of its family */
size_t address_size(const struct address *a);

/* address_parse() - "192.168.64.3", "fd00::3" of @family. Return: 0 or -EINVAL */
int address_parse(int family, const char *text, struct address *out, struct coffer_error *err);

/* address_parse_prefix() - "192.168.64.3/24". The bits behind the prefix stay as they are */
int address_parse_prefix(int family, const char *text, struct address_prefix *out,
			 struct coffer_error *err);

#endif /* NETWORK_ADDRESS_H */
