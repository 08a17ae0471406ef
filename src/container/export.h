/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/export.h - what a container's root holds, as it runs
 */
#ifndef CONTAINER_EXPORT_H
#define CONTAINER_EXPORT_H

#include "container/container.h"
#include "image/progress.h"

struct export
{
	struct coffer_container *container; /* borrowed */
	struct progress *progress;	    /* borrowed */
	bool layer; /* only what was written, as a layer of an image; else the whole root */
	bool pause; /* its processes stand still meanwhile */
	/* The archive, piece by piece. */
	int (*take)(void *data, const void *bytes, size_t n, struct coffer_error *err);
	void *data;
};

/* export_run() - Errors: invalid-state, unsupported (layer: it has none of its own), cancelled ...
 */
int export_run(struct export *e, struct coffer_error *err);

#endif /* CONTAINER_EXPORT_H */
