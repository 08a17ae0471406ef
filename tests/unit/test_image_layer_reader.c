/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_image_layer_reader.c - what of a layer is believed, and what is refused how
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "image/layer/decompress.h"
#include "image/layer/reader.h"
#include "layer_tar.h"

static const struct settings_limits generous = SETTINGS_LIMITS_DEFAULT;

/* What came out, in lines. */
struct seen {
	char text[16384];
	size_t len;
	uint64_t bytes;
};

__attribute__((format(printf, 2, 3))) static void seen_add(struct seen *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (s->len < sizeof(s->text))
		s->len += (size_t)vsnprintf(s->text + s->len, sizeof(s->text) - s->len, fmt, ap);
	va_end(ap);
}

static int seen_entry(void *data, const struct layer_entry *e, struct coffer_error *err)
{
	static const char kinds[] = "dfsnhwo";

	seen_add(data, "%c %s%s%s", kinds[e->kind], e->path, e->target ? " > " : "",
		 e->target ? e->target : "");
	for (size_t i = 0; i < e->xattrs.count; i++)
		seen_add(data, " %s=%.*s", e->xattrs.list[i].name, (int)e->xattrs.list[i].len,
			 (const char *)e->xattrs.list[i].value);
	seen_add(data, "\n");
	return 0;
}

static int seen_data(void *data, const void *bytes, size_t n, uint64_t off, struct coffer_error *err)
{
	struct seen *s = data;

	if (n < 100)
		seen_add(s, "  %llu: %.*s\n", (unsigned long long)off, (int)n, (const char *)bytes);
	s->bytes += n;
	return 0;
}

static const struct layer_ops seen_ops = { .entry = seen_entry, .data = seen_data };

static int read_blob(const void *blob, size_t n, const struct settings_limits *limits,
		     struct seen *s, struct coffer_error *e)
{
	struct layer_source l = tar_source(blob, n);
	struct layer_used used = { 0 };
	int r;

	*s = (struct seen){ 0 };
	*e = (struct coffer_error)COFFER_ERROR_INIT;
	r = layer_read(&l, limits, &used, NULL, &seen_ops, s, NULL, e);
	close(l.fd);
	return r;
}

/* Ends the archive, reads and frees it. */
static int read_tar(struct tar *t, const struct settings_limits *limits, struct seen *s,
		    struct coffer_error *e)
{
	int r;

	tar_end(t);
	r = read_blob(t->mem, t->len, limits, s, e);
	tar_free(t);
	return r;
}

static void refused(struct tar *t, const char *why)
{
	struct coffer_error e;
	struct seen s;

	if (read_tar(t, &generous, &s, &e) == 0)
		fail_msg("not refused: %s", why);
	if (!strstr(e.message, why) || strncmp(e.message, "layer sha256:b10b: ", 19))
		fail_msg("\"%s\" does not say \"%s\"", e.message, why);
}

static void test_entries(void **state)
{
	struct tar t = { 0 };
	struct coffer_error e;
	struct seen s;

	tar_dir(&t, "./");
	tar_dir(&t, "/");
	tar_dir(&t, "./a//b/");
	tar_file(&t, "./a/file", "text");
	tar_symlink(&t, "a/link", "../../out");
	tar_hardlink(&t, "a/hard", "./a/file");
	tar_file(&t, "a/.wh.gone", "");
	tar_file(&t, "a/.wh..wh..opq", "");
	tar_file(&t, ".wh..wh..opq", "");
	tar_file(&t, ".wh..wh.plnk/1.2", "aufs");
	tar_file(&t, ".wh..wh.aufs", "aufs");
	tar_add(&t, &(struct tar_entry){ .name = "fifo", .type = '6' });
	tar_file(&t, "\xff\xc3\xa4", "");
	assert_int_equal(read_tar(&t, &generous, &s, &e), 0);
	assert_string_equal(s.text, "d \nd \nd a/b\nf a/file\n  0: text\ns a/link > ../../out\n"
				    "h a/hard > a/file\nw a/gone\no a\no \nn fifo\nf \xff\xc3\xa4\n");
}

