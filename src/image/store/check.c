/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/store/check.c - verifying everything in the store
 *
 *	every blob is hashed; every root's file system is opened; every name is followed
 *
 * Hashing takes long and is done without the lock; what a prune takes away
 * meanwhile is no fault.  Names are followed with the lock held, so that what
 * they lead to stands still.  Repairing removes damaged blobs and roots, then
 * manifests and names that lead to what is missing: the next pull fetches it all.  Parts and
 * leases cannot be at fault: they are looked at when they are used.
 *
 * Callers: the rest of image/.
 */
#include <com_err.h>
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "image/store/store_internal.h"

#define CHECK_CHUNK ((size_t)1 << 20)

struct check {
	struct store *store;
	bool repair;
	void (*found)(void *data, const char *fault);
	void *data;
	int faults;
	const char *name;      /* whose blobs are being followed */
	bool told;	       /* of that name */
	const char *algorithm; /* of the blobs that are gone through */
	char *chunk;
	struct reach reach;
};

__attribute__((format(printf, 2, 3))) static void check_fault(struct check *c, const char *fmt, ...)
{
	char text[COFFER_ERROR_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->faults++;
	if (c->found)
		c->found(c->data, text);
}

/* check_remove() - A file that is at fault, if that is wished */
static int check_remove(struct check *c, int dir, const char *name, struct coffer_error *err)
{
	autoclose int lock = -1;

	if (!c->repair)
		return 0;
	lock = store_lock(c->store, LOCK_EX, err);
	if (lock < 0)
		return steal_fd(&lock);
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "remove %s", name);
	return 0;
}

/* ---- blobs ---- */

static int check_hash(struct check *c, int fd, const struct digest *like, struct digest *out,
		      struct coffer_error *err)
{
	CLEANUP(hasher_freep) struct hasher *h = NULL;
	ssize_t n;
	int r = hasher_new(like, &h, err);

	if (r < 0)
		return r;
	while ((n = io_read_full(fd, c->chunk, CHECK_CHUNK)) > 0)
		hasher_update(h, c->chunk, (size_t)n);
	return n < 0 ? err_sysn(err, (int)n, "blob %s: read", like->text) : hasher_end(h, out, err);
}

static int check_blob(void *data, const char *name, struct coffer_error *err)
{
	struct check *c = data;
	struct digest d, is;
	autoclose int fd = -1;
	int dir, r;

	if (!store_blob_digest(c->algorithm, name, &d)) {
		check_fault(c, "blobs/%s/%s: is not named as a blob", c->algorithm, name);
		dir = strcmp(c->algorithm, "sha512") == 0 ? c->store->sha512 : c->store->sha256;
		return check_remove(c, dir, name, err);
	}
	dir = store_blob_dir(c->store, &d);
	fd = store_blob_open(c->store, &d, NULL, NULL);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0) {
		check_fault(c, "blob %s: is not a file that can be read", d.text);
		return check_remove(c, dir, name, err);
	}
	r = check_hash(c, fd, &d, &is, err);
	if (r < 0 || digest_is_equal(&d, &is))
		return r;
	check_fault(c, "blob %s: is damaged: what is stored is %s", d.text, is.text);
	return check_remove(c, dir, name, err);
}

/* ---- roots ---- */

/* Return: NULL, or what is wrong with it; its superblock has a sum of its own */
static const char *check_root_fault(const char *path, uint64_t size)
{
	ext2_filsys fs = NULL;
	const char *fault = NULL;

	if (ext2fs_open(path, 0, 0, 0, unix_io_manager, &fs) != 0)
		return "is not an ext4 file system";
	if (ext2fs_blocks_count(fs->super) * fs->blocksize > size)
		fault = "is not as large as its file system";
	ext2fs_free(fs);
	return fault;
}

static int check_root(void *data, const char *name, struct coffer_error *err)
{
	struct check *c = data;
	const char *fault = NULL;
	char path[64];
	struct digest d;
	struct stat st;
	autoclose int fd = openat(c->store->roots, name,
				  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (!store_file_digest(name, STORE_ROOT_SUFFIX, &d))
		fault = "is not named as a root file system";
	else if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		fault = "is not a file that can be read";
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!fault)
		fault = check_root_fault(path, (uint64_t)st.st_size);
	if (!fault)
		return 0;
	check_fault(c, "roots/%s: %s", name, fault);
	return check_remove(c, c->store->roots, name, err);
}

