/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/maps.c - /proc/PID/maps and smaps
 *
 * Line by line as Linux writes them, the name in column 73. Called by procfs.
 */
#include "sentry/mm/space.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "sentry/task/task.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

#define MAPS_COLUMN 73

struct maps_printer {
	struct mm *mm;
	struct buf *out;
	bool smaps;
	struct vfs_path root; /* the reader's; reference */
	char *path;	      /* room for a name */
};

static int maps_begin(struct maps_printer *p)
{
	struct fs_context *fs = task_current ? task_current->fs : NULL;

	p->path = malloc(PATH_MAX);
	if (!p->path)
		return -ENOMEM;
	if (fs) {
		pthread_mutex_lock(&fs->lock);
		p->root = fs->root;
		path_get(&p->root);
		pthread_mutex_unlock(&fs->lock);
	}
	return 0;
}

static void maps_end(struct maps_printer *p)
{
	if (p->root.mount)
		path_put(&p->root);
	free(p->path);
}

/* --- one VMA --- */

static const char *maps_name(const struct maps_printer *p, const struct vma *vma)
{
	const struct mm *mm = p->mm;
	struct vfs_path path;

	if (vma->shared)
		return "/dev/zero (deleted)";
	if (vma->file) {
		path = (struct vfs_path){ vma->file->mount, vma->file->dentry };
		if (!path.mount ||
		    vfs_path_name(&path, p->root.mount ? &p->root : NULL, p->path, PATH_MAX) < 0)
			return vma->file->ops->name ? vma->file->ops->name : "";
		return p->path;
	}
	if (vma->r.start <= mm->info.brk && vma->r.end >= mm->info.start_brk &&
	    mm->info.brk > mm->info.start_brk)
		return "[heap]";
	if (vma->r.start <= mm->info.start_stack && vma->r.end > mm->info.start_stack)
		return "[stack]";
	return "";
}

/* @name with what would look like the end of a line written as octal. */
static int maps_print_name(struct buf *out, const char *name)
{
	const char *end;
	int r = 0;

	while (!r && (end = strchr(name, '\n'))) {
		r = buf_append(out, name, (size_t)(end - name));
		if (!r)
			r = buf_append(out, "\\012", 4);
		name = end + 1;
	}
	return r ? r : buf_append(out, name, strlen(name));
}

static int maps_print_line(struct buf *out, const struct range *range, const char *rights,
			   const struct stat *st, const char *name)
{
	size_t before = out->len;
	int r = buf_printf(out, "%08lx-%08lx %s %08lx %02x:%02x %lu ", range->start, range->end,
			   rights, range->offset, major(st->st_dev), minor(st->st_dev),
			   (unsigned long)st->st_ino);

	while (!r && *name && out->len - before < MAPS_COLUMN)
		r = buf_append(out, " ", 1);
	if (!r)
		r = maps_print_name(out, name);
	return r ? r : buf_append(out, "\n", 1);
}

static int maps_print_vma(const struct maps_printer *p, const struct vma *vma)
{
	char rights[] = { vma->prot & PROT_READ ? 'r' : '-', vma->prot & PROT_WRITE ? 'w' : '-',
			  vma->prot & PROT_EXEC ? 'x' : '-',
			  vma->flags & VMA_SHARED ? 's' : 'p', 0 };
	struct range range = vma->r;
	struct stat st = { .st_ino = 0 };

	if (vma->file) {
		const struct inode *inode = vma->file->inode;

		st.st_ino = inode->attr.st_ino;
		st.st_dev = inode->super ? inode->super->dev : inode->attr.st_dev;
	} else {
		if (!vma->shared)
			range.offset = 0;
		st.st_dev = vma->shared ? makedev(0, 1) : 0;
		st.st_ino = vma->shared ? vma->shared->ino : 0;
	}
	return maps_print_line(p->out, &range, rights, &st, maps_name(p, vma));
}

/* --- smaps --- */

struct maps_sizes {
	uint64_t rss, shared_clean, shared_dirty, private_dirty, anonymous;
};

static void maps_measure(struct mm *mm, const struct vma *vma, struct maps_sizes *out)
{
	struct ranges_pos pos;
	const struct piece *piece = ranges_find(&mm->pieces, vma->r.start, &pos);

	*out = (struct maps_sizes){ .rss = 0 };
	for (; piece && piece->r.start < vma->r.end; piece = ranges_next(&mm->pieces, &pos)) {
		uint64_t n = usage_resident(piece);

		out->rss += n;
		if (piece->fd >= 0)
			out->shared_clean += n;
		else if (piece->shared || piece->cow)
			out->shared_dirty += n;
		else
			out->private_dirty += n;
		if (piece->fd < 0 && !piece->shared)
			out->anonymous += n;
	}
}

