/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_sentry_tar.c - archives as the application kernel reads them: whole, cut short, and damaged
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/pax_write.h"
#include "base/cleanup.h"
#include "sentry/control/tar.h"

#define BLOCK 512

/* An archive of one file with everything that needs a record, one with holes, and a link. */
static int make_archive(void)
{
	static const struct pax_extent map[] = { { 4096, 5 }, { 20000, 3 } };
	char deep[300];
	autobuf struct buf extra = BUF_INIT(4096);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct pax_writer *w = NULL;
	int fd = memfd_create("archive", MFD_CLOEXEC);

	memset(deep, 'd', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	assert_true(fd >= 0);
	assert_int_equal(pax_record(&extra, "SCHILY.xattr.user.key", "v\0w", 3), 0);
	assert_int_equal(pax_writer_new(fd, false, &w, &err), 0);
	struct pax_entry e = { .path = deep, .type = '0', .mode = 04755, .uid = 3000000,
			       .gid = 7, .mtime = { -2, 750000000 }, .size = 5, .extra = &extra };
	assert_int_equal(pax_begin(w, &e, &err), 0);
	assert_int_equal(pax_data(w, "hello", 5, &err), 0);
	assert_int_equal(pax_end(w, &err), 0);
	e = (struct pax_entry){ .path = "holes", .type = '0', .mode = 0600, .size = 30000,
				.map = map, .nmap = 2 };
	assert_int_equal(pax_begin(w, &e, &err), 0);
	assert_int_equal(pax_data(w, "fiveXYZ!", 8, &err), 0);
	assert_int_equal(pax_end(w, &err), 0);
	e = (struct pax_entry){ .path = "link", .link = deep, .type = '1' };
	assert_int_equal(pax_begin(w, &e, &err), 0);
	assert_int_equal(pax_end(w, &err), 0);
	assert_int_equal(pax_finish(w, NULL, &err), 0);
	pax_writer_free(w);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void test_whole(void **state)
{
	autoclose int fd = make_archive();
	CLEANUP(tar_freep) struct tar *t = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	const struct tar_entry *e;
	const void *data, *value;
	const char *name;
	uint64_t off;
	size_t pos = 0, len;

	assert_int_equal(tar_new(fd, &t, &err), 0);
	assert_int_equal(tar_next(t, &e, &err), 1);
	assert_int_equal(strlen(e->path), 299);
	assert_int_equal(e->mode, S_IFREG | 04755);
	assert_int_equal(e->uid, 3000000);
	assert_int_equal(e->gid, 7);
	assert_int_equal(e->mtime.tv_sec, -2);
	assert_int_equal(e->mtime.tv_nsec, 750000000);
	assert_true(tar_xattr(e, &pos, &name, &value, &len));
	assert_string_equal(name, "user.key");
	assert_int_equal(len, 3);
	assert_memory_equal(value, "v\0w", 3);
	assert_false(tar_xattr(e, &pos, &name, &value, &len));
	assert_int_equal(tar_data(t, &data, &off, &err), 5);
	assert_memory_equal(data, "hello", 5);
	assert_int_equal(tar_data(t, &data, &off, &err), 0);

	assert_int_equal(tar_next(t, &e, &err), 1);
	assert_string_equal(e->path, "holes");
	assert_int_equal(e->size, 30000);
	assert_int_equal(tar_data(t, &data, &off, &err), 5);
	assert_int_equal(off, 4096);
	assert_memory_equal(data, "fiveX", 5);
	assert_int_equal(tar_data(t, &data, &off, &err), 3);
	assert_int_equal(off, 20000);

	assert_int_equal(tar_next(t, &e, &err), 1);
	assert_int_equal(e->mode & S_IFMT, 0);
	assert_int_equal(strlen(e->link), 299);
	assert_int_equal(tar_next(t, &e, &err), 0);
}

/* Reads as far as it goes. Return: as tar_next() ended */
static int read_all(int fd, struct coffer_error *err)
{
	CLEANUP(tar_freep) struct tar *t = NULL;
	const struct tar_entry *e;
	const void *data;
	uint64_t off;
	long n = 0;
	int r;

	assert_int_equal(tar_new(fd, &t, err), 0);
	while ((r = tar_next(t, &e, err)) > 0) {
		while ((n = tar_data(t, &data, &off, err)) > 0)
			assert_true(off + (uint64_t)n <= e->size);
		if (n < 0)
			return (int)n;
	}
	return r;
}

static void test_cut_short(void **state)
{
	autoclose int whole = make_archive();
	char bytes[BLOCK];

	/* In the middle of records, of a header, of data. */
	for (off_t len = 100; len < 3 * BLOCK; len += 300) {
		autoclose int fd = memfd_create("short", MFD_CLOEXEC);
		struct coffer_error err = COFFER_ERROR_INIT;

		for (off_t at = 0; at < len; at += BLOCK) {
			size_t n = (size_t)(len - at < BLOCK ? len - at : BLOCK);

			assert_int_equal(pread(whole, bytes, n, at), n);
			assert_int_equal(write(fd, bytes, n), n);
		}
		lseek(fd, 0, SEEK_SET);
		assert_true(read_all(fd, &err) < 0);
		assert_int_equal(err.kind, COFFER_ERR_INVALID_ARGUMENT);
	}
}

static void test_damaged(void **state)
{
	autoclose int whole = make_archive();
	struct stat st;

	assert_int_equal(fstat(whole, &st), 0);
	/* Whatever one byte is, it ends, in bounds. */
	for (off_t at = 0; at < st.st_size; at++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		char byte, bad;

		assert_int_equal(pread(whole, &byte, 1, at), 1);
		bad = (char)(byte ^ 0x15);
		assert_int_equal(pwrite(whole, &bad, 1, at), 1);
		lseek(whole, 0, SEEK_SET);
		assert_true(read_all(whole, &err) <= 0);
		assert_int_equal(pwrite(whole, &byte, 1, at), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
