/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_image_layer_stack.c - layers over each other as an ext4 image
 *
 * The image is read back with libext2fs, and e2fsck looks at each.
 */
#include "image_check.h"

#include <sys/sysmacros.h>

#include "image/layer/layer.h"
#include "layer_tar.h"

static const struct settings_limits generous = SETTINGS_LIMITS_DEFAULT;
static const struct layer_watch unwatched = { .cancel_fd = -1 };

#define MANY 128

typedef void (*packer_fn)(struct tar *out, const void *data, size_t n);

/* Archives, which are ended and freed; the first error ends it. */
static int stack_build(const struct scratch *s, struct tar *layers, size_t n, packer_fn pack,
		       struct coffer_error *e)
{
	CLEANUP(layer_stack_freep) struct layer_stack *stack = NULL;
	int r;

	*e = (struct coffer_error)COFFER_ERROR_INIT;
	r = layer_stack_new(s->image, &generous, &unwatched, &stack, e);
	for (size_t i = 0; i < n; i++) {
		struct tar packed = { 0 };
		struct layer_source l;

		tar_end(&layers[i]);
		pack(&packed, layers[i].mem, layers[i].len);
		l = tar_source(packed.mem, packed.len);
		if (r == 0)
			r = layer_stack_add(stack, &l, NULL, e);
		close(l.fd);
		tar_free(&packed);
		tar_free(&layers[i]);
	}
	return r < 0 ? r : layer_stack_finish(stack, e);
}

static ext2_filsys stack_ok(const struct scratch *s, struct tar *layers, size_t n)
{
	struct coffer_error e;

	if (stack_build(s, layers, n, tar_bytes, &e) < 0)
		fail_msg("%s", e.message);
	if (run_e2fsck(s) != 0)
		fail_msg("e2fsck finds faults in %s", s->path);
	return image_open(s);
}

static void stack_refused(const struct scratch *s, struct tar *layers, size_t n, const char *why)
{
	struct coffer_error e;

	if (stack_build(s, layers, n, tar_bytes, &e) == 0)
		fail_msg("not refused: %s", why);
	if (!strstr(e.message, why))
		fail_msg("\"%s\" does not say \"%s\"", e.message, why);
}

static void expect_text(ext2_filsys fs, const char *path, const char *text)
{
	char buf[64] = { 0 };

	assert_int_equal(image_stat(fs, path).i_size, strlen(text));
	image_read(fs, path, 0, buf, (unsigned)strlen(text));
	assert_string_equal(buf, text);
}

static bool is_there(ext2_filsys fs, const char *path)
{
	return image_lookup(fs, path) != 0;
}

static int count_entry(struct ext2_dir_entry *e, int off, int size, char *buf, void *data)
{
	++*(int *)data;
	return 0;
}

/* How many names a directory has, "." and ".." not counted. */
static int count_names(ext2_filsys fs, const char *path)
{
	int n = 0;

	assert_int_equal(ext2fs_dir_iterate(fs, image_lookup(fs, path), 0, NULL, count_entry, &n),
			 0);
	return n - 2;
}

