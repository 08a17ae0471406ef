/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/path.h - path resolution by descriptor, confined to a root
 *
 * Whatever an image, a guest or an archive names is resolved with openat2(2):
 * IN_ROOT treats @rootfd as "/" (absolute links and ".." stay inside), BENEATH
 * refuses every attempt to leave.  Magic links are never followed.
 */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* path_open_in_root() - Return: descriptor (cloexec) or negative errno */
int path_open_in_root(int rootfd, const char *path, int flags, mode_t mode, struct coffer_error *err);
/* path_open_plain() - The same, but any link is -ELOOP */
int path_open_plain(int rootfd, const char *path, int flags, struct coffer_error *err);
int path_open_beneath(int dirfd, const char *path, int flags, mode_t mode, struct coffer_error *err);

/**
 * path_open_proc() - A file below /proc, for a write that must go there and nowhere else
 *
 * /proc has to be the root of a procfs, and nothing may be mounted on the way.
 *
 * Return: descriptor or negative errno; -EXDEV: not the real one
 */
int path_open_proc(const char *path, int flags, struct coffer_error *err);

/**
 * path_mkdirs_in_root() - mkdir -p below @rootfd, following links inside the root only
 * path_mkfile_in_root() - The same with an empty file at the end, if there is nothing
 *
 * A link that leads nowhere is made to lead somewhere: what it names is made inside the root.
 *
 * Return: O_PATH descriptor of the last component, or negative errno
 */
int path_mkdirs_in_root(int rootfd, const char *path, mode_t mode, struct coffer_error *err);
int path_mkfile_in_root(int rootfd, const char *path, mode_t mode, struct coffer_error *err);

/* path_parent_in_root() - mkdir -p (when @create) all but the last component.
 * *@name points into @path at the last component, which is never ".", ".." or empty. */
int path_parent_in_root(int rootfd, const char *path, bool create, const char **name,
			struct coffer_error *err);

/* path_mkdirs() - Plain mkdir -p of a trusted host path. Return: 0 or negative errno */
int path_mkdirs(const char *path, mode_t mode, struct coffer_error *err);

/* path_remove_tree() - rm -rf of @name in @dirfd; never follows a link, never crosses a mount.
 * A missing tree is fine. */
int path_remove_tree(int dirfd, const char *name, struct coffer_error *err);

/**
 * path_clean() - A foreign name without doubled slashes and dots, and without a leading slash
 * @max:	At most so many bytes with the end; PATH_MAX is always a limit
 *
 * Return: NULL, or why it is refused: it leads up, or is too long
 */
const char *path_clean(const char *name, size_t max, char out[PATH_MAX]);

/* path_join() - "a/b" as a malloc'd string, NULL without memory */
char *path_join(const char *a, const char *b);

#endif /* BASE_PATH_H */
