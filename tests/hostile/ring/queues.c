/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile/ring/queues.c - lies in the rings: indexes, descriptors, tables, addresses
 *
 * Each lie is told to both rings and from a fresh start, because a device may
 * rightly refuse a ring once it has caught a lie in it.
 */
#include "ring.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A moment for the device to look; it is another process. */
#define LOOK_US	    3000
#define RANDOM_RUNS 150
#define RACE_ROUNDS 20000

/* One descriptor chain of a lie; the first one is made available. */
struct lie {
	struct ring_desc desc[3];
};

static const uint32_t queues_both[] = { RING_RX, RING_TX };

static void queues_tell(unsigned queue, const struct lie *lie)
{
	ring_reset();
	for (unsigned i = 0; i < COUNT(lie->desc); i++) {
		rings[queue].desc[i].addr = lie->desc[i].addr;
		rings[queue].desc[i].len = lie->desc[i].len;
		rings[queue].desc[i].flags = lie->desc[i].flags;
		rings[queue].desc[i].next = lie->desc[i].next;
	}
	ring_start();
	ring_push(queue, 0);
	/* So that the device has something to put into the ring of received packets. */
	if (queue == RING_RX)
		ring_push(RING_TX, 0);
	ring_pause(LOOK_US);
}

static void queues_tell_all(const struct lie *lies, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned q = 0; q < COUNT(queues_both); q++)
			queues_tell(queues_both[q], &lies[i]);
}

/* --- indexes --- */

static void queues_indexes(void)
{
	static const uint16_t ahead[] = { RING_SIZE + 1, 0x7fff, 0x8000, 0xffff, 0xff80 };
	static const uint16_t heads[] = { RING_SIZE, RING_SIZE + 1, 0x7fff, 0xffff };

	for (unsigned q = 0; q < COUNT(queues_both); q++) {
		for (unsigned i = 0; i < COUNT(ahead); i++) {
			ring_restart();
			rings[q].avail.idx += ahead[i];
			ring_kick(q);
			ring_pause(LOOK_US);
		}
		for (unsigned i = 0; i < COUNT(heads); i++) {
			ring_reset();
			ring_start();
			ring_push(q, heads[i]);
			ring_pause(LOOK_US);
		}
	}
}

/* --- descriptors --- */

static void queues_loops(void)
{
	const uint64_t at = (uintptr_t)ring_buffer;
	const struct lie lies[] = {
		{ { { at, 64, DESC_NEXT, 0 } } },
		{ { { at, 64, DESC_NEXT | DESC_WRITE, 0 } } },
		{ { { at, 64, DESC_NEXT, 1 }, { at, 64, DESC_NEXT, 0 } } },
		{ { { at, 64, DESC_NEXT, 1 }, { at, 64, DESC_NEXT | DESC_WRITE, 1 } } },
		{ { { at, 64, DESC_NEXT, 0xffff } } },
		{ { { at, 64, DESC_NEXT, RING_SIZE } } },
	};

	queues_tell_all(lies, COUNT(lies));
}

/* Outside memory, across its end, around the end of the address space; each for reading and
 * writing. */
static void queues_addresses(void)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} places[] = {
		{ 0, 0xffffffff },
		{ 0, 0 },
		{ 0xf0000, 0x20000 },
		{ 0xffffff0, 64 },
		{ 0x10000000, 64 },
		{ 0xfeb00000, 4096 },
		{ 0xfffffffffffff000, 4096 },
		{ 0xffffffffffffffff, 1 },
		{ 0xffffffffffffffff, 0xffffffff },
		{ 0x8000000000000000, 64 },
		{ 0x1000000, 0xfffff000 },
		{ 0xe0000000000, 64 },
	};

	for (unsigned i = 0; i < COUNT(places); i++) {
		const struct lie lies[] = {
			{ { { places[i].addr, places[i].len, 0, 0 } } },
			{ { { places[i].addr, places[i].len, DESC_WRITE, 0 } } },
			{ { { (uintptr_t)ring_buffer, 44, DESC_NEXT, 1 },
			    { places[i].addr, places[i].len, 0, 0 } } },
		};

		queues_tell_all(lies, COUNT(lies));
	}
}

