/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/user.c - the ids a process runs with
 *
 * By number only: who "www-data" is stands in the container's files, which the
 * caller has read before it called the engine.
 *
 * Callers: the child's stages; namespaces.c and exec.c ask whether groups stay.
 */
#include "engine/user.h"

#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define USER_UMASK_DEFAULT 0022

_Static_assert(sizeof(gid_t) == sizeof(uint32_t), "additionalGids is handed to setgroups as it is");

static int user_set_groups(const struct oci_user *user, struct coffer_error *err)
{
	if (setgroups(user->additional_gids.n, user->additional_gids.v) == 0)
		return 0;
	if (errno == EINVAL)
		return err_invalid(err,
				   "process.user.additionalGids: the user namespace lacks one");
	if (errno != EPERM)
		return err_sys(err, "set %zu additional groups", user->additional_gids.n);
	/* A user namespace that has given up setgroups(2): we keep what we have, and none was
	 * asked for. */
	if (user->additional_gids.n == 0)
		return 0;
	return err_sys(err, "process.user.additionalGids: the user namespace forbids setgroups");
}

/* crun's annotation, which podman's --group-add keep-groups sets. */
bool user_keeps_groups(const struct oci_spec *spec)
{
	const char *keep = oci_pairs_get(&spec->annotations, "run.oci.keep_original_groups");

	return keep && strcmp(keep, "1") == 0;
}

int user_apply(const struct oci_user *user, bool keep_groups, struct coffer_error *err)
{
	int r;

	umask((mode_t)(user->umask.set ? user->umask.v & 0777 : USER_UMASK_DEFAULT));
	r = keep_groups ? 0 : user_set_groups(user, err);
	if (r < 0)
		return r;
	if (setresgid(user->gid, user->gid, user->gid) < 0)
		return err_sys(err, "process.user.gid: set group %u", user->gid);
	if (setresuid(user->uid, user->uid, user->uid) < 0)
		return err_sys(err, "process.user.uid: set user %u", user->uid);
	return 0;
}
