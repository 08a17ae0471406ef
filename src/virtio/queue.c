/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/queue.c - the device side of a split virtqueue
 *
 * The guest writes descriptors and the available ring, we write the used ring:
 *
 *	guest: desc[] -> avail->ring[], avail->idx, kick
 *	us:    pop    -> walk desc[] into host iovecs -> push: used->ring[], used->idx, notify
 *
 * Memory order: avail->idx is loaded with acquire before the entries it covers,
 * used->idx stored with release after them.  Who wants to be woken is a
 * question with a race on both sides (sleep flag against index), so a full
 * barrier stands between writing one's own half and reading the other's.
 *
 * Suppression of kicks and interrupts comes in two forms, by what was
 * negotiated: a flag in the ring, or event indexes ("wake me when index x is
 * passed", 2.7.7.1).  With event indexes "no kicks" is simply not moving ours.
 *
 * Each field of guest memory is loaded once (volatile) into a local before it
 * is checked and used; the guest may rewrite it at any moment.
 *
 * Absent: packed rings, and more than one chain in flight at a stop.
 */
#define LOG_CATEGORY "virtio"

#include "virtio/queue.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define VIRTQUEUE_COMPLAINTS 8

/* virtio 1.x is little-endian; on such a host no field needs a swap. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "big-endian hosts need swaps here");

enum {
	VIRTQ_DESC_F_NEXT = 1,	   /* the chain goes on at .next */
	VIRTQ_DESC_F_WRITE = 2,	   /* the device writes, else it reads */
	VIRTQ_DESC_F_INDIRECT = 4, /* the buffer is a table of descriptors */
	VIRTQ_AVAIL_F_NO_INTERRUPT = 1,
	VIRTQ_USED_F_NO_NOTIFY = 1,
};

/* Packed: an indirect table may stand at any address. */
struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
} __attribute__((packed));

struct virtq_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[]; /* then used_event */
};

struct virtq_used_elem {
	uint32_t id;
	uint32_t len;
};

struct virtq_used {
	uint16_t flags;
	uint16_t idx;
	struct virtq_used_elem ring[]; /* then avail_event */
};

_Static_assert(sizeof(struct virtq_desc) == 16, "virtio 1.2, 2.7.5");
_Static_assert(sizeof(struct virtq_used_elem) == 8, "virtio 1.2, 2.7.8");

static bool virtqueue_aligned(const void *p, uintptr_t align)
{
	return ((uintptr_t)p & (align - 1)) == 0;
}

int virtqueue_start(struct virtqueue *q, const struct guest_memory *mem, unsigned size,
		    const struct virtqueue_areas *areas, uint16_t last_avail,
		    struct coffer_error *err)
{
	if (size == 0 || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)))
		return err_invalid(err, "%u entries", size);
	if (!areas->desc || !areas->avail || !areas->used)
		return err_invalid(err, "a ring lies outside guest memory");
	if (!virtqueue_aligned(areas->desc, 16) || !virtqueue_aligned(areas->avail, 2) ||
	    !virtqueue_aligned(areas->used, 4))
		return err_invalid(err, "a ring is misaligned");

	q->mem = mem;
	q->size = size;
	q->desc = areas->desc;
	q->avail = areas->avail;
	q->used = areas->used;
	q->used_event = (void *)((char *)areas->avail + VIRTQUEUE_AVAIL_BYTES(size) - 2);
	q->avail_event = (void *)((char *)areas->used + VIRTQUEUE_USED_BYTES(size) - 2);
	q->last_avail = last_avail;
	q->used_idx = q->used->idx;
	q->signalled = q->used_idx;
	/* A first interrupt too many is harmless; one lost at a restart is not. */
	q->need_notify = q->fresh = true;
	q->broken = false;
	q->why[0] = '\0';
	q->kicks = false;
	virtqueue_want_kick(q, true);
	return 0;
}

void virtqueue_break(struct virtqueue *q, const char *fmt, ...)
{
	uint64_t one = 1;
	va_list ap;

	if (q->broken)
		return;
	q->broken = true;
	va_start(ap, fmt);
	vsnprintf(q->why, sizeof(q->why), fmt, ap);
	va_end(ap);
	/* A driver that resets and breaks it again and again shall not fill a log. */
	log_emit(q->breaks++ < VIRTQUEUE_COMPLAINTS ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG,
		 LOG_CATEGORY, "queue %u is broken and stops: %s", q->index, q->why);
	if (q->err_fd >= 0 && write(q->err_fd, &one, sizeof(one)) < 0)
		log_debug("queue %u: telling the monitor: %s", q->index, strerror(errno));
}

