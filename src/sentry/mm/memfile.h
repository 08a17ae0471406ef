/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/memfile.h - the memory file: every guest page that no host file holds
 *
 * One sparse file in memory, mapped once in the sentry and piece by piece in the
 * stubs. Pages have reference counts. A page that nobody holds is given back to the host or used
 * again, but never before every thread that might still copy from or to it is through with that
 * (memfile_enter(), memfile_leave()).
 *
 * Any thread; the lock inside is a leaf but for wait queues.
 */
#ifndef SENTRY_MM_MEMFILE_H
#define SENTRY_MM_MEMFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct memfile;

struct memfile_usage {
	uint64_t allocated; /* bytes with a reference */
	uint64_t resident;  /* bytes the host holds for us */
};

/* memfile_new() - @max: bytes that may be resident, 0: no limit of ours. More can be allocated:
 * most of what guests ask for they never touch. */
int memfile_new(uint64_t max, struct memfile **out, struct coffer_error *err);
void memfile_free(struct memfile *mf);
int memfile_fd(const struct memfile *mf);
/* memfile_bounded() - Whether the host keeps @max: touching more is SIGBUS */
bool memfile_bounded(const struct memfile *mf);

/* memfile_alloc() - Zeroed, page-aligned, @size a multiple of the page; one reference to each page.
 * Return: 0 or -ENOMEM */
int memfile_alloc(struct memfile *mf, uint64_t size, uint64_t *offset);
/* memfile_alloc_raw() - The same with anything in it: for who overwrites all of it at once */
int memfile_alloc_raw(struct memfile *mf, uint64_t size, uint64_t *offset);
void memfile_get(struct memfile *mf, uint64_t offset, uint64_t size);
void memfile_put(struct memfile *mf, uint64_t offset, uint64_t size);
/* memfile_shared() - Whether anybody else has a reference to this page */
bool memfile_shared(struct memfile *mf, uint64_t offset);
/* memfile_alone() - Whether no other thread is between memfile_enter() and leave(). Asked after
 * memfile_shared() said no: then nobody looks at the page who had it before, either. */
bool memfile_alone(struct memfile *mf);
/* memfile_zero() - The pages read as zeros again; host memory is given back where it can be */
void memfile_zero(struct memfile *mf, uint64_t offset, uint64_t size);

/* memfile_ptr() - Ours; valid while a reference or a memfile_enter() holds. Touching a page that is
 * not resident may need memory the host does not have: memfile_populate() first says so. */
void *memfile_ptr(const struct memfile *mf, uint64_t offset);
/* memfile_populate() - Return: 0 or -ENOMEM */
int memfile_populate(struct memfile *mf, uint64_t offset, uint64_t size);

/* Between these the calling thread may use pointers that it looked up in between, whatever others
 * free. They nest, and are never held over a wait that a guest decides the length of. */
void memfile_enter(struct memfile *mf);
void memfile_leave(struct memfile *mf);

void memfile_usage(struct memfile *mf, struct memfile_usage *out);

#endif /* SENTRY_MM_MEMFILE_H */
