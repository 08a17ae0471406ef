/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/vhost_user_msg.c - vhost-user messages on the wire
 *
 * Reading is incremental: first the header, then exactly the payload it
 * announces, so that one recvmsg() never reaches into the next message and its
 * descriptors.  Descriptors that came with any part of a message belong to it.
 *
 * Called by vhost_user.c only, which never sees a message that the table below
 * does not allow.
 */
#include "virtio/vhost_user_msg.h"

#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/io.h"

/* How a request's payload size and descriptors are judged. */
enum msg_form {
	MSG_UNKNOWN, /* not a request of ours */
	MSG_EMPTY,
	MSG_U64,
	MSG_STATE,
	MSG_ADDR,
	MSG_VRING_FD, /* u64 that says whether one descriptor comes along */
	MSG_MEMORY,   /* one descriptor a region */
	MSG_CONFIG,
};

static const struct {
	const char *name;
	enum msg_form form;
} msg_table[VHOST_USER_REQUESTS] = {
	[VHOST_USER_GET_FEATURES] = { "GET_FEATURES", MSG_EMPTY },
	[VHOST_USER_SET_FEATURES] = { "SET_FEATURES", MSG_U64 },
	[VHOST_USER_SET_OWNER] = { "SET_OWNER", MSG_EMPTY },
	[VHOST_USER_RESET_OWNER] = { "RESET_OWNER", MSG_EMPTY },
	[VHOST_USER_SET_MEM_TABLE] = { "SET_MEM_TABLE", MSG_MEMORY },
	[VHOST_USER_SET_VRING_NUM] = { "SET_VRING_NUM", MSG_STATE },
	[VHOST_USER_SET_VRING_ADDR] = { "SET_VRING_ADDR", MSG_ADDR },
	[VHOST_USER_SET_VRING_BASE] = { "SET_VRING_BASE", MSG_STATE },
	[VHOST_USER_GET_VRING_BASE] = { "GET_VRING_BASE", MSG_STATE },
	[VHOST_USER_SET_VRING_KICK] = { "SET_VRING_KICK", MSG_VRING_FD },
	[VHOST_USER_SET_VRING_CALL] = { "SET_VRING_CALL", MSG_VRING_FD },
	[VHOST_USER_SET_VRING_ERR] = { "SET_VRING_ERR", MSG_VRING_FD },
	[VHOST_USER_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES", MSG_EMPTY },
	[VHOST_USER_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES", MSG_U64 },
	[VHOST_USER_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", MSG_EMPTY },
	[VHOST_USER_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", MSG_STATE },
	[VHOST_USER_GET_CONFIG] = { "GET_CONFIG", MSG_CONFIG },
	[VHOST_USER_SET_CONFIG] = { "SET_CONFIG", MSG_CONFIG },
};

static enum msg_form msg_form(uint32_t request)
{
	return request < ARRAY_SIZE(msg_table) ? msg_table[request].form : MSG_UNKNOWN;
}

const char *vhost_user_msg_name(uint32_t request)
{
	return msg_form(request) ? msg_table[request].name : "unknown request";
}

static bool msg_form_ok(const struct vhost_user_msg *m)
{
	uint32_t size = m->h.size;

	switch (msg_form(m->h.request)) {
	case MSG_UNKNOWN:
		return true;
	case MSG_EMPTY:
		return size == 0 && m->nfds == 0;
	case MSG_U64:
		return size == sizeof(m->p.u64) && m->nfds == 0;
	case MSG_STATE:
		return size == sizeof(m->p.state) && m->nfds == 0;
	case MSG_ADDR:
		return size == sizeof(m->p.addr) && m->nfds == 0;
	case MSG_VRING_FD:
		return size == sizeof(m->p.u64) &&
		       m->nfds == (m->p.u64 & VHOST_USER_VRING_NOFD ? 0 : 1);
	case MSG_MEMORY:
		return size >= 8 && m->p.memory.nregions <= VHOST_USER_REGIONS_MAX &&
		       size == 8 + m->p.memory.nregions * sizeof(m->p.memory.regions[0]) &&
		       m->nfds == m->p.memory.nregions;
	case MSG_CONFIG:
		return size >= 12 && m->p.config.size <= VHOST_USER_CONFIG_MAX &&
		       size == 12 + m->p.config.size && m->nfds == 0;
	}
	return false;
}

static int msg_check_header(const struct vhost_user_msg *m, struct coffer_error *err)
{
	if ((m->h.flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION)
		return err_sysn(err, EPROTO, "vhost-user version %u",
				m->h.flags & VHOST_USER_VERSION_MASK);
	if (m->h.flags & VHOST_USER_REPLY)
		return err_sysn(err, EPROTO, "vhost-user reply to no request");
	if (m->h.size > sizeof(m->p))
		return err_sysn(err, EPROTO, "vhost-user %s of %u bytes",
				vhost_user_msg_name(m->h.request), m->h.size);
	return 0;
}

/* Read bytes @start to @end of the message to @dst. Return: 1 they are there, 0 not yet, -errno */
static int msg_fill(int sock, struct vhost_user_msg *m, void *dst, size_t start, size_t end,
		    struct coffer_error *err)
{
	size_t nfds;
	ssize_t n;

	while (m->got < end) {
		nfds = VHOST_USER_FDS_MAX - m->nfds;
		n = io_recv_fds(sock, (char *)dst + (m->got - start), end - m->got,
				m->fds + m->nfds, &nfds);
		if (n == -EAGAIN)
			return 0;
		if (n == -EMSGSIZE)
			return err_sysn(err, EPROTO,
					"vhost-user message with too many descriptors");
		if (n < 0)
			return err_sysn(err, (int)-n, "read vhost-user message");
		if (n == 0)
			return err_set(err, COFFER_ERR_INTERRUPTED, ECONNRESET,
				       "the machine hung up its vhost-user socket");
		m->nfds += nfds;
		m->got += (size_t)n;
	}
	return 1;
}

int vhost_user_msg_read(int sock, struct vhost_user_msg *m, struct coffer_error *err)
{
	const size_t head = sizeof(m->h);
	int rc;

	if (m->got < head) {
		rc = msg_fill(sock, m, &m->h, 0, head, err);
		if (rc <= 0)
			return rc;
		rc = msg_check_header(m, err);
		if (rc < 0)
			return rc;
	}
	rc = msg_fill(sock, m, &m->p, head, head + m->h.size, err);
	if (rc <= 0)
		return rc;
	if (!msg_form_ok(m))
		return err_sysn(err, EPROTO, "vhost-user %s with %u bytes and %zu descriptors",
				vhost_user_msg_name(m->h.request), m->h.size, m->nfds);
	return 1;
}

void vhost_user_msg_clear(struct vhost_user_msg *m)
{
	for (size_t i = 0; i < m->nfds; i++)
		close_fd(&m->fds[i]);
	memset(m, 0, sizeof(*m));
}

int vhost_user_msg_reply(int sock, struct vhost_user_msg *m, uint32_t size,
			 struct coffer_error *err)
{
	struct iovec iov[2] = {
		{ .iov_base = &m->h, .iov_len = sizeof(m->h) },
		{ .iov_base = &m->p, .iov_len = size },
	};
	const struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	m->h.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	m->h.size = size;
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	/* The front end waits for it with an empty socket; no room means it does not read. */
	if (n != (ssize_t)(sizeof(m->h) + size))
		return err_sysn(err, n < 0 ? errno : EPROTO, "answer vhost-user %s",
				vhost_user_msg_name(m->h.request));
	return 0;
}
