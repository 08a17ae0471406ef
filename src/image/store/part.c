/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/store/part.c - blobs on their way into the store
 *
 *	parts/ALGORITHM-HEX, appended to -> hash and size agree -> synced -> blobs/ALGORITHM/HEX
 *
 * Who writes a part holds a flock(2) on it.  The name may be gone once the lock
 * has been got (it became a blob, or a prune took it), so the name is looked up
 * again then.  What is in a part that was left behind is hashed again; whether
 * it is right is seen at the end, as for everything else.
 *
 * Bytes are sent to the disk while more come, which makes the sync at the end
 * short.  The directory is synced when a name is given (names.c): before that
 * nobody is promised anything.
 *
 * Callers: the rest of image/.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "image/store/store_internal.h"

#define PART_UNKNOWN "new-" /* what has no digest yet */
#define PART_WAIT_MS 20
#define PART_CHUNK   ((size_t)1 << 20)

struct store_part {
	struct store *store; /* borrowed */
	struct hasher *hasher;
	struct digest digest; /* empty: not known before the end */
	uint64_t size;	      /* UINT64_MAX: likewise */
	uint64_t offset, flushed;
	int fd;
	bool done;
	char name[STORE_FILE_MAX];
};

/* ---- locks ---- */

static int part_cancelled(int cancel_fd, int timeout_ms, struct coffer_error *err)
{
	struct pollfd p = { .fd = cancel_fd, .events = POLLIN };

	if (poll(&p, 1, timeout_ms) > 0)
		return err_set(err, COFFER_ERR_CANCELLED, 0, "cancelled");
	return 0;
}

static bool part_is_named(int dir, const char *name, int fd)
{
	struct stat by_name, by_fd;

	return fstatat(dir, name, &by_name, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &by_fd) == 0 &&
	       by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev;
}

int store_hold(struct store *s, const char *name, int cancel_fd, struct coffer_error *err)
{
	for (;;) {
		autoclose int fd = openat(s->parts, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
					  STORE_PART_MODE);

		if (fd < 0)
			return err_sys(err, "image store %s: open parts/%s", s->path, name);
		while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			int r = 0;

			if (errno == EWOULDBLOCK)
				r = part_cancelled(cancel_fd, PART_WAIT_MS, err);
			else if (errno != EINTR)
				r = err_sys(err, "image store %s: lock parts/%s", s->path, name);
			if (r < 0)
				return r;
		}
		if (part_is_named(s->parts, name, fd))
			return steal_fd(&fd);
	}
}

int store_try_hold(int dir, const char *name)
{
	autoclose int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || !part_is_named(dir, name, fd))
		return -1;
	return steal_fd(&fd);
}

/* ---- beginning ---- */

static const char *part_blob(const struct store_part *p)
{
	return digest_is_empty(&p->digest) ? p->name : p->digest.text;
}

static int part_fail(const struct store_part *p, const char *what, struct coffer_error *err)
{
	return err_sys(err, "image store %s: %s parts/%s", p->store->path, what, p->name);
}

/* part_rehash() - Have a hasher that is where the part is */
static int part_rehash(struct store_part *p, int cancel_fd, struct coffer_error *err)
{
	autofree char *chunk = NULL;
	struct stat st;
	ssize_t n;
	int r = hasher_new(&p->digest, &p->hasher, err);

	if (r < 0)
		return r;
	if (fstat(p->fd, &st) < 0)
		return part_fail(p, "stat", err);
	if (st.st_size == 0)
		return 0;
	if ((uint64_t)st.st_size > p->size)
		return store_part_restart(p, err);
	chunk = malloc(PART_CHUNK);
	if (!chunk)
		return err_nomem(err);
	while ((n = pread(p->fd, chunk, PART_CHUNK, (off_t)p->offset)) != 0) {
		r = n < 0 ? part_fail(p, "read", err) : part_cancelled(cancel_fd, 0, err);
		if (r < 0)
			return r;
		hasher_update(p->hasher, chunk, (size_t)n);
		p->offset += (uint64_t)n;
	}
	p->flushed = p->offset;
	return 0;
}

/* Return: 1: the blob is there; 0; negative errno */
static int part_find_blob(const struct store_part *p, struct coffer_error *err)
{
	uint64_t size = 0;
	autoclose int fd = store_blob_open(p->store, &p->digest, &size, err);

	if (fd < 0)
		return fd == -ENOENT ? 0 : steal_fd(&fd);
	if (p->size != UINT64_MAX && p->size != size)
		return err_invalid(err, "blob %s: has %llu bytes, not %llu", p->digest.text,
				   (unsigned long long)size, (unsigned long long)p->size);
	return 1;
}

static int part_open_known(struct store_part *p, int cancel_fd, struct coffer_error *err)
{
	int r = part_find_blob(p, err);

	if (r != 0)
		return r;
	store_file_name("", &p->digest, "", p->name);
	p->fd = store_hold(p->store, p->name, cancel_fd, err);
	if (p->fd < 0)
		return p->fd;
	/* Who had it before us may have finished it. */
	r = part_find_blob(p, err);
	if (r == 1)
		unlinkat(p->store->parts, p->name, 0);
	return r != 0 ? r : part_rehash(p, cancel_fd, err);
}

