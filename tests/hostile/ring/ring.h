/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile/ring/ring.h - a guest without a kernel that owns its virtio-mmio devices
 *
 * 32-bit, flat, no interrupts, no C library.  The rings are plain memory here,
 * so a case can write into them what no driver ever would.
 */
#ifndef HOSTILE_RING_H
#define HOSTILE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_SIZE  128 /* entries; what QEMU gives the device */
#define RING_RX	   0
#define RING_TX	   1
#define RING_COUNT 3 /* with the event ring, which stays empty */

#define DESC_NEXT     1
#define DESC_WRITE    2
#define DESC_INDIRECT 4

struct ring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
} __attribute__((packed));

/* One ring in memory, at addresses that can be set to anything before it is started. */
struct ring {
	struct ring_desc desc[RING_SIZE];
	struct {
		uint16_t flags, idx, ring[RING_SIZE], used_event;
	} avail __attribute__((aligned(4096)));
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[RING_SIZE];
		uint16_t avail_event;
	} used __attribute__((aligned(4096)));
} __attribute__((aligned(4096)));

/* Where the device is told the areas of a ring are; ring_reset() sets the truth. */
struct ring_areas {
	uint64_t desc, avail, used;
	uint32_t size;
};

/* The head of each packet of the socket device. */
struct ring_packet {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

enum {
	OP_REQUEST = 1,
	OP_RESPONSE,
	OP_RST,
	OP_SHUTDOWN,
	OP_RW,
	OP_CREDIT_UPDATE,
	OP_CREDIT_REQUEST
};

struct ring_case {
	const char *name;
	void (*run)(void);
};

extern const struct ring_case ring_queue_cases[];
extern const struct ring_case ring_packet_cases[];
extern const struct ring_case ring_request_cases[];

extern volatile struct ring rings[RING_COUNT];
extern struct ring_areas ring_areas[RING_COUNT];

/* Memory for packets and tables. */
extern uint8_t ring_buffer[1 << 16];

/* --- the device (ring.c) --- */

/* Device reset; rings empty and where they belong. */
void ring_reset(void);
/* Negotiate and start with what ring_areas says. */
void ring_start(void);
/* Both, with rx buffers posted. */
void ring_restart(void);
void ring_kick(unsigned queue);
/* Give the device @us microseconds, about. */
void ring_pause(uint32_t us);
/* Make descriptor @head available and kick. */
void ring_push(unsigned queue, uint16_t head);
/* The next packet of the device, whose buffer goes back at once. Return: false when there is none
 */
bool ring_receive(struct ring_packet *out);
/* Whether the device, started afresh, answers a well-formed request. */
bool ring_is_alive(void);
uint64_t ring_guest_cid(void);

uint32_t ring_random(void);
void ring_say(const char *text);

#endif /* HOSTILE_RING_H */
