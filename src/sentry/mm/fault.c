/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/fault.c - pieces from VMAs: what is touched and not there, or not writable yet
 *
 *	nothing is there	a run around the address: new memory, or what the file gives
 *	written, shared by fork	nobody else has it any more: made writable; else copied
 *	written, of a file	copied into the memory file
 *
 * Copies are a few pages each, and more the longer a writer goes on in a row, or the more pieces
 * there are (the host limits how many mappings a process has).
 *
 * mm_fault() serves what the host's kernel reports of the guest, fault_in() what user.c needs.
 */
#include "sentry/mm/space.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/oom.h"
#include "sentry/task/task.h"
#include "sentry/vfs/file.h"

#define FAULT_RUN      (UINT64_C(2) << 20) /* of new anonymous memory */
#define FAULT_FILE_RUN (UINT64_C(64) << 10) /* of files that are not the host's */
#define FAULT_COPY     4u		    /* pages */
#define FAULT_COPY_MAX 64u
#define FAULT_COPY_EAGER (UINT64_C(256) << 10) /* writable private mappings of files: at once */
#define FAULT_OWN_MAX  512u		       /* pages made writable again in one go */
#define FAULT_MANY     1024u		       /* pieces, from where on copies are larger */
#define FAULT_GUARD    (256 * PAGE_SIZE)

static uint64_t fault_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t fault_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- what is not there --- */

/* The room around @addr that has no piece, within @run bytes and the VMA. */
static void fault_window(struct mm *mm, const struct vma *vma, uint64_t addr, uint64_t run,
			 uint64_t *start, uint64_t *end)
{
	struct ranges_pos pos;
	const struct piece *next = ranges_find(&mm->pieces, addr, &pos);
	const struct piece *prev = ranges_prev(&mm->pieces, &pos);
	uint64_t from = addr & ~(run - 1);

	*start = fault_max(vma->r.start, from);
	*end = fault_min(vma->r.end, from + run);
	if (prev)
		*start = fault_max(*start, prev->r.end);
	if (next)
		*end = fault_min(*end, next->r.start);
}

/* Fill @len bytes of the memory file from a host's one; what it does not have is zeros. */
static int fault_read(uint64_t offset, uint64_t len, int fd, uint64_t from)
{
	uint8_t *to = memfile_ptr(kernel.memory, offset);
	ssize_t n;

	if (memfile_populate(kernel.memory, offset, len))
		return -ENOMEM;
	n = io_read_at(fd, to, len, from);
	if (n < 0)
		return n == -EFAULT ? -ENOMEM : -ENXIO;
	return copy_zeros(to + n, len - (uint64_t)n) ? -ENOMEM : 0;
}

/* A copy of its own for the guest, of @len bytes at @from of @fd (-1: the memory file). */
static int fault_copy(int fd, uint64_t from, uint64_t len, uint64_t *offset)
{
	int r = memfile_alloc_raw(kernel.memory, len, offset);

	if (r)
		return r;
	if (fd >= 0)
		r = fault_read(*offset, len, fd, from);
	else if (copy_bytes(memfile_ptr(kernel.memory, *offset), memfile_ptr(kernel.memory, from),
			    len))
		r = -ENOMEM;
	if (r)
		memfile_put(kernel.memory, *offset, len);
	return r;
}

/* What the file has at @start, at most to @end: one piece. *@at is where it ends. */
static int fault_map_range(struct mm *mm, const struct vma *vma, uint64_t start, uint64_t end,
			   bool copy, uint64_t *at)
{
	bool shared = vma->flags & VMA_SHARED;
	bool write = shared && (vma->prot & PROT_WRITE);
	struct mappable *m = vma_mappable(vma);
	struct mappable_range range = { .host_fd = -1 };
	struct piece piece = { .prot = vma->prot, .shared = shared };
	int r = m->ops->translate(m, vma->r.offset + (start - vma->r.start), end - start, write,
				  &range);

	if (r)
		return r;
	if (range.len > end - start) { /* no more than was asked for */
		if (range.host_fd < 0)
			memfile_put(kernel.memory, range.offset + (end - start),
				    range.len - (end - start));
		range.len = end - start;
	}
	piece.r = (struct range){ start, start + range.len, range.offset };
	piece.fd = range.host_fd;
	piece.cow = !shared && range.host_fd < 0;
	copy = copy && !shared;
	if (copy) {
		r = fault_copy(range.host_fd, range.offset, range.len, &piece.r.offset);
		if (range.host_fd < 0)
			memfile_put(kernel.memory, range.offset, range.len);
		if (r)
			return r;
		piece.fd = -1;
		piece.cow = false;
	}
	*at = piece.r.end;
	/* A copy is there in full: the guest need not ask the host for each page. */
	return piece_add(mm, &piece, copy);
}

