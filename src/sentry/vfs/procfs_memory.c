/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/procfs_memory.c - what procfs tells of a process's memory
 *
 * Command line and environment are read where the program has them now: a program may write there
 * (setproctitle). pagemap, clear_refs and mem are left out.
 *
 * Called through procfs_pid.c's table.
 */
#include "sentry/vfs/procfs.h"

#include <string.h>

#include "base/cleanup.h"
#include "sentry/mm/mm.h"

#define PROCFS_ARGS_MAX (8u << 20)

/* From @start to @end, as far as it can be read; with @stop nothing behind the first zero. */
static int procfs_copy_range(struct mm *mm, uint64_t start, uint64_t end, bool stop,
			     struct buf *out)
{
	if (end > start + PROCFS_ARGS_MAX)
		end = start + PROCFS_ARGS_MAX;
	while (start < end) {
		uint64_t next = PAGE_DOWN(start) + PAGE_SIZE;
		size_t n = (size_t)((next < end ? next : end) - start);
		uint8_t *p, *zero;
		int r = buf_reserve(out, n, &p);

		if (r)
			return r;
		if (user_read(mm, p, start, n))
			return 0;
		zero = stop ? memchr(p, 0, n) : NULL;
		buf_commit(out, zero ? (size_t)(zero - p) + 1 : n);
		if (zero)
			return 0;
		start += n;
	}
	return 0;
}

int procfs_show_cmdline(struct textfs_node *node, struct buf *out)
{
	struct mm_usage usage;
	struct mm *mm;
	int r = procfs_mm(node, false, &mm);

	if (r || !mm)
		return r;
	mm_usage(mm, &usage);
	r = procfs_copy_range(mm, usage.arg_start, usage.arg_end, false, out);
	/* A title that grew over the arguments' end goes on in the environment's place. */
	if (!r && out->len && buf_data(out)[out->len - 1])
		r = procfs_copy_range(mm, usage.env_start, usage.env_end, true, out);
	mm_put(mm);
	return r;
}

int procfs_show_environ(struct textfs_node *node, struct buf *out)
{
	struct mm_usage usage;
	struct mm *mm;
	int r = procfs_mm(node, true, &mm);

	if (r || !mm)
		return r;
	mm_usage(mm, &usage);
	r = procfs_copy_range(mm, usage.env_start, usage.env_end, false, out);
	mm_put(mm);
	return r;
}

static int procfs_print(const struct textfs_node *node, struct buf *out,
			int (*print)(struct mm *mm, struct buf *out))
{
	struct mm *mm;
	int r = procfs_mm(node, true, &mm);

	if (r || !mm)
		return r;
	r = print(mm, out);
	mm_put(mm);
	return r;
}

int procfs_show_maps(struct textfs_node *node, struct buf *out)
{
	return procfs_print(node, out, mm_print_maps);
}

int procfs_show_smaps(struct textfs_node *node, struct buf *out)
{
	return procfs_print(node, out, mm_print_smaps);
}

int procfs_show_auxv(struct textfs_node *node, struct buf *out)
{
	return procfs_print(node, out, mm_auxv);
}
