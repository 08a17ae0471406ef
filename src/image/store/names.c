/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/store/names.c - index.json: which names lead to which blobs
 *
 * Read without the lock, as it only ever changes by a rename; changed with the
 * lock held exclusively.  Before it changes, the directories of what it leads
 * to are synced, after it its own.
 *
 * Callers: the rest of image/.
 */
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "image/store/store_internal.h"

#define NAMES_INDEX "application/vnd.oci.image.index.v1+json"

/* ---- the file ---- */

int store_index_read(struct store *s, struct index *out, struct coffer_error *err)
{
	autoclose int fd = openat(s->dir, "index.json", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	autofree char *text = NULL;
	size_t len = 0;
	int r;

	*out = (struct index){ 0 };
	if (fd < 0)
		r = err_sys(err, "open");
	else
		r = io_read_stream(fd, "index.json", STORE_INDEX_MAX, &text, &len, err);
	if (r == 0)
		r = index_parse(text, len, NAMES_INDEX, out, err);
	return r < 0 ? err_wrap(err, "image store %s: index.json", s->path) : 0;
}

int store_index_write(struct store *s, const struct index *x, struct coffer_error *err)
{
	autobuf struct buf text = BUF_INIT(STORE_INDEX_MAX);
	struct index typed = *x;
	int r;

	typed.type = media_type_find(NAMES_INDEX);
	r = index_emit(&typed, &text, err);
	if (r < 0)
		return r;
	if (fsync(s->sha256) < 0 || fsync(s->sha512) < 0)
		return err_sys(err, "image store %s: sync blobs", s->path);
	r = io_replace_file(s->dir, "index.json", buf_data(&text), text.len, 0600, err);
	if (r < 0)
		return err_wrap(err, "image store %s", s->path);
	return fsync(s->dir) < 0 ? err_sys(err, "image store %s: sync", s->path) : 0;
}

/* ---- changing it ---- */

static bool names_is(const struct descriptor *d, const char *name)
{
	return d->ref_name && strcmp(d->ref_name, name) == 0;
}

/* names_drop() - Remove the entries that @goes says so of. Return: how many */
static size_t names_drop(struct index *x, bool (*goes)(const struct descriptor *d, const void *key),
			 const void *key)
{
	size_t kept = 0, had = x->count;

	for (size_t i = 0; i < had; i++) {
		if (goes(&x->list[i], key))
			descriptor_free(&x->list[i]);
		else
			x->list[kept++] = x->list[i];
	}
	x->count = kept;
	return had - kept;
}

static bool names_goes_name(const struct descriptor *d, const void *key)
{
	return names_is(d, key);
}

static bool names_goes_digest(const struct descriptor *d, const void *key)
{
	return digest_is_equal(&d->digest, key);
}

static bool names_goes_unnamed(const struct descriptor *d, const void *key)
{
	return !d->ref_name && digest_is_equal(&d->digest, key);
}

/* names_has() - Whether the index says it already */
static bool names_has(const struct index *x, const char *name, const struct descriptor *d)
{
	for (size_t i = 0; i < x->count; i++)
		if (digest_is_equal(&x->list[i].digest, &d->digest) &&
		    (!name || names_is(&x->list[i], name)))
			return true;
	return false;
}

static int names_append(struct index *x, const char *name, const struct descriptor *d,
			struct coffer_error *err)
{
	if (x->count >= DOCUMENT_INDEX_MAX)
		return err_set(err, COFFER_ERR_INVALID_STATE, ENOSPC,
			       "the store has %d names, which is the most", DOCUMENT_INDEX_MAX);
	return index_append(x, d, name, err);
}

int store_name_set(struct store *s, const char *name, const struct descriptor *d,
		   struct coffer_error *err)
{
	CLEANUP(index_free) struct index x = { 0 };
	autoclose int lock = store_lock(s, LOCK_EX, err);
	int r;

	if (lock < 0)
		return steal_fd(&lock);
	r = store_index_read(s, &x, err);
	if (r < 0 || names_has(&x, name, d))
		return r;
	if (name)
		names_drop(&x, names_goes_name, name);
	names_drop(&x, names_goes_unnamed, &d->digest);
	r = names_append(&x, name, d, err);
	if (r == 0)
		r = store_index_write(s, &x, err);
	return r < 0 && name ? err_wrap(err, "name %s", name) : r;
}

static int names_remove(struct store *s, bool (*goes)(const struct descriptor *d, const void *key),
			const void *key, struct coffer_error *err)
{
	CLEANUP(index_free) struct index x = { 0 };
	autoclose int lock = store_lock(s, LOCK_EX, err);
	int r;

	if (lock < 0)
		return steal_fd(&lock);
	r = store_index_read(s, &x, err);
	if (r < 0)
		return r;
	if (names_drop(&x, goes, key) == 0)
		return -ENOENT;
	return store_index_write(s, &x, err);
}

int store_name_remove(struct store *s, const char *name, struct coffer_error *err)
{
	return names_remove(s, names_goes_name, name, err);
}

int store_name_drop(struct store *s, const struct digest *d, struct coffer_error *err)
{
	return names_remove(s, names_goes_digest, d, err);
}

/* ---- looking ---- */

int store_name_get(struct store *s, const char *name, struct descriptor *out,
		   struct coffer_error *err)
{
	CLEANUP(index_free) struct index x = { 0 };
	int r = store_index_read(s, &x, err);

	*out = (struct descriptor){ 0 };
	if (r < 0)
		return r;
	for (size_t i = 0; i < x.count; i++)
		if (names_is(&x.list[i], name))
			return descriptor_copy(out, &x.list[i]) < 0 ? err_nomem(err) : 0;
	return -ENOENT;
}

int store_names(struct store *s, struct index *out, struct coffer_error *err)
{
	return store_index_read(s, out, err);
}
