/* SPDX-License-Identifier: Apache-2.0 */
/* test_image_unpack.c - layers over a directory: what is made, hidden, replaced and refused */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "archive/pax_write.h"
#include "base/path.h"
#include "image/layer/layer.h"
#include "image/layer/reader.h"

#define NOW 1700000000

static char root[64];
static int root_fd = -1;
static struct layer_used used;
static struct coffer_error error;

static int set_up(void **state)
{
	strcpy(root, "/tmp/test_image_unpack.XXXXXX");
	assert_non_null(mkdtemp(root));
	root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(root_fd >= 0);
	used = (struct layer_used){ 0 };
	umask(0);
	return 0;
}

static int tear_down(void **state)
{
	close_fd(&root_fd);
	return path_remove_tree(AT_FDCWD, root, NULL);
}

/* ---- making layers ---- */

struct archive_maker {
	struct pax_writer *w;
	int fd;
};

static struct archive_maker begin(void)
{
	struct archive_maker a = { .fd = memfd_create("layer", MFD_CLOEXEC) };

	assert_true(a.fd >= 0);
	assert_int_equal(pax_writer_new(a.fd, false, &a.w, NULL), 0);
	return a;
}

static void put(struct archive_maker *a, struct pax_entry e, const char *content)
{
	if (!e.mtime.tv_sec)
		e.mtime.tv_sec = NOW;
	if (!e.mode)
		e.mode = e.type == '5' ? 0755 : 0644;
	if (content && !e.size)
		e.size = strlen(content);
	assert_int_equal(pax_begin(a->w, &e, NULL), 0);
	if (content)
		assert_int_equal(pax_data(a->w, content, strlen(content), NULL), 0);
	assert_int_equal(pax_end(a->w, NULL), 0);
}

static void put_file(struct archive_maker *a, const char *path, const char *content)
{
	put(a, (struct pax_entry){ .path = path, .type = '0' }, content);
}

static void put_dir(struct archive_maker *a, const char *path)
{
	put(a, (struct pax_entry){ .path = path, .type = '5' }, NULL);
}

static void put_link(struct archive_maker *a, char type, const char *path, const char *to)
{
	put(a, (struct pax_entry){ .path = path, .type = type, .link = to, .mode = 0777 }, NULL);
}

static int lay(struct archive_maker *a, bool chown)
{
	const struct settings_limits limits = SETTINGS_LIMITS_DEFAULT;
	const struct layer_watch watch = { .cancel_fd = -1 };
	struct layer_source layer = { .fd = a->fd };
	int r;

	assert_int_equal(pax_finish(a->w, &layer.size, NULL), 0);
	pax_writer_free(a->w);
	strcpy(layer.blob.text, "sha256:test");
	error = (struct coffer_error)COFFER_ERROR_INIT;
	r = layer_unpack(&layer, root_fd, chown, &limits, &used, &watch, &error);
	close(a->fd);
	return r;
}

static void lay_well(struct archive_maker *a)
{
	int r = lay(a, getuid() == 0);

	if (r < 0)
		print_message("%s\n", error.message);
	assert_int_equal(r, 0);
}

/* Lays it and wants it refused with @words. */
static void refuse(struct archive_maker *a, const char *words)
{
	assert_true(lay(a, getuid() == 0) < 0);
	if (!strstr(error.message, words))
		print_message("%s\n", error.message);
	assert_non_null(strstr(error.message, words));
	assert_non_null(strstr(error.message, "sha256:test"));
}

/* ---- looking ---- */

static struct stat look(const char *path)
{
	struct stat st;

