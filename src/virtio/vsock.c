/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/vsock.c - the socket device: queues, packet dispatch, turns, timers
 *
 *	 guest                   here                         host
 *	 TX queue --> vsock_tx() --> vsock_conn_packet() --> unix socket
 *	 RX queue <-- vsock_rx() <-- vsock_conn_fill()   <-- unix socket
 *
 * Bytes move between the guest's buffers and the sockets without a copy in
 * between; only what a socket does not take is kept, bounded by the credit we
 * gave.  Towards the guest nothing is kept at all: without credit or RX buffers
 * the data stays in the host's socket and its writer waits.
 *
 * Fairness: connections with something for the guest stand in one line and
 * send a few packets in turn; RX and TX alternate in small batches, so that
 * credit goes back while the guest is still sending; a run that goes on for
 * long yields to the loop's other sources.
 *
 * Replies to packets of unknown connections wait in a small ring; while it is
 * full no TX packet is taken, so a guest that floods us without reading stalls
 * itself only.
 *
 * Only the transport calls the ops.  Nothing here aborts on what a guest does.
 */
#define LOG_CATEGORY "vsock"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "virtio/vsock_internal.h"

#define VSOCK_MAX_CONNS 1024 /* when the caller does not say */
#define VSOCK_RUN	512  /* packets before the loop gets its turn */
#define VSOCK_TX_BATCH	8
#define VSOCK_RX_BATCH	128
#define VSOCK_TURN	16 /* packets of one connection in a row */

_Static_assert(sizeof(struct virtio_vsock_hdr) == 44, "virtio 1.2, 5.10.6");

void vsock_timer_at(struct vsock *vs, usec_t when)
{
	if (when >= vs->timer_at)
		return;
	vs->timer_at = when;
	loop_arm(vs->timer, deadline_left(when), 0);
}

static void vsock_timer(struct loop_source *src, void *data)
{
	struct vsock *vs = data;
	struct vsock_conn *c, *next;
	usec_t now = clock_now();

	vs->timer_at = USEC_INFINITY;
	if (vs->listen_at && vs->listen_at <= now)
		vsock_host_listen_again(vs);
	for (c = LIST_FIRST(&vs->all); c; c = next) {
		next = LIST_NEXT(c, all);
		if (c->deadline <= now)
			vsock_conn_expire(c);
		if (c->state != VSOCK_DEAD)
			vsock_timer_at(vs, c->deadline);
	}
	if (vs->listen_at)
		vsock_timer_at(vs, vs->listen_at);
	vsock_run(vs);
}

static void vsock_resume(struct loop_source *src, void *data)
{
	vsock_run(data);
}

/* Answer a packet that belongs to no connection. There is room: vsock_tx() saw to that. */
static void vsock_reply_reset(struct vsock *vs, const struct virtio_vsock_hdr *h)
{
	unsigned tail = (vs->reply_head + vs->reply_count) % VSOCK_REPLIES;

	if (h->op == VIRTIO_VSOCK_OP_RST || vs->reply_count == VSOCK_REPLIES)
		return;
	vs->replies[tail] = (struct virtio_vsock_hdr){
		.src_cid = h->dst_cid,
		.dst_cid = h->src_cid,
		.src_port = h->dst_port,
		.dst_port = h->src_port,
		.type = h->type,
		.op = VIRTIO_VSOCK_OP_RST,
	};
	vs->reply_count++;
}

static bool vsock_header_ok(const struct vsock *vs, const struct virtio_vsock_hdr *h,
			    const struct virtq_chain *chain)
{
	return h->src_cid == vs->guest_cid && h->dst_cid == VSOCK_HOST_CID &&
	       h->type == VIRTIO_VSOCK_TYPE_STREAM &&
	       h->len <= chain->out_len - VSOCK_HEADER_BYTES &&
	       (h->op == VIRTIO_VSOCK_OP_RW || h->len == 0);
}

