/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/vhost_user_msg.h - vhost-user messages on the wire (QEMU's docs/interop/vhost-user.rst)
 *
 * Only the requests that our features let a front end send are known here.
 */
#ifndef VIRTIO_VHOST_USER_MSG_H
#define VIRTIO_VHOST_USER_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define VHOST_USER_FDS_MAX     8
#define VHOST_USER_REGIONS_MAX 8
#define VHOST_USER_CONFIG_MAX  256

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_REQUESTS,
};

enum vhost_user_flag {
	VHOST_USER_VERSION = 1,
	VHOST_USER_VERSION_MASK = 3,
	VHOST_USER_REPLY = 4,
	VHOST_USER_NEED_REPLY = 8,
};

/* In the payload of SET_VRING_KICK, CALL and ERR. */
#define VHOST_USER_VRING_INDEX 0xff
#define VHOST_USER_VRING_NOFD  0x100

struct vhost_user_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload */
};

struct vhost_user_vring_state {
	uint32_t index, num;
};

struct vhost_user_vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail; /* user addresses of the front end */
	uint64_t log;
};

struct vhost_user_memory {
	uint32_t nregions, padding;
	struct vhost_user_region {
		uint64_t guest_addr, size, user_addr, offset;
	} regions[VHOST_USER_REGIONS_MAX];
};

struct vhost_user_config {
	uint32_t offset, size, flags;
	uint8_t data[VHOST_USER_CONFIG_MAX];
};

struct vhost_user_msg {
	struct vhost_user_header h;
	union {
		uint64_t u64;
		struct vhost_user_vring_state state;
		struct vhost_user_vring_addr addr;
		struct vhost_user_memory memory;
		struct vhost_user_config config;
	} p;
	size_t got; /* bytes read so far of header and payload */
	size_t nfds;
	int fds[VHOST_USER_FDS_MAX]; /* owned; a handler steals what it keeps */
};

_Static_assert(sizeof(struct vhost_user_header) == 12, "on the wire");
_Static_assert(sizeof(struct vhost_user_vring_addr) == 40, "on the wire");
_Static_assert(sizeof(struct vhost_user_memory) == 8 + 32 * VHOST_USER_REGIONS_MAX, "on the wire");
_Static_assert(offsetof(struct vhost_user_config, data) == 12, "on the wire");

/* vhost_user_msg_name() - For messages to people */
const char *vhost_user_msg_name(uint32_t request);

/**
 * vhost_user_msg_read() - Go on reading a message from a non-blocking socket
 * @m:		All zero before the first call
 *
 * A whole message has been checked: version, payload size and number of
 * descriptors are what its request calls for.  A request that is not in the
 * table passes with any payload that fits.
 *
 * Return: 1 when the message is complete, 0 when more has to come, -ECONNRESET
 * on hang-up, -EPROTO on a malformed message, other negative errno; @err filled
 */
int vhost_user_msg_read(int sock, struct vhost_user_msg *m, struct coffer_error *err);

/* vhost_user_msg_clear() - Close the descriptors that are left, make ready for the next message */
void vhost_user_msg_clear(struct vhost_user_msg *m);

/* vhost_user_msg_reply() - Send @m back as the answer, with @size bytes of payload */
int vhost_user_msg_reply(int sock, struct vhost_user_msg *m, uint32_t size,
			 struct coffer_error *err);

#endif /* VIRTIO_VHOST_USER_MSG_H */
