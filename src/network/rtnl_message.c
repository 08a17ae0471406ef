/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network/rtnl_message.c - bytes of rtnetlink: requests put together, replies taken apart
 *
 *	message     nlmsghdr, body by type, attributes; padded to 4 bytes
 *	attribute   nlattr, payload; padded to 4 bytes
 *	error       nlmsghdr, nlmsgerr (errno and the request's header, then the
 *	            request itself unless NLM_F_CAPPED), attributes with NLM_F_ACK_TLVS
 *
 * Lengths in a reply are believed only as far as the datagram goes.
 *
 * Callers: rtnl.c; unit tests and a fuzz target.
 */
#include "network/rtnl_message.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

void rtnl_message_begin(struct rtnl_message *m, uint16_t type, uint16_t flags, const void *body,
			size_t len)
{
	*m = (struct rtnl_message){
		.header = { .nlmsg_len = (uint32_t)(NLMSG_HDRLEN + NLMSG_ALIGN(len)),
			    .nlmsg_type = type,
			    .nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST | NLM_F_ACK) },
	};
	memcpy(m->bytes + NLMSG_HDRLEN, body, len);
}

void rtnl_message_put(struct rtnl_message *m, uint16_t type, const void *data, size_t len)
{
	struct nlattr attr = { .nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type };
	size_t at = m->header.nlmsg_len;

	if (len > sizeof(m->bytes) || at + NLA_HDRLEN + NLA_ALIGN(len) > sizeof(m->bytes)) {
		m->full = true;
		return;
	}
	memcpy(m->bytes + at, &attr, sizeof(attr));
	memcpy(m->bytes + at + NLA_HDRLEN, data, len);
	m->header.nlmsg_len = (uint32_t)(at + NLA_HDRLEN + NLA_ALIGN(len));
}

void rtnl_message_put_u32(struct rtnl_message *m, uint16_t type, uint32_t value)
{
	rtnl_message_put(m, type, &value, sizeof(value));
}

/* The attribute of @type, its payload in @out. Return: false when there is none */
static bool rtnl_find(const uint8_t *p, size_t len, unsigned type, const uint8_t **out, size_t *n)
{
	struct nlattr attr;

	while (len >= NLA_HDRLEN) {
		memcpy(&attr, p, sizeof(attr));
		if (attr.nla_len < NLA_HDRLEN || attr.nla_len > len)
			return false;
		if ((attr.nla_type & NLA_TYPE_MASK) == type) {
			*out = p + NLA_HDRLEN;
			*n = attr.nla_len - NLA_HDRLEN;
			return true;
		}
		if ((size_t)NLA_ALIGN(attr.nla_len) >= len)
			return false;
		p += NLA_ALIGN(attr.nla_len);
		len -= NLA_ALIGN(attr.nla_len);
	}
	return false;
}

/* The kernel's words, as far as they are there. */
static void rtnl_reply_text(const struct nlmsghdr *h, const struct nlmsgerr *e, const uint8_t *body,
			    size_t len, struct rtnl_reply *out)
{
	size_t at = sizeof(*e), n;
	const uint8_t *text;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(h->nlmsg_flags & NLM_F_CAPPED)) {
		if (e->msg.nlmsg_len < NLMSG_HDRLEN || e->msg.nlmsg_len > len)
			return;
		at += NLMSG_ALIGN(e->msg.nlmsg_len - NLMSG_HDRLEN);
	}
	if (at > len || !rtnl_find(body + at, len - at, NLMSGERR_ATTR_MSG, &text, &n))
		return;
	n = strnlen((const char *)text, n < sizeof(out->text) ? n : sizeof(out->text) - 1);
	memcpy(out->text, text, n);
	out->text[n] = '\0';
}

static int rtnl_reply_error(const struct nlmsghdr *h, const uint8_t *body, size_t len,
			    struct rtnl_reply *out)
{
	struct nlmsgerr e;

	if (len < sizeof(e))
		return -EBADMSG;
	memcpy(&e, body, sizeof(e));
	out->done = true;
	/* An errno is negative; what is none would pass for success. */
	out->error = e.error > 0 || e.error < -4095 ? -EBADMSG : e.error;
	rtnl_reply_text(h, &e, body, len, out);
	return 0;
}

static int rtnl_reply_link(const uint8_t *body, size_t len, struct rtnl_reply *out)
{
	struct ifinfomsg info;

	if (len < sizeof(info))
		return -EBADMSG;
	memcpy(&info, body, sizeof(info));
	if (info.ifi_index <= 0)
		return -EBADMSG;
	out->index = info.ifi_index;
	return 0;
}

int rtnl_reply_parse(const void *data, size_t len, uint32_t seq, struct rtnl_reply *out)
{
	const uint8_t *p = data;
	struct nlmsghdr h;
	int r = 0;

	while (r == 0 && len > 0 && !out->done) {
		if (len < NLMSG_HDRLEN)
			return -EBADMSG;
		memcpy(&h, p, sizeof(h));
		if (h.nlmsg_len < NLMSG_HDRLEN || h.nlmsg_len > len)
			return -EBADMSG;
		if (h.nlmsg_seq == seq && h.nlmsg_type == NLMSG_ERROR)
			r = rtnl_reply_error(&h, p + NLMSG_HDRLEN, h.nlmsg_len - NLMSG_HDRLEN, out);
		else if (h.nlmsg_seq == seq && h.nlmsg_type == RTM_NEWLINK)
			r = rtnl_reply_link(p + NLMSG_HDRLEN, h.nlmsg_len - NLMSG_HDRLEN, out);
		if (NLMSG_ALIGN(h.nlmsg_len) >= len)
			return r;
		p += NLMSG_ALIGN(h.nlmsg_len);
		len -= NLMSG_ALIGN(h.nlmsg_len);
	}
	return r;
}
