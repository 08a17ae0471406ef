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
#include "sentry/mm/user.h"
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

static long mm_sys_mincore(struct task *task, const uint64_t args[6])
{
	uint8_t vec[1024];
	uint64_t pages = PAGE_UP(args[1]) / PAGE_SIZE;

	if (args[0] & (PAGE_SIZE - 1))
		return -EINVAL;
	if (args[0] > GUEST_END || args[1] > GUEST_END - args[0])
		return -ENOMEM;
	for (uint64_t done = 0; done < pages;) {
		size_t n = pages - done < sizeof(vec) ? pages - done : sizeof(vec);
		int r = mm_incore(task->mm, args[0] + done * PAGE_SIZE, vec, n);

		if (!r)
			r = user_write(task->mm, args[2] + done, vec, n);
		if (r)
			return r;
		done += n;
	}
	return 0;
}

/* --- locked memory --- */

static long mm_sys_mlock(struct task *task, const uint64_t args[6])
{
	return mm_lock(task->mm, task, args[0], args[1], true);
}

static long mm_sys_munlock(struct task *task, const uint64_t args[6])
{
	return mm_lock(task->mm, task, args[0], args[1], false);
}

static long mm_sys_mlock2(struct task *task, const uint64_t args[6])
{
	if (args[2] & ~(uint64_t)MLOCK_ONFAULT)
		return -EINVAL;
	return mm_lock(task->mm, task, args[0], args[1], true);
}

static long mm_sys_mlockall(struct task *task, const uint64_t args[6])
{
	unsigned flags = (unsigned)args[0];

	if (!flags || (flags & ~(unsigned)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) ||
	    flags == MCL_ONFAULT)
		return -EINVAL;
	return mm_lock_all(task->mm, task, flags & MCL_CURRENT, flags & MCL_FUTURE);
}

static long mm_sys_munlockall(struct task *task, const uint64_t args[6])
{
	(void)args;
	return mm_lock_all(task->mm, task, false, false);
}

/* --- what there is only one of --- */

static long mm_sys_pkey_mprotect(struct task *task, const uint64_t args[6])
{
	if ((int)args[3] != -1)
		return -EINVAL;
	return mm_protect(task->mm, args[0], args[1], (int)args[2]);
}

/* As on a processor without protection keys. */
static long mm_sys_pkey_alloc(struct task *task, const uint64_t args[6])
{
	(void)task;
	return args[0] || (args[1] & ~UINT64_C(3)) ? -EINVAL : -ENOSPC;
}

static long mm_sys_pkey_free(struct task *task, const uint64_t args[6])
{
	(void)task, (void)args;
	return -EINVAL;
}

static long mm_sys_remap_file_pages(struct task *task, const uint64_t args[6])
{
	if (args[2])
		return -EINVAL;
	return mm_remap_pages(task->mm, args[0], args[1], args[3]);
}

#define MM_POLICIES	7	/* MPOL_DEFAULT .. MPOL_WEIGHTED_INTERLEAVE */
#define MM_POLICY_FLAGS 0xe000u /* MPOL_F_STATIC_NODES ... */
#define MM_NODES_MAX	32768u	/* bits of a node mask that may be looked at */

static bool mm_policy_valid(uint64_t mode)
{
	return ((unsigned)mode & ~MM_POLICY_FLAGS) < MM_POLICIES;
}

/* One node: every policy comes to the same. */
static long mm_sys_mbind(struct task *task, const uint64_t args[6])
{
	(void)task;
	if ((args[0] & (PAGE_SIZE - 1)) || !mm_policy_valid(args[2]) || (args[5] & ~UINT64_C(7)))
		return -EINVAL;
	return 0;
}

static long mm_sys_set_mempolicy(struct task *task, const uint64_t args[6])
{
	(void)task;
	return mm_policy_valid(args[0]) ? 0 : -EINVAL;
}

static long mm_sys_get_mempolicy(struct task *task, const uint64_t args[6])
{
	uint64_t size = (args[2] + 63) / 64 * 8;
	uint64_t node = args[4] & 4 ? 1 : 0; /* MPOL_F_MEMS_ALLOWED: node 0 */
	int mode = 0;
	int r = 0;

	if ((args[4] & ~UINT64_C(7)) || (args[1] && (!args[2] || args[2] > MM_NODES_MAX)))
		return -EINVAL;
	if (args[0] && !(args[4] & 4))
		r = user_write(task->mm, args[0], &mode, sizeof(mode));
	if (!r && args[1]) {
		r = user_zero(task->mm, args[1], size);
		if (!r)
			r = user_write(task->mm, args[1], &node, sizeof(node));
	}
	return r;
}

/* --- another process's memory --- */

static int mm_vm_find(struct task *task, int pid, struct mm **out)
{
	struct task *other;
	int r = -ESRCH;

	pthread_mutex_lock(&kernel.tasks_lock);
	other = task_find(task->process->container, pid);
	if (other && !process_may_look(task, other->process))
		r = -EPERM;
	else if (other && (*out = task_mm_get(other)))
		r = 0;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r;
}

/* Where a vector's next byte is. */
struct mm_vm_cursor {
	const struct iovec *iov;
	size_t n;
	size_t done; /* of iov[0] */
};

static size_t mm_vm_next(struct mm_vm_cursor *c, uint64_t *addr)
{
	while (c->n && c->done == c->iov->iov_len) {
		c->iov++;
		c->n--;
		c->done = 0;
	}
	if (!c->n)
		return 0;
	*addr = (uint64_t)(uintptr_t)c->iov->iov_base + c->done;
	return c->iov->iov_len - c->done;
}

