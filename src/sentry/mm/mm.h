/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/mm.h - an address space
 *
 * Two layers: VMAs are what the guest asked for, pieces what is mapped in the stub now. A fault
 * makes pieces from VMAs; fork shares the pieces of private areas copy-on-write.
 *
 *	private, anonymous   memory file, allocated and mapped when asked for, so that the host's
 *	                     kernel fills pages without us
 *	shared, anonymous    an object of its own in the memory file
 *	file, read-only      host files: the host's descriptor mapped in the stub, so that its page
 *	                     cache is shared; others: what the file's mapping gives
 *	file, private write  copied into the memory file on the first write
 */
#ifndef SENTRY_MM_MM_H
#define SENTRY_MM_MM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/error.h"
#include "sentry/kernel.h"
#include "sentry/trap/trap.h"

struct file;
struct mm;
struct task;

/* What backs a mapping of a file; an inode embeds one (vfs/vfs.h). Its identity is its address. */
struct mappable {
	const struct mappable_ops *ops;
	_Atomic unsigned mapped; /* VMAs of it; mm/'s. mm_invalidate() has nothing to do at 0 */
};

/* What maps as anonymous memory: /dev/zero. */
extern const struct mappable_ops mm_zero_ops;

struct mappable_range {
	int host_fd;	 /* -1: the memory file; borrowed until the mapping's file is put */
	uint64_t offset; /* in it */
	uint64_t len;	 /* bytes from the offset that was asked for; page-aligned, not 0 */
};

struct mappable_ops {
	/* What holds @offset (page-aligned), at most @len bytes of it. Pages of the memory file
	 * come with a reference each for the caller. Beyond the end: -ENXIO (SIGBUS). @write: it
	 * must be writable and shared. Called under mm->lock. */
	int (*translate)(struct mappable *m, uint64_t offset, uint64_t len, bool write,
			 struct mappable_range *out);
};

struct mm_map {
	uint64_t addr;	/* wish, or place with MAP_FIXED */
	uint64_t len;
	int prot;
	int flags;	/* of mmap(2); unknown ones were refused by the caller */
	struct file *file; /* NULL: anonymous; a reference is taken */
	uint64_t offset;
};

/* mm_new() - Empty, in a fresh stub. Return: 0, -ENOMEM, -EAGAIN */
int mm_new(struct mm **out);
/* mm_fork() - A copy: private areas copy-on-write */
int mm_fork(struct mm *mm, struct mm **out);
struct mm *mm_get(struct mm *mm);
void mm_put(struct mm *mm); /* the last one gives the stub back */
struct trap_stub *mm_stub(struct mm *mm);

/* Return: the address or 0, or negative errno. @task for limits (RLIMIT_AS, DATA, MEMLOCK). */
int mm_map(struct mm *mm, struct task *task, const struct mm_map *map, uint64_t *addr);
int mm_unmap(struct mm *mm, uint64_t addr, uint64_t len);
/* mm_unmap_file() - What one mmap(2) at @addr of a file that @is the kind made, from its first page on
 * and as far as it is still there. Return: 0, -EINVAL: there is no such */
int mm_unmap_file(struct mm *mm, uint64_t addr, bool (*is)(const struct file *file));
int mm_protect(struct mm *mm, uint64_t addr, uint64_t len, int prot);
int mm_remap(struct mm *mm, struct task *task, uint64_t old, uint64_t old_len, uint64_t new_len,
	     int flags, uint64_t new_addr, uint64_t *out);
uint64_t mm_brk(struct mm *mm, struct task *task, uint64_t brk);
int mm_advise(struct mm *mm, uint64_t addr, uint64_t len, int advice);
int mm_sync(struct mm *mm, uint64_t addr, uint64_t len, int flags);
/* mm_incore() - mincore(2) of @pages pages, a byte each. Return: 0, -ENOMEM: not all is mapped */
int mm_incore(struct mm *mm, uint64_t addr, uint8_t *vec, size_t pages);
int mm_lock(struct mm *mm, struct task *task, uint64_t addr, uint64_t len, bool on);
/* mm_lock_all() - mlockall(2); with neither: munlockall(2) */
int mm_lock_all(struct mm *mm, struct task *task, bool current, bool future);
/* mm_remap_pages() - remap_file_pages(2) */
int mm_remap_pages(struct mm *mm, uint64_t addr, uint64_t len, uint64_t pgoff);

/* mm_fault() - The guest touched @address. Return: 0 it may go on; else the signal it gets, with
 * *@code its si_code */
int mm_fault(struct mm *mm, const struct trap_event *event, int *code);

/* mm_invalidate() - A file was cut: nobody maps @len bytes from @offset on any more. Any thread; no
 * mm->lock held, and none to the right of it. */
void mm_invalidate(struct mappable *m, uint64_t offset, uint64_t len);

/* --- what runs in it --- */

struct mm_exec {
	struct file *file;	 /* the program, open for reading; borrowed */
	const char *path;	 /* AT_EXECFN and the name in errors */
	char *const *argv;	 /* NULL-terminated, as they go on the stack */
	char *const *envp;
	uint32_t uid, euid, gid, egid;
	bool secure;		 /* AT_SECURE */
	uint64_t stack_max;	 /* RLIMIT_STACK */
	/* Opens an interpreter's path in the task's view. Return: 0 with a file to put */
	int (*open)(void *data, const char *path, struct file **out);
	void *open_data;
};

/**
 * mm_exec() - Replace everything in @mm by a program: ELF, static or with PT_INTERP, or #!
 *
 * Checks as much as can be checked first; *@committed is set when the old program is gone, after
 * which an error means SIGKILL. The caller has made sure that no other thread is in there.
 *
 * Return: 0 with registers to start from; -ENOEXEC, -ELOOP, -E2BIG, ...
 */
int mm_exec(struct mm *mm, const struct mm_exec *args, struct trap_regs *regs, bool *committed);

struct mm_usage {
	uint64_t vsize, rss, shared, text, data, stack, locked; /* bytes */
	uint64_t minor_faults, major_faults;
	uint64_t start_code, end_code, start_stack, start_brk, brk;
	uint64_t arg_start, arg_end, env_start, env_end;
};

void mm_usage(struct mm *mm, struct mm_usage *out);
/* mm_oom_watch() - A container has a memory_max of its own: kill in it what goes beyond. Once is
 * enough for all. */
void mm_oom_watch(void);
/* mm_oom_usage() - What that is compared with: bytes of memory of all its processes */
uint64_t mm_oom_usage(struct sandbox_container *container);
/* /proc/PID/maps, smaps, and auxv as text or bytes. Return: 0 or -ENOMEM */
int mm_print_maps(struct mm *mm, struct buf *out);
int mm_print_smaps(struct mm *mm, struct buf *out);
int mm_auxv(struct mm *mm, struct buf *out);
/* mm_exe() - The program's file with a reference, NULL: none */
struct file *mm_exe(struct mm *mm);

#endif /* SENTRY_MM_MM_H */
