/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/mount_plan.c - what to mount, decided in the parent before anything is made
 *
 *	mount_plan_spec()  words sorted, sources joined with the bundle, refusals
 *	mount_plan_open()  sources that only the parent may open or map, as detached trees
 *
 * The child has a copy of the plan and of its descriptors.  Caller: container.c.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "engine/device.h"
#include "engine/mount_internal.h"

static bool mount_plan_is(const struct mount_plan *m, const char *type)
{
	return m->type && strcmp(m->type, type) == 0;
}

static int mount_plan_bind(struct mount_plan *m, const char *bundle, struct coffer_error *err)
{
	m->type = NULL;
	if (!m->source)
		return err_invalid(err, "a bind without a source");
	if (m->source[0] == '/')
		return 0;
	m->owned = path_join(bundle, m->source);
	if (!m->owned)
		return err_nomem(err);
	m->source = m->owned;
	return 0;
}

static int mount_plan_check(const struct mount_plan *m, struct coffer_error *err)
{
	const struct oci_mount *spec = m->spec;
	bool remount = m->options.flags & MS_REMOUNT;

	if (!m->type && !(m->options.flags & (MS_BIND | MS_REMOUNT)))
		return err_invalid(err, "neither a type nor a bind");
	if ((spec->uid_mappings.n > 0) != (spec->gid_mappings.n > 0))
		return err_invalid(err, "uidMappings and gidMappings come together");
	if (m->options.idmap && (m->type || remount))
		return err_unsupported(err, "ids can be mapped on a bind only");
	if (m->options.copy_up && (!mount_plan_is(m, "tmpfs") || remount))
		return err_invalid(err, "tmpcopyup is for a tmpfs");
	return 0;
}

static int mount_plan_one(const struct oci_mount *spec, const char *bundle, struct mount_plan *m,
			  struct coffer_error *err)
{
	int r = 0;

	*m = (struct mount_plan){ .spec = spec, .tree = -1, .late = -1 };
	if (!spec->destination)
		return err_invalid(err, "no destination");
	m->target = spec->destination;
	m->type = spec->type;
	m->source = spec->source;
	r = mount_options_parse(&spec->options, &m->options, err);
	if (r < 0)
		return r;
	if (mount_plan_is(m, "rbind"))
		m->options.flags |= MS_BIND | MS_REC;
	if (mount_plan_is(m, "bind"))
		m->options.flags |= MS_BIND;
	if (spec->uid_mappings.n > 0 && !m->options.idmap)
		m->options.idmap = MOUNT_IDMAP_ONE;
	if (m->options.flags & MS_REMOUNT)
		m->type = NULL;
	else if (m->options.flags & MS_BIND)
		r = mount_plan_bind(m, bundle, err);
	return r < 0 ? r : mount_plan_check(m, err);
}

int mount_plan_spec(const struct oci_spec *spec, const char *bundle, struct mount_plans *out,
		    struct coffer_error *err)
{
	int r;

	*out = (struct mount_plans)MOUNT_PLANS_INIT;
	out->label = spec->linux_->mount_label;
	out->cgroup_namespace = oci_namespace_find(spec, "cgroup") != NULL;
	if (spec->mounts.n == 0)
		return 0;
	out->v = calloc(spec->mounts.n, sizeof(*out->v));
	if (!out->v)
		return err_nomem(err);
	for (; out->n < spec->mounts.n; out->n++) {
		r = mount_plan_one(&spec->mounts.v[out->n], bundle, &out->v[out->n], err);
		if (r < 0) {
			/* Counted, so that what it owns is freed with the others. */
			r = err_wrap(err, "mounts[%zu]", out->n);
			out->n++;
			return r;
		}
	}
	return 0;
}

/* ---- trees ---- */

static int mount_plan_tree(const char *path, bool recursive)
{
	return open_tree(AT_FDCWD, path,
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));
}

static int mount_plan_open_source(struct mount_plan *m, const struct oci_spec *spec,
				  const struct ns_plan *ns, struct mount_idmap_cache *cache,
				  struct coffer_error *err)
{
	m->tree = mount_plan_tree(m->source, m->options.flags & MS_REC);
	if (m->tree < 0 && errno == EPERM && !m->options.idmap)
		return 0;
	if (m->tree < 0)
		return err_sys(err, "open the source %s", m->source);
	return m->options.idmap ? mount_idmap(m, spec->linux_, ns, cache, err) : 0;
}

int mount_plan_open(struct mount_plans *plans, const char *root, const struct oci_spec *spec,
		    const struct ns_plan *ns, struct coffer_error *err)
{
	struct mount_idmap_cache cache = MOUNT_IDMAP_CACHE_INIT;
	/* Whoever may not (EPERM) is an ordinary user, the same as the namespace's root. */
	bool all = ns_has(ns, CLONE_NEWUSER) && geteuid() == 0;
	int r = 0;

	if (all) {
		plans->root = mount_plan_tree(root, true);
		if (plans->root < 0 && errno != EPERM)
			return err_sys(err, "open root.path %s", root);
	}
	for (size_t i = 0; r == 0 && i < plans->n; i++) {
		struct mount_plan *m = &plans->v[i];

		if (m->type || m->options.flags & MS_REMOUNT || !(all || m->options.idmap))
			continue;
		r = mount_plan_open_source(m, spec, ns, &cache, err);
		if (r < 0)
			err_wrap(err, "mounts[%zu] on %s", i, m->target);
	}
	close_fd(&cache.ns);
	if (r == 0)
		r = device_tree_open(spec, ns, &plans->devices, err);
	plans->ndevices = plans->devices ? spec->linux_->devices.n : 0;
	return r;
}

void mount_plans_free(struct mount_plans *plans)
{
	for (size_t i = 0; i < plans->n; i++) {
		mount_options_free(&plans->v[i].options);
		close_fd(&plans->v[i].tree);
		free(plans->v[i].owned);
	}
	for (size_t i = 0; i < plans->ndevices; i++)
		close_fd(&plans->devices[i]);
	free(plans->devices);
	close_fd(&plans->root);
	free(plans->v);
	*plans = (struct mount_plans)MOUNT_PLANS_INIT;
}
