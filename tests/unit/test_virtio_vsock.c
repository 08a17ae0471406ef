/* SPDX-License-Identifier: Apache-2.0 */
/* The socket device: dialling, data, credit, ends of a connection, many at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vsock_fixture.h"

#define RCV  VIRTIO_VSOCK_SHUTDOWN_RCV
#define SEND VIRTIO_VSOCK_SHUTDOWN_SEND

static char block[FIX_TXLEN];

static void test_host_dials(void **state)
{
	struct vsock_fix *f = *state;
	struct vsock_pkt p;
	uint32_t hport;
	char line[32];
	int fd = vsock_host_call("CONNECT 1024\nearly");

	p = vsock_expect(f, VIRTIO_VSOCK_OP_REQUEST, 1024, 0);
	hport = p.h.src_port;
	assert_int_equal(p.h.buf_alloc, VSOCK_WINDOW);
	vsock_expect_nothing(f);
	vsock_send(f, VIRTIO_VSOCK_OP_RESPONSE, 1024, hport);
	snprintf(line, sizeof(line), "OK %u\n", hport);
	vsock_host_expect(fd, line);

	p = vsock_expect(f, VIRTIO_VSOCK_OP_RW, 1024, hport);
	assert_int_equal(p.h.len, 5);
	assert_memory_equal(p.data, "early", 5);
	vsock_send_data(f, 1024, hport, "answer", 6);
	vsock_host_expect(fd, "answer");
	close(fd);
}

static void test_host_line_in_pieces(void **state)
{
	struct vsock_fix *f = *state;
	int fd = vsock_host_call("CONN");

	vsock_expect_nothing(f);
	assert_int_equal(write(fd, "ECT 5", 5), 5);
	vsock_expect_nothing(f);
	assert_int_equal(write(fd, "5\n", 2), 2);
	vsock_expect(f, VIRTIO_VSOCK_OP_REQUEST, 55, 0);
	close(fd);
	vsock_expect(f, VIRTIO_VSOCK_OP_RST, 55, 0);
	assert_int_equal(vsock_fix_vs(f)->nconns, 0);
}

static void test_guest_refuses(void **state)
{
	struct vsock_fix *f = *state;
	int fd = vsock_host_call("CONNECT 9\n");
	uint32_t hport = vsock_expect(f, VIRTIO_VSOCK_OP_REQUEST, 9, 0).h.src_port;

	vsock_send(f, VIRTIO_VSOCK_OP_RST, 9, hport);
	assert_int_equal(vsock_host_get(fd, block, 1), 0);
	vsock_expect_nothing(f);
	assert_int_equal(vsock_fix_vs(f)->nconns, 0);
	close(fd);
}

static void test_host_bad_lines(void **state)
{
	static const char *const lines[] = {
		"\n", "CONNECT\n", "CONNECT \n", "CONNECT x\n", "CONNECT 1 \n", "CONNECT -1\n",
		"CONNECT 4294967295\n", "CONNECT 99999999999999999999999\n", "connect 1\n",
		"CONNECT 000000000000000000000000000000000000000001\n",
	};
	struct vsock_fix *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		int fd = vsock_host_call(lines[i]);

		vsock_expect_nothing(f);
		assert_in_range(vsock_host_get(fd, block, 1) + ECONNRESET, 0, ECONNRESET);
		assert_int_equal(vsock_fix_vs(f)->nconns, 0);
		close(fd);
	}
}

static void test_guest_dials(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80), fd;
	struct vsock_pkt p;

	fd = vsock_guest_dials(f, listener, 1000, 80);
	vsock_send_data(f, 1000, 80, "hello", 5);
	vsock_host_expect(fd, "hello");
	assert_int_equal(write(fd, "there", 5), 5);
	p = vsock_expect(f, VIRTIO_VSOCK_OP_RW, 1000, 80);
	assert_memory_equal(p.data, "there", 5);
	assert_int_equal(p.h.fwd_cnt, 5);
	close(fd);
	close(listener);
}

static void test_guest_dials_nobody(void **state)
{
	struct vsock_fix *f = *state;

	vsock_send(f, VIRTIO_VSOCK_OP_REQUEST, 1000, 80);
	vsock_expect(f, VIRTIO_VSOCK_OP_RST, 1000, 80);
	assert_int_equal(vsock_fix_vs(f)->nconns, 0);
}

/* A listener without room is tried again until it has some. */
static void test_guest_dials_full_listener(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80), first;

	assert_int_equal(listen(listener, 0), 0);
	vsock_send(f, VIRTIO_VSOCK_OP_REQUEST, 1, 80);
	vsock_expect(f, VIRTIO_VSOCK_OP_RESPONSE, 1, 80);
	vsock_send(f, VIRTIO_VSOCK_OP_REQUEST, 2, 80);
	vsock_expect_nothing(f);
	first = vsock_host_accept_from(listener);
	usleep(20000);
	vsock_expect(f, VIRTIO_VSOCK_OP_RESPONSE, 2, 80);
	close(vsock_host_accept_from(listener));
	close(first);
	close(listener);
}