static void test_attributes(void **state)
{
	struct tar t = { 0 };
	struct coffer_error e;
	struct seen s;

	tar_pax(&t, "SCHILY.xattr.user.one", "1\n2", 3);
	tar_pax(&t, "SCHILY.xattr.security.capability", "cap", 3);
	tar_pax(&t, "SCHILY.xattr.security.selinux", "no", 2);
	tar_pax(&t, "SCHILY.xattr.trusted.overlay.opaque", "y", 1);
	tar_pax(&t, "LIBARCHIVE.xattr.user.two", "dHdv", 4);
	tar_pax(&t, "path", "n\xc3\xa4me", 5);
	tar_file(&t, "other", "");
	assert_int_equal(read_tar(&t, &generous, &s, &e), 0);
	assert_non_null(strstr(s.text, "f n\xc3\xa4me"));
	assert_non_null(strstr(s.text, " user.one=1\n2"));
	assert_non_null(strstr(s.text, " user.two=two"));
	assert_non_null(strstr(s.text, " security.capability=cap"));
	assert_null(strstr(s.text, "selinux"));
	assert_null(strstr(s.text, "overlay"));
}

static void test_names_refused(void **state)
{
	static char deep[5000], wide[300];
	struct tar t = { 0 };

	tar_file(&t, "../up", "");
	refused(&t, "entry \"../up\": its name leads up");
	tar_file(&t, "a/../b", "");
	refused(&t, "entry \"a/../b\": its name leads up");
	tar_file(&t, "/etc/passwd", "");
	refused(&t, "entry \"/etc/passwd\": its name is absolute");
	tar_file(&t, ".", "");
	refused(&t, "it has the root's name and is no directory");
	tar_hardlink(&t, "a", "../b");
	refused(&t, "entry \"a\": link to \"../b\": its name leads up");
	tar_hardlink(&t, "a", "/b");
	refused(&t, "its name is absolute");
	tar_hardlink(&t, "a", "./");
	refused(&t, "it is a directory");
	tar_symlink(&t, "a", "");
	refused(&t, "a link to nothing");
	tar_file(&t, "a/.wh.", "");
	refused(&t, "it hides nothing that could be there");
	tar_file(&t, "a/.wh...", "");
	refused(&t, "it hides nothing that could be there");
	tar_file(&t, ".wh.a/b", "");
	refused(&t, "in a directory that is a whiteout");
	memset(wide, 'x', 256);
	tar_file(&t, wide, "");
	refused(&t, "its name is too long");
	for (size_t i = 0; i < sizeof(deep) - 2; i += 2)
		memcpy(deep + i, "d/", 3);
	tar_file(&t, deep, "");
	refused(&t, "its name is too long");
}

static void test_numbers_refused(void **state)
{
	struct tar t = { 0 };

	tar_add(&t, &(struct tar_entry){ .name = "f", .uid = -1 });
	refused(&t, "out of range");
	tar_add(&t, &(struct tar_entry){ .name = "f", .gid = INT64_C(0xffffffff) });
	refused(&t, "owner 0:4294967295 is out of range");
	tar_add(&t, &(struct tar_entry){ .name = "f", .mtime = INT64_C(1) << 40 });
	refused(&t, "time 1099511627776 is out of range");
	tar_add(&t, &(struct tar_entry){ .name = "f", .mtime = -(INT64_C(1) << 40) });
	refused(&t, "is out of range");
	tar_pax(&t, "mtime", "99999999999999999999", 20);
	tar_file(&t, "f", "");
	refused(&t, "is out of range");
	tar_add(&t, &(struct tar_entry){ .name = "dev", .type = '3', .major = 4096 });
	refused(&t, "device 4096:0 is out of range");
	tar_add(&t, &(struct tar_entry){ .name = "dev", .type = '4', .minor = 1 << 20 });
	refused(&t, "device 0:1048576 is out of range");
	tar_add(&t, &(struct tar_entry){ .name = "f", .size = -5 });
	refused(&t, "damaged archive");
	tar_add(&t, &(struct tar_entry){ .name = "f", .size = INT64_C(1) << 62 });
	refused(&t, "more than 274877906944 bytes");
}

static void test_limits(void **state)
{
	struct settings_limits limits = SETTINGS_LIMITS_DEFAULT;
	struct tar t = { 0 };
	struct coffer_error e;
	struct seen s;

	limits.entries = 2;
	tar_file(&t, "one", "");
	tar_file(&t, "two", "");
	tar_file(&t, "three", "");
	assert_true(read_tar(&t, &limits, &s, &e) < 0);
	assert_non_null(strstr(e.message, "entry \"three\": with it there are more than 2 entries"));
	limits = generous;
	limits.bytes = 7;
	tar_file(&t, "one", "1234");
	tar_file(&t, "two", "1234");
	assert_true(read_tar(&t, &limits, &s, &e) < 0);
	assert_non_null(strstr(e.message, "entry \"two\": with it the files have more than 7 bytes"));
	limits = generous;
	limits.name = 5;
	tar_file(&t, "abc/de", "");
	assert_true(read_tar(&t, &limits, &s, &e) < 0);
	tar_file(&t, "abc/d", "");
	assert_int_equal(read_tar(&t, &limits, &s, &e), 0);
}

