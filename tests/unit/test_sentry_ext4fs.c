/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images in the application kernel: made by mke2fs from a directory in several ways, and read back
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "sentry/mm/memfile.h"
#include "sentry_tree.h"

static char dir[] = "/tmp/coffer-ext4fs-XXXXXX";

static const char content[] =
	"umask 022 && mkdir -p t/deep/er/est t/many t/empty && cd t && echo hello >file && ln -s file "
	"link && ln -s $(printf 'x%.0s' $(seq 1 200)) longlink && ln file hard && mkfifo pipe && seq 1 "
	"300000 >big && printf tiny >tiny && for i in $(seq 1 1500); do echo $i >many/name_of_a_file_$i; "
	"done && echo d >deep/er/est/f && chmod 4750 tiny && touch -d '2033-04-05 06:07:08.123456789' "
	"tiny && truncate -s 3M sparse && printf middle | dd of=sparse bs=1 seek=1500000 conv=notrunc "
	"2>/dev/null && printf x | dd of=sparse bs=1 seek=3145727 conv=notrunc 2>/dev/null && (mknod null c 1 3 && mknod large b 259 70000 && chown 70000:80000 hard || true) && "
	"setfattr -n user.color -v blue file && setfattr -n user.long -v $(printf 'v%.0s' $(seq 1 "
	"500)) file && setfattr -n user.overlay.opaque -v y deep; true";

static struct tree image;

static bool with_huge;

