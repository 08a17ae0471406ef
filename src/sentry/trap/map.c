/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap/map.c - changes of a stub's address space
 *
 * They are written to the control page as calls with their arguments, checked here, and made by
 * the mapper in one trip; its outcome comes in a register of its next event, which no guest can
 * forge.
 *
 * A host file must be in the stub's descriptor table for that. Putting it there costs two trips
 * between processors, libraries are mapped a piece at a time, and the next guest is often of the
 * same program, so the last few stay. A guest cannot do anything with a descriptor: no call of its
 * own reaches the host. Those that hold a file system busy go with trap_pool_trim().
 */
#include "sentry/trap/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* A trip in the making. */
struct map_batch {
	struct trap_stub *stub;
	size_t nops;
	uint32_t files;	       /* bits of those that it needs */
	int last_fd, last_file; /* the last one, for pieces of one file come together */
	/* Where there is no listener: sent along with the trip, closed at its end. */
	int fds[TRAP_FDS_SENT];
	size_t nfds;
};

/* Without a listener files come along with the byte, and land at the lowest free numbers. */
static int ops_ask(struct trap_stub *stub, const int *fds, size_t nfds)
{
	int r = trap_stub_ask(stub, TRAP_DO_OPS, fds, nfds, NULL, NULL);

	return r < 0 ? r : 1 - r;
}

static int ops_run(struct trap_stub *stub, size_t nops, const int *fds, size_t nfds)
{
	struct seccomp_notif event = { 0 };
	int r;

	if (atomic_load(&stub->dead))
		return -ESRCH;
	stub->control->nops = nops;
	if (stub->pool->how == TRAP_SIGNAL)
		return ops_ask(stub, fds, nfds);
	r = trap_listener_answer(stub->mapper, stub->mapper_id, 0);
	if (!r)
		r = trap_listener_receive(stub->pool, stub->mapper, &event);
	if (r < 0) {
		trap_stub_kill(stub);
		return -ESRCH;
	}
	stub->mapper_id = event.id;
	return -(int)event.data.args[0];
}

int trap_ops_run(struct trap_stub *stub, size_t nops)
{
	return ops_run(stub, nops, NULL, 0);
}

static void batch_op(struct map_batch *batch, uint64_t nr, uint64_t a, uint64_t b, uint64_t c,
		     uint64_t d, uint64_t e, uint64_t f)
{
	batch->stub->control->ops[batch->nops++] =
		(struct trap_op){ .nr = nr, .args = { a, b, c, d, e, f } };
}

static void batch_close(struct map_batch *batch)
{
	for (size_t i = 0; i < batch->nfds; i++)
		batch_op(batch, SYS_close, TRAP_FD_TRANSIT + i, 0, 0, 0, 0, 0);
}

static int batch_run(struct map_batch *batch)
{
	int r;

	if (!batch->nops)
		return 0;
	batch_close(batch);
	r = ops_run(batch->stub, batch->nops, batch->fds, batch->nfds);
	batch->nops = 0;
	if (r < 0 && r != -ESRCH && batch->nfds) {
		/* The list ended before its end. */
		batch_close(batch);
		if (trap_ops_run(batch->stub, batch->nops) == -ESRCH)
			r = -ESRCH;
	}
	batch->nops = 0;
	batch->nfds = 0;
	batch->files = 0;
	batch->last_fd = -1;
	return r;
}

/* Room for one more, its file, and closing all of them. */
static bool batch_is_full(const struct map_batch *batch)
{
	return batch->nops + batch->nfds + 2 > TRAP_OPS_MAX || batch->nfds == TRAP_FDS_SENT ||
	       batch->files == (1u << TRAP_FILES) - 1;
}

static int batch_send_file(struct map_batch *batch, int fd, uint64_t *theirs)
{
	size_t i;

	for (i = 0; i < batch->nfds && batch->fds[i] != fd; i++)
		;
	if (i == batch->nfds)
		batch->fds[batch->nfds++] = fd;
	*theirs = TRAP_FD_TRANSIT + i;
	return 0;
}

/* Some file systems give several files one number, so the rest has to be the same as well. A file
 * that has changed is passed once more. */
