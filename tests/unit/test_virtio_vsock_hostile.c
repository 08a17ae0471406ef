/* SPDX-License-Identifier: Apache-2.0 */
/* The socket device against a guest that breaks its rules: answered with RST, or a stopped queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vsock_fixture.h"

static char block[FIX_TXLEN];

/* A header that is wrong in one place gets a RST that mirrors its addresses. */
static void test_wrong_headers(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80);
	const struct virtio_vsock_hdr good = vsock_header(f, VIRTIO_VSOCK_OP_REQUEST, 1, 80);
	struct virtio_vsock_hdr bad[8];
	struct vsock_pkt p;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		bad[i] = good;
	bad[0].src_cid = FIX_CID + 1;
	bad[1].src_cid = VSOCK_HOST_CID;
	bad[2].dst_cid = 1;
	bad[3].dst_cid = UINT64_MAX;
	bad[4].type = VIRTIO_VSOCK_TYPE_SEQPACKET;
	bad[5].type = 0;
	bad[6].len = 1; /* more than the chain holds */
	bad[7].len = UINT32_MAX;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		vsock_send_raw(f, &bad[i], NULL, 0);
		assert_true(vsock_receive(f, &p));
		assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_RST);
		assert_int_equal(p.h.src_cid, bad[i].dst_cid);
		assert_int_equal(p.h.dst_cid, bad[i].src_cid);
		assert_int_equal(p.h.src_port, 80);
		assert_int_equal(p.h.dst_port, 1);
		assert_int_equal(p.h.type, bad[i].type);
		/* A RST is never answered. */
		bad[i].op = VIRTIO_VSOCK_OP_RST;
		vsock_send_raw(f, &bad[i], NULL, 0);
		vsock_expect_nothing(f);
	}
	assert_int_equal(vsock_fix_vs(f)->nconns, 0);
	close(listener);
}

static void test_payload_where_none_belongs(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80);
	struct virtio_vsock_hdr h = vsock_header(f, VIRTIO_VSOCK_OP_REQUEST, 1, 80);

	h.len = 4;
	vsock_send_raw(f, &h, "data", 4);
	vsock_expect(f, VIRTIO_VSOCK_OP_RST, 1, 80);
	assert_int_equal(vsock_fix_vs(f)->nconns, 0);
	close(listener);
}

static void test_unknown_pairs(void **state)
{
	static const uint16_t ops[] = {
		0, VIRTIO_VSOCK_OP_RESPONSE, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_OP_RW,
		VIRTIO_VSOCK_OP_CREDIT_UPDATE, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 8, 65535,
	};
	struct vsock_fix *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		vsock_send(f, ops[i], 5, 6);
		vsock_expect(f, VIRTIO_VSOCK_OP_RST, 5, 6);
	}
	vsock_send(f, VIRTIO_VSOCK_OP_RST, 5, 6);
	vsock_expect_nothing(f);
}

/* A packet that the state does not allow resets the connection, on both sides. */
static void test_wrong_order(void **state)
{
	static const uint16_t ops[] = { 0, VIRTIO_VSOCK_OP_REQUEST, VIRTIO_VSOCK_OP_RESPONSE, 8,
					65535 };
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80);

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		int fd = vsock_guest_dials(f, listener, 1, 80);

		vsock_send(f, ops[i], 1, 80);
		vsock_expect(f, VIRTIO_VSOCK_OP_RST, 1, 80);
		assert_int_equal(vsock_host_get(fd, block, 1), 0);
		assert_int_equal(vsock_fix_vs(f)->nconns, 0);
		close(fd);
	}
	close(listener);
}

static void test_data_before_response(void **state)
{
	static const uint16_t ops[] = { VIRTIO_VSOCK_OP_RW, VIRTIO_VSOCK_OP_SHUTDOWN,
					VIRTIO_VSOCK_OP_CREDIT_UPDATE };
	struct vsock_fix *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		int fd = vsock_host_call("CONNECT 4\n");
		uint32_t hport = vsock_expect(f, VIRTIO_VSOCK_OP_REQUEST, 4, 0).h.src_port;

		vsock_send(f, ops[i], 4, hport);
		vsock_expect(f, VIRTIO_VSOCK_OP_RST, 4, hport);
		assert_int_equal(vsock_host_get(fd, block, 1), 0);
		close(fd);
	}
}

static void test_data_after_shutdown(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80), fd = vsock_guest_dials(f, listener, 1, 80);

	vsock_send_shutdown(f, 1, 80, VIRTIO_VSOCK_SHUTDOWN_SEND);
	vsock_send_data(f, 1, 80, "x", 1);
	vsock_expect(f, VIRTIO_VSOCK_OP_RST, 1, 80);
	assert_int_equal(vsock_host_get(fd, block, 1), 0);
	close(fd);
	close(listener);
}

static void test_empty_data_and_flags(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80), fd = vsock_guest_dials(f, listener, 1, 80);

	vsock_send(f, VIRTIO_VSOCK_OP_RW, 1, 80);
	vsock_send_shutdown(f, 1, 80, 0);
	vsock_send_shutdown(f, 1, 80, ~(uint32_t)VSOCK_SHUT_BOTH);
	vsock_expect_nothing(f);
	vsock_send_data(f, 1, 80, "fine", 4);
	vsock_host_expect(fd, "fine");
	close(fd);
	close(listener);
}

