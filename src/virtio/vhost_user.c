/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/vhost_user.c - exports a device model to a VMM over vhost-user
 *
 * The front end (QEMU) sends requests over a stream socket: it negotiates
 * features, hands over guest memory and, ring by ring, sizes, addresses and two
 * eventfds (kick: guest to us, call: us to guest).  All of it runs on the loop
 * thread, so a request and a kick never meet.
 *
 * A ring runs while it has an address, has got its kick descriptor, and is
 * enabled; vhost_user_ring_update() compares that wish with what is and calls
 * the device's queue_start or queue_stop.  GET_VRING_BASE and ENABLE(0) stop it
 * before they are answered.  Ring addresses are user addresses of the front
 * end; they are translated anew whenever the ring starts or memory changes.
 *
 * A stop for a pause and a stop for a device reset look alike on the wire.  But
 * after a pause a ring goes on where it was, and after a reset at 0; so a base
 * other than the one we reported tells that the driver is a new one, and the
 * device forgets the old one's state.
 *
 * Trust: the front end speaks for the guest in places (ring addresses), so
 * nothing here is believed; a broken ring is refused and the rest goes on.  A
 * malformed message ends the connection.
 *
 * Absent, and not offered: logging of dirty pages, in-flight tracking,
 * postcopy, the back-end request channel, rings without a kick descriptor.
 */
#define LOG_CATEGORY "vhost-user"

#include "virtio/vhost_user.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "virtio/vhost_user_msg.h"

#define VHOST_USER_F_RING_INDIRECT (UINT64_C(1) << 28)
#define VHOST_USER_F_RING_EVENT	   (UINT64_C(1) << 29)
#define VHOST_USER_F_PROTOCOL	   (UINT64_C(1) << 30)
#define VHOST_USER_F_VERSION_1	   (UINT64_C(1) << 32)
#define VHOST_USER_TRANSPORT_FEATURES                                                              \
	(VHOST_USER_F_RING_INDIRECT | VHOST_USER_F_RING_EVENT | VHOST_USER_F_PROTOCOL |            \
	 VHOST_USER_F_VERSION_1)

#define VHOST_USER_PROTOCOL_REPLY_ACK (UINT64_C(1) << 3)
#define VHOST_USER_PROTOCOL_CONFIG    (UINT64_C(1) << 9)
#define VHOST_USER_PROTOCOL_FEATURES  (VHOST_USER_PROTOCOL_REPLY_ACK | VHOST_USER_PROTOCOL_CONFIG)

#define VHOST_USER_COMPLAINTS 8
#define VHOST_USER_BATCH 32 /* messages before the loop's other sources get a turn */
#define VHOST_USER_TRIM	 (250 * USEC_PER_MSEC)

struct vhost_user_ring {
	struct vhost_user *vu;
	struct virtqueue q; /* its call_fd and err_fd are ours to close */
	unsigned num;
	struct vhost_user_vring_addr addr;
	uint16_t base;
	bool has_addr, enabled;
	bool reported; /* the front end asked for base and was told this one */
	bool running;  /* the device has it */
	int kick_fd;   /* owned */
	struct loop_source *kick;
};

struct vhost_user {
	struct loop *loop;
	int sock; /* owned */
	struct loop_source *source;
	struct virtio_device *dev;
	void (*on_close)(struct vhost_user *vu, const struct coffer_error *err, void *data);
	void *data;
	uint64_t features, protocol_features;
	struct guest_memory mem;
	struct loop_source *trim; /* guest_memory_trim(), a while after a kick */
	bool trim_armed;
	struct vhost_user_ring rings[VIRTIO_DEVICE_QUEUES_MAX];
	struct vhost_user_msg msg; /* being read, then its answer */
	bool answer;		   /* the handler made one, ... */
	uint32_t answer_size;	   /* ... with so much payload */
	unsigned complaints;
};

