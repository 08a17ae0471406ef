/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/example.c - a config to start from, as the OCI runtime's spec command writes it
 *
 * People and test suites edit it by member, so it is what `runc spec` prints:
 * the default, made stricter, and for an ordinary user without what only root
 * can do.
 */
#include "spec/schema.h"

#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__, NULL })

#define EXAMPLE_NOFILE 1024

static int example_process(struct oci_process *p, struct coffer_error *err)
{
	const char *const *caps = OPTIONS("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE");
	struct oci_strv *const sets[] = { &p->capabilities->bounding, &p->capabilities->effective,
					  &p->capabilities->permitted, &p->capabilities->ambient };
	size_t i;
	int r = 0;

	p->terminal = true;
	for (i = 0; r == 0 && i < ARRAY_SIZE(sets); i++)
		r = oci_strv_set(sets[i], caps, err);
	return r == 0 ? oci_rlimit_add(p, "RLIMIT_NOFILE", EXAMPLE_NOFILE, EXAMPLE_NOFILE, err) : r;
}

static void example_drop_namespace(struct oci_linux *l, const char *type)
{
	size_t i;

	for (i = 0; i < l->namespaces.n; i++) {
		struct oci_namespace *ns = &l->namespaces.v[i];

		if (strcmp(ns->type, type) != 0)
			continue;
		free(ns->type);
		free(ns->path);
		l->namespaces.n--;
		memmove(ns, ns + 1, (l->namespaces.n - i) * sizeof(*ns));
		return;
	}
}

static struct oci_mount *example_mount(struct oci_spec *spec, const char *destination)
{
	size_t i;

	for (i = 0; i < spec->mounts.n; i++)
		if (strcmp(spec->mounts.v[i].destination, destination) == 0)
			return &spec->mounts.v[i];
	return NULL;
}

/* example_map() - One id, the user's, as root */
static int example_map(struct oci_id_mappings *maps, uint32_t host, struct coffer_error *err)
{
	maps->v = calloc(1, sizeof(*maps->v));
	if (maps->v == NULL)
		return err_nomem(err);
	maps->v[0] = (struct oci_id_mapping){ .host_id = host, .size = 1 };
	maps->n = 1;
	return 0;
}

/* The group of terminals is not mapped, a new sysfs wants a network of its own, limits want root. */
static int example_rootless(struct oci_spec *spec, const struct oci_example *args,
			    struct coffer_error *err)
{
	struct oci_mount *pts = example_mount(spec, "/dev/pts"), *sys = example_mount(spec, "/sys");
	struct oci_linux *l = spec->linux_;
	int r;

	oci_resources_free(steal_ptr(l->resources));
	example_drop_namespace(l, "network");
	r = oci_strv_set(&pts->options,
			 OPTIONS("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
			 err);
	if (r == 0)
		r = oci_str_set(&sys->type, "none", err);
	if (r == 0)
		r = oci_str_set(&sys->source, "/sys", err);
	if (r == 0)
		r = oci_strv_set(&sys->options,
				 OPTIONS("rbind", "nosuid", "noexec", "nodev", "ro"), err);
	if (r == 0)
		r = oci_namespace_add(spec, "user", NULL, err);
	if (r == 0)
		r = example_map(&l->uid_mappings, args->uid, err);
	return r == 0 ? example_map(&l->gid_mappings, args->gid, err) : r;
}

int oci_spec_example(const struct oci_example *args, struct oci_spec **out,
		     struct coffer_error *err)
{
	auto_oci_spec struct oci_spec *spec = NULL;
	int r = oci_spec_default(&spec, err);

	*out = NULL;
	if (r == 0)
		r = example_process(spec->process, err);
	if (r < 0)
		return r;
	spec->root->readonly = true;
	if (!args->cgroup_namespace)
		example_drop_namespace(spec->linux_, "cgroup");
	r = oci_str_set(&spec->hostname, "coffer", err);
	if (r == 0 && args->rootless)
		r = example_rootless(spec, args, err);
	if (r == 0)
		*out = steal_ptr(spec);
	return r;
}
