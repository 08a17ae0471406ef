/* SPDX-License-Identifier: Apache-2.0 */
/* test_archive_tree.c - records and headers of pax archives; a tree packed and unpacked */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <archive.h>
#include <archive_entry.h>

#include "archive/pack.h"
#include "archive/pax_write.h"
#include "archive/unpack.h"
#include "base/io.h"
#include "base/path.h"

#define BLOCK 512

/* Every length around those where it gets one more digit. */
static void test_record_counts_itself(void **state)
{
	char value[10100];

	memset(value, 'v', sizeof(value));
	for (size_t n = 0; n < sizeof(value); n++) {
		autobuf struct buf b = BUF_INIT(1 << 20);
		unsigned long len = 0;
		char head[32];
		int at = 0;

		if (n > 1200 && n < 9900)
			continue;
		assert_int_equal(pax_record(&b, "key", value, n), 0);
		snprintf(head, sizeof(head), "%.*s", (int)(b.len < 30 ? b.len : 30),
			 (const char *)buf_data(&b));
		assert_int_equal(sscanf(head, "%lu key=%n", &len, &at), 1);
		assert_int_equal(len, b.len);
		assert_int_equal((size_t)at + n + 1, b.len);
		assert_int_equal(buf_data(&b)[b.len - 1], '\n');
	}
}

static size_t write_entry(const struct pax_entry *e, uint8_t out[16 * BLOCK])
{
	CLEANUP(pax_writer_freep) struct pax_writer *w = NULL;
	autoclose int fd = memfd_create("pax", MFD_CLOEXEC);
	uint64_t bytes;

	assert_int_equal(pax_writer_new(fd, false, &w, NULL), 0);
	assert_int_equal(pax_begin(w, e, NULL), 0);
	assert_int_equal(pax_end(w, NULL), 0);
	assert_int_equal(pax_finish(w, &bytes, NULL), 0);
	assert_true(bytes <= 16 * BLOCK);
	assert_int_equal(pread(fd, out, bytes, 0), (ssize_t)bytes);
	return bytes;
}

static void test_what_fits_costs_one_block(void **state)
{
	uint8_t out[16 * BLOCK];
	struct pax_entry e = { .path = "name", .type = '0', .mode = S_IFREG | 0644, .uid = 07777777,
			       .mtime = { .tv_sec = 1000 } };
	unsigned sum = 0, want = 0;

	assert_int_equal(write_entry(&e, out), 3 * BLOCK);
	assert_string_equal((char *)out, "name");
	assert_string_equal((char *)out + 100, "0000644");
	assert_string_equal((char *)out + 108, "7777777");
	assert_string_equal((char *)out + 136, "00000001750");
	assert_int_equal(sscanf((char *)out + 148, "%o", &want), 1);
	memset(out + 148, ' ', 8);
	for (int i = 0; i < BLOCK; i++)
		sum += out[i];
	assert_int_equal(sum, want);
}

static void expect_record(const struct pax_entry *e, const char *record)
{
	uint8_t out[16 * BLOCK];

	assert_true(write_entry(e, out) > 3 * BLOCK);
	assert_int_equal(out[156], 'x');
	assert_non_null(strstr((char *)out + BLOCK, record));
}

static void test_what_does_not_fit_gets_a_record(void **state)
{
	char path[150];
	const struct {
		struct pax_entry e;
		const char *record;
	} cases[] = {
		{ { .path = "f", .type = '0', .uid = 2097152 }, "15 uid=2097152\n" },
		{ { .path = "f", .type = '0', .gid = 3000000 }, "15 gid=3000000\n" },
		{ { .path = "f", .type = '0', .mtime = { .tv_sec = 1, .tv_nsec = 5 } },
		  "21 mtime=1.000000005\n" },
		{ { .path = "f", .type = '0', .mtime = { .tv_sec = -1 } },
		  "22 mtime=-1.000000000\n" },
		/* A quarter of a second before -1. */
		{ { .path = "f", .type = '0', .mtime = { .tv_sec = -2, .tv_nsec = 750000000 } },
		  "22 mtime=-1.250000000\n" },
		{ { .path = path, .type = '0' }, "159 path=ppp" },
		{ { .path = "l", .type = '2', .link = path }, "163 linkpath=ppp" },
	};

	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_record(&cases[i].e, cases[i].record);
}

/* ---- trees ---- */

struct tree {
	char path[64];
	int dir, in, out;
};

static int setup(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	strcpy(t->path, "/tmp/test-archive-XXXXXX");
	if (!mkdtemp(t->path))
		return -1;
	t->dir = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(t->dir, "in", 0755);
	mkdirat(t->dir, "out", 0755);
	t->in = openat(t->dir, "in", O_PATH | O_DIRECTORY | O_CLOEXEC);
	t->out = openat(t->dir, "out", O_PATH | O_DIRECTORY | O_CLOEXEC);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct tree *t = *state;

	path_remove_tree(AT_FDCWD, t->path, NULL);
	close(t->dir);
	close(t->in);
	close(t->out);
	free(t);
	return 0;
}

static void make_file(int dir, const char *name, const char *text, off_t at)
{
	autoclose int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, text, strlen(text), at), (ssize_t)strlen(text));
}

