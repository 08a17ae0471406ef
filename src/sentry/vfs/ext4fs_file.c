/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/ext4fs_file.c - data of files in an image
 *
 *	read(2) -> runs -> preadv2 of the image, straight into guest memory
 *	mmap(2) -> the image's descriptor at the run's place, where that is page-aligned; else a page of the
 *	           memory file with a copy
 */
#include <errno.h>
#include <ext2fs/ext2_fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "sentry/kernel.h"
#include "sentry/mm/memfile.h"
#include "sentry/vfs/ext4fs.h"

#define EXT4_IOV 16

/* What is at @offset of a file: @len bytes (at most @want), at @place in the image, or zeros. */
struct ext4_piece {
	uint64_t place;
	uint64_t len;
	bool zero;
};

static int ext4_find_piece(struct ext4_inode *e, uint64_t offset, uint64_t want,
			   struct ext4_piece *out)
{
	const struct ext4fs *fs = ext4_super(e);
	uint64_t block = offset >> fs->block_shift, in_block = offset & (fs->block - 1), end;
	const struct ext4_runs *runs;
	const struct ext4_run *run;
	int r = ext4_get_runs(e, &runs);

	if (r < 0)
		return r;
	run = ext4_find_run(runs, block);
	*out = (struct ext4_piece){ .zero = true, .len = want };
	if (!run)
		return 0;
	if (run->logical > block) {
		end = run->logical;
	} else {
		end = run->logical + run->len;
		out->zero = !run->physical;
		out->place = ((run->physical + (block - run->logical)) << fs->block_shift) +
			     in_block;
	}
	end = (end - block) << fs->block_shift;
	if (end - in_block < want)
		out->len = end - in_block;
	return 0;
}

/* Data that is in the inode itself. */
static long ext4_pread_inline(struct ext4_inode *e, void *buf, size_t n, uint64_t offset)
{
	autofree char *all = malloc(sizeof(e->block) + EXT4FS_INODE_MAX);
	long more;

	if (!all)
		return -ENOMEM;
	memcpy(all, e->block, sizeof(e->block));
	more = ext4_inline(e, all + sizeof(e->block), EXT4FS_INODE_MAX);
	if (more < 0)
		return more;
	more += (long)sizeof(e->block);
	if (offset >= (uint64_t)more)
		return 0;
	if (n > (uint64_t)more - offset)
		n = (size_t)more - (size_t)offset;
	memcpy(buf, all + offset, n);
	return (long)n;
}

long ext4_pread(struct ext4_inode *e, void *buf, size_t n, uint64_t offset)
{
	uint64_t size = (uint64_t)e->inode.attr.st_size;
	size_t done = 0;

	if (offset >= size)
		return 0;
	if (n > size - offset)
		n = size - offset;
	if (e->flags & EXT4_INLINE_DATA_FL)
		return ext4_pread_inline(e, buf, n, offset);
	while (done < n) {
		struct ext4_piece piece;
		int r = ext4_find_piece(e, offset + done, n - done, &piece);

		if (r == 0 && piece.zero)
			memset((char *)buf + done, 0, piece.len);
		else if (r == 0)
			r = ext4_read(ext4_super(e), piece.place, (char *)buf + done, piece.len);
		if (r < 0)
			return r;
		done += piece.len;
	}
	return (long)done;
}

/* The first @len bytes of what is left. Return: entries */
static int ext4_cut_iov(const struct user_io *io, struct iovec iov[EXT4_IOV], size_t len)
{
	int n = 0;

	for (; n < EXT4_IOV && (size_t)n < io->niov && len; n++) {
		iov[n] = io->iov[n];
		if (iov[n].iov_len > len)
			iov[n].iov_len = len;
		len -= iov[n].iov_len;
	}
	return n;
}

static long ext4_read_piece(struct ext4_inode *e, struct user_io *io, uint64_t offset,
			    uint64_t want)
{
	struct iovec iov[EXT4_IOV];
	struct ext4_piece piece;
	ssize_t n;
	int r = ext4_find_piece(e, offset, want, &piece);

	if (r < 0)
		return r;
	if (piece.zero)
		return (long)user_io_zero(io, piece.len);
	n = preadv2(ext4_super(e)->fd, iov, ext4_cut_iov(io, iov, piece.len),
		    (off_t)piece.place, 0);
	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	user_io_advance(io, (size_t)n);
	return n;
}

static long ext4_file_read_inline(struct ext4_inode *e, struct user_io *io, uint64_t offset)
{
	autofree char *buf = malloc(EXT4FS_INODE_MAX);
	long n = buf ? ext4_pread(e, buf, EXT4FS_INODE_MAX, offset) : -ENOMEM;

	return n <= 0 ? n : (long)user_io_put(io, buf, (size_t)n);
}

static long ext4_file_read(struct file *file, struct user_io *io, int64_t offset)
{
	struct ext4_inode *e = ext4_of(file->inode);
	uint64_t size = (uint64_t)e->inode.attr.st_size, at = (uint64_t)offset;
	long done = 0;

	if (e->flags & EXT4_INLINE_DATA_FL)
		return ext4_file_read_inline(e, io, at);
	while (io->left && at < size) {
		uint64_t want = io->left < size - at ? io->left : size - at;
		long n = ext4_read_piece(e, io, at, want);

		if (n <= 0)
			return done ? done : n;
		done += n;
		at += (uint64_t)n;
	}
	return done;
}

static const struct file_ops ext4_file_file_ops = {
	.read = ext4_file_read,
	.release = file_release_plain,
};

int ext4_open_file(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		   struct task *task, struct file **out)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	file_init(file, &ext4_file_file_ops, flags, path, inode);
	*out = file;
	return 0;
}

/* A page that the image does not have as one. */
static int ext4_copy_page(struct ext4_inode *e, uint64_t offset, struct mappable_range *out)
{
	uint64_t page;
	long n;
	int r = memfile_alloc(kernel.memory, PAGE_SIZE, &page);

	if (r == 0) {
		r = memfile_populate(kernel.memory, page, PAGE_SIZE);
		if (r == 0) {
			n = ext4_pread(e, memfile_ptr(kernel.memory, page), PAGE_SIZE, offset);
			r = n < 0 ? (int)n : 0;
		}
		if (r < 0)
			memfile_put(kernel.memory, page, PAGE_SIZE);
	}
	if (r < 0)
		return r;
	*out = (struct mappable_range){ .host_fd = -1, .offset = page, .len = PAGE_SIZE };
	return 0;
}

static int ext4_translate(struct mappable *m, uint64_t offset, uint64_t len, bool write,
			  struct mappable_range *out)
{
	struct ext4_inode *e = ext4_of(container_of(m, struct inode, mapping));
	uint64_t end = PAGE_UP((uint64_t)e->inode.attr.st_size);
	struct ext4_piece piece;
	int r;

	if (write)
		return -EACCES;
	if (offset >= end)
		return -ENXIO;
	if (end - offset < len)
		len = end - offset;
	if (e->flags & EXT4_INLINE_DATA_FL)
		return ext4_copy_page(e, offset, out);
	r = ext4_find_piece(e, offset, len, &piece);
	if (r < 0)
		return r;
	if (piece.zero || (piece.place & (PAGE_SIZE - 1)) || piece.len < PAGE_SIZE)
		return ext4_copy_page(e, offset, out);
	*out = (struct mappable_range){ .host_fd = ext4_super(e)->fd, .offset = piece.place,
					.len = PAGE_DOWN(piece.len) };
	return 0;
}

const struct mappable_ops ext4_mappable_ops = { .translate = ext4_translate };