/* ---- names ---- */

static int check_missing(void *data, const char *fault, struct coffer_error *err)
{
	struct check *c = data;

	c->told = true;
	check_fault(c, "%s: %s", c->name, fault);
	return 0;
}

/* Who pulls takes a manifest that is there for a whole image, with a name or without. */
static int check_manifest(void *data, const char *name, struct coffer_error *err)
{
	struct check *c = data;
	struct digest d;

	if (!store_blob_digest(c->algorithm, name, &d) || !store_blob_is_manifest(c->store, &d))
		return 0;
	c->name = "an image without a name";
	return reach_from_digest(&c->reach, &d, err);
}

static int check_manifests(struct check *c, struct coffer_error *err)
{
	int r;

	c->algorithm = "sha256";
	r = store_each(c->store->sha256, "blobs/sha256", check_manifest, c, err);
	c->algorithm = "sha512";
	return r < 0 ? r : store_each(c->store->sha512, "blobs/sha512", check_manifest, c, err);
}

/* Return: 0; 1: it leads to what is missing; negative errno */
static int check_name(struct check *c, const struct descriptor *d, struct coffer_error *err)
{
	int r;

	c->name = d->ref_name ? d->ref_name : d->digest.text;
	c->told = false;
	r = reach_from(&c->reach, d, err);
	if (r == 1 && !c->told)
		check_fault(c, "%s: leads to what is missing", c->name);
	return r;
}

/* check_follow() - What each name leads to; with @repair, names that lead nowhere are dropped */
static int check_follow(struct check *c, struct index *x, struct coffer_error *err)
{
	size_t kept = 0, had = x->count;
	int r = 0;

	for (size_t i = 0; i < had; i++) {
		if (r >= 0)
			r = check_name(c, &x->list[i], err);
		if (r == 1 && c->repair)
			descriptor_free(&x->list[i]);
		else
			x->list[kept++] = x->list[i];
	}
	x->count = kept;
	if (r >= 0)
		r = check_manifests(c, err);
	return r == 0 && kept < had ? store_index_write(c->store, x, err) : r;
}

static int check_names(struct check *c, struct coffer_error *err)
{
	CLEANUP(index_free) struct index x = { 0 };
	struct coffer_error why = COFFER_ERROR_INIT;
	autoclose int lock = store_lock(c->store, c->repair ? LOCK_EX : LOCK_SH, err);
	int r = 0;

	if (lock < 0)
		return steal_fd(&lock);
	if (store_index_read(c->store, &x, &why) < 0) {
		check_fault(c, "%s", why.message);
		/* Without it the store is of no use to anybody; blobs stay until a prune. */
		if (c->repair)
			r = store_index_write(c->store, &x, err);
	}
	c->reach = (struct reach){
		.store = c->store, .missing = check_missing, .data = c, .repair = c->repair
	};
	if (r == 0)
		r = check_follow(c, &x, err);
	reach_free(&c->reach);
	return r;
}

static int check_all(struct check *c, struct coffer_error *err)
{
	const struct {
		int dir;
		const char *name, *algorithm;
		int (*fn)(void *data, const char *name, struct coffer_error *err);
	} dirs[] = {
		{ c->store->sha256, "blobs/sha256", "sha256", check_blob },
		{ c->store->sha512, "blobs/sha512", "sha512", check_blob },
		{ c->store->roots, "roots", NULL, check_root },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++) {
		c->algorithm = dirs[i].algorithm;
		r = store_each(dirs[i].dir, dirs[i].name, dirs[i].fn, c, err);
	}
	return r < 0 ? r : check_names(c, err);
}

int store_check(struct store *s, bool repair, void (*found)(void *data, const char *fault),
		void *data, struct coffer_error *err)
{
	autofree char *chunk = malloc(CHECK_CHUNK);
	struct check c = {
		.store = s, .repair = repair, .found = found, .data = data, .chunk = chunk
	};
	int r = chunk ? check_all(&c, err) : err_nomem(err);

	return r < 0 ? err_wrap(err, "check") : c.faults;
}
