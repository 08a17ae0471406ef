/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/pull_internal.h - what the files of a pull share
 */
#ifndef IMAGE_PULL_INTERNAL_H
#define IMAGE_PULL_INTERNAL_H

#include "image/images.h"
#include "image/progress.h"
#include "image/registry/registry.h"
#include "image/visited.h"

struct pull_manifest {
	struct descriptor self;
	struct manifest manifest;
	bool here; /* in the store, with all that it refers to */
};

/* An index or manifest that was fetched; it reaches the store after what it refers to. */
struct pull_document {
	struct digest digest;
	struct buf text;
};

struct pull {
	struct coffer_images *images; /* borrowed */
	struct reference ref;
	char name[REFERENCE_TEXT_MAX]; /* canonical */
	char what[REFERENCE_TEXT_MAX]; /* familiar */
	struct platform want;
	struct progress progress;
	struct store_lease *lease; /* owned, as all that follows */
	struct registry *registry;
	struct descriptor top;
	struct pull_manifest *manifests;
	size_t nmanifests;
	ssize_t main;			 /* number of the one to be built; -1: none */
	struct pull_document *documents; /* inner ones first */
	size_t ndocuments;
	size_t bytes; /* how long those are together */
	struct visited visited;
};

/* pull_blobs() - Fetch what manifests refer to, and build the root of the main one meanwhile */
int pull_blobs(struct pull *p, struct coffer_error *err);

#endif /* IMAGE_PULL_INTERNAL_H */
