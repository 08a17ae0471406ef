/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup.c - the container's control group, whatever version the host has
 *
 * Chooses the driver (a table of functions) and the path; the work is the
 * driver's.  A container without a group can still be created on a host that
 * gives us none, as long as its document asks for nothing there; its processes
 * then end with its pid namespace.
 *
 * Callers: container.c.
 */
#define LOG_CATEGORY "engine"
#include "engine/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

#define CGROUP_DEFAULT_PARENT "coffer"

static const struct cgroup_ops *const cgroup_drivers[] = {
	&cgroup_v2_ops,
};

static int cgroup_check_path(const char *path, struct coffer_error *err)
{
	const char *p = path;

	if (strlen(path) >= CGROUP_PATH_MAX)
		return err_invalid(err, "linux.cgroupsPath: %d bytes or more", CGROUP_PATH_MAX);
	while (*p) {
		size_t n;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return err_invalid(err, "linux.cgroupsPath: %s has dots", path);
		p += n;
	}
	if (strchr(path, ':'))
		return err_unsupported(err, "linux.cgroupsPath: %s is for systemd", path);
	if (!path[strspn(path, "/")])
		return err_invalid(err, "linux.cgroupsPath: %s is the root", path);
	return 0;
}

static char *cgroup_default_path(const char *id)
{
	char *path;

	return asprintf(&path, CGROUP_DEFAULT_PARENT "/%s", id) < 0 ? NULL : path;
}

static bool cgroup_is_optional(const struct oci_linux *l)
{
	const struct oci_resources *r = l->resources;

	return !l->cgroups_path &&
	       (!r || (!r->memory && !r->cpu && !r->pids && !r->block_io && !r->network &&
		       !r->hugepage_limits.n && !r->rdma.n && !r->unified.n && !r->devices.n));
}

static int cgroup_probe(struct cgroup *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(cgroup_drivers); i++) {
		out->rootfd = cgroup_drivers[i]->probe();
		if (out->rootfd < 0)
			continue;
		out->ops = cgroup_drivers[i];
		return 0;
	}
	return -ENOENT;
}

int cgroup_create(const struct oci_spec *spec, const char *id, struct cgroup *out,
		  struct coffer_error *err)
{
	const struct oci_linux *l = spec->linux_;
	bool optional = cgroup_is_optional(l);
	int r;

	*out = (struct cgroup)CGROUP_INIT;
	if (cgroup_probe(out) < 0)
		return optional ? 0 : err_unsupported(err, "no cgroup v2 hierarchy is mounted");
	out->path = l->cgroups_path ? strdup(l->cgroups_path) : cgroup_default_path(id);
	if (!out->path)
		return err_nomem(err);
	r = cgroup_check_path(out->path, err);
	if (r < 0)
		return r;
	r = out->ops->create(out, err);
	if (optional && (r == -EACCES || r == -EPERM || r == -EROFS)) {
		log_debug("container %s goes without a cgroup: %s", id, err ? err->message : "");
		err_clear(err);
		return cgroup_remove(out, err);
	}
	if (r == 0 && l->resources)
		r = out->ops->limit(out, l->resources, err);
	return r < 0 ? err_wrap(err, "cgroup %s", out->path) : 0;
}

int cgroup_limit_devices(const struct cgroup *cg, const struct oci_resources *res,
			 struct coffer_error *err)
{
	int r;

	if (!res || res->devices.n == 0)
		return 0;
	r = cg->ops->limit_devices(cg, res, err);
	return r < 0 ? err_wrap(err, "linux.resources.devices") : 0;
}

int cgroup_kill(const struct cgroup *cg, int sig, struct coffer_error *err)
{
	return cg->fd < 0 ? -ENOENT : cg->ops->kill(cg, sig, err);
}

int cgroup_remove(struct cgroup *cg, struct coffer_error *err)
{
	int r = 0;

	if (cg->made > 0) {
		r = cg->ops->remove(cg, err);
		if (r < 0)
			err_wrap(err, "cgroup %s", cg->path);
	}
	close_fd(&cg->fd);
	close_fd(&cg->rootfd);
	free(cg->path);
	*cg = (struct cgroup)CGROUP_INIT;
	return r;
}
