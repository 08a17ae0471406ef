/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory by address: edges, sizes that cannot be, pieces for file systems, futex words. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sentry/mm/user.h"
#include "sentry_mm_fixture.h"

static struct mm *mm;

static int setup(void **state)
{
	fake_setup(state);
	return mm_new(&mm);
}

static int teardown(void **state)
{
	mm_put(mm);
	return fake_teardown(state);
}

static void map(uint64_t page, uint64_t pages, int prot)
{
	guest_map(mm, BASE + page * PAGE_SIZE, pages * PAGE_SIZE, prot, ANON, NULL, 0);
}

static void test_copy(void **state)
{
	char in[3 * PAGE_SIZE];
	char out[3 * PAGE_SIZE];

	(void)state;
	map(0, 2, RW);
	map(2, 2, RW);
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 7);
	assert_int_equal(user_write(mm, BASE + 100, in, sizeof(in)), 0);
	assert_int_equal(user_read(mm, out, BASE + 100, sizeof(out)), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(user_zero(mm, BASE + 101, sizeof(in) - 2), 0);
	assert_int_equal(user_read(mm, out, BASE + 100, sizeof(out)), 0);
	assert_int_equal(out[0], in[0]);
	assert_int_equal(out[sizeof(in) - 1], in[sizeof(in) - 1]);
	for (size_t i = 1; i < sizeof(in) - 1; i++)
		assert_int_equal(out[i], 0);
	guest_check(mm);
}

/* Nothing of these may be touched; an empty copy is good anywhere. */
static void test_addresses(void **state)
{
	static const struct {
		uint64_t addr;
		size_t len;
	} rows[] = {
		{ 0, 1 },
		{ 0, SIZE_MAX },
		{ BASE, SIZE_MAX },
		{ BASE, SIZE_MAX - BASE + 1 },
		{ BASE, (size_t)INT64_MAX },
		{ BASE - 1, 2 },
		{ BASE + PAGE_SIZE - 1, 2 },
		{ BASE + PAGE_SIZE, 1 },
		{ GUEST_END - 1, 1 },
		{ GUEST_END, 1 },
		{ TRAP_TEXT, 8 },
		{ TRAP_SLOTS, 8 },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX, 2 },
		{ UINT64_MAX - 7, 16 },
		{ UINT64_C(0x800000000000), 8 },
		{ UINT64_C(0xffff800000000000), 8 },
	};
	static char buf[PAGE_SIZE];
	struct iovec *iov;
	size_t total;
	char *path;

	(void)state;
	map(0, 1, RW);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].len <= sizeof(buf)) {
			assert_int_equal(user_read(mm, buf, rows[i].addr, rows[i].len), -EFAULT);
			assert_int_equal(user_write(mm, rows[i].addr, buf, rows[i].len), -EFAULT);
		}
		assert_int_equal(user_zero(mm, rows[i].addr, rows[i].len), -EFAULT);
		assert_int_equal(user_read(mm, buf, rows[i].addr, 0), 0);
		assert_int_equal(user_write(mm, rows[i].addr, buf, 0), 0);
		if (rows[i].addr >= BASE && rows[i].addr < BASE + PAGE_SIZE)
			continue;
		assert_int_equal(user_string(mm, buf, rows[i].addr, 10), -EFAULT);
		assert_int_equal(user_path(mm, rows[i].addr, &path), -EFAULT);
		assert_int_equal(user_iovec(mm, rows[i].addr, 3, &iov, &total), -EFAULT);
	}
}

static void test_rights(void **state)
{
	char c = 1;

	(void)state;
	map(0, 1, PROT_READ);
	map(1, 1, PROT_NONE);
	map(2, 1, PROT_WRITE);
	map(3, 1, PROT_EXEC);
	assert_int_equal(user_read(mm, &c, BASE, 1), 0);
	assert_int_equal(user_write(mm, BASE, &c, 1), -EFAULT);
	assert_int_equal(user_read(mm, &c, BASE + PAGE_SIZE, 1), -EFAULT);
	assert_int_equal(user_write(mm, BASE + 2 * PAGE_SIZE, &c, 1), 0);
	assert_int_equal(user_read(mm, &c, BASE + 2 * PAGE_SIZE, 1), 0);
	assert_int_equal(user_read(mm, &c, BASE + 3 * PAGE_SIZE, 1), 0);
	assert_int_equal(user_write(mm, BASE + 3 * PAGE_SIZE, &c, 1), -EFAULT);
}

