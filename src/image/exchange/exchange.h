/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/exchange/exchange.h - images from and into archives: what the files here share
 *
 *	fd -> stream (unpacked) -> intake: every file of the tar becomes a blob
 *	   -> docker_archive or layout says which of them are images -> names
 *
 *	images -> save -> docker_archive or layout -> sink: a tar, or a directory
 *
 * An archive is foreign.  Its names are compared, never opened; its links are
 * followed among its own names.  All blobs are in one lease, whose end removes
 * those that turned out to be for nothing.
 */
#ifndef IMAGE_EXCHANGE_H
#define IMAGE_EXCHANGE_H

#include "base/buf.h"
#include "image/images.h"
#include "image/progress.h"
#include "image/visited.h"

#define EXCHANGE_NAME_MAX    1024  /* bytes of a name in an archive */
#define EXCHANGE_ENTRIES_MAX 65536 /* of an archive */
#define EXCHANGE_CHUNK	     ((size_t)1 << 20)

/* What a load or a save works with. */
struct exchange {
	struct coffer_images *images;
	struct progress *progress;
	struct store_lease *lease;
	char *chunk;		/* EXCHANGE_CHUNK bytes */
	struct visited visited; /* indices and manifests gone through */
};

/* exchange_open() - With a lease. @x: closed by the caller in any case */
int exchange_open(struct exchange *x, struct coffer_images *images, struct progress *progress,
		  struct coffer_error *err);
/* exchange_close() - Blobs that no name leads to go */
void exchange_close(struct exchange *x);

/* exchange_layer_type() - The media type of a layer, by how it begins */
int exchange_layer_type(int fd, struct descriptor *out, struct coffer_error *err);
/* exchange_append() - A copy of @d, called @name, which may be NULL */
int exchange_append(struct index *x, const struct descriptor *d, const char *name,
		    struct coffer_error *err);

/* ---- stream.c ---- */

struct stream; /* the bytes of an archive, unpacked on the way */

int stream_open(struct exchange *x, int fd, struct stream **out, struct coffer_error *err);
/* stream_read() - Return: bytes, 0 at the end, or negative errno */
ssize_t stream_read(struct stream *s, void *out, size_t n, struct coffer_error *err);
/* stream_put() - All that comes from @fd, which may be a pipe, as a blob */
int stream_put(struct exchange *x, int fd, struct digest *out, uint64_t *size,
	       struct coffer_error *err);
void stream_close(struct stream *s);
DEFINE_CLEANUP(struct stream *, stream_close);

/* ---- intake.c ---- */

struct intake {
	struct exchange *x;
	void *files; /* tsearch(3) tree by name */
	size_t entries;
	struct buf index, docker; /* index.json, manifest.json; empty: there is none */
	struct intake_held *held; /* manifests, put when all else is there */
	size_t held_bytes;
};

/* A file of the archive, in the store. */
struct intake_blob {
	struct digest digest;
	uint64_t size;
};

/* intake_run() - Everything in the archive */
int intake_run(struct intake *in, int fd, struct coffer_error *err);
/* intake_find() - File @name, links followed inside the archive. Errors: invalid-argument */
int intake_find(const struct intake *in, const char *name, struct intake_blob *out,
		struct coffer_error *err);
void intake_free(struct intake *in);

/* ---- what an archive says to be images ---- */

/* docker_archive_read() - Make a manifest for each image of manifest.json, and append them to @out
 * with the canonical names they are to have; without one ref_name is NULL */
int docker_archive_read(struct exchange *x, const struct intake *in, struct index *out,
			struct coffer_error *err);
/* layout_adopt() - The same for index.json, whose blobs are in the store */
int layout_adopt(struct exchange *x, const void *index, size_t len, struct index *out,
		 struct coffer_error *err);
/* layout_read() - The same for a directory */
int layout_read(struct exchange *x, int dir, struct index *out, struct coffer_error *err);
/* ---- sink.c ---- */

struct sink; /* where an archive is written to */

/* @fd, @dir: borrowed. A directory has to be empty, and is so again unless finished */
int sink_open_tar(int fd, struct sink **out, struct coffer_error *err);
int sink_open_dir(int dir, struct sink **out, struct coffer_error *err);
/* sink_put() - A small file */
int sink_put(struct sink *s, const char *name, const void *data, size_t n,
	     struct coffer_error *err);
/* sink_put_blob() - One of the store, once for each name */
int sink_put_blob(struct sink *s, struct exchange *x, const char *name, const struct digest *d,
		  struct coffer_error *err);
int sink_finish(struct sink *s, struct coffer_error *err);
void sink_free(struct sink *s);
DEFINE_CLEANUP(struct sink *, sink_free);

/* ---- what is written ---- */

/* layout_write() - Blobs of an image; its entry is appended to @out */
int layout_write(struct exchange *x, struct sink *s, const struct coffer_image *image,
		 const char *name, bool all, struct index *out, struct coffer_error *err);
int layout_finish(struct sink *s, const struct index *x, struct coffer_error *err);

struct json_object;
/* docker_archive_write() - The same; its entry is appended to array @out */
int docker_archive_write(struct exchange *x, struct sink *s, const struct coffer_image *image,
			 const char *name, struct json_object *out, struct coffer_error *err);
int docker_archive_finish(struct sink *s, struct json_object *out, struct coffer_error *err);

#endif /* IMAGE_EXCHANGE_H */