static uint64_t vhost_user_offer(const struct vhost_user *vu)
{
	return vu->dev->ops->features | VHOST_USER_TRANSPORT_FEATURES;
}

/*
 * Every guest page that data went through stays in our page tables and counts
 * as ours.  Giving them back now and then keeps the process small under
 * traffic, at the cost of some thousand page faults a second.
 */
static void vhost_user_trim(struct loop_source *src, void *data)
{
	struct vhost_user *vu = data;

	vu->trim_armed = false;
	guest_memory_trim(&vu->mem);
}

/* The front end can repeat at will what we complain of, and shall not fill a log with it. */
static enum log_level vhost_user_complaint(struct vhost_user *vu)
{
	return vu->complaints++ < VHOST_USER_COMPLAINTS ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG;
}

/* --- rings --- */

static void vhost_user_ring_kick(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct vhost_user_ring *r = data;
	struct vhost_user *vu = r->vu;
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	/* EAGAIN: the front end, which shares it, has been faster. */
	if (n != (ssize_t)sizeof(count) && !(n < 0 && errno == EAGAIN)) {
		/* Not an eventfd after all; it would be ready again and again. */
		log_emit(vhost_user_complaint(vu), LOG_CATEGORY,
			 "queue %u: its kick descriptor is broken", r->q.index);
		loop_remove(r->kick);
		r->kick = NULL;
	}
	if (!vu->trim_armed)
		vu->trim_armed = loop_arm(vu->trim, VHOST_USER_TRIM, 0) == 0;
	vu->dev->ops->queue_kick(vu->dev, r->q.index);
}

static int vhost_user_ring_begin(struct vhost_user_ring *r, struct coffer_error *err)
{
	struct vhost_user *vu = r->vu;
	const struct virtqueue_areas areas = {
		.desc = guest_memory_at_user(&vu->mem, r->addr.desc, VIRTQUEUE_DESC_BYTES(r->num)),
		.avail =
		    guest_memory_at_user(&vu->mem, r->addr.avail, VIRTQUEUE_AVAIL_BYTES(r->num)),
		.used = guest_memory_at_user(&vu->mem, r->addr.used, VIRTQUEUE_USED_BYTES(r->num)),
	};
	int rc;

	rc = loop_add_fd(vu->loop, r->kick_fd, EPOLLIN, vhost_user_ring_kick, r, &r->kick, err);
	if (rc < 0)
		return rc;
	r->q.event_idx = vu->features & VHOST_USER_F_RING_EVENT;
	rc = virtqueue_start(&r->q, &vu->mem, r->num, &areas, r->base, err);
	if (rc < 0) {
		loop_remove(r->kick);
		r->kick = NULL;
	}
	return rc;
}

/* The guest's driver chooses ring addresses, so a failure is its own and not the front end's. */
static void vhost_user_ring_start(struct vhost_user_ring *r)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct vhost_user *vu = r->vu;

	if (vhost_user_ring_begin(r, &err) < 0) {
		r->q.broken = false; /* that was its last life */
		virtqueue_break(&r->q, "%s", err.message);
		r->has_addr = false; /* until it comes with a better one */
		return;
	}
	r->running = true;
	r->reported = false;
	vu->dev->queues[r->q.index] = &r->q;
	vu->dev->ops->queue_start(vu->dev, r->q.index);
}

static void vhost_user_ring_stop(struct vhost_user_ring *r)
{
	struct vhost_user *vu = r->vu;

	if (!r->running)
		return;
	vu->dev->ops->queue_stop(vu->dev, r->q.index);
	vu->dev->queues[r->q.index] = NULL;
	r->running = false;
	r->base = r->q.last_avail;
	loop_remove(r->kick);
	r->kick = NULL;
}

