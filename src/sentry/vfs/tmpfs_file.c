/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/tmpfs_file.c - regular files in memory: read, write, map, holes, seals
 *
 * Pages of the memory file, in the sentry's own mapping and in guests'. The inode's lock is held to
 * find or make pages, not to copy: what is copied to or from stays where it is while we are
 * within memfile_enter(), whoever cuts the file meanwhile. Writers are kept apart by the
 * inode's write_lock, as everywhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/kernel.h"
#include "sentry/mm/memfile.h"
#include "sentry/vfs/tmpfs.h"

#define TMPFS_RUN_MAX	 256 /* pages found, or made, at a time */
#define TMPFS_AROUND	 16  /* pages made when a guest touches one */

static uint64_t tmpfs_place(uint64_t slot)
{
	return slot & ~(PAGE_SIZE - 1);
}

/* tmpfs_populate() - So that @n pages from @index on, which are there, may be touched */
static int tmpfs_populate(struct tmpfs_inode *file, uint64_t index, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t *slot = tmpfs_pages_slot(&file->pages, index + i, false);
		int r;

		if (*slot & TMPFS_RESIDENT)
			continue;
		r = memfile_populate(kernel.memory, tmpfs_place(*slot), PAGE_SIZE);
		if (r < 0)
			return r;
		*slot |= TMPFS_RESIDENT;
	}
	return 0;
}

/* tmpfs_make_run() - @n pages that are not there, one after the other in memory */
static int tmpfs_make_run(struct tmpfs_inode *file, uint64_t index, uint64_t n, bool resident)
{
	struct memfile *mf = kernel.memory;
	uint64_t place, i;
	int r = tmpfs_charge(file->inode.super, n);

	if (r < 0)
		return r;
	r = memfile_alloc(mf, n * PAGE_SIZE, &place);
	if (r == 0 && resident) {
		r = memfile_populate(mf, place, n * PAGE_SIZE);
		if (r < 0)
			memfile_put(mf, place, n * PAGE_SIZE);
	}
	for (i = 0; i < n && r == 0; i++) {
		uint64_t *slot = tmpfs_pages_slot(&file->pages, index + i, true);

		if (!slot)
			break;
		*slot = (place + i * PAGE_SIZE) | TMPFS_PRESENT | (resident ? TMPFS_RESIDENT : 0);
	}
	if (r < 0)
		i = 0;
	else if (i < n)
		memfile_put(mf, place + i * PAGE_SIZE, (n - i) * PAGE_SIZE);
	file->pages.count += i;
	tmpfs_uncharge(file->inode.super, n - i);
	return r < 0 ? r : i == n ? 0 : -ENOMEM;
}

/* tmpfs_run() - tmpfs_pages_run(), with flags that differ taken for a gap; @place without flags */
static uint64_t tmpfs_run(struct tmpfs_inode *file, uint64_t index, uint64_t max, uint64_t *place)
{
	uint64_t n = tmpfs_pages_run(&file->pages, index, max < TMPFS_RUN_MAX ? max : TMPFS_RUN_MAX,
				     place);

	*place = *place ? tmpfs_place(*place) | TMPFS_PRESENT : 0;
	return n;
}

static uint64_t tmpfs_pages_of(uint64_t offset, uint64_t len)
{
	return (offset % PAGE_SIZE + len + PAGE_SIZE - 1) / PAGE_SIZE;
}

/* tmpfs_read_some() - One run. Return: bytes, 0 at the end */
static long tmpfs_read_some(struct tmpfs_inode *file, struct user_io *io, uint64_t offset)
{
	uint64_t size, len = io->left, place, n;
	int r = 0;

	pthread_mutex_lock(&file->inode.lock);
	size = (uint64_t)file->inode.attr.st_size;
	if (offset >= size) {
		pthread_mutex_unlock(&file->inode.lock);
		return 0;
	}
	if (len > size - offset)
		len = size - offset;
	n = tmpfs_run(file, offset / PAGE_SIZE, tmpfs_pages_of(offset, len), &place);
	if (place)
		r = tmpfs_populate(file, offset / PAGE_SIZE, n);
	pthread_mutex_unlock(&file->inode.lock);
	if (r < 0)
		return r;
	if (len > n * PAGE_SIZE - offset % PAGE_SIZE)
		len = n * PAGE_SIZE - offset % PAGE_SIZE;
	if (!place)
		return (long)user_io_zero(io, len);
	return (long)user_io_put(io, (char *)memfile_ptr(kernel.memory, tmpfs_place(place)) +
					     offset % PAGE_SIZE,
				 len);
}