static void queues_lengths(void)
{
	const uint64_t at = (uintptr_t)ring_buffer;
	const struct lie lies[] = {
		{ { { at, 0, 0, 0 } } },
		{ { { at, 0, DESC_WRITE, 0 } } },
		{ { { at, 1, 0, 0 } } },
		{ { { at, 1, DESC_WRITE, 0 } } },
		{ { { at, 43, 0, 0 } } },
		{ { { at, 43, DESC_WRITE, 0 } } },
		{ { { at, 44, DESC_WRITE, 0 } } },
		{ { { at, 20, DESC_NEXT, 1 }, { at, 24, 0, 0 } } },
		{ { { at, 0xfffffff, DESC_NEXT, 1 },
		    { at, 0xfffffff, DESC_NEXT, 2 },
		    { at, 0xfffffff, 0, 0 } } },
	};

	queues_tell_all(lies, COUNT(lies));
}

static void queues_directions(void)
{
	const uint64_t at = (uintptr_t)ring_buffer;
	const struct lie lies[] = {
		{ { { at, 4096, 0, 0 } } },
		{ { { at, 4096, DESC_WRITE, 0 } } },
		{ { { at, 44, DESC_NEXT | DESC_WRITE, 1 }, { at, 44, 0, 0 } } },
		{ { { at, 44, DESC_NEXT, 1 }, { at, 44, DESC_WRITE, 0 } } },
		{ { { at, 44, 0xfff0, 0 } } },
	};

	queues_tell_all(lies, COUNT(lies));
}

static void queues_indirect(void)
{
	struct ring_desc *table = (void *)ring_buffer;
	const uint64_t at = (uintptr_t)table;
	const struct lie lies[] = {
		{ { { at, 0, DESC_INDIRECT, 0 } } },
		{ { { at, 15, DESC_INDIRECT, 0 } } },
		{ { { at, 17, DESC_INDIRECT, 0 } } },
		{ { { at, 16, DESC_INDIRECT, 0 } } },
		{ { { at, 32, DESC_INDIRECT, 0 } } },
		{ { { at, 4096, DESC_INDIRECT | DESC_NEXT, 1 }, { at, 64, 0, 0 } } },
		{ { { at, 4096, DESC_INDIRECT | DESC_WRITE, 0 } } },
		{ { { at, 0xfffffff0, DESC_INDIRECT, 0 } } },
		{ { { at + 1, 4096, DESC_INDIRECT, 0 } } },
		{ { { 0xfffffffffffffff0, 16, DESC_INDIRECT, 0 } } },
		{ { { 0x10000000, 4096, DESC_INDIRECT, 0 } } },
	};

	/* The table itself: into itself, nested, in a circle. */
	table[0] = (struct ring_desc){ at, 64, DESC_NEXT, 1 };
	table[1] = (struct ring_desc){ at, 32, DESC_INDIRECT, 0 };
	queues_tell_all(lies, COUNT(lies));
	table[1] = (struct ring_desc){ at, 64, DESC_NEXT, 0 };
	queues_tell_all(lies, COUNT(lies));
	for (unsigned i = 0; i < 4096; i++)
		table[i] = (struct ring_desc){ at, 64, DESC_NEXT, (uint16_t)(i + 1) };
	queues_tell(RING_TX, &(struct lie){ { { at, 65536, DESC_INDIRECT, 0 } } });
}

/* --- the rings' own addresses --- */

static void queues_areas(void)
{
	static const uint64_t bad[] = {
		1,	    0x1000001,		0xfffffff8,	    0xffffff0, 0x10000000,
		0xfeb00000, 0xfffffffffffffff0, 0x8000000000000000, 0xf0000
	};

	for (unsigned i = 0; i < COUNT(bad) * 3; i++) {
		for (unsigned q = 0; q < COUNT(queues_both); q++) {
			struct ring_areas *a = &ring_areas[q];

			ring_reset();
			*(i % 3 == 0 ? &a->desc : i % 3 == 1 ? &a->avail : &a->used) = bad[i / 3];
			ring_start();
			ring_kick(RING_RX);
			ring_kick(RING_TX);
			ring_pause(LOOK_US);
		}
	}
	for (uint32_t size = 0; size < 5; size++) {
		ring_reset();
		ring_areas[RING_RX].size = ring_areas[RING_TX].size = size;
		ring_start();
		ring_kick(RING_TX);
		ring_pause(LOOK_US);
	}
	/* One area on top of the other. */
	ring_reset();
	ring_areas[RING_TX] = ring_areas[RING_RX];
	ring_areas[RING_TX].used = ring_areas[RING_TX].desc;
	ring_start();
	ring_push(RING_RX, 0);
	ring_kick(RING_TX);
	ring_pause(LOOK_US);
}