/* Return: whether such an image could be made */
static bool make_image(const char *options)
{
	struct super *super;
	char path[64];
	int fd, r;

	host(with_huge ? "cd %s/t && truncate -s 9G huge && printf end | dd of=huge bs=1 seek=9663676413 "
			 "conv=notrunc 2>/dev/null" : "rm -f %s/t/huge", dir);
	if (host("cd %s && rm -f img && truncate -s 64M img && PATH=$PATH:/sbin:/usr/sbin mke2fs -q -F "
		 "%s -d t img >log 2>&1", dir, options) != 0)
		return false;
	snprintf(path, sizeof(path), "%s/img", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	r = ext4fs_new(fd, &super);
	if (r < 0)
		fail_msg("%s: %s", options, strerror(-r));
	tree_open(&image, super);
	return true;
}

static void check_same(const char *path)
{
	static char ours[1 << 16], theirs[1 << 16];
	char host_path[128];
	struct file *file;
	long n = 1;
	int fd;

	snprintf(host_path, sizeof(host_path), "%s/t%s", dir, path);
	fd = open(host_path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(t_open(&image, path, O_RDONLY, 0, &file), 0);
	for (int64_t at = 0; n > 0; at += n) {
		n = file_read_kernel(file, ours, sizeof(ours), at);
		assert_int_equal(n, pread(fd, theirs, sizeof(theirs), at));
		assert_memory_equal(ours, theirs, n);
	}
	file_put(file);
	close(fd);
}

static void check_stat(const char *path)
{
	struct stat ours, theirs;
	char host_path[128];

	snprintf(host_path, sizeof(host_path), "%s/t%s", dir, path);
	assert_int_equal(lstat(host_path, &theirs), 0);
	assert_int_equal(t_lstat(&image, path, &ours), 0);
	assert_int_equal(ours.st_mode, theirs.st_mode);
	assert_int_equal(ours.st_uid, theirs.st_uid);
	assert_int_equal(ours.st_gid, theirs.st_gid);
	if (!S_ISDIR(ours.st_mode))
		assert_int_equal(ours.st_size, theirs.st_size);
	assert_int_equal(ours.st_nlink, theirs.st_nlink);
	assert_int_equal(ours.st_rdev, theirs.st_rdev);
	assert_int_equal(ours.st_mtim.tv_sec, theirs.st_mtim.tv_sec);
}

/* By mappings, page by page. */
static void check_mapping(const char *path)
{
	static char theirs[4096];
	struct file *file;
	struct mappable *m;

	assert_int_equal(t_open(&image, path, O_RDONLY, 0, &file), 0);
	m = &file->inode->mapping;
	for (uint64_t at = 0; at < (uint64_t)file->inode->attr.st_size && at < 1 << 22;
	     at += PAGE_SIZE) {
		struct mappable_range range;
		long n = file_read_kernel(file, theirs, sizeof(theirs), (int64_t)at);
		void *page;

		assert_int_equal(m->ops->translate(m, at, 1 << 20, false, &range), 0);
		assert_true(range.len >= PAGE_SIZE && range.len % PAGE_SIZE == 0);
		page = range.host_fd >= 0 ? mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, range.host_fd,
						 (off_t)range.offset) :
					    memfile_ptr(kernel.memory, range.offset);
		assert_true(page != MAP_FAILED);
		assert_memory_equal(page, theirs, n);
		if (range.host_fd >= 0)
			munmap(page, PAGE_SIZE);
		else
			memfile_put(kernel.memory, range.offset, range.len);
	}
	file_put(file);
}

static void check_image(void)
{
	static const char *const all[] = { "/file", "/link", "/longlink", "/hard", "/pipe", "/big",
					   "/tiny", "/deep/er/est/f", "/sparse", "/huge", "/null",
					   "/large", "/many", "/empty", "/deep" };
	struct stat st;
	char target[512];
	struct file *file;

	assert_string_equal(t_list(&image, "/deep", NULL, NULL), "er");
	assert_string_equal(t_list(&image, "/empty", NULL, NULL), "");
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (t_exists(&image, all[i]) == 0)
			check_stat(all[i]);
	for (int i = 1; i <= 1500; i += 7) {
		char path[64];

		snprintf(path, sizeof(path), "/many/name_of_a_file_%d", i);
		check_same(path);
	}
	assert_int_equal(t_exists(&image, "/many/none"), -ENOENT);
	assert_int_equal(strlen(t_list(&image, "/many", NULL, NULL)),
			 1500 * (strlen("name_of_a_file_") + 1) + 9 + 90 * 2 + 900 * 3 + 501 * 4 - 1);
	check_same("/big");
	check_same("/file");
	check_same("/tiny");
	check_same("/sparse");
	check_same("/link");
	check_mapping("/big");
	check_mapping("/sparse");
	check_mapping("/tiny");
	if (with_huge) {
		assert_int_equal(t_open(&image, "/huge", O_RDONLY, 0, &file), 0);
		assert_int_equal(file_read_kernel(file, target, 8, 9663676408), 8);
		assert_memory_equal(target, "\0\0\0\0\0end", 8);
		file_put(file);
	}
	assert_int_equal(T_ON(&image, "/longlink", WALK_NOFOLLOW,
			      inode->ops->readlink(inode, target, sizeof(target))), 200);
	assert_int_equal(t_lstat(&image, "/hard", &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(t_put(&image, "/file", "x"), -EROFS);
	assert_int_equal(t_mkdir(&image, "/d", 0755), -EROFS);
}

static void check_attributes(void)
{
	char value[2048], list[256];

	if (host("cd %s/t && getfattr -n user.color file >/dev/null 2>&1", dir) != 0)
		return;
	assert_int_equal(T_ON(&image, "/file", 0, inode->ops->getxattr(inode, "user.color", value, 64)),
			 4);
	assert_memory_equal(value, "blue", 4);
	assert_int_equal(T_ON(&image, "/file", 0, inode->ops->getxattr(inode, "user.color", value, 3)),
			 -ERANGE);
	assert_int_equal(T_ON(&image, "/file", 0, inode->ops->getxattr(inode, "user.long", value,
								       sizeof(value))), 500);
	assert_int_equal(T_ON(&image, "/file", 0, inode->ops->getxattr(inode, "user.x", value, 64)),
			 -ENODATA);
	assert_int_equal(T_ON(&image, "/file", 0, inode->ops->listxattr(inode, list, sizeof(list))), 21);
	assert_int_equal(T_ON(&image, "/file", 0, inode->ops->listxattr(inode, list, 20)), -ERANGE);
}

static void test_image(void **state)
{
	const char *options = *state;

	with_huge = strstr(options, "4096");
	if (!make_image(options)) {
		host("cat %s/log", dir);
		print_message("this mke2fs does not make such an image: %s\n", options);
		skip();
	}
	check_image();
	check_attributes();
	tree_close(&image);
}

/* Below an overlay, as a container has it. */
static void test_overlay(void **state)
{
	struct tree memory, merged;
	struct vfs_path lower, upper;
	struct super *super;

	with_huge = false;
	assert_true(make_image("-t ext4 -b 4096"));
	assert_int_equal(tmpfs_new(0, 0755, &super), 0);
	tree_open(&memory, super);
	mount_table_root(image.mounts, &lower);
	mount_table_root(memory.mounts, &upper);
	assert_int_equal(overlay_new(&lower, 1, &upper, &super), 0);
	path_put(&lower);
	path_put(&upper);
	tree_open(&merged, super);
	assert_content(&merged, "/file", "hello\n");
	assert_int_equal(t_put(&merged, "/deep/er/est/f", "changed"), 0);
	assert_content(&merged, "/deep/er/est/f", "changed");
	assert_int_equal(t_unlink(&merged, "/tiny"), 0);
	assert_int_equal(t_exists(&merged, "/tiny"), -ENOENT);
	assert_int_equal(t_rename(&merged, "/hard", "/deep/hard", 0), 0);
	assert_content(&merged, "/deep/hard", "hello\n");
	tree_close(&merged);
	tree_close(&memory);
	tree_close(&image);
}

/* Bytes of a good image are changed at random: whatever is then said, it is said. */
static void test_damaged(void **state)
{
	char path[64];
	unsigned seed = 1, opened = 0;
	size_t size = 4 << 20;
	uint8_t *good = malloc(size);
	int fd;

	assert_int_equal(host("cd %s && rm -rf s img && mkdir -p s/a/b && cp -a t/file t/link t/tiny s/a "
			      "&& head -c 300000 t/big >s/big && truncate -s 4M img && "
			      "PATH=$PATH:/sbin:/usr/sbin mke2fs -q -F -t ext4 -O ^has_journal -b 1024 -d "
			      "s img >log 2>&1", dir), 0);
	snprintf(path, sizeof(path), "%s/img", dir);
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, good, size, 0), (ssize_t)size);
	close(fd);
	for (int round = 0; round < 400; round++) {
		struct super *super;
		struct tree t;
		int memory = memfd_create("image", MFD_CLOEXEC);

		assert_int_equal(pwrite(memory, good, size, 0), (ssize_t)size);
		for (int i = 0; i < 40; i++) {
			uint8_t byte;
			off_t at;

			seed = seed * 1103515245u + 12345u;
			at = (seed >> 8) % (i % 2 ? 400u << 10 : 4096);
			if (i < 20 && at >= 1024 && at < 1024 + 256)
				continue; /* else hardly any is opened at all */
			seed = seed * 1103515245u + 12345u;
			byte = (uint8_t)(seed >> 16);
			assert_int_equal(pwrite(memory, &byte, 1, at), 1);
		}
		if (ext4fs_new(memory, &super) < 0)
			continue;
		opened++;
		tree_open(&t, super);
		t_get(&t, "/a/file");
		t_get(&t, "/a/link");
		t_get(&t, "/big");
		t_list(&t, "/", NULL, NULL);
		t_list(&t, "/a", NULL, NULL);
		tree_close(&t);
	}
	print_message("%u of 400 could be opened\n", opened);
	assert_true(opened > 20);
	free(good);
}

/* Files of a million pieces each, which all have the same few blocks: what is remembered of them has an
 * end, and is not kept when they are gone. */
static void test_shared_blocks(void **state)
{
	uint32_t numbers[3][256];
	uint64_t had = kernel.memory_max;
	char path[64], byte;
	struct file *files[8];
	long r;
	int n, fd;

	kernel.memory_max = 1 << 20;
	with_huge = false;
	assert_int_equal(host("cd %s && rm -rf s img && mkdir s && for i in 0 1 2 3 4 5 6 7; do echo $i "
			      ">s/$i; echo \"sif /$i size 900000000\"; echo \"sif /$i block[TIND] 4002\"; "
			      "done >script && truncate -s 4M img && PATH=$PATH:/sbin:/usr/sbin && mke2fs "
			      "-q -F -t ext2 -b 1024 -O none -d s img 4096 && debugfs -w -f script img >log 2>&1",
			      dir), 0);
	for (n = 0; n < 256; n++) {
		numbers[0][n] = 100; /* data */
		numbers[1][n] = 4000;
		numbers[2][n] = 4001;
	}
	snprintf(path, sizeof(path), "%s/img", dir);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, numbers, sizeof(numbers), 4000 * 1024), sizeof(numbers));
	close(fd);
	for (int round = 0; round < 2; round++) {
		struct super *super;

		fd = open(path, O_RDONLY);
		assert_int_equal(ext4fs_new(fd, &super), 0);
		tree_open(&image, super);
		r = 1;
		for (n = 0; n < 8 && r == 1; n++) {
			snprintf(path, sizeof(path), "/%d", n);
			assert_int_equal(t_open(&image, path, O_RDONLY, 0, &files[n]), 0);
			r = file_read_kernel(files[n], &byte, 1, 800000000);
		}
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(n, 2); /* the root has some too */
		while (n > 0)
			file_put(files[--n]);
		tree_close(&image);
		snprintf(path, sizeof(path), "%s/img", dir);
	}
	kernel.memory_max = had;
}

