/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/vsock_fixture.h - a socket device mounted on a fake driver, in a directory of its own
 *
 * Unix sockets deliver at once, so vsock_step() with its few non-blocking
 * rounds of the loop brings every test to rest without waiting.
 */
#ifndef TESTS_VSOCK_FIXTURE_H
#define TESTS_VSOCK_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/io.h"
#include "base/path.h"
#include "virtio/vsock_internal.h"
#include "virtio_guest.h"

#define FIX_CID   7
#define FIX_ALLOC (256u * 1024)
#define FIX_RX    64 /* buffers the driver keeps offering */
#define FIX_RXLEN 4096
#define FIX_TXLEN 65536

struct vsock_fix {
	struct guest g;
	struct guest_ring rx, tx;
	struct virtqueue q[2];
	struct loop *loop;
	struct virtio_device *dev;
	char dir[32];
	uint64_t rx_at, tx_at; /* guest addresses of the buffers */
	bool refill;           /* give each RX buffer back when its packet was looked at */
	uint32_t alloc, fwd;   /* credit in the headers we send */
};

struct vsock_pkt {
	struct virtio_vsock_hdr h;
	uint8_t data[FIX_RXLEN];
};

static inline struct vsock *vsock_fix_vs(struct vsock_fix *f)
{
	return vsock_of(f->dev);
}

static inline void vsock_step(struct vsock_fix *f)
{
	for (int i = 0; i < 8; i++)
		assert_int_equal(loop_step(f->loop, clock_now(), NULL), 0);
}

static inline void vsock_fix_offer(struct vsock_fix *f, unsigned i)
{
	guest_desc(&f->rx, i, f->rx_at + i * FIX_RXLEN, FIX_RXLEN, VRING_DESC_F_WRITE, 0);
	guest_offer(&f->rx, i);
}

static inline void vsock_fix_kick(struct vsock_fix *f, unsigned queue)
{
	f->dev->ops->queue_kick(f->dev, queue);
	vsock_step(f);
}

static inline void vsock_fix_start(struct vsock_fix *f)
{
	struct guest_ring *rings[2] = { &f->rx, &f->tx };

	for (unsigned i = 0; i < 2; i++) {
		struct virtqueue_areas areas = guest_ring_areas(rings[i]);

		f->q[i].index = i;
		f->q[i].call_fd = f->q[i].err_fd = -1;
		f->q[i].event_idx = true;
		guest_ring_reset(rings[i], 0);
		assert_int_equal(virtqueue_start(&f->q[i], &f->g.map, rings[i]->size, &areas, 0,
						 NULL), 0);
		f->dev->queues[i] = &f->q[i];
	}
	for (unsigned i = 0; i < FIX_RX; i++)
		vsock_fix_offer(f, i);
	f->dev->ops->queue_start(f->dev, 0);
	f->dev->ops->queue_start(f->dev, 1);
}

static inline void vsock_fix_stop(struct vsock_fix *f)
{
	for (unsigned i = 0; i < 2; i++) {
		f->dev->ops->queue_stop(f->dev, i);
		f->dev->queues[i] = NULL;
	}
}

