/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap/map.c - changes of a stub's address space
 *
 * They are written to the control page as calls with their arguments, checked here, and made by
 * the mapper in one trip; its outcome comes in a register of its next event, which no guest can
 * forge. A host file is put into the stub's descriptor table for that trip only.
 */
#include "sentry/trap/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* A trip in the making. */
struct map_batch {
	struct trap_stub *stub;
	size_t nops;
	int fds[TRAP_OPS_MAX]; /* host files, at TRAP_FD_FILES and on */
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
	struct seccomp_notif event;
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

static uint64_t batch_files_at(const struct map_batch *batch)
{
	return batch->stub->pool->how == TRAP_SIGNAL ? TRAP_FD_TRANSIT : TRAP_FD_FILES;
}

static void batch_close(struct map_batch *batch)
{
	for (size_t i = 0; i < batch->nfds; i++)
		batch_op(batch, SYS_close, batch_files_at(batch) + i, 0, 0, 0, 0, 0);
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
	return r;
}

/* Room for one more, its file, and closing all of them. */
static bool batch_is_full(const struct map_batch *batch)
{
	return batch->nops + batch->nfds + 2 > TRAP_OPS_MAX ||
	       (batch->nfds == TRAP_FDS_SENT && batch->stub->pool->how == TRAP_SIGNAL);
}

/* A file that several pieces are of is passed once. */
static int batch_file(struct map_batch *batch, int fd, uint64_t *theirs)
{
	struct trap_stub *stub = batch->stub;
	size_t i;
	int r = 0;

	for (i = 0; i < batch->nfds; i++)
		if (batch->fds[i] == fd)
			break;
	*theirs = batch_files_at(batch) + i;
	if (i < batch->nfds)
		return 0;
	if (stub->pool->how != TRAP_SIGNAL)
		r = trap_listener_add(stub->mapper, stub->mapper_id, fd, (int)*theirs);
	if (!r)
		batch->fds[batch->nfds++] = fd;
	return r;
}

static int batch_mmap(struct map_batch *batch, const struct trap_map *map)
{
	uint64_t flags = MAP_FIXED | (map->populate ? MAP_POPULATE : 0);
	uint64_t fd = TRAP_FD_MEMORY;
	int r = 0;

	flags |= map->kind == TRAP_MAP_HOST && map->private_copy ? MAP_PRIVATE : MAP_SHARED;
	if (map->kind == TRAP_MAP_HOST)
		r = batch_file(batch, map->fd, &fd);
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
		batch_op(batch, SYS_madvise, map->addr, map->len, MADV_POPULATE_READ, 0, 0, 0);
		return 0;
	}
	return -EINVAL;
}

int trap_stub_map(struct trap_stub *stub, const struct trap_map *maps, size_t nmaps)
{
	struct map_batch batch = { .stub = stub };
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
	else if (batch.nfds) /* they are still in its table */
		trap_stub_kill(stub);
	pthread_mutex_unlock(&stub->lock);
	return r;
}