static void test_metadata(void **state)
{
	struct scratch *s = *state;
	struct tar t = { 0 };
	struct ext2_inode_large in;
	char target[300];
	ext2_filsys fs;

	memset(target, 't', 250);
	target[250] = '\0';
	tar_add(&t, &(struct tar_entry){ .name = "./", .type = '5', .mode = 0700, .uid = 3,
					 .mtime = 77 });
	tar_add(&t, &(struct tar_entry){ .name = "suid", .mode = 04755, .uid = 70000,
					 .gid = 3000000000, .mtime = 1 });
	tar_pax(&t, "mtime", "5000000000.123456789", 20);
	tar_file(&t, "late", "x");
	tar_pax(&t, "mtime", "-1.25", 5);
	tar_file(&t, "early", "x");
	tar_add(&t, &(struct tar_entry){ .name = "dev/null", .type = '3', .mode = 0666, .major = 1,
					 .minor = 3 });
	tar_add(&t, &(struct tar_entry){ .name = "dev/big", .type = '4', .major = 259,
					 .minor = 1000 });
	tar_add(&t, &(struct tar_entry){ .name = "dev/fifo", .type = '6' });
	tar_symlink(&t, "short", "to/here");
	tar_symlink(&t, "long", target);
	fs = stack_ok(s, &t, 1);
	in = image_stat(fs, "/");
	assert_int_equal(in.i_mode, S_IFDIR | 0700);
	assert_int_equal(in.i_uid, 3);
	assert_int_equal(in.i_mtime, 77);
	in = image_stat(fs, "/suid");
	assert_int_equal(in.i_mode, S_IFREG | 04755);
	assert_int_equal(in.i_uid | in.i_uid_high << 16, 70000);
	assert_int_equal((unsigned)in.i_gid | (unsigned)in.i_gid_high << 16, 3000000000);
	in = image_stat(fs, "/late");
	assert_int_equal(in.i_mtime, (uint32_t)5000000000);
	assert_int_equal(in.i_mtime_extra, 123456789 << 2 | 1);
	in = image_stat(fs, "/early");
	assert_int_equal(in.i_mtime, (uint32_t)-2);
	assert_int_equal(in.i_mtime_extra >> 2, 750000000);
	in = image_stat(fs, "/dev");
	assert_int_equal(in.i_mode, S_IFDIR | 0755);
	assert_int_equal(in.i_mtime, 0);
	assert_int_equal(image_stat(fs, "/dev/null").i_block[0], 1 << 8 | 3);
	assert_int_equal(image_stat(fs, "/dev/big").i_block[1],
			 (1000 & 0xff) | 259 << 8 | (1000 & ~0xff) << 12);
	assert_int_equal(image_stat(fs, "/dev/fifo").i_mode & S_IFMT, S_IFIFO);
	assert_string_equal((char *)image_stat(fs, "/short").i_block, "to/here");
	assert_int_equal(image_stat(fs, "/long").i_size, 250);
	ext2fs_close_free(&fs);
}

static void test_upper_replaces(void **state)
{
	struct scratch *s = *state;
	struct tar t[3] = { 0 };
	ext2_filsys fs;

	tar_file(&t[0], "file", "old");
	tar_file(&t[0], "becomes-dir", "old");
	tar_dir(&t[0], "becomes-file/sub");
	tar_file(&t[0], "becomes-file/sub/x", "old");
	tar_dir(&t[0], "merged");
	tar_file(&t[0], "merged/lower", "lower");
	tar_file(&t[0], "Case", "upper case");
	tar_file(&t[1], "file", "new");
	tar_file(&t[1], "file", "newest");
	tar_dir(&t[1], "becomes-dir");
	tar_file(&t[1], "becomes-dir/x", "new");
	tar_file(&t[1], "becomes-file", "new");
	tar_add(&t[1], &(struct tar_entry){ .name = "merged", .type = '5', .mode = 0711, .uid = 9 });
	tar_file(&t[1], "merged/upper", "upper");
	tar_file(&t[1], "case", "lower case");
	tar_file(&t[2], "merged/third", "third");
	fs = stack_ok(s, t, 3);
	expect_text(fs, "/file", "newest");
	expect_text(fs, "/becomes-dir/x", "new");
	expect_text(fs, "/becomes-file", "new");
	expect_text(fs, "/merged/lower", "lower");
	expect_text(fs, "/merged/upper", "upper");
	expect_text(fs, "/merged/third", "third");
	assert_int_equal(image_stat(fs, "/merged").i_mode, S_IFDIR | 0711);
	assert_int_equal(image_stat(fs, "/merged").i_uid, 9);
	expect_text(fs, "/Case", "upper case");
	expect_text(fs, "/case", "lower case");
	assert_int_equal(count_names(fs, "/"), 6);
	ext2fs_close_free(&fs);
}