static void assert_same(int a, int b, const char *name)
{
	struct stat x, y;

	assert_int_equal(fstatat(a, name, &x, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(fstatat(b, name, &y, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(x.st_mode, y.st_mode);
	assert_int_equal(x.st_size, y.st_size);
	assert_int_equal(x.st_mtim.tv_sec, y.st_mtim.tv_sec);
	assert_int_equal(x.st_mtim.tv_nsec, y.st_mtim.tv_nsec);
	assert_int_equal(x.st_nlink, y.st_nlink);
}

static void round_trip(struct tree *t, bool gzip)
{
	static const char *const names[] = { "d", "d/f", "d/same", "l", "hole", "d/empty" };
	const struct unpack_options o = { .gzip = gzip };
	const struct pack_options p = { .gzip = gzip };
	autoclose int fd = memfd_create("archive", MFD_CLOEXEC);
	struct stat st;

	mkdirat(t->in, "d", 0750);
	make_file(t->in, "d/f", "text", 0);
	make_file(t->in, "d/empty", "", 0);
	make_file(t->in, "hole", "end", 10 << 20);
	assert_int_equal(linkat(t->in, "d/f", t->in, "d/same", 0), 0);
	assert_int_equal(symlinkat("d/f", t->in, "l"), 0);
	assert_int_equal(pack_tree(fd, t->in, &p, NULL, NULL), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(unpack_tree(fd, t->out, &o, NULL, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_same(t->in, t->out, names[i]);
	assert_int_equal(fstatat(t->out, "hole", &st, 0), 0);
	assert_true(st.st_blocks < 2048);
}

static void test_round_trip(void **state)
{
	umask(0);
	round_trip(*state, false);
}

static void test_round_trip_compressed(void **state)
{
	umask(0);
	round_trip(*state, true);
}

/* All names of an archive, each with a blank behind it. */
static void list_names(int fd, char names[1024])
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;

	*names = '\0';
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(archive_read_support_format_tar(a), ARCHIVE_OK);
	assert_int_equal(archive_read_open_fd(a, fd, 512), ARCHIVE_OK);
	while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
		assert_true(archive_entry_filetype(e) == AE_IFREG ||
			    archive_entry_filetype(e) == AE_IFDIR);
		strcat(strcat(names, archive_entry_pathname(e)), " ");
	}
	archive_read_free(a);
}

static void has_name(const char *names, const char *name, bool want)
{
	char padded[128], all[1100];

	snprintf(all, sizeof(all), " %s", names);
	snprintf(padded, sizeof(padded), " %s ", name);
	if (!!strstr(all, padded) != want)
		print_message("%s: %s\n", name, names);
	assert_int_equal(!!strstr(all, padded), want);
}

/* What a kernel makes of removals in an overlay. */
static void test_layer(void **state)
{
	static const char *const without[] = { "etc/hosts", NULL };
	const struct pack_options p = { .alone = true, .layer = true, .without = without };
	autoclose int fd = memfd_create("archive", MFD_CLOEXEC);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct tree *t = *state;
	char names[1024], path[128];

	mkdirat(t->in, "etc", 0755);
	mkdirat(t->in, "etc/opaque", 0755);
	make_file(t->in, "etc/hosts", "ours", 0);
	make_file(t->in, "etc/passwd", "root", 0);
	make_file(t->in, "etc/opaque/new", "new", 0);
	snprintf(path, sizeof(path), "%s/in/etc/opaque", t->path);
	if (mknodat(t->in, "etc/gone", S_IFCHR, makedev(0, 0)) < 0 ||
	    mknodat(t->in, "gone", S_IFCHR, makedev(0, 0)) < 0 ||
	    setxattr(path, "trusted.overlay.opaque", "y", 1, 0) < 0) {
		print_message("only root can make what an overlay does: skipped\n");
		skip();
	}
	assert_int_equal(pack_tree(fd, t->in, &p, NULL, &err), 0);
	list_names(fd, names);
	has_name(names, "etc/", true);
	has_name(names, "etc/passwd", true);
	has_name(names, "etc/hosts", false);
	has_name(names, "etc/.wh.gone", true);
	has_name(names, "etc/gone", false);
	has_name(names, ".wh.gone", true);
	has_name(names, "gone", false);
	has_name(names, "etc/opaque/ etc/opaque/.wh..wh..opq etc/opaque/new", true);
	/* Such a file of the container's would take another one away. */
	make_file(t->in, "etc/.wh.passwd", "", 0);
	assert_int_equal(pack_tree(fd, t->in, &p, NULL, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "etc/.wh.passwd"));
}

static void test_reader_gone(void **state)
{
	const struct pack_options p = { .root = "r" };
	struct tree *t = *state;
	struct coffer_error err = COFFER_ERROR_INIT;
	int pipefd[2];

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	close(pipefd[0]);
	assert_int_equal(pack_tree(pipefd[1], t->in, &p, NULL, &err), -EPIPE);
	close(pipefd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_counts_itself),
		cmocka_unit_test(test_what_fits_costs_one_block),
		cmocka_unit_test(test_what_does_not_fit_gets_a_record),
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_round_trip_compressed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_layer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
