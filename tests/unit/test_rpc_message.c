/* SPDX-License-Identifier: Apache-2.0 */
/* test_rpc_message.c - framing, and what a foreign message may be and may cost */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "rpc/grpc_message.h"
#include "rpc/proto_check.h"
#include "base/cleanup.h"
#include "sandbox_context.pb-c.h"

static void test_reader_cut_anywhere(void **state)
{
	static const uint8_t wire[] = "\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\1z";
	const size_t total = sizeof(wire) - 1;

	for (size_t step = 1; step <= total; step++) {
		struct grpc_reader r = { 0 };
		unsigned seen = 0;

		for (size_t at = 0; at < total; at += step) {
			size_t n = total - at < step ? total - at : step;
			const uint8_t *p = wire + at;

			while (n > 0) {
				int whole = grpc_reader_feed(&r, &p, &n, 100);

				assert_in_range(whole, 0, 1);
				if (!whole)
					continue;
				assert_int_equal(r.len, seen == 0 ? 3 : seen == 1 ? 0 : 1);
				if (seen == 0)
					assert_memory_equal(r.body, "abc", 3);
				seen++;
				grpc_reader_reset(&r);
			}
		}
		assert_int_equal(seen, 3);
		assert_false(grpc_reader_started(&r));
	}
}

static void test_reader_limits(void **state)
{
	static const uint8_t big[] = "\0\0\0\0\5abcde", packed[] = "\1\0\0\0\1a",
			     huge[] = "\0\xff\xff\xff\xff!";
	struct grpc_reader r = { 0 };
	const uint8_t *p = big;
	size_t n = sizeof(big) - 1;

	assert_int_equal(grpc_reader_feed(&r, &p, &n, 4), -EMSGSIZE);
	assert_null(r.body);
	grpc_reader_reset(&r);
	p = packed;
	n = sizeof(packed) - 1;
	assert_int_equal(grpc_reader_feed(&r, &p, &n, 4), -EOPNOTSUPP);
	grpc_reader_reset(&r);
	/* What was announced is not allocated ahead. */
	p = huge;
	n = sizeof(huge) - 1;
	assert_int_equal(grpc_reader_feed(&r, &p, &n, UINT32_MAX), 0);
	assert_in_range(r.cap, 1, 4096);
	grpc_reader_reset(&r);
}

static void test_queue(void **state)
{
	Sc__GetenvRequest req = SC__GETENV_REQUEST__INIT;
	struct grpc_queue q = { 0 };
	uint8_t out[32];

	req.key = (char *)"abc";
	assert_int_equal(grpc_queue_put(&q, &req.base, 4), -EMSGSIZE);
	assert_int_equal(grpc_queue_put(&q, &req.base, 5), 0);
	assert_int_equal(grpc_queue_put(&q, &req.base, 5), 0);
	assert_int_equal(q.bytes, 20);
	assert_int_equal(grpc_queue_pull(&q, out, 3), 3);
	assert_int_equal(grpc_queue_pull(&q, out + 3, sizeof(out) - 3), 17);
	assert_memory_equal(out, "\0\0\0\0\5\x0a\3abc\0\0\0\0\5\x0a\3abc", 20);
	assert_int_equal(grpc_queue_pull(&q, out, sizeof(out)), 0);
	grpc_queue_put(&q, &req.base, 5);
	grpc_queue_clear(&q);
	assert_int_equal(q.bytes, 0);
}

static int unpack(const ProtobufCMessageDescriptor *d, const char *bytes, size_t n, size_t budget)
{
	ProtobufCMessage *m = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = proto_unpack(d, bytes, n, budget, &m, &err);

	if (r == 0) {
		assert_non_null(m);
		protobuf_c_message_free_unpacked(m, NULL);
	} else {
		assert_null(m);
		assert_int_not_equal(err.kind, COFFER_ERR_NONE);
	}
	return r;
}