static long tmpfs_read(struct file *file, struct user_io *io, int64_t offset)
{
	struct tmpfs_inode *inode = tmpfs_inode(file->inode);
	long done = 0, n = 0;

	memfile_enter(kernel.memory);
	while (io->left) {
		n = tmpfs_read_some(inode, io, (uint64_t)(offset + done));
		if (n <= 0)
			break;
		done += n;
	}
	memfile_leave(kernel.memory);
	if (done && !(file->flags & O_NOATIME) &&
	    !(file->mount && (mount_flags(file->mount) & MNT_NOATIME))) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME_COARSE, &now);
		pthread_mutex_lock(&inode->inode.lock);
		inode->inode.attr.st_atim = now;
		pthread_mutex_unlock(&inode->inode.lock);
	}
	return done ? done : n;
}

/* tmpfs_write_run() - Pages to write to from @index on, made if need be */
static int tmpfs_write_run(struct tmpfs_inode *file, uint64_t index, uint64_t max,
			   uint64_t *place, uint64_t *n)
{
	int r = 0;

	*n = tmpfs_run(file, index, max, place);
	if (*place)
		return tmpfs_populate(file, index, *n);
	r = tmpfs_make_run(file, index, *n, true);
	if (r < 0 && *n > 1) { /* the last ones that there is room for */
		*n = 1;
		r = tmpfs_make_run(file, index, 1, true);
	}
	if (r == 0)
		*n = tmpfs_run(file, index, *n, place);
	return r;
}

static long tmpfs_write_some(struct tmpfs_inode *file, struct user_io *io, uint64_t offset)
{
	uint64_t len = io->left, place, n;
	size_t copied;
	int r;

	pthread_mutex_lock(&file->inode.lock);
	r = tmpfs_write_run(file, offset / PAGE_SIZE, tmpfs_pages_of(offset, len), &place, &n);
	pthread_mutex_unlock(&file->inode.lock);
	if (r < 0)
		return r;
	if (len > n * PAGE_SIZE - offset % PAGE_SIZE)
		len = n * PAGE_SIZE - offset % PAGE_SIZE;
	copied = user_io_get(io, (char *)memfile_ptr(kernel.memory, tmpfs_place(place)) +
					 offset % PAGE_SIZE,
			     len);
	pthread_mutex_lock(&file->inode.lock);
	if (offset + copied > (uint64_t)file->inode.attr.st_size)
		file->inode.attr.st_size = (off_t)(offset + copied);
	pthread_mutex_unlock(&file->inode.lock);
	return (long)copied;
}

static int tmpfs_write_sealed(struct tmpfs_inode *file, uint64_t end)
{
	uint32_t seals = file->seals;

	if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	return (seals & F_SEAL_GROW) && end > (uint64_t)file->inode.attr.st_size ? -EPERM : 0;
}

static long tmpfs_write(struct file *file, struct user_io *io, int64_t offset)
{
	struct tmpfs_inode *inode = tmpfs_inode(file->inode);
	int r = tmpfs_write_sealed(inode, (uint64_t)offset + io->left);
	long done = 0, n = 0;

	if (r < 0)
		return r;
	memfile_enter(kernel.memory);
	while (io->left) {
		n = tmpfs_write_some(inode, io, (uint64_t)(offset + done));
		if (n <= 0)
			break;
		done += n;
	}
	memfile_leave(kernel.memory);
	if (done) {
		pthread_mutex_lock(&inode->inode.lock);
		tmpfs_touch(&inode->inode, true);
		pthread_mutex_unlock(&inode->inode.lock);
	}
	return done ? done : n;
}

