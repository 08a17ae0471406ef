/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_virtqueue.c - rings whose every byte the guest chose, changed while we look
 *
 * Input: size, flags, index, then steps, then the content of guest memory from
 * its start, where the descriptor table stands; rings follow it.
 */
#include <assert.h>

#include "base/cleanup.h"
#include "../tests/unit/virtio_guest.h"

#define RAM   65536
#define STEPS 32

static struct guest guest;
static struct virtq_chain chain;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	if (guest_init(&guest, RAM) < 0)
		abort();
	return 0;
}

static void check_chain(struct virtqueue *q)
{
	const char *lo = (char *)guest.map.regions[0].host, *hi = lo + RAM;
	struct iovec iov[VIRTQUEUE_CHAIN_MAX];
	size_t out = 0, in = 0;
	char buf[300];

	assert(chain.nout + chain.nin >= 1 && chain.nout + chain.nin <= VIRTQUEUE_CHAIN_MAX);
	assert(chain.head < q->size);
	for (unsigned i = 0; i < chain.nout + chain.nin; i++) {
		const char *p = chain.iov[i].iov_base;

		assert(chain.iov[i].iov_len > 0);
		assert(p >= lo && p < hi && chain.iov[i].iov_len <= (size_t)(hi - p));
		*(i < chain.nout ? &out : &in) += chain.iov[i].iov_len;
	}
	assert(out == chain.out_len && in == chain.in_len);
	assert(virtq_chain_slice(&chain, false, 0, SIZE_MAX, iov) == chain.nout);
	assert(virtq_chain_slice(&chain, true, in, 1, iov) == 0);
	assert(virtq_chain_read(&chain, 3, buf, sizeof(buf)) <= sizeof(buf));
	virtq_chain_write(&chain, 1, buf, sizeof(buf));
}

static void step(struct virtqueue *q, uint8_t op)
{
	int r;

	switch (op % 8) {
	case 0:
	case 1:
	case 2:
		r = virtqueue_pop(q, &chain);
		assert(r == 1 || r == 0 || (r == -EPROTO && q->broken && q->why[0]));
		if (r != 1)
			break;
		check_chain(q);
		if (op & 0x80)
			virtqueue_unpop(q);
		else
			virtqueue_push(q, chain.head, op);
		break;
	case 3:
		virtqueue_notify(q);
		break;
	case 4:
		virtqueue_want_kick(q, op & 0x80);
		break;
	default: /* the guest writes somewhere */
		guest.ram[(op * 2654435761u) >> 16] ^= op;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct virtqueue q = { .call_fd = -1, .err_fd = -1 };
	struct virtqueue_areas areas;
	unsigned size;

	if (len < 4 + STEPS)
		return 0;
	size = 1u << (data[0] % 11);
	memset(guest.ram, 0, RAM);
	memcpy(guest.ram, data + 4 + STEPS, len - 4 - STEPS < RAM ? len - 4 - STEPS : RAM);
	areas.desc = guest_memory_at(&guest.map, GUEST_BASE, VIRTQUEUE_DESC_BYTES(size));
	areas.avail = guest_memory_at(&guest.map, GUEST_BASE + 16 * size,
				      VIRTQUEUE_AVAIL_BYTES(size));
	areas.used = guest_memory_at(&guest.map, GUEST_BASE + 18 * size + 8,
				     VIRTQUEUE_USED_BYTES(size));
	q.event_idx = data[1] & 1;
	if (virtqueue_start(&q, &guest.map, size, &areas, (uint16_t)(data[2] | data[3] << 8),
			    NULL) < 0)
		return 0;
	for (unsigned i = 0; i < STEPS; i++)
		step(&q, data[4 + i]);
	return 0;
}
