/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in memory against a file of the host's memory (memfd): the same random calls, the same bytes,
 * sizes, holes and errors. Then what a host's file cannot show: limits, seals, mappings, memory that
 * is given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/vfs/memfd.h"
#include "sentry_world.h"

#define STEPS 20000
#define SPAN  (600 * 4096) /* where most of it happens: more than one table of pages */

static unsigned seed = 1;
static unsigned char buf[1 << 18], a[1 << 18], b[1 << 18];

static unsigned pick(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % n;
}

static uint64_t pick_offset(void)
{
	uint64_t at = pick(SPAN);

	if (pick(3) == 0)
		at = PAGE_DOWN(at);
	if (pick(40) == 0)
		at += UINT64_C(1) << (30 + pick(8));
	return at;
}

static size_t pick_len(void)
{
	return pick(3) ? pick(9000) : pick(sizeof(buf));
}

static int resize(struct file *file, uint64_t size)
{
	struct inode_attr attr = { .mask = ATTR_SIZE, .size = size };

	return file->inode->ops->setattr(file->inode, &attr);
}

static int result(int r)
{
	return r < 0 ? -errno : 0;
}

static uint64_t allocated(void)
{
	struct memfile_usage usage;

	memfile_usage(kernel.memory, &usage);
	return usage.allocated;
}

static struct file *scratch(struct world *w, const char *path)
{
	struct file *file = NULL;

	assert_int_equal(world_open(w, &w->root, path, O_RDWR | O_CREAT, 0644, &file), 0);
	return file;
}

static void step_write(struct file *file, int fd, uint64_t at)
{
	size_t len = pick_len();

	for (size_t i = 0; i < len; i++)
		buf[i] = (unsigned char)(seed + i * 7);
	assert_int_equal(file_write_kernel(file, buf, len, (int64_t)at), (long)len);
	assert_int_equal(pwrite(fd, buf, len, (off_t)at), (long)len);
}

static void step_read(struct file *file, int fd, uint64_t at)
{
	size_t len = pick_len();
	long n = file_read_kernel(file, a, len, (int64_t)at);

	assert_int_equal(n, pread(fd, b, len, (off_t)at));
	assert_memory_equal(a, b, (size_t)n);
}

static void step_hole(struct file *file, int fd, uint64_t at)
{
	off_t len = 1 + (off_t)pick_len();
	int mode = pick(2) ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE :
		   pick(2) ? FALLOC_FL_KEEP_SIZE : 0;

	assert_int_equal(file->ops->fallocate(file, mode, (int64_t)at, len), 0);
	assert_int_equal(fallocate(fd, mode, (off_t)at, len), 0);
}

/* A hole of ours and one of the host's may begin at other pages (it makes several at once), but
 * never where there is data. */