static void lower_for_whiteouts(struct tar *t)
{
	tar_file(t, "file", "lower");
	tar_add(t, &(struct tar_entry){ .name = "dir", .type = '5', .mode = 0700, .uid = 5 });
	tar_file(t, "dir/a", "lower");
	tar_file(t, "dir/deep/b", "lower");
	tar_file(t, "dir/deep/c", "lower");
	tar_file(t, "kept/x", "lower");
}

/* What hides, first or last in its layer. */
static void whiteouts_ok(struct scratch *s, bool first)
{
	struct tar t[2] = { 0 };
	ext2_filsys fs;

	lower_for_whiteouts(&t[0]);
	for (int turn = 0; turn < 2; turn++) {
		if (first == (turn == 0)) {
			tar_file(&t[1], ".wh.file", "");
			tar_file(&t[1], ".wh.absent", "");
			tar_file(&t[1], "absent/.wh.x", "");
			tar_file(&t[1], ".wh.dir", "");
			tar_file(&t[1], "kept/x/.wh.y", "");
			tar_file(&t[1], "kept/x/.wh..wh..opq", "");
			tar_file(&t[1], "kept/.wh..wh..opq", "");
		} else {
			tar_file(&t[1], "dir/deep/new", "upper");
			tar_file(&t[1], "dir/deep/c", "upper");
			tar_file(&t[1], "kept/y", "upper");
		}
	}
	fs = stack_ok(s, t, 2);
	assert_false(is_there(fs, "/file"));
	assert_false(is_there(fs, "/absent"));
	assert_false(is_there(fs, "/dir/a"));
	assert_false(is_there(fs, "/dir/deep/b"));
	expect_text(fs, "/dir/deep/c", "upper");
	expect_text(fs, "/dir/deep/new", "upper");
	assert_false(is_there(fs, "/kept/x"));
	expect_text(fs, "/kept/y", "upper");
	/* Nothing of the directory that was hidden shines through. */
	assert_int_equal(image_stat(fs, "/dir").i_mode, S_IFDIR | 0755);
	assert_int_equal(image_stat(fs, "/dir").i_uid, 0);
	assert_int_equal(count_names(fs, "/"), 2);
	ext2fs_close_free(&fs);
}

static void test_whiteouts(void **state)
{
	whiteouts_ok(*state, true);
	whiteouts_ok(*state, false);
}

static void test_whiteouts_spare_their_layer(void **state)
{
	struct scratch *s = *state;
	struct tar t[2] = { 0 };
	ext2_filsys fs;

	lower_for_whiteouts(&t[0]);
	tar_file(&t[1], "file", "upper");
	tar_file(&t[1], ".wh.file", "");
	tar_dir(&t[1], "dir");
	tar_file(&t[1], "dir/a", "upper");
	tar_file(&t[1], "dir/.wh.a", "");
	tar_file(&t[1], ".wh..wh..opq", "");
	fs = stack_ok(s, t, 2);
	expect_text(fs, "/file", "upper");
	expect_text(fs, "/dir/a", "upper");
	assert_int_equal(count_names(fs, "/"), 2);
	assert_int_equal(count_names(fs, "/dir"), 1);
	ext2fs_close_free(&fs);
}

