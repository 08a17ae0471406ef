/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap/pool.c - spare stubs, the thread that makes them, the file of control pages and slots
 *
 * A stub takes a third of a millisecond to make, so a few are always there. The file is sparse:
 * first the control pages of all stubs, then their slots; it is mapped here once, and piece by
 * piece in the stubs.
 */
#include "sentry/trap/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "sentry/mm/memfile.h"

#define LOG_CATEGORY "sentry"
#include "base/log.h"

#define TRAP_KEEPER_STACK (64 * 1024)
#define HWCAP2_FSGSBASE	  2ul

static uint64_t pool_slots_at(void)
{
	return TRAP_STUBS_MAX * PAGE_SIZE;
}

static size_t pool_file_size(const struct trap_pool *pool)
{
	return pool_slots_at() + (size_t)TRAP_STUBS_MAX * pool->area_size;
}

struct trap_control *trap_area_control(const struct trap_pool *pool, unsigned area)
{
	return (void *)(pool->control + area * PAGE_SIZE);
}

/* The zygote's only slot is the page behind its control page: area 1 is never given out. */
uint64_t trap_area_offset(const struct trap_pool *pool, unsigned area)
{
	return area ? pool_slots_at() + area * pool->area_size : PAGE_SIZE;
}

uint8_t *trap_area_slots(const struct trap_pool *pool, unsigned area)
{
	return pool->control + trap_area_offset(pool, area);
}

int trap_area_get(struct trap_pool *pool)
{
	int r = -EAGAIN;

	pthread_mutex_lock(&pool->lock);
	for (unsigned i = 0; i < TRAP_STUBS_MAX / 64 && r < 0; i++)
		if (~pool->areas[i]) {
			int bit = __builtin_ctzll(~pool->areas[i]);

			pool->areas[i] |= UINT64_C(1) << bit;
			r = (int)(i * 64) + bit;
		}
	pthread_mutex_unlock(&pool->lock);
	return r;
}

static void pool_punch(struct trap_pool *pool, uint64_t offset, uint64_t size)
{
	fallocate(pool->control_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
		  (off_t)size);
}

void trap_area_drop(struct trap_pool *pool, unsigned area, unsigned from)
{
	uint64_t kept = from * pool->slot_size;

	pool_punch(pool, trap_area_offset(pool, area) + kept, pool->area_size - kept);
}

void trap_area_put(struct trap_pool *pool, unsigned area)
{
	trap_area_drop(pool, area, 0);
	pool_punch(pool, area * PAGE_SIZE, PAGE_SIZE);
	pthread_mutex_lock(&pool->lock);
	pool->areas[area / 64] &= ~(UINT64_C(1) << area % 64);
	pthread_mutex_unlock(&pool->lock);
}