static void vhost_user_ring_update(struct vhost_user_ring *r)
{
	bool enabled = r->enabled || !(r->vu->features & VHOST_USER_F_PROTOCOL);
	bool want = r->has_addr && r->num && r->kick_fd >= 0 && enabled;

	if (want && !r->running)
		vhost_user_ring_start(r);
	else if (!want)
		vhost_user_ring_stop(r);
}

static void vhost_user_stop(struct vhost_user *vu)
{
	for (unsigned i = 0; i < vu->dev->ops->nqueues; i++)
		vhost_user_ring_stop(&vu->rings[i]);
}

static void vhost_user_update(struct vhost_user *vu)
{
	for (unsigned i = 0; i < vu->dev->ops->nqueues; i++)
		vhost_user_ring_update(&vu->rings[i]);
}

/* The ring a request names. Return: NULL with @err filled when there is none */
static struct vhost_user_ring *vhost_user_ring(struct vhost_user *vu, uint64_t index,
					       struct coffer_error *err)
{
	if (index < vu->dev->ops->nqueues)
		return &vu->rings[index];
	err_invalid(err, "queue %" PRIu64 " of %u", index, vu->dev->ops->nqueues);
	return NULL;
}

/*
 * --- requests ---
 *
 * A handler gets a checked message in vu->msg and may turn it into the answer.
 * Return: 0, or negative errno with @err filled.
 */

static int vhost_user_answer(struct vhost_user *vu, size_t size)
{
	vu->answer = true;
	vu->answer_size = (uint32_t)size;
	return 0;
}

static int vhost_user_answer_u64(struct vhost_user *vu, uint64_t value)
{
	vu->msg.p.u64 = value;
	return vhost_user_answer(vu, sizeof(value));
}

static int vhost_user_get_features(struct vhost_user *vu, struct coffer_error *err)
{
	return vhost_user_answer_u64(vu, vhost_user_offer(vu));
}

static int vhost_user_set_features(struct vhost_user *vu, struct coffer_error *err)
{
	uint64_t features = vu->msg.p.u64;

	if (features & ~vhost_user_offer(vu))
		return err_invalid(err, "features %#" PRIx64 " were not offered",
				   features & ~vhost_user_offer(vu));
	vu->features = features;
	vu->dev->features = features & ~VHOST_USER_F_PROTOCOL;
	vhost_user_update(vu);
	return 0;
}

/* SET_OWNER opens a session, of which there is one; RESET_OWNER is a relic to be ignored. */
static int vhost_user_owner(struct vhost_user *vu, struct coffer_error *err)
{
	return 0;
}

static int vhost_user_get_protocol_features(struct vhost_user *vu, struct coffer_error *err)
{
	return vhost_user_answer_u64(vu, VHOST_USER_PROTOCOL_FEATURES);
}

static int vhost_user_set_protocol_features(struct vhost_user *vu, struct coffer_error *err)
{
	if (vu->msg.p.u64 & ~VHOST_USER_PROTOCOL_FEATURES)
		return err_invalid(err, "protocol features %#" PRIx64 " were not offered",
				   vu->msg.p.u64 & ~VHOST_USER_PROTOCOL_FEATURES);
	vu->protocol_features = vu->msg.p.u64;
	return 0;
}

static int vhost_user_get_queue_num(struct vhost_user *vu, struct coffer_error *err)
{
	return vhost_user_answer_u64(vu, vu->dev->ops->nqueues);
}

/* Rings that run are stopped over the change and go on in the new memory. */
static int vhost_user_set_mem_table(struct vhost_user *vu, struct coffer_error *err)
{
	const struct vhost_user_memory *t = &vu->msg.p.memory;
	struct guest_memory mem = { .nregions = 0 };
	int rc;

	for (uint32_t i = 0; i < t->nregions; i++) {
		const struct vhost_user_region *r = &t->regions[i];

		rc = guest_memory_add_fd(&mem, r->guest_addr, r->user_addr, r->size, vu->msg.fds[i],
					 r->offset, err);
		if (rc < 0) {
			guest_memory_clear(&mem);
			return rc;
		}
	}
	vhost_user_stop(vu);
	guest_memory_clear(&vu->mem);
	vu->mem = mem;
	vhost_user_update(vu);
	return 0;
}