static void test_hard_links(void **state)
{
	struct scratch *s = *state;
	struct tar t[2] = { 0 };
	ext2_filsys fs;

	tar_file(&t[0], "a", "first");
	tar_hardlink(&t[0], "b", "a");
	tar_hardlink(&t[0], "b", "./b");
	tar_symlink(&t[0], "s", "a");
	tar_hardlink(&t[0], "s2", "s");
	tar_hardlink(&t[1], "sub/c", "b");
	tar_file(&t[1], "a", "second");
	tar_hardlink(&t[1], "s2", "a");
	fs = stack_ok(s, t, 2);
	expect_text(fs, "/a", "second");
	expect_text(fs, "/b", "first");
	assert_int_equal(image_lookup(fs, "/b"), image_lookup(fs, "/sub/c"));
	assert_int_equal(image_stat(fs, "/b").i_links_count, 2);
	assert_int_equal(image_lookup(fs, "/a"), image_lookup(fs, "/s2"));
	assert_int_equal(image_stat(fs, "/s").i_links_count, 1);
	ext2fs_close_free(&fs);

	tar_hardlink(&t[0], "a", "absent/b");
	stack_refused(s, t, 1, "entry \"a\": link to \"absent/b\": it is not there");
	tar_dir(&t[0], "dir");
	tar_hardlink(&t[0], "a", "dir");
	stack_refused(s, t, 1, "it is a directory");
	tar_file(&t[0], "a", "");
	tar_hardlink(&t[1], "b", "a");
	tar_file(&t[1], ".wh.a", "");
	tar_hardlink(&t[1], "c", "a");
	stack_refused(s, t, 2, "entry \"c\": link to \"a\": it is not there");
}

static void test_links_on_the_way(void **state)
{
	struct scratch *s = *state;
	char target[300];
	struct tar t[2] = { 0 };
	ext2_filsys fs;

	tar_dir(&t[0], "usr/bin");
	tar_symlink(&t[0], "bin", "usr/bin");
	tar_symlink(&t[0], "out", "../../../../usr/./bin//");
	tar_symlink(&t[0], "abs", "/usr");
	tar_symlink(&t[0], "dangling", "to/be/made");
	memset(target, '/', 280);
	strcpy(target + 280, "usr");
	tar_symlink(&t[0], "long", target);
	tar_file(&t[1], "bin/one", "1");
	tar_file(&t[1], "out/two", "2");
	tar_file(&t[1], "abs/bin/three", "3");
	tar_file(&t[1], "long/bin/four", "4");
	tar_file(&t[1], "dangling/five", "5");
	tar_hardlink(&t[1], "six", "bin/one");
	tar_file(&t[1], "bin/.wh.two", "");
	tar_file(&t[1], "bin/two", "2.");
	fs = stack_ok(s, t, 2);
	assert_int_equal(count_names(fs, "/usr/bin"), 4);
	expect_text(fs, "/usr/bin/one", "1");
	expect_text(fs, "/usr/bin/two", "2.");
	expect_text(fs, "/usr/bin/four", "4");
	expect_text(fs, "/to/be/made/five", "5");
	expect_text(fs, "/six", "1");
	assert_int_equal(image_stat(fs, "/bin").i_mode & S_IFMT, S_IFLNK);
	ext2fs_close_free(&fs);

	tar_symlink(&t[0], "a", "b");
	tar_symlink(&t[0], "b", "a");
	tar_file(&t[0], "a/x", "");
	stack_refused(s, t, 1, "entry \"a/x\": too many symbolic links on its way");
	tar_file(&t[0], "file", "");
	tar_file(&t[1], "file/x", "");
	stack_refused(s, t, 2, "entry \"file/x\": \"file\" on its way is no directory");
	tar_add(&t[0], &(struct tar_entry){ .name = "dev", .type = '3', .major = 1 });
	tar_symlink(&t[0], "l", "dev");
	tar_file(&t[0], "l/x", "");
	stack_refused(s, t, 1, "\"dev\" on its way is no directory");
}

static void test_way_changes(void **state)
{
	struct scratch *s = *state;
	struct tar t = { 0 };
	ext2_filsys fs;

	tar_dir(&t, "one");
	tar_dir(&t, "two");
	tar_symlink(&t, "way", "one");
	tar_file(&t, "way/a", "");
	tar_symlink(&t, "way", "two");
	tar_file(&t, "way/b", "");
	tar_dir(&t, "way");
	tar_file(&t, "way/c", "");
	fs = stack_ok(s, &t, 1);
	assert_true(is_there(fs, "/one/a") && is_there(fs, "/two/b") && is_there(fs, "/way/c"));
	assert_int_equal(count_names(fs, "/one") + count_names(fs, "/two"), 2);
	ext2fs_close_free(&fs);
}