static void step_seek(struct file *file, int fd, uint64_t at)
{
	int64_t ours = file_seek(file, (int64_t)at, SEEK_DATA);
	int64_t size = file->inode->attr.st_size;

	if ((int64_t)at >= size) {
		assert_int_equal(ours, -ENXIO);
		return;
	}
	/* Up to our data the host reads zeros. */
	int64_t end = ours < 0 ? size : ours;
	size_t len = (size_t)(end - (int64_t)at) < sizeof(b) ? (size_t)(end - (int64_t)at) : sizeof(b);

	assert_int_equal(pread(fd, b, len, (off_t)at), (long)len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(b[i], 0);
	ours = file_seek(file, (int64_t)at, SEEK_HOLE);
	assert_true(ours >= (int64_t)at && ours <= size);
}

static void model(void **state)
{
	struct world *w = world_new();
	struct file *file = scratch(w, "/f");
	int fd = memfd_create("model", MFD_CLOEXEC);
	struct stat st, host;

	for (int i = 0; i < STEPS; i++) {
		uint64_t at = pick_offset();

		switch (pick(8)) {
		case 0:
		case 1:
		case 2:
			step_write(file, fd, at);
			break;
		case 3:
		case 4:
			step_read(file, fd, at);
			break;
		case 5:
			step_hole(file, fd, at);
			break;
		case 6:
			step_seek(file, fd, at);
			break;
		default:
			if (pick(4))
				break;
			assert_int_equal(resize(file, at), result(ftruncate(fd, (off_t)at)));
		}
		assert_int_equal(file_stat(file, &st), 0);
		assert_int_equal(fstat(fd, &host), 0);
		assert_int_equal(st.st_size, host.st_size);
	}
	close(fd);
	assert_true(allocated() > 0);
	assert_true(st.st_blocks > 0);
	assert_int_equal(resize(file, 0), 0);
	assert_int_equal(allocated(), 0);
	file_put(file);
	world_free(w);
}

/* What is gone gives its pages back: by unlink with a file open, and with the whole file system */
static void given_back(void **state)
{
	struct world *w = world_new();
	struct walk walk = world_walk(w, &w->root);
	struct file *file;

	for (int i = 0; i < 300; i++) {
		char path[64] = "";

		for (int k = 0; k < i % 20; k++) {
			strcat(path, "/d");
			world_make(w, &w->root, path, S_IFDIR | 0755, NULL);
		}
		snprintf(path + strlen(path), 16, "/f%d", i);
		file = scratch(w, path);
		assert_int_equal(file_write_kernel(file, buf, 5000, 0), 5000);
		file_put(file);
	}
	assert_int_equal(allocated(), 300 * 8192);
	file = scratch(w, "/f0");
	assert_int_equal(vfs_unlink(&walk, "/f0", false), 0);
	walk_end(&walk);
	assert_int_equal(file_read_kernel(file, a, sizeof(a), 0), 5000);
	assert_int_equal(allocated(), 300 * 8192);
	file_put(file);
	assert_int_equal(allocated(), 299 * 8192);
	world_free(w);
	assert_int_equal(allocated(), 0);
}

/* A file system of 16 pages: data, long links and attributes count, inodes have their own number */
static void limits(void **state)
{
	struct world *w = world_new();
	struct vfs_path at = { 0 };
	struct super *super;
	struct file *file;
	struct statfs st;
	char target[200], name[32];
	int r = 0, n = 0;

	assert_int_equal(world_make(w, &w->root, "/m", S_IFDIR | 0755, NULL), 0);
	assert_int_equal(tmpfs_new(16 * 4096, 0755, &super), 0);
	assert_int_equal(world_find(w, &w->root, "/m", 0, &at), 0);
	assert_int_equal(mount_add(w->mounts, &at, super, 0, "t"), 0);
	path_put(&at);

	file = scratch(w, "/m/f");
	assert_int_equal(file_write_kernel(file, buf, 20 * 4096, 0), 16 * 4096);
	assert_int_equal(file_write_kernel(file, buf, 1, 17 * 4096), -ENOSPC);
	assert_int_equal(super->ops->statfs(super, &st), 0);
	assert_int_equal(st.f_bfree, 0);
	assert_int_equal(file->ops->fallocate(file, 0, 0, 1 << 30), -ENOSPC);
	assert_int_equal(file->inode->ops->setxattr(file->inode, "user.x", "y", 1, 0), -ENOSPC);
	memset(target, 'x', sizeof(target) - 1);
	target[sizeof(target) - 1] = 0;
	assert_int_equal(world_make(w, &w->root, "/m/l", S_IFLNK | 0777, target), -ENOSPC);
	assert_int_equal(resize(file, 4096), 0);
	assert_int_equal(world_make(w, &w->root, "/m/l", S_IFLNK | 0777, target), 0);
	assert_int_equal(file->inode->ops->setxattr(file->inode, "user.x", "y", 1, 0), 0);
	assert_int_equal(file->inode->ops->setxattr(file->inode, "user.x", "yz", 2, XATTR_CREATE),
			 -EEXIST);
	assert_int_equal(file->inode->ops->setxattr(file->inode, "user.x", "yz", 2, 0), 0);
	assert_int_equal(file->inode->ops->getxattr(file->inode, "user.x", a, 1), -ERANGE);
	assert_int_equal(file->inode->ops->getxattr(file->inode, "user.x", a, 9), 2);
	assert_int_equal(super->ops->statfs(super, &st), 0);
	assert_int_equal(st.f_bfree, 16 - 3);
	assert_int_equal(file->inode->ops->removexattr(file->inode, "user.x"), 0);
	assert_int_equal(file->inode->ops->removexattr(file->inode, "user.x"), -ENODATA);
	for (; r == 0; n++) {
		snprintf(name, sizeof(name), "/m/n%d", n);
		r = world_make(w, &w->root, name, S_IFREG | 0644, NULL);
	}
	assert_int_equal(r, -ENOSPC);
	assert_true(n > 10 && n < 100);
	file_put(file);
	world_free(w);
}

static void seals(void **state)
{
	struct world *w = world_new();
	struct mappable_range range;
	struct file *file;
	struct mappable *map;

	assert_int_equal(memfd_create_file(&w->task, "x", MFD_CLOEXEC, &file), 0);
	assert_int_equal(memfd_get_seals(file), F_SEAL_SEAL);
	assert_int_equal(memfd_add_seals(file, F_SEAL_GROW), -EPERM);
	file_put(file);
	assert_int_equal(memfd_create_file(&w->task, "x", MFD_ALLOW_SEALING, &file), 0);
	assert_int_equal(file_write_kernel(file, "hello", 5, 0), 5);
	assert_int_equal(memfd_add_seals(file, F_SEAL_GROW), 0);
	assert_int_equal(file_write_kernel(file, "hello", 5, 1), -EPERM);
	assert_int_equal(file_write_kernel(file, "HELLO", 5, 0), 5);
	assert_int_equal(resize(file, 9), -EPERM);
	assert_int_equal(resize(file, 4), 0);
	assert_int_equal(memfd_add_seals(file, F_SEAL_SHRINK), 0);
	assert_int_equal(resize(file, 3), -EPERM);
	map = &file->inode->mapping;
	assert_int_equal(map->ops->translate(map, 0, 8192, true, &range), 0);
	assert_int_equal(range.len, 4096);
	assert_memory_equal(memfile_ptr(kernel.memory, range.offset), "HELL\0\0", 6);
	memfile_put(kernel.memory, range.offset, range.len);
	assert_int_equal(map->ops->translate(map, 4096, 4096, false, &range), -ENXIO);
	assert_int_equal(memfd_add_seals(file, F_SEAL_WRITE | F_SEAL_SEAL), 0);
	assert_int_equal(file_write_kernel(file, "h", 1, 0), -EPERM);
	assert_int_equal(file->ops->fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1),
			 -EPERM);
	assert_int_equal(map->ops->translate(map, 0, 4096, true, &range), -EPERM);
	assert_int_equal(memfd_get_seals(file),
			 F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL);
	file_put(file);
	world_free(w);
	assert_int_equal(allocated(), 0);
}

