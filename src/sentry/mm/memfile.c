/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/memfile.c - the memory file: references, and when a page may be used again
 *
 *	alloc -> references -> put: the last one -> limbo -> given back or kept dirty -> alloc
 *
 * A page leaves limbo two epochs after its last reference went. An epoch can only begin when
 * nobody is left in the one before the last, so whoever might have looked the page up is gone by
 * then (memfile_enter() counts into the epoch it sees). Without anybody inside that is at once.
 *
 * Short runs are kept as they are, up to MEMFILE_DIRTY pages: what copies over them (a write to a
 * page that is shared) saves the host's work for a fresh one. All else is punched out of the file.
 *
 * Any thread.
 */
#include "sentry/mm/memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "sentry/kernel.h"
#include "sentry/mm/chunk.h"
#include "sentry/mm/copy.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define MEMFILE_SIZE	 (UINT64_C(1) << 38) /* address space; halved until the host agrees */
#define MEMFILE_SIZE_MIN (UINT64_C(1) << 28)
/* Each page handed out costs four bytes of ours, touched or not. */
#define MEMFILE_PAGES_MAX ((UINT64_C(64) << 30) / PAGE_SIZE)
#define MEMFILE_FORGET	  (UINT64_C(64) << 20) /* so much is put: its counts' memory, too */
#define MEMFILE_DIRTY	 256u /* pages kept for reuse */
#define MEMFILE_RUN	 4u   /* longest run that is kept */

struct memfile {
	_Alignas(64) _Atomic unsigned inside[2]; /* threads, by epoch */
	_Atomic unsigned current; /* epoch, for memfile_enter() */
	_Atomic bool pending;	  /* there is something in limbo */
	bool reclaiming;	  /* lock: somebody is at it */
	bool bounded;
	int fd;
	unsigned epoch;		  /* lock for writing */
	uint8_t *base;
	uint64_t size;
	uint64_t allocated;	  /* pages; lock */
	struct chunk_map map;	  /* lock */
	pthread_mutex_t lock;
};

static _Thread_local struct {
	unsigned depth;
	unsigned which;
} memfile_section;

/* A file of a file system of its own, which is as large as @max: the host keeps the limit to the
 * page. Takes the right to mount. */