/* Entries the guest has made available and we have not taken; -EPROTO when that cannot be. */
static int virtqueue_pending(struct virtqueue *q)
{
	uint16_t n;

	if (q->broken)
		return -EPROTO;
	n = (uint16_t)(__atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE) - q->last_avail);
	if (n > q->size) {
		virtqueue_break(q, "available index is %u ahead in a ring of %u", n, q->size);
		return -EPROTO;
	}
	return n;
}

static struct virtq_desc virtqueue_load_desc(const volatile struct virtq_desc *d)
{
	return (struct virtq_desc){
		.addr = d->addr, .len = d->len, .flags = d->flags, .next = d->next
	};
}

/* Append one buffer to the chain. Return: 0, or -EPROTO with the queue broken */
static int virtqueue_add_buffer(struct virtqueue *q, struct virtq_chain *c,
				const struct virtq_desc *d)
{
	bool writable = d->flags & VIRTQ_DESC_F_WRITE;
	void *host = guest_memory_at(q->mem, d->addr, d->len);

	if (d->len == 0)
		virtqueue_break(q, "empty descriptor");
	else if (!host)
		virtqueue_break(q, "descriptor %#" PRIx64 "+%#" PRIx32 " outside memory",
				(uint64_t)d->addr, (uint32_t)d->len);
	else if (!writable && c->nin)
		virtqueue_break(q, "readable descriptor behind a writable one");
	else if (c->out_len + c->in_len + d->len > UINT32_MAX)
		virtqueue_break(q, "chain of 4 GiB");
	if (q->broken)
		return -EPROTO;

	c->iov[c->nout + c->nin] = (struct iovec){ .iov_base = host, .iov_len = d->len };
	if (writable) {
		c->nin++;
		c->in_len += d->len;
	} else {
		c->nout++;
		c->out_len += d->len;
	}
	return 0;
}

/* Enter the table that @d points at. Return: its first descriptor, NULL with the queue broken */
static const volatile struct virtq_desc *
virtqueue_indirect(struct virtqueue *q, const struct virtq_desc *d, unsigned *entries)
{
	void *table = guest_memory_at(q->mem, d->addr, d->len);

	if (d->flags & VIRTQ_DESC_F_NEXT)
		virtqueue_break(q, "indirect descriptor with a successor");
	else if (d->len == 0 || d->len % sizeof(struct virtq_desc))
		virtqueue_break(q, "indirect table of %#" PRIx32 " bytes", (uint32_t)d->len);
	else if (!table)
		virtqueue_break(q, "indirect table %#" PRIx64 "+%#" PRIx32 " outside memory",
				(uint64_t)d->addr, (uint32_t)d->len);
	*entries = d->len / (unsigned)sizeof(struct virtq_desc);
	return q->broken ? NULL : table;
}

static int virtqueue_walk(struct virtqueue *q, struct virtq_chain *c)
{
	const volatile struct virtq_desc *table = q->desc;
	unsigned entries = q->size, i = c->head;
	bool indirect = false;
	struct virtq_desc d;

	for (;;) {
		if (i >= entries) {
			virtqueue_break(q, "descriptor %u in a table of %u", i, entries);
			return -EPROTO;
		}
		d = virtqueue_load_desc(&table[i]);
		if (d.flags & VIRTQ_DESC_F_INDIRECT) {
			if (indirect) {
				virtqueue_break(q, "indirect table within another");
				return -EPROTO;
			}
			table = virtqueue_indirect(q, &d, &entries);
			if (!table)
				return -EPROTO;
			indirect = true;
			i = 0;
			continue;
		}
		/* Also where a loop ends. */
		if (c->nout + c->nin == VIRTQUEUE_CHAIN_MAX) {
			virtqueue_break(q, "chain of more than %d descriptors",
					VIRTQUEUE_CHAIN_MAX);
			return -EPROTO;
		}
		if (virtqueue_add_buffer(q, c, &d) < 0)
			return -EPROTO;
		if (!(d.flags & VIRTQ_DESC_F_NEXT))
			return 0;
		i = d.next;
	}
}