/* Nobody can go on with what a process has left that was killed. */
static int part_sweep(void *data, const char *name, struct coffer_error *err)
{
	const struct store *s = data;
	autoclose int fd = -1;

	if (strncmp(name, PART_UNKNOWN, strlen(PART_UNKNOWN)) == 0)
		fd = store_try_hold(s->parts, name);
	if (fd >= 0)
		unlinkat(s->parts, name, 0);
	return 0;
}

static int part_open_unknown(struct store_part *p, struct coffer_error *err)
{
	int r = store_each(p->store->parts, "parts", part_sweep, p->store, err);

	if (r == 0)
		r = store_random_name(PART_UNKNOWN, p->name, err);
	if (r < 0)
		return r;
	p->fd = store_hold(p->store, p->name, -1, err);
	return p->fd < 0 ? p->fd : hasher_new(NULL, &p->hasher, err);
}

int store_part_open(struct store *s, const struct digest *d, uint64_t size, int cancel_fd,
		    struct store_part **out, struct coffer_error *err)
{
	CLEANUP(store_part_closep) struct store_part *p = calloc(1, sizeof(*p));
	int r;

	*out = NULL;
	if (!p)
		return err_nomem(err);
	p->store = s;
	p->fd = -1;
	p->size = size;
	if (d)
		p->digest = *d;
	r = d ? part_open_known(p, cancel_fd, err) : part_open_unknown(p, err);
	if (r == 0)
		*out = steal_ptr(p);
	return r;
}

/* ---- filling ---- */

uint64_t store_part_offset(const struct store_part *p)
{
	return p->offset;
}

int store_part_write(struct store_part *p, const void *data, size_t n, struct coffer_error *err)
{
	const char *at = data;

	if (n > p->size - p->offset)
		return err_invalid(err, "blob %s: is longer than its %llu bytes", part_blob(p),
				   (unsigned long long)p->size);
	hasher_update(p->hasher, data, n);
	while (n > 0) {
		ssize_t done = pwrite(p->fd, at, n, (off_t)p->offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return part_fail(p, "write", err);
		at += done;
		n -= (size_t)done;
		p->offset += (uint64_t)done;
	}
	if (p->offset - p->flushed >= STORE_WRITE_BEHIND) {
		/* Only a head start: the sync at the end is what counts. */
		sync_file_range(p->fd, (off_t)p->flushed, (off_t)(p->offset - p->flushed),
				SYNC_FILE_RANGE_WRITE);
		p->flushed = p->offset;
	}
	return 0;
}

int store_part_restart(struct store_part *p, struct coffer_error *err)
{
	int r;

	hasher_freep(&p->hasher);
	p->hasher = NULL;
	p->offset = p->flushed = 0;
	r = hasher_new(digest_is_empty(&p->digest) ? NULL : &p->digest, &p->hasher, err);
	if (r < 0)
		return r;
	return ftruncate(p->fd, 0) < 0 ? part_fail(p, "truncate", err) : 0;
}

/* ---- the end ---- */

static int part_verify(struct store_part *p, struct digest *is, struct coffer_error *err)
{
	int r;

	if (p->size != UINT64_MAX && p->offset != p->size)
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, EBADMSG,
			       "blob %s: ends after %llu of %llu bytes", part_blob(p),
			       (unsigned long long)p->offset, (unsigned long long)p->size);
	r = hasher_end(p->hasher, is, err);
	if (r < 0 || digest_is_empty(&p->digest) || digest_is_equal(&p->digest, is))
		return r;
	unlinkat(p->store->parts, p->name, 0);
	p->done = true;
	return err_set(err, COFFER_ERR_INVALID_ARGUMENT, EBADMSG,
		       "blob %s: what came has the digest %s", p->digest.text, is->text);
}

int store_part_commit(struct store_part *p, struct store_lease *l, struct digest *out,
		      struct coffer_error *err)
{
	struct digest is;
	int r = part_verify(p, &is, err);

	/* Before it can be seen, and so be pruned. */
	if (r == 0 && l)
		r = store_lease_add(l, &is, err);
	if (r < 0)
		return r;
	if (fchmod(p->fd, STORE_BLOB_MODE) < 0 || fdatasync(p->fd) < 0)
		return part_fail(p, "sync", err);
	if (renameat(p->store->parts, p->name, store_blob_dir(p->store, &is), digest_hex(&is)) < 0)
		return part_fail(p, "rename", err);
	p->done = true;
	if (out)
		*out = is;
	return 0;
}

void store_part_close(struct store_part *p)
{
	/* Nobody could find it again. */
	if (!p->done && p->fd >= 0 && digest_is_empty(&p->digest))
		unlinkat(p->store->parts, p->name, 0);
	if (p->hasher)
		hasher_free(p->hasher);
	close_fd(&p->fd);
	free(p);
}
