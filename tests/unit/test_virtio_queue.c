/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory and the virtqueue engine: the good path, and every lie a driver can tell. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/time.h>

#include <cmocka.h>

#include "virtio_guest.h"

#define RAM  (UINT64_C(64) << 20)
#define SIZE 16

struct fixture {
	struct guest g;
	struct guest_ring r;
	struct virtqueue q;
	uint64_t buf; /* 64 KiB */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(guest_init(&f->g, RAM), 0);
	guest_ring_init(&f->r, &f->g, SIZE);
	f->buf = guest_alloc(&f->g, 65536);
	f->q.call_fd = eventfd(0, EFD_NONBLOCK);
	f->q.err_fd = eventfd(0, EFD_NONBLOCK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->q.call_fd);
	close(f->q.err_fd);
	guest_end(&f->g);
	free(f);
	return 0;
}

static void start(struct fixture *f, bool event_idx, uint16_t at)
{
	struct virtqueue_areas areas = guest_ring_areas(&f->r);

	guest_ring_reset(&f->r, at);
	f->q.event_idx = event_idx;
	assert_int_equal(virtqueue_start(&f->q, &f->g.map, SIZE, &areas, at, NULL), 0);
	/* The first interrupt is unconditional; have it behind us. */
	virtqueue_notify(&f->q);
}

static unsigned signals(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? (unsigned)n : 0;
}

static void expect_broken(struct fixture *f, const char *why)
{
	struct virtq_chain c;

	signals(f->q.err_fd);
	assert_int_equal(virtqueue_pop(&f->q, &c), -EPROTO);
	assert_true(f->q.broken);
	if (!strstr(f->q.why, why))
		fail_msg("\"%s\" instead of \"%s\"", f->q.why, why);
	assert_int_equal(signals(f->q.err_fd), 1);
	/* It stays so, and nobody is told again. */
	assert_int_equal(virtqueue_pop(&f->q, &c), -EPROTO);
	assert_false(virtqueue_want_kick(&f->q, true));
	assert_int_equal(signals(f->q.err_fd), 0);
}

static void test_memory_bounds(void **state)
{
	struct fixture *f = *state;
	struct guest_memory *m = &f->g.map;
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_ptr_equal(guest_memory_at(m, GUEST_BASE, RAM), m->regions[0].host);
	assert_non_null(guest_memory_at(m, GUEST_BASE + RAM - 1, 1));
	assert_null(guest_memory_at(m, GUEST_BASE + RAM - 1, 2));
	assert_null(guest_memory_at(m, GUEST_BASE - 1, 2));
	assert_null(guest_memory_at(m, GUEST_BASE, RAM + 1));
	assert_null(guest_memory_at(m, GUEST_BASE + 1, UINT64_MAX));
	assert_null(guest_memory_at(m, UINT64_MAX, 1));
	assert_ptr_equal(guest_memory_at_user(m, GUEST_USER + 5, 1), m->regions[0].host + 5);
	assert_null(guest_memory_at_user(m, GUEST_USER + RAM, 1));

	/* Overlaps in either address space, sizes that wrap, files that are too short. */
	assert_int_equal(guest_memory_add_fd(m, GUEST_BASE + RAM - 1, 0, 4096, f->g.memfd, 0, &err),
			 -EINVAL);
	assert_int_equal(guest_memory_add_fd(m, 0, GUEST_USER - 1, 4096, f->g.memfd, 0, &err),
			 -EINVAL);
	assert_int_equal(guest_memory_add_fd(m, 0, 0, 0, f->g.memfd, 0, &err), -EINVAL);
	assert_int_equal(guest_memory_add_fd(m, UINT64_MAX, 0, 4096, f->g.memfd, 0, &err), -EINVAL);
	assert_int_equal(guest_memory_add_fd(m, 0, 0, 4096, f->g.memfd, RAM - 4095, &err), -EINVAL);
	assert_int_equal(guest_memory_add_fd(m, 0, 0, 4096, f->g.memfd, UINT64_MAX, &err), -EINVAL);
	assert_int_equal(guest_memory_add_fd(m, 0, 0, 4096, f->q.err_fd, 0, &err), -EINVAL);
	assert_int_equal(m->nregions, 1);
}