/* A mapping sees what is written, and what it writes is read; its pages outlive a cut */
static void mapping(void **state)
{
	struct world *w = world_new();
	struct file *file = scratch(w, "/f");
	struct mappable *map = &file->inode->mapping;
	struct mappable_range range;
	char *page;

	assert_int_equal(resize(file, 20 * 4096), 0);
	assert_int_equal(map->ops->translate(map, 4096, 4096, true, &range), 0);
	page = memfile_ptr(kernel.memory, range.offset);
	strcpy(page, "mapped");
	assert_int_equal(file_read_kernel(file, a, 7, 4096), 7);
	assert_string_equal(a, "mapped");
	assert_int_equal(file_write_kernel(file, "written", 8, 4096), 8);
	assert_string_equal(page, "written");
	assert_int_equal(resize(file, 0), 0);
	assert_string_equal(page, "written");
	assert_int_equal(allocated(), range.len);
	memfile_put(kernel.memory, range.offset, range.len);
	assert_int_equal(allocated(), 0);
	file_put(file);
	world_free(w);
}

static int count_emit(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		      unsigned char type, int64_t next)
{
	return 1; /* one at a time is not even taken */
}

struct one {
	struct dir_sink sink;
	char name[NAME_MAX + 1];
	bool taken;
};

static int one_emit(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		    unsigned char type, int64_t next)
{
	struct one *one = container_of(sink, struct one, sink);

	if (one->taken)
		return 1;
	memcpy(one->name, name, len);
	one->name[len] = 0;
	one->taken = true;
	return 0;
}

/* Read one by one while others come and go: what stays is seen exactly once */
static void directory(void **state)
{
	struct world *w = world_new();
	struct dir_sink none = { .emit = count_emit };
	struct one one = { .sink.emit = one_emit };
	unsigned seen[200] = { 0 };
	struct file *file;
	char name[32];

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "/n%d", i);
		assert_int_equal(world_make(w, &w->root, name, S_IFREG | 0644, NULL), 0);
	}
	assert_int_equal(world_open(w, &w->root, "/", O_RDONLY, 0, &file), 0);
	assert_int_equal(file->ops->readdir(file, &none), 0);
	assert_int_equal(file->offset, 0);
	for (unsigned i = 0;; i++) {
		struct walk walk = world_walk(w, &w->root);

		one.taken = false;
		assert_int_equal(file->ops->readdir(file, &one.sink), 0);
		if (!one.taken)
			break;
		if (one.name[0] == 'n')
			seen[atoi(one.name + 1)]++;
		/* Some that were read go, new ones come, and go. */
		snprintf(name, sizeof(name), "/n%u", i - 2);
		if (i >= 2 && i % 2 && i < 150)
			vfs_unlink(&walk, name, false);
		if (i < 300) {
			snprintf(name, sizeof(name), "/x%u", i);
			world_make(w, &w->root, name, S_IFREG | 0644, NULL);
			if (i % 3)
				vfs_unlink(&walk, name, false);
		}
		walk_end(&walk);
	}
	for (int i = 0; i < 200; i++)
		assert_int_equal(seen[i], 1);
	file_put(file);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model),  cmocka_unit_test(given_back), cmocka_unit_test(limits),
		cmocka_unit_test(seals),  cmocka_unit_test(mapping),	 cmocka_unit_test(directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