int virtqueue_pop(struct virtqueue *q, struct virtq_chain *chain)
{
	int n = virtqueue_pending(q);

	if (n <= 0)
		return n;
	chain->head = q->avail->ring[q->last_avail & (q->size - 1)];
	chain->nout = chain->nin = 0;
	chain->out_len = chain->in_len = 0;
	if (virtqueue_walk(q, chain) < 0)
		return -EPROTO;
	q->last_avail++;
	return 1;
}

void virtqueue_unpop(struct virtqueue *q)
{
	q->last_avail--;
}

void virtqueue_push(struct virtqueue *q, uint16_t head, uint32_t written)
{
	volatile struct virtq_used_elem *e = &q->used->ring[q->used_idx & (q->size - 1)];

	e->id = head;
	e->len = written;
	q->used_idx++;
	__atomic_store_n(&q->used->idx, q->used_idx, __ATOMIC_RELEASE);
	q->need_notify = true;
}

static bool virtqueue_guest_wants(struct virtqueue *q)
{
	uint16_t event, old = q->signalled;
	bool fresh = q->fresh;

	q->fresh = false;
	q->signalled = q->used_idx;
	/* Our used->idx must be out before we look whether the guest sleeps. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (fresh)
		return true;
	if (!q->event_idx)
		return !(q->avail->flags & VIRTQ_AVAIL_F_NO_INTERRUPT);
	event = *q->used_event;
	/* Did used_idx pass @event on its way from @old? (2.7.10, modulo 2^16) */
	return (uint16_t)(q->used_idx - event - 1) < (uint16_t)(q->used_idx - old);
}

void virtqueue_notify(struct virtqueue *q)
{
	uint64_t one = 1;

	if (!q->need_notify || q->broken)
		return;
	q->need_notify = false;
	if (!virtqueue_guest_wants(q) || q->call_fd < 0)
		return;
	/*
	 * EAGAIN: the counter is full, so an interrupt is pending anyway.  Anything else is no
	 * eventfd of an honest VMM; one that it made block again would hold us up each time.
	 */
	if (write(q->call_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		virtqueue_break(q, "interrupt: %s", strerror(errno));
}

bool virtqueue_want_kick(struct virtqueue *q, bool want)
{
	if (q->broken)
		return false;
	if (want != q->kicks && !q->event_idx)
		q->used->flags = want ? 0 : VIRTQ_USED_F_NO_NOTIFY;
	q->kicks = want;
	if (!want)
		return false;
	if (q->event_idx)
		*q->avail_event = q->last_avail;
	/* The wish must be out before we look whether the guest has been faster. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return virtqueue_pending(q) > 0;
}

unsigned virtq_chain_slice(const struct virtq_chain *c, bool writable, size_t offset, size_t len,
			   struct iovec *iov)
{
	unsigned i = writable ? c->nout : 0, end = writable ? c->nout + c->nin : c->nout, n = 0;
	size_t part;

	for (; i < end && len > 0; i++) {
		part = c->iov[i].iov_len;
		if (offset >= part) {
			offset -= part;
			continue;
		}
		part -= offset;
		if (part > len)
			part = len;
		iov[n++] = (struct iovec){ .iov_base = (char *)c->iov[i].iov_base + offset,
					   .iov_len = part };
		offset = 0;
		len -= part;
	}
	return n;
}

size_t virtq_chain_read(const struct virtq_chain *c, size_t offset, void *buf, size_t len)
{
	struct iovec iov[VIRTQUEUE_CHAIN_MAX];
	unsigned n = virtq_chain_slice(c, false, offset, len, iov);
	size_t done = 0;

	for (unsigned i = 0; i < n; i++) {
		memcpy((char *)buf + done, iov[i].iov_base, iov[i].iov_len);
		done += iov[i].iov_len;
	}
	return done;
}

size_t virtq_chain_write(const struct virtq_chain *c, size_t offset, const void *buf, size_t len)
{
	struct iovec iov[VIRTQUEUE_CHAIN_MAX];
	unsigned n = virtq_chain_slice(c, true, offset, len, iov);
	size_t done = 0;

	for (unsigned i = 0; i < n; i++) {
		memcpy(iov[i].iov_base, (const char *)buf + done, iov[i].iov_len);
		done += iov[i].iov_len;
	}
	return done;
}
