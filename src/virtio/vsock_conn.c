/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/vsock_conn.c - one connection as the guest sees it
 *
 *	host dials:  HANDSHAKE --CONNECT--> REQUESTED --RESPONSE--> OPEN
 *	guest dials:              REQUEST --> DIALING (if full) --> OPEN
 *	end:  OPEN --both directions over--> CLOSING --RST or 8 s--> gone
 *	      OPEN --guest shut both, all delivered--> RESETTING --RST sent--> gone
 *	      OPEN --RST from guest--> DRAINING (if bytes are left) --> gone
 *
 * Credit (virtio 1.2, 5.10.6.3), both ways the same rule: the receiver says how
 * much room it has (buf_alloc) and how much has left it (fwd_cnt); the sender
 * never has more than that under way.  Ours counts bytes as forwarded when the
 * host's socket took them.  A guest that sends beyond its credit is reset, and
 * so is one that breaks the order of packets.
 *
 * Ending: a guest that shut both directions gets its RST only when its last
 * byte is with the host; a host that closed has its last byte sent before
 * SHUTDOWN.  Whoever does not answer within eight seconds (Linux uses the same)
 * is forgotten.  A DRAINING connection has no deadline: its reader is merely
 * slow, and the connection limit bounds how many there are.
 */
#define LOG_CATEGORY "vsock"

#include <stdlib.h>

#include "base/log.h"
#include "virtio/vsock_internal.h"

#define VSOCK_REQUEST_TIME (10 * USEC_PER_SEC)
#define VSOCK_CLOSE_TIME   (8 * USEC_PER_SEC)
#define VSOCK_DIAL_TIME	   (2 * USEC_PER_SEC) /* Linux gives up its connect() then */

/* Tell the guest of new room when this much has gone; the other half keeps it sending. */
#define VSOCK_CREDIT_STEP (VSOCK_WINDOW / 2)

#define VSOCK_STATE_BIT(state) (1u << (state))

struct vsock_conn *vsock_conn_new(struct vsock *vs, enum vsock_state state)
{
	struct vsock_conn *c;

	if (vs->nconns >= vs->max_conns)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->vs = vs;
	c->state = state;
	c->fd = -1;
	c->deadline = USEC_INFINITY;
	c->out.limit = VSOCK_WINDOW;
	LIST_INSERT_HEAD(&vs->all, c, all);
	vs->nconns++;
	return c;
}

static bool vsock_conn_has_ports(const struct vsock_conn *c)
{
	return VSOCK_STATE_BIT(c->state) &
	       (VSOCK_STATE_BIT(VSOCK_REQUESTED) | VSOCK_STATE_BIT(VSOCK_DIALING) |
		VSOCK_STATE_BIT(VSOCK_OPEN) | VSOCK_STATE_BIT(VSOCK_CLOSING) |
		VSOCK_STATE_BIT(VSOCK_RESETTING));
}

/* Out of everything that leads from the guest to it. */
static void vsock_conn_detach(struct vsock_conn *c)
{
	if (vsock_conn_has_ports(c))
		LIST_REMOVE(c, by_ports);
	if (c->queued)
		TAILQ_REMOVE(&c->vs->ready, c, ready);
	c->queued = false;
	c->pending = 0;
}

void vsock_conn_end(struct vsock_conn *c)
{
	if (c->state == VSOCK_DEAD)
		return;
	vsock_conn_detach(c);
	vsock_host_close(c);
	LIST_REMOVE(c, all);
	LIST_INSERT_HEAD(&c->vs->dead, c, all);
	c->vs->nconns--;
	c->state = VSOCK_DEAD;
	c->deadline = USEC_INFINITY;
}

static struct vsock_list *vsock_conn_bucket(struct vsock *vs, uint32_t guest_port,
					    uint32_t host_port)
{
	uint32_t h = (guest_port * 0x9e3779b1u) ^ (host_port * 0x85ebca6bu);

	return &vs->by_ports[(h >> 16) % VSOCK_BUCKETS];
}

struct vsock_conn *vsock_conn_find(struct vsock *vs, uint32_t guest_port, uint32_t host_port)
{
	struct vsock_conn *c;

	LIST_FOREACH(c, vsock_conn_bucket(vs, guest_port, host_port), by_ports)
	if (c->guest_port == guest_port && c->host_port == host_port)
		return c;
	return NULL;
}

/* Enter a state with ports. */
static void vsock_conn_attach(struct vsock_conn *c, enum vsock_state state, uint32_t guest_port,
			      uint32_t host_port)
{
	c->state = state;
	c->guest_port = guest_port;
	c->host_port = host_port;
	LIST_INSERT_HEAD(vsock_conn_bucket(c->vs, guest_port, host_port), c, by_ports);
}