/* What a header of its own says about an entry may be endless. */
static void test_floods(void **state)
{
	char key[64], *map;
	struct tar t = { 0 };
	size_t n = 12 << 20;

	for (int i = 0; i < 65; i++) {
		sprintf(key, "SCHILY.xattr.user.a%d", i);
		tar_pax(&t, key, "value", 5);
	}
	tar_file(&t, "f", "");
	refused(&t, "too many or too large extended attributes");

	map = malloc(n);
	memset(map, ' ', n);
	map[sprintf(map, "70000 SCHILY.xattr.user.large=")] = ' ';
	map[69999] = '\n';
	tar_header(&t, &(struct tar_entry){ .name = "PaxHeader", .type = 'x', .len = 70000 });
	tar_data(&t, map, 70000);
	tar_file(&t, "f", "");
	refused(&t, "too many or too large extended attributes");

	memset(map, ' ', n);
	tar_header(&t, &(struct tar_entry){ .name = "PaxHeader", .type = 'x', .len = n });
	tar_data(&t, map, n);
	tar_file(&t, "f", "");
	refused(&t, "");

	/* A map of holes, as long as it likes. */
	for (size_t i = 0; i < n; i += 8)
		memcpy(map + i, i ? "1\n0\n1\n0\n" : "9999999\n", 8);
	tar_pax(&t, "GNU.sparse.major", "1", 1);
	tar_pax(&t, "GNU.sparse.minor", "0", 1);
	tar_pax(&t, "GNU.sparse.realsize", "1000", 4);
	tar_add(&t, &(struct tar_entry){ .name = "f", .data = map, .len = n });
	free(map);
	refused(&t, "it describes too much and holds too little");
}

static void test_whole_archives_only(void **state)
{
	struct tar t = { 0 };
	struct coffer_error e;
	struct seen s;

	assert_int_equal(read_blob("", 0, &generous, &s, &e), 0);
	tar_file(&t, "f", "text");
	/* Without an end it is one, as other readers have it; not with half a file. */
	assert_int_equal(read_blob(t.mem, t.len, &generous, &s, &e), 0);
	assert_true(read_blob(t.mem, t.len - TAR_BLOCK, &generous, &s, &e) < 0);
	assert_true(read_blob(t.mem, t.len - TAR_BLOCK - 100, &generous, &s, &e) < 0);
	tar_end(&t);
	tar_bytes(&t, NULL, 1 << 20);
	assert_int_equal(read_blob(t.mem, t.len, &generous, &s, &e), 0);
	tar_bytes(&t, "x", 1);
	assert_true(read_blob(t.mem, t.len, &generous, &s, &e) < 0);
	assert_non_null(strstr(e.message, "something comes after the archive's end"));
	tar_free(&t);
	/* Nor zeroes for ever. */
	tar_file(&t, "f", "text");
	tar_end(&t);
	tar_bytes(&t, NULL, 17 << 20);
	assert_true(read_blob(t.mem, t.len, &generous, &s, &e) < 0);
	assert_non_null(strstr(e.message, "something comes after the archive's end"));
	tar_free(&t);
	tar_end(&t);
	tar_bytes(&t, "more", 4);
	assert_true(read_blob(t.mem, t.len, &generous, &s, &e) < 0);
	tar_free(&t);
	assert_true(read_blob("no archive at all", 17, &generous, &s, &e) < 0);
	assert_non_null(strstr(e.message, "damaged archive"));
}

static void test_diff_id(void **state)
{
	struct layer_watch watch = { .cancel_fd = -1 };
	struct tar t = { 0 }, gz = { 0 };
	struct coffer_error e = COFFER_ERROR_INIT;
	struct layer_source l;
	struct digest d, want;

	tar_file(&t, "f", "text");
	tar_end(&t);
	assert_int_equal(digest_of(t.mem, t.len, &want, &e), 0);
	tar_gzip(&gz, t.mem, t.len);
	l = tar_source(gz.mem, gz.len);
	assert_int_equal(layer_diff_id(&l, &generous, &watch, &d, &e), 0);
	assert_string_equal(d.text, want.text);
	l.diff_id = want;
	assert_int_equal(layer_diff_id(&l, &generous, &watch, &d, &e), 0);
	assert_int_equal(digest_of("", 0, &l.diff_id, &e), 0);
	assert_int_equal(layer_diff_id(&l, &generous, &watch, &d, &e), -EINVAL);
	assert_non_null(strstr(e.message, "it unpacks to sha256:"));
	close(l.fd);
	tar_free(&t);
	tar_free(&gz);
}