/* tmpfs_zero_part() - Bytes of one page, if it is there */
static int tmpfs_zero_part(struct tmpfs_inode *file, uint64_t offset, uint64_t len)
{
	uint64_t *slot = tmpfs_pages_slot(&file->pages, offset / PAGE_SIZE, false);
	int r;

	if (!slot || !*slot || !len || len > PAGE_SIZE - offset % PAGE_SIZE)
		return 0;
	r = tmpfs_populate(file, offset / PAGE_SIZE, 1);
	if (r == 0)
		memset((char *)memfile_ptr(kernel.memory, tmpfs_place(*slot)) + offset % PAGE_SIZE,
		       0, len);
	return r;
}

int tmpfs_file_resize(struct tmpfs_inode *file, uint64_t size)
{
	uint64_t old, cut = 0;
	int r = 0;

	pthread_mutex_lock(&file->inode.lock);
	old = (uint64_t)file->inode.attr.st_size;
	if ((size < old && (file->seals & F_SEAL_SHRINK)) ||
	    (size > old && (file->seals & F_SEAL_GROW)))
		r = -EPERM;
	if (r == 0 && size < old && size % PAGE_SIZE)
		r = tmpfs_zero_part(file, size, PAGE_SIZE - size % PAGE_SIZE);
	if (r == 0) {
		if (size < old)
			cut = tmpfs_pages_cut(&file->pages, PAGE_UP(size) / PAGE_SIZE,
					      UINT64_MAX / PAGE_SIZE);
		file->inode.attr.st_size = (off_t)size;
		tmpfs_touch(&file->inode, true);
	}
	pthread_mutex_unlock(&file->inode.lock);
	tmpfs_uncharge(file->inode.super, cut);
	if (r == 0 && size < old)
		mm_invalidate(&file->inode.mapping, PAGE_UP(size), INT64_MAX - PAGE_UP(size));
	return r;
}

/* tmpfs_punch() - A hole; parts of pages at its ends become zeros */
static int tmpfs_punch(struct tmpfs_inode *file, uint64_t start, uint64_t end)
{
	uint64_t first = PAGE_UP(start), last = PAGE_DOWN(end), cut = 0;
	int r;

	pthread_mutex_lock(&file->inode.lock);
	if (file->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		r = -EPERM;
	else if (first > last) /* within one page */
		r = tmpfs_zero_part(file, start, end - start);
	else
		r = tmpfs_zero_part(file, start, first - start);
	if (r == 0 && first <= last) {
		r = tmpfs_zero_part(file, last, end - last);
		if (first < last)
			cut = tmpfs_pages_cut(&file->pages, first / PAGE_SIZE, last / PAGE_SIZE - 1);
	}
	if (r == 0)
		tmpfs_touch(&file->inode, true);
	pthread_mutex_unlock(&file->inode.lock);
	tmpfs_uncharge(file->inode.super, cut);
	if (r == 0 && first < last)
		mm_invalidate(&file->inode.mapping, first, last - first);
	return r;
}

/* tmpfs_reserve() - Pages for all of it */
static int tmpfs_reserve(struct tmpfs_inode *file, uint64_t start, uint64_t end)
{
	struct tmpfs_super *super = tmpfs_super(file->inode.super);
	uint64_t index = start / PAGE_SIZE, last = (end + PAGE_SIZE - 1) / PAGE_SIZE;
	int r = 0;

	if (last - index > super->max_pages)
		return -ENOSPC;
	while (index < last && r == 0) {
		uint64_t place, n = tmpfs_run(file, index, last - index, &place);

		if (!place)
			r = tmpfs_make_run(file, index, n, false);
		index += n;
	}
	return r;
}

static int tmpfs_fallocate(struct file *file, int mode, int64_t offset, int64_t len)
{
	struct tmpfs_inode *inode = tmpfs_inode(file->inode);
	uint64_t start = (uint64_t)offset, end = start + (uint64_t)len;
	int r;

	if (mode & FALLOC_FL_PUNCH_HOLE)
		return tmpfs_punch(inode, start, end);
	if (mode & ~FALLOC_FL_KEEP_SIZE)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&inode->inode.lock);
	r = (inode->seals & F_SEAL_GROW) && end > (uint64_t)inode->inode.attr.st_size ?
		    -EPERM :
		    tmpfs_reserve(inode, start, end);
	if (r == 0 && !(mode & FALLOC_FL_KEEP_SIZE) && end > (uint64_t)inode->inode.attr.st_size)
		inode->inode.attr.st_size = (off_t)end;
	if (r == 0)
		tmpfs_touch(&inode->inode, false);
	pthread_mutex_unlock(&inode->inode.lock);
	return r;
}