static void test_host_half_close(void **state)
{
	struct vsock_fix *f = *state;
	uint32_t hport;
	int fd = vsock_host_dials(f, 50, &hport);
	struct vsock_pkt p;

	assert_int_equal(write(fd, "last", 4), 4);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	vsock_expect(f, VIRTIO_VSOCK_OP_RW, 50, hport);
	p = vsock_expect(f, VIRTIO_VSOCK_OP_SHUTDOWN, 50, hport);
	assert_int_equal(p.h.flags, SEND);
	/* The other direction lives on, ... */
	vsock_send_data(f, 50, hport, "still", 5);
	vsock_host_expect(fd, "still");
	/* ... until the guest ends it too; then the pair is over. */
	vsock_send_shutdown(f, 50, hport, SEND);
	assert_int_equal(vsock_host_get(fd, block, 1), 0);
	p = vsock_expect(f, VIRTIO_VSOCK_OP_SHUTDOWN, 50, hport);
	assert_int_equal(p.h.flags, RCV | SEND);
	vsock_send(f, VIRTIO_VSOCK_OP_RST, 50, hport);
	assert_int_equal(vsock_fix_vs(f)->nconns, 0);
	close(fd);
}

static void test_guest_half_close(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80), fd = vsock_guest_dials(f, listener, 1, 80);

	vsock_send_data(f, 1, 80, "end", 3);
	vsock_send_shutdown(f, 1, 80, SEND);
	vsock_host_expect(fd, "end");
	assert_int_equal(vsock_host_get(fd, block, 1), 0);
	assert_int_equal(write(fd, "more", 4), 4);
	vsock_expect(f, VIRTIO_VSOCK_OP_RW, 1, 80);
	/* Now it does not want to read either. */
	vsock_send_shutdown(f, 1, 80, RCV);
	vsock_expect(f, VIRTIO_VSOCK_OP_RST, 1, 80);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(vsock_fix_vs(f)->nconns, 0);
	close(fd);
	close(listener);
}

static void test_guest_stops_reading(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80), fd = vsock_guest_dials(f, listener, 1, 80);

	vsock_send_shutdown(f, 1, 80, RCV);
	vsock_expect_nothing(f);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	vsock_send_data(f, 1, 80, "talks", 5);
	vsock_host_expect(fd, "talks");
	close(fd);
	assert_int_equal(vsock_expect(f, VIRTIO_VSOCK_OP_SHUTDOWN, 1, 80).h.flags, RCV | SEND);
	close(listener);
}

static void test_host_closes(void **state)
{
	struct vsock_fix *f = *state;
	uint32_t hport;
	int fd = vsock_host_dials(f, 50, &hport);

	/* All that was written comes first. */
	assert_int_equal(write(fd, "last", 4), 4);
	close(fd);
	vsock_expect(f, VIRTIO_VSOCK_OP_RW, 50, hport);
	assert_int_equal(vsock_expect(f, VIRTIO_VSOCK_OP_SHUTDOWN, 50, hport).h.flags, RCV | SEND);
	/* Data that crosses with it is dropped without harm. */
	vsock_send_data(f, 50, hport, "late", 4);
	vsock_expect_nothing(f);
	assert_int_equal(vsock_fix_vs(f)->nconns, 1);
	vsock_send(f, VIRTIO_VSOCK_OP_RST, 50, hport);
	vsock_expect_nothing(f);
	assert_int_equal(vsock_fix_vs(f)->nconns, 0);
}