static int memfile_create_bounded(uint64_t max)
{
	char size[32];
	autoclose int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	autoclose int mount = -1;

	snprintf(size, sizeof(size), "%lu", PAGE_UP(max));
	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mount = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (mount < 0)
		return -errno;
	return openat(mount, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static int memfile_create(uint64_t size, uint64_t max, bool *bounded)
{
	autoclose int fd = max ? memfile_create_bounded(max) : -1;

	*bounded = fd >= 0;
	if (fd < 0)
		fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return -errno;
	if (!*bounded && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return steal_fd(&fd);
}

/* As large as this host lets us. */
static int memfile_map(struct memfile *mf)
{
	int r = -ENOMEM;

	for (mf->size = MEMFILE_SIZE; mf->size >= MEMFILE_SIZE_MIN; mf->size /= 2) {
		void *base = mmap(NULL, mf->size, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_NORESERVE, mf->fd, 0);

		if (base == MAP_FAILED) {
			r = -errno;
			continue;
		}
		mf->base = base;
		r = chunk_map_init(&mf->map, mf->size / PAGE_SIZE);
		if (!r)
			return 0;
		munmap(steal_ptr(mf->base), mf->size);
	}
	return r;
}

int memfile_new(uint64_t max, struct memfile **out, struct coffer_error *err)
{
	struct memfile *mf = aligned_alloc(64, PAGE_UP(sizeof(*mf)));
	int r;

	if (!mf)
		return err_nomem(err);
	memset(mf, 0, sizeof(*mf));
	pthread_mutex_init(&mf->lock, NULL);
	mf->fd = memfile_create(MEMFILE_SIZE, max, &mf->bounded);
	r = mf->fd < 0 ? mf->fd : memfile_map(mf);
	if (!r)
		r = copy_init();
	if (r) {
		memfile_free(mf);
		return err_sysn(err, r, "memory file");
	}
	copy_area_set(mf->base, mf->size, mf->fd);
	*out = mf;
	return 0;
}

void memfile_free(struct memfile *mf)
{
	if (!mf)
		return;
	copy_area_set(NULL, 0, -1);
	if (mf->base)
		munmap(mf->base, mf->size);
	chunk_map_free(&mf->map);
	close_fd(&mf->fd);
	pthread_mutex_destroy(&mf->lock);
	free(mf);
}

bool memfile_bounded(const struct memfile *mf)
{
	return mf->bounded;
}

int memfile_fd(const struct memfile *mf)
{
	return mf->fd;
}

void *memfile_ptr(const struct memfile *mf, uint64_t offset)
{
	return mf->base + offset;
}

static void memfile_punch(struct memfile *mf, uint64_t page, uint64_t n)
{
	if (fallocate(mf->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(page * PAGE_SIZE),
		      (off_t)(n * PAGE_SIZE)) < 0)
		copy_zeros(mf->base + page * PAGE_SIZE, n * PAGE_SIZE);
}

/* --- references --- */

static void memfile_zero_run(void *data, uint64_t page, uint64_t n)
{
	struct memfile *mf = data;

	copy_zeros(mf->base + page * PAGE_SIZE, n * PAGE_SIZE);
}

static int memfile_take(struct memfile *mf, uint64_t size, bool zeroed, uint64_t *offset)
{
	uint64_t n = size / PAGE_SIZE;
	uint64_t page = 0;
	int r = 0;

	pthread_mutex_lock(&mf->lock);
	if (n > MEMFILE_PAGES_MAX - mf->allocated || !chunk_take(&mf->map, n, &page)) {
		r = -ENOMEM;
	} else {
		chunk_clean(&mf->map, page, n, zeroed ? memfile_zero_run : NULL, mf);
		for (uint64_t i = 0; i < n; i++)
			mf->map.refs[page + i] = 1;
		mf->allocated += n;
	}
	pthread_mutex_unlock(&mf->lock);
	*offset = page * PAGE_SIZE;
	return r;
}

int memfile_alloc(struct memfile *mf, uint64_t size, uint64_t *offset)
{
	return memfile_take(mf, size, true, offset);
}

int memfile_alloc_raw(struct memfile *mf, uint64_t size, uint64_t *offset)
{
	return memfile_take(mf, size, false, offset);
}

void memfile_get(struct memfile *mf, uint64_t offset, uint64_t size)
{
	uint32_t *refs = mf->map.refs + offset / PAGE_SIZE;

	pthread_mutex_lock(&mf->lock);
	for (uint64_t i = 0; i < size / PAGE_SIZE; i++)
		refs[i]++;
	pthread_mutex_unlock(&mf->lock);
}

bool memfile_shared(struct memfile *mf, uint64_t offset)
{
	bool shared;

	pthread_mutex_lock(&mf->lock);
	shared = mf->map.refs[offset / PAGE_SIZE] > 1;
	pthread_mutex_unlock(&mf->lock);
	return shared;
}

bool memfile_alone(struct memfile *mf)
{
	unsigned mine = memfile_section.depth ? 1 : 0;

	return atomic_load(&mf->inside[0]) + atomic_load(&mf->inside[1]) == mine;
}

/* --- limbo --- */

/* What is buried where the next epoch will bury. The lock is dropped while the host works. */
static void memfile_release(struct memfile *mf, unsigned which)
{
	uint64_t page;
	uint64_t n;

	while ((n = chunk_exhume(&mf->map, which, &page))) {
		bool keep = n <= MEMFILE_RUN && mf->map.ndirty + n <= MEMFILE_DIRTY;

		if (!keep) {
			pthread_mutex_unlock(&mf->lock);
			memfile_punch(mf, page, n);
			pthread_mutex_lock(&mf->lock);
		}
		chunk_set_free(&mf->map, page, n, keep);
	}
}

/* Begin epochs as long as there is something to gain. Lock held. */
static void memfile_reclaim(struct memfile *mf)
{
	if (mf->reclaiming)
		return;
	mf->reclaiming = true;
	while (mf->map.limbo[0] || mf->map.limbo[1]) {
		unsigned which = (mf->epoch + 1) % 2;

		if (atomic_load(&mf->inside[which]))
			break;
		memfile_release(mf, which);
		/* Somebody slow may have come in under the old number meanwhile. */
		if (atomic_load(&mf->inside[which]))
			break;
		mf->epoch++;
		atomic_store(&mf->current, mf->epoch);
	}
	mf->reclaiming = false;
	atomic_store(&mf->pending, mf->map.limbo[0] || mf->map.limbo[1]);
}

void memfile_put(struct memfile *mf, uint64_t offset, uint64_t size)
{
	uint64_t page = offset / PAGE_SIZE;
	uint64_t end = page + size / PAGE_SIZE;

	pthread_mutex_lock(&mf->lock);
	while (page < end) {
		uint64_t n = 0;

		while (page < end && --mf->map.refs[page]) /* somebody else's too */
			page++;
		while (page + n < end && (n == 0 || mf->map.refs[page + n] == 1)) {
			mf->map.refs[page + n] = 0;
			n++;
		}
		if (n)
			chunk_bury(&mf->map, page, n, mf->epoch % 2);
		mf->allocated -= n;
		page += n;
	}
	if (size >= MEMFILE_FORGET)
		chunk_forget_refs(&mf->map, offset / PAGE_SIZE, end);
	memfile_reclaim(mf);
	pthread_mutex_unlock(&mf->lock);
}

void memfile_zero(struct memfile *mf, uint64_t offset, uint64_t size)
{
	memfile_punch(mf, offset / PAGE_SIZE, size / PAGE_SIZE);
}

int memfile_populate(struct memfile *mf, uint64_t offset, uint64_t size)
{
	uint64_t start = PAGE_DOWN(offset);

	return madvise(mf->base + start, PAGE_UP(offset + size) - start, MADV_POPULATE_WRITE) < 0
		       ? -ENOMEM
		       : 0;
}

void memfile_enter(struct memfile *mf)
{
	if (memfile_section.depth++)
		return;
	memfile_section.which = atomic_load(&mf->current) % 2;
	atomic_fetch_add(&mf->inside[memfile_section.which], 1);
}

void memfile_leave(struct memfile *mf)
{
	if (--memfile_section.depth)
		return;
	copy_area_repair();
	atomic_fetch_sub(&mf->inside[memfile_section.which], 1);
	if (!atomic_load(&mf->pending))
		return;
	pthread_mutex_lock(&mf->lock);
	memfile_reclaim(mf);
	pthread_mutex_unlock(&mf->lock);
}

void memfile_usage(struct memfile *mf, struct memfile_usage *out)
{
	struct stat st = { .st_blocks = 0 };

	fstat(mf->fd, &st);
	pthread_mutex_lock(&mf->lock);
	out->allocated = mf->allocated * PAGE_SIZE;
	pthread_mutex_unlock(&mf->lock);
	out->resident = (uint64_t)st.st_blocks * 512;
}