/* As deep as names go, and deeper with links. */
/* The directory of the last entry is hidden, and another comes into it. */
static void test_way_goes(void **state)
{
	struct scratch *s = *state;
	struct tar t[2] = { 0 };
	ext2_filsys fs;

	tar_file(&t[0], "d/x", "lower");
	tar_file(&t[1], "d/.wh.x", "");
	tar_file(&t[1], ".wh..wh..opq", "");
	tar_file(&t[1], "d/y", "upper");
	fs = stack_ok(s, t, 2);
	assert_false(is_there(fs, "/d/x"));
	expect_text(fs, "/d/y", "upper");
	ext2fs_close_free(&fs);
}

/* What was about to be written of a file that is gone is not, over what has come there since. */
static void test_gone_before_written(void **state)
{
	struct scratch *s = *state;
	char large[2500], name[16];
	struct tar t = { 0 };

	memset(large, 'x', sizeof(large));
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		tar_file(&t, name, "content");
		tar_pax(&t, "SCHILY.xattr.user.large", large, sizeof(large));
		tar_file(&t, name, "");
	}
	ext2fs_close_free(&(ext2_filsys){ stack_ok(s, &t, 1) });
}

static void test_too_many_links(void **state)
{
	struct scratch *s = *state;
	struct tar t = { 0 };
	char name[16];

	tar_file(&t, "f", "");
	for (int i = 0; i < 65000; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		tar_add(&t, &(struct tar_entry){ .name = name, .type = '1', .link = "f" });
	}
	stack_refused(s, &t, 1, "link to \"f\": one more name: Too many links");
}

static void test_deep(void **state)
{
	struct scratch *s = *state;
	static char deep[4096], name[32];
	struct tar t = { 0 };
	ext2_filsys fs;

	for (size_t i = 0; i < 2000; i++)
		memcpy(deep + 2 * i, "d/", 3);
	tar_dir(&t, deep);
	tar_file(&t, ".wh.d", "");
	fs = stack_ok(s, &t, 1);
	ext2fs_close_free(&fs);

	/* s leads down, to an l that leads down, to an l ... */
	deep[1999] = '\0';
	strcpy(name, "s");
	for (int i = 0; i < 5; i++) {
		tar_symlink(&t, name, deep);
		strcat(name, "/l");
	}
	tar_file(&t, name, "");
	stack_refused(s, &t, 1, "its directory is too deep");
}

static void test_xattrs(void **state)
{
	static char big[3000], huge[5000];
	struct scratch *s = *state;
	struct tar t[3] = { 0 };
	struct ext2_xattr_handle *h;
	ext2_filsys fs;
	size_t n;
	void *v;

	memset(big, 'b', sizeof(big));
	memset(huge, 'h', sizeof(huge));
	tar_pax(&t[0], "SCHILY.xattr.security.capability", "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
		20);
	tar_file(&t[0], "ping", "x");
	for (int i = 0; i < 2; i++) {
		tar_pax(&t[i], "SCHILY.xattr.user.big", big, i ? 2000 : sizeof(big));
		tar_dir(&t[i], "dir");
	}
	tar_pax(&t[0], "SCHILY.xattr.user.big", big, sizeof(big));
	tar_file(&t[0], "file", "old");
	tar_file(&t[1], "file", "new");
	tar_file(&t[2], "fill", "fills what is free");
	fs = stack_ok(s, t, 3);
	assert_int_equal(ext2fs_xattrs_open(fs, image_lookup(fs, "/ping"), &h), 0);
	assert_int_equal(ext2fs_xattrs_read(h), 0);
	assert_int_equal(ext2fs_xattr_get(h, "security.capability", &v, &n), 0);
	assert_int_equal(n, 20);
	ext2fs_free_mem(&v);
	ext2fs_xattrs_close(&h);
	assert_int_equal(ext2fs_xattrs_open(fs, image_lookup(fs, "/dir"), &h), 0);
	assert_int_equal(ext2fs_xattrs_read(h), 0);
	assert_int_equal(ext2fs_xattr_get(h, "user.big", &v, &n), 0);
	assert_int_equal(n, 2000);
	ext2fs_free_mem(&v);
	ext2fs_xattrs_close(&h);
	assert_int_equal(image_stat(fs, "/file").i_file_acl, 0);
	ext2fs_close_free(&fs);

	tar_pax(&t[0], "SCHILY.xattr.user.huge", huge, sizeof(huge));
	tar_file(&t[0], "file", "");
	stack_refused(s, t, 1, "entry \"file\": extended attributes are larger than a block");
}

