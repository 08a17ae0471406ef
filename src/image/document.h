/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/document.h - the JSON documents of images: indices, manifests, configurations
 *
 * OCI image-spec 1.0 and Docker's "Image Manifest Version 2, Schema 2", which
 * differ in media types only.  All of it is foreign: sizes, counts, depth and
 * types are checked, and the error names the JSON path.
 */
#ifndef IMAGE_DOCUMENT_H
#define IMAGE_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "coffer/image.h"
#include "image/digest.h"

#define DOCUMENT_MANIFEST_MAX ((size_t)4 << 20) /* bytes, as registries have it */
#define DOCUMENT_CONFIG_MAX   ((size_t)8 << 20)
#define DOCUMENT_LAYERS_MAX   1024
#define DOCUMENT_INDEX_MAX    16384 /* entries; a store has one for each name */
#define DOCUMENT_INDEX_DEPTH  4    /* an index in an index in ... */

enum media_kind {
	MEDIA_UNKNOWN,
	MEDIA_INDEX,
	MEDIA_MANIFEST,
	MEDIA_CONFIG,
	MEDIA_LAYER,
};

enum media_compression {
	MEDIA_PLAIN,
	MEDIA_GZIP,
	MEDIA_ZSTD,
	MEDIA_XZ,
};

struct media_type {
	const char *name;
	enum media_kind kind;
	enum media_compression compression; /* of a layer */
	bool docker;
};

/* media_type_find() - NULL: not known. Foreign (non-distributable) layers are layers */
const struct media_type *media_type_find(const char *name);
/* The Accept header's value for manifests and indices. */
extern const char media_type_accept[];

struct platform {
	char os[32], arch[32], variant[32]; /* normalised, as Go names them */
};

/* platform_parse() - "linux/arm64/v8", "arm64"; NULL: this machine's */
int platform_parse(const char *text, struct platform *out, struct coffer_error *err);
void platform_format(const struct platform *p, char out[100]);

struct descriptor {
	const struct media_type *type; /* NULL: one we do not know */
	char *media_type;	       /* owned */
	struct digest digest;
	uint64_t size;
	bool has_platform;
	struct platform platform;
	char *ref_name; /* owned; org.opencontainers.image.ref.name, or NULL */
};

void descriptor_free(struct descriptor *d);
#define autodescriptor CLEANUP(descriptor_free)
int descriptor_copy(struct descriptor *dst, const struct descriptor *src);

struct index {
	const struct media_type *type;
	struct descriptor *list; /* owned */
	size_t count;
};

void index_free(struct index *x);
/* index_parse() - @media_type: as told with it; NULL: what it says itself */
int index_parse(const void *text, size_t len, const char *media_type, struct index *out,
		struct coffer_error *err);
/* index_choose() - The best for @want, as containerd compares them (arm variants fall back).
 * Return: its number, or -ENOENT with an error that lists what there is */
int index_choose(const struct index *x, const struct platform *want, struct coffer_error *err);

/* index_append() - One more entry, a copy of @d called @name, which may be NULL */
int index_append(struct index *x, const struct descriptor *d, const char *name,
		 struct coffer_error *err);
/* index_emit() - Text of one */
int index_emit(const struct index *x, struct buf *out, struct coffer_error *err);

struct manifest {
	const struct media_type *type;
	struct descriptor config;
	struct descriptor *layers; /* owned; from the bottom up */
	size_t nlayers;
};

void manifest_free(struct manifest *m);
int manifest_parse(const void *text, size_t len, const char *media_type, struct manifest *out,
		   struct coffer_error *err);
/* manifest_check_image() - It is an image that can be built: all its types are known */
int manifest_check_image(const struct manifest *m, struct coffer_error *err);
/* manifest_emit() - Text of one */
int manifest_emit(const struct manifest *m, struct buf *out, struct coffer_error *err);

struct image_history {
	char *created, *created_by, *comment, *author; /* owned, NULL: not said */
	bool empty_layer;
};

/* An image's configuration; lists as in struct coffer_image_config. */
struct image_config {
	struct platform platform;
	char *created, *author; /* owned */
	char **entrypoint, **cmd, **env, **volumes, **ports, **labels; /* owned; NULL: not said */
	char *user, *workdir, *stop_signal;
	struct digest *diff_ids; /* owned; from the bottom up */
	size_t ndiff_ids;
	struct image_history *history; /* owned; oldest first */
	size_t nhistory;
	void *said; /* owned; all that was read, so that what is not known here is not lost */
};

void image_config_free(struct image_config *c);
int image_config_parse(const void *text, size_t len, struct image_config *out,
		       struct coffer_error *err);
/* image_config_emit() - Text of one, with what else was said where it was read */
int image_config_emit(const struct image_config *c, struct buf *out, struct coffer_error *err);
/* image_config_change() - Apply a Dockerfile line: CMD ENTRYPOINT ENV EXPOSE LABEL MAINTAINER
 * STOPSIGNAL USER VOLUME WORKDIR */
int image_config_change(struct image_config *c, const char *line, struct coffer_error *err);
/* image_config_view() - As the public struct, which borrows it all */
void image_config_view(const struct image_config *c, struct coffer_image_config *out);

/* chain_id() - What @count layers on each other are called (image-spec, "Layer ChainID") */
int chain_id(const struct digest *diff_ids, size_t count, struct digest *out,
	     struct coffer_error *err);

#endif /* IMAGE_DOCUMENT_H */
