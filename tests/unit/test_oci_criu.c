/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_oci_criu.c - criu's messages, byte by byte
 *
 * The bytes are those of the protocol buffers library for the same messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/criu_wire.h"

static void test_request(void **state)
{
	static const uint8_t expected[] = {
		0x08, 0x01, 0x12, 0x30,               /* type DUMP; opts, 48 bytes */
		0x08, 0x05,                           /* images_dir_fd 5 */
		0x10, 0x80, 0x80, 0xc0, 0x01,         /* pid 3145728 */
		0x18, 0x01,                           /* leave_running */
		0x52, 0x01, 'l',                      /* log_file */
		0x5a, 0x06, 0x0a, 0x01, 'a', 0x10, 0xd7, 0x08, /* ps { address, port 1111 } */
		0xba, 0x01, 0x06, 0x0a, 0x01, 'k', 0x12, 0x01, 'v', /* ext_mnt */
		0xba, 0x01, 0x06, 0x0a, 0x01, 'x', 0x12, 0x01, 'y', /* and another */
		0x90, 0x02, 0x00,                     /* manage_cgroups_mode IGNORE */
		0xb0, 0x02, 0x80, 0x80, 0x80, 0x80, 0x04, /* empty_ns 0x40000000 */
	};
	CLEANUP(criu_options_free) struct criu_options o = CRIU_OPTIONS_INIT;
	autobuf struct buf b = BUF_INIT(4096);

	criu_set_number(&o, CRIU_IMAGES_DIR_FD, 5);
	criu_set_number(&o, CRIU_PID, 3145728);
	criu_set_number(&o, CRIU_LEAVE_RUNNING, 1);
	criu_set_text(&o, CRIU_LOG_FILE, "l");
	criu_set_text(&o, CRIU_ROOT, NULL);
	criu_set_text(&o, CRIU_ROOT, "");
	criu_add_text_number(&o, CRIU_PAGE_SERVER, "a", 1111);
	criu_add_texts(&o, CRIU_EXT_MNT, "k", "v");
	criu_add_texts(&o, CRIU_EXT_MNT, "x", "y");
	criu_set_number(&o, CRIU_MANAGE_CGROUPS_MODE, CRIU_CG_IGNORE);
	criu_set_number(&o, CRIU_EMPTY_NS, 0x40000000);
	assert_int_equal(criu_write_request(&b, CRIU_DUMP, &o), 0);
	assert_int_equal(b.len, sizeof(expected));
	assert_memory_equal(buf_data(&b), expected, sizeof(expected));
}

static void test_too_much(void **state)
{
	CLEANUP(criu_options_free) struct criu_options o = CRIU_OPTIONS_INIT;
	autobuf struct buf b = BUF_INIT(4096);
	char text[4096];

	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 300; i++)
		criu_set_text(&o, CRIU_EXTERNAL, text);
	assert_int_equal(o.error, -ENOBUFS);
	assert_int_equal(criu_write_request(&b, CRIU_DUMP, &o), -ENOBUFS);
}

static void test_notified(void **state)
{
	autobuf struct buf b = BUF_INIT(64);

	assert_int_equal(criu_write_notified(&b, true), 0);
	assert_int_equal(b.len, 4);
	assert_memory_equal(buf_data(&b), "\x08\x06\x18\x01", 4);
	buf_consume(&b, 4);
	assert_int_equal(criu_write_notified(&b, false), 0);
	assert_memory_equal(buf_data(&b), "\x08\x06\x18\x00", 4);
}

static const uint8_t notify[] = "\x08\x06\x10\x01*\x11\n\x0cpost-restore\x10\xe7$";
static const uint8_t failure[] = "\x08\x01\x10\x00" "84J\x0fNo such process";
/* features, version, ps with port -1, and fields of all kinds that there are not yet */
static const uint8_t others[] = "\x08\x09\x10\x01\x32\x0b\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
				"\x42\x02\x08\x01\x52\x04\x08\x03\x10\x11\xa0\x06\x07"
				"\xa1\x06" "12345678" "\xa5\x06" "1234" "\xaa\x06\x02xy";

static void test_answers(void **state)
{
	struct criu_answer a;

	assert_int_equal(criu_read_answer(notify, sizeof(notify) - 1, &a, NULL), 0);
	assert_int_equal(a.type, CRIU_NOTIFY);
	assert_true(a.success);
	assert_string_equal(a.script, "post-restore");
	assert_int_equal(a.pid, 4711);

	assert_int_equal(criu_read_answer(failure, sizeof(failure) - 1, &a, NULL), 0);
	assert_int_equal(a.type, CRIU_DUMP);
	assert_false(a.success);
	assert_int_equal(a.errnum, 52);
	assert_string_equal(a.message, "No such process");
	assert_string_equal(a.script, "");
	assert_int_equal(a.pid, 0);

	assert_int_equal(criu_read_answer(others, sizeof(others) - 1, &a, NULL), 0);
	assert_int_equal(a.type, 9);
	assert_true(a.success);

	assert_int_equal(criu_read_answer(notify, 0, &a, NULL), 0);
	assert_false(a.success);
}

/* Cut off anywhere inside a field it is malformed; between two it is a shorter message. */
static void test_cut_off(void **state)
{
	static const size_t whole[] = { 0, 2, 4, sizeof(notify) - 1 };
	struct coffer_error err;
	struct criu_answer a;
	size_t w = 0;

	for (size_t n = 0; n < sizeof(notify); n++) {
		err = (struct coffer_error)COFFER_ERROR_INIT;
		if (n == whole[w]) {
			assert_int_equal(criu_read_answer(notify, n, &a, &err), 0);
			w++;
		} else {
			assert_int_equal(criu_read_answer(notify, n, &a, &err), -EBADMSG);
			assert_int_not_equal(err.kind, COFFER_ERR_NONE);
		}
	}
}

static void test_malformed(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} rows[] = {
		{ "\x08", 1 },                                             /* no number */
		{ "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 }, /* one of eleven bytes */
		{ "\x0b", 1 },                                             /* a group */
		{ "\x0f", 1 },                                             /* no such kind */
		{ "\x4a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 },     /* longer than memory */
		{ "\x4a\x05" "abcd", 6 },
		{ "\x09" "1234567", 8 },
		{ "\x0d" "123", 4 },
		{ "\x2a\x02\x0a\x05", 4 },                                 /* inside */
	};
	struct criu_answer a;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(criu_read_answer((const uint8_t *)rows[i].bytes, rows[i].n, &a,
						  NULL),
				 -EBADMSG);
}

static void test_long_text(void **state)
{
	uint8_t bytes[3 + 1000] = { 0x4a, 0xe8, 0x07 };
	struct criu_answer a;

	memset(bytes + 3, 'x', 1000);
	assert_int_equal(criu_read_answer(bytes, sizeof(bytes), &a, NULL), 0);
	assert_int_equal(strlen(a.message), CRIU_TEXT_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),	  cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_notified),  cmocka_unit_test(test_answers),
		cmocka_unit_test(test_cut_off),	  cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_long_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
