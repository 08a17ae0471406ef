/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/copy_plan.h - what a copy makes of its two paths
 */
#ifndef CONTAINER_COPY_PLAN_H
#define CONTAINER_COPY_PLAN_H

#include <limits.h>
#include <stdbool.h>

#include "coffer/copy.h"

/* Where a path is looked at. */
struct copy_side {
	const char *where; /* for errors: "host", "container" */
	bool absolute;     /* a path without a leading slash is one of the root's */
	/* As coffer_container_stat(), not-found included; out->size is set. */
	int (*stat)(void *data, const char *path, bool follow, struct coffer_path_stat *out,
		    struct coffer_error *err);
	void *data;
};

struct copy_plan {
	char source[PATH_MAX]; /* without what only says how it is meant */
	bool follow;           /* what it points to, if it is a link */
	bool is_dir;
	char dir[PATH_MAX];      /* of the other side, where it goes */
	char name[NAME_MAX + 1]; /* and how it is called there; "": what is in it goes there */
};

/**
 * copy_plan_make() - The rules of docker cp
 *
 *	source     target           is made
 *	file       missing          target; with a slash at its end: refused
 *	file       file             target, over the old one
 *	file       directory        target/file
 *	directory  missing          target, with what is in the source
 *	directory  file             refused
 *	directory  directory        target/directory; of "source/.": what is in it, in target
 *
 * A source that ends in a slash has to be a directory.  A target that is a link
 * stands for what it leads to, also when that is missing; a source that is one
 * does so with @follow_link or a slash at its end.
 */
int copy_plan_make(const struct copy_side *from, const char *source, bool follow_link,
		   const struct copy_side *to, const char *target, struct copy_plan *plan,
		   struct coffer_error *err);

/* copy_plan_path() - @path without what only says how it is meant, absolute if the side's are.
 * Return: 0 or -EINVAL */
int copy_plan_path(const struct copy_side *side, const char *path, char out[static PATH_MAX],
		   struct coffer_error *err);

#endif /* CONTAINER_COPY_PLAN_H */