#define CHECK(desc, bytes, want)                                                                   \
	assert_int_equal(unpack(&(desc), (bytes), sizeof(bytes) - 1, 1 << 20), (want))

static void test_check_strings(void **state)
{
	CHECK(sc__getenv_request__descriptor, "", 0);
	CHECK(sc__getenv_request__descriptor, "\x0a\2ab", 0);
	CHECK(sc__getenv_request__descriptor, "\x0a\2\xc3\xbc", 0);
	CHECK(sc__getenv_request__descriptor, "\x0a\2a\0", -EPROTO);
	CHECK(sc__getenv_request__descriptor, "\x0a\2\xff\xfe", -EPROTO);
	/* The last one wins, but all are looked at. */
	CHECK(sc__getenv_request__descriptor, "\x0a\1\xff\x0a\1a", -EPROTO);
	/* Repeated, in a map, in a nested message. */
	CHECK(sc__mount_request__descriptor, "\x22\1a\x22\1\xff", -EPROTO);
	CHECK(sc__sysctl_request__descriptor, "\x0a\6\x0a\1a\x12\1b", 0);
	CHECK(sc__sysctl_request__descriptor, "\x0a\6\x0a\1a\x12\1\0", -EPROTO);
	CHECK(sc__container_statistics_response__descriptor, "\x0a\5\x32\3\x0a\1\xff", -EPROTO);
	/* Bytes are bytes. */
	CHECK(sc__write_file_request__descriptor, "\x12\2\xff\0", 0);
}

static void test_check_wire(void **state)
{
	CHECK(sc__getenv_request__descriptor, "\x0a", -EPROTO);
	CHECK(sc__getenv_request__descriptor, "\x0a\5ab", -EPROTO);
	CHECK(sc__getenv_request__descriptor, "\x0b", -EPROTO);	  /* group */
	CHECK(sc__getenv_request__descriptor, "\x0e", -EPROTO);	  /* wire type 6 */
	CHECK(sc__getenv_request__descriptor, "\2\0", -EPROTO);	  /* field 0 */
	CHECK(sc__getenv_request__descriptor, "\x08\1", -EPROTO); /* a number for a string */
	CHECK(sc__getenv_request__descriptor, "\x80\x80\x80\x80\x80\1\1", -EPROTO);
	CHECK(sc__getenv_request__descriptor, "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1",
	      -EPROTO);
	CHECK(sc__getenv_request__descriptor,
	      "\x11"
	      "1234567",
	      -EPROTO);
	CHECK(sc__getenv_request__descriptor,
	      "\x15"
	      "123",
	      -EPROTO);
	CHECK(sc__getenv_request__descriptor, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\1",
	      -EPROTO);
	/* Unknown fields of every kind pass. */
	CHECK(sc__getenv_request__descriptor,
	      "\x10\1\x19"
	      "12345678\x22\2xx\x2d"
	      "1234",
	      0);
}

/* Two bytes each that cost protobuf-c dozens. */
static void test_check_budget(void **state)
{
	const size_t n = 200000;
	autofree char *bomb = malloc(n);

	for (size_t i = 0; i < n; i += 2)
		memcpy(bomb + i, "\x12\0", 2);
	assert_int_equal(unpack(&sc__configure_hosts_request__descriptor, bomb, n, 1 << 20),
			 -ENOBUFS);
	assert_int_equal(unpack(&sc__configure_hosts_request__descriptor, bomb, 2000, 1 << 20), 0);
	for (size_t i = 0; i < n; i += 2)
		memcpy(bomb + i, "\x78\1", 2);
	assert_int_equal(unpack(&sc__getenv_request__descriptor, bomb, n, 1 << 20), -ENOBUFS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reader_cut_anywhere),
		cmocka_unit_test(test_reader_limits),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_check_strings),
		cmocka_unit_test(test_check_wire),
		cmocka_unit_test(test_check_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
