/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_container_mounts.c - a container's file systems, up to where a machine would get them
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "container/disk.h"
#include "container/files.h"
#include "container/layer.h"
#include "container/mounts.h"
#include "container/platform.h"
#include "container/storage.h"
#include "container/volume.h"

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static char scratch[] = "/tmp/coffer-mounts-XXXXXX";

static const char *in_scratch(const char *name)
{
	static char paths[8][256];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
	return path;
}

static void put_file(const char *path, const char *text)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* --- what is refused --- */

struct refusal {
	struct coffer_mount mount;
	const char *names; /* in the message */
};

static void test_refusals(void **state)
{
	const struct refusal rows[] = {
		{ { .kind = (enum coffer_mount_kind)77, .target = "/a" }, "kind 77" },
		{ { .kind = COFFER_MOUNT_SHARE, .target = "/a" }, "source" },
		{ { .kind = COFFER_MOUNT_SHARE, .source = "rel", .target = "/a" }, "rel" },
		{ { .kind = COFFER_MOUNT_SHARE, .source = "/x" }, "target" },
		{ { .kind = COFFER_MOUNT_SHARE, .source = "/x", .target = "a" }, "target a" },
		{ { .kind = COFFER_MOUNT_SHARE, .source = "/x", .target = "/" }, "target /" },
		{ { .kind = COFFER_MOUNT_SHARE, .source = "/x", .target = "//./" }, "root" },
		{ { .kind = COFFER_MOUNT_SHARE, .source = "/x", .target = "/a/../b" }, ".." },
		{ { .kind = COFFER_MOUNT_SHARE, .source = "/x", .target = "/a", .size = 1 },
		  "size" },
		{ { .kind = COFFER_MOUNT_TMPFS, .source = "/x", .target = "/a" }, "source /x" },
		{ { .kind = COFFER_MOUNT_VOLUME, .source = "a/b", .target = "/a" }, "a/b" },
		{ { .kind = COFFER_MOUNT_VOLUME, .source = ".hidden", .target = "/a" }, ".hidden" },
		{ { .kind = COFFER_MOUNT_NBD, .source = "http://x", .target = "/a" }, "http://x" },
		{ { .kind = COFFER_MOUNT_NBD, .source = "nbd://h:0/", .target = "/a" },
		  "nbd://h:0/" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;

		assert_int_equal(mounts_check(&rows[i].mount, 1, &err), -EINVAL);
		if (!strstr(err.message, rows[i].names) || !strstr(err.message, "mounts[0]"))
			fail_msg("row %zu: %s", i, err.message);
	}
}

static void test_options(void **state)
{
	static const struct {
		enum coffer_mount_kind kind;
		const char *word;
		bool good;
	} rows[] = {
		{ COFFER_MOUNT_SHARE, "noexec", true },
		{ COFFER_MOUNT_SHARE, "rslave", true },
		{ COFFER_MOUNT_SHARE, "ro", true },
		{ COFFER_MOUNT_SHARE, "rro", true },
		{ COFFER_MOUNT_SHARE, "bind", false },
		{ COFFER_MOUNT_SHARE, "remount", false },
		{ COFFER_MOUNT_SHARE, "idmap", false },
		{ COFFER_MOUNT_SHARE, "idmap=uids=0-1-1", false },
		{ COFFER_MOUNT_SHARE, "sync", false },
		{ COFFER_MOUNT_SHARE, "mode=0755", false },
		{ COFFER_MOUNT_SHARE, "dax=always", false },
		{ COFFER_MOUNT_SHARE, "", false },
		{ COFFER_MOUNT_TMPFS, "mode=1777", true },
		{ COFFER_MOUNT_TMPFS, "mode=", false },
		{ COFFER_MOUNT_TMPFS, "mode=1,uid=5", false },
		{ COFFER_MOUNT_TMPFS, "size=50%", true },
		{ COFFER_MOUNT_TMPFS, "tmpcopyup", true },
		{ COFFER_MOUNT_TMPFS, "data=journal", false },
		{ COFFER_MOUNT_DISK, "data=journal", true },
		{ COFFER_MOUNT_DISK, "discard", true },
		{ COFFER_MOUNT_DISK, "sync", true },
		{ COFFER_MOUNT_DISK, "tmpcopyup", false },
		{ COFFER_MOUNT_DISK, "journal_path=/etc", false },
		{ COFFER_MOUNT_VOLUME, "nosuid", true },
		{ COFFER_MOUNT_VOLUME, "data=journal", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct coffer_mount m = {
			.kind = rows[i].kind,
			.source = rows[i].kind == COFFER_MOUNT_TMPFS	? NULL
				  : rows[i].kind == COFFER_MOUNT_VOLUME ? "v"
									: "/x",
			.target = "/a",
			.options = WORDS(rows[i].word),
		};
		struct coffer_error err = COFFER_ERROR_INIT;

		if ((mounts_check(&m, 1, &err) == 0) != rows[i].good)
			fail_msg("row %zu, %s: %s", i, rows[i].word, err.message);
		if (!rows[i].good && !strstr(err.message, rows[i].word))
			fail_msg("row %zu: %s", i, err.message);
	}
}

static void test_contradictions(void **state)
{
	const struct coffer_mount rw = { .kind = COFFER_MOUNT_SHARE,
					 .source = "/x",
					 .target = "/a",
					 .read_only = true,
					 .options = WORDS("rw") };
	const struct coffer_mount size = {
		.kind = COFFER_MOUNT_TMPFS, .target = "/a", .size = 1, .options = WORDS("size=5")
	};
	const struct coffer_mount twice[] = {
		{ .kind = COFFER_MOUNT_TMPFS, .target = "/a/b" },
		{ .kind = COFFER_MOUNT_TMPFS, .target = "/c" },
		{ .kind = COFFER_MOUNT_TMPFS, .target = "//a/./b/" },
	};
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(mounts_check(&rw, 1, &err), -EINVAL);
	assert_non_null(strstr(err.message, "read_only"));
	assert_int_equal(mounts_check(&size, 1, &err), -EINVAL);
	assert_int_equal(mounts_check(twice, 3, &err), -EINVAL);
	assert_non_null(strstr(err.message, "/a/b: given twice"));
	assert_int_equal(mounts_check(twice, 2, &err), 0);
	assert_int_equal(mounts_check(NULL, 0, &err), 0);
}

static void test_volume_names(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	char name[130];

	memset(name, 'a', 129);
	name[129] = '\0';
	assert_int_equal(volume_check_name(name, &err), -EINVAL);
	assert_int_equal(volume_check_name(name + 1, &err), 0);
	assert_int_equal(volume_check_name("a_b.c-D9", &err), 0);
	for (const char *const *bad = WORDS("", "..", "-a", "_a", "a b", "a\n", "\xc3\xa4", "a/");
	     *bad; bad++)
		assert_int_equal(volume_check_name(*bad, &err), -EINVAL);
}

/* --- order --- */

static void test_depth(void **state)
{
	const struct coffer_mount list[] = {
		{ .kind = COFFER_MOUNT_TMPFS, .target = "/a/b/c" },
		{ .kind = COFFER_MOUNT_TMPFS, .target = "/z" },
		{ .kind = COFFER_MOUNT_TMPFS, .target = "/a///b" },
		{ .kind = COFFER_MOUNT_TMPFS, .target = "/a/" },
		{ .kind = COFFER_MOUNT_TMPFS, .target = "/y/./b" },
	};
	const char *const want[] = { "/z", "/a", "/a/b", "/y/b", "/a/b/c" };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct mounts m;

	assert_int_equal(mounts_plan(list, ARRAY_SIZE(list), &m, &err), 0);
	for (size_t i = 0; i < m.n; i++)
		assert_string_equal(m.v[i].target, want[i]);
	mounts_close(&m);
}

static const struct oci_mount *find_mount(const struct oci_spec *spec, const char *target,
					  size_t *at)
{
	for (*at = 0; *at < spec->mounts.n; ++*at)
		if (strcmp(spec->mounts.v[*at].destination, target) == 0)
			return &spec->mounts.v[*at];
	fail_msg("no mount on %s", target);
	return NULL;
}

static bool has_option(const struct oci_mount *m, const char *word)
{
	for (size_t i = 0; i < m->options.n; i++)
		if (strcmp(m->options.v[i], word) == 0)
			return true;
	return false;
}

static void test_emit_order(void **state)
{
	const struct coffer_mount list[] = {
		{ .kind = COFFER_MOUNT_TMPFS, .target = "/dev/shm/deep", .size = 4096 },
		{ .kind = COFFER_MOUNT_TMPFS,
		  .target = "/top",
		  .read_only = true,
		  .options = WORDS("mode=1777", "noexec") },
	};
	auto_oci_spec struct oci_spec *spec = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	size_t top, pts, deep;
	const struct oci_mount *m;
	struct mounts plan;

	assert_int_equal(oci_spec_default(&spec, &err), 0);
	assert_int_equal(mounts_plan(list, ARRAY_SIZE(list), &plan, &err), 0);
	assert_int_equal(mounts_emit(&plan, spec, &err), 0);
	m = find_mount(spec, "/top", &top);
	assert_true(has_option(m, "ro") && has_option(m, "mode=1777") && has_option(m, "noexec"));
	assert_true(has_option(m, "nosuid") && has_option(m, "nodev"));
	find_mount(spec, "/dev/pts", &pts);
	m = find_mount(spec, "/dev/shm/deep", &deep);
	assert_true(has_option(m, "size=4096"));
	assert_true(top < pts && pts < deep);
	mounts_close(&plan);
}

/* --- one device for one source --- */

static void test_shares_merge(void **state)
{
	struct coffer_mount list[] = {
		{ .kind = COFFER_MOUNT_SHARE, .target = "/a", .read_only = true },
		{ .kind = COFFER_MOUNT_SHARE, .target = "/b" },
		{ .kind = COFFER_MOUNT_SHARE, .target = "/c", .read_only = true },
		{ .kind = COFFER_MOUNT_SHARE, .target = "/d", .read_only = true },
	};
	auto_oci_spec struct oci_spec *spec = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct sandbox_config sb = { .archive_fd = -1 };
	autosteps struct guest_steps g = { 0 };
	struct mounts m;
	size_t at;

	mkdir(in_scratch("one"), 0755);
	mkdir(in_scratch("two"), 0755);
	assert_int_equal(symlink("one", in_scratch("alias")), 0);
	put_file(in_scratch("two/file"), "text");
	assert_int_equal(symlink("two/file", in_scratch("file-alias")), 0);
	list[0].source = in_scratch("one");
	list[1].source = in_scratch("alias");
	list[2].source = in_scratch("two");
	list[3].source = in_scratch("file-alias");
	assert_int_equal(mounts_plan(list, ARRAY_SIZE(list), &m, &err), 0);
	assert_int_equal(mounts_open(&m, &err), 0);
	assert_int_equal(mounts_attach(&m, &sb, &err), 0);
	/* Written to by one of them; only read by both. */
	assert_false(sb.shares[0].read_only);
	assert_string_equal(m.v[0].tag, m.v[1].tag);
	assert_true(sb.shares[1].read_only);
	assert_string_not_equal(m.v[0].tag, m.v[2].tag);
	assert_string_equal(m.v[3].name, "file");

	mounts_prepare(&m, &g);
	assert_int_equal(g.n, sb.nshares);
	assert_int_equal(oci_spec_default(&spec, &err), 0);
	assert_int_equal(mounts_emit(&m, spec, &err), 0);
	assert_true(has_option(find_mount(spec, "/a", &at), "ro"));
	assert_false(has_option(find_mount(spec, "/b", &at), "ro"));
	assert_non_null(strstr(find_mount(spec, "/d", &at)->source, "/file"));
	mounts_close(&m);
}

static void test_share_refusals(void **state)
{
	struct coffer_mount m = { .kind = COFFER_MOUNT_SHARE, .target = "/a" };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct mounts plan;

	m.source = in_scratch("missing");
	assert_int_equal(mounts_plan(&m, 1, &plan, &err), 0);
	assert_int_equal(mounts_open(&plan, &err), -ENOENT);
	assert_non_null(strstr(err.message, "missing"));
	assert_non_null(strstr(err.message, "/a"));
	mounts_close(&plan);
	m.source = in_scratch("fifo");
	assert_int_equal(mkfifo(m.source, 0600), 0);
	assert_int_equal(mounts_plan(&m, 1, &plan, &err), 0);
	assert_int_equal(mounts_open(&plan, &err), -EINVAL);
	mounts_close(&plan);
}

/* --- disks --- */

static void test_disk_create(void **state)
{
	const char *path = in_scratch("disk.img");
	struct coffer_error err = COFFER_ERROR_INIT;
	struct stat st;

	assert_int_equal(coffer_disk_create(path, 4096, COFFER_JOURNAL_DEFAULT, &err), -EINVAL);
	assert_int_equal(coffer_disk_create(path, UINT64_C(17) << 40, COFFER_JOURNAL_NONE, &err),
			 -EINVAL);
	assert_int_equal(coffer_disk_create(path, 16 << 20, (enum coffer_journal)9, &err), -EINVAL);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(coffer_disk_create(path, 64 << 20, COFFER_JOURNAL_DATA, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 64 << 20);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(st.st_blocks * 512 < 2 << 20);
	assert_int_equal(coffer_disk_create(path, 64 << 20, COFFER_JOURNAL_DATA, &err), -EEXIST);
	assert_int_equal(err.kind, COFFER_ERR_ALREADY_EXISTS);
	assert_int_equal(
	    coffer_disk_create(in_scratch("tiny.img"), 1 << 20, COFFER_JOURNAL_DEFAULT, &err), 0);
	assert_int_equal(
	    coffer_disk_create(in_scratch("tiny2.img"), 1 << 20, COFFER_JOURNAL_ORDERED, &err),
	    -EINVAL);
	assert_int_equal(access(in_scratch("tiny2.img"), F_OK), -1);
	assert_int_equal(
	    coffer_disk_create(in_scratch("no/disk"), 64 << 20, COFFER_JOURNAL_DATA, &err),
	    -ENOENT);
}

static void test_disk_locks(void **state)
{
	const char *path = in_scratch("locked.img");
	struct coffer_error err = COFFER_ERROR_INIT;
	struct disk a, b, c;

	assert_int_equal(coffer_disk_create(path, 16 << 20, COFFER_JOURNAL_NONE, &err), 0);
	assert_int_equal(disk_open("disk", path, true, &a, &err), 0);
	assert_string_equal(a.fs, "ext4");
	assert_false(a.journal);
	assert_int_equal(disk_open("disk", path, true, &b, &err), 0);
	assert_int_equal(disk_open("disk", path, false, &c, &err), -EBUSY);
	assert_int_equal(err.kind, COFFER_ERR_INVALID_STATE);
	assert_non_null(strstr(err.message, path));
	disk_close(&a);
	disk_close(&b);
	assert_int_equal(disk_open("disk", path, false, &a, &err), 0);
	assert_int_equal(disk_open("disk", path, true, &b, &err), -EBUSY);
	disk_close(&a);

	/* Cut off. */
	assert_int_equal(truncate(path, 8 << 20), 0);
	assert_int_equal(disk_open("disk", path, true, &a, &err), -EINVAL);
	put_file(in_scratch("text"), "no file system");
	assert_int_equal(disk_open("disk", in_scratch("text"), true, &a, &err), -EINVAL);
	assert_int_equal(disk_open("disk", scratch, true, &a, &err), -EINVAL);
}

static void test_disk_merges(void **state)
{
	const char *path = in_scratch("merged.img");
	const struct coffer_mount list[] = {
		{ .kind = COFFER_MOUNT_DISK, .source = path, .target = "/a", .read_only = true },
		{ .kind = COFFER_MOUNT_DISK, .source = path, .target = "/b" },
	};
	struct sandbox_config sb = { .archive_fd = -1 };
	struct coffer_error err = COFFER_ERROR_INIT;
	autosteps struct guest_steps g = { 0 };
	struct mounts m;

	assert_int_equal(coffer_disk_create(path, 16 << 20, COFFER_JOURNAL_DEFAULT, &err), 0);
	assert_int_equal(mounts_plan(list, 2, &m, &err), 0);
	assert_int_equal(mounts_open(&m, &err), 0);
	assert_int_equal(mounts_attach(&m, &sb, &err), 0);
	assert_int_equal(sb.ndisks, 1);
	assert_false(sb.disks[0].read_only);
	assert_string_equal(mounts_volume(&m.v[0], &g), mounts_volume(&m.v[1], &g));
	mounts_close(&m);
}

static void test_too_many(void **state)
{
	struct coffer_mount list[SANDBOX_DISKS_MAX + 1] = { 0 };
	char paths[SANDBOX_DISKS_MAX + 1][256], targets[SANDBOX_DISKS_MAX + 1][32];
	struct sandbox_config sb = { .archive_fd = -1 };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct mounts m;

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/many%zu.img", scratch, i);
		snprintf(targets[i], sizeof(targets[i]), "/many/%zu", i);
		assert_int_equal(coffer_disk_create(paths[i], 1 << 20, COFFER_JOURNAL_NONE, &err),
				 0);
		list[i] = (struct coffer_mount){ .kind = COFFER_MOUNT_DISK,
						 .source = paths[i],
						 .target = targets[i] };
	}
	assert_int_equal(mounts_plan(list, ARRAY_SIZE(list), &m, &err), 0);
	assert_int_equal(mounts_open(&m, &err), 0);
	assert_int_equal(mounts_attach(&m, &sb, &err), -ENOSPC);
	assert_int_equal(err.kind, COFFER_ERR_INVALID_ARGUMENT);
	assert_non_null(strstr(err.message, targets[SANDBOX_DISKS_MAX]));
	assert_string_equal(m.v[0].device, "/dev/vda");
	assert_string_equal(m.v[SANDBOX_DISKS_MAX - 1].device, "/dev/vdt");
	mounts_close(&m);
}

static void test_layers(void **state)
{
	struct coffer_layer c = { .kind = COFFER_LAYER_DISK,
				  .path = in_scratch("layer.img"),
				  .size = 32 << 20,
				  .journal = COFFER_JOURNAL_NONE };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct layer a, b;

	assert_int_equal(layer_check(&c, &err), 0);
	assert_int_equal(layer_open(&c, c.kind, &a, &err), 0);
	assert_int_equal(layer_open(&c, c.kind, &b, &err), -EBUSY);
	layer_close(&a);
	/* It is used again, but not for what it is not. */
	assert_int_equal(layer_open(&c, c.kind, &a, &err), 0);
	layer_close(&a);
	c.journal = COFFER_JOURNAL_WRITEBACK;
	assert_int_equal(layer_open(&c, c.kind, &a, &err), -EINVAL);
	assert_non_null(strstr(err.message, "journal"));
	layer_close(&a);
	c.path = NULL;
	assert_int_equal(layer_open(&c, c.kind, &a, &err), 0);
	assert_true(a.disk.journal);
	layer_close(&a);

	c.size = 1;
	assert_int_equal(layer_check(&c, &err), -EINVAL);
	assert_non_null(strstr(err.message, "layer.size"));
	c = (struct coffer_layer){ .kind = COFFER_LAYER_TMPFS, .path = "/x" };
	assert_int_equal(layer_check(&c, &err), -EINVAL);
	c = (struct coffer_layer){ .kind = (enum coffer_layer_kind)9 };
	assert_int_equal(layer_check(&c, &err), -EINVAL);
	c = (struct coffer_layer){ .journal = COFFER_JOURNAL_DATA };
	assert_int_equal(layer_check(&c, &err), -EINVAL);
}

static void test_volumes(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autoclose int a = -1, b = -1;

	assert_int_equal(setenv("COFFER_DATA", in_scratch("data"), 1), 0);
	a = volume_open("v1", &err);
	b = volume_open("v1", &err);
	assert_true(a >= 0 && b >= 0);
	assert_int_equal(access(in_scratch("data/volumes/v1"), F_OK), 0);
	assert_int_equal(symlink("/etc", in_scratch("data/volumes/evil")), 0);
	assert_int_equal(volume_open("evil", &err), -ENOTDIR);
}

/* --- hosts, dns, platform --- */

static void test_names(void **state)
{
	static const struct {
		const char *host, *server, *search, *option;
		bool good;
	} rows[] = {
		{ "db:10.0.0.2", "1.1.1.1", "lan", "ndots:2", true },
		{ "db:::1", "::1", ".", "rotate", true },
		{ "db:[::1]", NULL, NULL, NULL, true },
		{ "db", NULL, NULL, NULL, false },
		{ ":1.1.1.1", NULL, NULL, NULL, false },
		{ "a b:1.1.1.1", NULL, NULL, NULL, false },
		{ "a\n:1.1.1.1", NULL, NULL, NULL, false },
		{ "db:1.1.1", NULL, NULL, NULL, false },
		{ "db:host-gateway", NULL, NULL, NULL, false },
		{ NULL, "1.1.1.256", NULL, NULL, false },
		{ NULL, "fe80::1%eth0", NULL, NULL, false },
		{ NULL, NULL, "a b", NULL, false },
		{ NULL, NULL, "", NULL, false },
		{ NULL, NULL, NULL, "a\nb", false },
		{ NULL, NULL, NULL, "", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *const hosts[] = { rows[i].host, NULL };
		const char *const servers[] = { rows[i].server, NULL };
		const char *const searches[] = { rows[i].search, NULL };
		const char *const options[] = { rows[i].option, NULL };
		struct coffer_container_config c = COFFER_CONTAINER_CONFIG_INIT;
		struct coffer_error err = COFFER_ERROR_INIT;

		c.hosts = hosts;
		c.dns.nameservers = servers;
		c.dns.searches = searches;
		c.dns.options = options;
		if ((files_check(&c, &err) == 0) != rows[i].good)
			fail_msg("row %zu: %s", i, err.message);
	}
}

static void test_share_of_nothing(void **state)
{
	struct coffer_container_config c = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(storage_check(&c, &err), 0);
	c.rootfs_share = true;
	assert_int_equal(storage_check(&c, &err), -EINVAL);
	assert_non_null(strstr(err.message, "rootfs_share"));
}

static void test_platforms(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	for (const char *const *p =
		 WORDS("linux/amd64", "linux/arm64", "linux/arm64/v8", "linux/arm/v7", "linux/386",
		       "linux/riscv64", "linux/ppc64le", "linux/s390x");
	     *p; p++)
		assert_int_equal(platform_check(*p, &err), 0);
	for (const char *const *p = WORDS("", "arm64", "linux/", "linux/mips", "windows/amd64",
					  "linux/arm64/", "linux/arm64/v8/x", "linux/arm64x");
	     *p; p++) {
		assert_int_equal(platform_check(*p, &err), -EINVAL);
		assert_non_null(strstr(err.message, *p));
	}
	assert_int_equal(platform_check(NULL, &err), 0);
}

static int set_up(void **state)
{
	return mkdtemp(scratch) ? 0 : -1;
}

static int tear_down(void **state)
{
	return path_remove_tree(AT_FDCWD, scratch, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_volume_names),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_emit_order),
		cmocka_unit_test(test_shares_merge),
		cmocka_unit_test(test_share_refusals),
		cmocka_unit_test(test_disk_create),
		cmocka_unit_test(test_disk_locks),
		cmocka_unit_test(test_disk_merges),
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_volumes),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_platforms),
		cmocka_unit_test(test_share_of_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