/* GNU's form 1.0: the map is in front of the data. */
static void add_sparse(struct tar *t, const char *name, const char *size, const char *map,
		       const char *data)
{
	char content[16384] = { 0 };

	strcpy(content, map);
	strcpy(content + TAR_BLOCK, data);
	tar_pax(t, "GNU.sparse.major", "1", 1);
	tar_pax(t, "GNU.sparse.minor", "0", 1);
	tar_pax(t, "GNU.sparse.name", name, strlen(name));
	tar_pax(t, "GNU.sparse.realsize", size, strlen(size));
	tar_add(t, &(struct tar_entry){ .name = "GNUSparseFile.0/x", .data = content,
					.len = TAR_BLOCK + strlen(data) });
}

static void test_sparse(void **state)
{
	struct scratch *s = *state;
	struct tar t = { 0 };
	struct stat st;
	char buf[16];
	ext2_filsys fs;

	add_sparse(&t, "two-gib", "2147483648", "2\n5000\n4\n2147483640\n8\n", "middthe end.");
	add_sparse(&t, "tail", "1000000", "2\n0\n5\n1000000\n0\n", "begin");
	fs = stack_ok(s, &t, 1);
	assert_int_equal(image_stat(fs, "/two-gib").i_size, UINT32_C(1) << 31);
	assert_int_equal(image_stat(fs, "/two-gib").i_blocks, 2 * 8);
	image_read(fs, "/two-gib", 4999, buf, 6);
	assert_memory_equal(buf, "\0midd\0", 6);
	image_read(fs, "/two-gib", 2147483639, buf, 9);
	assert_memory_equal(buf, "\0the end.", 9);
	assert_int_equal(image_stat(fs, "/tail").i_size, 1000000);
	assert_int_equal(image_stat(fs, "/tail").i_blocks, 8);
	ext2fs_close_free(&fs);
	assert_int_equal(fstat(s->image, &st), 0);
	assert_true(st.st_size < 16 << 20 && st.st_blocks < 4096);

	add_sparse(&t, "back", "100000", "2\n50000\n4\n100\n4\n", "12345678");
	stack_refused(s, &t, 1, "entry \"back\":");
}

/* Zeroes that an archiver has written out, and what must not be lost between them. */
static void test_zeroes_become_holes(void **state)
{
	static const size_t marks[] = { 0,	 1,	   4095,    70000,   262143,  262144,
					300001,  524287,   1 << 20, 2000003, 3 << 20, (4 << 20) - 1 };
	struct scratch *s = *state;
	uint8_t *data = calloc(1, 4 << 20), *back = malloc(4 << 20);
	struct tar t = { 0 };
	ext2_filsys fs;
	char name[8];

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		memset(data, 0, 4 << 20);
		for (size_t k = 0; k <= i; k++)
			data[marks[k]] = (uint8_t)(k + 1);
		sprintf(name, "%zu", i);
		tar_add(&t, &(struct tar_entry){ .name = name, .data = data,
						 .len = (4 << 20) - i * 511 });
	}
	memset(data, 0, 4 << 20);
	tar_add(&t, &(struct tar_entry){ .name = "zero", .data = data, .len = 4 << 20 });
	memset(data, 'x', 4 << 20);
	tar_add(&t, &(struct tar_entry){ .name = "full", .data = data, .len = 4 << 20 });
	fs = stack_ok(s, &t, 1);
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		size_t len = (4 << 20) - i * 511;

		memset(data, 0, 4 << 20);
		for (size_t k = 0; k <= i; k++)
			data[marks[k]] = (uint8_t)(k + 1);
		sprintf(name, "/%zu", i);
		image_read(fs, name, 0, back, (unsigned)len);
		assert_memory_equal(back, data, len);
		assert_true(image_stat(fs, name).i_blocks < 2048);
	}
	assert_int_equal(image_stat(fs, "/zero").i_size, 4 << 20);
	/* What comes before it is seen to be long enough is written. */
	assert_true(image_stat(fs, "/zero").i_blocks <= 128 + 8);
	assert_int_equal(image_stat(fs, "/full").i_blocks, 8192);
	ext2fs_close_free(&fs);
	free(data);
	free(back);
}

