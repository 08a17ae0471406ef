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

int oci_spec_example(const struct oci_example *args, struct oci_spec **out,
		     struct coffer_error *err)
{
	struct oci_id_mapping uid = { .host_id = args->uid, .size = 1 };
	struct oci_id_mapping gid = { .host_id = args->gid, .size = 1 };
	const struct oci_id_mappings uids = { &uid, 1 }, gids = { &gid, 1 };
	auto_oci_spec struct oci_spec *spec = NULL;
	int r = oci_spec_default(&spec, err);

	*out = NULL;
	if (r == 0)
		r = example_process(spec->process, err);
	if (r < 0)
		return r;
	spec->root->readonly = true;
	if (!args->cgroup_namespace)
		oci_namespace_drop(spec, "cgroup");
	r = oci_str_set(&spec->hostname, "coffer", err);
	if (r == 0 && args->rootless)
		r = oci_spec_rootless(spec, &uids, &gids, err);
	if (r == 0)
		*out = steal_ptr(spec);
	return r;
}