static uint64_t progress_seen;

static void progress(void *data, uint64_t done)
{
	progress_seen = done;
}

static void test_watch(void **state)
{
	struct layer_watch watch = { .cancel_fd = eventfd(0, EFD_CLOEXEC), .progress = progress };
	struct coffer_error e = COFFER_ERROR_INIT;
	struct layer_source l;
	struct tar t = { 0 };
	struct digest d;

	tar_file(&t, "f", "text");
	tar_end(&t);
	l = tar_source(t.mem, t.len);
	assert_int_equal(layer_diff_id(&l, &generous, &watch, &d, &e), 0);
	assert_int_equal(progress_seen, l.size);
	eventfd_write(watch.cancel_fd, 1);
	assert_int_equal(layer_diff_id(&l, &generous, &watch, &d, &e), -ECANCELED);
	assert_int_equal(e.kind, COFFER_ERR_CANCELLED);
	close(watch.cancel_fd);
	close(l.fd);
	tar_free(&t);
}

/* ---- compression ---- */

#define NOISE (1 << 20)

/* Half of it can be packed. */
static uint8_t *noise(void)
{
	static uint8_t bytes[NOISE];
	static uint32_t x;

	if (x)
		return bytes;
	x = 1;
	for (size_t i = 0; i < NOISE; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(i & 64 ? x >> 24 : i >> 8);
	}
	return bytes;
}

/* Return: what unpacking says; all that came must be the beginning of the noise */
static ssize_t unpack_noise(const void *blob, size_t n, size_t step, struct coffer_error *e)
{
	struct layer_source l = tar_source(blob, n);
	CLEANUP(decompress_freep) struct decompress *d = NULL;
	uint8_t *out = malloc(step);
	ssize_t got = 0, all = 0;

	*e = (struct coffer_error)COFFER_ERROR_INIT;
	got = decompress_open(l.fd, n, true, &d, e);
	while (got >= 0 && (got = decompress_read(d, out, step, e)) > 0) {
		assert_true(all + got <= NOISE);
		assert_memory_equal(out, noise() + all, got);
		all += got;
	}
	free(out);
	close(l.fd);
	return got < 0 ? got : all;
}

typedef void (*packer)(struct tar *out, const void *data, size_t n);

static void check_packing(packer pack, const char *name)
{
	static const size_t steps[] = { 1 << 18, 1 << 21, 4099, 512 };
	struct coffer_error e;
	struct tar t = { 0 };

	pack(&t, noise(), 300000);
	pack(&t, noise() + 300000, 0);
	pack(&t, noise() + 300000, 1);
	pack(&t, noise() + 300001, NOISE - 300001);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (unpack_noise(t.mem, t.len, steps[i], &e) != NOISE)
			fail_msg("%s by %zu: %s", name, steps[i], e.message);
	tar_bytes(&t, "garbage", 7);
	assert_true(unpack_noise(t.mem, t.len, 1 << 18, &e) < 0);
	assert_non_null(strstr(e.message, "something comes after its"));
	tar_free(&t);

	pack(&t, noise(), 5000);
	for (size_t i = 6; i < t.len; i += 1 + i / 50) {
		assert_true(unpack_noise(t.mem, i, 1 << 18, &e) < 0);
		assert_non_null(strstr(e.message, "cut off"));
	}
	tar_free(&t);
}

/* What came before it was noticed is wrong, which the diff id tells as well. */
static void test_damage(void **state)
{
	static const packer packers[] = { tar_gzip, tar_xz };
	struct coffer_error e;
	struct tar t = { 0 };
	struct seen s;

	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		packers[i](&t, noise(), NOISE);
		t.mem[t.len / 2] ^= 0x55;
		assert_true(read_blob(t.mem, t.len, &generous, &s, &e) < 0);
		tar_free(&t);
		packers[i](&t, "", 0);
		t.mem[t.len - 6] ^= 0x55;
		assert_true(read_blob(t.mem, t.len, &generous, &s, &e) < 0);
		assert_non_null(strstr(e.message, "damaged"));
		tar_free(&t);
	}
}