int fault_map_file(struct mm *mm, const struct vma *vma)
{
	uint64_t len = vma->r.end - vma->r.start;
	bool copy = !(vma->flags & VMA_SHARED) && (vma->prot & PROT_WRITE);
	uint64_t at = vma->r.start;
	unsigned n = 0;

	if (copy && len > FAULT_COPY_EAGER)
		copy = false;
	while (at < vma->r.end) {
		int r = fault_map_range(mm, vma, at, vma->r.end, copy, &at);

		if (r == -ENXIO || ++n == 8) /* SIGBUS when it is touched; or when it is touched */
			return 0;
		if (r)
			return r;
	}
	return 0;
}

static int fault_fresh(struct mm *mm, const struct vma *vma, uint64_t addr, bool write)
{
	uint64_t start;
	uint64_t end;
	uint64_t at;

	if (!vma_mappable(vma)) {
		fault_window(mm, vma, addr, FAULT_RUN, &start, &end);
		return piece_fill(mm, start, end, vma);
	}
	fault_window(mm, vma, addr, write ? FAULT_COPY * PAGE_SIZE : FAULT_FILE_RUN, &start, &end);
	/* Not what is before it: the file may have holes and ends. */
	return fault_map_range(mm, vma, addr, end, write && !(vma->flags & VMA_SHARED), &at);
}

/* --- what is there, but not for writing --- */

/* Pages to copy at @addr: the run of a writer that goes on, more when there are many pieces. */
static uint64_t fault_copy_run(struct mm *mm, uint64_t addr)
{
	uint64_t pages = FAULT_COPY;

	if (mm->cow_next == addr)
		pages = fault_min(mm->cow_pages * 2, FAULT_COPY_MAX);
	for (unsigned n = mm->pieces.count / FAULT_MANY; n && pages < FAULT_OWN_MAX; n /= 2)
		pages *= 2;
	mm->cow_pages = pages;
	return pages * PAGE_SIZE;
}

/* How far nobody else has the pages any more. */
static uint64_t fault_own_run(const struct piece *piece, uint64_t addr)
{
	uint64_t n = 0;

	while (addr + n < piece->r.end && n < FAULT_OWN_MAX * PAGE_SIZE &&
	       !memfile_shared(kernel.memory, piece->r.offset + (addr + n - piece->r.start)))
		n += PAGE_SIZE;
	return n;
}

static int fault_own(struct mm *mm, uint64_t start, uint64_t end)
{
	struct piece *piece;

	piece_cut(mm, start);
	piece_cut(mm, end);
	piece = ranges_find(&mm->pieces, start, NULL);
	piece->cow = false;
	piece_protect(mm, start, end, piece->prot);
	return 0;
}

/* The piece at @addr becomes memory of its own, for some pages at least. */
static int fault_write(struct mm *mm, const struct piece *old, uint64_t addr)
{
	struct piece piece = *old;
	uint64_t from = piece.r.offset + (addr - piece.r.start);
	uint64_t start = addr;
	uint64_t end;
	uint64_t run;
	int r = vma_reserve(mm);

	if (r)
		return r;
	run = piece.fd < 0 ? fault_own_run(&piece, addr) : 0;
	/* Somebody may still read what another process has let go of: not what we write now. */
	if (run && memfile_alone(kernel.memory))
		return fault_own(mm, addr, addr + run);
	run = fault_copy_run(mm, addr);
	if (mm->cow_next != addr)
		start = fault_max(piece.r.start, addr & ~(run - 1));
	end = fault_min(piece.r.end, (start & ~(run - 1)) + run);
	from -= addr - start;
	r = fault_copy(piece.fd, from, end - start, &piece.r.offset);
	if (r)
		return r;
	piece_cut(mm, start);
	piece_cut(mm, end);
	piece_remove(mm, start, end, false);
	piece.r.start = start;
	piece.r.end = end;
	piece.fd = -1;
	piece.cow = false;
	mm->cow_next = end;
	return piece_add(mm, &piece, true);
}

/* --- the stack --- */

/* The VMA above @addr, if it may grow down to it. */
static struct vma *fault_grow(struct mm *mm, uint64_t addr)
{
	struct ranges_pos pos;
	struct vma *vma = ranges_find(&mm->vmas, addr, &pos);
	uint64_t limit = task_current ? task_limit(task_current, RLIMIT_STACK) : mm->stack_max;
	const struct vma *below;
	uint64_t floor = GUEST_START;
	uint64_t start;
	struct vma more;

