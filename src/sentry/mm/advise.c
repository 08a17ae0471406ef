/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/advise.c - madvise(2), msync(2), mincore(2), mlock(2)
 *
 * Memory that the guest does not need goes back to the host at once: a hole in the memory file
 * takes the pages out of every stub without a trip. Hints about what comes next are taken note of
 * and no more: the host has ideas of its own. Locked memory is counted against the limit; whether
 * the host swaps it is the host's.
 */
#include "sentry/mm/space.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/task/cred.h"
#include "sentry/task/task.h"
#include "sentry/vfs/file.h"

#define ADVISE_CAP_IPC_LOCK 14

/* --- giving memory back --- */

/* Private memory of one VMA: zeros, or the file's content again. */
static int advise_drop(struct mm *mm, const struct vma *vma, uint64_t start, uint64_t end)
{
	struct ranges_pos pos;
	struct piece *piece;
	uint64_t at = start;

	if (vma->flags & VMA_SHARED)
		return 0; /* the object keeps it */
	if (vma->file) {
		piece_remove(mm, start, end, true);
		return 0;
	}
	while ((piece = ranges_find(&mm->pieces, at, &pos)) && piece->r.start < end) {
		at = piece->r.end;
		if (!piece->cow) {
			memfile_zero(kernel.memory, piece->r.offset, at - piece->r.start);
			continue;
		}
		piece_remove(mm, piece->r.start, at, true); /* new ones when they are touched */
	}
	return 0;
}

static int advise_dontneed(struct mm *mm, struct vma *vma, uint64_t start, uint64_t end)
{
	return vma->flags & VMA_LOCKED ? -EINVAL : advise_drop(mm, vma, start, end);
}

static int advise_free(struct mm *mm, struct vma *vma, uint64_t start, uint64_t end)
{
	return vma_mappable(vma) ? -EINVAL : advise_drop(mm, vma, start, end);
}

static int advise_remove(struct mm *mm, struct vma *vma, uint64_t start, uint64_t end)
{
	uint64_t offset = vma->r.offset + (start - vma->r.start);
	struct file *file;
	int r;

	if (vma->flags & VMA_LOCKED)
		return -EINVAL;
	if (!(vma->flags & VMA_SHARED) || !vma_mappable(vma))
		return -EINVAL;
	if (!(vma->flags & VMA_MAY_WRITE))
		return -EACCES;
	if (vma->shared) {
		uint64_t len = vma->shared->len;

		if (offset < len)
			memfile_zero(kernel.memory, vma->shared->offset + offset,
				     end - start < len - offset ? end - start : len - offset);
		return 0;
	}
	file = file_get(vma->file);
	/* The file tells all who map it, us too. */
	space_unlock(mm);
	r = file->ops->fallocate
		    ? file->ops->fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					   (int64_t)offset, (int64_t)(end - start))
		    : -EOPNOTSUPP;
	file_put(file);
	space_lock(mm);
	return r;
}

static int advise_populate(struct mm *mm, struct vma *vma, uint64_t start, uint64_t end,
			   enum fault_access access)
{
	if (!(vma->prot & (access == FAULT_WRITE ? PROT_WRITE : PROT_READ)))
		return -EINVAL;
	while (start < end) {
		const struct piece *piece;
		int r = fault_in(mm, start, access);

		if (r)
			return r == -ENOMEM ? r : -EFAULT;
		piece = ranges_find(&mm->pieces, start, NULL);
		if (access == FAULT_READ || (piece_prot(piece) & PROT_WRITE))
			start = piece->r.end;
	}
	return 0;
}

static int advise_populate_read(struct mm *mm, struct vma *vma, uint64_t start, uint64_t end)
{
	int r = advise_populate(mm, vma, start, end, FAULT_READ);

	if (!r)
		fault_populate(mm, start, end);
	return r;
}

static int advise_populate_write(struct mm *mm, struct vma *vma, uint64_t start, uint64_t end)
{
	int r = advise_populate(mm, vma, start, end, FAULT_WRITE);

	if (!r)
		fault_populate(mm, start, end);
	return r;
}

static int advise_nothing(struct mm *mm, struct vma *vma, uint64_t start, uint64_t end)
{
	(void)mm, (void)vma, (void)start, (void)end;
	return 0;
}

/* --- the table --- */

/* What an advice does: to each VMA's part, or to its flags, for which VMAs are cut. */
struct advise_row {
	int advice;
	int (*fn)(struct mm *mm, struct vma *vma, uint64_t start, uint64_t end);
	uint16_t set, clear;
	bool anonymous; /* private anonymous memory only */
};