/* A host that reads no more but does not close tells by its socket's error. */
static void test_host_stops_reading(void **state)
{
	struct vsock_fix *f = *state;
	uint32_t hport;
	int fd = vsock_host_dials(f, 50, &hport);

	assert_int_equal(shutdown(fd, SHUT_RD), 0);
	vsock_send_data(f, 50, hport, "x", 1);
	assert_int_equal(vsock_expect(f, VIRTIO_VSOCK_OP_SHUTDOWN, 50, hport).h.flags, RCV);
	assert_int_equal(write(fd, "up", 2), 2);
	vsock_expect(f, VIRTIO_VSOCK_OP_RW, 50, hport);
	close(fd);
	assert_int_equal(vsock_expect(f, VIRTIO_VSOCK_OP_SHUTDOWN, 50, hport).h.flags, RCV | SEND);
}

static void expire(struct vsock_fix *f, uint32_t guest_port, uint32_t host_port)
{
	struct vsock_conn *c = vsock_conn_find(vsock_fix_vs(f), guest_port, host_port);

	assert_non_null(c);
	assert_in_range(deadline_left(c->deadline), 1, 11 * USEC_PER_SEC);
	c->deadline = clock_now();
	vsock_timer_at(c->vs, c->deadline);
	usleep(2000);
	vsock_step(f);
}

static void test_close_is_not_answered(void **state)
{
	struct vsock_fix *f = *state;
	uint32_t hport;
	int fd = vsock_host_dials(f, 50, &hport);

	close(fd);
	vsock_expect(f, VIRTIO_VSOCK_OP_SHUTDOWN, 50, hport);
	expire(f, 50, hport);
	vsock_expect(f, VIRTIO_VSOCK_OP_RST, 50, hport);
	assert_int_equal(vsock_fix_vs(f)->nconns, 0);
}

static void test_request_is_not_answered(void **state)
{
	struct vsock_fix *f = *state;
	int fd = vsock_host_call("CONNECT 3\n");
	uint32_t hport = vsock_expect(f, VIRTIO_VSOCK_OP_REQUEST, 3, 0).h.src_port;

	expire(f, 3, hport);
	vsock_expect(f, VIRTIO_VSOCK_OP_RST, 3, hport);
	assert_int_equal(vsock_host_get(fd, block, 1), 0);
	close(fd);
}

static void test_line_never_ends(void **state)
{
	struct vsock_fix *f = *state;
	int fd = vsock_host_call("CONNECT 3");
	struct vsock_conn *c;

	vsock_step(f);
	c = LIST_FIRST(&vsock_fix_vs(f)->all);
	assert_in_range(deadline_left(c->deadline), 1, 10 * USEC_PER_SEC);
	c->deadline = clock_now();
	vsock_timer_at(c->vs, c->deadline);
	usleep(2000);
	vsock_step(f);
	assert_int_equal(vsock_fix_vs(f)->nconns, 0);
	close(fd);
}

/* Fill the pipe to the host until the device has to keep bytes. Return: bytes sent */
static size_t fill_host(struct vsock_fix *f, uint32_t guest_port, uint32_t host_port)
{
	struct vsock_conn *c = vsock_conn_find(vsock_fix_vs(f), guest_port, host_port);
	struct vsock_pkt p;
	size_t sent = 0;

	while (c->rx_cnt - c->fwd_cnt + FIX_TXLEN <= VSOCK_WINDOW) {
		vsock_send_data(f, guest_port, host_port, block, FIX_TXLEN);
		sent += FIX_TXLEN;
		while (vsock_receive(f, &p))
			assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	}
	assert_true(c->out.len > 0);
	return sent;
}

