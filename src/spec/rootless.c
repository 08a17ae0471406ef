/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/rootless.c - the default document for who is not root
 */
#include "spec/schema.h"

#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static struct oci_mount *rootless_mount(struct oci_spec *spec, const char *destination)
{
	size_t i;

	for (i = 0; i < spec->mounts.n; i++)
		if (strcmp(spec->mounts.v[i].destination, destination) == 0)
			return &spec->mounts.v[i];
	return NULL;
}

static int rootless_map(struct oci_id_mappings *to, const struct oci_id_mappings *from,
			struct coffer_error *err)
{
	to->v = calloc(from->n ? from->n : 1, sizeof(*to->v));
	if (to->v == NULL)
		return err_nomem(err);
	memcpy(to->v, from->v, from->n * sizeof(*to->v));
	to->n = from->n;
	return 0;
}

/* The group of terminals need not be mapped, a new sysfs wants a network of its own, limits want
 * root. */
int oci_spec_rootless(struct oci_spec *spec, const struct oci_id_mappings *uids,
		      const struct oci_id_mappings *gids, struct coffer_error *err)
{
	struct oci_mount *pts = rootless_mount(spec, "/dev/pts"),
			 *sys = rootless_mount(spec, "/sys");
	struct oci_linux *l = spec->linux_;
	int r;

	oci_resources_free(steal_ptr(l->resources));
	oci_namespace_drop(spec, "network");
	r = oci_strv_set(&pts->options,
			 OPTIONS("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
			 err);
	if (r == 0)
		r = oci_str_set(&sys->type, "none", err);
	if (r == 0)
		r = oci_str_set(&sys->source, "/sys", err);
	if (r == 0)
		r = oci_strv_set(&sys->options, OPTIONS("rbind", "nosuid", "noexec", "nodev", "ro"),
				 err);
	if (r == 0)
		r = oci_namespace_add(spec, "user", NULL, err);
	if (r == 0)
		r = rootless_map(&l->uid_mappings, uids, err);
	return r == 0 ? rootless_map(&l->gid_mappings, gids, err) : r;
}