static void test_compression(void **state)
{
	check_packing(tar_gzip, "gzip");
	check_packing(tar_zstd, "zstd");
	check_packing(tar_xz, "xz");
}

/* Of the two for gzip only one is used on a machine. */
static void test_gzip_by_zlib(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	uint8_t *out = malloc(NOISE);
	struct decompress_span s;
	struct tar t = { 0 };
	void *z;

	tar_gzip(&t, noise(), NOISE);
	assert_int_equal(decompress_gzip.start(&z, &e), 0);
	s = (struct decompress_span){ .in = t.mem, .in_len = t.len, .out = out, .out_len = NOISE };
	assert_int_equal(decompress_gzip.step(z, &s, &e), DECOMPRESS_END);
	assert_int_equal(s.in_len, 0);
	assert_memory_equal(out, noise(), NOISE);
	s = (struct decompress_span){ .in = (const uint8_t *)"\x1f\x8b\x08 and more", .in_len = 12,
				      .out = out, .out_len = NOISE };
	assert_true(decompress_gzip.step(z, &s, &e) < 0);
	decompress_gzip.stop(z);
	tar_free(&t);
	free(out);
}

static void test_bomb(void **state)
{
	struct settings_limits limits = SETTINGS_LIMITS_DEFAULT;
	struct tar zeroes = { 0 }, t = { 0 };
	struct coffer_error e;
	struct seen s;

	tar_bytes(&zeroes, NULL, 8 << 20);
	limits.ratio = 100;
	tar_header(&zeroes, &(struct tar_entry){ .name = "f", .len = 1 << 20 });
	memmove(zeroes.mem, zeroes.mem + (8 << 20), TAR_BLOCK);
	tar_header(&t, &(struct tar_entry){ .name = "f", .len = (8 << 20) - 3 * TAR_BLOCK });
	memcpy(zeroes.mem, t.mem, TAR_BLOCK);
	tar_free(&t);
	tar_gzip(&t, zeroes.mem, 8 << 20);
	assert_int_equal(read_blob(t.mem, t.len, &generous, &s, &e), 0);
	assert_true(read_blob(t.mem, t.len, &limits, &s, &e) < 0);
	assert_non_null(strstr(e.message, "it unpacks to more than 100 times its size"));
	tar_free(&t);
	tar_free(&zeroes);
}

/* A few bytes that ask for 256 MiB to be unpacked with. */
static void test_memory(void **state)
{
	static const char xz[] =
	    "\xfd\x37\x7a\x58\x5a\x00\x00\x01\x69\x22\xde\x36\x02\x00\x21\x01"
	    "\x20\x00\x00\x00\x09\x88\xa5\x76\xe0\x00\x0f\x00\x06\x5d\x00\x3c"
	    "\x6d\x3c\x00\x00\x00\x00\x00\x00\x0f\x18\x28\xbb\x00\x01\x1e\x10"
	    "\x90\x9a\x70\xe9\x90\x42\x99\x0d\x01\x00\x00\x00\x00\x01\x59\x5a";
	static const char zstd[] = "\x28\xb5\x2f\xfd\x00\x90\x09\x00\x00x";
	struct coffer_error e;
	struct seen s;

	assert_true(read_blob(xz, sizeof(xz) - 1, &generous, &s, &e) < 0);
	assert_non_null(strstr(e.message, "damaged xz data: it needs too much memory"));
	assert_true(read_blob(zstd, sizeof(zstd) - 1, &generous, &s, &e) < 0);
	assert_non_null(strstr(e.message, "too much memory"));
}

static void test_media_type_lies(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	struct tar t = { 0 }, z = { 0 };
	struct layer_source l;
	struct digest d;

	tar_file(&t, "f", "text");
	tar_end(&t);
	tar_zstd(&z, t.mem, t.len);
	l = tar_source(z.mem, z.len);
	l.compression = MEDIA_GZIP;
	assert_int_equal(layer_diff_id(&l, &generous, NULL, &d, &e), 0);
	close(l.fd);
	l = tar_source(t.mem, t.len);
	l.compression = MEDIA_GZIP;
	assert_int_equal(layer_diff_id(&l, &generous, NULL, &d, &e), -EINVAL);
	assert_non_null(strstr(e.message, "neither gzip, zstd nor xz"));
	close(l.fd);
	tar_free(&t);
	tar_free(&z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_names_refused),
		cmocka_unit_test(test_numbers_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_whole_archives_only),
		cmocka_unit_test(test_diff_id),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_compression),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_gzip_by_zlib),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_media_type_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
