/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/user.h - the ids a process runs with
 */
#ifndef ENGINE_USER_H
#define ENGINE_USER_H

#include <stdbool.h>

#include "base/error.h"
#include "spec/spec.h"

/* user_keeps_groups() - Does the document want those of the caller, whatever they are? */
bool user_keeps_groups(const struct oci_spec *spec);
/* user_apply() - umask, groups, gid, uid; all by number, names are the caller's business.
 * @keep_groups: leave the caller's additional groups */
int user_apply(const struct oci_user *user, bool keep_groups, struct coffer_error *err);

#endif /* ENGINE_USER_H */