static int maps_print_flags(struct buf *out, const struct vma *vma)
{
	static const struct {
		int prot, flag;
		const char *name;
	} rows[] = {
		{ .prot = PROT_READ, .name = "rd" },	 { .prot = PROT_WRITE, .name = "wr" },
		{ .prot = PROT_EXEC, .name = "ex" },	 { .flag = VMA_SHARED, .name = "sh" },
		{ .name = "mr" },			 { .flag = VMA_MAY_WRITE, .name = "mw" },
		{ .flag = VMA_MAY_EXEC, .name = "me" },	 { .flag = VMA_GROWS_DOWN, .name = "gd" },
		{ .flag = VMA_LOCKED, .name = "lo" },	 { .flag = VMA_DONT_FORK, .name = "dc" },
		{ .flag = VMA_NO_RESERVE, .name = "nr" }, { .flag = VMA_DONT_DUMP, .name = "dd" },
		{ .flag = VMA_HUGE, .name = "hg" },	 { .flag = VMA_NO_HUGE, .name = "nh" },
		{ .flag = VMA_WIPE_ON_FORK, .name = "wf" },
	};
	int r = buf_printf(out, "VmFlags:");

	for (size_t i = 0; !r && i < ARRAY_SIZE(rows); i++) {
		if ((vma->prot & rows[i].prot) == rows[i].prot &&
		    (vma->flags & rows[i].flag) == rows[i].flag)
			r = buf_printf(out, " %s", rows[i].name);
	}
	return r ? r : buf_append(out, " \n", 2);
}

static int maps_print_sizes(const struct maps_printer *p, const struct vma *vma)
{
	struct maps_sizes n;
	uint64_t shared;
	int r = 0;

	maps_measure(p->mm, vma, &n);
	shared = n.shared_clean + n.shared_dirty;
	const struct {
		const char *name;
		uint64_t bytes;
	} rows[] = {
		{ "Size:", vma->r.end - vma->r.start },
		{ "KernelPageSize:", PAGE_SIZE },
		{ "MMUPageSize:", PAGE_SIZE },
		{ "Rss:", n.rss },
		{ "Pss:", n.private_dirty + shared / 2 },
		{ "Pss_Dirty:", n.private_dirty + n.shared_dirty / 2 },
		{ "Shared_Clean:", n.shared_clean },
		{ "Shared_Dirty:", n.shared_dirty },
		{ "Private_Clean:", 0 },
		{ "Private_Dirty:", n.private_dirty },
		{ "Referenced:", n.rss },
		{ "Anonymous:", n.anonymous },
		{ "KSM:", 0 },
		{ "LazyFree:", 0 },
		{ "AnonHugePages:", 0 },
		{ "ShmemPmdMapped:", 0 },
		{ "FilePmdMapped:", 0 },
		{ "Shared_Hugetlb:", 0 },
		{ "Private_Hugetlb:", 0 },
		{ "Swap:", 0 },
		{ "SwapPss:", 0 },
		{ "Locked:", vma->flags & VMA_LOCKED ? n.rss : 0 },
	};

	for (size_t i = 0; !r && i < ARRAY_SIZE(rows); i++)
		r = buf_printf(p->out, "%-16s%8lu kB\n", rows[i].name, rows[i].bytes / 1024);
	if (!r)
		r = buf_printf(p->out, "THPeligible:    %8u\n", 0);
	return r ? r : maps_print_flags(p->out, vma);
}

/* --- all of them --- */

static int maps_print_vdso(const struct maps_printer *p)
{
	size_t size;
	uint64_t start = trap_pool_vdso(kernel.stubs, &size);
	struct vma vma = { .r = { start, start + size, 0 }, .prot = PROT_READ | PROT_EXEC };
	struct stat st = { .st_ino = 0 };
	int r;

	if (!start)
		return 0;
	r = maps_print_line(p->out, &vma.r, "r-xp", &st, "[vdso]");
	return r || !p->smaps ? r : maps_print_sizes(p, &vma);
}

static int maps_print(struct mm *mm, struct buf *out, bool smaps)
{
	struct maps_printer p = { .mm = mm, .out = out, .smaps = smaps };
	struct ranges_pos pos;
	const struct vma *vma;
	int r = maps_begin(&p);

	if (r)
		return r;
	pthread_rwlock_rdlock(&mm->lock);
	vma = ranges_find(&mm->vmas, 0, &pos);
	for (; vma && !r; vma = ranges_next(&mm->vmas, &pos)) {
		r = maps_print_vma(&p, vma);
		if (!r && smaps)
			r = maps_print_sizes(&p, vma);
	}
	pthread_rwlock_unlock(&mm->lock);
	if (!r)
		r = maps_print_vdso(&p);
	maps_end(&p);
	return r;
}

int mm_print_maps(struct mm *mm, struct buf *out)
{
	return maps_print(mm, out, false);
}

int mm_print_smaps(struct mm *mm, struct buf *out)
{
	return maps_print(mm, out, true);
}