static int vhost_user_set_vring_num(struct vhost_user *vu, struct coffer_error *err)
{
	struct vhost_user_ring *r = vhost_user_ring(vu, vu->msg.p.state.index, err);

	if (!r)
		return -EINVAL;
	if (r->running)
		return err_state(err, "queue %u is running", r->q.index);
	if (vu->msg.p.state.num == 0 || vu->msg.p.state.num > VIRTQUEUE_SIZE_MAX)
		return err_invalid(err, "queue %u of %u entries", r->q.index, vu->msg.p.state.num);
	r->num = vu->msg.p.state.num;
	return 0;
}

static int vhost_user_set_vring_addr(struct vhost_user *vu, struct coffer_error *err)
{
	struct vhost_user_ring *r = vhost_user_ring(vu, vu->msg.p.addr.index, err);

	if (!r)
		return -EINVAL;
	vhost_user_ring_stop(r);
	r->addr = vu->msg.p.addr;
	r->has_addr = true;
	vhost_user_ring_update(r);
	return 0;
}

static int vhost_user_set_vring_base(struct vhost_user *vu, struct coffer_error *err)
{
	struct vhost_user_ring *r = vhost_user_ring(vu, vu->msg.p.state.index, err);

	if (!r)
		return -EINVAL;
	if (r->running)
		return err_state(err, "queue %u is running", r->q.index);
	if (vu->msg.p.state.num > UINT16_MAX)
		return err_invalid(err, "queue %u: base %u", r->q.index, vu->msg.p.state.num);
	if (r->reported && r->base != vu->msg.p.state.num) {
		log_debug("queue %u starts afresh: the driver was reset", r->q.index);
		vhost_user_stop(vu);
		vu->dev->ops->reset(vu->dev);
		vhost_user_update(vu);
	}
	r->base = (uint16_t)vu->msg.p.state.num;
	return 0;
}

static int vhost_user_get_vring_base(struct vhost_user *vu, struct coffer_error *err)
{
	struct vhost_user_ring *r = vhost_user_ring(vu, vu->msg.p.state.index, err);

	if (!r)
		return -EINVAL;
	vhost_user_ring_stop(r);
	close_fd(&r->kick_fd); /* it starts again with the next kick descriptor */
	r->reported = true;
	vu->msg.p.state.num = r->base;
	return vhost_user_answer(vu, sizeof(vu->msg.p.state));
}

/* Replace *@slot, a descriptor that QEMU shares with us, by the one in the message (or none). */
static void vhost_user_take_fd(struct vhost_user *vu, int *slot)
{
	close_fd(slot);
	if (vu->msg.nfds) {
		*slot = steal_fd(&vu->msg.fds[0]);
		io_set_nonblock(*slot, true);
	}
}

static int vhost_user_set_vring_kick(struct vhost_user *vu, struct coffer_error *err)
{
	struct vhost_user_ring *r =
	    vhost_user_ring(vu, vu->msg.p.u64 & VHOST_USER_VRING_INDEX, err);

	if (!r)
		return -EINVAL;
	if (!vu->msg.nfds)
		return err_unsupported(err, "queue %u without a kick descriptor", r->q.index);
	vhost_user_ring_stop(r);
	vhost_user_take_fd(vu, &r->kick_fd);
	vhost_user_ring_update(r);
	return 0;
}

static int vhost_user_set_vring_call(struct vhost_user *vu, struct coffer_error *err)
{
	struct vhost_user_ring *r =
	    vhost_user_ring(vu, vu->msg.p.u64 & VHOST_USER_VRING_INDEX, err);

	if (!r)
		return -EINVAL;
	vhost_user_take_fd(vu, &r->q.call_fd);
	/* The old one may have taken an interrupt with it. */
	if (r->running) {
		r->q.need_notify = r->q.fresh = true;
		virtqueue_notify(&r->q);
	}
	return 0;
}

