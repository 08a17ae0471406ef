/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile/ring/ring.c - entry, console, and the device of the kernel-less guest
 *
 * Started by the firmware through the PVH note, with the case's name in the
 * "initial ramdisk".  Finds the socket device among the virtio-mmio slots, runs
 * the case, then starts the device anew and tells on the console whether it
 * still answers:
 *
 *	ring: NAME: alive | dead
 *
 * and ends the machine by a triple fault.  With "fs:" or "blk:" in front of the
 * name the case is for the first such device, and afterwards it is the socket
 * device all the same that has to answer.
 */
#include "ring.h"

#define MMIO_BASE  0xfeb00000u
#define MMIO_SLOT  512
#define MMIO_SLOTS 24

enum {
	REG_MAGIC = 0x000,
	REG_DEVICE_ID = 0x008,
	REG_FEATURES = 0x010,
	REG_FEATURES_SEL = 0x014,
	REG_DRIVER_FEATURES = 0x020,
	REG_DRIVER_FEATURES_SEL = 0x024,
	REG_QUEUE_SEL = 0x030,
	REG_QUEUE_NUM = 0x038,
	REG_QUEUE_READY = 0x044,
	REG_NOTIFY = 0x050,
	REG_STATUS = 0x070,
	REG_DESC = 0x080,
	REG_AVAIL = 0x090,
	REG_USED = 0x0a0,
	REG_CONFIG = 0x100,
};

#define MMIO_MAGIC	 0x74726976 /* "virt" */
#define DEVICE_BLK	 2
#define DEVICE_VSOCK	 19
#define DEVICE_FS	 26
#define STATUS_START	 3 /* acknowledge, driver */
#define STATUS_FEATURES	 (STATUS_START | 8)
#define STATUS_DRIVER_OK (STATUS_FEATURES | 4)
#define FEATURE_INDIRECT (1u << 28)
#define FEATURE_VERSION	 1u /* bit 32 */

#define SERIAL	       0x3f8
#define SERIAL_STATUS  (SERIAL + 5)
#define SERIAL_EMPTY   0x20
#define TSC_PER_US     2000u /* nobody counts on more than the order of it */
#define ALIVE_US       60000000u /* on a busy machine it may have much to do first */
#define ALIVE_PORT     7 /* nobody listens, so the answer is a reset */
#define RX_BUFFER_SIZE 256

/* What the firmware hands over in ebx. */
struct ring_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules;
} __attribute__((packed));

struct ring_module {
	uint64_t addr, size, cmdline, reserved;
};

volatile struct ring rings[RING_COUNT];
struct ring_areas ring_areas[RING_COUNT];
uint8_t ring_buffer[1 << 16] __attribute__((aligned(4096)));

static uint8_t ring_rx_buffers[RING_SIZE][RX_BUFFER_SIZE];
static uint16_t ring_seen; /* used entries taken by ring_receive() */
static volatile uint32_t *ring_device;

void ring_main(const struct ring_start_info *info) __attribute__((noreturn));
void *memset(void *p, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);

/* The compiler makes calls of these two by itself. */
void *memset(void *p, int c, size_t n)
{
	void *start = p;

	__asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(c) : "memory");
	return start;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *start = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return start;
}

/* --- console, time, chance --- */

