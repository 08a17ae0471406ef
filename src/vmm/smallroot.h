/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/smallroot.h - the root directory that a jailed program sees
 *
 * Built between fork and exec, in a mount namespace of its own.  Paths named
 * @rel have no leading slash and are the same inside and outside.
 */
#ifndef VMM_SMALLROOT_H
#define VMM_SMALLROOT_H

#include <stdbool.h>
#include <sys/mount.h>

#include "base/error.h"

#define SMALLROOT_READONLY (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID)

/* smallroot_begin() - An empty one in memory on @dir, which is a place that is sure to exist */
int smallroot_begin(const char *dir, struct coffer_error *err);

/* From here on the working directory is the new root. */

/* smallroot_make_place() - A directory or an empty file at @rel, with its parents */
int smallroot_make_place(const char *rel, bool dir, struct coffer_error *err);

/* smallroot_show() - What the host has at @rel, read-only; nothing is nothing */
int smallroot_show(const char *rel, struct coffer_error *err);

/* smallroot_show_program() - What @program, absolute, needs to run: the system's programs and
 * libraries, /dev/null and /dev/urandom, and its own prefix if it is elsewhere */
int smallroot_show_program(const char *program, struct coffer_error *err);

/* smallroot_enter() - Make it the root, for good and read-only */
int smallroot_enter(struct coffer_error *err);

#endif /* VMM_SMALLROOT_H */
