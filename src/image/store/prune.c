/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/store/prune.c - removing what nobody can reach
 *
 * Under the exclusive lock: names, then leases (those of dead processes are
 * removed) say what stays; blobs, roots and parts that they do not lead to go.
 * Transfers only need the lock for the moment in which they add to a lease.
 * Parts are held by their writers and roots by the machines that run on them;
 * these are left, and are no error.
 *
 * Callers: the rest of image/.
 */
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "image/store/store_internal.h"

struct prune {
	struct store *store;
	struct reach reach;
	struct reach *only; /* nothing else goes; NULL: all that is not in @reach */
	struct coffer_prune *out;
	int dir;	       /* what is gone through */
	const char *algorithm; /* of the blobs there */
};

/* prune_unlink() - Remove @name of @p->dir, and count it. Missing is fine */
static int prune_unlink(struct prune *p, const char *name, uint64_t *count,
			struct coffer_error *err)
{
	uint64_t used;
	struct stat st;

	if (fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || unlinkat(p->dir, name, 0) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "remove %s", name);
	/* Holes take no space, and the end of the last block is not worth mentioning. */
	used = (uint64_t)st.st_blocks * 512;
	++*count;
	p->out->bytes += used < (uint64_t)st.st_size ? used : (uint64_t)st.st_size;
	return 0;
}

/* ---- what stays ---- */

static int prune_names(struct prune *p, bool all, struct coffer_error *err)
{
	CLEANUP(index_free) struct index x = { 0 };
	size_t kept = 0, had;
	int r = store_index_read(p->store, &x, err);

	if (r < 0)
		return r;
	had = x.count;
	for (size_t i = 0; i < had; i++) {
		if (all || (!x.list[i].ref_name && !p->only))
			descriptor_free(&x.list[i]);
		else
			x.list[kept++] = x.list[i];
	}
	x.count = kept;
	if (kept < had)
		r = store_index_write(p->store, &x, err);
	for (size_t i = 0; r >= 0 && i < x.count; i++)
		r = reach_from(&p->reach, &x.list[i], err);
	return r < 0 ? r : 0;
}

/* @data: a struct reach */
static int prune_lease_digest(void *data, const struct digest *d, struct coffer_error *err)
{
	return reach_from_digest(data, d, err);
}

static int prune_lease(void *data, const char *name, struct coffer_error *err)
{
	struct prune *p = data;
	autoclose int dead = store_try_hold(p->store->leases, name);

	if (dead < 0)
		return store_lease_digests(p->store, name, prune_lease_digest, &p->reach, err);
	unlinkat(p->store->leases, name, 0);
	return 0;
}

/* ---- what goes ---- */

static bool prune_stays(const struct prune *p, const struct digest *d)
{
	return reach_has(&p->reach, d) || (p->only && !reach_has(p->only, d));
}

static int prune_blob(void *data, const char *name, struct coffer_error *err)
{
	struct prune *p = data;
	struct digest d;

	if (!store_blob_digest(p->algorithm, name, &d) || prune_stays(p, &d))
		return 0;
	return prune_unlink(p, name, &p->out->blobs, err);
}

/* First: below a manifest that is there all has to be, also when we are killed on the way. */
static int prune_manifest(void *data, const char *name, struct coffer_error *err)
{
	struct prune *p = data;
	struct digest d;

	if (!store_blob_digest(p->algorithm, name, &d) || prune_stays(p, &d) ||
	    !store_blob_is_manifest(p->store, &d))
		return 0;
	return prune_unlink(p, name, &p->out->blobs, err);
}

static int prune_root(void *data, const char *name, struct coffer_error *err)
{
	struct prune *p = data;
	struct digest d;
	autoclose int fd = -1;

	if (!store_file_digest(name, STORE_ROOT_SUFFIX, &d) || prune_stays(p, &d))
		return 0;
	fd = store_try_hold(p->dir, name);
	return fd < 0 ? 0 : prune_unlink(p, name, &p->out->roots, err);
}

static int prune_part(void *data, const char *name, struct coffer_error *err)
{
	struct prune *p = data;
	autoclose int fd = -1;
	struct digest d;

	/* Somebody is about to go on with it. */
	if (store_file_digest(name, "", &d) ? prune_stays(p, &d) : p->only != NULL)
		return 0;
	fd = store_try_hold(p->dir, name);
	return fd < 0 ? 0 : prune_unlink(p, name, &p->out->parts, err);
}

/* Files are only written here with the lock held. */
static int prune_aside(void *data, const char *name, struct coffer_error *err)
{
	struct prune *p = data;
	size_t n = strlen(name);

	if (n < 4 || strcmp(name + n - 4, ".tmp") != 0)
		return 0;
	return prune_unlink(p, name, &p->out->parts, err);
}

static int prune_rest(struct prune *p, struct coffer_error *err)
{
	const struct {
		int dir;
		const char *name, *algorithm;
		int (*fn)(void *data, const char *name, struct coffer_error *err);
	} dirs[] = {
		{ p->store->sha256, "blobs/sha256", "sha256", prune_manifest },
		{ p->store->sha512, "blobs/sha512", "sha512", prune_manifest },
		{ p->store->sha256, "blobs/sha256", "sha256", prune_blob },
		{ p->store->sha512, "blobs/sha512", "sha512", prune_blob },
		{ p->store->roots, "roots", NULL, prune_root },
		{ p->store->parts, "parts", NULL, prune_part },
		{ p->store->dir, "the directory", NULL, prune_aside },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++) {
		p->dir = dirs[i].dir;
		p->algorithm = dirs[i].algorithm;
		r = store_each(dirs[i].dir, dirs[i].name, dirs[i].fn, p, err);
	}
	return r;
}

static int prune_locked(struct prune *p, bool all, struct coffer_error *err)
{
	int r;

	*p->out = (struct coffer_prune){ .size = p->out->size };
	r = prune_names(p, all, err);
	if (r == 0)
		r = store_each(p->store->leases, "leases", prune_lease, p, err);
	if (r == 0)
		r = prune_rest(p, err);
	reach_free(&p->reach);
	return r < 0 ? err_wrap(err, "prune") : 0;
}

int store_prune(struct store *s, bool all, struct coffer_prune *out, struct coffer_error *err)
{
	struct coffer_prune none = { .size = sizeof(none) };
	struct prune p = { .store = s, .reach = { .store = s }, .out = out ? out : &none };
	autoclose int lock = store_lock(s, LOCK_EX, err);

	return lock < 0 ? steal_fd(&lock) : prune_locked(&p, all, err);
}

int store_prune_lease(struct store *s, const char *name, struct coffer_error *err)
{
	struct coffer_prune none = { .size = sizeof(none) };
	struct reach only = { .store = s };
	struct prune p = { .store = s, .reach = { .store = s }, .only = &only, .out = &none };
	autoclose int lock = store_lock(s, LOCK_EX, err);
	int r;

	if (lock < 0)
		return steal_fd(&lock);
	r = store_lease_digests(s, name, prune_lease_digest, &only, err);
	unlinkat(s->leases, name, 0);
	if (r >= 0)
		r = prune_locked(&p, false, err);
	reach_free(&only);
	return r;
}