static size_t drain_host(struct vsock_fix *f, int fd)
{
	static char buf[65536];
	size_t got = 0;
	ssize_t n;

	while ((n = vsock_host_get(fd, buf, sizeof(buf))) > 0) {
		got += (size_t)n;
		vsock_step(f);
	}
	return got;
}

static void test_slow_host_reader(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80), slow = vsock_guest_dials(f, listener, 1, 80),
	    other = vsock_guest_dials(f, listener, 2, 80);
	struct vsock_conn *c = vsock_conn_find(vsock_fix_vs(f), 1, 80);
	size_t sent = fill_host(f, 1, 80);

	/* Nobody else waits for it. */
	vsock_send_data(f, 2, 80, "fast", 4);
	vsock_host_expect(other, "fast");
	vsock_expect_nothing(f);
	/* When it reads, all comes and the guest hears of the room. */
	assert_int_equal(drain_host(f, slow), sent);
	vsock_expect(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 1, 80);
	assert_int_equal(c->out.len, 0);
	assert_null(c->out.mem);
	assert_int_equal(c->fwd_cnt, sent);
	close(slow);
	close(other);
	close(listener);
}

static void test_guest_ignores_credit(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80), fd = vsock_guest_dials(f, listener, 1, 80);

	fill_host(f, 1, 80);
	vsock_send_data(f, 1, 80, block, FIX_TXLEN);
	vsock_expect(f, VIRTIO_VSOCK_OP_RST, 1, 80);
	assert_int_equal(vsock_fix_vs(f)->nconns, 0);
	close(fd);
	close(listener);
}

/* Whatever way the guest leaves, its last bytes arrive. */
static void test_last_bytes_arrive(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80);

	for (unsigned way = 0; way < 3; way++) {
		int fd = vsock_guest_dials(f, listener, 1, 80);
		size_t sent = fill_host(f, 1, 80);

		if (way == 0)
			vsock_send_shutdown(f, 1, 80, RCV | SEND);
		else if (way == 1)
			vsock_send(f, VIRTIO_VSOCK_OP_RST, 1, 80);
		else
			f->dev->ops->reset(f->dev);
		vsock_expect_nothing(f);
		assert_int_equal(vsock_fix_vs(f)->nconns, 1);
		assert_int_equal(drain_host(f, fd), sent);
		assert_int_equal(vsock_host_get(fd, block, 1), 0);
		if (way == 0)
			vsock_expect(f, VIRTIO_VSOCK_OP_RST, 1, 80);
		vsock_expect_nothing(f);
		assert_int_equal(vsock_fix_vs(f)->nconns, 0);
		close(fd);
	}
	close(listener);
}

static void test_host_leaves_with_bytes_waiting(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80), fd = vsock_guest_dials(f, listener, 1, 80);

	fill_host(f, 1, 80);
	close(fd);
	assert_int_equal(vsock_expect(f, VIRTIO_VSOCK_OP_SHUTDOWN, 1, 80).h.flags & RCV, RCV);
	vsock_send(f, VIRTIO_VSOCK_OP_RST, 1, 80);
	assert_int_equal(vsock_fix_vs(f)->nconns, 0);
	close(listener);
}

/* Towards the guest nothing is kept: without credit the bytes stay in the host's socket. */
static void test_guest_credit(void **state)
{
	struct vsock_fix *f = *state;
	uint32_t hport, got = 0;
	struct vsock_pkt p;
	int fd;

	f->alloc = 10000;
	fd = vsock_host_dials(f, 50, &hport);
	assert_int_equal(write(fd, block, 25000), 25000);
	while (vsock_receive(f, &p))
		got += p.h.len;
	assert_int_equal(got, 10000);
	f->fwd = 9000;
	vsock_send(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 50, hport);
	while (vsock_receive(f, &p))
		got += p.h.len;
	assert_int_equal(got, 19000);
	/* Room that shrinks, or a count that never was, is no room. */
	f->alloc = 5;
	vsock_send(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 50, hport);
	f->fwd = 30000;
	f->alloc = UINT32_MAX;
	vsock_send(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 50, hport);
	f->fwd = 19000;
	f->alloc = 10000;
	vsock_send(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 50, hport);
	while (vsock_receive(f, &p))
		got += p.h.len;
	assert_int_equal(got, 25000);
	close(fd);
}

