/* SPDX-License-Identifier: Apache-2.0 */
/* An image holds what the directory held: every type, mode, owner, time, link, hole, attribute. */
#include "image_check.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

static void test_types_modes_links(void **state)
{
	struct scratch *s = *state;
	struct timespec times[2] = { { 1000000000, 5 }, { 5000000000, 123456789 } };
	struct ext2_inode_large in;
	char target[1024], text[2];
	ext2_filsys fs;

	memset(target, 't', sizeof(target));
	target[1000] = '\0';
	put_file(s->tree, "file", 0, 2, 'x');
	assert_int_equal(fchmodat(s->tree, "file", 06755, 0), 0);
	assert_int_equal(utimensat(s->tree, "file", times, 0), 0);
	assert_int_equal(linkat(s->tree, "file", s->tree, "second", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", s->tree, "fast"), 0);
	assert_int_equal(symlinkat(target, s->tree, "slow"), 0);
	assert_int_equal(mkfifoat(s->tree, "fifo", 0600), 0);
	assert_int_equal(mkdirat(s->tree, "dir", 0700), 0);
	assert_int_equal(mkdirat(s->tree, "dir/sub", 0711), 0);
	assert_int_equal(mkdirat(s->tree, "\xff\x01 odd\n", 0755), 0);
	build_ok(s, NULL);

	fs = image_open(s);
	in = image_stat(fs, "/file");
	assert_int_equal(in.i_mode, S_IFREG | 06755);
	assert_int_equal(in.i_links_count, 2);
	assert_int_equal(in.i_size, 2);
	assert_int_equal(in.i_atime, 1000000000);
	assert_int_equal(in.i_mtime, (uint32_t)5000000000);
	assert_int_equal(in.i_mtime_extra, 123456789u << 2 | 1);
	assert_int_equal(inode_uid(in), getuid());
	assert_int_equal(image_lookup(fs, "/file"), image_lookup(fs, "/second"));
	image_read(fs, "/file", 0, text, 2);
	assert_memory_equal(text, "xx", 2);

	in = image_stat(fs, "/fast");
	assert_int_equal(in.i_mode & S_IFMT, S_IFLNK);
	assert_string_equal((char *)in.i_block, "/etc/passwd");
	in = image_stat(fs, "/slow");
	assert_int_equal(in.i_size, 1000);
	image_read(fs, "/slow", 0, target, 1000);
	assert_int_equal(target[999], 't');
	assert_int_equal(image_stat(fs, "/fifo").i_mode, S_IFIFO | 0600);
	in = image_stat(fs, "/dir");
	assert_int_equal(in.i_mode, S_IFDIR | 0700);
	assert_int_equal(in.i_links_count, 3);
	assert_int_equal(image_stat(fs, "/dir/sub").i_mode, S_IFDIR | 0711);
	assert_int_not_equal(image_lookup(fs, "/\xff\x01 odd\n"), 0);
	assert_int_equal(image_stat(fs, "/").i_links_count, 4);
	ext2fs_close_free(&fs);
}

static void test_nodes_and_owners(void **state)
{
	struct scratch *s = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct ext2_inode_large in;
	autoclose int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ext2_filsys fs;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/tree/socket", s->path);
	assert_int_equal(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	if (mknodat(s->tree, "null", S_IFCHR | 0666, makedev(1, 3)) < 0)
		skip(); /* needs root */
	assert_int_equal(mknodat(s->tree, "far", S_IFBLK | 0660, makedev(259, 100000)), 0);
	assert_int_equal(mkdirat(s->tree, "owned", 0755), 0);
	assert_int_equal(fchownat(s->tree, "owned", 70000, 1234567, 0), 0);
	build_ok(s, NULL);

	fs = image_open(s);
	in = image_stat(fs, "/null");
	assert_int_equal(in.i_mode, S_IFCHR | 0666);
	assert_int_equal(in.i_block[0], 1 << 8 | 3);
	in = image_stat(fs, "/far");
	assert_int_equal(in.i_block[0], 0);
	assert_int_equal(in.i_block[1], (100000 & 0xff) | 259 << 8 | (100000 & ~0xff) << 12);
	assert_int_equal(image_stat(fs, "/socket").i_mode & S_IFMT, S_IFSOCK);
	in = image_stat(fs, "/owned");
	assert_int_equal(inode_uid(in), 70000);
	assert_int_equal(inode_gid(in), 1234567);
	ext2fs_close_free(&fs);
}

static void test_caller_becomes_root(void **state)
{
	struct scratch *s = *state;
	struct ext4_build_args args = { .owner = EXT4_OWNER_CALLER_TO_ROOT };
	struct coffer_error e = COFFER_ERROR_INIT;
	struct ext2_inode_large in;
	ext2_filsys fs;

	put_file(s->tree, "mine", 0, 1, 'x');
	if (geteuid() == 0) { /* play an ordinary user whose directory holds another's file */
		put_file(s->tree, "other", 0, 1, 'x');
		assert_int_equal(fchownat(s->tree, "other", 777, 888, 0), 0);
		assert_int_equal(fchownat(s->tree, "mine", 1000, 1000, 0), 0);
		assert_int_equal(setegid(1000), 0);
		assert_int_equal(seteuid(1000), 0);
	}
	assert_int_equal(ext4_build_from_dir(s->tree, s->image, &args, &e), 0);
	if (getuid() == 0) {
		assert_int_equal(seteuid(0), 0);
		assert_int_equal(setegid(0), 0);
	}
	assert_int_equal(run_e2fsck(s), 0);

	fs = image_open(s);
	in = image_stat(fs, "/mine");
	assert_int_equal(inode_uid(in), 0);
	assert_int_equal(inode_gid(in), 0);
	if (geteuid() == 0) {
		in = image_stat(fs, "/other");
		assert_int_equal(inode_uid(in), 777);
		assert_int_equal(inode_gid(in), 888);
	}
	ext2fs_close_free(&fs);
}

static void test_holes_stay_holes(void **state)
{
	struct scratch *s = *state;
	struct ext2_inode_large in;
	struct stat st;
	char buf[8192];
	ext2_filsys fs;

	put_file(s->tree, "sparse", 0, 1, 'a');
	put_file(s->tree, "sparse", 1 << 20, 5000, 'b');
	put_file(s->tree, "sparse", (off_t)6 << 30, 3, 'c');
	put_file(s->tree, "hollow", 0, 0, 0);
	{
		autoclose int fd = openat(s->tree, "hollow", O_WRONLY | O_CLOEXEC);

		assert_int_equal(ftruncate(fd, (off_t)3 << 30), 0);
	}
	build_ok(s, NULL);
	assert_int_equal(fstat(s->image, &st), 0);
	assert_true(st.st_size < 4 << 20);

	fs = image_open(s);
	in = image_stat(fs, "/sparse");
	assert_int_equal(EXT2_I_SIZE(&in), ((uint64_t)6 << 30) + 3);
	assert_int_equal(in.i_blocks, 4 * 8);
	image_read(fs, "/sparse", 1 << 20, buf, 5500);
	assert_int_equal(buf[4999], 'b');
	assert_int_equal(buf[5000], 0);
	image_read(fs, "/sparse", ((uint64_t)6 << 30) - 5, buf, 8);
	assert_memory_equal(buf, "\0\0\0\0\0ccc", 8);
	in = image_stat(fs, "/hollow");
	assert_int_equal(EXT2_I_SIZE(&in), (uint64_t)3 << 30);
	assert_int_equal(in.i_blocks, 0);
	ext2fs_close_free(&fs);
}

/* More runs than an inode and than one block of the tree can hold. */
static void test_many_extents(void **state)
{
	struct scratch *s = *state;
	ext2_filsys fs;
	char c[2];

	for (int i = 0; i < 1500; i++)
		put_file(s->tree, "torn", (off_t)i * 8192, 1, (char)('a' + i % 26));
	build_ok(s, NULL);
	fs = image_open(s);
	for (int i = 0; i < 1500; i += 7) {
		image_read(fs, "/torn", (uint64_t)i * 8192, c, 1);
		assert_int_equal(c[0], 'a' + i % 26);
	}
	ext2fs_close_free(&fs);
}

static void test_large_content(void **state)
{
	struct scratch *s = *state;
	static unsigned char want[3 << 20], got[3 << 20];
	autoclose int fd = -1;
	ext2_filsys fs;

	for (size_t i = 0; i < sizeof(want); i++)
		want[i] = (unsigned char)(i * 2654435761u >> 13);
	fd = openat(s->tree, "data", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, want, sizeof(want) - 77), sizeof(want) - 77);
	build_ok(s, NULL);
	fs = image_open(s);
	image_read(fs, "/data", 0, got, sizeof(want) - 77);
	assert_memory_equal(got, want, sizeof(want) - 77);
	ext2fs_close_free(&fs);
}

static void test_big_directory(void **state)
{
	struct scratch *s = *state;
	char name[256];
	ext2_filsys fs;

	for (int i = 0; i < 4000; i++) {
		/* Names of all lengths, so that records meet the ends of blocks every way. */
		snprintf(name, sizeof(name), "%0*d", 4 + i % 252, i);
		put_file(s->tree, name, 0, 0, 0);
	}
	build_ok(s, NULL);
	fs = image_open(s);
	for (int i = 0; i < 4000; i += 13) {
		snprintf(name, sizeof(name), "%0*d", 4 + i % 252, i);
		assert_int_not_equal(image_lookup(fs, name), 0);
	}
	ext2fs_close_free(&fs);
}

static void test_xattrs(void **state)
{
	static const char cap[20] = { 1, 0, 0, 2, 0, 0x20 };
	/* version 2; user::rwx user:1000:r-x group::r-x mask::r-x other::--- */
	static const unsigned char acl[] = {
		2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 5, 0, 0xe8, 3, 0, 0,
		4, 0, 5, 0, 255, 255, 255, 255, 16, 0, 5, 0, 255, 255, 255, 255,
		32, 0, 0, 0, 255, 255, 255, 255,
	};
	struct scratch *s = *state;
	struct ext2_xattr_handle *h;
	char path[128], big[2000];
	size_t len;
	void *value;
	ext2_filsys fs;

	memset(big, 'v', sizeof(big));
	put_file(s->tree, "file", 0, 1, 'x');
	snprintf(path, sizeof(path), "%s/tree/file", s->path);
	if (setxattr(path, "user.small", "value", 5, 0) < 0)
		skip(); /* a file system without them */
	assert_int_equal(setxattr(path, "user.big", big, sizeof(big), 0), 0);
	assert_int_equal(setxattr(path, "system.posix_acl_access", acl, sizeof(acl), 0), 0);
	if (geteuid() == 0)
		assert_int_equal(setxattr(path, "security.capability", cap, sizeof(cap), 0), 0);
	snprintf(path, sizeof(path), "%s/tree", s->path);
	assert_int_equal(setxattr(path, "user.root", "r", 1, 0), 0);
	build_ok(s, NULL);

	fs = image_open(s);
	assert_int_equal(ext2fs_xattrs_open(fs, image_lookup(fs, "/file"), &h), 0);
	assert_int_equal(ext2fs_xattrs_read(h), 0);
	assert_int_equal(ext2fs_xattr_get(h, "user.small", &value, &len), 0);
	assert_int_equal(len, 5);
	assert_memory_equal(value, "value", 5);
	ext2fs_free_mem(&value);
	assert_int_equal(ext2fs_xattr_get(h, "user.big", &value, &len), 0);
	assert_int_equal(len, sizeof(big));
	ext2fs_free_mem(&value);
	assert_int_equal(ext2fs_xattr_get(h, "system.posix_acl_access", &value, &len), 0);
	assert_int_equal(len, sizeof(acl));
	ext2fs_free_mem(&value);
	if (geteuid() == 0) {
		assert_int_equal(ext2fs_xattr_get(h, "security.capability", &value, &len), 0);
		assert_memory_equal(value, cap, sizeof(cap));
		ext2fs_free_mem(&value);
	}
	ext2fs_xattrs_close(&h);
	assert_int_equal(ext2fs_xattrs_open(fs, EXT2_ROOT_INO, &h), 0);
	assert_int_equal(ext2fs_xattrs_read(h), 0);
	assert_int_equal(ext2fs_xattr_get(h, "user.root", &value, &len), 0);
	ext2fs_free_mem(&value);
	ext2fs_xattrs_close(&h);
	ext2fs_close_free(&fs);
}

static void test_extra_space(void **state)
{
	struct scratch *s = *state;
	struct ext4_build_args args = { .extra_bytes = (uint64_t)5 << 30 };
	struct stat st;
	ext2_filsys fs;

	put_file(s->tree, "file", 0, 100000, 'x');
	build_ok(s, &args);
	assert_int_equal(fstat(s->image, &st), 0);
	assert_true(st.st_size > (off_t)5 << 30);
	assert_true(st.st_blocks * 512 < 4 << 20);
	fs = image_open(s);
	assert_true(ext2fs_free_blocks_count(fs->super) * 4096 >= args.extra_bytes);
	assert_true(fs->super->s_free_inodes_count > 100000);
	ext2fs_close_free(&fs);
}

static void test_reproducible(void **state)
{
	struct scratch *s = *state;
	struct ext4_build_args args = { .reproducible = true, .epoch = 1000000 };
	struct coffer_error e = COFFER_ERROR_INIT;
	static char one[4 << 20], two[4 << 20];
	struct timespec old[2] = { { 5, 0 }, { 6, 7 } };
	struct ext2_inode_large in;
	ext2_filsys fs;
	ssize_t n;

	put_file(s->tree, "new", 0, 5000, 'x');
	put_file(s->tree, "old", 0, 5000, 'x');
	assert_int_equal(mkdirat(s->tree, "dir", 0755), 0);
	assert_int_equal(utimensat(s->tree, "old", old, 0), 0);
	build_ok(s, &args);
	n = pread(s->image, one, sizeof(one), 0);

	assert_int_equal(unlinkat(s->tree, "new", 0), 0);
	assert_int_equal(unlinkat(s->tree, "dir", AT_REMOVEDIR), 0);
	assert_int_equal(mkdirat(s->tree, "dir", 0755), 0);
	put_file(s->tree, "new", 0, 5000, 'x');
	old[0].tv_sec = 77;
	assert_int_equal(utimensat(s->tree, "old", old, 0), 0);
	build_ok(s, &args);
	assert_int_equal(pread(s->image, two, sizeof(two), 0), n);
	assert_memory_equal(one, two, n);

	fs = image_open(s);
	in = image_stat(fs, "/new");
	assert_int_equal(in.i_mtime, 1000000);
	in = image_stat(fs, "/old");
	assert_int_equal(in.i_mtime, 6);
	assert_int_equal(in.i_mtime_extra >> 2, 7);
	assert_int_equal(fs->super->s_mkfs_time, 1000000);
	ext2fs_close_free(&fs);

	args.epoch = 0;
	assert_int_equal(ext4_build_from_dir(s->tree, s->image, &args, &e), -EINVAL);
}

static void test_create_empty(void **state)
{
	struct scratch *s = *state;
	struct coffer_error e = COFFER_ERROR_INIT;
	struct stat st;

	put_file(s->dirfd, "image", 0, 100000, '!'); /* old content must not shine through */
	assert_int_equal(ext4_create_empty(s->image, (uint64_t)10 << 30, false, &e), 0);
	assert_int_equal(run_e2fsck(s), 0);
	assert_int_equal(fstat(s->image, &st), 0);
	assert_int_equal(st.st_size, (off_t)10 << 30);
	assert_true(st.st_blocks * 512 < 4 << 20);

	assert_int_equal(ext4_create_empty(s->image, 1 << 20, false, &e), 0);
	assert_int_equal(run_e2fsck(s), 0);
	assert_int_equal(ext4_create_empty(s->image, 1000, false, &e), -EINVAL);
	assert_int_equal(ext4_create_empty(s->image, (uint64_t)1 << 60, false, &e), -EFBIG);
	assert_int_equal(ext4_create_empty(s->tree, 1 << 20, false, &e), -EINVAL);

	assert_int_equal(ext4_create_empty(s->image, EXT4_JOURNAL_MIN, true, &e), 0);
	assert_int_equal(run_e2fsck(s), 0);
	assert_int_equal(ext4_create_empty(s->image, EXT4_JOURNAL_MIN - 4096, true, &e), -EINVAL);
	assert_int_equal(ext4_create_empty(s->image, (uint64_t)8 << 30, true, &e), 0);
	assert_int_equal(run_e2fsck(s), 0);
	assert_int_equal(fstat(s->image, &st), 0);
	assert_true(st.st_blocks * 512 < 4 << 20);
}

static void test_errors_name_the_path(void **state)
{
	struct scratch *s = *state;
	struct ext4_build_args args = { 0 };
	struct coffer_error e = COFFER_ERROR_INIT;
	bool root = geteuid() == 0;
	int r;

	assert_int_equal(mkdirat(s->tree, "dir", 0755), 0);
	put_file(s->tree, "dir/secret", 0, 10, 'x');
	assert_int_equal(fchmodat(s->tree, "dir/secret", 0, 0), 0);
	if (root)
		assert_int_equal(seteuid(1000), 0);
	r = ext4_build_from_dir(s->tree, s->image, &args, &e);
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(r, -EACCES);
	assert_non_null(strstr(e.message, "/dir/secret: open"));
}

/* Says so when asked for the @data'th time. */
static bool has_had_enough(void *data)
{
	return --*(int *)data <= 0;
}

static void test_given_up(void **state)
{
	struct scratch *s = *state;
	int looks = 1;
	struct ext4_build_args args = { .is_cancelled = has_had_enough, .data = &looks };
	struct coffer_error e = COFFER_ERROR_INIT;

	assert_int_equal(mkdirat(s->tree, "dir", 0755), 0);
	put_file(s->tree, "dir/file", 0, 10, 'x');
	assert_int_equal(ext4_build_from_dir(s->tree, s->image, &args, &e), -ECANCELED);
	assert_int_equal(e.kind, COFFER_ERR_CANCELLED);
	/* The root and the directory are looked at when they are counted, the file when copied. */
	looks = 3;
	assert_int_equal(ext4_build_from_dir(s->tree, s->image, &args, &e), -ECANCELED);
	assert_non_null(strstr(e.message, "/dir/file: given up"));
	looks = 100;
	build_ok(s, &args);
}

#define image_test(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		image_test(test_types_modes_links),
		image_test(test_nodes_and_owners),
		image_test(test_caller_becomes_root),
		image_test(test_holes_stay_holes),
		image_test(test_many_extents),
		image_test(test_large_content),
		image_test(test_big_directory),
		image_test(test_xattrs),
		image_test(test_extra_space),
		image_test(test_reproducible),
		image_test(test_create_empty),
		image_test(test_errors_name_the_path),
		image_test(test_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