static void test_strings(void **state)
{
	char buf[PATH_MAX + 1];
	char *path;
	uint64_t end = BASE + 2 * PAGE_SIZE;

	(void)state;
	map(0, 2, RW);
	assert_int_equal(user_write(mm, end - 4, "abc", 4), 0);
	assert_int_equal(user_string(mm, buf, end - 4, sizeof(buf)), 3);
	assert_string_equal(buf, "abc");
	assert_int_equal(user_string(mm, buf, end - 4, 4), 3);
	assert_int_equal(user_string(mm, buf, end - 4, 3), -ENAMETOOLONG);
	assert_int_equal(user_string(mm, buf, end - 1, 1), 0);
	/* Up to the end of what there is, without a terminator. */
	assert_int_equal(user_write(mm, end - 4, "abcd", 4), 0);
	assert_int_equal(user_string(mm, buf, end - 4, sizeof(buf)), -EFAULT);
	assert_int_equal(user_string(mm, buf, end - 4, 4), -ENAMETOOLONG);
	memset(buf, 'p', PATH_MAX);
	assert_int_equal(user_write(mm, BASE, buf, PATH_MAX), 0);
	assert_int_equal(user_path(mm, BASE, &path), -ENAMETOOLONG);
	assert_int_equal(user_zero(mm, BASE + PATH_MAX - 1, 1), 0);
	assert_int_equal(user_path(mm, BASE, &path), 0);
	assert_int_equal(strlen(path), PATH_MAX - 1);
	free(path);
	assert_int_equal(user_zero(mm, BASE, 1), 0);
	assert_int_equal(user_path(mm, BASE, &path), 0);
	assert_string_equal(path, "");
	free(path);
}

static void test_iovec(void **state)
{
	struct iovec v[3] = { { NULL, 10 }, { NULL, MAX_RW_COUNT }, { NULL, 5 } };
	struct iovec *out;
	size_t total;

	(void)state;
	map(0, 8, RW);
	assert_int_equal(user_write(mm, BASE, v, sizeof(v)), 0);
	assert_int_equal(user_iovec(mm, BASE, 3, &out, &total), 0);
	assert_int_equal(total, MAX_RW_COUNT);
	assert_int_equal(out[1].iov_len, MAX_RW_COUNT - 10);
	assert_int_equal(out[2].iov_len, 0);
	free(out);
	assert_int_equal(user_iovec(mm, BASE, 0, &out, &total), 0);
	free(out);
	assert_int_equal(user_iovec(mm, BASE, IOV_MAX + 1, &out, &total), -EINVAL);
	assert_int_equal(user_iovec(mm, BASE, UINT64_MAX, &out, &total), -EINVAL);
	v[1].iov_len = (size_t)-1;
	assert_int_equal(user_write(mm, BASE, v, sizeof(v)), 0);
	assert_int_equal(user_iovec(mm, BASE, 3, &out, &total), -EINVAL);
}

/* --- for file systems --- */

