/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/space.h - the inside of an address space; for mm/ alone
 *
 * A call that changes one goes like this:
 *
 *	space_lock(mm)
 *	vma_*() and piece_*() change the trees and queue what the stub is to do
 *	space_unlock(mm)	one trip to the stub; then what is not used any more is put
 *
 * Pieces say what the stub has mapped once the queue is through. A page that left a piece keeps its
 * reference until then, or the stub could still write to what is somebody else's.
 *
 * A piece has the rights of its VMA; what of them the stub gets is piece_prot().
 */
#ifndef SENTRY_MM_SPACE_H
#define SENTRY_MM_SPACE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sentry/kernel.h"
#include "sentry/mm/memfile.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/ranges.h"

#define SPACE_OPS  64u
#define SPACE_PUTS 64u
#define SPACE_FILES 32u

#define SPACE_VMAS_MAX	 65530u /* vm.max_map_count's default */
/* The stub has that limit, too, and we cut finer than the guest: when it copies what is shared. */
#define SPACE_PIECES_MAX   62000u
#define SPACE_PIECES_GUEST 56000u /* of these the guest can make at will */

enum {
	VMA_SHARED = 1,
	VMA_GROWS_DOWN = 2,
	VMA_LOCKED = 4,
	VMA_DONT_FORK = 8,
	VMA_WIPE_ON_FORK = 16,
	VMA_MAY_WRITE = 32, /* mprotect(2) may add it */
	VMA_MAY_EXEC = 64,
	VMA_NO_RESERVE = 128,
	VMA_DONT_DUMP = 256,
	VMA_HUGE = 512,
	VMA_NO_HUGE = 1024,
};

/* Shared anonymous memory. */
struct mm_shared {
	struct mappable mappable;
	_Atomic unsigned refs;
	uint64_t offset, len; /* in the memory file; holds a reference to each page */
	uint64_t ino;	      /* what /proc/PID/maps shows */
};

struct vma {
	struct range r;		  /* offset: in the file or shared object */
	uint8_t prot;
	uint16_t flags;		  /* VMA_* */
	struct file *file;	  /* reference; NULL: none */
	struct mm_shared *shared; /* reference; NULL: not shared anonymous */
};

struct piece {
	struct range r; /* offset: in fd or the memory file */
	int fd;		/* borrowed from the VMA's file; -1: memory file */
	uint8_t prot;	/* the VMA's */
	bool shared;
	bool cow;	/* somebody else may have these pages too: copied before a write */
};

struct space_put {
	uint64_t offset, len;
};

struct mm {
	pthread_rwlock_t lock;
	pthread_rwlock_t io; /* held for reading while pages are pinned; fork waits for that */
	_Atomic unsigned refs;
	struct mm *prev, *next; /* all of them; space.c's lock */
	struct trap_stub *stub;
	struct ranges vmas, pieces;
	bool broken;	/* the stub is not what we think: it was killed */
	bool haunted;	/* and does not end: pages that it may still write to are nobody's */
	struct trap_map ops[SPACE_OPS];
	unsigned nops;
	struct space_put puts[SPACE_PUTS];
	unsigned nputs;
	struct file *files[SPACE_FILES]; /* to be put when the lock is not held any more */
	unsigned nfiles;

	uint64_t map_base; /* mmap(2) finds room below */
	uint64_t map_total, map_locked, map_data; /* bytes of VMAs */
	uint64_t cow_next, cow_pages; /* to see writers that go on and on */
	struct mm_usage info;	/* addresses only */
	struct file *exe;	/* reference */
	uint64_t stack_max;
	uint64_t auxv[48];
	unsigned nauxv;		/* words */
	bool lock_future;	/* mlockall(MCL_FUTURE) */
	_Atomic uint64_t minor_faults, major_faults;
};

/* --- space.c --- */

void space_lock(struct mm *mm);
/* space_unlock() - Return: 0, or -ESRCH: the stub is dead or was killed for failing */
int space_unlock(struct mm *mm);
/* space_commit() - The trip, the lock stays */
int space_commit(struct mm *mm);
/* space_op() - Queue it; joined to the one before if it goes on from there */
void space_op(struct mm *mm, const struct trap_map *op);
void space_put_pages(struct mm *mm, uint64_t offset, uint64_t len);
void space_put_file(struct mm *mm, struct file *file);
/* space_each() - Every address space, with a reference while @fn has it */
void space_each(void (*fn)(struct mm *mm, void *data), void *data);
/* space_clear() - Nothing is mapped any more; queued */
void space_clear(struct mm *mm);

/* --- vma.c --- */

/* Rights of what a guest may touch: all that is accessible can be read. */
static inline bool vma_allows(unsigned prot, bool write)
{
	return write ? prot & PROT_WRITE : prot != PROT_NONE;
}

