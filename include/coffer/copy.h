/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer/copy.h - files into and out of a started container
 *
 * Paths in the container are those its processes see, mounts included.  A copy
 * takes as long as it takes; other calls on the container go on meanwhile.
 * Owners, modes, times, symbolic and hard links, extended attributes and holes
 * are kept as far as the side written to allows.
 */
#ifndef COFFER_COPY_H
#define COFFER_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "coffer/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct coffer_container;

/* Begin with COFFER_COPY_OPTIONS_INIT. */
struct coffer_copy_options {
	size_t size;         /* sizeof(struct coffer_copy_options) */
	bool follow_link;    /* a source that is a symbolic link: copy what it points to */
	bool keep_owners;    /* into: owners as on the source; else root. Out of: as root only */
	int cancel_fd;       /* readable: give up; -1: never */
};
#define COFFER_COPY_OPTIONS_INIT { .size = sizeof(struct coffer_copy_options), .cancel_fd = -1 }

struct coffer_path_stat {
	size_t size; /* sizeof(struct coffer_path_stat), set by the caller */
	uint64_t bytes;
	mode_t mode; /* as of stat(2) */
	struct timespec mtime;
	char name[256];
	char link_target[4096]; /* of a symbolic link */
};

/**
 * coffer_container_copy_in() - A file or directory of the host, as docker cp does
 * @source:	"dir/." copies what is in it
 * @target:	An existing directory gets it inside; a new name becomes a copy of it; "name/"
 *		must be a directory
 *
 * Errors: not-found (either side), invalid-argument (a directory over a file, a file to a
 * missing "name/"), cancelled
 */
COFFER_PUBLIC int coffer_container_copy_in(struct coffer_container *container, const char *source,
					   const char *target,
					   const struct coffer_copy_options *options,
					   struct coffer_error *err);

/* coffer_container_copy_out() - The reverse, by the same rules. What the guest sends cannot write
 * outside of @target */
COFFER_PUBLIC int coffer_container_copy_out(struct coffer_container *container, const char *source,
					    const char *target,
					    const struct coffer_copy_options *options,
					    struct coffer_error *err);

/**
 * coffer_container_put_archive() - Extract a tar stream (plain or compressed) into a directory
 * @fd:		Read up to its end; borrowed
 * @target:	Must be a directory
 */
COFFER_PUBLIC int coffer_container_put_archive(struct coffer_container *container, int fd,
					       const char *target,
					       const struct coffer_copy_options *options,
					       struct coffer_error *err);
/* coffer_container_get_archive() - Write a pax archive of @source to @fd */
COFFER_PUBLIC int coffer_container_get_archive(struct coffer_container *container,
					       const char *source, int fd,
					       const struct coffer_copy_options *options,
					       struct coffer_error *err);

/* coffer_container_stat() - Errors: not-found ... */
COFFER_PUBLIC int coffer_container_stat(struct coffer_container *container, const char *path,
					bool follow_link, struct coffer_path_stat *out,
					struct coffer_error *err);

#ifdef __cplusplus
}
#endif

#endif /* COFFER_COPY_H */
