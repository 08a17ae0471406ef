/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry_mm_fixture.h - address spaces without stubs: what mm/ asks the trap core for is done on a
 * table of pages, and guest code is guest_load() and guest_store()
 *
 * Everything else mm/ uses of other rooms is played here, too: files that are bytes in memory or
 * in a file of the host, limits, names.
 */
#ifndef SENTRY_MM_FIXTURE_H
#define SENTRY_MM_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sentry/mm/memfile.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/space.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define BASE UINT64_C(0x200000000) /* nothing is here that a test did not put there */

struct fake_file {
	struct file file;
	struct inode inode;
	uint8_t *data;	     /* what reads see */
	uint64_t size;
	int host_fd;	     /* mappings: -1: from pages of the memory file */
	uint64_t *pages;     /* their offsets, 0: none yet */
};

/* fake_setup() - Before a test: memory file and nothing else. Return: 0 */
int fake_setup(void **state);
/* fake_teardown() - After it: everything must be given back by now, asserts it. Return: 0 */
int fake_teardown(void **state);
/* fake_limit() - RLIMIT_* for all; UINT64_MAX: none */
void fake_limit(unsigned resource, uint64_t value);

/* fake_file_new() - @host: its mappings are of a file of the host */
struct fake_file *fake_file_new(const void *data, uint64_t size, bool host);
/* fake_file_truncate() - Shorter, and mappings told */
void fake_file_truncate(struct fake_file *f, uint64_t size);

/* guest_new() - An address space with nothing in it */
struct mm *guest_new(void);

/* One access as the processor does it, faults served by mm_fault(). Return: 0 or the signal */
int guest_load(struct mm *mm, uint64_t addr, uint8_t *value);
int guest_store(struct mm *mm, uint64_t addr, uint8_t value);
int guest_fetch(struct mm *mm, uint64_t addr);

/* guest_mapped() - Pages that the stub has */
size_t guest_mapped(struct mm *mm);
unsigned guest_trips(void);  /* into stubs, so far */
unsigned guest_faults(void); /* served, so far */
/* guest_check() - The stub has what the trees say, page for page */
void guest_check(struct mm *mm);
/* guest_fail() - The next trip fails with this errno */
void guest_fail(int error);
bool guest_killed(struct mm *mm);

/* guest_blind() - From now on operations are only looked at: too many pages to remember */
void guest_blind(void);

/* guest_map() - mmap(2), asserting success. @addr 0: anywhere */
uint64_t guest_map(struct mm *mm, uint64_t addr, uint64_t len, int prot, int flags,
		   struct fake_file *file, uint64_t offset);

#endif /* SENTRY_MM_FIXTURE_H */
