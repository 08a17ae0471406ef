/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/map.c - mmap(2) and munmap(2)
 *
 * A mapping is one trip to the stub: what was there goes by being mapped over. Private anonymous
 * memory gets its pages' places at once, up to MAP_EAGER_MAX, so that the host's kernel fills it
 * without us; more than that comes in large runs as it is touched. The same for what a file has
 * ready (fault_map_file()). PROT_NONE costs nothing.
 *
 * Called by syscalls/mm.c, and by the other files here for programs, shared memory and the like.
 */
#include "sentry/mm/space.h"

#include <errno.h>
#include <stddef.h>

#include "sentry/task/task.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

#define MAP_LOW_START UINT64_C(0x40000000) /* MAP_32BIT */
#define MAP_LOW_END   UINT64_C(0x80000000)

/* Never called: a file with these is anonymous memory. */
static int map_zero_translate(struct mappable *m, uint64_t offset, uint64_t len, bool write,
			      struct mappable_range *out)
{
	(void)m, (void)offset, (void)len, (void)write, (void)out;
	return -ENXIO;
}

const struct mappable_ops mm_zero_ops = { .translate = map_zero_translate };

static bool map_limit_hit(struct task *task, unsigned resource, uint64_t used, uint64_t more)
{
	uint64_t limit = task ? task_limit(task, resource) : RLIM_INFINITY;

	return limit != RLIM_INFINITY && (used > limit || more > limit - used);
}

int map_one_more(const struct mm *mm)
{
	if (mm->vmas.count >= SPACE_VMAS_MAX || mm->pieces.count >= SPACE_PIECES_GUEST)
		return -ENOMEM;
	return 0;
}

int map_limits(struct mm *mm, struct task *task, uint64_t len, int prot, unsigned flags)
{
	if (map_one_more(mm))
		return -ENOMEM;
	if (map_limit_hit(task, RLIMIT_AS, mm->map_total, len))
		return -ENOMEM;
	if ((prot & PROT_WRITE) && !(flags & VMA_SHARED) &&
	    map_limit_hit(task, RLIMIT_DATA, mm->map_data, len))
		return -ENOMEM;
	if ((flags & VMA_LOCKED) && map_limit_hit(task, RLIMIT_MEMLOCK, mm->map_locked, len))
		return -EAGAIN;
	return 0;
}

/* Whether @map's file may be mapped so; adds what mprotect(2) may add later. */
static int map_check_file(const struct mm_map *map, unsigned *flags)
{
	const struct file *file = map->file;
	bool no_exec = file->mount && (mount_flags(file->mount) & MNT_NOEXEC);

	if (!file_readable(file))
		return -EACCES;
	if ((*flags & VMA_SHARED) && (map->prot & PROT_WRITE) && !file_writable(file))
		return -EACCES;
	if (no_exec && (map->prot & PROT_EXEC))
		return -EPERM;
	if (!file->inode || !file->inode->mapping.ops)
		return -ENODEV;
	if (map->flags & MAP_GROWSDOWN)
		return -EINVAL;
	if ((*flags & VMA_SHARED) && !file_writable(file))
		*flags &= ~(unsigned)VMA_MAY_WRITE;
	if (no_exec)
		*flags &= ~(unsigned)VMA_MAY_EXEC;
	return 0;
}

static int map_check(const struct mm_map *map, unsigned *flags)
{
	int type = map->flags & MAP_TYPE;

	if (!map->len || (map->offset & (PAGE_SIZE - 1)))
		return -EINVAL;
	if (map->len > GUEST_END)
		return -ENOMEM;
	if (map->offset + map->len < map->offset || (int64_t)(map->offset + map->len) < 0)
		return -EOVERFLOW;
	if (type != MAP_PRIVATE && type != MAP_SHARED &&
	    (type != MAP_SHARED_VALIDATE || !map->file))
		return -EINVAL;
	*flags = VMA_MAY_WRITE | VMA_MAY_EXEC;
	if (type != MAP_PRIVATE)
		*flags |= VMA_SHARED;
	if (map->flags & (MAP_GROWSDOWN))
		*flags |= VMA_GROWS_DOWN;
	if (map->flags & MAP_LOCKED)
		*flags |= VMA_LOCKED;
	if (map->flags & MAP_NORESERVE)
		*flags |= VMA_NO_RESERVE;
	if (map->file)
		return map_check_file(map, flags);
	return (*flags & VMA_SHARED) && (*flags & VMA_GROWS_DOWN) ? -EINVAL : 0;
}

/* Where it goes. */
static int map_find(struct mm *mm, const struct mm_map *map, uint64_t *addr)
{
	uint64_t hint = PAGE_DOWN(map->addr);

	if (map->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		const struct vma *vma;

		if (map->addr & (PAGE_SIZE - 1))
			return -EINVAL;
		if (map->addr < GUEST_START)
			return -EPERM;
		if (map->addr > GUEST_END || map->len > GUEST_END - map->addr)
			return -ENOMEM;
		vma = ranges_find(&mm->vmas, map->addr, NULL);
		if ((map->flags & MAP_FIXED_NOREPLACE) && vma &&
		    vma->r.start < map->addr + map->len)
			return -EEXIST;
		*addr = map->addr;
		return 0;
	}
	if (map->flags & MAP_32BIT) {
		*addr = vma_room(mm, 0, map->len, MAP_LOW_END);
		return *addr >= MAP_LOW_START ? 0 : -ENOMEM;
	}
	*addr = vma_room(mm, hint, map->len, mm->map_base);
	if (!*addr)
		*addr = vma_room(mm, 0, map->len, GUEST_END);
	return *addr ? 0 : -ENOMEM;
}

