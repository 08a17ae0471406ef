/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile/ring/requests.c - well-formed chains with ill requests, to file systems and disks
 *
 * What the rings say is true here, so each request reaches whoever serves it.
 */
#include "ring.h"

#define REQUESTS_ROUNDS 4000
#define REQUESTS_BATCH	32 /* then the device gets a moment */
#define REQUESTS_LOOK_US 2000
#define FS_OPCODES	60
#define BLK_TYPES	18

/* The head of each request to a file system. */
struct fs_head {
	uint32_t len, opcode;
	uint64_t unique, nodeid;
	uint32_t uid, gid, pid, padding;
} __attribute__((packed));

struct fs_init {
	struct fs_head head;
	uint32_t major, minor, readahead, flags;
} __attribute__((packed));

struct blk_head {
	uint32_t type, reserved;
	uint64_t sector;
} __attribute__((packed));

static uint8_t *const requests_in = ring_buffer;
static uint8_t *const requests_out = ring_buffer + 16384;

static void requests_send(unsigned queue, uint32_t in, uint32_t out)
{
	volatile struct ring *r = &rings[queue];

	r->desc[0].addr = (uintptr_t)requests_in;
	r->desc[0].len = in;
	r->desc[0].flags = out ? DESC_NEXT : 0;
	r->desc[0].next = 1;
	r->desc[1].addr = (uintptr_t)requests_out;
	r->desc[1].len = out;
	r->desc[1].flags = DESC_WRITE;
	ring_push(queue, 0);
	ring_pause(20);
}

static uint32_t requests_some(uint32_t most)
{
	static const uint32_t edges[] = { 0, 1, 39, 40, 41, 56, 4095, 4096, 4097 };
	uint32_t x = ring_random();
	uint32_t n = x & 1 ? edges[x >> 1 & 7] : x >> 4;

	return n % (most + 1);
}

static void requests_fs_begin(void)
{
	struct fs_init *init = (void *)requests_in;

	ring_reset();
	ring_start();
	*init = (struct fs_init){ .head = { .len = sizeof(*init), .opcode = 26, .unique = 1 },
				  .major = 7,
				  .minor = 36,
				  .readahead = 131072,
				  .flags = 0xffffffff };
	requests_send(1, sizeof(*init), 256);
	ring_pause(REQUESTS_LOOK_US);
}

/* Opcodes, lengths, nodes and handles by chance, to both queues. */
static void requests_fs(void)
{
	for (unsigned i = 0; i < REQUESTS_ROUNDS; i++) {
		uint32_t in = sizeof(struct fs_head) + requests_some(8192), x = ring_random();
		struct fs_head *head = (void *)requests_in;

		if (i % 500 == 0)
			requests_fs_begin();
		for (uint32_t k = 0; k < in; k += 4)
			*(uint32_t *)(requests_in + k) = x & 3 ? ring_random() & 0xff : ring_random();
		head->len = x & 0x70 ? in : ring_random();
		head->opcode = x >> 8 & 15 ? ring_random() % FS_OPCODES : ring_random();
		head->nodeid = x >> 12 & 3 ? x >> 14 & 3 : ring_random();
		requests_send(x >> 16 & 7 ? 1 : 0, in, requests_some(16384));
		if (i % REQUESTS_BATCH == 0)
			ring_pause(REQUESTS_LOOK_US);
	}
}

/* Types, sectors and lengths by chance; the last byte of a reply is the status. */
static void requests_blk(void)
{
	for (unsigned i = 0; i < REQUESTS_ROUNDS; i++) {
		struct blk_head *head = (void *)requests_in;
		uint32_t x = ring_random();

		if (i % 500 == 0) {
			ring_reset();
			ring_start();
		}
		head->type = x & 7 ? ring_random() % BLK_TYPES : ring_random();
		head->sector = x >> 3 & 3 ? ring_random() % 4096
					  : (uint64_t)ring_random() << 32 | ring_random();
		requests_send(0, x >> 5 & 7 ? 16 + 512 * (ring_random() & 7) : requests_some(64),
			      x >> 8 & 7 ? 1 + 512 * (ring_random() & 7) : requests_some(4097));
		if (i % REQUESTS_BATCH == 0)
			ring_pause(REQUESTS_LOOK_US);
	}
}

const struct ring_case ring_request_cases[] = {
	{ "fs-requests", requests_fs },
	{ "blk-requests", requests_blk },
	{ 0 },
};
