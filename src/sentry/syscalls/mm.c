/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/mm.c - memory: brk(2), mmap(2) and what belongs to them
 *
 * Arguments are checked here as far as they mean something without the address space; mm/ does
 * the rest.
 */
#include "sentry/syscalls/syscalls.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "sentry/mm/mm.h"
#include "sentry/task/task.h"
#include "sentry/vfs/file.h"

static long mm_sys_brk(struct task *task, const uint64_t args[6])
{
	return (long)mm_brk(task->mm, task, args[0]);
}

static long mm_sys_mmap(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = NULL;
	struct mm_map map = {
		.addr = args[0],
		.len = args[1],
		.prot = (int)args[2] & (PROT_READ | PROT_WRITE | PROT_EXEC),
		.flags = (int)args[3],
		.offset = args[5],
	};
	uint64_t addr;
	int r;

	if (args[5] & (PAGE_SIZE - 1))
		return -EINVAL;
	if (map.flags & MAP_ANONYMOUS) {
		map.offset = 0;
		if (map.flags & MAP_HUGETLB)
			return -ENOMEM; /* there are none */
	} else {
		file = fd_get(task, (int)args[4]);
		if (!file)
			return -EBADF;
		if (map.flags & MAP_HUGETLB)
			return -EINVAL;
		map.file = file;
	}
	if ((map.flags & MAP_TYPE) == MAP_SHARED_VALIDATE &&
	    (map.flags & MAP_SYNC))
		return -EOPNOTSUPP;
	r = mm_map(task->mm, task, &map, &addr);
	return r ? r : (long)addr;
}

static long mm_sys_munmap(struct task *task, const uint64_t args[6])
{
	return mm_unmap(task->mm, args[0], args[1]);
}

static long mm_sys_mprotect(struct task *task, const uint64_t args[6])
{
	return mm_protect(task->mm, args[0], args[1], (int)args[2]);
}

static long mm_sys_mremap(struct task *task, const uint64_t args[6])
{
	uint64_t addr;
	int r = mm_remap(task->mm, task, args[0], args[1], args[2], (int)args[3], args[4], &addr);

	return r ? r : (long)addr;
}

static long mm_sys_madvise(struct task *task, const uint64_t args[6])
{
	return mm_advise(task->mm, args[0], args[1], (int)args[2]);
}

static long mm_sys_msync(struct task *task, const uint64_t args[6])
{
	return mm_sync(task->mm, args[0], args[1], (int)args[2]);
}

static const struct syscall_row mm_rows[] = {
	{ 9, "mmap", mm_sys_mmap, { ARG_HEX, ARG_UINT, ARG_PROT, ARG_MAP, ARG_FD, ARG_HEX } },
	{ 10, "mprotect", mm_sys_mprotect, { ARG_HEX, ARG_UINT, ARG_PROT } },
	{ 11, "munmap", mm_sys_munmap, { ARG_HEX, ARG_UINT } },
	{ 12, "brk", mm_sys_brk, { ARG_HEX } },
	{ 25, "mremap", mm_sys_mremap, { ARG_HEX, ARG_UINT, ARG_UINT, ARG_HEX, ARG_HEX } },
	{ 26, "msync", mm_sys_msync, { ARG_HEX, ARG_UINT, ARG_HEX } },
	{ 28, "madvise", mm_sys_madvise, { ARG_HEX, ARG_UINT, ARG_INT } },
};

const struct syscall_family syscalls_mm = SYSCALL_FAMILY("Memory", mm_rows);
