/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_vsock.c - a guest and host peers that do things in any order
 *
 * The input is a script: a byte names an act of the driver (send a packet with
 * chosen or raw header, offer buffers), of a host peer (dial, write, read,
 * half-close, close) or of the world (queues stop, reset, deadlines pass); the
 * bytes after it are its arguments.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/path.h"
#include "virtio/vsock_internal.h"
#include "../tests/unit/virtio_guest.h"

#define CID   3
#define RING  32
#define BUF   2048
#define PEERS 12
#define PORT  80 /* somebody listens there */

static struct guest guest;
static struct guest_ring rings[2];
static uint64_t bufs_at, tx_at;
static char dir[] = "/tmp/fuzz-vsock-XXXXXX", name[64];
static int caller_fd, callee_fd; /* listeners */
static char noise[65536];

struct script {
	const uint8_t *p, *end;
};

struct world {
	struct loop *loop;
	struct virtio_device *dev;
	struct virtqueue q[2];
	int peers[PEERS];
	uint16_t next_buf;
};

static void remove_dir(void)
{
	path_remove_tree(AT_FDCWD, dir, NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char port[80];

	if (!mkdtemp(dir) || atexit(remove_dir) || guest_init(&guest, 1 << 20) < 0)
		abort();
	snprintf(name, sizeof(name), "%s/vs", dir);
	snprintf(port, sizeof(port), "%s_%d", name, PORT);
	caller_fd = io_unix_listen(AT_FDCWD, name, 0600, NULL);
	callee_fd = io_unix_listen(AT_FDCWD, port, 0600, NULL);
	if (caller_fd < 0 || callee_fd < 0)
		abort();
	for (unsigned i = 0; i < 2; i++)
		guest_ring_init(&rings[i], &guest, RING);
	bufs_at = guest_alloc(&guest, RING * BUF);
	tx_at = guest_alloc(&guest, 44 + sizeof(noise));
	return 0;
}

static uint8_t byte(struct script *s)
{
	return s->p < s->end ? *s->p++ : 0;
}

static uint32_t word(struct script *s)
{
	uint32_t lo = byte(s);

	return lo | (uint32_t)byte(s) << 8;
}

static void start_queue(struct world *w, unsigned i, uint16_t at)
{
	struct virtqueue_areas areas = guest_ring_areas(&rings[i]);

	w->q[i].index = i;
	w->q[i].event_idx = true;
	if (virtqueue_start(&w->q[i], &guest.map, RING, &areas, at, NULL) < 0)
		abort();
	w->dev->queues[i] = &w->q[i];
	w->dev->ops->queue_start(w->dev, i);
}

static void stop_queue(struct world *w, unsigned i)
{
	if (!w->dev->queues[i])
		return;
	w->dev->ops->queue_stop(w->dev, i);
	w->dev->queues[i] = NULL;
}

/* A packet for a pair that may exist: the guest's ports 0..3, or what the device picked. */
static void act_packet(struct world *w, struct script *s)
{
	uint8_t what = byte(s), ports = byte(s);
	uint32_t len = word(s);
	struct virtio_vsock_hdr h = {
		.src_cid = CID, .dst_cid = VSOCK_HOST_CID, .src_port = ports & 3,
		.dst_port = ports & 0x80 ? VSOCK_FIRST_PORT + (ports >> 4 & 7) : PORT,
		.len = (what & 15) == VIRTIO_VSOCK_OP_RW ? len : 0,
		.type = VIRTIO_VSOCK_TYPE_STREAM, .op = what & 15, .flags = what >> 4 & 3,
		.buf_alloc = 65536, .fwd_cnt = word(s),
	};

	if (what & 0x80)
		for (size_t i = 0; i < sizeof(h); i++)
			((uint8_t *)&h)[i] ^= byte(s);
	memcpy(guest_ptr(&guest, tx_at), &h, sizeof(h));
	guest_desc(&rings[1], 0, tx_at, 44 + len, 0, 0);
	guest_offer(&rings[1], 0);
	if (w->dev->queues[1])
		w->dev->ops->queue_kick(w->dev, 1);
}

static void act_offer(struct world *w, struct script *s)
{
	uint8_t n = byte(s);
	struct vring_used_elem e;

	while (guest_take(&rings[0], &e))
		;
	for (unsigned i = 0; i < (n & 31u); i++) {
		unsigned b = w->next_buf++ % RING;

		guest_desc(&rings[0], b, bufs_at + b * BUF, n & 0x80 ? BUF : 45u + n,
			   VRING_DESC_F_WRITE, 0);
		guest_offer(&rings[0], b);
	}
	if (w->dev->queues[0])
		w->dev->ops->queue_kick(w->dev, 0);
}

static void act_dial(struct world *w, struct script *s)
{
	uint8_t n = byte(s);
	char line[64];
	size_t len = 0;
	int fd;

	if (w->peers[n % PEERS] >= 0)
		return;
	fd = io_unix_connect(AT_FDCWD, name, NULL);
	if (fd < 0)
		return;
	io_set_nonblock(fd, true);
	if (n & 0x80)
		for (; len < (n & 0x3fu); len++)
			line[len] = (char)byte(s);
	else
		len = (size_t)snprintf(line, sizeof(line), "CONNECT %u\n", n >> 4 & 3);
	if (send(fd, line, len, MSG_NOSIGNAL) < 0)
		close_fd(&fd);
	w->peers[n % PEERS] = fd;
}

static void act_accept(struct world *w, struct script *s)
{
	uint8_t n = byte(s);

	if (w->peers[n % PEERS] < 0)
		w->peers[n % PEERS] = accept4(callee_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void act_peer(struct world *w, struct script *s)
{
	static char buf[65536];
	uint8_t what = byte(s);
	int *fd = &w->peers[(what & 15) % PEERS];

	if (*fd < 0)
		return;
	switch (what >> 4) {
	case 0:
		shutdown(*fd, SHUT_WR);
		break;
	case 1:
		shutdown(*fd, SHUT_RD);
		break;
	case 2:
		close_fd(fd);
		break;
	case 3:
	case 4:
	case 5:
		while (recv(*fd, buf, sizeof(buf), MSG_DONTWAIT) == sizeof(buf))
			;
		break;
	default:
		if (send(*fd, noise, word(s), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	}
}

static void act_world(struct world *w, struct script *s)
{
	struct vsock_conn *c;
	uint8_t what = byte(s);

	switch (what % 4) {
	case 0: /* a pause */
		stop_queue(w, what >> 2 & 1);
		break;
	case 1:
		for (unsigned i = 0; i < 2; i++)
			if (!w->dev->queues[i])
				start_queue(w, i, w->q[i].last_avail);
		break;
	case 2:
		for (unsigned i = 0; i < 2; i++) {
			stop_queue(w, i);
			guest_ring_reset(&rings[i], 0);
			w->q[i].last_avail = 0;
		}
		w->dev->ops->reset(w->dev);
		break;
	case 3:
		LIST_FOREACH (c, &vsock_of(w->dev)->all, all)
			if (c->deadline != USEC_INFINITY) {
				c->deadline = clock_now();
				vsock_timer_at(c->vs, c->deadline);
			}
		break;
	}
}

static void (*const acts[])(struct world *w, struct script *s) = {
	act_packet, act_offer, act_dial, act_accept, act_peer, act_world, act_packet, act_peer,
};

/* What must hold at rest, whatever happened. */
static void check(struct vsock *vs)
{
	struct vsock_conn *c;
	unsigned n = 0;

	LIST_FOREACH (c, &vs->all, all) {
		assert(c->state != VSOCK_DEAD);
		assert(c->out.len <= VSOCK_WINDOW);
		assert(c->rx_cnt - c->fwd_cnt == c->out.len || c->state == VSOCK_RESETTING);
		assert(c->state == VSOCK_DIALING || c->state == VSOCK_RESETTING || c->fd >= 0);
		/* Whoever owes the guest something stands in line. */
		assert(c->queued || (!c->pending && c->state != VSOCK_RESETTING));
		assert(c->queued || c->state != VSOCK_OPEN || !c->readable ||
		       c->tx_cnt - c->peer_fwd_cnt >= c->peer_buf_alloc);
		n++;
	}
	assert(n == vs->nconns && n <= vs->max_conns);
	assert(LIST_EMPTY(&vs->dead));
}

static void run(struct world *w, struct script *s)
{
	while (s->p < s->end) {
		acts[byte(s) % ARRAY_SIZE(acts)](w, s);
		for (unsigned i = 0; i < 3; i++)
			loop_step(w->loop, 0, NULL);
		check(vsock_of(w->dev));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct script s = { data, data + (len < 2000 ? len : 2000) };
	struct world w = { .q = { { .call_fd = -1, .err_fd = -1 },
				  { .call_fd = -1, .err_fd = -1 } } };
	struct vsock_args args = { .guest_cid = CID, .name = name, .max_connections = 8,
				   .listen_fd = fcntl(caller_fd, F_DUPFD_CLOEXEC, 0) };
	int fd;

	for (unsigned i = 0; i < PEERS; i++)
		w.peers[i] = -1;
	if (loop_new(&w.loop, NULL) < 0 || vsock_new(w.loop, &args, &w.dev, NULL) < 0)
		abort();
	for (unsigned i = 0; i < 2; i++) {
		guest_ring_reset(&rings[i], 0);
		start_queue(&w, i, 0);
	}
	run(&w, &s);
	for (unsigned i = 0; i < 2; i++)
		stop_queue(&w, i);
	vsock_free(w.dev);
	loop_free(w.loop);
	for (unsigned i = 0; i < PEERS; i++)
		close_fd(&w.peers[i]);
	while ((fd = accept4(caller_fd, NULL, NULL, 0)) >= 0 ||
	       (fd = accept4(callee_fd, NULL, NULL, 0)) >= 0)
		close(fd);
	return 0;
}
