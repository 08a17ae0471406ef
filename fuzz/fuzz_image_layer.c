/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_image_layer.c - layers that may hold anything become a sound image or nothing
 *
 * Over a layer of ordinary things comes the input, twice if its first byte
 * says so, packed as it likes.  When that is taken, the image is read again by
 * libext2fs: each name leads to an inode in use that has as many links as there
 * are names, no directory has two, and no block belongs to two files.
 * Checksums of headers are made right, or few would get in.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ext2fs/ext2fs.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "image/layer/layer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_BLOCK    512
#define FUZZ_MAGIC    257 /* where a header has it, and its checksum */
#define FUZZ_CHECKSUM 148
#define FUZZ_BASE     (sizeof(fuzz_base) / sizeof(fuzz_base[0]))

static const struct {
	char type;
	const char *name, *link;
} fuzz_base[] = {
	{ '5', "usr/bin", "" }, { '2', "bin", "usr/bin" }, { '0', "a", "" },	   { '1', "b", "a" },
	{ '5', "d", "" },	{ '0', "d/a", "" },	   { '2', "d/up", "../.." }, { '2', "l", "/d" },
};

static void fuzz_checksum(uint8_t *p)
{
	unsigned sum = 0;
	char text[8];

	memset(p + FUZZ_CHECKSUM, ' ', sizeof(text));
	for (size_t i = 0; i < FUZZ_BLOCK; i++)
		sum += p[i];
	snprintf(text, sizeof(text), "%06o", sum);
	memcpy(p + FUZZ_CHECKSUM, text, sizeof(text) - 1);
}

static void fuzz_fix_checksums(uint8_t *p, size_t n)
{
	for (; n >= FUZZ_BLOCK; p += FUZZ_BLOCK, n -= FUZZ_BLOCK)
		if (memcmp(p + FUZZ_MAGIC, "ustar", 5) == 0)
			fuzz_checksum(p);
}

/* Return: a blob; its fd is the caller's */
static struct layer_source fuzz_blob(const void *data, size_t n)
{
	struct layer_source l = { .fd = memfd_create("layer", MFD_CLOEXEC), .size = n };

	if (l.fd < 0 || io_write_full(l.fd, data, n) < 0)
		abort();
	return l;
}

static struct layer_source fuzz_make_base(void)
{
	uint8_t t[(FUZZ_BASE + 2) * FUZZ_BLOCK] = { 0 }, *p = t;

	for (size_t i = 0; i < FUZZ_BASE; i++, p += FUZZ_BLOCK) {
		strcpy((char *)p, fuzz_base[i].name);
		memcpy(p + 100, "0000755\0000000000\0000000000\00000000000000\00000000000000", 48);
		p[156] = (uint8_t)fuzz_base[i].type;
		strcpy((char *)p + 157, fuzz_base[i].link);
		memcpy(p + FUZZ_MAGIC, "ustar\00000", 8);
		fuzz_checksum(p);
	}
	return fuzz_blob(t, sizeof(t));
}

/* ---- the image ---- */

struct fuzz_image {
	ext2_filsys fs;
	uint16_t *names; /* of each inode; owned */
	ext2fs_block_bitmap blocks;
};

static int fuzz_name(ext2_ino_t dir, int entry, struct ext2_dir_entry *e, int off, int size,
		     char *buf, void *data)
{
	struct fuzz_image *m = data;

	assert(e->inode <= m->fs->super->s_inodes_count);
	assert(ext2fs_test_inode_bitmap2(m->fs->inode_map, e->inode));
	m->names[e->inode] = (uint16_t)(m->names[e->inode] + (entry == DIRENT_OTHER_FILE));
	return 0;
}

static int fuzz_block(ext2_filsys fs, blk64_t *block, e2_blkcnt_t n, blk64_t ref, int off,
		      void *data)
{
	struct fuzz_image *m = data;

	assert(ext2fs_test_block_bitmap2(fs->block_map, *block));
	assert(!ext2fs_test_block_bitmap2(m->blocks, *block));
	ext2fs_mark_block_bitmap2(m->blocks, *block);
	return 0;
}

static void fuzz_check_inode(struct fuzz_image *m, ext2_ino_t ino)
{
	struct ext2_inode inode;

	if (!ext2fs_test_inode_bitmap2(m->fs->inode_map, ino))
		return;
	assert(ext2fs_read_inode(m->fs, ino, &inode) == 0);
	if (ino != EXT2_ROOT_INO)
		assert(m->names[ino] == (LINUX_S_ISDIR(inode.i_mode) ? 1 : inode.i_links_count));
	if (ext2fs_inode_has_valid_blocks2(m->fs, &inode))
		assert(ext2fs_block_iterate3(m->fs, ino, 0, NULL, fuzz_block, m) == 0);
}

static void fuzz_check(int fd)
{
	struct fuzz_image m = { 0 };
	char name[16];

	snprintf(name, sizeof(name), "%d", dup(fd));
	assert(ext2fs_open(name, EXT2_FLAG_64BITS, 0, 0, unixfd_io_manager, &m.fs) == 0);
	assert(ext2fs_read_bitmaps(m.fs) == 0);
	assert(ext2fs_allocate_block_bitmap(m.fs, "seen", &m.blocks) == 0);
	m.names = calloc(m.fs->super->s_inodes_count + 1, sizeof(*m.names));
	for (ext2_ino_t i = EXT2_ROOT_INO; i <= m.fs->super->s_inodes_count; i++)
		if ((i == EXT2_ROOT_INO || i >= EXT2_FIRST_INO(m.fs->super)) &&
		    ext2fs_test_inode_bitmap2(m.fs->inode_map, i) &&
		    ext2fs_check_directory(m.fs, i) == 0)
			assert(ext2fs_dir_iterate2(m.fs, i, 0, NULL, fuzz_name, &m) == 0);
	fuzz_check_inode(&m, EXT2_ROOT_INO);
	for (ext2_ino_t i = EXT2_FIRST_INO(m.fs->super); i <= m.fs->super->s_inodes_count; i++)
		fuzz_check_inode(&m, i);
	free(m.names);
	ext2fs_free_block_bitmap(m.blocks);
	ext2fs_close_free(&m.fs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct layer_watch watch = { .cancel_fd = -1 };
	static struct layer_source base = { .fd = -1 };
	struct settings_limits limits = { .entries = 1000, .bytes = 1 << 30, .ratio = 100, .name = 300 };
	CLEANUP(layer_stack_freep) struct layer_stack *s = NULL;
	autofree uint8_t *copy = malloc(size + 1);
	autoclose int image = -1, fd = -1;
	struct layer_source l;
	int r;

	if (size < 1 || !copy)
		return 0;
	if (base.fd < 0)
		base = fuzz_make_base();
	memcpy(copy, data + 1, size - 1);
	fuzz_fix_checksums(copy, size - 1);
	l = fuzz_blob(copy, size - 1);
	fd = l.fd;
	image = memfd_create("image", MFD_CLOEXEC);
	r = layer_stack_new(image, &limits, &watch, &s, NULL);
	assert(r == 0);
	r = layer_stack_add(s, &base, NULL, NULL);
	assert(r == 0);
	for (int i = 0; i <= (data[0] & 1) && r == 0; i++)
		r = layer_stack_add(s, &l, NULL, NULL);
	if (r == 0)
		r = layer_stack_finish(s, NULL);
	if (r == 0)
		fuzz_check(image);
	return 0;
}