static int pool_open_file(struct trap_pool *pool, struct coffer_error *err)
{
	void *p;

	pool->slot_size = trap_slot_size();
	pool->area_size = TRAP_THREADS_MAX * pool->slot_size;
	pool->control_fd = memfd_create("coffer-trap", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (pool->control_fd < 0)
		return err_sys(err, "file of stubs");
	if (ftruncate(pool->control_fd, (off_t)pool_file_size(pool)) < 0 ||
	    fcntl(pool->control_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_sys(err, "size of the file of stubs");
	p = mmap(NULL, pool_file_size(pool), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		 pool->control_fd, 0);
	if (p == MAP_FAILED)
		return err_sys(err, "map the file of stubs");
	pool->control = p;
	pool->areas[0] = 3;
	return 0;
}

/* Waits for a listener end with its last thread since 6.11. */
static bool pool_must_poll(void)
{
	struct utsname u;
	unsigned major, minor;

	/* NOLINTNEXTLINE(cert-err34-c): two numbers of the kernel's own making */
	return uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2 || major < 6 ||
	       (major == 6 && minor < 12);
}

static void pool_add_spare(struct trap_pool *pool, struct trap_stub *stub)
{
	pthread_mutex_lock(&pool->lock);
	stub->next = pool->spare;
	pool->spare = stub;
	pool->nspare++;
	pthread_mutex_unlock(&pool->lock);
}

static bool pool_keeper_wait(struct trap_pool *pool)
{
	bool go;

	pthread_mutex_lock(&pool->lock);
	while (!pool->closing && pool->nspare >= TRAP_SPARE_MIN)
		pthread_cond_wait(&pool->changed, &pool->lock);
	go = !pool->closing;
	pthread_mutex_unlock(&pool->lock);
	return go;
}

static void *pool_keeper(void *data)
{
	struct trap_pool *pool = data;
	struct trap_stub *stub;

	while (pool_keeper_wait(pool)) {
		int r = trap_stub_new(pool, &stub);

		if (!r) {
			pool_add_spare(pool, stub);
			continue;
		}
		/* Whoever needs one gets the error itself, and wakes us with the next request. */
		log_debug("no spare stub: %s", strerror(-r));
		pthread_mutex_lock(&pool->lock);
		if (!pool->closing)
			pthread_cond_wait(&pool->changed, &pool->lock);
		pthread_mutex_unlock(&pool->lock);
	}
	return NULL;
}

/* pool_begin() - The zygote, and one stub, which shows that this way works */
static int pool_begin(struct trap_pool *pool, enum trap_how how, struct coffer_error *err)
{
	struct trap_stub *stub;
	int r;

	pool->how = how;
	r = trap_zygote_start(pool, err);
	if (r < 0)
		return r;
	r = trap_stub_new(pool, &stub);
	if (r < 0) {
		trap_zygote_end(pool);
		return err_sysn(err, -r, "the first process for guests");
	}
	pool_add_spare(pool, stub);
	return 0;
}

static int pool_start(struct trap_pool *pool, enum trap_how how, struct coffer_error *err)
{
	int r;

	if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE))
		return err_unsupported(err, "guest programs need the FSGSBASE instructions");
	r = pool_open_file(pool, err);
	if (r < 0)
		return r;
	pool->poll_first = how == TRAP_NOTIFY_SLOW || pool_must_poll();
	if (how != TRAP_SIGNAL && !trap_listener_possible())
		how = TRAP_SIGNAL;
	r = pool_begin(pool, how, err);
	if (r < 0 && how != TRAP_SIGNAL) {
		/* A listener of somebody outside leaves no room for ours. */
		log_info("no notification listener can be had (%s): signals it is",
			 err ? err->message : "");
		err_clear(err);
		r = pool_begin(pool, TRAP_SIGNAL, err);
	}
	if (r < 0)
		return r;
	r = thread_start(&pool->keeper, TRAP_KEEPER_STACK, pool_keeper, pool);
	if (r < 0)
		return err_sysn(err, r, "thread for spare stubs");
	pool->has_keeper = true;
	return 0;
}

int trap_pool_new(struct memfile *memory, enum trap_how how, struct trap_pool **out,
		  struct coffer_error *err)
{
	struct trap_pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return err_nomem(err);
	pool->memory_fd = memfile_fd(memory);
	pool->control_fd = pool->zygote_sock = pool->zygote_pidfd = -1;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_mutex_init(&pool->zygote_lock, NULL);
	pthread_cond_init(&pool->changed, NULL);
	r = pool_start(pool, how, err);
	if (r < 0) {
		trap_pool_free(pool);
		return r;
	}
	*out = pool;
	return 0;
}

void trap_pool_free(struct trap_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->closing = true;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	if (pool->has_keeper)
		pthread_join(pool->keeper, NULL);
	while (pool->all)
		trap_stub_free(pool->all);
	trap_zygote_end(pool);
	if (pool->control)
		munmap(pool->control, pool_file_size(pool));
	close_fd(&pool->control_fd);
	pthread_cond_destroy(&pool->changed);
	pthread_mutex_destroy(&pool->zygote_lock);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

enum trap_how trap_pool_how(const struct trap_pool *pool)
{
	return pool->how;
}

int trap_pool_broken_fd(const struct trap_pool *pool)
{
	return pool->zygote_pidfd;
}

uint64_t trap_pool_vdso(const struct trap_pool *pool, size_t *size)
{
	*size = pool->vdso_size;
	return pool->vdso;
}

static struct trap_stub *pool_take(struct trap_pool *pool)
{
	struct trap_stub *stub;

	pthread_mutex_lock(&pool->lock);
	stub = pool->spare;
	if (stub) {
		pool->spare = stub->next;
		pool->nspare--;
	}
	if (pool->nspare < TRAP_SPARE_MIN)
		pthread_cond_signal(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	return stub;
}

void trap_pool_trim(struct trap_pool *pool)
{
	struct trap_stub *list, *stub;

	pthread_mutex_lock(&pool->lock);
	list = pool->spare;
	pool->spare = NULL;
	pool->nspare = 0;
	pthread_cond_signal(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	while ((stub = list)) {
		list = stub->next;
		trap_stub_free(stub);
	}
}

int trap_stub_get(struct trap_pool *pool, struct trap_stub **out)
{
	struct trap_stub *stub;

	while ((stub = pool_take(pool))) {
		if (!trap_stub_dead(stub)) {
			*out = stub;
			return 0;
		}
		trap_stub_free(stub);
	}
	return trap_stub_new(pool, out);
}
