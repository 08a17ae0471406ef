/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/space.c - address spaces as objects: references, the lock, the way to the stub
 *
 *	changes -> queue of operations -> trap_stub_map() -> pages and files that nobody needs
 *
 * When an operation fails we cannot know what the stub has mapped. It is killed then, and its
 * guest process ends with it; pages are put when none of its threads can write to them any more.
 *
 * Called by the other files here, and by task/ for life and death.
 */
#include "sentry/mm/space.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define LOG_CATEGORY "mm"
#include "base/log.h"
#include "sentry/mm/oom.h"
#include "sentry/vfs/file.h"

static struct {
	pthread_mutex_t lock; /* leaf */
	struct mm *first, *last;
} space_all = { .lock = PTHREAD_MUTEX_INITIALIZER };

int mm_new(struct mm **out)
{
	struct mm *mm = calloc(1, sizeof(*mm));
	int r;

	if (!mm)
		return -ENOMEM;
	r = trap_stub_get(kernel.stubs, &mm->stub);
	if (r) {
		free(mm);
		return r;
	}
	pthread_rwlock_init(&mm->lock, NULL);
	pthread_rwlock_init(&mm->io, NULL);
	ranges_init(&mm->vmas, sizeof(struct vma));
	ranges_init(&mm->pieces, sizeof(struct piece));
	mm->refs = 1;
	mm->map_base = GUEST_END;
	/* At the end: who goes through all of them comes to a fork after what it is a copy of. */
	pthread_mutex_lock(&space_all.lock);
	mm->prev = space_all.last;
	*(mm->prev ? &mm->prev->next : &space_all.first) = mm;
	space_all.last = mm;
	pthread_mutex_unlock(&space_all.lock);
	oom_begin();
	*out = mm;
	return 0;
}

struct mm *mm_get(struct mm *mm)
{
	atomic_fetch_add(&mm->refs, 1);
	return mm;
}

struct trap_stub *mm_stub(struct mm *mm)
{
	return mm->stub;
}

static void space_unlist(struct mm *mm)
{
	*(mm->prev ? &mm->prev->next : &space_all.first) = mm->next;
	*(mm->next ? &mm->next->prev : &space_all.last) = mm->prev;
}

void mm_put(struct mm *mm)
{
	/* Under the list's lock, so that space_each() finds none that is about to go. */
	pthread_mutex_lock(&space_all.lock);
	if (atomic_fetch_sub(&mm->refs, 1) > 1) {
		pthread_mutex_unlock(&space_all.lock);
		return;
	}
	space_unlist(mm);
	pthread_mutex_unlock(&space_all.lock);
	/* Nobody runs there any more; what is mapped goes with the stub. */
	trap_stub_put(steal_ptr(mm->stub));
	mm->haunted = false;
	space_lock(mm);
	vma_remove(mm, 0, UINT64_MAX, false);
	space_unlock(mm);
	if (mm->exe)
		file_put(mm->exe);
	ranges_free(&mm->vmas);
	ranges_free(&mm->pieces);
	pthread_rwlock_destroy(&mm->lock);
	pthread_rwlock_destroy(&mm->io);
	free(mm);
}

void space_each(void (*fn)(struct mm *mm, void *data), void *data)
{
	struct mm *mm;

	pthread_mutex_lock(&space_all.lock);
	mm = space_all.first;
	if (mm)
		mm_get(mm);
	pthread_mutex_unlock(&space_all.lock);
	while (mm) {
		struct mm *next;

		fn(mm, data);
		pthread_mutex_lock(&space_all.lock);
		next = mm->next;
		if (next)
			mm_get(next);
		pthread_mutex_unlock(&space_all.lock);
		mm_put(mm);
		mm = next;
	}
}

/* --- the lock and the queue --- */

void space_lock(struct mm *mm)
{
	pthread_rwlock_wrlock(&mm->lock);
}

static void space_break(struct mm *mm, int r)
{
	if (mm->broken)
		return;
	mm->broken = true;
	if (r != -ESRCH)
		log_warning("stub %d ended: its memory cannot be changed: errno %d",
			    (int)trap_stub_host_pid(mm->stub), -r);
	mm->haunted = trap_stub_end(mm->stub) < 0;
}

/* The stub does what is queued. What it has no more stays as it is: a mapping may yet come in its
 * place. */
static void space_trip(struct mm *mm)
{
	int r = 0;

	if (mm->nops && mm->stub && !mm->broken)
		r = trap_stub_map(mm->stub, mm->ops, mm->nops);
	mm->nops = 0;
	if (r)
		space_break(mm, r);
}

int space_commit(struct mm *mm)
{
	space_trip(mm);
	for (unsigned i = 0; i < mm->nputs && !mm->haunted; i++)
		memfile_put(kernel.memory, mm->puts[i].offset, mm->puts[i].len);
	mm->nputs = 0;
	return mm->broken ? -ESRCH : 0;
}

int space_unlock(struct mm *mm)
{
	struct file *files[SPACE_FILES];
	unsigned nfiles = mm->nfiles;
	int r = space_commit(mm);

	for (unsigned i = 0; i < nfiles; i++)
		files[i] = mm->files[i];
	mm->nfiles = 0;
	pthread_rwlock_unlock(&mm->lock);
	for (unsigned i = 0; i < nfiles; i++)
		file_put(files[i]);
	return r;
}

static bool space_op_joins(const struct trap_map *last, const struct trap_map *op)
{
	if (last->kind != op->kind || last->addr + last->len != op->addr)
		return false;
	switch (op->kind) {
	case TRAP_MAP_MEMORY:
	case TRAP_MAP_HOST:
		return last->prot == op->prot && last->populate == op->populate &&
		       last->private_copy == op->private_copy && last->fd == op->fd &&
		       last->offset + last->len == op->offset;
	case TRAP_PROTECT:
		return last->prot == op->prot;
	default:
		return true;
	}
}

void space_op(struct mm *mm, const struct trap_map *op)
{
	struct trap_map *last = mm->nops ? &mm->ops[mm->nops - 1] : NULL;

	if (last && space_op_joins(last, op)) {
		last->len += op->len;
		return;
	}
	if (mm->nops == SPACE_OPS)
		space_trip(mm);
	mm->ops[mm->nops++] = *op;
}

void space_put_pages(struct mm *mm, uint64_t offset, uint64_t len)
{
	struct space_put *last = mm->nputs ? &mm->puts[mm->nputs - 1] : NULL;

	if (last && last->offset + last->len == offset) {
		last->len += len;
		return;
	}
	if (mm->nputs == SPACE_PUTS)
		space_commit(mm);
	mm->puts[mm->nputs++] = (struct space_put){ .offset = offset, .len = len };
}

void space_put_file(struct mm *mm, struct file *file)
{
	if (mm->nfiles < SPACE_FILES) {
		mm->files[mm->nfiles++] = file;
		return;
	}
	space_commit(mm); /* what is queued may have its descriptor */
	file_put(file);
}

void space_clear(struct mm *mm)
{
	space_op(mm, &(struct trap_map){ .kind = TRAP_UNMAP,
					 .addr = GUEST_START,
					 .len = GUEST_END - GUEST_START });
	vma_remove(mm, 0, UINT64_MAX, false);
}
