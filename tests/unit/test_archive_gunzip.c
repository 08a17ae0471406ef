/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_archive_gunzip.c - what is compressed, what is not, and what pretends to be
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

/* After what it needs. */
#include <cmocka.h>

#include "archive/gunzip.h"
#include "base/cleanup.h"

#define TEXT_LEN 200000

static uint8_t text[TEXT_LEN], got[2 * TEXT_LEN + 65536];

static int fill(void **state)
{
	for (size_t i = 0; i < TEXT_LEN; i++)
		text[i] = (uint8_t)(i % 251 * (i / 5000));
	return 0;
}

static size_t compressed(uint8_t *out, size_t size)
{
	z_stream z = { 0 };
	size_t n;

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = text;
	z.avail_in = TEXT_LEN;
	z.next_out = out;
	z.avail_out = (uInt)size;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	n = size - z.avail_out;
	deflateEnd(&z);
	return n;
}

/* All there is, in pieces of @piece. Return: how much, or the error */
static ssize_t read_all(const void *data, size_t len, size_t piece)
{
	autoclose int fd = memfd_create("gunzip", MFD_CLOEXEC);
	CLEANUP(gunzip_freep) struct gunzip *z = gunzip_new(fd);
	ssize_t n, sum = 0;

	assert_non_null(z);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	do {
		assert_true((size_t)sum + piece <= sizeof(got));
		n = gunzip_read(z, got + sum, piece);
		if (n < 0)
			return n;
		sum += n;
	} while ((size_t)n == piece);
	return sum;
}

static void test_plain(void **state)
{
	assert_int_equal(read_all("", 0, 512), 0);
	assert_int_equal(read_all("x", 1, 512), 1);
	assert_int_equal(got[0], 'x');
	assert_int_equal(read_all(text, TEXT_LEN, 512), TEXT_LEN);
	assert_memory_equal(got, text, TEXT_LEN);
}

static void test_compressed(void **state)
{
	uint8_t *z = malloc(2 * TEXT_LEN);
	size_t n = compressed(z, TEXT_LEN);

	assert_non_null(z);
	assert_int_equal(read_all(z, n, 512), TEXT_LEN);
	assert_memory_equal(got, text, TEXT_LEN);
	assert_int_equal(read_all(z, n, 33333), TEXT_LEN);
	/* One after the other are one. */
	memcpy(z + n, z, n);
	assert_int_equal(read_all(z, 2 * n, 1000), 2 * TEXT_LEN);
	assert_memory_equal(got + TEXT_LEN, text, TEXT_LEN);
	free(z);
}

static void test_damaged(void **state)
{
	uint8_t *z = malloc(TEXT_LEN);
	size_t n = compressed(z, TEXT_LEN);

	assert_non_null(z);
	for (size_t cut = 3; cut < n; cut += n / 7)
		assert_int_equal(read_all(z, cut, 512), -EBADMSG);
	for (size_t at = 2; at < n; at += n / 5) {
		z[at] ^= 0x55;
		assert_true(read_all(z, n, 512) <= TEXT_LEN);
		z[at] ^= 0x55;
	}
	z[n - 6] ^= 1; /* of its check */
	assert_int_equal(read_all(z, n, 512), -EBADMSG);
	memcpy(z, "\x1f\x8bjunk that goes on and on", 27);
	assert_int_equal(read_all(z, 27, 512), -EBADMSG);
	free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests_name("archive_gunzip", tests, fill, NULL);
}