/* More runs than an inode holds, in a file that goes away again. */
static void test_extent_trees(void **state)
{
	struct scratch *s = *state;
	struct tar t[3] = { 0 };
	char map[TAR_BLOCK] = { 0 }, data[41] = { 0 }, *p = map, c;
	ext2_filsys fs;

	p += sprintf(p, "40\n");
	for (int i = 0; i < 40; i++) {
		p += sprintf(p, "%d\n1\n", i * 16384);
		data[i] = (char)('a' + i % 26);
	}
	add_sparse(&t[0], "a", "1000000", map, data);
	add_sparse(&t[0], "b", "1000000", map, data);
	tar_file(&t[1], "a", "short");
	add_sparse(&t[2], "c", "1000000", map, data);
	fs = stack_ok(s, t, 3);
	expect_text(fs, "/a", "short");
	for (int i = 0; i < 40; i++) {
		image_read(fs, "/b", (uint64_t)i * 16384, &c, 1);
		assert_int_equal(c, data[i]);
		image_read(fs, "/c", (uint64_t)i * 16384, &c, 1);
		assert_int_equal(c, data[i]);
	}
	ext2fs_close_free(&fs);
}

static void test_space_comes_back(void **state)
{
	struct scratch *s = *state;
	struct tar t[MANY] = { 0 };
	char *data = malloc(1 << 20), back[8], name[16];
	struct stat st;
	ext2_filsys fs;

	for (int i = 0; i < 127; i++) {
		memset(data, 'A' + i % 26, 1 << 20);
		tar_add(&t[i], &(struct tar_entry){ .name = "same", .data = data,
						    .len = (1 << 20) - 1000 * (i % 3) });
		sprintf(name, "dir/%d", i);
		tar_file(&t[i], name, name);
		if (i % 2)
			tar_file(&t[i], "dir/.wh..wh..opq", "");
	}
	free(data);
	fs = stack_ok(s, t, 127);
	assert_int_equal(image_stat(fs, "/same").i_size, 1 << 20);
	image_read(fs, "/same", 0, back, 8);
	assert_int_equal(back[7], 'A' + 126 % 26);
	assert_int_equal(count_names(fs, "/dir"), 2);
	expect_text(fs, "/dir/126", "dir/126");
	ext2fs_close_free(&fs);
	assert_int_equal(fstat(s->image, &st), 0);
	assert_true(st.st_size < 12 << 20);
}