	if (fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		print_message("%s is missing\n", path);
	assert_int_equal(fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static bool is_there(const char *path)
{
	return faccessat(root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void holds(const char *path, const char *want)
{
	autoclose int fd = openat(root_fd, path, O_RDONLY | O_CLOEXEC);
	char got[256];
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, got, sizeof(got));
	assert_int_equal(n, strlen(want));
	assert_memory_equal(got, want, n);
}

static const char *at(const char *path)
{
	static char full[256];

	snprintf(full, sizeof(full), "%s/%s", root, path);
	return full;
}

/* ---- tests ---- */

static void test_kinds(void **state)
{
	autobuf struct buf extra = BUF_INIT(4096);
	struct archive_maker a = begin();
	char value[8] = "";
	struct stat st;

	assert_int_equal(pax_record(&extra, "SCHILY.xattr.user.color", "blue", 4), 0);
	assert_int_equal(pax_record(&extra, "SCHILY.xattr.trusted.overlay.opaque", "y", 1), 0);
	put(&a, (struct pax_entry){ .path = "dir/", .type = '5', .mode = 01770, .extra = &extra },
	    NULL);
	put(&a,
	    (struct pax_entry){ .path = "dir/file", .type = '0', .mode = 04751, .extra = &extra },
	    "content");
	put_link(&a, '1', "same", "dir/file");
	put_link(&a, '2', "link", "/dir/../file");
	put_link(&a, '1', "link2", "link");
	put(&a, (struct pax_entry){ .path = "fifo", .type = '6', .mode = 0620 }, NULL);
	put_file(&a, "deep/er/file", "x");
	lay_well(&a);
	st = look("dir");
	assert_int_equal(st.st_mode, S_IFDIR | 01770);
	/* Making a file in it was later. */
	assert_int_equal(st.st_mtime, NOW);
	st = look("dir/file");
	assert_int_equal(st.st_mode, S_IFREG | 04751);
	assert_int_equal(st.st_mtime, NOW);
	assert_int_equal(st.st_ino, look("same").st_ino);
	holds("same", "content");
	assert_int_equal(look("link").st_mode & S_IFMT, S_IFLNK);
	assert_int_equal(look("link").st_mtime, NOW);
	assert_int_equal(look("link").st_ino, look("link2").st_ino);
	assert_int_equal(look("fifo").st_mode, S_IFIFO | 0620);
	assert_int_equal(look("deep/er").st_mode, S_IFDIR | 0755);
	if (getxattr(at("dir/file"), "user.color", value, sizeof(value)) >= 0) {
		assert_string_equal(value, "blue");
		assert_int_equal(getxattr(at("dir"), "user.color", value, sizeof(value)), 4);
	}
	assert_true(getxattr(at("dir"), "trusted.overlay.opaque", value, sizeof(value)) < 0);
}

static void test_holes(void **state)
{
	const struct pax_extent map[] = { { 1 << 20, 4 }, { 64 << 20, 0 } };
	struct archive_maker a = begin();
	char data[8];
	struct stat st;
	int fd;

	put(&a,
	    (struct pax_entry){
		.path = "sparse", .type = '0', .size = 64 << 20, .map = map, .nmap = 2 },
	    "data");
	lay_well(&a);
	st = look("sparse");
	assert_int_equal(st.st_size, 64 << 20);
	assert_true(st.st_blocks < 1024);
	fd = openat(root_fd, "sparse", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, data, 4, 1 << 20), 4);
	assert_memory_equal(data, "data", 4);
	close(fd);
}

static void test_owners_and_devices(void **state)
{
	struct archive_maker a = begin();
	static const uint8_t cap[20] = { 0, 0, 0, 2, 0, 4 }; /* net_bind_service, permitted */
	autobuf struct buf extra = BUF_INIT(4096);
	uint8_t got[20];

	if (getuid() != 0)
		skip();
	assert_int_equal(pax_record(&extra, "SCHILY.xattr.security.capability", cap, 20), 0);
	put(&a,
	    (struct pax_entry){ .path = "f",
				.type = '0',
				.mode = 06755,
				.uid = 3000000,
				.gid = 7,
				.extra = &extra },
	    "x");
	put(&a, (struct pax_entry){ .path = "d/", .type = '5', .uid = 5, .gid = 6 }, NULL);
	put(&a, (struct pax_entry){ .path = "l", .type = '2', .link = "x", .uid = 8 }, NULL);
	put(&a,
	    (struct pax_entry){
		.path = "null", .type = '3', .mode = 0666, .rdev = makedev(1, 3), .gid = 9 },
	    NULL);
	lay_well(&a);
	assert_int_equal(look("f").st_uid, 3000000);
	assert_int_equal(look("f").st_mode, S_IFREG | 06755);
	assert_int_equal(getxattr(at("f"), "security.capability", got, sizeof(got)), 20);
	assert_memory_equal(got, cap, 20);
	assert_int_equal(look("d").st_gid, 6);
	assert_int_equal(look("l").st_uid, 8);
	if (S_ISCHR(look("null").st_mode)) /* else this host lets nobody make devices */
		assert_int_equal(look("null").st_rdev, makedev(1, 3));
	assert_int_equal(look("null").st_mode & 07777, 0666);
	assert_int_equal(look("null").st_gid, 9);
	a = begin();
	put(&a, (struct pax_entry){ .path = "mine", .type = '0', .uid = 12 }, "x");
	assert_int_equal(lay(&a, false), 0);
	assert_int_equal(look("mine").st_uid, 0);
}

static void make_lower(void)
{
	struct archive_maker a = begin();

	put_dir(&a, "a/");
	put_file(&a, "a/one", "1");
	put_file(&a, "a/two", "2");
	put(&a, (struct pax_entry){ .path = "a/sub/", .type = '5', .mode = 0711 }, NULL);
	put_file(&a, "a/sub/old", "o");
	put_file(&a, "b", "b");
	put_link(&a, '2', "l", "a");
	lay_well(&a);
}

static void test_whiteouts(void **state)
{
	struct archive_maker a = begin();

	make_lower();
	put_file(&a, "a/.wh.one", "");
	put_file(&a, ".wh.l", "");
	put_file(&a, "a/.wh.sub", "");
	put_file(&a, "none/.wh.missing", "");
	put_file(&a, "b/.wh.under-a-file", "");
	lay_well(&a);
	assert_false(is_there("a/one"));
	assert_false(is_there("a/sub"));
	assert_false(is_there("l"));
	assert_false(is_there("a/.wh.one"));
	assert_false(is_there("none"));
	assert_true(is_there("a/two"));
	assert_true(is_there("b"));
	assert_int_equal(look("a").st_mtime, NOW);
}

/* Wherever in the layer they stand. */
static void test_whiteouts_spare_their_layer(void **state)
{
	struct archive_maker a = begin();

	make_lower();
	put_file(&a, "a/new", "n");
	put_link(&a, '1', "b2", "b");
	put_file(&a, ".wh.b", "");
	put_file(&a, "a/sub/fresh/file", "f");
	put_file(&a, "a/two", "changed");
	put_file(&a, "a/.wh..wh..opq", "");
	put_file(&a, "a/late", "l");
	put_file(&a, "a/sub/fresh/late", "l");
	lay_well(&a);
	assert_true(is_there("a/new"));
	assert_true(is_there("a/late"));
	holds("a/two", "changed");
	holds("a/sub/fresh/file", "f");
	holds("a/sub/fresh/late", "l");
	holds("b2", "b");
	assert_false(is_there("b"));
	assert_false(is_there("a/one"));
	assert_false(is_there("a/sub/old"));
	assert_int_equal(look("a/sub").st_mode & 07777, 0755);
	/* The next layer's do not. */
	a = begin();
	put_file(&a, ".wh..wh..opq", "");
	put_file(&a, "z", "z");
	lay_well(&a);
	assert_false(is_there("a"));
	assert_false(is_there("b2"));
	holds("z", "z");
}

static void test_replaced(void **state)
{
	autobuf struct buf extra = BUF_INIT(4096);
	struct archive_maker a = begin();
	bool has_xattrs;

	assert_int_equal(pax_record(&extra, "SCHILY.xattr.user.of", "lower", 5), 0);
	put(&a, (struct pax_entry){ .path = "a/", .type = '5', .extra = &extra }, NULL);
	lay_well(&a);
	has_xattrs = getxattr(at("a"), "user.of", NULL, 0) == 5;
	make_lower();
	if (has_xattrs)
		assert_true(getxattr(at("a"), "user.of", NULL, 0) < 0);
	a = begin();
	put(&a, (struct pax_entry){ .path = "a/", .type = '5', .mode = 0700 }, NULL);
	put_file(&a, "a/sub", "now a file");
	put_dir(&a, "b/");
	put_file(&a, "b/in", "b");
	put_dir(&a, "l/");
	put_file(&a, "l/in", "l");
	put(&a, (struct pax_entry){ .path = "./", .type = '5', .mode = 0711 }, NULL);
	lay_well(&a);
	assert_int_equal(look("a").st_mode & 07777, 0700);
	holds("a/sub", "now a file");
	holds("a/one", "1");
	holds("b/in", "b");
	assert_int_equal(look("l").st_mode & S_IFMT, S_IFDIR);
	assert_false(is_there("a/in"));
	assert_int_equal(look(".").st_mode & 07777, 0711);
	assert_int_equal(look(".").st_mtime, NOW);
}

/* They lead where they would in a container. */
static void test_links_on_the_way(void **state)
{
	struct archive_maker a = begin();
	char outside[80], inside[160];

	snprintf(outside, sizeof(outside), "%s.outside", root);
	assert_int_equal(mkdir(outside, 0755), 0);
	put_link(&a, '2', "out", outside);
	put_link(&a, '2', "up", "../../../../../../tmp");
	put_link(&a, '2', "bin", "usr/bin");
	put_dir(&a, "usr/");
	put_dir(&a, "usr/bin/");
	put_file(&a, "usr/bin/old", "x");
	put_link(&a, '2', "loop", "loop");
	lay_well(&a);
	a = begin();
	put_file(&a, "bin/tool", "tool");
	put_file(&a, "bin/.wh.old", "");
	put_link(&a, '1', "hard", "bin/tool");
	put_file(&a, "out/file", "in");
	put_file(&a, "up/deep/file", "in");
	lay_well(&a);
	holds("usr/bin/tool", "tool");
	holds("hard", "tool");
	assert_false(is_there("usr/bin/old"));
	assert_int_equal(look("bin").st_mode & S_IFMT, S_IFLNK);
	snprintf(inside, sizeof(inside), "%s/file", outside + 1);
	holds(inside, "in");
	holds("tmp/deep/file", "in");
	assert_int_equal(rmdir(outside), 0);
	a = begin();
	put_file(&a, "bin/.wh..wh..opq", "");
	put_file(&a, "loop/.wh.x", "");
	assert_true(lay(&a, false) == 0 || strstr(error.message, "loop"));
	assert_false(is_there("usr/bin/tool"));
}

static void test_refused(void **state)
{
	struct archive_maker a = begin();

	put_link(&a, '2', "loop", "loop");
	put_file(&a, "file", "x");
	put_dir(&a, "dir/");
	lay_well(&a);
	a = begin();
	put_file(&a, "loop/file", "x");
	refuse(&a, "loop");
	a = begin();
	put_link(&a, '1', "hard", "nothing");
	refuse(&a, "link to nothing");
	a = begin();
	put_link(&a, '1', "hard", "dir");
	refuse(&a, "directory");
	a = begin();
	put_file(&a, "file/below", "x");
	refuse(&a, "no directory");
}

static void test_too_deep(void **state)
{
	struct archive_maker a = begin();
	char path[1200] = "";

	for (int i = 0; i < 500; i++)
		strcat(path, "d/");
	put_dir(&a, path);
	refuse(&a, "nested too deep");
	assert_false(is_there("d"));
	/* Nor by links. */
	a = begin();
	path[400] = '\0';
	put_dir(&a, path);
	put_link(&a, '2', "link", path);
	lay_well(&a);
	a = begin();
	snprintf(path, sizeof(path), "link/");
	for (int i = 0; i < 200; i++)
		strcat(path, "e/");
	put_dir(&a, path);
	refuse(&a, "nested too deep");
	/* Nor by what one leads to, all of which would be made at once. */
	a = begin();
	path[0] = '\0';
	for (int i = 0; i < 590; i++)
		strcat(path, "f/");
	put_link(&a, '2', "far", path);
	put_file(&a, "far/file", "x");
	refuse(&a, "far");
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(test_kinds),
		CASE(test_holes),
		CASE(test_owners_and_devices),
		CASE(test_whiteouts),
		CASE(test_whiteouts_spare_their_layer),
		CASE(test_replaced),
		CASE(test_links_on_the_way),
		CASE(test_refused),
		CASE(test_too_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