static void test_credit_request(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80), fd = vsock_guest_dials(f, listener, 1, 80);
	struct vsock_pkt p;

	vsock_send_data(f, 1, 80, "12345", 5);
	vsock_send(f, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 1, 80);
	p = vsock_expect(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 1, 80);
	assert_int_equal(p.h.fwd_cnt, 5);
	assert_int_equal(p.h.buf_alloc, VSOCK_WINDOW);
	close(fd);
	close(listener);
}

static void test_no_rx_buffers(void **state)
{
	struct vsock_fix *f = *state;
	struct vsock_pkt p;
	uint32_t hport, got = 0;
	int fd = vsock_host_dials(f, 50, &hport);

	f->refill = false;
	for (unsigned i = 0; i < FIX_RX; i++) {
		vsock_send(f, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 50, hport);
		assert_true(vsock_receive(f, &p));
	}
	assert_int_equal(write(fd, block, 10000), 10000);
	vsock_expect_nothing(f);
	for (unsigned i = 0; i < 3; i++)
		vsock_fix_offer(f, i);
	vsock_fix_kick(f, VSOCK_QUEUE_RX);
	while (vsock_receive(f, &p))
		got += p.h.len;
	assert_int_equal(got, 10000);
	close(fd);
}

static void test_queues_stop_and_go(void **state)
{
	struct vsock_fix *f = *state;
	uint32_t hport;
	int fd = vsock_host_dials(f, 50, &hport);
	struct virtqueue_areas areas = guest_ring_areas(&f->rx);

	vsock_fix_stop(f);
	assert_int_equal(write(fd, "paused", 6), 6);
	vsock_expect_nothing(f);
	assert_int_equal(virtqueue_start(&f->q[0], &f->g.map, FIX_RX, &areas, f->q[0].last_avail,
					 NULL), 0);
	f->dev->queues[0] = &f->q[0];
	f->dev->ops->queue_start(f->dev, 0);
	vsock_expect(f, VIRTIO_VSOCK_OP_RW, 50, hport);
	f->dev->queues[1] = &f->q[1];
	close(fd);
}

static void test_reset(void **state)
{
	struct vsock_fix *f = *state;
	uint32_t hport;
	int fd = vsock_host_dials(f, 50, &hport), early = vsock_host_call("CONN");

	vsock_step(f);
	vsock_fix_stop(f);
	f->dev->ops->reset(f->dev);
	vsock_step(f);
	assert_int_equal(vsock_host_get(fd, block, 1), 0);
	/* A caller that has not said where to is none of the guest's business. */
	assert_int_equal(vsock_fix_vs(f)->nconns, 1);
	vsock_fix_start(f);
	assert_int_equal(write(early, "ECT 1\n", 6), 6);
	vsock_expect(f, VIRTIO_VSOCK_OP_REQUEST, 1, 0);
	close(early);
	close(fd);
}

static void test_three_hundred(void **state)
{
	enum { N = 300 };
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80), fds[N];
	uint32_t hports[N];
	char text[16];

	for (unsigned i = 0; i < N; i++)
		fds[i] = i & 1 ? vsock_guest_dials(f, listener, 1000 + i, hports[i] = 80) :
				 vsock_host_dials(f, 1000 + i, &hports[i]);
	assert_int_equal(vsock_fix_vs(f)->nconns, N);
	for (unsigned i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "to %u", i);
		vsock_send_data(f, 1000 + i, hports[i], text, strlen(text));
		assert_int_equal(write(fds[i], text, strlen(text)), strlen(text));
	}
	for (unsigned i = 0; i < N; i++) {
		struct vsock_pkt p;

		snprintf(text, sizeof(text), "to %u", i);
		vsock_host_expect(fds[i], text);
		p = vsock_expect(f, VIRTIO_VSOCK_OP_RW, 0, 0);
		snprintf(text, sizeof(text), "to %u", p.h.dst_port - 1000);
		assert_memory_equal(p.data, text, p.h.len);
	}
	for (unsigned i = 0; i < N; i++) {
		close(fds[i]);
		vsock_expect(f, VIRTIO_VSOCK_OP_SHUTDOWN, 1000 + i, hports[i]);
		vsock_send(f, VIRTIO_VSOCK_OP_RST, 1000 + i, hports[i]);
	}
	assert_int_equal(vsock_fix_vs(f)->nconns, 0);
	close(listener);
}