/* More than a group of blocks and of inodes has. */
static void test_many_groups(void **state)
{
	struct scratch *s = *state;
	struct tar t = { 0 };
	char name[32], *data = calloc(1, 8 << 20), c;
	struct stat st;
	ext2_filsys fs;

	for (int i = 0; i < 40000; i++) {
		sprintf(name, "d%d/%d", i % 7, i);
		tar_add(&t, &(struct tar_entry){ .name = name });
	}
	for (int i = 0; i < 20; i++) {
		memset(data, '0' + i, 8 << 20);
		sprintf(name, "big%d", i);
		tar_add(&t, &(struct tar_entry){ .name = name, .data = data, .len = 8 << 20 });
	}
	free(data);
	fs = stack_ok(s, &t, 1);
	assert_int_equal(count_names(fs, "/"), 27);
	assert_int_equal(count_names(fs, "/d3"), 5714);
	image_read(fs, "/big19", (8 << 20) - 1, &c, 1);
	assert_int_equal(c, '0' + 19);
	assert_int_equal(fs->group_desc_count, 3);
	ext2fs_close_free(&fs);
	assert_int_equal(fstat(s->image, &st), 0);
	assert_true(st.st_blocks * 512 < 190 << 20);
}

static void make_some(struct tar t[2])
{
	lower_for_whiteouts(&t[0]);
	tar_file(&t[1], ".wh.dir", "");
	tar_symlink(&t[1], "s", "kept");
	tar_file(&t[1], "s/more", "text");
}

static void test_reproducible(void **state)
{
	static const packer_fn packers[] = { tar_bytes, tar_gzip, tar_zstd, tar_xz };
	static char one[8 << 20], two[8 << 20];
	struct scratch *s = *state;
	struct coffer_error e;
	struct tar t[2] = { 0 };
	ssize_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		make_some(t);
		assert_int_equal(stack_build(s, t, 2, packers[i], &e), 0);
		n = pread(s->image, i ? two : one, sizeof(one), 0);
		assert_true(n > 1 << 20 && n < (ssize_t)sizeof(one));
		if (i)
			assert_memory_equal(one, two, n);
	}
}

static void test_empty(void **state)
{
	struct scratch *s = *state;
	struct tar t = { 0 };
	struct stat st;
	ext2_filsys fs;

	fs = stack_ok(s, &t, 0);
	assert_int_equal(count_names(fs, "/"), 0);
	assert_int_equal(image_stat(fs, "/").i_mode, S_IFDIR | 0755);
	ext2fs_close_free(&fs);
	fs = stack_ok(s, &t, 1);
	ext2fs_close_free(&fs);
	assert_int_equal(fstat(s->image, &st), 0);
	assert_true(st.st_size < 6 << 20 && st.st_blocks * 512 < 256 << 10);
}

/* Names that imply directories are paid for. */
static void test_limits(void **state)
{
	struct settings_limits limits = SETTINGS_LIMITS_DEFAULT;
	struct coffer_error e = COFFER_ERROR_INIT;
	struct scratch *s = *state;
	struct layer_stack *stack;
	struct layer_source l;
	struct tar t = { 0 };

	limits.entries = 3;
	tar_file(&t, "a/b/c/d", "");
	tar_end(&t);
	l = tar_source(t.mem, t.len);
	assert_int_equal(layer_stack_new(s->image, &limits, &unwatched, &stack, &e), 0);
	assert_int_equal(layer_stack_add(stack, &l, NULL, &e), -EINVAL);
	assert_non_null(strstr(e.message, "too many entries"));
	assert_true(layer_stack_add(stack, &l, NULL, &e) < 0);
	assert_true(layer_stack_finish(stack, &e) < 0);
	layer_stack_free(stack);
	close(l.fd);
	tar_free(&t);
}

#define stack_test(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		stack_test(test_metadata),
		stack_test(test_upper_replaces),
		stack_test(test_whiteouts),
		stack_test(test_whiteouts_spare_their_layer),
		stack_test(test_hard_links),
		stack_test(test_links_on_the_way),
		stack_test(test_way_changes),
		stack_test(test_way_goes),
		stack_test(test_gone_before_written),
		stack_test(test_too_many_links),
		stack_test(test_deep),
		stack_test(test_xattrs),
		stack_test(test_sparse),
		stack_test(test_zeroes_become_holes),
		stack_test(test_extent_trees),
		stack_test(test_space_comes_back),
		stack_test(test_many_groups),
		stack_test(test_reproducible),
		stack_test(test_empty),
		stack_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
