/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/ipc/shm.c - System V shared memory
 *
 *	segment -> a file in memory without a name      as long as the segment is
 *	shmat(2) -> an open file of it, mapped          as long as anything of it is mapped
 *
 * So mm/ knows nothing of segments: fork, exit, munmap of a part do what they do with any mapping,
 * and when the last of them is gone the open file's release says so. Segments are never swapped, so
 * SHM_LOCK marks them and does no more; there are no huge pages.
 *
 * Called by syscalls/ipc.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <time.h>

#include "base/cleanup.h"
#include "sentry/ipc/ipc.h"
#include "sentry/mm/mm.h"
#include "sentry/task/task.h"
#include "sentry/vfs/memfd.h"
#include "sentry/vfs/tmpfs.h"

#define SHM_SIZE_MAX (UINT64_MAX - (UINT64_C(1) << 24)) /* kernel.shmmax */
#define SHM_DEST_BIT   01000u
#define SHM_LOCKED_BIT 02000u

struct shm_segment {
	struct ipc_object o;
	struct vfs_path path; /* of its file: a reference of the dentry, its mount is for ever */
	uint64_t size;	      /* as it was asked for */
	unsigned opens;	      /* shm_files */
	int creator, last;    /* process ids */
	time_t attached, detached, changed;
};

struct shm_file {
	struct file file;
	struct shm_segment *segment; /* reference */
};

static struct shm_segment *shm_segment(struct ipc_object *object)
{
	return container_of(object, struct shm_segment, o);
}

static unsigned shm_attaches(const struct shm_segment *segment)
{
	return atomic_load(&segment->path.dentry->inode->mapping.mapped);
}

static void shm_free(struct ipc_object *object)
{
	struct shm_segment *segment = shm_segment(object);

	dentry_put(segment->path.dentry);
	free(segment);
}

static int shm_check(const struct ipc_object *object, uint64_t size)
{
	return size > container_of(object, const struct shm_segment, o)->size ? -EINVAL : 0;
}

static int shm_make(struct task *task, const struct ipc_wish *wish, struct ipc_object **out)
{
	struct shm_segment *segment;
	char name[16];
	int r;

	if (!wish->size || wish->size > SHM_SIZE_MAX)
		return -EINVAL;
	if ((wish->flags & SHM_HUGETLB) || wish->size > INT64_MAX - PAGE_SIZE)
		return -ENOMEM;
	if (file_is_crowded())
		return -ENOSPC;
	segment = calloc(1, sizeof(*segment));
	if (!segment)
		return -ENOMEM;
	snprintf(name, sizeof(name), "SYSV%08x", (unsigned)wish->key);
	r = memfd_create_path(task, name, 0, &segment->path);
	if (r == 0) {
		r = tmpfs_file_resize(tmpfs_inode(segment->path.dentry->inode),
				      PAGE_UP(wish->size));
		if (r)
			dentry_put(segment->path.dentry);
	}
	if (r) {
		free(segment);
		return r;
	}
	segment->o.free = shm_free;
	segment->size = wish->size;
	segment->creator = task->process->pid;
	segment->changed = time(NULL);
	*out = &segment->o;
	return 0;
}

long shm_get(struct task *task, int32_t key, uint64_t size, int flags)
{
	const struct ipc_wish wish = { .kind = IPC_KIND_SHM, .key = key, .flags = flags,
				       .size = size, .check = shm_check, .make = shm_make };

	return ipc_get(task, &wish);
}

/* --- attaching --- */

static void shm_release(struct file *file)
{
	struct shm_file *open = container_of(file, struct shm_file, file);
	struct shm_segment *segment = open->segment;

	file_free_common(file);
	free(open);
	ipc_lock();
	segment->detached = time(NULL);
	if (task_current)
		segment->last = task_current->process->pid;
	if (--segment->opens == 0 && (segment->o.mode & SHM_DEST_BIT))
		ipc_remove(&segment->o);
	ipc_drop(&segment->o);
	ipc_unlock();
}

static const struct file_ops shm_ops = { .name = "SYSV", .release = shm_release };

static bool shm_is(const struct file *file)
{
	return file->ops == &shm_ops;
}

static int shm_open_segment(struct task *task, int id, int flags, struct file **out)
{
	unsigned want = flags & SHM_RDONLY ? 0444 : 0666;
	struct shm_segment *segment;
	struct ipc_object *object;
	struct shm_file *open;
	int r;

	ipc_lock();
	r = ipc_find(task, IPC_KIND_SHM, id, flags & SHM_EXEC ? want | 0111 : want, &object);
	open = r ? NULL : calloc(1, sizeof(*open));
	if (open) {
		segment = shm_segment(object);
		open->segment = segment;
		ipc_hold(object);
		segment->opens++;
		file_init(&open->file, &shm_ops, flags & SHM_RDONLY ? O_RDONLY : O_RDWR,
			  &segment->path, segment->path.dentry->inode);
		*out = &open->file;
	}
	ipc_unlock();
	return r ? r : open ? 0 : -ENOMEM;
}

/* Where @addr and @flags want it. */
static int shm_place(uint64_t addr, int flags, struct mm_map *map)
{
	map->addr = flags & SHM_RND ? PAGE_DOWN(addr) : addr;
	map->flags = MAP_SHARED;
	if (map->addr & (PAGE_SIZE - 1))
		return -EINVAL;
	if (flags & SHM_REMAP) {
		if (!map->addr)
			return -EINVAL;
		map->flags |= MAP_FIXED;
	} else if (map->addr) {
		map->flags |= MAP_FIXED_NOREPLACE;
	}
	return 0;
}