static void vsock_tx_packet(struct vsock *vs, const struct virtq_chain *chain)
{
	struct virtio_vsock_hdr h;
	struct vsock_conn *c;

	if (virtq_chain_read(chain, 0, &h, sizeof(h)) != sizeof(h)) {
		virtqueue_break(vs->dev.queues[VSOCK_QUEUE_TX], "packet of %zu bytes",
				chain->out_len);
		return;
	}
	if (!vsock_header_ok(vs, &h, chain)) {
		log_debug("guest sent a bad header: op %u type %u len %u", h.op, h.type, h.len);
		vsock_reply_reset(vs, &h);
		return;
	}
	c = vsock_conn_find(vs, h.src_port, h.dst_port);
	if (c)
		vsock_conn_packet(c, &h, chain);
	else if (h.op != VIRTIO_VSOCK_OP_REQUEST || !vsock_conn_from_guest(vs, &h))
		vsock_reply_reset(vs, &h);
}

/* Take up to @max packets from the guest. Return: packets taken */
static unsigned vsock_tx(struct vsock *vs, unsigned max)
{
	struct virtqueue *q = vs->dev.queues[VSOCK_QUEUE_TX];
	struct virtq_chain chain;
	unsigned n = 0;
	int r;

	if (!q)
		return 0;
	virtqueue_want_kick(q, false);
	while (n < max && vs->reply_count < VSOCK_REPLIES) {
		r = virtqueue_pop(q, &chain);
		if (r == 0 && virtqueue_want_kick(q, true))
			continue;
		if (r <= 0)
			break;
		vsock_tx_packet(vs, &chain);
		virtqueue_push(q, chain.head, 0);
		n++;
	}
	virtqueue_notify(q);
	return n;
}

static uint32_t vsock_fill_reply(struct vsock *vs, const struct virtq_chain *chain)
{
	const struct virtio_vsock_hdr *h = &vs->replies[vs->reply_head];

	vs->reply_head = (vs->reply_head + 1) % VSOCK_REPLIES;
	vs->reply_count--;
	return (uint32_t)virtq_chain_write(chain, 0, h, sizeof(*h));
}

static void vsock_turn_end(struct vsock *vs, struct vsock_conn *c)
{
	TAILQ_REMOVE(&vs->ready, c, ready);
	c->queued = false;
	c->turn = 0;
	vsock_conn_ready(c);
}

/* The next packet for the guest, whoever's turn it is. Return: its bytes, 0: nothing to say */
static uint32_t vsock_fill(struct vsock *vs, const struct virtq_chain *chain)
{
	struct vsock_conn *c;
	uint32_t n;

	if (vs->reply_count)
		return vsock_fill_reply(vs, chain);
	while ((c = TAILQ_FIRST(&vs->ready))) {
		n = vsock_conn_fill(c, chain);
		if (c->state != VSOCK_DEAD && (n == 0 || ++c->turn == VSOCK_TURN))
			vsock_turn_end(vs, c);
		if (n)
			return n;
	}
	return 0;
}

/* Give up to @max packets to the guest. Return: packets given */
static unsigned vsock_rx(struct vsock *vs, unsigned max)
{
	struct virtqueue *q = vs->dev.queues[VSOCK_QUEUE_RX];
	struct virtq_chain chain;
	unsigned n = 0;
	uint32_t len;
	int r;

	if (!q)
		return 0;
	virtqueue_want_kick(q, false);
	while (n < max && (vs->reply_count || !TAILQ_EMPTY(&vs->ready))) {
		r = virtqueue_pop(q, &chain);
		if (r == 0 && virtqueue_want_kick(q, true))
			continue;
		if (r <= 0)
			break;
		if (chain.in_len <= VSOCK_HEADER_BYTES) {
			virtqueue_break(q, "buffer of %zu bytes", chain.in_len);
			break;
		}
		len = vsock_fill(vs, &chain);
		if (len == 0) {
			virtqueue_unpop(q);
			break;
		}
		virtqueue_push(q, chain.head, len);
		n++;
	}
	virtqueue_notify(q);
	return n;
}

void vsock_run(struct vsock *vs)
{
	struct vsock_conn *c;
	unsigned total = 0, n;

	do {
		n = vsock_tx(vs, VSOCK_TX_BATCH);
		n += vsock_rx(vs, VSOCK_RX_BATCH);
		total += n;
	} while (n && total < VSOCK_RUN);
	if (n)
		loop_arm(vs->resume, 0, 0);
	while ((c = LIST_FIRST(&vs->dead))) {
		LIST_REMOVE(c, all);
		free(c);
	}
}

