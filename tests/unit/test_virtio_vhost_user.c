/* SPDX-License-Identifier: Apache-2.0 */
/* The vhost-user back end: this test plays QEMU's part, the polite one and the broken one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/path.h"
#include "virtio/vhost_user.h"
#include "virtio/vhost_user_msg.h"
#include "virtio_guest.h"

#define F_INDIRECT (UINT64_C(1) << 28)
#define F_EVENT    (UINT64_C(1) << 29)
#define F_PROTOCOL (UINT64_C(1) << 30)
#define F_VERSION  (UINT64_C(1) << 32)
#define F_ALL      (F_INDIRECT | F_EVENT | F_PROTOCOL | F_VERSION)
#define P_ALL      ((UINT64_C(1) << 3) | (UINT64_C(1) << 9))

#define SIZE 16

/* A device that counts. */
struct counter {
	struct virtio_device dev;
	unsigned starts[2], stops[2], kicks[2], resets;
};

struct fixture {
	struct loop *loop;
	struct counter c;
	struct vhost_user *vu;
	int sock; /* QEMU's end */
	struct guest g;
	struct guest_ring rings[2];
	int kick[2], call[2], err[2];
	unsigned closed;
	struct coffer_error why;
};

static struct counter *counter_of(struct virtio_device *dev)
{
	return (struct counter *)dev;
}

static int counter_read_config(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t len)
{
	static const char config[8] = "abcdefgh";

	if (offset > 8 || len > 8 - offset)
		return -EINVAL;
	memcpy(buf, config + offset, len);
	return 0;
}

static void counter_start(struct virtio_device *dev, unsigned i)
{
	assert_non_null(dev->queues[i]);
	counter_of(dev)->starts[i]++;
}

static void counter_kick(struct virtio_device *dev, unsigned i)
{
	assert_non_null(dev->queues[i]);
	counter_of(dev)->kicks[i]++;
}

static void counter_stop(struct virtio_device *dev, unsigned i)
{
	counter_of(dev)->stops[i]++;
}

static void counter_reset(struct virtio_device *dev)
{
	assert_true(!dev->queues[0] && !dev->queues[1]);
	counter_of(dev)->resets++;
}

static const struct virtio_device_ops counter_ops = {
	.name = "counter", .device_id = 42, .nqueues = 2, .features = 1,
	.read_config = counter_read_config, .queue_start = counter_start,
	.queue_kick = counter_kick, .queue_stop = counter_stop, .reset = counter_reset,
};

static void on_close(struct vhost_user *vu, const struct coffer_error *err, void *data)
{
	struct fixture *f = data;

	assert_ptr_equal(vu, f->vu);
	f->closed++;
	f->why = *err;
	vhost_user_free(vu);
	f->vu = NULL;
}

