/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/vsock_internal.h - shared by the files of the socket device, nobody else
 *
 *	vsock.c       the device: queues, packet dispatch, whose turn it is, timers
 *	vsock_conn.c  one connection as the guest sees it: states, credit, packets
 *	vsock_host.c  one connection as the host sees it: listen, dial, read, write
 *
 * Words: "guest port" and "host port" name a connection together; "to shut" a
 * direction is to promise that nothing more comes.
 */
#ifndef VIRTIO_VSOCK_INTERNAL_H
#define VIRTIO_VSOCK_INTERNAL_H

#include <linux/virtio_vsock.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "virtio/vsock.h"

#define VSOCK_HOST_CID     2
#define VSOCK_QUEUE_RX     0 /* to the guest */
#define VSOCK_QUEUE_TX     1 /* from the guest */
#define VSOCK_FIRST_PORT   (UINT32_C(1) << 30) /* host ports of calls from the host */
#define VSOCK_BUCKETS      256
#define VSOCK_REPLIES      64 /* resets waiting for a buffer, for pairs without a connection */

/* What the guest may have under way to one connection: in our buffer, at worst. */
#define VSOCK_WINDOW       (512u * 1024)

#define VSOCK_HEADER_BYTES sizeof(struct virtio_vsock_hdr)

enum vsock_state {
	VSOCK_HANDSHAKE, /* host dialled; its CONNECT line is incomplete. No ports yet */
	VSOCK_REQUESTED, /* host dialled; the guest has not answered REQUEST */
	VSOCK_DIALING,   /* guest dialled; the host's listener has no room, we try again */
	VSOCK_OPEN,      /* data flows, perhaps in one direction only */
	VSOCK_CLOSING,   /* SHUTDOWN for both directions went out; the guest answers RST */
	VSOCK_RESETTING, /* host side gone; waits for a buffer to send RST in */
	VSOCK_DRAINING,  /* guest side gone; its last bytes still go to the host. No ports */
	VSOCK_DEAD,      /* in vs->dead, freed when the current callback ends */
};

/* Packets a connection owes the guest; data is not among them. */
enum vsock_pending {
	VSOCK_PENDING_REQUEST = 1,
	VSOCK_PENDING_RESPONSE = 2,
	VSOCK_PENDING_SHUTDOWN = 4,
	VSOCK_PENDING_CREDIT = 8,
};

/* Directions, in the bits that SHUTDOWN carries. */
#define VSOCK_SHUT_BOTH (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

struct vsock;

struct vsock_conn {
	struct vsock *vs;
	enum vsock_state state;
	uint32_t guest_port, host_port;
	usec_t deadline; /* when vsock_conn_expire() is due; USEC_INFINITY: never */
	usec_t give_up;  /* DIALING: when to stop trying */

	/* towards the guest */
	unsigned pending;        /* enum vsock_pending */
	unsigned our_shut;       /* told, or about to be told, to the guest */
	uint32_t tx_cnt;         /* bytes sent */
	uint32_t peer_buf_alloc; /* the guest's last word about its room ... */
	uint32_t peer_fwd_cnt;   /* ... and what of tx_cnt has left it */
	unsigned turn;           /* packets sent in this turn */
	bool queued;             /* in vs->ready */

	/* from the guest */
	unsigned guest_shut;     /* what SHUTDOWN told us */
	uint32_t rx_cnt;         /* bytes received */
	uint32_t fwd_cnt;        /* of these, gone to the host */
	uint32_t fwd_told;       /* fwd_cnt as the guest knows it */
	struct buf out;          /* bytes the host has no room for; at most VSOCK_WINDOW */

	/* the host's socket */
	int fd;                  /* owned; -1 in DIALING between tries and in RESETTING */
	struct loop_source *source;
	bool readable;           /* may hold data; false only after EAGAIN or EOF */
	bool eof;                /* the host sends no more, or the guest wants no more */
	bool hup;                /* both directions of the socket are shut */
	bool dead;               /* writing failed for good: what the guest sends is dropped */
	bool fin;                /* we have shut our writing */
	bool want_out;           /* told when there is room again */

	LIST_ENTRY(vsock_conn) all;      /* in vs->all or vs->dead */
	LIST_ENTRY(vsock_conn) by_ports; /* states with ports */
	TAILQ_ENTRY(vsock_conn) ready;
};

LIST_HEAD(vsock_list, vsock_conn);
TAILQ_HEAD(vsock_ready, vsock_conn);

struct vsock {
	struct virtio_device dev; /* first */
	struct loop *loop;        /* borrowed */
	uint64_t guest_cid;
	char name[88];            /* leaves room in sun_path for "_" and a port */
	int listen_fd;            /* owned */
	struct loop_source *listener;
	struct loop_source *timer; /* connections' deadlines */
	usec_t timer_at;           /* USEC_INFINITY: not armed */
	struct loop_source *resume; /* goes on after a run that used up its budget */
	usec_t listen_at;          /* look at the listener again; 0: it is watched */