void vsock_conn_set_deadline(struct vsock_conn *c, usec_t after)
{
	c->deadline = deadline_in(clock_budget(after));
	vsock_timer_at(c->vs, c->deadline);
}

static uint32_t vsock_conn_pick_port(struct vsock *vs, uint32_t guest_port)
{
	uint32_t port;

	do {
		port = vs->next_port++;
		if (vs->next_port == UINT32_MAX)
			vs->next_port = VSOCK_FIRST_PORT;
	} while (vsock_conn_find(vs, guest_port, port));
	return port;
}

void vsock_conn_request(struct vsock_conn *c, uint32_t guest_port)
{
	vsock_conn_attach(c, VSOCK_REQUESTED, guest_port, vsock_conn_pick_port(c->vs, guest_port));
	c->pending |= VSOCK_PENDING_REQUEST;
	vsock_conn_set_deadline(c, VSOCK_REQUEST_TIME);
	vsock_conn_ready(c);
}

bool vsock_conn_from_guest(struct vsock *vs, const struct virtio_vsock_hdr *h)
{
	struct vsock_conn *c = vsock_conn_new(vs, VSOCK_DIALING);

	if (!c)
		return false;
	vsock_conn_attach(c, VSOCK_DIALING, h->src_port, h->dst_port);
	c->peer_buf_alloc = h->buf_alloc;
	c->peer_fwd_cnt = h->fwd_cnt;
	c->give_up = deadline_in(clock_budget(VSOCK_DIAL_TIME));
	vsock_host_dial(c);
	return true;
}

static void vsock_conn_open(struct vsock_conn *c)
{
	c->state = VSOCK_OPEN;
	c->deadline = USEC_INFINITY;
	c->readable = true;
}

void vsock_conn_accept(struct vsock_conn *c)
{
	vsock_conn_open(c);
	c->pending |= VSOCK_PENDING_RESPONSE;
	vsock_conn_ready(c);
}

/* How much the guest has room for. A guest that lies about it only stalls itself. */
static uint32_t vsock_conn_credit(const struct vsock_conn *c)
{
	uint32_t under_way = c->tx_cnt - c->peer_fwd_cnt;

	return under_way < c->peer_buf_alloc ? c->peer_buf_alloc - under_way : 0;
}

static bool vsock_conn_can_send(const struct vsock_conn *c)
{
	return c->state == VSOCK_OPEN && c->readable && vsock_conn_credit(c) > 0;
}

void vsock_conn_ready(struct vsock_conn *c)
{
	if (c->queued || (c->state != VSOCK_RESETTING && !c->pending && !vsock_conn_can_send(c)))
		return;
	TAILQ_INSERT_TAIL(&c->vs->ready, c, ready);
	c->queued = true;
	c->turn = 0;
}

void vsock_conn_forwarded(struct vsock_conn *c, size_t n)
{
	c->fwd_cnt += (uint32_t)n;
	if (c->fwd_cnt - c->fwd_told >= VSOCK_CREDIT_STEP && vsock_conn_has_ports(c) &&
	    !(c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)) {
		c->pending |= VSOCK_PENDING_CREDIT;
		vsock_conn_ready(c);
	}
}

void vsock_conn_reset(struct vsock_conn *c)
{
	bool unknown = c->state == VSOCK_REQUESTED && (c->pending & VSOCK_PENDING_REQUEST);

	if (!vsock_conn_has_ports(c) || unknown) {
		vsock_conn_end(c);
		return;
	}
	vsock_host_close(c);
	c->state = VSOCK_RESETTING;
	c->deadline = USEC_INFINITY;
	vsock_conn_ready(c);
}

void vsock_conn_guest_gone(struct vsock_conn *c)
{
	if ((c->state != VSOCK_OPEN && c->state != VSOCK_CLOSING && c->state != VSOCK_DRAINING) ||
	    c->out.len == 0) {
		vsock_conn_end(c);
		return;
	}
	vsock_conn_detach(c);
	c->state = VSOCK_DRAINING;
	c->deadline = USEC_INFINITY;
	vsock_host_shut(c, VIRTIO_VSOCK_SHUTDOWN_RCV);
}

static void vsock_conn_shut(struct vsock_conn *c, unsigned directions)
{
	if (!(directions & ~c->our_shut))
		return;
	c->our_shut |= directions;
	c->pending |= VSOCK_PENDING_SHUTDOWN;
	if (c->our_shut == VSOCK_SHUT_BOTH) {
		c->state = VSOCK_CLOSING;
		vsock_conn_set_deadline(c, VSOCK_CLOSE_TIME);
	}
	vsock_conn_ready(c);
}