struct vma *vma_at(struct mm *mm, uint64_t addr); /* NULL: none there */
/* vma_whole() - Whether there is no hole in a range */
bool vma_whole(struct mm *mm, uint64_t start, uint64_t end);
/* vma_reserve() - Before a change: room in both trees. Return: 0 or -ENOMEM */
int vma_reserve(struct mm *mm);
/* vma_insert() - Takes over @vma's references; joins it to its neighbours. Nothing is there. */
void vma_insert(struct mm *mm, const struct vma *vma);
/* vma_cut() - So that VMAs and pieces end at @addr; room was reserved */
void vma_cut(struct mm *mm, uint64_t addr);
/* vma_remove() - VMAs and pieces of a range, which was cut at its ends; @unmap: in the stub, too */
void vma_remove(struct mm *mm, uint64_t start, uint64_t end, bool unmap);
/* vma_join() - Those that touch @start and @end and everything in between, where they are alike */
void vma_join(struct mm *mm, uint64_t start, uint64_t end);
/* vma_room() - For @len bytes: at @hint if it is free, else as high as possible below @top.
 * Return: 0: there is none */
uint64_t vma_room(struct mm *mm, uint64_t hint, uint64_t len, uint64_t top);
/* vma_hold() - References for a new element, or one that was copied */
void vma_hold(struct vma *vma);
struct mappable *vma_mappable(const struct vma *vma); /* NULL: private anonymous */
/* vma_count() - Add to or (with @sign -1) take from the totals */
void vma_count(struct mm *mm, const struct vma *vma, int sign);

/* --- piece.c --- */

/* What the stub may do there. */
static inline int piece_prot(const struct piece *piece)
{
	bool copies = piece->cow || (piece->fd >= 0 && !piece->shared);

	return copies ? piece->prot & ~PROT_WRITE : piece->prot;
}

/* piece_add() - Nothing is there; takes over the pages' references; @populate: what exists of it
 * is entered at once. Return: 0, -ENOMEM, or -EAGAIN: there are too many; then the references are
 * put, and nothing is mapped there */
int piece_add(struct mm *mm, const struct piece *piece, bool populate);
void piece_remove(struct mm *mm, uint64_t start, uint64_t end, bool unmap);
/* piece_cut() - So that one begins at @addr; room was reserved */
void piece_cut(struct mm *mm, uint64_t addr);
/* piece_fill() - Private anonymous memory for what of a range has none yet */
int piece_fill(struct mm *mm, uint64_t start, uint64_t end, const struct vma *vma);
/* piece_map() - In the stub, as it is in the tree */
void piece_map(struct mm *mm, const struct piece *piece, bool populate);
/* piece_repeat() - Map the page at @addr in the stub once more */
void piece_repeat(struct mm *mm, const struct piece *piece, uint64_t addr);
/* piece_protect() - New rights for what is mapped of a range, which was cut */
void piece_protect(struct mm *mm, uint64_t start, uint64_t end, int prot);

/* --- fault.c --- */

enum fault_access { FAULT_READ, FAULT_WRITE, FAULT_EXEC };

/* fault_in() - Make @addr accessible. With the lock held for writing; queues.
 * Return: 0; -EFAULT nothing is there, -EACCES not so, -ENXIO beyond a file's end, -ENOMEM */
int fault_in(struct mm *mm, uint64_t addr, enum fault_access access);
/* fault_populate() - As many pages of a range as can be had, into the stub as well */
void fault_populate(struct mm *mm, uint64_t start, uint64_t end);
/* space_write() - Bytes to where the guest may write, @src NULL: zeros. With the lock held for
 * writing. Return: 0 or as fault_in() */
int space_write(struct mm *mm, uint64_t addr, const void *src, uint64_t len);
/* fault_map_file() - Pieces for a new mapping of a file, as much as is good to have at once */
int fault_map_file(struct mm *mm, const struct vma *vma);

/* --- map.c --- */

/* Memory that is had at once, and not when it is touched. */
#define MAP_EAGER_MAX (UINT64_C(64) << 20)

/* map_one_more() - -ENOMEM when @mm has as many VMAs or pieces of memory as it may */
int map_one_more(const struct mm *mm);

/* map_limits() - RLIMIT_AS, DATA, MEMLOCK, map_one_more(), for @len more bytes */
int map_limits(struct mm *mm, struct task *task, uint64_t len, int prot, unsigned flags);
/* map_place() - The VMA of @map at @addr, what was there goes. With the lock held. */
int map_place(struct mm *mm, const struct mm_map *map, uint64_t addr, unsigned flags);

/* --- usage.c --- */

uint64_t usage_resident(const struct piece *piece); /* bytes; about */
uint64_t usage_memory(struct mm *mm); /* the same of all that is in the memory file */

/* --- shared.c --- */

int shared_new(uint64_t len, struct mm_shared **out);
void shared_get(struct mm_shared *shared);
void shared_put(struct mm_shared *shared);

#endif /* SENTRY_MM_SPACE_H */
