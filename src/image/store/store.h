/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/store/store.h - content by digest, names, and built roots, on disk
 *
 *	oci-layout, index.json, blobs/ALGORITHM/HEX    an OCI image layout
 *	parts/ALGORITHM-HEX		blobs that are on their way; kept when a transfer breaks off
 *	roots/ALGORITHM-HEX.ext4	root file systems, by chain id
 *	leases/RANDOM			what live transfers and open images need: a digest a line;
 *					flock(2)ed by its owner
 *	lock				flock(2)ed: shared to add to a lease, exclusive to remove
 *					anything or to change index.json
 *
 * Everything becomes visible by rename, whole and synced; a name is only given
 * once what it leads to would survive a power cut.  Removal (prune)
 * holds the lock exclusively and keeps what index.json or a live lease leads
 * to; so who puts a digest in its lease first and then finds the blob may rely
 * on it.
 *
 * What refers to other blobs is put after them: configuration and layers, then
 * the manifest, then the index, then the name.  So a blob that is missing below
 * a manifest that is there is a fault, while an index may have manifests that
 * nobody has asked for.
 *
 * Callers: the rest of image/.
 */
#ifndef IMAGE_STORE_H
#define IMAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/digest.h"
#include "image/document.h"

struct store; /* may be used by many threads */

int store_open(const char *dir, struct store **out, struct coffer_error *err);
void store_close(struct store *s);
DEFINE_CLEANUP(struct store *, store_close);

struct store_lease; /* may be used by many threads */

int store_lease_open(struct store *s, struct store_lease **out, struct coffer_error *err);
/* store_lease_add() - From now on it is not removed, if it is there. Chain ids as well */
int store_lease_add(struct store_lease *l, const struct digest *d, struct coffer_error *err);
void store_lease_close(struct store_lease *l);
/* store_lease_end() - Close it, and remove the blobs that only it led to */
int store_lease_end(struct store_lease *l, struct coffer_error *err);
DEFINE_CLEANUP(struct store_lease *, store_lease_close);

/* store_blob_open() - For reading. Return: descriptor, -ENOENT without an error filled, or -errno.
 * @size: may be NULL */
int store_blob_open(struct store *s, const struct digest *d, uint64_t *size,
		    struct coffer_error *err);
/* store_blob_read() - All of a small one, verified; -ENOENT as above */
int store_blob_read(struct store *s, const struct digest *d, size_t max, struct buf *out,
		    struct coffer_error *err);
/* store_blob_put() - A small one. @l: gets its digest before it can be seen. @out: may be NULL */
int store_blob_put(struct store *s, struct store_lease *l, const void *data, size_t n,
		   struct digest *out, struct coffer_error *err);

struct store_part; /* a blob on its way; of one thread at a time */

/**
 * store_part_open() - Begin or go on with a blob
 * @d:		NULL: not known before the end
 * @size:	Bytes it must have in the end; UINT64_MAX: not known
 *
 * Only one process has a part at a time; others wait, as long as @cancel_fd is
 * not readable.
 *
 * Return: 0; 1: the blob is there, *@out is NULL; negative errno
 */
int store_part_open(struct store *s, const struct digest *d, uint64_t size, int cancel_fd,
		    struct store_part **out, struct coffer_error *err);
/* store_part_offset() - How much of it is there */
uint64_t store_part_offset(const struct store_part *p);
/* store_part_write() - Append; more than the size is refused */
int store_part_write(struct store_part *p, const void *data, size_t n, struct coffer_error *err);
/* store_part_restart() - Drop what is there */
int store_part_restart(struct store_part *p, struct coffer_error *err);
/* store_part_commit() - Verify, sync, rename. A wrong digest removes it. @l: as for
 * store_blob_put(); NULL: has the digest already. @out: may be NULL */
int store_part_commit(struct store_part *p, struct store_lease *l, struct digest *out,
		      struct coffer_error *err);
/* store_part_close() - Without a commit: what has a digest is kept for the next one */
void store_part_close(struct store_part *p);
DEFINE_CLEANUP(struct store_part *, store_part_close);

/* Names: canonical references (image/reference.h). */
/* store_name_set() - @name: NULL: an entry without one, which a prune takes */
int store_name_set(struct store *s, const char *name, const struct descriptor *d,
		   struct coffer_error *err);
/* store_name_get() - -ENOENT without an error filled */
int store_name_get(struct store *s, const char *name, struct descriptor *out,
		   struct coffer_error *err);
/* store_name_remove() - -ENOENT likewise */
int store_name_remove(struct store *s, const char *name, struct coffer_error *err);
/* store_name_drop() - All entries of @d, with names or without. -ENOENT likewise */
int store_name_drop(struct store *s, const struct digest *d, struct coffer_error *err);
/* store_names() - index.json as it is now: names are descriptor.ref_name, NULL for none */
int store_names(struct store *s, struct index *out, struct coffer_error *err);

/* store_root_open() - A built root: its path (malloc'd). Return: 0; -ENOENT without an error filled
 */
int store_root_open(struct store *s, const struct digest *chain, char **path,
		    struct coffer_error *err);
struct store_root; /* one that is being built */
/* store_root_begin() - As store_part_open(): who else builds it is waited for; 1: it is there.
 * *@fd: borrowed, for reading and writing, empty */
int store_root_begin(struct store *s, const struct digest *chain, int cancel_fd,
		     struct store_root **out, int *fd, struct coffer_error *err);
/* store_root_flush() - Send to the disk what has been written so far, without waiting: the commit
 * is shorter then */
void store_root_flush(struct store_root *r);
int store_root_commit(struct store_root *r, struct coffer_error *err);
void store_root_close(struct store_root *r);
DEFINE_CLEANUP(struct store_root *, store_root_close);

/* store_prune() - @all: drop the names, too */
int store_prune(struct store *s, bool all, struct coffer_prune *out, struct coffer_error *err);
/* store_check() - As coffer_images_check(). @repair also takes names and manifests that lead to
 * what is missing */
int store_check(struct store *s, bool repair, void (*found)(void *data, const char *fault),
		void *data, struct coffer_error *err);

#endif /* IMAGE_STORE_H */