static void test_not_an_image(void **state)
{
	struct super *super;
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_int_equal(ext4fs_new(fd, &super), -EINVAL);
	fd = memfd_create("image", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(ext4fs_new(fd, &super), -EINVAL);
	/* A journal that has to be replayed */
	assert_int_equal(host("cd %s && rm -f img && truncate -s 16M img && PATH=$PATH:/sbin:/usr/sbin "
			      "mke2fs -q -F -t ext4 img && PATH=$PATH:/sbin:/usr/sbin debugfs -w -R "
			      "'feature +needs_recovery' img >log 2>&1", dir), 0);
	{
		char path[64];

		snprintf(path, sizeof(path), "%s/img", dir);
		fd = open(path, O_RDONLY);
	}
	assert_int_equal(ext4fs_new(fd, &super), -EROFS);
}

static int group_setup(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	umask(0);
	assert_non_null(mkdtemp(dir));
	host_start();
	if (host("cd %s && PATH=$PATH:/sbin:/usr/sbin && command -v mke2fs debugfs >log && (%s)", dir,
		 content) != 0) {
		print_message("needs mke2fs and debugfs\n");
		exit(77);
	}
	if (memfile_new(0, &kernel.memory, &err) < 0)
		fail_msg("%s", err.message);
	return 0;
}

static int group_teardown(void **state)
{
	host("rm -rf %s", dir);
	return 0;
}

#define IMAGE(options) { "image of mke2fs " options, test_image, NULL, NULL, (void *)(options) }

int main(void)
{
	const struct CMUnitTest tests[] = {
		IMAGE("-t ext4 -b 4096"),
		IMAGE("-t ext4 -b 1024"),
		IMAGE("-t ext4 -b 2048 -O ^has_journal,^64bit"),
		IMAGE("-t ext4 -O inline_data -I 256"),
		IMAGE("-t ext4 -O bigalloc -C 16384"),
		IMAGE("-t ext3"),
		IMAGE("-t ext2 -b 1024"),
		IMAGE("-t ext4 -I 128"),
		cmocka_unit_test(test_overlay),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_shared_blocks),
		cmocka_unit_test(test_not_an_image),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