	if (!vma || !(vma->flags & VMA_GROWS_DOWN) || vma->r.end - addr > limit)
		return NULL;
	below = ranges_prev(&mm->vmas, &pos);
	if (below)
		floor = below->prot == PROT_NONE ? below->r.end : below->r.end + FAULT_GUARD;
	if (addr < floor)
		return NULL;
	/* A good deal at once: who needs more stack than it had will need more. */
	start = vma->r.end - fault_min(limit, PAGE_UP((vma->r.end - addr) * 5 / 4));
	start = fault_max(fault_max(PAGE_UP(start), floor), GUEST_START);
	more = *vma;
	more.r = (struct range){ fault_min(start, addr), vma->r.start, 0 };
	if (map_limits(mm, task_current, more.r.end - more.r.start, more.prot, more.flags) ||
	    vma_reserve(mm))
		return NULL;
	vma_insert(mm, &more);
	return vma_at(mm, addr);
}

/* --- entry --- */

int fault_in(struct mm *mm, uint64_t addr, enum fault_access access)
{
	struct vma *vma;
	struct piece *piece;
	bool write = access == FAULT_WRITE;

	addr = PAGE_DOWN(addr);
	if (addr >= GUEST_END)
		return -EFAULT;
	vma = vma_at(mm, addr);
	if (!vma)
		vma = fault_grow(mm, addr);
	if (!vma)
		return -EFAULT;
	if (!vma_allows(vma->prot, write) || (access == FAULT_EXEC && !(vma->prot & PROT_EXEC)))
		return -EACCES;
	piece = ranges_find(&mm->pieces, addr, NULL);
	if (!piece || piece->r.start > addr)
		return fault_fresh(mm, vma, addr, write);
	if (write && !(piece_prot(piece) & PROT_WRITE))
		return fault_write(mm, piece, addr);
	return 0;
}

void fault_populate(struct mm *mm, uint64_t start, uint64_t end)
{
	while (start < end) {
		const struct piece *piece = ranges_find(&mm->pieces, start, NULL);
		uint64_t stop;

		if (!piece || piece->r.start > start) {
			if (fault_in(mm, start, FAULT_READ))
				return;
			continue;
		}
		stop = fault_min(end, fault_min(piece->r.end, start + FAULT_RUN));
		if (piece->fd < 0 &&
		    memfile_populate(kernel.memory, piece->r.offset + (start - piece->r.start),
				     stop - start))
			return;
		space_op(mm, &(struct trap_map){
				     .kind = TRAP_POPULATE, .addr = start, .len = stop - start });
		start = stop;
	}
}

int space_write(struct mm *mm, uint64_t addr, const void *src, uint64_t len)
{
	const char *from = src;

	while (len) {
		const struct piece *piece;
		uint64_t n;
		void *to;
		int r = fault_in(mm, addr, FAULT_WRITE);

		if (r)
			return r;
		piece = ranges_find(&mm->pieces, addr, NULL);
		if (piece->fd >= 0) /* a shared mapping of a host's file: nobody asks for that */
			return -EACCES;
		n = fault_min(len, piece->r.end - addr);
		to = memfile_ptr(kernel.memory, piece->r.offset + (addr - piece->r.start));
		if (from ? copy_bytes(to, from, n) : copy_zeros(to, n))
			return -ENOMEM;
		addr += n;
		len -= n;
		from = from ? from + n : NULL;
	}
	return 0;
}

static int fault_signal(int r, const struct trap_event *event, int *code)
{
	switch (r) {
	case 0:
		return 0;
	case -ENXIO:
		*code = BUS_ADRERR;
		return SIGBUS;
	case -EACCES:
		*code = SEGV_ACCERR;
		return SIGSEGV;
	case -EFAULT:
		*code = event->signal == SIGSEGV && event->code > 0 ? SEGV_MAPERR : event->code;
		return SIGSEGV;
	default: /* no memory is left */
		*code = SI_KERNEL;
		return SIGKILL;
	}
}

int mm_fault(struct mm *mm, const struct trap_event *event, int *code)
{
	enum fault_access access = FAULT_READ;
	struct piece *piece;
	int r;

	*code = event->code;
	if (event->signal != SIGSEGV && event->signal != SIGBUS)
		return event->signal;
	/* Not of an address: a general protection fault, a protection key ... */
	if (event->signal == SIGSEGV && event->code != SEGV_MAPERR && event->code != SEGV_ACCERR)
		return SIGSEGV;
	if (event->error & 2)
		access = FAULT_WRITE;
	else if (event->error & 16)
		access = FAULT_EXEC;
	space_lock(mm);
	r = fault_in(mm, event->address, access);
	if (!r && !mm->nops) {
		/* All is as it should be: somebody was faster, or the stub has lost it. */
		piece = ranges_find(&mm->pieces, PAGE_DOWN(event->address), NULL);
		if (event->signal == SIGBUS)
			r = piece && piece->fd >= 0 ? -ENXIO : -ENOMEM;
		else
			piece_repeat(mm, piece, PAGE_DOWN(event->address));
	}
	atomic_fetch_add(&mm->minor_faults, 1);
	if (space_unlock(mm))
		return SIGKILL;
	if (r == -ENOMEM && oom_relieve())
		return 0; /* touched again, it may be there */
	return fault_signal(r, event, code);
}
