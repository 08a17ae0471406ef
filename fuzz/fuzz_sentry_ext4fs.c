/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_sentry_ext4fs.c - images that may say anything are read, or refused
 *
 * Everything that can be asked of what is near the root is asked: names, links, attributes, data at
 * several places, mappings.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/kernel.h"
#include "sentry/mm/memfile.h"
#include "sentry/vfs/vfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_NAMES 24
#define FUZZ_DEPTH 3

struct fuzz_names {
	struct dir_sink sink;
	char name[FUZZ_NAMES][NAME_MAX + 1];
	unsigned n;
};

static int fuzz_emit(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		     unsigned char type, int64_t next)
{
	struct fuzz_names *names = (struct fuzz_names *)sink;

	assert(len > 0 && len <= NAME_MAX && next > 0);
	assert(!memchr(name, '/', len) && !memchr(name, '\0', len));
	if (names->n == FUZZ_NAMES)
		return 1;
	memcpy(names->name[names->n], name, len);
	names->name[names->n++][len] = '\0';
	return 0;
}

static void fuzz_data(struct inode *inode)
{
	static const int64_t places[] = { 0, 60, 4095, 12 * 1024, 1 << 20, INT64_C(1) << 33 };
	static char buf[8192];
	struct mappable_range range;
	struct file *file;

	if (inode->ops->open(inode, NULL, O_RDONLY, NULL, &file) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct mappable *m = &inode->mapping;

		assert(file_read_kernel(file, buf, sizeof(buf), places[i]) <= (long)sizeof(buf));
		if (m->ops->translate(m, PAGE_DOWN((uint64_t)places[i]), 1 << 20, false, &range) < 0)
			continue;
		assert(range.len && range.len % PAGE_SIZE == 0 && range.len <= 1 << 20);
		if (range.host_fd < 0)
			memfile_put(kernel.memory, range.offset, range.len);
	}
	file_put(file);
}

static void fuzz_inode(struct inode *inode, int depth);

static void fuzz_dir(struct inode *inode, int depth)
{
	autofree struct fuzz_names *names = calloc(1, sizeof(*names));
	struct file *file;

	names->sink.emit = fuzz_emit;
	if (inode->ops->open(inode, NULL, O_RDONLY, NULL, &file) < 0)
		return;
	file->ops->readdir(file, &names->sink);
	file_put(file);
	for (unsigned i = 0; i < names->n; i++) {
		struct inode *child;

		if (names->name[i][0] == '.' || inode->ops->lookup(inode, names->name[i], &child) < 0)
			continue;
		fuzz_inode(child, depth + 1);
		inode_put(child);
	}
}

static void fuzz_inode(struct inode *inode, int depth)
{
	char value[256], list[1024], target[PATH_MAX];
	long n = inode->ops->listxattr(inode, list, sizeof(list));

	for (long at = 0; at < n; at += (long)strlen(list + at) + 1)
		inode->ops->getxattr(inode, list + at, value, sizeof(value));
	if (inode->ops->readlink && inode->ops->readlink(inode, target, sizeof(target)) > 0)
		assert(strlen(target) < sizeof(target));
	if (S_ISREG(inode->attr.st_mode))
		fuzz_data(inode);
	if (S_ISDIR(inode->attr.st_mode) && depth < FUZZ_DEPTH)
		fuzz_dir(inode, depth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct super *super;

	if (!kernel.memory && memfile_new(0, &kernel.memory, NULL) < 0)
		abort();
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	if (ext4fs_new(fd, &super) < 0)
		return 0;
	fuzz_inode(super->root->inode, 0);
	super_put(super);
	return 0;
}