static void vsock_conn_settle_open(struct vsock_conn *c)
{
	bool guest_done = (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) && c->out.len == 0;
	unsigned shut = 0;

	if (guest_done && c->guest_shut == VSOCK_SHUT_BOTH) {
		vsock_conn_reset(c);
		return;
	}
	if (guest_done)
		vsock_host_shut(c, VIRTIO_VSOCK_SHUTDOWN_SEND);
	if (c->eof)
		shut |= VIRTIO_VSOCK_SHUTDOWN_SEND;
	if (c->dead || (c->eof && (c->hup || guest_done)))
		shut |= VIRTIO_VSOCK_SHUTDOWN_RCV;
	/* Who reads no more needs no word that nothing comes. */
	if (shut == VIRTIO_VSOCK_SHUTDOWN_SEND && (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV))
		return;
	vsock_conn_shut(c, shut);
}

void vsock_conn_settle(struct vsock_conn *c)
{
	switch (c->state) {
	case VSOCK_REQUESTED:
		/* The caller hung up without waiting for its OK. */
		if (c->hup)
			vsock_conn_reset(c);
		break;
	case VSOCK_OPEN:
	case VSOCK_CLOSING:
		vsock_conn_settle_open(c);
		break;
	case VSOCK_DRAINING:
		if (c->out.len == 0)
			vsock_conn_end(c);
		break;
	default:
		break;
	}
}

void vsock_conn_expire(struct vsock_conn *c)
{
	c->deadline = USEC_INFINITY;
	if (c->state == VSOCK_DIALING && clock_now() < c->give_up)
		vsock_host_dial(c);
	else
		vsock_conn_reset(c);
}

static void vsock_conn_on_response(struct vsock_conn *c, const struct virtio_vsock_hdr *h,
				   const struct virtq_chain *chain)
{
	vsock_conn_open(c);
	vsock_host_greet(c);
	vsock_conn_settle(c);
}

static void vsock_conn_on_rst(struct vsock_conn *c, const struct virtio_vsock_hdr *h,
			      const struct virtq_chain *chain)
{
	vsock_conn_guest_gone(c);
}

static void vsock_conn_on_shutdown(struct vsock_conn *c, const struct virtio_vsock_hdr *h,
				   const struct virtq_chain *chain)
{
	c->guest_shut |= h->flags & VSOCK_SHUT_BOTH;
	if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV)
		vsock_host_shut(c, VIRTIO_VSOCK_SHUTDOWN_RCV);
	vsock_conn_settle(c);
}

static void vsock_conn_on_rw(struct vsock_conn *c, const struct virtio_vsock_hdr *h,
			     const struct virtq_chain *chain)
{
	struct iovec iov[VIRTQUEUE_CHAIN_MAX];
	uint32_t len = h->len, held = c->rx_cnt - c->fwd_cnt;
	unsigned n;

	if ((c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) || len > VSOCK_WINDOW - held) {
		log_debug("guest port %u: %u bytes beyond what it may send", c->guest_port, len);
		vsock_conn_reset(c);
		return;
	}
	c->rx_cnt += len;
	n = virtq_chain_slice(chain, false, VSOCK_HEADER_BYTES, len, iov);
	if (vsock_host_write(c, iov, n, len) < 0)
		vsock_conn_reset(c);
}

/* Its news was in the header. */
static void vsock_conn_on_credit_update(struct vsock_conn *c, const struct virtio_vsock_hdr *h,
					const struct virtq_chain *chain)
{
}

static void vsock_conn_on_credit_request(struct vsock_conn *c, const struct virtio_vsock_hdr *h,
					 const struct virtq_chain *chain)
{
	c->pending |= VSOCK_PENDING_CREDIT;
}

#define VSOCK_IN_OPEN (VSOCK_STATE_BIT(VSOCK_OPEN) | VSOCK_STATE_BIT(VSOCK_CLOSING))

/* What the guest may send in which state; anything else resets the connection. */
static const struct {
	void (*handle)(struct vsock_conn *c, const struct virtio_vsock_hdr *h,
		       const struct virtq_chain *chain);
	unsigned states;
} vsock_conn_ops[] = {
	[VIRTIO_VSOCK_OP_RESPONSE] = { vsock_conn_on_response, VSOCK_STATE_BIT(VSOCK_REQUESTED) },
	[VIRTIO_VSOCK_OP_RST] = { vsock_conn_on_rst, ~0u },
	[VIRTIO_VSOCK_OP_SHUTDOWN] = { vsock_conn_on_shutdown, VSOCK_IN_OPEN },
	[VIRTIO_VSOCK_OP_RW] = { vsock_conn_on_rw, VSOCK_IN_OPEN },
	[VIRTIO_VSOCK_OP_CREDIT_UPDATE] = { vsock_conn_on_credit_update, VSOCK_IN_OPEN },
	[VIRTIO_VSOCK_OP_CREDIT_REQUEST] = { vsock_conn_on_credit_request, VSOCK_IN_OPEN },
};