static void test_memory_regions_stay_apart(void **state)
{
	struct fixture *f = *state;
	struct guest_memory m = { .nregions = 0 };

	for (unsigned i = 0; i < GUEST_MEMORY_REGIONS_MAX; i++)
		assert_int_equal(guest_memory_add_fd(&m, i * 8192, i * 8192, 8192, f->g.memfd,
						     100 + i * 8192, NULL), 0);
	assert_int_equal(guest_memory_add_fd(&m, RAM, RAM, 1, f->g.memfd, 0, NULL), -EINVAL);
	assert_non_null(guest_memory_at(&m, 8191, 1));
	assert_null(guest_memory_at(&m, 8191, 2));
	*(char *)guest_memory_at(&m, 8192, 1) = 'x';
	assert_int_equal(f->g.ram[100 + 8192], 'x');
	guest_memory_trim(&m);
	assert_int_equal(*(char *)guest_memory_at(&m, 8192, 1), 'x');
	guest_memory_clear(&m);
	assert_null(guest_memory_at(&m, 0, 1));
}

static void test_start_refuses(void **state)
{
	struct fixture *f = *state;
	struct virtqueue_areas good = guest_ring_areas(&f->r), bad;

	assert_int_equal(virtqueue_start(&f->q, &f->g.map, 0, &good, 0, NULL), -EINVAL);
	assert_int_equal(virtqueue_start(&f->q, &f->g.map, 12, &good, 0, NULL), -EINVAL);
	assert_int_equal(virtqueue_start(&f->q, &f->g.map, 2048, &good, 0, NULL), -EINVAL);
	bad = good;
	bad.used = NULL;
	assert_int_equal(virtqueue_start(&f->q, &f->g.map, SIZE, &bad, 0, NULL), -EINVAL);
	bad = good;
	bad.desc = (char *)bad.desc + 8;
	assert_int_equal(virtqueue_start(&f->q, &f->g.map, SIZE, &bad, 0, NULL), -EINVAL);
	bad = good;
	bad.avail = (char *)bad.avail + 1;
	assert_int_equal(virtqueue_start(&f->q, &f->g.map, SIZE, &bad, 0, NULL), -EINVAL);
}

