/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/usage.c - how much memory an address space has
 *
 * What the host has of the memory file is asked of it, by samples when there is much. Of its own
 * files' pages we cannot know whether a stub has touched them: all that is mapped counts.
 */
#include "sentry/mm/space.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "sentry/vfs/file.h"

#define USAGE_SMALL   16u  /* pages: as good as touched */
#define USAGE_WINDOW  256u /* pages asked for at once */
#define USAGE_WINDOWS 16u

static uint64_t usage_window(uint64_t offset, uint64_t pages)
{
	uint8_t vec[USAGE_WINDOW];
	uint64_t n = 0;

	if (mincore(memfile_ptr(kernel.memory, offset), pages * PAGE_SIZE, vec) < 0)
		return 0;
	for (uint64_t i = 0; i < pages; i++)
		n += vec[i] & 1;
	return n;
}

uint64_t usage_resident(const struct piece *piece)
{
	uint64_t pages = (piece->r.end - piece->r.start) / PAGE_SIZE;
	uint64_t step = USAGE_WINDOW;
	uint64_t seen = 0;
	uint64_t found = 0;

	if (piece->fd >= 0 || pages <= USAGE_SMALL)
		return pages * PAGE_SIZE;
	if (pages / USAGE_WINDOW > USAGE_WINDOWS)
		step = pages / USAGE_WINDOWS;
	for (uint64_t at = 0; at < pages; at += step) {
		uint64_t n = pages - at < USAGE_WINDOW ? pages - at : USAGE_WINDOW;

		found += usage_window(piece->r.offset + at * PAGE_SIZE, n);
		seen += n;
	}
	return (seen ? found * pages / seen : 0) * PAGE_SIZE;
}

static void usage_pieces(struct mm *mm, struct mm_usage *out)
{
	struct ranges_pos pos;
	const struct piece *piece = ranges_find(&mm->pieces, 0, &pos);

	for (; piece; piece = ranges_next(&mm->pieces, &pos)) {
		uint64_t n = usage_resident(piece);

		out->rss += n;
		if (piece->shared || piece->fd >= 0)
			out->shared += n;
	}
}

static void usage_vmas(struct mm *mm, struct mm_usage *out)
{
	struct ranges_pos pos;
	const struct vma *vma = ranges_find(&mm->vmas, 0, &pos);

	for (; vma; vma = ranges_next(&mm->vmas, &pos)) {
		if (vma->flags & VMA_GROWS_DOWN)
			out->stack += vma->r.end - vma->r.start;
		if (vma->prot & PROT_EXEC)
			out->text += vma->r.end - vma->r.start;
	}
}

void mm_usage(struct mm *mm, struct mm_usage *out)
{
	pthread_rwlock_rdlock(&mm->lock);
	*out = mm->info;
	out->vsize = mm->map_total;
	out->data = mm->map_data;
	out->locked = mm->map_locked;
	usage_pieces(mm, out);
	usage_vmas(mm, out);
	pthread_rwlock_unlock(&mm->lock);
	out->minor_faults = atomic_load(&mm->minor_faults);
	out->major_faults = atomic_load(&mm->major_faults);
}

uint64_t usage_memory(struct mm *mm)
{
	struct ranges_pos pos;
	const struct piece *piece;
	uint64_t n = 0;

	pthread_rwlock_rdlock(&mm->lock);
	piece = ranges_find(&mm->pieces, 0, &pos);
	for (; piece; piece = ranges_next(&mm->pieces, &pos)) {
		if (piece->fd < 0)
			n += usage_resident(piece);
	}
	pthread_rwlock_unlock(&mm->lock);
	return n;
}

int mm_auxv(struct mm *mm, struct buf *out)
{
	int r;

	pthread_rwlock_rdlock(&mm->lock);
	r = buf_append(out, mm->auxv, mm->nauxv * sizeof(mm->auxv[0]));
	pthread_rwlock_unlock(&mm->lock);
	return r;
}

struct file *mm_exe(struct mm *mm)
{
	struct file *file;

	pthread_rwlock_rdlock(&mm->lock);
	file = mm->exe ? file_get(mm->exe) : NULL;
	pthread_rwlock_unlock(&mm->lock);
	return file;
}