static int vhost_user_set_vring_err(struct vhost_user *vu, struct coffer_error *err)
{
	struct vhost_user_ring *r =
	    vhost_user_ring(vu, vu->msg.p.u64 & VHOST_USER_VRING_INDEX, err);

	if (!r)
		return -EINVAL;
	vhost_user_take_fd(vu, &r->q.err_fd);
	return 0;
}

static int vhost_user_set_vring_enable(struct vhost_user *vu, struct coffer_error *err)
{
	struct vhost_user_ring *r = vhost_user_ring(vu, vu->msg.p.state.index, err);

	if (!r)
		return -EINVAL;
	if (vu->msg.p.state.num > 1)
		return err_invalid(err, "queue %u: enable %u", r->q.index, vu->msg.p.state.num);
	r->enabled = vu->msg.p.state.num;
	vhost_user_ring_update(r);
	return 0;
}

/* A failure is answered by an empty payload, as the protocol has it. */
static int vhost_user_get_config(struct vhost_user *vu, struct coffer_error *err)
{
	struct vhost_user_config *c = &vu->msg.p.config;

	if (vu->dev->ops->read_config(vu->dev, c->offset, c->data, c->size) < 0) {
		log_emit(vhost_user_complaint(vu), LOG_CATEGORY, "config of %u bytes at %u",
			 c->size, c->offset);
		return vhost_user_answer(vu, 0);
	}
	return vhost_user_answer(vu, offsetof(struct vhost_user_config, data) + c->size);
}

static int vhost_user_set_config(struct vhost_user *vu, struct coffer_error *err)
{
	return err_unsupported(err, "the %s device's config is read-only", vu->dev->ops->name);
}

static int (*const vhost_user_handlers[VHOST_USER_REQUESTS])(struct vhost_user *vu,
							     struct coffer_error *err) = {
	[VHOST_USER_GET_FEATURES] = vhost_user_get_features,
	[VHOST_USER_SET_FEATURES] = vhost_user_set_features,
	[VHOST_USER_SET_OWNER] = vhost_user_owner,
	[VHOST_USER_RESET_OWNER] = vhost_user_owner,
	[VHOST_USER_SET_MEM_TABLE] = vhost_user_set_mem_table,
	[VHOST_USER_SET_VRING_NUM] = vhost_user_set_vring_num,
	[VHOST_USER_SET_VRING_ADDR] = vhost_user_set_vring_addr,
	[VHOST_USER_SET_VRING_BASE] = vhost_user_set_vring_base,
	[VHOST_USER_GET_VRING_BASE] = vhost_user_get_vring_base,
	[VHOST_USER_SET_VRING_KICK] = vhost_user_set_vring_kick,
	[VHOST_USER_SET_VRING_CALL] = vhost_user_set_vring_call,
	[VHOST_USER_SET_VRING_ERR] = vhost_user_set_vring_err,
	[VHOST_USER_GET_PROTOCOL_FEATURES] = vhost_user_get_protocol_features,
	[VHOST_USER_SET_PROTOCOL_FEATURES] = vhost_user_set_protocol_features,
	[VHOST_USER_GET_QUEUE_NUM] = vhost_user_get_queue_num,
	[VHOST_USER_SET_VRING_ENABLE] = vhost_user_set_vring_enable,
	[VHOST_USER_GET_CONFIG] = vhost_user_get_config,
	[VHOST_USER_SET_CONFIG] = vhost_user_set_config,
};