static const struct advise_row advise_rows[] = {
	{ MADV_NORMAL, advise_nothing },
	{ MADV_RANDOM, advise_nothing },
	{ MADV_SEQUENTIAL, advise_nothing },
	{ MADV_WILLNEED, advise_nothing },
	{ MADV_DONTNEED, advise_dontneed },
	{ MADV_FREE, advise_free },
	{ MADV_REMOVE, advise_remove },
	{ MADV_DONTFORK, .set = VMA_DONT_FORK },
	{ MADV_DOFORK, .clear = VMA_DONT_FORK },
	{ MADV_MERGEABLE, advise_nothing },
	{ MADV_UNMERGEABLE, advise_nothing },
	{ MADV_HUGEPAGE, .set = VMA_HUGE, .clear = VMA_NO_HUGE },
	{ MADV_NOHUGEPAGE, .set = VMA_NO_HUGE, .clear = VMA_HUGE },
	{ MADV_DONTDUMP, .set = VMA_DONT_DUMP },
	{ MADV_DODUMP, .clear = VMA_DONT_DUMP },
	{ MADV_WIPEONFORK, .set = VMA_WIPE_ON_FORK, .anonymous = true },
	{ MADV_KEEPONFORK, .clear = VMA_WIPE_ON_FORK },
	{ MADV_COLD, advise_nothing },
	{ MADV_PAGEOUT, advise_nothing },
	{ MADV_POPULATE_READ, advise_populate_read },
	{ MADV_POPULATE_WRITE, advise_populate_write },
};

static int advise_flags(struct mm *mm, const struct advise_row *row, uint64_t start, uint64_t end)
{
	struct ranges_pos pos;
	struct vma *vma;
	int r = vma_reserve(mm);

	if (r)
		return r;
	if (mm->vmas.count + 2 > SPACE_VMAS_MAX)
		return -ENOMEM;
	vma_cut(mm, start);
	vma_cut(mm, end);
	vma = ranges_find(&mm->vmas, start, &pos);
	for (; vma && vma->r.start < end; vma = ranges_next(&mm->vmas, &pos)) {
		if (row->anonymous && vma_mappable(vma))
			r = -EINVAL;
		else
			vma->flags = (uint16_t)((vma->flags & ~row->clear) | row->set);
	}
	vma_join(mm, start, end);
	return r;
}

static int advise_range(struct mm *mm, const struct advise_row *row, uint64_t start, uint64_t end)
{
	int hole = vma_whole(mm, start, end) ? 0 : -ENOMEM;
	uint64_t at = start;
	struct vma *vma;

	if (!row->fn) {
		int r = advise_flags(mm, row, start, end);

		return r ? r : hole;
	}
	/* The lock may have been let go meanwhile: what lies at @at can begin before it, or go on
	 * beyond the end. */
	while (at < end && (vma = ranges_find(&mm->vmas, at, NULL)) && vma->r.start < end) {
		uint64_t from = vma->r.start > at ? vma->r.start : at;
		int r;

		at = vma->r.end;
		r = vma_reserve(mm);
		if (!r && row->fn != advise_nothing) {
			piece_cut(mm, from);
			piece_cut(mm, at < end ? at : end);
		}
		if (!r)
			r = row->fn(mm, vma, from, at < end ? at : end);
		if (r)
			return r;
	}
	return hole;
}

int mm_advise(struct mm *mm, uint64_t addr, uint64_t len, int advice)
{
	const struct advise_row *row = NULL;
	uint64_t end = addr + PAGE_UP(len);
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(advise_rows) && !row; i++) {
		if (advise_rows[i].advice == advice)
			row = &advise_rows[i];
	}
	if (!row || (addr & (PAGE_SIZE - 1)) || (len && !PAGE_UP(len)) || end < addr)
		return -EINVAL;
	if (end == addr)
		return 0;
	space_lock(mm);
	r = advise_range(mm, row, addr, end);
	return space_unlock(mm) && !r ? -ENOMEM : r;
}

/* --- msync, mincore --- */

/* The next shared file of a range, with a reference; from *@at on. */
static struct file *advise_next_file(struct mm *mm, uint64_t *at, uint64_t end)
{
	struct file *file = NULL;
	struct vma *vma;

	pthread_rwlock_rdlock(&mm->lock);
	while (!file && (vma = ranges_find(&mm->vmas, *at, NULL)) && vma->r.start < end) {
		*at = vma->r.end;
		if (vma->file && (vma->flags & VMA_SHARED))
			file = file_get(vma->file);
	}
	pthread_rwlock_unlock(&mm->lock);
	return file;
}

