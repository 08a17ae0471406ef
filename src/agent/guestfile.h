/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/guestfile.h - files of a container, opened so that nothing in it can trick us
 */
#ifndef AGENT_GUESTFILE_H
#define AGENT_GUESTFILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "agent/guestpath.h"

/* guestfile_find() - What is at the path: O_PATH descriptor, and @st. @flags: O_NOFOLLOW or 0 */
int guestfile_find(const struct guestpath *gp, int flags, struct stat *st,
		   struct coffer_error *err);

/* guestfile_reopen() - A regular file or directory found before, for work. @flags: O_RDONLY ... */
int guestfile_reopen(int node, int flags, const char *path, struct coffer_error *err);

struct guestfile_create {
	bool create, parents; /* what is missing: the file, the directories it lies in */
	mode_t mode;	      /* of a new file */
	int flags;	      /* for writing: O_TRUNC, O_APPEND */
};

/* guestfile_write() - A regular file to write to, new or not. Return: descriptor or -errno */
int guestfile_write(const struct guestpath *gp, const struct guestfile_create *how,
		    struct coffer_error *err);
/* guestfile_parents() - The directories that the path lies in. @make: those that are missing */
int guestfile_parents(const struct guestpath *gp, bool make, struct coffer_error *err);

#endif /* AGENT_GUESTFILE_H */