/* --- all at once --- */

static void queues_noise(volatile void *area, unsigned bytes)
{
	volatile uint32_t *p = area;

	for (unsigned i = 0; i < bytes / 4; i++)
		p[i] = ring_random();
}

/* Descriptors mostly inside memory, so that the lies get far. */
static void queues_random_descs(volatile struct ring *r)
{
	for (unsigned i = 0; i < RING_SIZE; i++) {
		uint32_t x = ring_random();

		r->desc[i].addr =
		    x & 7 ? (uintptr_t)ring_buffer + (x >> 4 & 0x7fff) : ring_random();
		r->desc[i].len = x & 8 ? x >> 20 : ring_random();
		r->desc[i].flags = (uint16_t)(ring_random() & 7);
		r->desc[i].next = (uint16_t)(ring_random() % (RING_SIZE + 4));
		r->avail.ring[i] = (uint16_t)(ring_random() % (RING_SIZE + 1));
	}
}

static void queues_random(void)
{
	for (unsigned i = 0; i < RANDOM_RUNS; i++) {
		ring_reset();
		queues_noise(ring_buffer, sizeof(ring_buffer));
		for (unsigned q = 0; q < COUNT(queues_both); q++) {
			if (i % 3 == 0)
				queues_noise(&rings[q], sizeof(rings[q]));
			else
				queues_random_descs(&rings[q]);
			rings[q].avail.idx = (uint16_t)(ring_random() % (RING_SIZE + 1));
		}
		ring_start();
		ring_kick(RING_RX);
		ring_kick(RING_TX);
		ring_pause(LOOK_US);
	}
}

/* What a device has read once must not be read again: it changes all the time. */
static void queues_race(void)
{
	static const uint32_t lens[] = { 44, 0xffffffff, 0, 4096 };
	volatile struct ring *tx = &rings[RING_TX];
	volatile struct ring_packet *p = (void *)ring_buffer;

	for (unsigned restart = 0; restart < 20; restart++) {
		ring_restart();
		for (unsigned i = 0; i < RACE_ROUNDS / 20; i++) {
			uint32_t x = ring_random();

			p->src_cid = ring_guest_cid();
			p->dst_cid = 2;
			p->src_port = x & 7;
			p->dst_port = 9;
			p->type = 1;
			p->op = OP_RW;
			p->len = lens[x >> 3 & 3];
			tx->desc[0].addr = (uintptr_t)p;
			tx->desc[0].len = 44;
			tx->desc[0].flags = 0;
			ring_push(RING_TX, 0);
			tx->desc[0].len = lens[x >> 5 & 3];
			p->len = lens[x >> 7 & 3];
			tx->desc[0].addr = x & 0x200 ? 0xfffffffffffff000 : (uintptr_t)p;
			tx->desc[0].flags = (uint16_t)(x >> 10 & 7);
		}
		ring_pause(LOOK_US);
	}
}

/* A device that is turned off and on while it works. */
static void queues_resets(void)
{
	for (unsigned i = 0; i < 300; i++) {
		ring_restart();
		ring_push(RING_TX, (uint16_t)(i % RING_SIZE));
		if (i % 4 == 0)
			ring_pause(100);
	}
}

static void queues_kicks(void)
{
	ring_restart();
	for (unsigned i = 0; i < 50000; i++)
		ring_kick(i % 5);
}

const struct ring_case ring_queue_cases[] = {
	{ "indexes", queues_indexes },
	{ "loops", queues_loops },
	{ "addresses", queues_addresses },
	{ "lengths", queues_lengths },
	{ "directions", queues_directions },
	{ "indirect", queues_indirect },
	{ "areas", queues_areas },
	{ "random", queues_random },
	{ "race", queues_race },
	{ "resets", queues_resets },
	{ "kicks", queues_kicks },
	{ 0 },
};
