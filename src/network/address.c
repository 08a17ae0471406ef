/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network/address.c - internet addresses and prefixes out of text
 *
 * The family is the caller's to say, since every field that holds an address
 * is for one of them.  No zone ("%eth0") and no name is taken.
 *
 * Callers: agent; unit tests and a fuzz target.
 */
#include "network/address.h"

#include <arpa/inet.h>
#include <string.h>

#define ADDRESS_TEXT_SHOWN 64 /* bytes of bad text in an error */

size_t address_size(const struct address *a)
{
	return a->family == AF_INET ? 4 : 16;
}

static int address_refuse(int family, const char *what, const char *text, struct coffer_error *err)
{
	return err_invalid(err, "\"%.*s\" is not an IPv%d %s", ADDRESS_TEXT_SHOWN, text,
			   family == AF_INET ? 4 : 6, what);
}

int address_parse(int family, const char *text, struct address *out, struct coffer_error *err)
{
	*out = (struct address){ .family = family };
	if (inet_pton(family, text, out->bytes) != 1)
		return address_refuse(family, "address", text, err);
	return 0;
}

/* One to three digits, nothing else, at most @max. Return: the number or -EINVAL */
static int address_parse_len(const char *text, unsigned max)
{
	unsigned n = 0;
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 3 || text[digits] != '\0')
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		n = n * 10 + (unsigned)(text[i] - '0');
	return n > max ? -EINVAL : (int)n;
}

int address_parse_prefix(int family, const char *text, struct address_prefix *out,
			 struct coffer_error *err)
{
	char address[INET6_ADDRSTRLEN];
	size_t n = strcspn(text, "/");
	int len;

	*out = (struct address_prefix){ .address.family = family };
	len = text[n] ? address_parse_len(text + n + 1, family == AF_INET ? 32 : 128) : -EINVAL;
	if (len < 0 || n >= sizeof(address))
		return address_refuse(family, "prefix (ADDRESS/BITS)", text, err);
	memcpy(address, text, n);
	address[n] = '\0';
	if (address_parse(family, address, &out->address, NULL) < 0)
		return address_refuse(family, "prefix (ADDRESS/BITS)", text, err);
	out->len = (unsigned)len;
	return 0;
}
