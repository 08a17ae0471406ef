/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/store/store_internal.h - what the store's files share
 */
#ifndef IMAGE_STORE_INTERNAL_H
#define IMAGE_STORE_INTERNAL_H

#include <sys/file.h>
#include <sys/stat.h>

#include "image/store/store.h"

#define STORE_BLOB_MODE	   0400 /* what is whole does not change */
#define STORE_PART_MODE	   0600
#define STORE_INDEX_MAX	   ((size_t)4 << 20) /* bytes of index.json */
#define STORE_FILE_MAX	   192		     /* a file's name, with the terminator */
#define STORE_ROOT_SUFFIX  ".ext4"
#define STORE_WRITE_BEHIND (UINT64_C(8) << 20)

/* Everything but the locks is fixed after store_open(). */
struct store {
	char *path;
	int dir;
	int sha256, sha512; /* below blobs */
	int parts, roots, leases;
};

/* store_lock() - Take the store's lock. @how: LOCK_SH, LOCK_EX. Return: descriptor whose close
 * gives it back, or negative errno */
int store_lock(struct store *s, int how, struct coffer_error *err);

/* store_blob_dir() - Where blobs of its algorithm are (borrowed) */
int store_blob_dir(const struct store *s, const struct digest *d);
/* store_blob_digest() - Of blobs/@algorithm/@name. Return: whether it is one */
bool store_blob_digest(const char *algorithm, const char *name, struct digest *out);
/* store_file_name() - "ALGORITHM-HEX" between @prefix and @suffix */
void store_file_name(const char *prefix, const struct digest *d, const char *suffix,
		     char out[static STORE_FILE_MAX]);
/* store_file_digest() - The reverse, without a prefix. Return: whether it is such a name */
bool store_file_digest(const char *name, const char *suffix, struct digest *out);
/* store_random_name() - @prefix and what nobody else has chosen */
int store_random_name(const char *prefix, char out[static STORE_FILE_MAX],
		      struct coffer_error *err);

/* store_each() - Call @fn for each entry of a directory; a negative answer ends it */
int store_each(int dir, const char *what,
	       int (*fn)(void *data, const char *name, struct coffer_error *err), void *data,
	       struct coffer_error *err);

/* store_hold() - Open, or make, file @name below parts, and lock it; who else has it is waited for.
 * Return: descriptor or negative errno */
int store_hold(struct store *s, const char *name, int cancel_fd, struct coffer_error *err);
/* store_try_hold() - Lock it if it is there and nobody has it. Return: descriptor; -1: not so */
int store_try_hold(int dir, const char *name);

/* store_index_read() - index.json. The caller has the lock if it means to write */
int store_index_read(struct store *s, struct index *out, struct coffer_error *err);
/* store_index_write() - With the lock held exclusively; synced, with all that it refers to */
int store_index_write(struct store *s, const struct index *x, struct coffer_error *err);

/* store_lease_digests() - Call @fn for what a lease's file has */
int store_lease_digests(struct store *s, const char *name,
			int (*fn)(void *data, const struct digest *d, struct coffer_error *err),
			void *data, struct coffer_error *err);

/* store_prune_lease() - Remove a lease, and the blobs that only it has led to */
int store_prune_lease(struct store *s, const char *name, struct coffer_error *err);

/* What can be reached. */
struct reach {
	struct store *store;
	void *seen; /* tsearch(3) tree of struct reach_node: blobs and chain ids */
	/* A blob that should be there is not, or is not as it should be; NULL: nobody minds. What
	 * was seen before is not told again */
	int (*missing)(void *data, const char *fault, struct coffer_error *err);
	void *data;
	bool repair; /* remove manifests of which something is missing */
};

/* reach_from() - @d and what it leads to. Return: 0; 1: something is missing; negative errno */
int reach_from(struct reach *r, const struct descriptor *d, struct coffer_error *err);
/* reach_from_digest() - The same for a blob, or chain id, of which only the digest is known; that
 * anything is missing is no fault */
int reach_from_digest(struct reach *r, const struct digest *d, struct coffer_error *err);
/* store_blob_is_manifest() - As its text says; it is read for that */
bool store_blob_is_manifest(struct store *s, const struct digest *d);
bool reach_has(const struct reach *r, const struct digest *d);
void reach_free(struct reach *r);

#endif /* IMAGE_STORE_INTERNAL_H */
