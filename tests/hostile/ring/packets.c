/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile/ring/packets.c - lies in the packets of a socket device whose rings are in order
 *
 * The host side of the test listens on HOST_PORT, keeps each connection, reads
 * nothing from it and sends a little, so that there are connections to lie about.
 */
#include "ring.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define DRAIN_US     3000
#define HOST_PORT    2000
#define REFUSED_PORT 9
#define CONNECT_US   20000 /* between tries */
#define CONNECT_MAX  3000  /* tries */
#define FULL_US	     50
#define FULL_MAX     200
#define MANY	     20000

static uint16_t packets_next;

static void packets_begin(void)
{
	ring_restart();
	packets_next = 0;
}

static void packets_drain(void)
{
	struct ring_packet got;

	while (ring_receive(&got))
		;
}

/*
 * Send @p with @extra bytes behind it, whatever its own length says.
 * Return: false when the device takes no more
 */
static bool packets_send(const struct ring_packet *p, uint32_t extra)
{
	volatile struct ring *tx = &rings[RING_TX];
	uint16_t slot = packets_next % RING_SIZE;
	volatile struct ring_packet *copy = (void *)(ring_buffer + slot * 64);

	for (unsigned i = 0; (uint16_t)(tx->avail.idx - tx->used.idx) >= RING_SIZE; i++) {
		if (i == FULL_MAX)
			return false;
		ring_pause(FULL_US);
	}
	*copy = *p;
	tx->desc[slot].addr = (uintptr_t)copy;
	tx->desc[slot].len = sizeof(*p) + extra;
	tx->desc[slot].flags = 0;
	packets_next++;
	ring_push(RING_TX, slot);
	return true;
}

static struct ring_packet packets_make(uint16_t op, uint32_t src_port, uint32_t dst_port)
{
	return (struct ring_packet){ .src_cid = ring_guest_cid(),
				     .dst_cid = 2,
				     .src_port = src_port,
				     .dst_port = dst_port,
				     .type = 1,
				     .op = op,
				     .buf_alloc = 65536 };
}

/* A connection in order, once the host listens. */
static void packets_connect(uint32_t port)
{
	const struct ring_packet p = packets_make(OP_REQUEST, port, HOST_PORT);
	struct ring_packet got;

	for (unsigned i = 0; i < CONNECT_MAX; i++) {
		packets_send(&p, 0);
		ring_pause(CONNECT_US);
		while (ring_receive(&got))
			if (got.op == OP_RESPONSE && got.dst_port == port)
				return;
	}
	ring_say("ring: nobody listens\n");
}

/* Lengths that the buffers do not have. */
static void packets_lengths(void)
{
	static const uint32_t lens[] = { 1,	     4096,	 65536,	    0x7fffffff,
					 0x80000000, 0xffffffd4, 0xffffffff };

	for (unsigned i = 0; i < COUNT(lens); i++) {
		for (uint16_t op = 0; op < 9; op++) {
			struct ring_packet p = packets_make(op, 100, HOST_PORT);

			packets_begin();
			packets_connect(100);
			p.len = lens[i];
			packets_send(&p, 0);
			p.len = 1;
			packets_send(&p, 4096);
			ring_pause(DRAIN_US);
		}
	}
}

/* Operations, types and addresses that are not, and packets of connections that are not. */
static void packets_fields(void)
{
	static const uint64_t cids[] = { 0, 1, 3, 0xffffffff, 0xffffffffffffffff };

	packets_begin();
	packets_connect(5);
	for (uint32_t i = 0; i < 2000; i++) {
		struct ring_packet p = packets_make((uint16_t)(i % 12), i % 64, HOST_PORT);

		if (i % 3 == 0)
			p.type = (uint16_t)ring_random();
		if (i % 5 == 0)
			p.src_cid = cids[i / 5 % COUNT(cids)];
		if (i % 7 == 0)
			p.dst_cid = cids[i / 7 % COUNT(cids)];
		if (i % 11 == 0)
			p.op = (uint16_t)ring_random();
		if (i % 13 == 0)
			p.dst_port = ring_random();
		p.flags = ring_random();
		packets_send(&p, 0);
		packets_drain();
	}
}

/* Credit that goes backwards, or is more than there is. */
static void packets_credit(void)
{
	packets_begin();
	for (uint32_t i = 0; i < 64; i++) {
		struct ring_packet p = packets_make(OP_RW, i, HOST_PORT);

		packets_connect(i);
		for (unsigned j = 0; j < 40; j++) {
			p.op = (uint16_t)(OP_SHUTDOWN + ring_random() % 4);
			p.buf_alloc = ring_random();
			p.fwd_cnt = ring_random();
			p.flags = ring_random() & 3;
			p.len = p.op == OP_RW ? 16 : 0;
			packets_send(&p, p.len);
			packets_drain();
		}
	}
}

/* Data beyond the room that the device told. */
static void packets_overrun(void)
{
	struct ring_packet p = packets_make(OP_RW, 50, HOST_PORT);

	packets_begin();
	packets_connect(p.src_port);
	p.len = 50000;
	for (unsigned i = 0; i < 2000; i++) {
		packets_send(&p, p.len);
		packets_drain();
	}
}

/* A request from each port, and the same again. */
static void packets_requests(void)
{
	packets_begin();
	packets_connect(1);
	for (uint32_t i = 0; i < MANY; i++) {
		struct ring_packet p =
		    packets_make(OP_REQUEST, i / 2, i % 4 < 2 ? HOST_PORT : REFUSED_PORT);

		packets_send(&p, 0);
		packets_drain();
	}
}

/* No room for the answers, which must not pile up without bound. */
static void packets_deaf(void)
{
	bool taken = true;

	packets_begin();
	packets_connect(1);
	for (uint32_t i = 0; i < MANY && taken; i++) {
		struct ring_packet p = packets_make(i % 2 ? OP_CREDIT_REQUEST : OP_REQUEST, i / 2,
						    i % 4 < 2 ? REFUSED_PORT : HOST_PORT);

		taken = packets_send(&p, 0);
	}
}

const struct ring_case ring_packet_cases[] = {
	{ "packet-lengths", packets_lengths },
	{ "packet-fields", packets_fields },
	{ "packet-credit", packets_credit },
	{ "packet-overrun", packets_overrun },
	{ "packet-requests", packets_requests },
	{ "packet-deaf", packets_deaf },
	{ 0 },
};