static void test_chain_both_ways(void **state)
{
	struct fixture *f = *state;
	struct vring_used_elem e;
	struct virtq_chain c;
	struct iovec iov[VIRTQUEUE_CHAIN_MAX];
	char text[16] = { 0 };

	start(f, false, 0);
	memcpy(guest_ptr(&f->g, f->buf), "hello world", 11);
	guest_desc(&f->r, 3, f->buf, 4, VRING_DESC_F_NEXT, 7);
	guest_desc(&f->r, 7, f->buf + 4, 7, VRING_DESC_F_NEXT, 1);
	guest_desc(&f->r, 1, f->buf + 100, 3, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	guest_desc(&f->r, 2, f->buf + 200, 50, VRING_DESC_F_WRITE, 0);
	assert_int_equal(virtqueue_pop(&f->q, &c), 0);
	guest_offer(&f->r, 3);
	assert_int_equal(virtqueue_pop(&f->q, &c), 1);
	assert_int_equal(c.head, 3);
	assert_int_equal(c.nout, 2);
	assert_int_equal(c.nin, 2);
	assert_int_equal(c.out_len, 11);
	assert_int_equal(c.in_len, 53);

	assert_int_equal(virtq_chain_read(&c, 2, text, 6), 6);
	assert_string_equal(text, "llo wo");
	assert_int_equal(virtq_chain_read(&c, 9, text, 16), 2);
	assert_int_equal(virtq_chain_read(&c, 11, text, 16), 0);
	assert_int_equal(virtq_chain_write(&c, 1, "abcde", 5), 5);
	assert_memory_equal((char *)guest_ptr(&f->g, f->buf) + 101, "ab", 2);
	assert_memory_equal((char *)guest_ptr(&f->g, f->buf) + 200, "cde", 3);
	assert_int_equal(virtq_chain_slice(&c, true, 3, 10, iov), 1);
	assert_int_equal(iov[0].iov_len, 10);
	assert_int_equal(virtq_chain_slice(&c, true, 2, 1000, iov), 2);
	assert_int_equal(iov[1].iov_len, 50);

	virtqueue_unpop(&f->q);
	assert_int_equal(virtqueue_pop(&f->q, &c), 1);
	virtqueue_push(&f->q, c.head, 6);
	assert_true(guest_take(&f->r, &e));
	assert_int_equal(e.id, 3);
	assert_int_equal(e.len, 6);
	assert_false(guest_take(&f->r, &e));
}

static void test_indexes_wrap(void **state)
{
	struct fixture *f = *state;
	struct vring_used_elem e;
	struct virtq_chain c;

	start(f, true, 65530);
	for (unsigned i = 0; i < 40; i++) {
		guest_desc(&f->r, i % SIZE, f->buf, 1 + i, 0, 0);
		guest_offer(&f->r, i % SIZE);
		assert_int_equal(virtqueue_pop(&f->q, &c), 1);
		assert_int_equal(c.out_len, 1 + i);
		virtqueue_push(&f->q, c.head, i);
		assert_true(guest_take(&f->r, &e));
		assert_int_equal(e.len, i);
	}
}

static void test_indirect(void **state)
{
	struct fixture *f = *state;
	struct vring_desc *t = guest_ptr(&f->g, f->buf + 8); /* no alignment is promised */
	struct virtq_chain c;

	start(f, false, 0);
	for (unsigned i = 0; i < 100; i++)
		t[i] = (struct vring_desc){ .addr = f->buf + 4096 + i, .len = 1,
					    .flags = i < 99 ? VRING_DESC_F_NEXT : 0,
					    .next = (uint16_t)(i + 1) };
	guest_desc(&f->r, 0, f->buf, 1, VRING_DESC_F_NEXT, 1);
	guest_desc(&f->r, 1, f->buf + 8, 1600, VRING_DESC_F_INDIRECT, 0);
	guest_offer(&f->r, 0);
	assert_int_equal(virtqueue_pop(&f->q, &c), 1);
	assert_int_equal(c.nout, 101);
}

/* One descriptor table a case; what is wrong with it shows in the message. */
static void test_hostile_descriptors(void **state)
{
	struct fixture *f = *state;
	const uint64_t end = GUEST_BASE + RAM, b = f->buf;
	const unsigned next = VRING_DESC_F_NEXT, write = VRING_DESC_F_WRITE,
		       indirect = VRING_DESC_F_INDIRECT;
	const struct {
		const char *why;
		struct vring_desc d[3], table[2]; /* the latter at f->buf */
	} cases[] = {
		{ "outside memory", { { end - 1, 2, 0, 0 } } },
		{ "outside memory", { { end, 1, 0, 0 } } },
		{ "outside memory", { { 0, 1, 0, 0 } } },
		{ "outside memory", { { UINT64_MAX, 2, 0, 0 } } },
		{ "outside memory", { { b, UINT32_MAX, (uint16_t)write, 0 } } },
		{ "empty descriptor", { { b, 0, 0, 0 } } },
		{ "descriptor 16 in a table of 16", { { b, 1, (uint16_t)next, SIZE } } },
		{ "descriptor 65535", { { b, 1, (uint16_t)next, 65535 } } },
		{ "behind a writable",
		  { { b, 1, (uint16_t)(next | write), 1 }, { b, 1, 0, 0 } } },
		{ "more than 128 descriptors", { { b, 1, (uint16_t)next, 0 } } },
		{ "more than 128 descriptors",
		  { { b, 1, (uint16_t)next, 1 }, { b, 1, (uint16_t)next, 0 } } },
		{ "with a successor", { { b, 32, (uint16_t)(indirect | next), 1 } } },
		{ "indirect table of 0", { { b, 0, (uint16_t)indirect, 0 } } },
		{ "indirect table of", { { b, 24, (uint16_t)indirect, 0 } } },
		{ "outside memory", { { end - 16, 32, (uint16_t)indirect, 0 } } },
		{ "within another", { { b, 32, (uint16_t)indirect, 0 } },
		  { { b, 32, (uint16_t)indirect, 0 } } },
		{ "descriptor 2 in a table of 2", { { b, 32, (uint16_t)indirect, 0 } },
		  { { b, 1, (uint16_t)next, 2 } } },
		{ "more than 128 descriptors", { { b, 32, (uint16_t)indirect, 0 } },
		  { { b, 1, (uint16_t)next, 1 }, { b, 1, (uint16_t)next, 0 } } },
		{ "outside memory", { { b, 16, (uint16_t)indirect, 0 } }, { { end, 1, 0, 0 } } },
		{ "4 GiB", { { GUEST_BASE, RAM, (uint16_t)next, 0 } } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start(f, i & 1, (uint16_t)i);
		memcpy(guest_ptr(&f->g, b), cases[i].table, sizeof(cases[i].table));
		memcpy(f->r.desc, cases[i].d, sizeof(cases[i].d));
		guest_offer(&f->r, 0);
		expect_broken(f, cases[i].why);
	}
}

static void test_hostile_indexes(void **state)
{
	struct fixture *f = *state;
	struct virtq_chain c;

	start(f, false, 0);
	f->r.avail->idx = SIZE + 1;
	expect_broken(f, "17 ahead in a ring of 16");
	start(f, false, 5);
	f->r.avail->idx = 4;
	expect_broken(f, "65535 ahead");
	start(f, true, 0);
	guest_offer(&f->r, SIZE);
	expect_broken(f, "descriptor 16 in a table of 16");
	start(f, true, 0);
	guest_offer(&f->r, 65535);
	expect_broken(f, "descriptor 65535");

	/* A full ring is no lie, and the used index is ours whatever the guest writes there. */
	start(f, false, 0);
	for (unsigned i = 0; i < SIZE; i++) {
		guest_desc(&f->r, i, f->buf, 1, 0, 0);
		guest_offer(&f->r, i);
	}
	for (unsigned i = 0; i < SIZE; i++) {
		assert_int_equal(virtqueue_pop(&f->q, &c), 1);
		f->r.used->idx = 12345;
		virtqueue_push(&f->q, c.head, 0);
		assert_int_equal(f->r.used->idx, i + 1);
	}
	assert_int_equal(virtqueue_pop(&f->q, &c), 0);
}

static void test_interrupt_flag(void **state)
{
	struct fixture *f = *state;

	start(f, false, 0);
	signals(f->q.call_fd);
	virtqueue_notify(&f->q);
	assert_int_equal(signals(f->q.call_fd), 0);
	virtqueue_push(&f->q, 0, 0);
	virtqueue_push(&f->q, 1, 0);
	virtqueue_notify(&f->q);
	virtqueue_notify(&f->q);
	assert_int_equal(signals(f->q.call_fd), 1);
	f->r.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	virtqueue_push(&f->q, 2, 0);
	virtqueue_notify(&f->q);
	assert_int_equal(signals(f->q.call_fd), 0);
}

static void nothing(int sig)
{
}

/* A VMM that lets interrupts block is asked once: what ends the wait ends the queue. */
static void test_interrupt_blocks(void **state)
{
	const struct itimerval soon = { .it_value = { .tv_usec = 20000 } };
	const struct sigaction sa = { .sa_handler = nothing };
	const uint64_t full = UINT64_MAX - 1;
	struct fixture *f = *state;

	start(f, false, 0);
	signals(f->q.call_fd);
	assert_int_equal(write(f->q.call_fd, &full, sizeof(full)), sizeof(full));
	assert_int_equal(fcntl(f->q.call_fd, F_SETFL, 0), 0);
	assert_int_equal(sigaction(SIGALRM, &sa, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	virtqueue_push(&f->q, 0, 0);
	virtqueue_notify(&f->q);
	assert_true(f->q.broken);
	assert_string_equal(f->q.why, "interrupt: Interrupted system call");
	assert_int_equal(signals(f->q.err_fd), 1);
}

/* The file behind the memory may not become smaller under us. */
static void test_unsealed_memory(void **state)
{
	struct guest_memory m = { .nregions = 0 };
	struct coffer_error err = COFFER_ERROR_INIT;
	int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(guest_memory_add_fd(&m, 0, 0, 8192, fd, 0, &err), -EINVAL);
	assert_non_null(strstr(err.message, "not sealed"));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(guest_memory_add_fd(&m, 0, 0, 8192, fd, 0, &err), 0);
	guest_memory_clear(&m);
	close(fd);
}

static void test_interrupt_event(void **state)
{
	struct fixture *f = *state;
	uint16_t *used_event = &f->r.avail->ring[SIZE];

	start(f, true, 65534);
	signals(f->q.call_fd);
	/* "Wake me when entry 65535 has been used": not after 65534, ... */
	*used_event = 65535;
	virtqueue_push(&f->q, 0, 0);
	virtqueue_notify(&f->q);
	assert_int_equal(signals(f->q.call_fd), 0);
	/* ... but after it, and once. */
	virtqueue_push(&f->q, 0, 0);
	virtqueue_push(&f->q, 0, 0);
	virtqueue_notify(&f->q);
	assert_int_equal(signals(f->q.call_fd), 1);
	virtqueue_push(&f->q, 0, 0);
	virtqueue_notify(&f->q);
	assert_int_equal(signals(f->q.call_fd), 0);
	/* The flag means nothing then. */
	*used_event = f->r.used->idx;
	f->r.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	virtqueue_push(&f->q, 0, 0);
	virtqueue_notify(&f->q);
	assert_int_equal(signals(f->q.call_fd), 1);
}

static void test_first_interrupt_comes_anyway(void **state)
{
	struct fixture *f = *state;
	struct virtqueue_areas areas = guest_ring_areas(&f->r);

	guest_ring_reset(&f->r, 9);
	f->r.avail->ring[SIZE] = 100;
	f->q.event_idx = true;
	assert_int_equal(virtqueue_start(&f->q, &f->g.map, SIZE, &areas, 9, NULL), 0);
	virtqueue_notify(&f->q);
	assert_int_equal(signals(f->q.call_fd), 1);
}

static void test_kicks(void **state)
{
	struct fixture *f = *state;
	uint16_t *avail_event = (uint16_t *)&f->r.used->ring[SIZE];
	struct virtq_chain c;

	start(f, false, 0);
	assert_int_equal(f->r.used->flags, 0);
	assert_false(virtqueue_want_kick(&f->q, false));
	assert_int_equal(f->r.used->flags, VRING_USED_F_NO_NOTIFY);
	assert_false(virtqueue_want_kick(&f->q, true));
	assert_int_equal(f->r.used->flags, 0);
	guest_desc(&f->r, 0, f->buf, 1, 0, 0);
	guest_offer(&f->r, 0);
	assert_true(virtqueue_want_kick(&f->q, true));

	start(f, true, 7);
	assert_int_equal(*avail_event, 7);
	guest_desc(&f->r, 0, f->buf, 1, 0, 0);
	guest_offer(&f->r, 0);
	virtqueue_want_kick(&f->q, false);
	assert_int_equal(virtqueue_pop(&f->q, &c), 1);
	assert_int_equal(*avail_event, 7);
	assert_int_equal(f->r.used->flags, 0);
	assert_false(virtqueue_want_kick(&f->q, true));
	assert_int_equal(*avail_event, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_memory_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_regions_stay_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_start_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_chain_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_indexes_wrap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_indirect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_indexes, setup, teardown),
		cmocka_unit_test(test_unsealed_memory),
		cmocka_unit_test_setup_teardown(test_interrupt_flag, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupt_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupt_event, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_interrupt_comes_anyway, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_kicks, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
