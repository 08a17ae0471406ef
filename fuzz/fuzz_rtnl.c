/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_rtnl.c - a datagram of rtnetlink, and an address in text
 *
 * Input: the datagram as it is; the same bytes are then read as text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "network/address.h"
#include "network/rtnl_message.h"

static void parse_text(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct address_prefix p;

	if (!text)
		abort();
	if (address_parse_prefix(AF_INET, text, &p, NULL) == 0 && p.len > 32)
		abort();
	if (address_parse_prefix(AF_INET6, text, &p, NULL) == 0 && p.len > 128)
		abort();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rtnl_reply reply = { 0 };
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	rtnl_reply_parse(copy, size, 1, &reply);
	if (reply.error > 0 || memchr(reply.text, '\0', sizeof(reply.text)) == NULL)
		abort();
	free(copy);
	parse_text(data, size);
	return 0;
}