/* Two that have much to say get their turns alike. */
static void test_fair_turns(void **state)
{
	struct vsock_fix *f = *state;
	uint32_t a, b, from_a = 0, from_b = 0;
	int fda = vsock_host_dials(f, 1, &a), fdb = vsock_host_dials(f, 2, &b);
	struct vsock_pkt p;

	f->refill = false;
	vsock_fix_stop(f);
	assert_true(write(fda, block, sizeof(block)) > 0 && write(fda, block, sizeof(block)) > 0);
	assert_true(write(fdb, block, sizeof(block)) > 0 && write(fdb, block, sizeof(block)) > 0);
	vsock_step(f);
	vsock_fix_start(f);
	while (vsock_receive(f, &p))
		*(p.h.dst_port == 1 ? &from_a : &from_b) += p.h.len;
	assert_int_equal(from_a, from_b);
	assert_true(from_a > 0);
	close(fda);
	close(fdb);
}

static void test_connection_limit(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80), fds[400], extra;

	for (unsigned i = 0; i < 400; i++)
		fds[i] = vsock_guest_dials(f, listener, 1 + i, 80);
	vsock_send(f, VIRTIO_VSOCK_OP_REQUEST, 9999, 80);
	vsock_expect(f, VIRTIO_VSOCK_OP_RST, 9999, 80);
	extra = vsock_host_call("CONNECT 1\n");
	vsock_expect_nothing(f);
	assert_true(vsock_host_get(extra, block, 1) <= 0);
	close(extra);
	for (unsigned i = 0; i < 400; i++)
		close(fds[i]);
	close(listener);
}

static void test_new_refuses(void **state)
{
	struct vsock_args args = { .guest_cid = 2, .listen_fd = -1, .name = "vs" };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct vsock_fix *f = *state;
	struct virtio_device *dev;
	uint64_t cid = 0;

	assert_int_equal(vsock_new(f->loop, &args, &dev, &err), -EINVAL);
	assert_string_equal(err.message, "vsock device: guest CID 2 is reserved");
	args.guest_cid = 3;
	args.name = "a-name-that-is-so-long-that-it-leaves-no-room-for-a-port-behind-it-in-the-"
		    "address-of-a-unix-socket";
	assert_int_equal(vsock_new(f->loop, &args, &dev, &err), -ENAMETOOLONG);

	assert_int_equal(f->dev->ops->read_config(f->dev, 0, &cid, 8), 0);
	assert_int_equal(cid, FIX_CID);
	assert_int_equal(f->dev->ops->read_config(f->dev, 1, &cid, 8), -EINVAL);
	assert_int_equal(f->dev->ops->read_config(f->dev, UINT32_MAX, &cid, 2), -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, vsock_fix_setup, vsock_fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_host_dials), T(test_host_line_in_pieces), T(test_guest_refuses),
		T(test_host_bad_lines), T(test_guest_dials), T(test_guest_dials_nobody),
		T(test_guest_dials_full_listener), T(test_host_half_close),
		T(test_guest_half_close), T(test_guest_stops_reading), T(test_host_closes),
		T(test_host_stops_reading), T(test_close_is_not_answered),
		T(test_request_is_not_answered), T(test_line_never_ends), T(test_slow_host_reader),
		T(test_guest_ignores_credit), T(test_last_bytes_arrive),
		T(test_host_leaves_with_bytes_waiting), T(test_guest_credit),
		T(test_credit_request), T(test_no_rx_buffers), T(test_queues_stop_and_go),
		T(test_reset), T(test_three_hundred), T(test_fair_turns), T(test_connection_limit),
		T(test_new_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