long shm_attach(struct task *task, int id, uint64_t addr, int flags)
{
	struct mm_map map = { .prot = PROT_READ };
	struct shm_segment *segment;
	uint64_t at = 0;
	int r = shm_place(addr, flags, &map);

	if (r == 0)
		r = shm_open_segment(task, id, flags, &map.file);
	if (r)
		return r;
	segment = container_of(map.file, struct shm_file, file)->segment;
	map.len = PAGE_UP(segment->size);
	if (!(flags & SHM_RDONLY))
		map.prot |= PROT_WRITE;
	if (flags & SHM_EXEC)
		map.prot |= PROT_EXEC;
	r = mm_map(task->mm, task, &map, &at);
	if (r == 0) {
		ipc_lock();
		segment->attached = time(NULL);
		segment->last = task->process->pid;
		ipc_unlock();
	}
	file_put(map.file);
	return r == -EEXIST || r == -EPERM ? -EINVAL : r ? r : (long)at;
}

long shm_detach(struct task *task, uint64_t addr)
{
	return mm_unmap_file(task->mm, addr, shm_is);
}

/* --- shmctl(2) --- */

static void shm_fill(const struct shm_segment *segment, struct shmid_ds *out)
{
	*out = (struct shmid_ds){
		.shm_segsz = segment->size,
		.shm_atime = segment->attached,
		.shm_dtime = segment->detached,
		.shm_ctime = segment->changed,
		.shm_cpid = segment->creator,
		.shm_lpid = segment->last,
		.shm_nattch = shm_attaches(segment),
	};
	ipc_fill(&segment->o, &out->shm_perm);
}

static long shm_stat(struct task *task, int id, int cmd, uint64_t buf)
{
	struct ipc_object *object;
	struct shmid_ds ds;
	long r;

	ipc_lock();
	if (cmd == IPC_STAT)
		r = ipc_find(task, IPC_KIND_SHM, id, 0444, &object);
	else
		r = ipc_find_index(task, IPC_KIND_SHM, id, cmd == SHM_STAT_ANY, &object);
	if (r == 0) {
		shm_fill(shm_segment(object), &ds);
		r = cmd == IPC_STAT ? 0 : object->id;
	}
	ipc_unlock();
	if (r >= 0 && user_write(task->mm, buf, &ds, sizeof(ds)) < 0)
		r = -EFAULT;
	return r;
}

static long shm_set(struct task *task, int id, uint64_t buf)
{
	struct ipc_object *object;
	struct shmid_ds ds;
	int r = user_read(task->mm, &ds, buf, sizeof(ds));

	if (r)
		return r;
	ipc_lock();
	r = ipc_find_owned(task, IPC_KIND_SHM, id, &object);
	if (r == 0)
		r = ipc_set(object, &ds.shm_perm);
	if (r == 0)
		shm_segment(object)->changed = time(NULL);
	ipc_unlock();
	return r;
}

static long shm_mark(struct task *task, int id, int cmd)
{
	struct ipc_object *object;
	int r;

	ipc_lock();
	if (cmd != IPC_RMID && cred_capable(task->cred, CAP_IPC_LOCK))
		r = ipc_find(task, IPC_KIND_SHM, id, 0, &object);
	else
		r = ipc_find_owned(task, IPC_KIND_SHM, id, &object);
	if (r) {
		ipc_unlock();
		return r;
	}
	if (cmd == SHM_LOCK)
		object->mode |= SHM_LOCKED_BIT;
	else if (cmd == SHM_UNLOCK)
		object->mode &= ~SHM_LOCKED_BIT;
	else if (shm_segment(object)->opens) {
		object->mode |= SHM_DEST_BIT;
		object->key = IPC_PRIVATE;
	} else
		ipc_remove(object);
	ipc_unlock();
	return 0;
}

static long shm_limits(struct task *task, uint64_t buf)
{
	const struct shminfo info = { .shmmax = SHM_SIZE_MAX, .shmmin = 1, .shmmni = IPC_MAX,
				      .shmseg = IPC_MAX, .shmall = SHM_SIZE_MAX };
	unsigned count;
	int top;

	ipc_lock();
	top = ipc_top(task->process->container, IPC_KIND_SHM, &count);
	ipc_unlock();
	return user_write(task->mm, buf, &info, sizeof(info)) < 0 ? -EFAULT : top;
}

static long shm_usage(struct task *task, uint64_t buf)
{
	struct ipc_object *object = NULL;
	struct shm_info info = { 0 };
	unsigned count;
	int top;

	ipc_lock();
	top = ipc_top(task->process->container, IPC_KIND_SHM, &count);
	info.used_ids = (int)count;
	while ((object = ipc_next(task->process->container, IPC_KIND_SHM, object))) {
		info.shm_tot += PAGE_UP(shm_segment(object)->size) / PAGE_SIZE;
		info.shm_rss += tmpfs_inode(shm_segment(object)->path.dentry->inode)->pages.count;
	}
	ipc_unlock();
	return user_write(task->mm, buf, &info, sizeof(info)) < 0 ? -EFAULT : top;
}

long shm_control(struct task *task, int id, int cmd, uint64_t buf)
{
	switch (cmd) {
	case IPC_STAT:
	case SHM_STAT:
	case SHM_STAT_ANY:
		return shm_stat(task, id, cmd, buf);
	case IPC_SET:
		return shm_set(task, id, buf);
	case IPC_RMID:
	case SHM_LOCK:
	case SHM_UNLOCK:
		return shm_mark(task, id, cmd);
	case IPC_INFO:
		return shm_limits(task, buf);
	case SHM_INFO:
		return shm_usage(task, buf);
	default:
		return -EINVAL;
	}
}