static void ring_out(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t ring_in(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

void ring_say(const char *text)
{
	for (; *text; text++) {
		while (!(ring_in(SERIAL_STATUS) & SERIAL_EMPTY))
			;
		ring_out(SERIAL, (uint8_t)*text);
	}
}

static uint64_t ring_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

void ring_pause(uint32_t us)
{
	uint64_t end = ring_tsc() + (uint64_t)us * TSC_PER_US;

	while (ring_tsc() < end)
		__asm__ volatile("pause");
}

uint32_t ring_random(void)
{
	static uint32_t x = 2463534242;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

/* --- the device --- */

static uint32_t ring_read(unsigned reg)
{
	return ring_device[reg / 4];
}

static void ring_write(unsigned reg, uint32_t value)
{
	ring_device[reg / 4] = value;
}

static void ring_write64(unsigned reg, uint64_t value)
{
	ring_write(reg, (uint32_t)value);
	ring_write(reg + 4, (uint32_t)(value >> 32));
}

static bool ring_find_device(uint32_t id)
{
	for (unsigned i = 0; i < MMIO_SLOTS; i++) {
		ring_device = (volatile uint32_t *)(MMIO_BASE + i * MMIO_SLOT);
		if (ring_read(REG_MAGIC) == MMIO_MAGIC && ring_read(REG_DEVICE_ID) == id)
			return true;
	}
	ring_say("ring: no such device\n");
	return false;
}

uint64_t ring_guest_cid(void)
{
	return ring_read(REG_CONFIG) | (uint64_t)ring_read(REG_CONFIG + 4) << 32;
}

void ring_reset(void)
{
	ring_write(REG_STATUS, 0);
	memset((void *)rings, 0, sizeof(rings));
	for (unsigned i = 0; i < RING_COUNT; i++)
		ring_areas[i] = (struct ring_areas){
			.desc = (uintptr_t)&rings[i].desc,
			.avail = (uintptr_t)&rings[i].avail,
			.used = (uintptr_t)&rings[i].used,
			.size = RING_SIZE,
		};
}

void ring_start(void)
{
	ring_write(REG_STATUS, STATUS_START);
	ring_write(REG_FEATURES_SEL, 0);
	ring_write(REG_DRIVER_FEATURES_SEL, 0);
	ring_write(REG_DRIVER_FEATURES, ring_read(REG_FEATURES) & FEATURE_INDIRECT);
	ring_write(REG_DRIVER_FEATURES_SEL, 1);
	ring_write(REG_DRIVER_FEATURES, FEATURE_VERSION);
	ring_write(REG_STATUS, STATUS_FEATURES);
	for (unsigned i = 0; i < RING_COUNT; i++) {
		ring_write(REG_QUEUE_SEL, i);
		ring_write(REG_QUEUE_NUM, ring_areas[i].size);
		ring_write64(REG_DESC, ring_areas[i].desc);
		ring_write64(REG_AVAIL, ring_areas[i].avail);
		ring_write64(REG_USED, ring_areas[i].used);
		ring_write(REG_QUEUE_READY, 1);
	}
	ring_write(REG_STATUS, STATUS_DRIVER_OK);
}

void ring_restart(void)
{
	volatile struct ring *rx = &rings[RING_RX];

	ring_reset();
	ring_seen = 0;
	for (uint16_t i = 0; i < RING_SIZE; i++) {
		rx->desc[i].addr = (uintptr_t)ring_rx_buffers[i];
		rx->desc[i].len = RX_BUFFER_SIZE;
		rx->desc[i].flags = DESC_WRITE;
		rx->avail.ring[i] = i;
	}
	rx->avail.idx = RING_SIZE;
	ring_start();
	ring_kick(RING_RX);
}

void ring_kick(unsigned queue)
{
	__asm__ volatile("" : : : "memory");
	ring_write(REG_NOTIFY, queue);
}

void ring_push(unsigned queue, uint16_t head)
{
	volatile struct ring *r = &rings[queue];

	r->avail.ring[r->avail.idx % RING_SIZE] = head;
	__asm__ volatile("" : : : "memory");
	r->avail.idx++;
	ring_kick(queue);
}

bool ring_receive(struct ring_packet *out)
{
	volatile struct ring *rx = &rings[RING_RX];
	uint16_t id;

	if (ring_seen == rx->used.idx)
		return false;
	id = (uint16_t)(rx->used.ring[ring_seen++ % RING_SIZE].id % RING_SIZE);
	*out = *(const struct ring_packet *)ring_rx_buffers[id];
	ring_push(RING_RX, id);
	return true;
}

bool ring_is_alive(void)
{
	volatile struct ring *tx = &rings[RING_TX];
	volatile struct ring_packet *p = (void *)ring_buffer;
	struct ring_packet got;
	uint64_t end;

	ring_restart();
	*p = (struct ring_packet){ .src_cid = ring_guest_cid(),
				   .dst_cid = 2,
				   .src_port = 4711,
				   .dst_port = ALIVE_PORT,
				   .type = 1,
				   .op = OP_REQUEST,
				   .buf_alloc = 65536 };
	tx->desc[0].addr = (uintptr_t)p;
	tx->desc[0].len = sizeof(*p);
	tx->desc[0].flags = 0;
	ring_push(RING_TX, 0);
	end = ring_tsc() + (uint64_t)ALIVE_US * TSC_PER_US;
	while (ring_tsc() < end)
		if (ring_receive(&got) && got.op == OP_RST && got.src_port == ALIVE_PORT)
			return true;
	return false;
}

/* --- the run --- */

static bool ring_is(const char *name, const char *word, uint32_t n)
{
	while (*name && n > 0 && *name == *word) {
		name++;
		word++;
		n--;
	}
	return !*name && (n == 0 || *word <= ' ');
}

/* Take a device's name off the front. Return: its id */
static uint32_t ring_choose(const char **word, uint32_t *n)
{
	static const struct {
		const char *prefix;
		uint32_t len, id;
	} devices[] = { { "fs:", 3, DEVICE_FS }, { "blk:", 4, DEVICE_BLK } };

	for (unsigned i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		uint32_t k = 0;

		while (k < devices[i].len && k < *n && (*word)[k] == devices[i].prefix[k])
			k++;
		if (k < devices[i].len)
			continue;
		*word += k;
		*n -= k;
		return devices[i].id;
	}
	return DEVICE_VSOCK;
}

static void ring_run(const char *word, uint32_t n)
{
	const struct ring_case *const tables[] = { ring_queue_cases, ring_packet_cases,
						   ring_request_cases };

	if (!ring_find_device(ring_choose(&word, &n)))
		return;
	for (unsigned t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct ring_case *c = tables[t]; c->name; c++) {
			if (!ring_is(c->name, word, n))
				continue;
			c->run();
			ring_say("ring: ");
			ring_say(c->name);
			ring_say(ring_find_device(DEVICE_VSOCK) && ring_is_alive() ? ": alive\n"
										   : ": dead\n");
			return;
		}
	}
	ring_say("ring: no such case\n");
}

static void __attribute__((noreturn)) ring_power_off(void)
{
	static const struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) none;

	for (;;)
		__asm__ volatile("lidt %0; int3" : : "m"(none));
}

void ring_main(const struct ring_start_info *info)
{
	const struct ring_module *m = (const void *)(uintptr_t)info->modules;

	if (info->nr_modules > 0)
		ring_run((const char *)(uintptr_t)m->addr, (uint32_t)m->size);
	else
		ring_say("ring: no initial ramdisk\n");
	ring_power_off();
}

/* The note tells the firmware where to enter; the type is "32-bit physical entry". */
__asm__(".pushsection .note.Xen, \"a\", @note\n"
	"	.balign 4\n"
	"	.long 4, 4, 18\n"
	"	.asciz \"Xen\"\n"
	"	.long ring_entry\n"
	".popsection\n"
	".text\n"
	".globl ring_entry\n"
	"ring_entry:\n"
	"	cld\n"
	"	mov $ring_stack_end, %esp\n"
	"	push %ebx\n"
	"	call ring_main\n"
	".bss\n"
	".balign 16\n"
	".skip 16384\n"
	"ring_stack_end:\n"
	".text\n");