static bool file_is(const struct trap_file *a, const struct trap_file *b)
{
	return a->flags == b->flags && a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* The place of the one that was not used for longest, but not of one that this trip needs. */
static unsigned batch_oldest(const struct map_batch *batch)
{
	const struct trap_file *files = batch->stub->files;
	unsigned best = 0;

	while (batch->files & 1u << best)
		best++;
	for (unsigned i = best + 1; i < TRAP_FILES; i++)
		if (!(batch->files & 1u << i) && files[i].used < files[best].used)
			best = i;
	return best;
}

static int batch_file(struct map_batch *batch, int fd, uint64_t *theirs)
{
	struct trap_stub *stub = batch->stub;
	struct trap_file file = { 0 };
	struct stat st;
	unsigned i;
	int r = 0;

	*theirs = TRAP_FD_FILES + (uint64_t)batch->last_file;
	if (fd == batch->last_fd)
		return 0;
	file.flags = fcntl(fd, F_GETFL);
	if (file.flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	file.dev = st.st_dev;
	file.ino = st.st_ino;
	file.size = (uint64_t)st.st_size;
	file.changed = st.st_ctim;
	for (i = 0; i < TRAP_FILES; i++)
		if (stub->files[i].used && file_is(&stub->files[i], &file))
			break;
	if (i == TRAP_FILES) {
		i = batch_oldest(batch);
		r = trap_listener_add(stub->mapper, stub->mapper_id, fd, TRAP_FD_FILES + (int)i);
		if (r < 0)
			return r;
		stub->files[i] = file;
	}
	stub->files[i].used = ++stub->file_uses;
	batch->files |= 1u << i;
	batch->last_fd = fd;
	batch->last_file = (int)i;
	*theirs = TRAP_FD_FILES + i;
	return r;
}

static int batch_mmap(struct map_batch *batch, const struct trap_map *map)
{
	uint64_t flags = MAP_FIXED | (map->populate ? MAP_POPULATE : 0);
	uint64_t fd = TRAP_FD_MEMORY;
	int r = 0;

	flags |= map->kind == TRAP_MAP_HOST && map->private_copy ? MAP_PRIVATE : MAP_SHARED;
	if (map->kind == TRAP_MAP_HOST)
		r = batch->stub->pool->how == TRAP_SIGNAL ?
			    batch_send_file(batch, map->fd, &fd) :
			    batch_file(batch, map->fd, &fd);
	if (!r)
		batch_op(batch, SYS_mmap, map->addr, map->len, (uint64_t)map->prot, flags, fd,
			 map->offset);
	return r;
}

static bool map_is_sane(const struct trap_map *map)
{
	return !((map->addr | map->len | map->offset) & (PAGE_SIZE - 1)) && map->len &&
	       map->addr >= GUEST_START && map->addr < GUEST_END &&
	       map->len <= GUEST_END - map->addr &&
	       !(map->prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC));
}

/* A trip of its own, for it is no more than a hint: what cannot be read stays as it is. */
static int batch_populate(struct map_batch *batch, const struct trap_map *map)
{
	int r = batch_run(batch);

	if (r)
		return r;
	batch_op(batch, SYS_madvise, map->addr, map->len, MADV_POPULATE_READ, 0, 0, 0);
	return batch_run(batch) == -ESRCH ? -ESRCH : 0;
}

static int batch_add(struct map_batch *batch, const struct trap_map *map)
{
	switch (map->kind) {
	case TRAP_MAP_MEMORY:
	case TRAP_MAP_HOST:
		return batch_mmap(batch, map);
	case TRAP_UNMAP:
		batch_op(batch, SYS_munmap, map->addr, map->len, 0, 0, 0, 0);
		return 0;
	case TRAP_PROTECT:
		batch_op(batch, SYS_mprotect, map->addr, map->len, (uint64_t)map->prot, 0, 0, 0);
		return 0;
	case TRAP_DISCARD:
		batch_op(batch, SYS_madvise, map->addr, map->len, MADV_DONTNEED, 0, 0, 0);
		return 0;
	case TRAP_POPULATE:
		return batch_populate(batch, map);
	}
	return -EINVAL;
}

int trap_stub_map(struct trap_stub *stub, const struct trap_map *maps, size_t nmaps)
{
	struct map_batch batch = { .stub = stub, .last_fd = -1 };
	int r = 0;

	for (size_t i = 0; i < nmaps; i++)
		if (!map_is_sane(&maps[i]))
			return -EINVAL;
	pthread_mutex_lock(&stub->lock);
	for (size_t i = 0; i < nmaps && !r; i++) {
		if (batch_is_full(&batch))
			r = batch_run(&batch);
		if (!r)
			r = batch_add(&batch, &maps[i]);
	}
	if (!r)
		r = batch_run(&batch);
	pthread_mutex_unlock(&stub->lock);
	return r;
}