	unsigned nconns, max_conns;
	uint32_t next_port;
	struct vsock_list all, dead;
	struct vsock_list by_ports[VSOCK_BUCKETS];
	struct vsock_ready ready;  /* have something for the guest, in turns */

	struct virtio_vsock_hdr replies[VSOCK_REPLIES];
	unsigned reply_head, reply_count;
};

static inline struct vsock *vsock_of(struct virtio_device *dev)
{
	return (struct vsock *)dev;
}

/*
 * Lifetime: a connection that ends is only taken out of everything and marked
 * DEAD; vsock_run(), the last act of every callback, frees it.  So a pointer
 * stays good through a callback, and functions on a DEAD one do nothing.
 */

/* --- vsock.c --- */

/* vsock_run() - Move packets both ways until there is nothing to do or the budget is spent */
void vsock_run(struct vsock *vs);
/* vsock_timer_at() - Look at the deadlines at @when at the latest */
void vsock_timer_at(struct vsock *vs, usec_t when);

/* --- vsock_conn.c --- */

/* vsock_conn_new() - In state @state, without ports. NULL: limit reached or no memory */
struct vsock_conn *vsock_conn_new(struct vsock *vs, enum vsock_state state);
/* vsock_conn_end() - Close everything it has and mark it DEAD */
void vsock_conn_end(struct vsock_conn *c);
struct vsock_conn *vsock_conn_find(struct vsock *vs, uint32_t guest_port, uint32_t host_port);
/* vsock_conn_from_guest() - The guest dials. Return: false when there is no room */
bool vsock_conn_from_guest(struct vsock *vs, const struct virtio_vsock_hdr *h);
/* vsock_conn_request() - The host dials @guest_port */
void vsock_conn_request(struct vsock_conn *c, uint32_t guest_port);
/* vsock_conn_accept() - The host's listener took the guest's call */
void vsock_conn_accept(struct vsock_conn *c);
/* vsock_conn_packet() - A checked packet for this connection; its payload is in @chain */
void vsock_conn_packet(struct vsock_conn *c, const struct virtio_vsock_hdr *h,
		       const struct virtq_chain *chain);
/* vsock_conn_ready() - Queue for a turn if there is anything for the guest */
void vsock_conn_ready(struct vsock_conn *c);
/* vsock_conn_fill() - Write the next packet. Return: its bytes, 0: nothing to say */
uint32_t vsock_conn_fill(struct vsock_conn *c, const struct virtq_chain *chain);
/* vsock_conn_forwarded() - @n bytes more have gone to the host (or nowhere) */
void vsock_conn_forwarded(struct vsock_conn *c, size_t n);
/* vsock_conn_settle() - Something was shut, flushed or lost: what follows? */
void vsock_conn_settle(struct vsock_conn *c);
/* vsock_conn_reset() - Drop the host side; the guest gets RST if it knows of us */
void vsock_conn_reset(struct vsock_conn *c);
/* vsock_conn_guest_gone() - The guest forgot it: deliver what it sent, then end */
void vsock_conn_guest_gone(struct vsock_conn *c);
/* vsock_conn_expire() - Its deadline passed */
void vsock_conn_expire(struct vsock_conn *c);
/* vsock_conn_set_deadline() - @after from now, stretched under emulation */
void vsock_conn_set_deadline(struct vsock_conn *c, usec_t after);

/* --- vsock_host.c --- */

int vsock_host_listen(struct vsock *vs, struct coffer_error *err);
/* vsock_host_listen_again() - The listener was left alone for want of descriptors */
void vsock_host_listen_again(struct vsock *vs);
/* vsock_host_dial() - Connect to the listener of c->host_port */
void vsock_host_dial(struct vsock_conn *c);
/* vsock_host_greet() - Send "OK <port>" */
void vsock_host_greet(struct vsock_conn *c);
/* vsock_host_read() - Into @iov. Return: bytes, 0: nothing now (c->eof says if ever) */
size_t vsock_host_read(struct vsock_conn *c, struct iovec *iov, unsigned n);
/* vsock_host_write() - @len bytes from @iov; buffers what has no room. Return: 0, -ENOMEM */
int vsock_host_write(struct vsock_conn *c, struct iovec *iov, unsigned n, size_t len);
/* vsock_host_shut() - Carry the guest's SHUTDOWN over to the socket */
void vsock_host_shut(struct vsock_conn *c, unsigned directions);
/* vsock_host_close() - Close the socket and drop its buffer */
void vsock_host_close(struct vsock_conn *c);

#endif /* VIRTIO_VSOCK_INTERNAL_H */
