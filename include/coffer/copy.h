/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer/copy.h - files into and out of a started container
 *
 * Paths in the container are those its processes see, mounts included; one
 * without a slash in front is one of the root's.  A copy takes as long as it
 * takes; other calls on the container go on meanwhile, and any number of copies
 * side by side.  It gives up on a guest that stands still for 30 seconds (longer
 * where that is emulated), so also on one that is paused for so long.
 *
 * Modes, times, symbolic and hard links, extended attributes and holes are
 * kept as far as the side written to allows; sockets are left out.  A copy that
 * fails leaves what it has made until then, but no file that is not whole.
 *
 * The container is not trusted: nothing it sends is written outside of the one
 * directory that is copied to, no link there is followed, devices are left
 * out, and without keep_owners set-user-id bits, capabilities and access lists
 * as well.
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
	bool keep_owners;    /* into: owners as on the source; else root. Out of: for root alone, who
			      * then gets set-user-id bits, too; else the caller */
	int cancel_fd;       /* readable: fail with cancelled; -1: never */
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
 * @source:	"dir/." copies what is in it; "name/" has to be a directory
 * @target:	An existing directory gets it inside; a new name becomes a copy of it; "name/"
 *		must be a directory, but may be a new one for a directory. Its parent has to be
 *		there. A link stands for what it leads to
 * @options:	NULL: the defaults
 *
 * Errors: not-found (either side), invalid-argument (a directory over a file, a
 * file to a missing "name/"), invalid-state, timeout, cancelled, and what the
 * guest says
 */
COFFER_PUBLIC int coffer_container_copy_in(struct coffer_container *container, const char *source,
					   const char *target,
					   const struct coffer_copy_options *options,
					   struct coffer_error *err);

/* coffer_container_copy_out() - The reverse, by the same rules. Errors: also invalid-argument (what
 * the guest sends is refused; the entry is named) */
COFFER_PUBLIC int coffer_container_copy_out(struct coffer_container *container, const char *source,
					    const char *target,
					    const struct coffer_copy_options *options,
					    struct coffer_error *err);

/**
 * coffer_container_put_archive() - Extract a tar archive into a directory
 * @fd:		Read up to its end; borrowed. Plain, or compressed by gzip, zstd or xz
 * @target:	Must be a directory
 */
COFFER_PUBLIC int coffer_container_put_archive(struct coffer_container *container, int fd,
					       const char *target,
					       const struct coffer_copy_options *options,
					       struct coffer_error *err);
/**
 * coffer_container_get_archive() - Write a pax archive of @source to @fd
 *
 * Byte for byte as it comes out of the container: unpack it like any archive
 * of a stranger.  Without success it is not whole.
 */
COFFER_PUBLIC int coffer_container_get_archive(struct coffer_container *container,
					       const char *source, int fd,
					       const struct coffer_copy_options *options,
					       struct coffer_error *err);

/* coffer_container_stat() - @out's size is set. Errors: not-found, invalid-state ... */
COFFER_PUBLIC int coffer_container_stat(struct coffer_container *container, const char *path,
					bool follow_link, struct coffer_path_stat *out,
					struct coffer_error *err);

#ifdef __cplusplus
}
#endif

#endif /* COFFER_COPY_H */
