/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_archive_distrust.c - archives of somebody who means no good
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive/pax_write.h"
#include "archive/unpack.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"

/* work/dest is unpacked into; work/outside is what must stay as it is. */
static int work = -1, dest = -1, archive = -1;
static struct pax_writer *writer;
static struct coffer_error error;
static struct unpack_done done;

static int setup(void **state)
{
	char path[] = "/tmp/coffer-distrust-XXXXXX";

	assert_non_null(mkdtemp(path));
	work = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(work, "outside", 0755), 0);
	assert_int_equal(io_swap_file(work, "outside/file", "safe", 4, 0600, NULL), 0);
	assert_int_equal(mkdirat(work, "dest", 0755), 0);
	dest = openat(work, "dest", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	archive = memfd_create("archive", MFD_CLOEXEC);
	assert_int_equal(pax_writer_new(archive, false, &writer, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	char proc[32], path[256] = "";

	pax_writer_free(writer);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", work);
	assert_true(readlink(proc, path, sizeof(path) - 1) > 0);
	assert_int_equal(path_remove_tree(AT_FDCWD, path, NULL), 0);
	close_fd(&work);
	close_fd(&dest);
	close_fd(&archive);
	return 0;
}

static void add(char type, mode_t mode, const char *path, const char *link, const char *data)
{
	struct pax_entry e = { .path = path,
			       .link = link,
			       .type = type,
			       .mode = mode,
			       .uid = 12345,
			       .gid = 54321,
			       .rdev = makedev(1, 3),
			       .mtime = { .tv_sec = 1000000000 },
			       .size = data ? strlen(data) : 0 };

	assert_int_equal(pax_begin(writer, &e, NULL), 0);
	if (data)
		assert_int_equal(pax_data(writer, data, strlen(data), NULL), 0);
	assert_int_equal(pax_end(writer, NULL), 0);
}

static int unpack(const char *root, bool keep_owners)
{
	const struct unpack_options o = { .root = root,
					  .distrust = true,
					  .keep_types = true,
					  .keep_owners = keep_owners };

	assert_true(lseek(archive, 0, SEEK_SET) == 0);
	error = (struct coffer_error)COFFER_ERROR_INIT;
	return unpack_tree(archive, dest, &o, &done, &error);
}

static void finish(void)
{
	assert_int_equal(pax_finish(writer, NULL, NULL), 0);
}

static void assert_outside_is_safe(void)
{
	autofree char *text = NULL;
	struct stat st;

	assert_int_equal(io_read_file(work, "outside/file", 100, &text, NULL, NULL), 0);
	assert_string_equal(text, "safe");
	assert_int_equal(fstatat(work, "outside/file", &st, 0), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fstatat(work, "outside", &st, 0), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_mode & 07777, 0755);
}

static void assert_refused(const char *root, const char *name, const char *why)
{
	finish();
	assert_true(unpack(root, false) < 0);
	if (!strstr(error.message, name) || !strstr(error.message, why))
		fail_msg("not %s, %s, but: %s", name, why, error.message);
	assert_outside_is_safe();
}

static struct stat look(const char *name)
{
	struct stat st;

	if (fstatat(dest, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("%s: %s", name, strerror(errno));
	return st;
}

static bool is_there(const char *name)
{
	struct stat st;

	return fstatat(dest, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_absolute(void **state)
{
	add('5', 0755, "r/", NULL, NULL);
	add('0', 0644, "/tmp/x", NULL, "x");
	assert_refused("new", "/tmp/x", "absolute");
}

static void test_up(void **state)
{
	add('5', 0755, "r/", NULL, NULL);
	add('0', 0644, "r/../../outside/file", NULL, "x");
	assert_refused("new", "../outside", "leads up");
}

static void test_beside_the_root(void **state)
{
	add('5', 0755, "r/", NULL, NULL);
	add('0', 0644, "r2", NULL, "x");
	assert_refused("new", "r2", "not below");
	assert_false(is_there("r2"));
}

static void test_root_twice_removed(void **state)
{
	add('2', 0777, "r", "../outside", NULL);
	add('0', 0644, "r/file", NULL, "x");
	assert_refused("new", "r/file", "directory");
}

static void test_link_then_write(void **state)
{
	add('5', 0755, "r/", NULL, NULL);
	add('2', 0777, "r/out", "../../outside", NULL);
	add('0', 0644, "r/out/file", NULL, "x");
	assert_refused("new", "r/out/file", "directory");
}

/* Also one that stays inside, and one that was there before. */
static void test_no_link_is_followed(void **state)
{
	assert_int_equal(mkdirat(dest, "real", 0755), 0);
	assert_int_equal(symlinkat("real", dest, "alias"), 0);
	add('5', 0755, ".", NULL, NULL);
	add('0', 0644, "alias/file", NULL, "x");
	assert_refused("", "alias/file", "directory");
	assert_false(is_there("real/file"));
}

static void test_file_over_link(void **state)
{
	assert_int_equal(symlinkat("../outside/file", dest, "file"), 0);
	add('0', 0644, "file", NULL, "new");
	finish();
	assert_int_equal(unpack("file", false), 0);
	assert_true(S_ISREG(look("file").st_mode));
	assert_outside_is_safe();
}

static void test_hard_link_out(void **state)
{
	add('5', 0755, "r/", NULL, NULL);
	add('1', 0644, "r/x", "r/../../outside/file", NULL);
	assert_refused("new", "r/x", "leads up");
}

static void test_hard_link_through_link(void **state)
{
	add('5', 0755, "r/", NULL, NULL);
	add('2', 0777, "r/out", "../../outside", NULL);
	add('1', 0644, "r/x", "r/out/file", NULL);
	assert_refused("new", "r/x", "link");
}

/* A file that was there before could be brought to where more may reach it. */
static void test_hard_link_to_old_file(void **state)
{
	assert_int_equal(io_swap_file(dest, "old", "old", 3, 0644, NULL), 0);
	add('5', 0755, ".", NULL, NULL);
	add('1', 0644, "x", "old", NULL);
	assert_refused("", "x", "not of this archive");
	assert_int_equal(look("old").st_nlink, 1);
}

static void test_hard_link_within(void **state)
{
	add('5', 0755, "r", NULL, NULL);
	add('0', 0644, "r/a", NULL, "data");
	add('1', 0644, "r/b", "r/a", NULL);
	add('2', 0644, "r/l", "a", NULL);
	add('1', 0644, "r/m", "r/l", NULL);
	finish();
	assert_int_equal(unpack("new", false), 0);
	assert_int_equal(look("new/a").st_ino, look("new/b").st_ino);
	assert_int_equal(look("new/l").st_ino, look("new/m").st_ino);
	assert_int_equal(done.entries, 5);
}

static void test_types_are_kept(void **state)
{
	assert_int_equal(mkdirat(dest, "dir", 0755), 0);
	add('0', 0644, "dir", NULL, "x");
	assert_refused("dir", "dir", "overwrite");
	assert_true(S_ISDIR(look("dir").st_mode));
}

static void test_contents_of_a_file(void **state)
{
	add('0', 0644, "r", NULL, "x");
	assert_refused("", "r", "should be a directory");
}

static void test_rights(void **state)
{
	struct stat st;

	add('5', 02777, "r", NULL, NULL);
	add('0', 06755, "r/program", NULL, "x");
	add('3', 0666, "r/null", NULL, NULL);
	add('6', 0622, "r/fifo", NULL, NULL);
	finish();
	umask(077);
	assert_int_equal(unpack("new", false), 0);
	umask(022);
	st = look("new/program");
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(st.st_mtim.tv_sec, 1000000000);
	assert_int_equal(look("new").st_mode & 07777, 0777);
	assert_int_equal(look("new").st_mtim.tv_sec, 1000000000);
	assert_int_equal(look("new/fifo").st_mode, S_IFIFO | 0622);
	assert_false(is_there("new/null"));
}

static void test_owners_kept_by_root(void **state)
{
	struct stat st;

	if (geteuid() != 0) {
		print_message("not root: skipped\n");
		skip();
	}
	add('5', 0755, "r", NULL, NULL);
	add('0', 06755, "r/program", NULL, "x");
	add('4', 0666, "r/disk", NULL, NULL);
	finish();
	assert_int_equal(unpack("new", true), 0);
	st = look("new/program");
	assert_int_equal(st.st_mode & 07777, 06755);
	assert_int_equal(st.st_uid, 12345);
	assert_int_equal(st.st_gid, 54321);
	assert_false(is_there("new/disk"));
}

/* What was there stays as it is, but for what is new in it. */
static void test_merge(void **state)
{
	assert_int_equal(mkdirat(dest, "dir", 0), 0);
	assert_int_equal(fchmodat(dest, "dir", 0711, 0), 0);
	assert_int_equal(fchmod(dest, 0750), 0);
	add('5', 0777, ".", NULL, NULL);
	add('5', 0777, "./dir", NULL, NULL);
	add('0', 0644, "./dir/file", NULL, "x");
	finish();
	assert_int_equal(unpack("", false), 0);
	assert_int_equal(look("dir").st_mode & 07777, 0711);
	assert_int_equal(look(".").st_mode & 07777, 0750);
	assert_true(is_there("dir/file"));
}

/* An ordinary user gets directories he may not write to filled all the same. */
static void test_closed_directories(void **state)
{
	int status;

	add('5', 0500, "r", NULL, NULL);
	add('5', 0, "r/none", NULL, NULL);
	add('0', 0400, "r/none/file", NULL, "x");
	add('0', 0400, "r/file", NULL, "x");
	finish();
	assert_int_equal(fchmod(dest, 0777), 0);
	if (fork() == 0) {
		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(1);
		_exit(unpack("new", false) < 0 ? 2 : 0);
	}
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
	assert_int_equal(look("new").st_mode & 07777, 0500);
	assert_int_equal(look("new/file").st_mode & 07777, 0400);
	if (geteuid() == 0)
		assert_int_equal(look("new/none").st_mode & 07777, 0);
	assert_int_equal(fchmodat(dest, "new", 0700, 0), 0);
	assert_int_equal(fchmodat(dest, "new/none", 0700, 0), 0);
}

static void test_half_a_file(void **state)
{
	struct pax_entry e = { .path = "file", .type = '0', .mode = 0644, .size = 1 << 20 };
	char data[4096] = "begin";

	assert_int_equal(pax_begin(writer, &e, NULL), 0);
	assert_int_equal(pax_data(writer, data, sizeof(data), NULL), 0);
	/* The writer keeps little back: the header and this much. */
	assert_int_equal(pax_end(writer, NULL), 0);
	finish();
	assert_int_equal(ftruncate(archive, 3000), 0);
	assert_true(unpack("file", false) < 0);
	assert_int_equal(error.kind, COFFER_ERR_INVALID_ARGUMENT);
	assert_false(is_there("file"));
}

static void test_tail(void **state)
{
	char zeros[20000] = "";

	add('0', 0644, "file", NULL, "x");
	finish();
	assert_true(lseek(archive, 0, SEEK_END) > 0);
	assert_int_equal(io_write_full(archive, zeros, sizeof(zeros)), 0);
	assert_int_equal(unpack("file", false), 0);
	assert_int_equal(done.bytes, lseek(archive, 0, SEEK_END));
	assert_int_equal(io_write_full(archive, "y", 1), 0);
	assert_true(unpack("file", false) < 0);
	assert_non_null(strstr(error.message, "after the archive's end"));
}

/* Nobody waits for a padding that has no end. */
static void test_endless_tail(void **state)
{
	static char zeros[4 << 20];

	add('0', 0644, "file", NULL, "x");
	finish();
	assert_true(lseek(archive, 0, SEEK_END) > 0);
	assert_int_equal(io_write_full(archive, zeros, sizeof(zeros)), 0);
	assert_true(unpack("file", false) < 0);
	assert_non_null(strstr(error.message, "after the archive's end"));
}

static void test_names_are_bytes(void **state)
{
	static const char *const names[] = { "r/caf\303\251", "r/cafe\314\201", "r/\377\376",
					     "r/\xe2\x84\xab" };

	add('5', 0755, "r", NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		add('0', 0644, names[i], NULL, "x");
	finish();
	assert_int_equal(unpack("r", false), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_true(is_there(names[i]));
}

static void test_attributes(void **state)
{
	struct buf extra = BUF_INIT(4096);
	struct pax_entry e = { .path = "f", .type = '0', .mode = 0644, .extra = &extra };
	static const uint8_t cap[20] = { 1, 0, 0, 2, 0xff };
	char value[64], path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/f", dest);
	pax_record(&extra, "SCHILY.xattr.user.color", "blue", 4);
	pax_record(&extra, "SCHILY.xattr.security.capability", cap, sizeof(cap));
	assert_int_equal(pax_begin(writer, &e, NULL), 0);
	assert_int_equal(pax_end(writer, NULL), 0);
	buf_free(&extra);
	finish();
	assert_int_equal(unpack("f", false), 0);
	assert_int_equal(lgetxattr(path, "security.capability", value, sizeof(value)), -1);
	if (lgetxattr(path, "user.color", value, sizeof(value)) < 0)
		assert_int_equal(errno, EOPNOTSUPP);
}

/* ---- what libarchive would keep in memory ---- */

#define MAP_MIB 12 /* of the maps below; any number would do as well */

static void put_raw(const void *data, size_t n)
{
	assert_int_equal(io_write_full(archive, data, n), 0);
}

/* A header as pax_write.c writes none. */
static void put_header(const char *name, char type, const char *magic, uint64_t size,
		       uint8_t block[512])
{
	unsigned sum = 0;

	snprintf((char *)block, 100, "%s", name);
	snprintf((char *)block + 100, 8, "%07o", 0644);
	snprintf((char *)block + 124, 12, "%011llo", (unsigned long long)size);
	block[156] = (uint8_t)type;
	memcpy(block + 257, magic, 8);
	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += block[i];
	snprintf((char *)block + 148, 7, "%06o", sum);
	put_raw(block, 512);
}

static void refuse_map(void)
{
	assert_true(unpack("r", false) < 0);
	if (!strstr(error.message, "describes too much"))
		fail_msg("not that, but: %s", error.message);
	assert_true(lseek(archive, 0, SEEK_CUR) < MAP_MIB << 20);
	assert_false(is_there("r"));
}

/* "0\n1\n0\n1\n..." in front of the file's data. */
static void test_endless_map(void **state)
{
	static const char pax[] = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
				  "19 GNU.sparse.name=r\n26 GNU.sparse.realsize=100\n";
	static char words[1 << 20];
	uint8_t block[512] = { 0 };

	put_header("p", 'x', "ustar\0" "00", sizeof(pax) - 1, block);
	memset(block, 0, sizeof(block));
	memcpy(block, pax, sizeof(pax) - 1);
	put_raw(block, sizeof(block));
	memset(block, 0, sizeof(block));
	put_header("r", '0', "ustar\0" "00", UINT32_MAX, block);
	for (size_t i = 0; i < sizeof(words); i += 4)
		memcpy(words + i, "0\n1\n", 4);
	put_raw("999999999\n", 10);
	for (size_t i = 0; i < MAP_MIB; i++)
		put_raw(words, sizeof(words));
	refuse_map();
}

/* Headers that each say that another one follows. */
static void test_endless_old_map(void **state)
{
	static const char stretch[24] = "00000000000\0" "00000000001";
	static uint8_t blocks[1 << 20];
	uint8_t block[512] = { 0 };

	memcpy(block + 386, stretch, sizeof(stretch));
	block[482] = 1;
	put_header("r", 'S', "ustar  ", 512, block);
	for (size_t i = 0; i < sizeof(blocks); i += 512) {
		for (size_t k = 0; k < 21; k++)
			memcpy(blocks + i + k * sizeof(stretch), stretch, sizeof(stretch));
		blocks[i + 504] = 1;
	}
	for (size_t i = 0; i < MAP_MIB; i++)
		put_raw(blocks, sizeof(blocks));
	refuse_map();
}

#define DISTRUST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISTRUST(test_absolute),
		DISTRUST(test_up),
		DISTRUST(test_beside_the_root),
		DISTRUST(test_root_twice_removed),
		DISTRUST(test_link_then_write),
		DISTRUST(test_no_link_is_followed),
		DISTRUST(test_file_over_link),
		DISTRUST(test_hard_link_out),
		DISTRUST(test_hard_link_through_link),
		DISTRUST(test_hard_link_to_old_file),
		DISTRUST(test_hard_link_within),
		DISTRUST(test_types_are_kept),
		DISTRUST(test_contents_of_a_file),
		DISTRUST(test_rights),
		DISTRUST(test_owners_kept_by_root),
		DISTRUST(test_merge),
		DISTRUST(test_closed_directories),
		DISTRUST(test_half_a_file),
		DISTRUST(test_tail),
		DISTRUST(test_endless_tail),
		DISTRUST(test_endless_map),
		DISTRUST(test_endless_old_map),
		DISTRUST(test_names_are_bytes),
		DISTRUST(test_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