static int vhost_user_handle(struct vhost_user *vu, struct coffer_error *err)
{
	uint32_t request = vu->msg.h.request;

	log_debug("%s, %u bytes", vhost_user_msg_name(request), vu->msg.h.size);
	if (request >= ARRAY_SIZE(vhost_user_handlers) || !vhost_user_handlers[request])
		return err_unsupported(err, "vhost-user request %u", request);
	if (vhost_user_handlers[request](vu, err) < 0)
		return err_wrap(err, "vhost-user %s", vhost_user_msg_name(request));
	return 0;
}

/*
 * Handle vu->msg and answer it as asked.  A front end that wants to hear of
 * failures decides what they mean; otherwise one ends the connection.
 */
static int vhost_user_dispatch(struct vhost_user *vu, struct coffer_error *err)
{
	bool ack = (vu->msg.h.flags & VHOST_USER_NEED_REPLY) &&
		   (vu->protocol_features & VHOST_USER_PROTOCOL_REPLY_ACK);
	int rc;

	vu->answer = false;
	rc = vhost_user_handle(vu, err);
	if (!vu->answer) {
		if (!ack)
			return rc;
		if (rc < 0)
			log_emit(vhost_user_complaint(vu), LOG_CATEGORY, "%s", err->message);
		vhost_user_answer_u64(vu, rc < 0);
	}
	return vhost_user_msg_reply(vu->sock, &vu->msg, vu->answer_size, err);
}

/* The connection is over. The callback may free us, so nothing follows it. */
static void vhost_user_end(struct vhost_user *vu, const struct coffer_error *err)
{
	vhost_user_stop(vu);
	vu->dev->ops->reset(vu->dev);
	loop_remove(vu->source);
	vu->source = NULL;
	close_fd(&vu->sock);
	vu->on_close(vu, err, vu->data);
}

static void vhost_user_event(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct vhost_user *vu = data;
	int rc;

	for (unsigned i = 0; i < VHOST_USER_BATCH; i++) {
		rc = vhost_user_msg_read(fd, &vu->msg, &err);
		if (rc == 0)
			return;
		if (rc > 0)
			rc = vhost_user_dispatch(vu, &err);
		vhost_user_msg_clear(&vu->msg);
		if (rc < 0) {
			vhost_user_end(vu, &err);
			return;
		}
	}
}

int vhost_user_new(struct loop *loop, const struct vhost_user_args *args, struct vhost_user **out,
		   struct coffer_error *err)
{
	struct vhost_user *vu = calloc(1, sizeof(*vu));
	int rc;

	if (!vu)
		return err_nomem(err);
	vu->loop = loop;
	vu->sock = -1;
	vu->dev = args->dev;
	vu->on_close = args->on_close;
	vu->data = args->data;
	for (unsigned i = 0; i < ARRAY_SIZE(vu->rings); i++) {
		vu->rings[i].vu = vu;
		vu->rings[i].q.index = i;
		vu->rings[i].q.call_fd = vu->rings[i].q.err_fd = vu->rings[i].kick_fd = -1;
	}
	io_set_nonblock(args->sock, true);
	rc = loop_add_timer(loop, vhost_user_trim, vu, &vu->trim, err);
	if (rc == 0)
		rc = loop_add_fd(loop, args->sock, EPOLLIN, vhost_user_event, vu, &vu->source, err);
	if (rc < 0) {
		vhost_user_free(vu);
		return err_wrap(err, "vhost-user socket");
	}
	vu->sock = args->sock;
	*out = vu;
	return 0;
}

void vhost_user_free(struct vhost_user *vu)
{
	if (!vu)
		return;
	vhost_user_stop(vu);
	for (unsigned i = 0; i < ARRAY_SIZE(vu->rings); i++) {
		close_fd(&vu->rings[i].kick_fd);
		close_fd(&vu->rings[i].q.call_fd);
		close_fd(&vu->rings[i].q.err_fd);
	}
	vhost_user_msg_clear(&vu->msg);
	guest_memory_clear(&vu->mem);
	loop_remove(vu->source);
	loop_remove(vu->trim);
	close_fd(&vu->sock);
	free(vu);
}
