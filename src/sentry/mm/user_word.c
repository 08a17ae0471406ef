/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/user_word.c - a word of guest memory that is worked on in place: futexes
 *
 * Used by task/'s futexes only.
 */
#include "sentry/mm/user.h"

#include <errno.h>
#include <sys/mman.h>

#include "sentry/mm/copy.h"
#include "sentry/mm/reach.h"
#include "sentry/mm/space.h"

/* What the word belongs to: a shared object, or this address space. */
static void user_word_key(struct mm *mm, uint64_t addr, struct user_key *key)
{
	const struct vma *vma = vma_at(mm, addr);

	if (vma && (vma->flags & VMA_SHARED)) {
		key->object = (uintptr_t)vma_mappable(vma);
		key->offset = vma->r.offset + (addr - vma->r.start);
	}
}

int user_word_get(struct mm *mm, uint64_t addr, int write, int shared, struct user_word *out)
{
	const struct piece *piece;
	uint64_t offset;
	uint32_t seen;
	int fd;
	int r;

	if (addr % sizeof(uint32_t))
		return -EINVAL;
	if (addr >= GUEST_END)
		return -EFAULT;
	*out = (struct user_word){ .key = { (uintptr_t)mm, addr } };
	pthread_rwlock_rdlock(&mm->io);
	memfile_enter(kernel.memory);
	r = reach_lock(mm, addr, write, &piece);
	if (!r) {
		fd = piece->fd;
		offset = piece->r.offset + (addr - piece->r.start);
		if (shared)
			user_word_key(mm, addr, &out->key);
		if (fd >= 0) {
			struct copy_window *window = NULL;

			r = copy_window_open(fd, PAGE_DOWN(offset),
					     write ? PROT_READ | PROT_WRITE : PROT_READ, &window);
			out->map = window;
			if (!r)
				out->word = (_Atomic uint32_t *)((char *)window->page +
								 offset % PAGE_SIZE);
		} else {
			out->word = memfile_ptr(kernel.memory, offset);
		}
		reach_unlock(mm);
	}
	/* So that nobody meets a page that cannot be had later. */
	if (!r && !out->map &&
	    copy_bytes(&seen, (const void *)(uintptr_t)out->word, sizeof(seen)))
		r = -ENOMEM;
	if (r) {
		memfile_leave(kernel.memory);
		pthread_rwlock_unlock(&mm->io);
		return r;
	}
	out->mm = mm;
	return 0;
}

void user_word_put(struct user_word *word)
{
	if (word->map)
		copy_window_close(word->map);
	memfile_leave(kernel.memory);
	pthread_rwlock_unlock(&word->mm->io);
}