static void test_io(void **state)
{
	struct iovec v[3] = { { (void *)BASE, 3000 },
			      { (void *)(BASE + 5 * PAGE_SIZE - 10), 20 },
			      { (void *)(BASE + 7 * PAGE_SIZE), 4000 } };
	char data[7020];
	char back[7020];
	struct user_io io;

	(void)state;
	map(0, 1, RW);
	map(4, 1, RW);
	map(5, 1, RW | PROT_EXEC); /* another piece */
	map(7, 1, RW);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 3);
	assert_int_equal(user_io_begin(&io, mm, v, 3, 0, SIZE_MAX, USER_TO_GUEST), 0);
	assert_int_equal(io.left, sizeof(data));
	assert_int_equal(user_io_put(&io, data, 100), 100);
	assert_int_equal(user_io_put(&io, data + 100, sizeof(data)), sizeof(data) - 100);
	assert_int_equal(io.left, 0);
	assert_int_equal(user_io_put(&io, data, 1), 0);
	assert_int_equal(user_io_end(&io), 0);
	/* The same from the middle on. */
	memset(back, 0, sizeof(back));
	for (size_t done = 0; done < sizeof(data); done += 39) {
		size_t n = sizeof(data) - done < 39 ? sizeof(data) - done : 39;

		assert_int_equal(user_io_begin(&io, mm, v, 3, done, 39, USER_FROM_GUEST), 0);
		assert_int_equal(io.left, n);
		assert_int_equal(user_io_get(&io, back + done, sizeof(back)), n);
		assert_int_equal(user_io_end(&io), 0);
	}
	assert_memory_equal(data, back, sizeof(data));
	/* As far as it goes, then not at all. */
	v[2].iov_len = 5000;
	assert_int_equal(user_io_begin(&io, mm, v, 3, 0, SIZE_MAX, USER_TO_GUEST), 0);
	assert_int_equal(io.left, 3020 + PAGE_SIZE);
	assert_int_equal(user_io_zero(&io, SIZE_MAX), 3020 + PAGE_SIZE);
	assert_int_equal(user_io_end(&io), 0);
	assert_int_equal(user_io_begin(&io, mm, v, 3, 3020 + PAGE_SIZE, SIZE_MAX, USER_TO_GUEST),
			 -EFAULT);
	v[0] = (struct iovec){ (void *)(GUEST_END - 1), SIZE_MAX };
	assert_int_equal(user_io_begin(&io, mm, v, 1, 0, SIZE_MAX, USER_FROM_GUEST), -EFAULT);
	assert_int_equal(user_io_begin(&io, mm, v, 0, 0, SIZE_MAX, USER_FROM_GUEST), 0);
	assert_int_equal(io.left, 0);
	assert_int_equal(user_io_end(&io), 0);
}

static void test_io_many_pieces(void **state)
{
	struct iovec v = { (void *)BASE, 200 * PAGE_SIZE };
	struct user_io io;
	size_t done = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		map(i, 1, i % 2 ? RW : RW | PROT_EXEC);
	while (done < 200 * PAGE_SIZE) {
		assert_int_equal(user_io_begin(&io, mm, &v, 1, done, SIZE_MAX, USER_TO_GUEST), 0);
		assert_true(io.left > 0);
		done += user_io_zero(&io, SIZE_MAX);
		assert_int_equal(user_io_end(&io), 0);
	}
	assert_int_equal(done, 200 * PAGE_SIZE);
}

static void test_io_host_file(void **state)
{
	static char data[3 * PAGE_SIZE];
	struct fake_file *f;
	struct iovec v = { (void *)(BASE + PAGE_SIZE - 100), 2 * PAGE_SIZE };
	struct user_io io;
	char byte;

	(void)state;
	memset(data, 'f', sizeof(data));
	f = fake_file_new(data, sizeof(data), true);
	map(0, 1, RW);
	guest_map(mm, BASE + PAGE_SIZE, 3 * PAGE_SIZE, RW, MAP_SHARED, f, 0);
	assert_int_equal(user_io_begin(&io, mm, &v, 1, 0, SIZE_MAX, USER_TO_GUEST), 0);
	assert_int_equal(io.left, 100); /* what is memory first */
	assert_int_equal(user_io_zero(&io, 100), 100);
	assert_int_equal(user_io_end(&io), 0);
	assert_int_equal(user_io_begin(&io, mm, &v, 1, 100, SIZE_MAX, USER_TO_GUEST), 0);
	assert_int_equal(user_io_put(&io, "hello", 5), 5);
	assert_int_equal(user_io_end(&io), 0); /* five bytes were written, and no more */
	assert_int_equal(user_read(mm, data, BASE + PAGE_SIZE, 6), 0);
	assert_memory_equal(data, "hellof", 6);
	assert_int_equal(guest_load(mm, BASE + PAGE_SIZE, (uint8_t *)&byte), 0);
	assert_int_equal(byte, 'h');
	assert_int_equal(user_io_begin(&io, mm, &v, 1, 100, 5, USER_FROM_GUEST), 0);
	assert_int_equal(user_io_get(&io, data, 100), 5);
	assert_memory_equal(data, "hello", 5);
	assert_int_equal(user_io_end(&io), 0);
	file_put(&f->file);
}

