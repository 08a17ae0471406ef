/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network/rtnl_message.h - bytes of rtnetlink: requests put together, replies taken apart
 *
 * No socket here, so that both can be tested with bytes alone.
 */
#ifndef NETWORK_RTNL_MESSAGE_H
#define NETWORK_RTNL_MESSAGE_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTNL_MESSAGE_MAX 256 /* a header, a few addresses and a name */
#define RTNL_TEXT_MAX	 128

struct rtnl_message {
	union {
		struct nlmsghdr header; /* nlmsg_len is the bytes so far */
		uint8_t bytes[RTNL_MESSAGE_MAX];
	};
	bool full; /* something did not fit */
};

/* rtnl_message_begin() - @body: the fixed part of the type's messages */
void rtnl_message_begin(struct rtnl_message *m, uint16_t type, uint16_t flags, const void *body,
			size_t len);
/* rtnl_message_put() - An attribute; what does not fit is remembered in m->full */
void rtnl_message_put(struct rtnl_message *m, uint16_t type, const void *data, size_t len);
void rtnl_message_put_u32(struct rtnl_message *m, uint16_t type, uint32_t value);

/* What the kernel has said so far to one request. */
struct rtnl_reply {
	bool done;		  /* it has acknowledged or refused */
	int error;		  /* 0 or a negative errno */
	char text[RTNL_TEXT_MAX]; /* the kernel's own words with an error; may be empty */
	int index;		  /* of the interface that was told of, 0: none */
};

/**
 * rtnl_reply_parse() - Take in one datagram
 * @seq:	Number of the request; messages with others are passed over
 *
 * Return: 0, or -EBADMSG when it is not made of whole messages
 */
int rtnl_reply_parse(const void *data, size_t len, uint32_t seq, struct rtnl_reply *out);

#endif /* NETWORK_RTNL_MESSAGE_H */