static void step(struct fixture *f)
{
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_step(f->loop, clock_now(), NULL), 0);
}

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static unsigned fds_before;

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct vhost_user_args args = { .dev = &f->c.dev, .on_close = on_close, .data = f };
	int pair[2];

	fds_before = open_fds();
	f->c.dev.ops = &counter_ops;
	assert_int_equal(loop_new(&f->loop, NULL), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	f->sock = pair[0];
	args.sock = pair[1];
	assert_int_equal(vhost_user_new(f->loop, &args, &f->vu, NULL), 0);
	assert_int_equal(guest_init(&f->g, 1 << 20), 0);
	for (unsigned i = 0; i < 2; i++) {
		guest_ring_init(&f->rings[i], &f->g, SIZE);
		f->kick[i] = eventfd(0, EFD_NONBLOCK);
		f->call[i] = eventfd(0, EFD_NONBLOCK);
		f->err[i] = eventfd(0, EFD_NONBLOCK);
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	vhost_user_free(f->vu);
	loop_free(f->loop);
	close(f->sock);
	guest_end(&f->g);
	for (unsigned i = 0; i < 2; i++) {
		close(f->kick[i]);
		close(f->call[i]);
		close(f->err[i]);
	}
	free(f);
	/* Nothing was kept, whatever the test sent. */
	assert_int_equal(open_fds(), fds_before);
	return 0;
}

static void send_flags(struct fixture *f, uint32_t request, uint32_t flags, const void *payload,
		       uint32_t size, const int *fds, size_t nfds)
{
	struct {
		struct vhost_user_header h;
		uint8_t payload[1024];
	} m = { .h = { request, flags, size } };

	if (size)
		memcpy(m.payload, payload, size);
	assert_int_equal(io_send_fds(f->sock, &m, sizeof(m.h) + size, fds, nfds), 0);
	step(f);
}

static void send_msg(struct fixture *f, uint32_t request, const void *payload, uint32_t size,
		     const int *fds, size_t nfds)
{
	send_flags(f, request, VHOST_USER_VERSION, payload, size, fds, nfds);
}

static void send_u64(struct fixture *f, uint32_t request, uint64_t v)
{
	send_msg(f, request, &v, sizeof(v), NULL, 0);
}

static void send_state(struct fixture *f, uint32_t request, uint32_t index, uint32_t num)
{
	const struct vhost_user_vring_state s = { index, num };

	send_msg(f, request, &s, sizeof(s), NULL, 0);
}

static void send_fd(struct fixture *f, uint32_t request, unsigned index, int fd)
{
	uint64_t v = index | (fd < 0 ? VHOST_USER_VRING_NOFD : 0);

	send_msg(f, request, &v, sizeof(v), &fd, fd < 0 ? 0 : 1);
}

static void send_memory(struct fixture *f, uint32_t flags)
{
	const struct vhost_user_memory m = {
		.nregions = 1,
		.regions = { { GUEST_BASE, f->g.size, GUEST_USER, 0 } },
	};

	send_flags(f, VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION | flags, &m, 8 + 32,
		   &f->g.memfd, 1);
}

static void send_addr(struct fixture *f, unsigned index)
{
	struct guest_ring *r = &f->rings[index];
	const struct vhost_user_vring_addr a = {
		.index = index, .desc = guest_user(r->desc_at), .avail = guest_user(r->avail_at),
		.used = guest_user(r->used_at),
	};

	send_msg(f, VHOST_USER_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
}

static uint32_t expect_reply(struct fixture *f, uint32_t request, void *payload, size_t room)
{
	struct vhost_user_header h;

	assert_int_equal(recv(f->sock, &h, sizeof(h), MSG_DONTWAIT), sizeof(h));
	assert_int_equal(h.request, request);
	assert_int_equal(h.flags, VHOST_USER_VERSION | VHOST_USER_REPLY);
	assert_true(h.size <= room);
	if (h.size)
		assert_int_equal(recv(f->sock, payload, h.size, MSG_DONTWAIT), h.size);
	return h.size;
}

static uint64_t expect_u64(struct fixture *f, uint32_t request)
{
	uint64_t v = 0;

	assert_int_equal(expect_reply(f, request, &v, sizeof(v)), sizeof(v));
	return v;
}

static void expect_silence(struct fixture *f)
{
	char c;

	assert_int_equal(recv(f->sock, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static void negotiate(struct fixture *f)
{
	send_msg(f, VHOST_USER_GET_FEATURES, NULL, 0, NULL, 0);
	assert_int_equal(expect_u64(f, VHOST_USER_GET_FEATURES), F_ALL | 1);
	send_msg(f, VHOST_USER_GET_PROTOCOL_FEATURES, NULL, 0, NULL, 0);
	assert_int_equal(expect_u64(f, VHOST_USER_GET_PROTOCOL_FEATURES), P_ALL);
	send_u64(f, VHOST_USER_SET_PROTOCOL_FEATURES, P_ALL);
	send_msg(f, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0);
	send_u64(f, VHOST_USER_SET_FEATURES, F_ALL);
	assert_int_equal(f->c.dev.features, F_ALL & ~F_PROTOCOL);
}

/* As QEMU 7.2 does it when the guest's driver is ready. */
static void start_ring(struct fixture *f, unsigned i, uint16_t base)
{
	send_state(f, VHOST_USER_SET_VRING_NUM, i, SIZE);
	send_state(f, VHOST_USER_SET_VRING_BASE, i, base);
	send_addr(f, i);
	send_fd(f, VHOST_USER_SET_VRING_KICK, i, f->kick[i]);
	send_fd(f, VHOST_USER_SET_VRING_CALL, i, f->call[i]);
	send_fd(f, VHOST_USER_SET_VRING_ERR, i, f->err[i]);
}

static void start(struct fixture *f)
{
	negotiate(f);
	send_memory(f, VHOST_USER_NEED_REPLY);
	assert_int_equal(expect_u64(f, VHOST_USER_SET_MEM_TABLE), 0);
	for (unsigned i = 0; i < 2; i++)
		start_ring(f, i, 0);
	assert_int_equal(f->c.starts[0] + f->c.starts[1], 0);
	for (unsigned i = 0; i < 2; i++)
		send_state(f, VHOST_USER_SET_VRING_ENABLE, i, 1);
	assert_int_equal(f->c.starts[0], 1);
	assert_int_equal(f->c.starts[1], 1);
	expect_silence(f);
}

static unsigned signals(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? (unsigned)n : 0;
}

static void kick(struct fixture *f, unsigned i)
{
	uint64_t one = 1;

	assert_int_equal(write(f->kick[i], &one, sizeof(one)), sizeof(one));
	step(f);
}

static void test_a_life(void **state)
{
	struct fixture *f = *state;
	struct vhost_user_vring_state s;
	struct virtq_chain c;

	start(f);
	guest_desc(&f->rings[1], 4, GUEST_BASE, 10, 0, 0);
	guest_offer(&f->rings[1], 4);
	kick(f, 1);
	assert_int_equal(f->c.kicks[1], 1);
	assert_int_equal(f->c.kicks[0], 0);
	assert_int_equal(virtqueue_pop(f->c.dev.queues[1], &c), 1);
	assert_int_equal(c.out_len, 10);
	signals(f->call[1]);
	virtqueue_push(f->c.dev.queues[1], c.head, 0);
	virtqueue_notify(f->c.dev.queues[1]);
	assert_int_equal(signals(f->call[1]), 1);
	assert_int_equal(f->rings[1].used->idx, 1);

	/* Stop: at once, and with the place where to go on. */
	send_state(f, VHOST_USER_SET_VRING_ENABLE, 1, 0);
	assert_int_equal(f->c.stops[1], 1);
	assert_null(f->c.dev.queues[1]);
	kick(f, 1);
	assert_int_equal(f->c.kicks[1], 1);
	send_state(f, VHOST_USER_GET_VRING_BASE, 1, 0);
	assert_int_equal(expect_reply(f, VHOST_USER_GET_VRING_BASE, &s, sizeof(s)), sizeof(s));
	assert_int_equal(s.index, 1);
	assert_int_equal(s.num, 1);
	send_state(f, VHOST_USER_GET_VRING_BASE, 0, 0);
	expect_reply(f, VHOST_USER_GET_VRING_BASE, &s, sizeof(s));
	assert_int_equal(f->c.stops[0], 1);
	assert_int_equal(s.num, 0);

	/* Hang up. */
	shutdown(f->sock, SHUT_WR);
	step(f);
	assert_int_equal(f->closed, 1);
	assert_int_equal(f->why.err, ECONNRESET);
	assert_int_equal(f->c.resets, 1);
}

static void test_pause_or_reset(void **state)
{
	struct fixture *f = *state;
	struct vhost_user_vring_state s;
	struct virtq_chain c;

	start(f);
	guest_desc(&f->rings[0], 0, GUEST_BASE, 10, 0, 0);
	guest_offer(&f->rings[0], 0);
	assert_int_equal(virtqueue_pop(f->c.dev.queues[0], &c), 1);
	virtqueue_push(f->c.dev.queues[0], 0, 0);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 2; i++) {
			send_state(f, VHOST_USER_SET_VRING_ENABLE, i, 0);
			send_state(f, VHOST_USER_GET_VRING_BASE, i, 0);
			expect_reply(f, VHOST_USER_GET_VRING_BASE, &s, sizeof(s));
		}
		/* First where it was: a pause. Then from 0: a new driver. */
		send_memory(f, 0);
		start_ring(f, 0, round == 0 ? 1 : 0);
		start_ring(f, 1, 0);
		for (unsigned i = 0; i < 2; i++)
			send_state(f, VHOST_USER_SET_VRING_ENABLE, i, 1);
		assert_int_equal(f->c.resets, round);
		assert_int_equal(f->c.starts[0], 2 + round);
	}
	assert_int_equal(f->closed, 0);
}

static void test_memory_changes_under_way(void **state)
{
	struct fixture *f = *state;
	struct vhost_user_memory m = { .nregions = 1,
				       .regions = { { 0, 4096, 0x1000, 0 } } };
	struct virtq_chain c;

	start(f);
	guest_desc(&f->rings[0], 0, GUEST_BASE, 10, 0, 0);
	guest_offer(&f->rings[0], 0);
	assert_int_equal(virtqueue_pop(f->c.dev.queues[0], &c), 1);
	virtqueue_push(f->c.dev.queues[0], 0, 0);
	send_memory(f, 0);
	assert_int_equal(f->c.starts[0], 2);
	assert_int_equal(f->c.dev.queues[0]->last_avail, 1);
	assert_int_equal(f->c.dev.queues[0]->used_idx, 1);
	assert_int_equal(f->c.resets, 0);

	/* A table without the rings: they stop and the VMM is told. */
	send_msg(f, VHOST_USER_SET_MEM_TABLE, &m, 40, &f->g.memfd, 1);
	assert_null(f->c.dev.queues[0]);
	assert_int_equal(signals(f->err[0]), 1);
	assert_int_equal(f->closed, 0);
	/* They come back with new addresses. */
	send_memory(f, 0);
	send_addr(f, 0);
	assert_non_null(f->c.dev.queues[0]);
}

static void test_bad_memory(void **state)
{
	struct fixture *f = *state;
	struct vhost_user_memory m = { .nregions = 2,
				       .regions = { { 0, 8192, 0, 0 }, { 4096, 4096, 8192, 0 } } };
	int fds[2] = { f->g.memfd, f->g.memfd };

	start(f);
	send_flags(f, VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY, &m, 72,
		   fds, 2);
	assert_int_equal(expect_u64(f, VHOST_USER_SET_MEM_TABLE), 1);
	/* The old table stays in force. */
	assert_int_equal(f->c.stops[0], 0);
	assert_non_null(guest_memory_at(f->c.dev.queues[0]->mem, GUEST_BASE, 1));
	/* Who does not ask is cut off. */
	send_msg(f, VHOST_USER_SET_MEM_TABLE, &m, 72, fds, 2);
	assert_int_equal(f->closed, 1);
	assert_non_null(strstr(f->why.message, "SET_MEM_TABLE: memory region at 0x1000 overlaps"));
}

static void test_config(void **state)
{
	struct fixture *f = *state;
	struct vhost_user_config c = { .offset = 2, .size = 4 };

	negotiate(f);
	send_msg(f, VHOST_USER_GET_CONFIG, &c, 12 + 4, NULL, 0);
	assert_int_equal(expect_reply(f, VHOST_USER_GET_CONFIG, &c, sizeof(c)), 16);
	assert_int_equal(c.offset, 2);
	assert_int_equal(c.size, 4);
	assert_memory_equal(c.data, "cdef", 4);
	c.offset = 6;
	send_msg(f, VHOST_USER_GET_CONFIG, &c, 12 + 4, NULL, 0);
	assert_int_equal(expect_reply(f, VHOST_USER_GET_CONFIG, &c, sizeof(c)), 0);
	send_flags(f, VHOST_USER_SET_CONFIG, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY, &c, 12 + 4,
		   NULL, 0);
	assert_int_equal(expect_u64(f, VHOST_USER_SET_CONFIG), 1);
}

static void test_message_in_pieces(void **state)
{
	struct fixture *f = *state;
	struct {
		struct vhost_user_header h;
		uint64_t v;
	} __attribute__((packed)) m = {
		{ VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, 8 }, F_VERSION
	};

	for (size_t i = 0; i < sizeof(m); i++) {
		assert_int_equal(f->c.dev.features, 0);
		assert_int_equal(write(f->sock, (char *)&m + i, 1), 1);
		step(f);
	}
	assert_int_equal(f->c.dev.features, F_VERSION);
	/* Many in one piece, descriptors among them. */
	for (unsigned i = 0; i < 100; i++) {
		uint64_t v = i & 1;

		m.h.request = VHOST_USER_SET_VRING_CALL;
		m.v = v;
		assert_int_equal(io_send_fds(f->sock, &m, sizeof(m), &f->call[v], 1), 0);
	}
	for (unsigned i = 0; i < 10; i++)
		step(f);
	assert_int_equal(f->closed, 0);
}

static void test_ring_outside_memory(void **state)
{
	struct fixture *f = *state;
	struct vhost_user_vring_addr a = { .index = 0, .desc = GUEST_USER, .avail = GUEST_USER,
					   .used = GUEST_USER + (1 << 20) - 8 };

	negotiate(f);
	send_memory(f, 0);
	start_ring(f, 0, 0);
	send_msg(f, VHOST_USER_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
	send_state(f, VHOST_USER_SET_VRING_ENABLE, 0, 1);
	assert_int_equal(signals(f->err[0]), 1);
	assert_int_equal(f->c.starts[0], 0);
	kick(f, 0);
	assert_int_equal(f->closed, 0);
}

/* The guest's queue breaks; the front end hears of it and lives on. */
static void test_broken_queue(void **state)
{
	struct fixture *f = *state;
	struct vhost_user_vring_state s;
	struct virtq_chain c;

	start(f);
	f->rings[0].avail->idx = 1000;
	assert_int_equal(virtqueue_pop(f->c.dev.queues[0], &c), -EPROTO);
	assert_int_equal(signals(f->err[0]), 1);
	send_state(f, VHOST_USER_GET_VRING_BASE, 0, 0);
	expect_reply(f, VHOST_USER_GET_VRING_BASE, &s, sizeof(s));
	assert_int_equal(s.num, 0);
}

static void test_unknown_requests(void **state)
{
	struct fixture *f = *state;
	uint64_t v = 7;

	negotiate(f);
	for (uint32_t r = 0; r < 60; r++) {
		if (r > 0 && r < VHOST_USER_REQUESTS && vhost_user_msg_name(r)[0] != 'u')
			continue;
		send_flags(f, r, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY, &v, 8, &f->call[0], 1);
		assert_int_equal(expect_u64(f, r), 1);
	}
	send_u64(f, 99, 0);
	assert_int_equal(f->closed, 1);
	assert_string_equal(f->why.message, "vhost-user request 99");
}

static void test_malformed(void **state)
{
	const int mem = ((struct fixture *)*state)->g.memfd, fds[9] = { mem, mem, mem, mem, mem,
									mem, mem, mem, mem };
	const struct {
		uint32_t request, flags, size;
		uint64_t payload;
		size_t nfds;
	} cases[] = {
		{ VHOST_USER_GET_FEATURES, 0, 0, 0, 0 },              /* version */
		{ VHOST_USER_GET_FEATURES, 2, 0, 0, 0 },
		{ VHOST_USER_GET_FEATURES, 1 | 4, 0, 0, 0 },          /* a reply */
		{ VHOST_USER_GET_FEATURES, 1, 8, 0, 0 },              /* size */
		{ VHOST_USER_SET_FEATURES, 1, 0, 0, 0 },
		{ VHOST_USER_SET_FEATURES, 1, 7, 0, 0 },
		{ VHOST_USER_SET_FEATURES, 1, 9, 0, 0 },
		{ VHOST_USER_SET_FEATURES, 1, 600, 0, 0 },
		{ VHOST_USER_SET_FEATURES, 1, 8, 0, 1 },              /* descriptors */
		{ VHOST_USER_SET_FEATURES, 1, 8, UINT64_C(1) << 26, 0 }, /* not offered */
		{ VHOST_USER_SET_PROTOCOL_FEATURES, 1, 8, 1, 0 },
		{ VHOST_USER_SET_MEM_TABLE, 1, 8, 9, 0 },
		{ VHOST_USER_SET_MEM_TABLE, 1, 8, UINT32_MAX, 0 },
		{ VHOST_USER_SET_MEM_TABLE, 1, 8, 1, 1 },
		{ VHOST_USER_SET_MEM_TABLE, 1, 40, 1, 0 },
		{ VHOST_USER_SET_MEM_TABLE, 1, 40, 1, 2 },
		{ VHOST_USER_SET_MEM_TABLE, 1, 40, 1, 9 },
		{ VHOST_USER_SET_VRING_KICK, 1, 8, 0, 0 },
		{ VHOST_USER_SET_VRING_KICK, 1, 8, 0x100, 0 },        /* polling */
		{ VHOST_USER_SET_VRING_KICK, 1, 8, 0x100, 1 },
		{ VHOST_USER_SET_VRING_KICK, 1, 8, 2, 1 },            /* queue 2 of 2 */
		{ VHOST_USER_SET_VRING_CALL, 1, 8, 255, 1 },
		{ VHOST_USER_SET_VRING_ERR, 1, 8, 0, 2 },
		{ VHOST_USER_SET_VRING_NUM, 1, 8, 2, 0 },
		{ VHOST_USER_SET_VRING_NUM, 1, 8, 0, 0 },             /* 0 entries */
		{ VHOST_USER_SET_VRING_NUM, 1, 8, UINT64_C(1) << 43, 0 },
		{ VHOST_USER_SET_VRING_BASE, 1, 8, UINT64_C(1) << 48, 0 },
		{ VHOST_USER_SET_VRING_ENABLE, 1, 8, UINT64_C(2) << 32, 0 },
		{ VHOST_USER_GET_VRING_BASE, 1, 8, UINT32_MAX, 0 },
		{ VHOST_USER_GET_CONFIG, 1, 12, UINT64_C(1) << 32, 0 },
		{ VHOST_USER_GET_CONFIG, 1, 8, 0, 0 },
		{ 77, 1, 0, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t payload[1024] = { 0 };
		struct fixture *f;

		teardown(state);
		setup(state);
		f = *state;
		memcpy(payload, &cases[i].payload, 8);
		/* The memory file's number is the same in each round. */
		assert_int_equal(f->g.memfd, mem);
		send_flags(f, cases[i].request, cases[i].flags, payload, cases[i].size, fds,
			   cases[i].nfds);
		if (f->closed != 1)
			fail_msg("case %zu was let through", i);
		assert_int_equal(f->c.resets, 1);
	}
}

static void test_hang_up_within_message(void **state)
{
	struct fixture *f = *state;
	const struct vhost_user_header h = { VHOST_USER_SET_VRING_CALL, VHOST_USER_VERSION, 8 };

	start(f);
	assert_int_equal(io_send_fds(f->sock, &h, sizeof(h), f->call, 2), 0);
	shutdown(f->sock, SHUT_WR);
	step(f);
	assert_int_equal(f->closed, 1);
	assert_int_equal(f->c.stops[0], 1);
	assert_int_equal(f->c.stops[1], 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_life), T(test_pause_or_reset), T(test_memory_changes_under_way),
		T(test_bad_memory), T(test_config), T(test_message_in_pieces),
		T(test_ring_outside_memory), T(test_broken_queue), T(test_unknown_requests),
		T(test_malformed), T(test_hang_up_within_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