static int vsock_read_config(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t len)
{
	const struct virtio_vsock_config config = { .guest_cid = vsock_of(dev)->guest_cid };

	if (offset > sizeof(config) || len > sizeof(config) - offset)
		return -EINVAL;
	memcpy(buf, (const char *)&config + offset, len);
	return 0;
}

/* Buffers may wait in a queue from before it was stopped. */
static void vsock_queue_start(struct virtio_device *dev, unsigned index)
{
	vsock_run(vsock_of(dev));
}

static void vsock_queue_kick(struct virtio_device *dev, unsigned index)
{
	vsock_run(vsock_of(dev));
}

/* No chain is held between callbacks, so there is nothing to give back. */
static void vsock_queue_stop(struct virtio_device *dev, unsigned index)
{
}

static void vsock_reset(struct virtio_device *dev)
{
	struct vsock *vs = vsock_of(dev);
	struct vsock_conn *c, *next;

	vs->reply_count = 0;
	for (c = LIST_FIRST(&vs->all); c; c = next) {
		next = LIST_NEXT(c, all);
		if (c->state != VSOCK_HANDSHAKE)
			vsock_conn_guest_gone(c);
	}
	vsock_run(vs);
}

static const struct virtio_device_ops vsock_ops = {
	.name = "vsock",
	.device_id = 19,
	.nqueues = 2,
	.features = 1, /* VIRTIO_VSOCK_F_STREAM */
	.read_config = vsock_read_config,
	.queue_start = vsock_queue_start,
	.queue_kick = vsock_queue_kick,
	.queue_stop = vsock_queue_stop,
	.reset = vsock_reset,
};

static int vsock_init(struct vsock *vs, const struct vsock_args *args, struct coffer_error *err)
{
	size_t len = strlen(args->name);
	int rc;

	if (args->guest_cid <= VSOCK_HOST_CID || args->guest_cid >= UINT32_MAX)
		return err_invalid(err, "guest CID %ju is reserved", (uintmax_t)args->guest_cid);
	if (len >= sizeof(vs->name))
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, ENAMETOOLONG,
			       "vsock socket name %s is too long", args->name);
	memcpy(vs->name, args->name, len + 1);
	rc = loop_add_timer(vs->loop, vsock_timer, vs, &vs->timer, err);
	if (rc < 0)
		return rc;
	rc = loop_add_timer(vs->loop, vsock_resume, vs, &vs->resume, err);
	if (rc < 0 || args->listen_fd < 0)
		return rc;
	vs->listen_fd = args->listen_fd;
	rc = vsock_host_listen(vs, err);
	if (rc < 0)
		vs->listen_fd = -1;
	return rc;
}

int vsock_new(struct loop *loop, const struct vsock_args *args, struct virtio_device **out,
	      struct coffer_error *err)
{
	struct vsock *vs = calloc(1, sizeof(*vs));
	int rc;

	if (!vs)
		return err_nomem(err);
	vs->dev.ops = &vsock_ops;
	vs->loop = loop;
	vs->guest_cid = args->guest_cid;
	vs->max_conns = args->max_connections ? args->max_connections : VSOCK_MAX_CONNS;
	vs->next_port = VSOCK_FIRST_PORT;
	vs->listen_fd = -1;
	vs->timer_at = USEC_INFINITY;
	TAILQ_INIT(&vs->ready);
	rc = vsock_init(vs, args, err);
	if (rc < 0) {
		vsock_free(&vs->dev);
		return err_wrap(err, "vsock device");
	}
	*out = &vs->dev;
	return 0;
}

void vsock_free(struct virtio_device *dev)
{
	struct vsock *vs = vsock_of(dev);
	struct vsock_conn *c;

	if (!dev)
		return;
	while ((c = LIST_FIRST(&vs->all)))
		vsock_conn_end(c);
	while ((c = LIST_FIRST(&vs->dead))) {
		LIST_REMOVE(c, all);
		free(c);
	}
	loop_remove(vs->listener);
	loop_remove(vs->timer);
	loop_remove(vs->resume);
	close_fd(&vs->listen_fd);
	free(vs);
}
