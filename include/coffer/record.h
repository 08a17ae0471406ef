/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer/record.h - the containers of a run directory: those that live, and
 * what is kept of those that have ended
 *
 * A container whose configuration says keep leaves a record when it ends, by
 * itself, by a stop or because its owner was killed.  Its id stays taken until
 * the record is removed.  @run_dir is everywhere as in the configuration.
 */
#ifndef COFFER_RECORD_H
#define COFFER_RECORD_H

#include <stdbool.h>

#include "coffer/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * coffer_record_list() - All of them, as a JSON array of what inspect says of each
 * @json:	Set to a string that the caller frees with free(3)
 *
 * One whose owner does not answer in time is told with its id alone.
 */
COFFER_PUBLIC int coffer_record_list(const char *run_dir, char **json, struct coffer_error *err);

/**
 * coffer_record_find() - The id that @text stands for
 * @text:	An id, or the beginning of exactly one
 * @id:		Room for COFFER_ID_MAX + 1 bytes
 *
 * Errors: not-found, invalid-argument (several begin so)
 */
COFFER_PUBLIC int coffer_record_find(const char *run_dir, const char *text, char *id,
				     struct coffer_error *err);

/* coffer_record_inspect() - Of one, by its id, as coffer_container_inspect() */
COFFER_PUBLIC int coffer_record_inspect(const char *run_dir, const char *id, char **json,
					struct coffer_error *err);

/**
 * coffer_record_remove() - Remove all that is left of a container
 * @force:	One that lives is ended first; an owner that does not do it is killed
 *
 * Errors: not-found, invalid-state (it lives and @force is not set)
 */
COFFER_PUBLIC int coffer_record_remove(const char *run_dir, const char *id, bool force,
				       struct coffer_error *err);

/**
 * coffer_record_dir() - The directory of a container, which may hold files of the caller's
 * @path:	Set to a string that the caller frees with free(3)
 *
 * A file or directory named "log" in it is the caller's to make, and removed with the rest.
 */
COFFER_PUBLIC int coffer_record_dir(const char *run_dir, const char *id, char **path,
				    struct coffer_error *err);

#ifdef __cplusplus
}
#endif

#endif /* COFFER_RECORD_H */