void vsock_conn_packet(struct vsock_conn *c, const struct virtio_vsock_hdr *h,
		       const struct virtq_chain *chain)
{
	/* Its RST is under way already; only the guest's own saves us from sending it. */
	if (c->state == VSOCK_RESETTING && h->op != VIRTIO_VSOCK_OP_RST)
		return;
	c->peer_buf_alloc = h->buf_alloc;
	c->peer_fwd_cnt = h->fwd_cnt;
	if (h->op < ARRAY_SIZE(vsock_conn_ops) &&
	    (vsock_conn_ops[h->op].states & VSOCK_STATE_BIT(c->state)))
		vsock_conn_ops[h->op].handle(c, h, chain);
	else
		vsock_conn_reset(c);
	vsock_conn_ready(c);
}

static uint32_t vsock_conn_put(struct vsock_conn *c, const struct virtq_chain *chain, uint16_t op,
			       uint32_t flags, size_t len)
{
	const struct virtio_vsock_hdr h = {
		.src_cid = VSOCK_HOST_CID,
		.dst_cid = c->vs->guest_cid,
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.len = (uint32_t)len,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.flags = flags,
		.buf_alloc = VSOCK_WINDOW,
		.fwd_cnt = c->fwd_cnt,
	};

	virtq_chain_write(chain, 0, &h, sizeof(h));
	/* Every header carries our credit. */
	c->fwd_told = c->fwd_cnt;
	c->pending &= ~(unsigned)VSOCK_PENDING_CREDIT;
	return (uint32_t)(sizeof(h) + len);
}

/* Packets that go before data. Return: bytes, 0: none is due */
static uint32_t vsock_conn_fill_control(struct vsock_conn *c, const struct virtq_chain *chain)
{
	uint32_t n;

	if (c->state == VSOCK_RESETTING) {
		n = vsock_conn_put(c, chain, VIRTIO_VSOCK_OP_RST, 0, 0);
		vsock_conn_end(c);
		return n;
	}
	if (c->pending & VSOCK_PENDING_REQUEST) {
		c->pending &= ~(unsigned)VSOCK_PENDING_REQUEST;
		return vsock_conn_put(c, chain, VIRTIO_VSOCK_OP_REQUEST, 0, 0);
	}
	if (c->pending & VSOCK_PENDING_RESPONSE) {
		c->pending &= ~(unsigned)VSOCK_PENDING_RESPONSE;
		return vsock_conn_put(c, chain, VIRTIO_VSOCK_OP_RESPONSE, 0, 0);
	}
	if (c->pending & VSOCK_PENDING_SHUTDOWN) {
		c->pending &= ~(unsigned)VSOCK_PENDING_SHUTDOWN;
		return vsock_conn_put(c, chain, VIRTIO_VSOCK_OP_SHUTDOWN, c->our_shut, 0);
	}
	return 0;
}

static uint32_t vsock_conn_fill_data(struct vsock_conn *c, const struct virtq_chain *chain)
{
	struct iovec iov[VIRTQUEUE_CHAIN_MAX];
	unsigned niov;
	size_t n;

	if (!vsock_conn_can_send(c))
		return 0;
	niov = virtq_chain_slice(chain, true, VSOCK_HEADER_BYTES, vsock_conn_credit(c), iov);
	n = vsock_host_read(c, iov, niov);
	if (n == 0)
		return 0;
	c->tx_cnt += (uint32_t)n;
	return vsock_conn_put(c, chain, VIRTIO_VSOCK_OP_RW, 0, n);
}

uint32_t vsock_conn_fill(struct vsock_conn *c, const struct virtq_chain *chain)
{
	uint32_t n = vsock_conn_fill_control(c, chain);

	if (n == 0)
		n = vsock_conn_fill_data(c, chain);
	if (n == 0 && c->eof) {
		vsock_conn_settle(c);
		n = vsock_conn_fill_control(c, chain);
	}
	if (n == 0 && (c->pending & VSOCK_PENDING_CREDIT))
		n = vsock_conn_put(c, chain, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, 0);
	return n;
}