/* What of a new VMA is had at once. */
static int map_fill(struct mm *mm, const struct vma *vma)
{
	if (vma->prot == PROT_NONE)
		return 0;
	if (vma_mappable(vma))
		return fault_map_file(mm, vma);
	if (vma->r.end - vma->r.start > MAP_EAGER_MAX)
		return 0;
	return piece_fill(mm, vma->r.start, vma->r.end, vma);
}

int map_place(struct mm *mm, const struct mm_map *map, uint64_t addr, unsigned flags)
{
	bool anonymous = !map->file || map->file->inode->mapping.ops == &mm_zero_ops;
	uint64_t end = addr + map->len;
	struct vma vma = { .r = { .start = addr, .end = end },
			   .prot = (uint8_t)map->prot,
			   .flags = (uint16_t)flags };
	int r = vma_reserve(mm);

	if (!r && anonymous && (flags & VMA_SHARED))
		r = shared_new(map->len, &vma.shared);
	if (r)
		return r;
	if (!anonymous) {
		vma.file = map->file;
		vma.r.offset = map->offset;
	}
	vma_hold(&vma);
	if (vma.shared)
		shared_put(vma.shared);
	vma_cut(mm, addr);
	vma_cut(mm, end);
	/* Unless the new one covers all of it, the stub has to be told. */
	vma_remove(mm, addr, end,
		   map->prot == PROT_NONE || !anonymous || map->len > MAP_EAGER_MAX);
	vma_insert(mm, &vma);
	r = map_fill(mm, &vma);
	if (r) {
		vma_cut(mm, addr); /* joined to a neighbour it may be */
		vma_cut(mm, end);
		vma_remove(mm, addr, end, true);
	}
	return r == -EAGAIN ? -ENOMEM : r;
}

int mm_map(struct mm *mm, struct task *task, const struct mm_map *args, uint64_t *addr)
{
	struct mm_map map = *args;
	unsigned flags;
	uint64_t at = 0;
	int broken;
	int r;

	map.len = PAGE_UP(args->len);
	if (args->len && !map.len)
		return -ENOMEM;
	r = map_check(&map, &flags);
	if (r)
		return r;
	space_lock(mm);
	if (mm->lock_future)
		flags |= VMA_LOCKED;
	r = map_find(mm, &map, &at);
	if (!r)
		r = map_limits(mm, task, map.len, map.prot, flags);
	if (!r)
		r = map_place(mm, &map, at, flags);
	if (!r && (map.flags & (MAP_POPULATE | MAP_LOCKED)) && map.prot != PROT_NONE &&
	    !(map.flags & MAP_NONBLOCK))
		fault_populate(mm, at, at + map.len);
	broken = space_unlock(mm);
	*addr = at;
	return r ? r : broken;
}

int mm_unmap(struct mm *mm, uint64_t addr, uint64_t len)
{
	uint64_t end = addr + PAGE_UP(len);
	int r;

	if ((addr & (PAGE_SIZE - 1)) || !len || addr > GUEST_END || PAGE_UP(len) > GUEST_END - addr)
		return -EINVAL;
	if (!PAGE_UP(len))
		return -EINVAL;
	space_lock(mm);
	r = vma_reserve(mm);
	if (!r && mm->vmas.count + 1 >= SPACE_VMAS_MAX) {
		const struct vma *vma = vma_at(mm, addr);

		/* In the middle of one: that makes two. */
		if (vma && vma->r.start < addr && vma->r.end > end)
			r = -ENOMEM;
	}
	if (!r) {
		vma_cut(mm, addr);
		vma_cut(mm, end);
		vma_remove(mm, addr, end, true);
	}
	return space_unlock(mm) ? -ENOMEM : r;
}

int mm_unmap_file(struct mm *mm, uint64_t addr, bool (*is)(const struct file *file))
{
	const struct file *file = NULL;
	struct ranges_pos pos;
	const struct vma *vma;
	int r = -EINVAL;

	space_lock(mm);
	if (vma_reserve(mm) < 0) {
		space_unlock(mm);
		return -ENOMEM;
	}
	vma = ranges_find(&mm->vmas, addr, &pos);
	while (vma) {
		uint64_t start = vma->r.start, end = vma->r.end;

		if (vma->file && (!file || vma->file == file) && is(vma->file) &&
		    start - addr == vma->r.offset) {
			file = vma->file;
			r = 0;
			vma_remove(mm, start, end, true);
			vma = ranges_find(&mm->vmas, end, &pos);
		} else {
			vma = ranges_next(&mm->vmas, &pos);
		}
	}
	return space_unlock(mm) ? -ENOMEM : r;
}

int mm_remap_pages(struct mm *mm, uint64_t addr, uint64_t len, uint64_t pgoff)
{
	struct mm_map map = { .addr = addr,
			      .len = PAGE_DOWN(len),
			      .flags = MAP_SHARED | MAP_FIXED };
	const struct vma *vma;
	unsigned flags = 0;
	int r = -EINVAL;

	if ((addr & (PAGE_SIZE - 1)) || !map.len || addr + map.len < addr ||
	    pgoff > (UINT64_MAX >> 13) - len / PAGE_SIZE)
		return -EINVAL;
	map.offset = pgoff * PAGE_SIZE;
	space_lock(mm);
	vma = vma_at(mm, addr);
	if (vma && vma->file && (vma->flags & VMA_SHARED) && vma->r.end >= addr + map.len) {
		map.file = file_get(vma->file);
		map.prot = vma->prot;
		flags = vma->flags;
		r = map_one_more(mm);
		if (!r)
			r = map_place(mm, &map, addr, flags);
	}
	if (space_unlock(mm) && !r)
		r = -ENOMEM;
	if (map.file)
		file_put(map.file);
	return r;
}
