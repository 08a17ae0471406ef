/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_vhost_user.c - a front end that says anything, over a real socket device
 *
 * The input is a script of messages: request, flags, descriptors to go along,
 * payload; between them the guest writes to its memory and kicks.  A payload
 * may be raw, or a well-formed one of its kind with numbers from the input, so
 * that rings really start.
 */
#include <assert.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/io.h"
#include "virtio/vhost_user.h"
#include "virtio/vhost_user_msg.h"
#include "virtio/vsock.h"
#include "../tests/unit/virtio_guest.h"

#define RAM 65536

static int memfd = -1, event_fd = -1;
static uint8_t *ram;

struct script {
	const uint8_t *p, *end;
};

struct world {
	struct loop *loop;
	struct virtio_device *dev;
	struct vhost_user *vu;
	int sock;
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	memfd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (memfd < 0 || event_fd < 0 || ftruncate(memfd, RAM) < 0 ||
	    fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		abort();
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	return ram == MAP_FAILED ? -1 : 0;
}

static uint8_t byte(struct script *s)
{
	return s->p < s->end ? *s->p++ : 0;
}

static void on_close(struct vhost_user *vu, const struct coffer_error *err, void *data)
{
	struct world *w = data;

	assert(err->kind != COFFER_ERR_NONE && err->message[0]);
	vhost_user_free(vu);
	w->vu = NULL;
}

/* What a friendly front end would say, with some numbers from the script. */
static uint32_t good_payload(struct script *s, uint32_t request, void *p, size_t *nfds)
{
	const uint64_t user = UINT64_C(0x7f0000000000);
	struct vhost_user_memory *m = p;
	struct vhost_user_vring_addr *a = p;
	uint32_t *n = p;

	switch (request) {
	case VHOST_USER_SET_MEM_TABLE:
		*m = (struct vhost_user_memory){ .nregions = 1 + (byte(s) & 1) };
		m->regions[0] = (struct vhost_user_region){ 0, RAM / 2, user, 0 };
		m->regions[1] = (struct vhost_user_region){ RAM / 2, RAM / 2, user + RAM, RAM / 2 };
		*nfds = m->nregions;
		return 8 + 32 * m->nregions;
	case VHOST_USER_SET_VRING_ADDR:
		*a = (struct vhost_user_vring_addr){ .index = byte(s) & 1 };
		a->desc = user + 1024 * a->index;
		a->avail = user + 256u * byte(s);
		a->used = user + 256u * byte(s);
		return sizeof(*a);
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		n[0] = byte(s) & 1;
		n[1] = 0;
		*nfds = 1;
		return 8;
	case VHOST_USER_GET_CONFIG:
		n[0] = 0;
		n[1] = 8;
		return 12 + 8;
	case VHOST_USER_SET_FEATURES:
		n[0] = (uint32_t)byte(s) << 24 & 0x70000000;
		n[1] = 1;
		return 8;
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		n[0] = 1 << 3 | 1 << 9;
		n[1] = 0;
		return 8;
	case VHOST_USER_SET_VRING_NUM:
		n[0] = byte(s) & 1;
		n[1] = 16;
		return 8;
	case VHOST_USER_SET_VRING_BASE:
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_SET_VRING_ENABLE:
		n[0] = byte(s) & 1;
		n[1] = byte(s) & 1;
		return 8;
	default:
		return 0;
	}
}

static void act_message(struct world *w, struct script *s)
{
	struct {
		struct vhost_user_header h;
		uint32_t pad; /* cut out below */
		uint8_t payload[640];
	} m;
	uint8_t wire[sizeof(m.h) + sizeof(m.payload)], how = byte(s);
	size_t nfds = 0, size;
	int fds[16];

	m.h.request = byte(s) & 31;
	m.h.flags = VHOST_USER_VERSION | (how & VHOST_USER_NEED_REPLY);
	if (how & 0x80) {
		m.h.size = byte(s);
		m.h.flags ^= byte(s) & 7;
		nfds = byte(s) & 15;
		for (size_t i = 0; i < sizeof(m.payload); i++)
			m.payload[i] = i < m.h.size ? byte(s) : 0;
	} else {
		m.h.size = good_payload(s, m.h.request, m.payload, &nfds);
	}
	for (size_t i = 0; i < nfds; i++)
		fds[i] = m.h.request == VHOST_USER_SET_MEM_TABLE || (how & 0x40) ? memfd : event_fd;
	memcpy(wire, &m.h, sizeof(m.h));
	memcpy(wire + sizeof(m.h), m.payload, m.h.size);
	size = sizeof(m.h) + m.h.size;
	if (how & 0x20 && size > 1) /* in two pieces */
		if (send(w->sock, wire, 1, MSG_NOSIGNAL) == 1)
			loop_step(w->loop, 0, NULL);
	io_send_fds(w->sock, wire + (how & 0x20 ? 1 : 0), size - (how & 0x20 ? 1 : 0), fds, nfds);
}

static void act_write(struct world *w, struct script *s)
{
	unsigned at = byte(s) * 16u, n = byte(s) & 63u;

	for (unsigned i = 0; i < n; i++)
		ram[at + i] = byte(s);
}

static void act_kick(struct world *w, struct script *s)
{
	uint64_t one = 1;

	if (write(event_fd, &one, sizeof(one)) < 0)
		abort();
}

static void (*const acts[])(struct world *w, struct script *s) = {
	act_message, act_message, act_write, act_kick,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct script s = { data, data + (len < 4000 ? len : 4000) };
	struct vsock_args vsock = { .guest_cid = 3, .name = "/nonexistent/vs", .listen_fd = -1 };
	struct world w = { .sock = -1 };
	struct vhost_user_args args = { .on_close = on_close, .data = &w };
	char buf[1024];
	int pair[2];

	memset(ram, 0, RAM);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ||
	    loop_new(&w.loop, NULL) < 0 || vsock_new(w.loop, &vsock, &w.dev, NULL) < 0)
		abort();
	w.sock = pair[0];
	args.sock = pair[1];
	args.dev = w.dev;
	if (vhost_user_new(w.loop, &args, &w.vu, NULL) < 0)
		abort();
	while (s.p < s.end && w.vu) {
		acts[byte(&s) % ARRAY_SIZE(acts)](&w, &s);
		for (unsigned i = 0; i < 2; i++)
			loop_step(w.loop, 0, NULL);
		while (recv(w.sock, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
	}
	vhost_user_free(w.vu);
	vsock_free(w.dev);
	loop_free(w.loop);
	close(w.sock);
	if (read(event_fd, buf, 8) < 0)
		return 0;
	return 0;
}