static void test_io_kernel(void **state)
{
	char buf[10] = "";
	struct user_io io;

	(void)state;
	user_io_kernel(&io, buf, sizeof(buf));
	assert_int_equal(user_io_put(&io, "0123456789abc", 13), 10);
	assert_int_equal(user_io_end(&io), 0);
	assert_memory_equal(buf, "0123456789", 10);
}

/* Pages that somebody works on stay what they are, whatever happens to the mapping. */
static void test_io_unmapped_meanwhile(void **state)
{
	struct iovec v = { (void *)BASE, PAGE_SIZE };
	struct user_io io;
	uint64_t other;
	char byte = 1;

	(void)state;
	map(0, 1, RW);
	assert_int_equal(user_write(mm, BASE, "x", 1), 0);
	assert_int_equal(user_io_begin(&io, mm, &v, 1, 0, SIZE_MAX, USER_TO_GUEST), 0);
	assert_int_equal(mm_unmap(mm, BASE, PAGE_SIZE), 0);
	other = guest_map(mm, 0, PAGE_SIZE, RW, ANON, NULL, 0);
	memset(io.iov[0].iov_base, 'y', PAGE_SIZE);
	assert_int_equal(user_read(mm, &byte, other, 1), 0);
	assert_int_equal(byte, 0);
	assert_int_equal(user_io_end(&io), 0);
}

/* --- words --- */

static void test_words(void **state)
{
	static char data[PAGE_SIZE];
	struct fake_file *f = fake_file_new(data, sizeof(data), true);
	struct user_word a;
	struct user_word b;
	struct mm *other;
	uint32_t seen;

	(void)state;
	map(0, 1, RW);
	guest_map(mm, BASE + PAGE_SIZE, PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);
	guest_map(mm, BASE + 2 * PAGE_SIZE, PAGE_SIZE, RW, MAP_SHARED, f, 0);
	map(3, 1, PROT_READ);
	assert_int_equal(mm_fork(mm, &other), 0);
	for (uint64_t i = 0; i < 3; i++) {
		uint64_t addr = BASE + i * PAGE_SIZE + 8;

		assert_int_equal(user_word_get(mm, addr, 1, 1, &a), 0);
		assert_int_equal(user_word_get(other, addr, 1, 1, &b), 0);
		atomic_store(a.word, 77);
		assert_int_equal(atomic_load(b.word), i ? 77 : 0);
		assert_int_equal(!memcmp(&a.key, &b.key, sizeof(a.key)), i > 0);
		user_word_put(&b);
		user_word_put(&a);
		assert_int_equal(user_read(mm, &seen, addr, 4), 0);
		assert_int_equal(seen, 77);
	}
	assert_int_equal(user_word_get(mm, BASE + 2, 0, 0, &a), -EINVAL);
	assert_int_equal(user_word_get(mm, BASE + 3 * PAGE_SIZE, 1, 0, &a), -EFAULT);
	assert_int_equal(user_word_get(mm, BASE + 4 * PAGE_SIZE, 0, 0, &a), -EFAULT);
	assert_int_equal(user_word_get(mm, UINT64_MAX - 3, 0, 0, &a), -EFAULT);
	assert_int_equal(user_word_get(mm, TRAP_SLOTS, 0, 0, &a), -EFAULT);
	mm_put(other);
	file_put(&f->file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rights, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_iovec, setup, teardown),
		cmocka_unit_test_setup_teardown(test_io, setup, teardown),
		cmocka_unit_test_setup_teardown(test_io_many_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_io_host_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_io_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_io_unmapped_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_words, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