static void test_short_packet_breaks_tx(void **state)
{
	struct vsock_fix *f = *state;

	guest_desc(&f->tx, 0, f->tx_at, 43, 0, 0);
	guest_offer(&f->tx, 0);
	vsock_fix_kick(f, VSOCK_QUEUE_TX);
	assert_true(f->q[VSOCK_QUEUE_TX].broken);
	assert_string_equal(f->q[VSOCK_QUEUE_TX].why, "packet of 43 bytes");
	/* The other queue works on. */
	close(vsock_host_call("CONNECT 4\n"));
	vsock_step(f);
}

static void test_scattered_header(void **state)
{
	struct vsock_fix *f = *state;
	struct virtio_vsock_hdr h = vsock_header(f, VIRTIO_VSOCK_OP_REQUEST, 1, 80);

	memcpy(guest_ptr(&f->g, f->tx_at), &h, sizeof(h));
	for (unsigned i = 0; i < 11; i++)
		guest_desc(&f->tx, i, f->tx_at + 4 * i, 4, i < 10 ? VRING_DESC_F_NEXT : 0, i + 1);
	guest_offer(&f->tx, 0);
	vsock_fix_kick(f, VSOCK_QUEUE_TX);
	vsock_expect(f, VIRTIO_VSOCK_OP_RST, 1, 80);
}

static void test_small_rx_buffer_breaks_rx(void **state)
{
	struct vsock_fix *f = *state;

	for (unsigned i = 0; i < FIX_RX; i++)
		f->rx.desc[i].len = 44;
	vsock_send(f, VIRTIO_VSOCK_OP_REQUEST, 1, 80);
	assert_true(f->q[VSOCK_QUEUE_RX].broken);
	assert_string_equal(f->q[VSOCK_QUEUE_RX].why, "buffer of 44 bytes");
}

/* Without RX buffers the answers pile up to a bound; then TX stands still, and goes on after. */
static void test_flood_without_reading(void **state)
{
	enum { FLOOD = 300 };
	struct vsock_fix *f = *state;
	struct virtio_vsock_hdr h = vsock_header(f, VIRTIO_VSOCK_OP_RW, 1, 80);
	struct vring_used_elem e;
	struct vsock_pkt p;
	unsigned taken = 0, resets = 0;

	f->refill = false;
	memcpy(guest_ptr(&f->g, f->tx_at), &h, sizeof(h));
	for (unsigned i = 0; i < 16; i++)
		guest_desc(&f->tx, i, f->tx_at, sizeof(h), 0, 0);
	for (unsigned i = 0; i < FLOOD; i++) {
		guest_offer(&f->tx, i % 16);
		vsock_fix_kick(f, VSOCK_QUEUE_TX);
		if (!guest_take(&f->tx, &e))
			break;
		taken++;
	}
	assert_int_equal(taken, FIX_RX + VSOCK_REPLIES);
	assert_false(f->q[VSOCK_QUEUE_TX].broken);
	f->refill = true;
	while (vsock_receive(f, &p)) {
		assert_int_equal(p.h.op, VIRTIO_VSOCK_OP_RST);
		resets++;
	}
	/* The first buffers were used up without being given back. */
	for (unsigned i = 0; i < FIX_RX; i++)
		vsock_fix_offer(f, i);
	vsock_fix_kick(f, VSOCK_QUEUE_RX);
	while (vsock_receive(f, &p))
		resets++;
	assert_int_equal(resets, taken + 1);
	assert_true(guest_take(&f->tx, &e));
}

/* Bytes behind the announced length are none of the connection's. */
static void test_chain_longer_than_length(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80), fd = vsock_guest_dials(f, listener, 1, 80);
	struct virtio_vsock_hdr h = vsock_header(f, VIRTIO_VSOCK_OP_RW, 1, 80);

	h.len = 3;
	vsock_send_raw(f, &h, "abcdef", 6);
	vsock_host_expect(fd, "abc");
	close(fd);
	close(listener);
}

/* Packets for a pair whose RST could not be sent yet are swallowed. */
static void test_reset_waits_for_buffer(void **state)
{
	struct vsock_fix *f = *state;
	int listener = vsock_host_listener_at(80), fd = vsock_guest_dials(f, listener, 1, 80);
	struct vsock_pkt p;

	f->refill = false;
	for (unsigned i = 0; i < FIX_RX; i++) {
		vsock_send(f, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 1, 80);
		assert_true(vsock_receive(f, &p));
	}
	vsock_send(f, VIRTIO_VSOCK_OP_RESPONSE, 1, 80);
	assert_int_equal(vsock_host_get(fd, block, 1), 0);
	vsock_send_data(f, 1, 80, "x", 1);
	vsock_send(f, VIRTIO_VSOCK_OP_REQUEST, 1, 80);
	assert_int_equal(vsock_fix_vs(f)->nconns, 1);
	vsock_fix_offer(f, 0);
	vsock_fix_kick(f, VSOCK_QUEUE_RX);
	vsock_expect(f, VIRTIO_VSOCK_OP_RST, 1, 80);
	assert_int_equal(vsock_fix_vs(f)->nconns, 0);
	close(fd);
	close(listener);
}

#define T(name) cmocka_unit_test_setup_teardown(name, vsock_fix_setup, vsock_fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_wrong_headers), T(test_payload_where_none_belongs), T(test_unknown_pairs),
		T(test_wrong_order), T(test_data_before_response), T(test_data_after_shutdown),
		T(test_empty_data_and_flags), T(test_short_packet_breaks_tx),
		T(test_scattered_header), T(test_small_rx_buffer_breaks_rx),
		T(test_flood_without_reading), T(test_chain_longer_than_length),
		T(test_reset_waits_for_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