/* tmpfs_seek_data() - SEEK_DATA and SEEK_HOLE by pages */
static int64_t tmpfs_seek_data(struct tmpfs_inode *file, int64_t offset, bool data)
{
	int64_t size, at = -ENXIO;
	uint64_t index = (uint64_t)offset / PAGE_SIZE, place;

	pthread_mutex_lock(&file->inode.lock);
	size = file->inode.attr.st_size;
	if (offset >= 0 && offset < size) {
		if (data)
			index = tmpfs_pages_next(&file->pages, index);
		while (!data && index * PAGE_SIZE < (uint64_t)size) {
			uint64_t n = tmpfs_run(file, index, TMPFS_RUN_MAX, &place);

			if (!place)
				break;
			index += n;
		}
		if (index <= (uint64_t)size / PAGE_SIZE + 1)
			at = (int64_t)(index * PAGE_SIZE);
		if (at >= size)
			at = data ? -ENXIO : size;
		else if (at >= 0 && at < offset)
			at = offset;
	}
	pthread_mutex_unlock(&file->inode.lock);
	return at;
}

static int64_t tmpfs_seek(struct file *file, int64_t offset, int whence)
{
	int64_t at;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return file_seek_plain(file, offset, whence);
	pthread_mutex_lock(&file->offset_lock);
	at = tmpfs_seek_data(tmpfs_inode(file->inode), offset, whence == SEEK_DATA);
	if (at >= 0)
		file->offset = at;
	pthread_mutex_unlock(&file->offset_lock);
	return at;
}

static int tmpfs_translate(struct mappable *m, uint64_t offset, uint64_t len, bool write,
			   struct mappable_range *out)
{
	struct inode *inode = container_of(m, struct inode, mapping);
	struct tmpfs_inode *file = tmpfs_inode(inode);
	uint64_t index = offset / PAGE_SIZE, max = len / PAGE_SIZE, end, place, n;
	int r = 0;

	pthread_mutex_lock(&inode->lock);
	end = PAGE_UP((uint64_t)inode->attr.st_size) / PAGE_SIZE;
	if (index >= end) {
		r = -ENXIO;
	} else if (write && (file->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))) {
		r = -EPERM;
	} else {
		if (max > end - index)
			max = end - index;
		n = tmpfs_run(file, index, max, &place);
		if (!place) {
			n = n < TMPFS_AROUND ? n : TMPFS_AROUND;
			r = tmpfs_make_run(file, index, n, false);
			if (r < 0 && n > 1)
				r = tmpfs_make_run(file, index, n = 1, false);
			if (r == 0)
				n = tmpfs_run(file, index, n, &place);
		}
	}
	if (r == 0) {
		*out = (struct mappable_range){
			.host_fd = -1, .offset = tmpfs_place(place), .len = n * PAGE_SIZE,
		};
		memfile_get(kernel.memory, out->offset, out->len);
	}
	pthread_mutex_unlock(&inode->lock);
	return r;
}

const struct mappable_ops tmpfs_mappable_ops = { .translate = tmpfs_translate };

static const struct file_ops tmpfs_file_ops = {
	.read = tmpfs_read,
	.write = tmpfs_write,
	.seek = tmpfs_seek,
	.fallocate = tmpfs_fallocate,
	.release = file_release_plain,
};

int tmpfs_file_open(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		    struct file **out)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	file_init(file, &tmpfs_file_ops, flags, path, inode);
	*out = file;
	return 0;
}
