/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/external.c - what a container's checkpoint must take as given
 *
 * Its processes are dumped with the mounts they have.  Of some of them the
 * content is not the container's: these are named at both times, by the same
 * place, and at restore something outside is put there again.
 *
 * Caller: OCI runtime.
 */
#include "engine/container.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "engine/device.h"

struct external {
	int rootfd;
	engine_external_fn fn;
	void *data;
};

/* The path of @fd, as /proc tells it. */
static int external_path(int fd, char *path, struct coffer_error *err)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	if (n < 0)
		return err_sys(err, "read %s", link);
	path[n] = '\0';
	return 0;
}

/*
 * Open @target, or as much of it as there is: what lies in other mounts is not seen at restore, and
 * the place must be the same.  *@rest points at what is missing, "" or "/...".
 */
static int external_open(int rootfd, char *target, const char **rest, struct coffer_error *err)
{
	size_t n = strlen(target);
	char *cut, saved;
	int fd;

	for (cut = target + n;; cut = memrchr(target, '/', (size_t)(cut - target))) {
		saved = *cut;
		*cut = '\0';
		fd = path_open_in_root(rootfd, cut == target ? "/" : target, O_PATH | O_CLOEXEC, 0,
				       err);
		*cut = saved;
		*rest = cut;
		if (fd != -ENOENT || cut == target)
			return fd;
		err_clear(err);
	}
}

/* Where in the root @target is, with links inside the root followed. */
static int external_tell(const struct external *x, const char *target, const char *source,
			 struct coffer_error *err)
{
	autofree char *root = malloc(PATH_MAX), *path = malloc(PATH_MAX), *place = NULL;
	autofree char *wanted = path_join("/", target);
	autoclose int fd = -1;
	const char *rest;
	size_t n;
	int r;

	if (!root || !path || !wanted)
		return err_nomem(err);
	fd = external_open(x->rootfd, wanted, &rest, err);
	if (fd < 0)
		return fd;
	r = external_path(x->rootfd, root, err);
	if (r == 0)
		r = external_path(fd, path, err);
	if (r < 0)
		return r;
	n = strcmp(root, "/") == 0 ? 0 : strlen(root);
	if (strncmp(path, root, n) != 0)
		return err_invalid(err, "%s is not inside the root", target);
	if (asprintf(&place, "%s%s", path + n, rest) < 0) {
		place = NULL;
		return err_nomem(err);
	}
	return x->fn(place, source, x->data, err);
}

/*
 * Without a cgroup namespace the container sees its groups of v1 by binds, and in a user namespace
 * v2 as well: mount_cgroup.c.
 */
static int external_cgroups(const struct external *x, const struct engine_container *c,
			    const char *target, struct coffer_error *err)
{
	bool user = oci_namespace_find(c->spec, "user") != NULL;
	struct cgroup_hierarchy h, second;
	int r = 0;

	for (size_t i = 0; r == 0 && cgroup_hierarchy(c->cgroup, i, &h); i++) {
		autofree char *place = NULL, *mounted = strndup(h.dir, h.mount_len);
		bool v2 = !h.names[0];

		if (v2 && !user)
			continue;
		if (v2 && i == 0 && !cgroup_hierarchy(c->cgroup, 1, &second))
			place = strdup(target);
		else if (mounted)
			place = path_join(target, strrchr(mounted, '/') + 1);
		r = place && mounted ? external_tell(x, place, v2 ? mounted : h.dir, err)
				     : err_nomem(err);
	}
	return r;
}

static int external_mounts(const struct external *x, const struct mount_plans *plans,
			   const struct engine_container *c, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < plans->n; i++) {
		const struct mount_plan *m = &plans->v[i];

		if (m->type && strcmp(m->type, "cgroup") == 0 && !plans->cgroup_namespace)
			r = external_cgroups(x, c, m->target, err);
		else if (m->type || (m->options.flags & MS_REMOUNT))
			continue;
		else if (m->options.idmap)
			r = err_unsupported(err, "its ids are mapped, which CRIU does not know of");
		else
			r = external_tell(x, m->target, m->source, err);
		if (r < 0)
			err_wrap(err, "mounts[%zu]", i);
	}
	return r;
}

/* Nodes that could not be made were bound from outside; the others make no difference. */
static int external_devices(const struct external *x, const struct oci_linux *linux_,
			    struct coffer_error *err)
{
	const char *path;
	int r = 0;

	for (size_t i = 0; r == 0 && (path = device_default(i)); i++)
		r = x->fn(path, path, x->data, err);
	for (size_t i = 0; r == 0 && i < linux_->devices.n; i++)
		r = x->fn(linux_->devices.v[i].path, linux_->devices.v[i].path, x->data, err);
	return r;
}

int engine_external(const struct engine_container *c, int rootfd, engine_external_fn fn, void *data,
		    struct coffer_error *err)
{
	const struct external x = { .rootfd = rootfd, .fn = fn, .data = data };
	CLEANUP(mount_plans_free) struct mount_plans plans = MOUNT_PLANS_INIT;
	int r = mount_plan_spec(c->spec, c->bundle, &plans, err);

	if (r == 0)
		r = external_mounts(&x, &plans, c, err);
	return r < 0 ? r : external_devices(&x, c->spec->linux_, err);
}

const char *engine_freezer(const struct engine_container *c)
{
	return container_owns_cgroup(c) ? cgroup_freezer_dir(c->cgroup) : NULL;
}
