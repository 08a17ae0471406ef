/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_delegate.c - a v2 group is its container's to divide
 *
 * As the runtime specification has it: a container with a user namespace and a
 * cgroup namespace of its own, whose document mounts the hierarchy writable,
 * may make groups below its own.  The owner of its group is then the host's
 * uid of the user its process runs as.  That goes for the directory and the
 * files that the kernel names for it; limits stay ours.
 *
 * Callers: cgroup.c.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "engine/cgroup_internal.h"

#define CGROUP_DELEGATE_FILE "/sys/kernel/cgroup/delegate"

/* Lists are in the document's order, at most one of a type. */
static bool cgroup_makes_namespace(const struct oci_linux *l, const char *type)
{
	for (size_t i = 0; i < l->namespaces.n; i++) {
		if (strcmp(l->namespaces.v[i].type, type) == 0)
			return !l->namespaces.v[i].path;
	}
	return false;
}

static bool cgroup_is_mounted_writable(const struct oci_spec *spec)
{
	bool writable = false;

	for (size_t i = 0; i < spec->mounts.n; i++) {
		const struct oci_mount *m = &spec->mounts.v[i];

		if (strcmp(m->destination, CGROUP_ROOT) != 0)
			continue;
		writable = m->type && strncmp(m->type, "cgroup", 6) == 0;
		for (size_t k = 0; k < m->options.n; k++)
			writable &= strcmp(m->options.v[k], "ro") != 0;
	}
	return writable;
}

bool cgroup_find_owner(const struct oci_spec *spec, uint32_t *uid)
{
	const struct oci_linux *l = spec->linux_;
	uint32_t inside = spec->process ? spec->process->user.uid : 0;

	if (!cgroup_makes_namespace(l, "user") || !cgroup_makes_namespace(l, "cgroup") ||
	    !cgroup_is_mounted_writable(spec))
		return false;
	for (size_t i = 0; i < l->uid_mappings.n; i++) {
		const struct oci_id_mapping *m = &l->uid_mappings.v[i];

		if (inside < m->container_id || inside - m->container_id >= m->size)
			continue;
		*uid = m->host_id + (inside - m->container_id);
		return true;
	}
	return false;
}

int cgroup_delegate(struct cgroup_tree *t, uint32_t uid, struct coffer_error *err)
{
	autofree char *files = NULL;
	char *save = NULL;
	int r = io_read_file(AT_FDCWD, CGROUP_DELEGATE_FILE, CGROUP_FILE_MAX, &files, NULL, err);

	if (r < 0)
		return r;
	if (fchown(cgroup_tree_fd(t), uid, (gid_t)-1) < 0)
		return err_sys(err, "give %s to user %u", t->dir, uid);
	for (char *f = strtok_r(files, "\n", &save); f; f = strtok_r(NULL, "\n", &save)) {
		/* Those of controllers that are off are not there. */
		if (fchownat(t->fd, f, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			return err_sys(err, "give %s/%s to user %u", t->dir, f, uid);
	}
	return 0;
}
