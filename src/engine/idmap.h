/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/idmap.h - the uid and gid maps of a new user namespace
 */
#ifndef ENGINE_IDMAP_H
#define ENGINE_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "spec/spec.h"

#define IDMAP_LINES_MAX 340 /* the kernel's limit */
#define IDMAP_TEXT_MAX	(IDMAP_LINES_MAX * 33 + 1)

/* idmap_check() - Are the maps there, do they hold @user's ids, and may its groups be set? */
int idmap_check(const struct oci_linux *linux_, const struct oci_user *user,
		struct coffer_error *err);

/* idmap_contains() - Is the container's @id mapped? */
bool idmap_contains(const struct oci_id_mappings *maps, uint32_t id);

/* idmap_format() - As the kernel reads it, a line a mapping. Return: bytes, -EINVAL: too many */
int idmap_format(const struct oci_id_mappings *maps, char text[IDMAP_TEXT_MAX]);

/* idmap_has_tools() - Are newuidmap and newgidmap in PATH? */
bool idmap_has_tools(void);

/**
 * idmap_write() - In the parent: both maps of @pid's new user namespace
 *
 * What the kernel refuses an ordinary user is left to newuidmap and newgidmap, looked for in
 * PATH.  A map of the caller's own group alone costs the namespace its setgroups(2).
 */
int idmap_write(const struct oci_linux *linux_, pid_t pid, struct coffer_error *err);

#endif /* ENGINE_IDMAP_H */