static long mm_vm_copy(struct mm *to_mm, struct mm_vm_cursor *to, struct mm *from_mm,
		       struct mm_vm_cursor *from)
{
	autofree char *buf = malloc(PAGE_SIZE);
	uint64_t dst = 0;
	uint64_t src = 0;
	long done = 0;
	int r = buf ? 0 : -ENOMEM;

	while (!r) {
		size_t n = mm_vm_next(to, &dst);
		size_t m = mm_vm_next(from, &src);
		size_t page = PAGE_SIZE - src % PAGE_SIZE; /* so that what can be had is had */

		n = n < m ? n : m;
		if (!n)
			break;
		n = n < page ? n : page;
		r = user_read(from_mm, buf, src, n);
		if (!r)
			r = user_write(to_mm, dst, buf, n);
		if (r)
			break;
		to->done += n;
		from->done += n;
		done += (long)n;
	}
	return done ? done : r;
}

static long mm_vm_call(struct task *task, const uint64_t args[6], bool write)
{
	autofree struct iovec *local = NULL;
	autofree struct iovec *remote = NULL;
	struct mm *mm = NULL;
	size_t total;
	long r;

	if (args[5])
		return -EINVAL;
	r = user_iovec(task->mm, args[1], args[2], &local, &total);
	if (!r)
		r = user_iovec(task->mm, args[3], args[4], &remote, &total);
	if (!r)
		r = mm_vm_find(task, (int)args[0], &mm);
	if (r)
		return r;
	struct mm_vm_cursor here = { local, args[2], 0 };
	struct mm_vm_cursor there = { remote, args[4], 0 };

	r = write ? mm_vm_copy(mm, &there, task->mm, &here)
		  : mm_vm_copy(task->mm, &here, mm, &there);
	mm_put(mm);
	return r;
}

static long mm_sys_process_vm_readv(struct task *task, const uint64_t args[6])
{
	return mm_vm_call(task, args, false);
}

static long mm_sys_process_vm_writev(struct task *task, const uint64_t args[6])
{
	return mm_vm_call(task, args, true);
}

/* clang-format off */
static const struct syscall_row mm_rows[] = {
	{ 9, "mmap", mm_sys_mmap, { ARG_HEX, ARG_UINT, ARG_PROT, ARG_MAP, ARG_FD, ARG_HEX },
	  SYSCALL_PART, "no huge pages of their own (MAP_HUGETLB)" },
	{ 10, "mprotect", mm_sys_mprotect, { ARG_HEX, ARG_UINT, ARG_PROT } },
	{ 11, "munmap", mm_sys_munmap, { ARG_HEX, ARG_UINT } },
	{ 12, "brk", mm_sys_brk, { ARG_HEX } },
	{ 25, "mremap", mm_sys_mremap, { ARG_HEX, ARG_UINT, ARG_UINT, ARG_HEX, ARG_HEX } },
	{ 26, "msync", mm_sys_msync, { ARG_HEX, ARG_UINT, ARG_HEX } },
	{ 27, "mincore", mm_sys_mincore, { ARG_HEX, ARG_UINT, ARG_HEX } },
	{ 28, "madvise", mm_sys_madvise, { ARG_HEX, ARG_UINT, ARG_INT },
	  SYSCALL_PART, "hints about what will be read are taken and forgotten" },
	{ 149, "mlock", mm_sys_mlock, { ARG_HEX, ARG_UINT },
	  SYSCALL_PART, "counted against the limit; the host may swap it all the same" },
	{ 150, "munlock", mm_sys_munlock, { ARG_HEX, ARG_UINT } },
	{ 151, "mlockall", mm_sys_mlockall, { ARG_HEX }, SYSCALL_PART, "as mlock" },
	{ 152, "munlockall", mm_sys_munlockall, { ARG_NONE } },
	{ 216, "remap_file_pages", mm_sys_remap_file_pages,
	  { ARG_HEX, ARG_UINT, ARG_INT, ARG_UINT, ARG_HEX } },
	{ 237, "mbind", mm_sys_mbind, { ARG_HEX, ARG_UINT, ARG_INT, ARG_HEX, ARG_UINT, ARG_HEX },
	  SYSCALL_PART, "there is one node: every policy comes to the same" },
	{ 238, "set_mempolicy", mm_sys_set_mempolicy, { ARG_INT, ARG_HEX, ARG_UINT },
	  SYSCALL_PART, "as mbind" },
	{ 239, "get_mempolicy", mm_sys_get_mempolicy,
	  { ARG_HEX, ARG_HEX, ARG_UINT, ARG_HEX, ARG_HEX }, SYSCALL_PART, "as mbind" },
	{ 310, "process_vm_readv", mm_sys_process_vm_readv,
	  { ARG_INT, ARG_HEX, ARG_UINT, ARG_HEX, ARG_UINT, ARG_HEX } },
	{ 311, "process_vm_writev", mm_sys_process_vm_writev,
	  { ARG_INT, ARG_HEX, ARG_UINT, ARG_HEX, ARG_UINT, ARG_HEX } },
	{ 325, "mlock2", mm_sys_mlock2, { ARG_HEX, ARG_UINT, ARG_HEX }, SYSCALL_PART, "as mlock" },
	{ 329, "pkey_mprotect", mm_sys_pkey_mprotect, { ARG_HEX, ARG_UINT, ARG_PROT, ARG_INT },
	  SYSCALL_PART, "there are no protection keys" },
	{ 330, "pkey_alloc", mm_sys_pkey_alloc, { ARG_HEX, ARG_HEX },
	  SYSCALL_NONE, "as on a processor without protection keys" },
	{ 331, "pkey_free", mm_sys_pkey_free, { ARG_INT },
	  SYSCALL_NONE, "as on a processor without protection keys" },
};
/* clang-format on */

const struct syscall_family syscalls_mm = SYSCALL_FAMILY("Memory", mm_rows);