int mm_sync(struct mm *mm, uint64_t addr, uint64_t len, int flags)
{
	uint64_t end = addr + PAGE_UP(len);
	uint64_t at = addr;
	struct file *file;
	bool whole;
	int r = 0;

	if ((flags & ~(MS_ASYNC | MS_SYNC | MS_INVALIDATE)) || (addr & (PAGE_SIZE - 1)) ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	if (end < addr || (len && !PAGE_UP(len)))
		return -ENOMEM;
	pthread_rwlock_rdlock(&mm->lock);
	whole = vma_whole(mm, addr, end);
	pthread_rwlock_unlock(&mm->lock);
	/* The lock is not held while a file is written out. */
	while ((flags & MS_SYNC) && !r && (file = advise_next_file(mm, &at, end))) {
		if (file->ops->fsync)
			r = file->ops->fsync(file, true);
		file_put(file);
	}
	return r ? r : whole ? 0 : -ENOMEM;
}

int mm_incore(struct mm *mm, uint64_t addr, uint8_t *vec, size_t pages)
{
	uint64_t end = addr + pages * PAGE_SIZE;
	struct ranges_pos pos;
	const struct piece *piece;
	bool whole;

	memset(vec, 0, pages);
	pthread_rwlock_rdlock(&mm->lock);
	whole = vma_whole(mm, addr, end);
	piece = ranges_find(&mm->pieces, addr, &pos);
	for (; whole && piece && piece->r.start < end; piece = ranges_next(&mm->pieces, &pos)) {
		uint64_t from = piece->r.start > addr ? piece->r.start : addr;
		uint64_t to = piece->r.end < end ? piece->r.end : end;
		uint8_t *out = vec + (from - addr) / PAGE_SIZE;

		if (piece->fd >= 0)
			memset(out, 1, (to - from) / PAGE_SIZE);
		else
			mincore(memfile_ptr(kernel.memory,
					    piece->r.offset + (from - piece->r.start)),
				to - from, out);
	}
	pthread_rwlock_unlock(&mm->lock);
	for (size_t i = 0; i < pages; i++)
		vec[i] &= 1;
	return whole ? 0 : -ENOMEM;
}

/* --- locked memory --- */

static int advise_lock_limit(struct mm *mm, struct task *task, uint64_t more)
{
	uint64_t limit = task ? task_limit(task, RLIMIT_MEMLOCK) : RLIM_INFINITY;

	if (limit == RLIM_INFINITY || cred_capable(task->cred, ADVISE_CAP_IPC_LOCK))
		return 0;
	if (!limit)
		return -EPERM;
	return mm->map_locked > limit || more > limit - mm->map_locked ? -ENOMEM : 0;
}

/* Bytes of a range that are not locked yet. */
static uint64_t advise_unlocked(struct mm *mm, uint64_t start, uint64_t end)
{
	struct ranges_pos pos;
	const struct vma *vma = ranges_find(&mm->vmas, start, &pos);
	uint64_t n = 0;

	for (; vma && vma->r.start < end; vma = ranges_next(&mm->vmas, &pos)) {
		if (!(vma->flags & VMA_LOCKED))
			n += (vma->r.end < end ? vma->r.end : end) -
			     (vma->r.start > start ? vma->r.start : start);
	}
	return n;
}

static int advise_set_lock(struct mm *mm, uint64_t start, uint64_t end, bool on)
{
	struct ranges_pos pos;
	struct vma *vma;
	int r = vma_reserve(mm);

	if (r)
		return r;
	vma_cut(mm, start);
	vma_cut(mm, end);
	vma = ranges_find(&mm->vmas, start, &pos);
	for (; vma && vma->r.start < end; vma = ranges_next(&mm->vmas, &pos)) {
		vma_count(mm, vma, -1);
		vma->flags = (uint16_t)(on ? vma->flags | VMA_LOCKED : vma->flags & ~VMA_LOCKED);
		vma_count(mm, vma, 1);
	}
	vma_join(mm, start, end);
	return 0;
}

int mm_lock(struct mm *mm, struct task *task, uint64_t addr, uint64_t len, bool on)
{
	uint64_t start = PAGE_DOWN(addr);
	uint64_t end = start + PAGE_UP(len + (addr - start)); /* one that wraps is 0, as on Linux */
	int r = 0;

	if (end < start)
		return -EINVAL;
	if (start == end)
		return 0;
	space_lock(mm);
	if (on)
		r = advise_lock_limit(mm, task, advise_unlocked(mm, start, end));
	if (!r && !vma_whole(mm, start, end))
		r = -ENOMEM;
	if (!r)
		r = advise_set_lock(mm, start, end, on);
	return space_unlock(mm) && !r ? -ENOMEM : r;
}

int mm_lock_all(struct mm *mm, struct task *task, bool current, bool future)
{
	int r = 0;

	space_lock(mm);
	if (current || future)
		r = advise_lock_limit(mm, task, current ? mm->map_total - mm->map_locked : 0);
	if (!r) {
		mm->lock_future = future;
		if (current || !future)
			r = advise_set_lock(mm, 0, UINT64_MAX, current);
	}
	return space_unlock(mm) && !r ? -ENOMEM : r;
}
