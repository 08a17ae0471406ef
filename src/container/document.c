/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/document.c - the OCI document of a process, as the agent takes it
 *
 * The specification's defaults, less what a machine of its own makes needless:
 * the container uses the sandbox's network instead of an empty one, and
 * programs may gain privileges by set-user-id files as on any machine.
 */
#include "container/document.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "container/relay.h"
#include "spec/spec.h"

static void document_drop_namespace(struct oci_spec *spec, const char *type)
{
	struct oci_linux *l = spec->linux_;
	size_t kept = 0;

	for (size_t i = 0; l && i < l->namespaces.n; i++) {
		struct oci_namespace *ns = &l->namespaces.v[i];

		if (strcmp(ns->type, type) == 0) {
			free(ns->type);
			free(ns->path);
			continue;
		}
		l->namespaces.v[kept++] = *ns;
	}
	if (l)
		l->namespaces.n = kept;
}

/*
 * The default rules keep a container from the devices beside its own.  A
 * machine without a disk has none, and the rules' program costs a tenth of the
 * time from agent to program when emulated.
 */
static void document_drop_device_rules(struct oci_spec *spec)
{
	struct oci_resources *res = spec->linux_ ? spec->linux_->resources : NULL;

	for (size_t i = 0; res && i < res->devices.n; i++) {
		free(res->devices.v[i].type);
		free(res->devices.v[i].access);
	}
	if (res)
		res->devices.n = 0;
}

static int document_add_env(struct oci_process *p, const struct coffer_process_config *config,
			    const char *hostname, struct coffer_error *err)
{
	int r = oci_env_set(p, "HOSTNAME", hostname, err);

	for (const char *const *e = config->env; r == 0 && e && *e; e++) {
		const char *value = strchr(*e, '=');
		autofree char *key = strndup(*e, (size_t)(value - *e));

		r = key ? oci_env_set(p, key, value + 1, err) : err_nomem(err);
	}
	return r;
}

static int document_set_terminal(struct oci_process *p, const struct coffer_process_config *config,
				 struct coffer_error *err)
{
	p->terminal = config->terminal;
	if (!config->terminal || !config->rows || !config->columns)
		return 0;
	if (!p->console_size)
		p->console_size = calloc(1, sizeof(*p->console_size));
	if (!p->console_size)
		return err_nomem(err);
	p->console_size->height = config->rows;
	p->console_size->width = config->columns;
	return 0;
}

static int document_set_process(struct oci_process *p, const struct coffer_process_config *config,
				const char *hostname, struct coffer_error *err)
{
	int r = oci_strv_set(&p->args, config->args, err);

	p->no_new_privileges = false;
	if (r == 0)
		r = document_add_env(p, config, hostname, err);
	if (r == 0)
		r = oci_str_set(&p->cwd, config->cwd ? config->cwd : "/", err);
	if (r == 0)
		r = oci_str_set(&p->user.username, config->user, err);
	return r < 0 ? r : document_set_terminal(p, config, err);
}

char *document_make(const char *id, const struct coffer_container_config *container,
		    const struct coffer_process_config *process, const struct storage *storage,
		    struct coffer_error *err)
{
	const char *hostname = container->hostname ? container->hostname : id;
	auto_oci_spec struct oci_spec *spec = NULL;
	char root[128], cgroup[128];
	int r;

	r = oci_spec_default(&spec, err);
	if (r < 0)
		return NULL;
	document_drop_namespace(spec, "network");
	if (!storage_has_disks(storage))
		document_drop_device_rules(spec);
	spec->root->readonly = container->read_only;
	snprintf(root, sizeof(root), DOCUMENT_STATE_DIR "/%s/rootfs", id);
	snprintf(cgroup, sizeof(cgroup), "/container/%s", id);
	r = oci_str_set(&spec->root->path, root, err);
	if (r == 0)
		r = oci_str_set(&spec->linux_->cgroups_path, cgroup, err);
	if (r == 0)
		r = oci_str_set(&spec->hostname, hostname, err);
	if (r == 0)
		r = document_set_process(spec->process, process, hostname, err);
	if (r == 0)
		r = storage_emit(storage, spec, err);
	if (r == 0)
		r = relay_emit(container, spec, err);
	return r < 0 ? NULL : oci_spec_to_json(spec, err);
}