static inline int vsock_fix_setup(void **state)
{
	struct vsock_fix *f = calloc(1, sizeof(*f));
	struct vsock_args args = { .guest_cid = FIX_CID, .name = "vs", .max_connections = 400 };

	strcpy(f->dir, "/tmp/vsock-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(chdir(f->dir), 0);
	assert_int_equal(guest_init(&f->g, 8 << 20), 0);
	guest_ring_init(&f->rx, &f->g, FIX_RX);
	guest_ring_init(&f->tx, &f->g, 16);
	f->rx_at = guest_alloc(&f->g, FIX_RX * FIX_RXLEN);
	f->tx_at = guest_alloc(&f->g, FIX_TXLEN + 64);
	f->alloc = FIX_ALLOC;
	f->refill = true;
	assert_int_equal(loop_new(&f->loop, NULL), 0);
	args.listen_fd = io_unix_listen(AT_FDCWD, "vs", SOCK_STREAM, 0600, NULL);
	assert_true(args.listen_fd >= 0);
	assert_int_equal(vsock_new(f->loop, &args, &f->dev, NULL), 0);
	vsock_fix_start(f);
	*state = f;
	return 0;
}

static inline int vsock_fix_teardown(void **state)
{
	struct vsock_fix *f = *state;

	vsock_fix_stop(f);
	vsock_free(f->dev);
	loop_free(f->loop);
	guest_end(&f->g);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(path_remove_tree(AT_FDCWD, f->dir, NULL), 0);
	free(f);
	return 0;
}

/* Put header and payload on the ring as they are. */
static inline void vsock_send_raw(struct vsock_fix *f, const struct virtio_vsock_hdr *h,
				  const void *data, size_t len)
{
	struct vring_used_elem e;

	memcpy(guest_ptr(&f->g, f->tx_at), h, sizeof(*h));
	if (len)
		memcpy(guest_ptr(&f->g, f->tx_at + 64), data, len);
	guest_desc(&f->tx, 0, f->tx_at, sizeof(*h), len ? VRING_DESC_F_NEXT : 0, 1);
	guest_desc(&f->tx, 1, f->tx_at + 64, (uint32_t)len, 0, 0);
	guest_offer(&f->tx, 0);
	vsock_fix_kick(f, VSOCK_QUEUE_TX);
	while (guest_take(&f->tx, &e))
		;
}

static inline struct virtio_vsock_hdr vsock_header(struct vsock_fix *f, uint16_t op,
						   uint32_t guest_port, uint32_t host_port)
{
	return (struct virtio_vsock_hdr){
		.src_cid = FIX_CID, .dst_cid = VSOCK_HOST_CID, .src_port = guest_port,
		.dst_port = host_port, .type = VIRTIO_VSOCK_TYPE_STREAM, .op = op,
		.buf_alloc = f->alloc, .fwd_cnt = f->fwd,
	};
}

static inline void vsock_send(struct vsock_fix *f, uint16_t op, uint32_t guest_port,
			      uint32_t host_port)
{
	struct virtio_vsock_hdr h = vsock_header(f, op, guest_port, host_port);

	vsock_send_raw(f, &h, NULL, 0);
}

static inline void vsock_send_shutdown(struct vsock_fix *f, uint32_t guest_port,
				       uint32_t host_port, uint32_t flags)
{
	struct virtio_vsock_hdr h = vsock_header(f, VIRTIO_VSOCK_OP_SHUTDOWN, guest_port,
						 host_port);

	h.flags = flags;
	vsock_send_raw(f, &h, NULL, 0);
}

static inline void vsock_send_data(struct vsock_fix *f, uint32_t guest_port, uint32_t host_port,
				   const void *data, size_t len)
{
	struct virtio_vsock_hdr h = vsock_header(f, VIRTIO_VSOCK_OP_RW, guest_port, host_port);

	h.len = (uint32_t)len;
	vsock_send_raw(f, &h, data, len);
}

/* The next packet for the guest. Return: false when there is none */
static inline bool vsock_receive(struct vsock_fix *f, struct vsock_pkt *p)
{
	struct vring_used_elem e;
	uint8_t *at;

	vsock_step(f);
	if (!guest_take(&f->rx, &e))
		return false;
	assert_true(e.id < FIX_RX);
	assert_in_range(e.len, sizeof(p->h), FIX_RXLEN);
	at = guest_ptr(&f->g, f->rx_at + e.id * FIX_RXLEN);
	memcpy(&p->h, at, sizeof(p->h));
	assert_int_equal(e.len, sizeof(p->h) + p->h.len);
	memcpy(p->data, at + sizeof(p->h), p->h.len);
	if (f->refill) {
		vsock_fix_offer(f, e.id);
		vsock_fix_kick(f, VSOCK_QUEUE_RX);
	}
	return true;
}

static inline struct vsock_pkt vsock_expect(struct vsock_fix *f, uint16_t op, uint32_t guest_port,
					    uint32_t host_port)
{
	struct vsock_pkt p;

	assert_true(vsock_receive(f, &p));
	assert_int_equal(p.h.op, op);
	assert_int_equal(p.h.src_cid, VSOCK_HOST_CID);
	assert_int_equal(p.h.dst_cid, FIX_CID);
	assert_int_equal(p.h.type, VIRTIO_VSOCK_TYPE_STREAM);
	if (guest_port)
		assert_int_equal(p.h.dst_port, guest_port);
	if (host_port)
		assert_int_equal(p.h.src_port, host_port);
	return p;
}

static inline void vsock_expect_nothing(struct vsock_fix *f)
{
	struct vsock_pkt p;

	if (vsock_receive(f, &p))
		fail_msg("unexpected packet %u of %u bytes", p.h.op, p.h.len);
}

/* A listener for the guest's calls to @port. */
static inline int vsock_host_listener_at(unsigned port)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "vs_%u", port);
	fd = io_unix_listen(AT_FDCWD, name, SOCK_STREAM, 0600, NULL);
	assert_true(fd >= 0);
	return fd;
}

static inline int vsock_host_accept_from(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

/* Connect to the device and say @line. */
static inline int vsock_host_call(const char *line)
{
	int fd = io_unix_connect(AT_FDCWD, "vs", SOCK_STREAM, NULL);

	assert_true(fd >= 0);
	assert_int_equal(io_set_nonblock(fd, true), 0);
	assert_int_equal(write(fd, line, strlen(line)), strlen(line));
	return fd;
}

/* What the socket has now, up to @len bytes; 0 for EOF, -errno. */
static inline ssize_t vsock_host_get(int fd, void *buf, size_t len)
{
	ssize_t n = recv(fd, buf, len, MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

static inline void vsock_host_expect(int fd, const char *text)
{
	char buf[256] = { 0 };

	assert_int_equal(vsock_host_get(fd, buf, sizeof(buf) - 1), strlen(text));
	assert_string_equal(buf, text);
}

/* A connection that the guest made from @guest_port to @host_port. Return: the host's end */
static inline int vsock_guest_dials(struct vsock_fix *f, int listener, uint32_t guest_port,
				    uint32_t host_port)
{
	struct vsock_pkt p;

	vsock_send(f, VIRTIO_VSOCK_OP_REQUEST, guest_port, host_port);
	p = vsock_expect(f, VIRTIO_VSOCK_OP_RESPONSE, guest_port, host_port);
	assert_int_equal(p.h.buf_alloc, VSOCK_WINDOW);
	return vsock_host_accept_from(listener);
}

/* A connection that the host made to @guest_port. Return: the host's end, *@host_port its port */
static inline int vsock_host_dials(struct vsock_fix *f, uint32_t guest_port, uint32_t *host_port)
{
	char line[32];
	int fd;

	snprintf(line, sizeof(line), "CONNECT %u\n", guest_port);
	fd = vsock_host_call(line);
	*host_port = vsock_expect(f, VIRTIO_VSOCK_OP_REQUEST, guest_port, 0).h.src_port;
	vsock_send(f, VIRTIO_VSOCK_OP_RESPONSE, guest_port, *host_port);
	snprintf(line, sizeof(line), "OK %u\n", *host_port);
	vsock_host_expect(fd, line);
	return fd;
}

#endif /* TESTS_VSOCK_FIXTURE_H */
