/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/document.c - the OCI document of a process, as the agent takes it
 *
 * The specification's defaults, less what a machine of its own makes needless:
 * the container uses the sandbox's network instead of an empty one, and
 * programs may gain privileges by set-user-id files as on any machine.
 *
 * An exec's document says as much of its confinement as init's; only what
 * makes the container itself (mounts, limits, sysctls) is init's alone.
 */
#include "container/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "container/confine.h"
#include "container/container.h"
#include "container/relay.h"
#include "spec/spec.h"

/* The agent's own program is an init, too, when it is called by this name. */
#define DOCUMENT_INIT	     "/.coffer-init"
#define DOCUMENT_INIT_SOURCE "/init"

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

static int document_add_env(struct oci_process *p, const char *const *env, struct coffer_error *err)
{
	int r = 0;

	for (const char *const *e = env; r == 0 && e && *e; e++) {
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
				struct coffer_error *err)
{
	int r = oci_strv_set(&p->args, config->args, err);

	if (r == 0)
		r = document_add_env(p, config->env, err);
	if (r == 0)
		r = oci_str_set(&p->cwd, config->cwd ? config->cwd : "/", err);
	if (r == 0)
		r = oci_str_set(&p->user.username, config->user, err);
	if (r == 0)
		r = document_set_terminal(p, config, err);
	return r < 0 ? r : confine_process(p, config, err);
}

static int document_wrap_args(struct oci_process *p, const struct coffer_process_config *config,
			      struct coffer_error *err)
{
	int r = oci_strv_set(&p->args, (const char *const[]){ DOCUMENT_INIT, "--", NULL }, err);

	for (const char *const *arg = config->args; r == 0 && *arg; arg++)
		r = oci_strv_add(&p->args, *arg, err);
	return r;
}

static int document_add_init(struct oci_spec *spec, struct coffer_error *err)
{
	static const char *const options[] = { "bind", "ro", "nosuid", "nodev", NULL };

	return oci_mount_add(spec, DOCUMENT_INIT, "bind", DOCUMENT_INIT_SOURCE, options, err);
}

/* What is not limited is counted all the same. */
static int document_count(struct oci_resources *res, struct coffer_error *err)
{
	if (!res->memory)
		res->memory = calloc(1, sizeof(*res->memory));
	if (!res->pids)
		res->pids = calloc(1, sizeof(*res->pids));
	if (!res->memory || !res->pids)
		return err_nomem(err);
	if (!res->memory->limit.set)
		res->memory->limit = (struct oci_opt_i64){ true, -1 };
	if (res->pids->limit == 0)
		res->pids->limit = -1;
	return 0;
}

/* What makes the container, as against a process in it. */
static int document_set_container(struct oci_spec *spec, const struct coffer_container *c,
				  struct coffer_error *err)
{
	struct oci_resources *res = oci_resources_get(spec);
	int r = res ? confine_resources(res, &c->config->resources, err) : err_nomem(err);

	if (r == 0)
		r = document_count(res, err);
	if (r == 0)
		r = confine_sysctls(spec, c->config->sysctls, err);
	if (r == 0 && c->config->init)
		r = document_add_init(spec, err);
	if (r == 0)
		r = storage_emit(c->storage, spec, err);
	return r < 0 ? r : relay_emit(c->config, spec, err);
}

static int document_set_names(struct oci_spec *spec, const struct coffer_container *c,
			      struct coffer_error *err)
{
	const char *hostname = c->config->hostname ? c->config->hostname : c->id;
	char root[128], cgroup[128];
	int r;

	snprintf(root, sizeof(root), DOCUMENT_STATE_DIR "/%s/rootfs", c->id);
	snprintf(cgroup, sizeof(cgroup), "/container/%s", c->id);
	r = oci_str_set(&spec->root->path, root, err);
	if (r == 0)
		r = oci_str_set(&spec->linux_->cgroups_path, cgroup, err);
	if (r == 0)
		r = oci_str_set(&spec->hostname, hostname, err);
	return r < 0 ? r : oci_env_set(spec->process, "HOSTNAME", hostname, err);
}

/* What an exec does not say is as init's configuration has it; borrowed from both. */
static struct coffer_process_config document_inherit(const struct coffer_process_config *exec,
						     const struct coffer_process_config *init)
{
	struct coffer_process_config p = *exec;

	if (!p.cwd)
		p.cwd = init->cwd;
	if (!p.user)
		p.user = init->user;
	if (!p.ngroups) {
		p.groups = init->groups;
		p.ngroups = init->ngroups;
	}
	if (!p.cap_add && !p.cap_drop) {
		p.cap_add = init->cap_add;
		p.cap_drop = init->cap_drop;
	}
	if (!p.nrlimits) {
		p.rlimits = init->rlimits;
		p.nrlimits = init->nrlimits;
	}
	p.no_new_privs |= init->no_new_privs;
	if (!p.seccomp)
		p.seccomp = init->seccomp;
	return p;
}

char *document_make(const struct coffer_container *c, const struct coffer_process_config *process,
		    struct coffer_error *err)
{
	const struct coffer_process_config *init = c->init->config;
	struct coffer_process_config full = document_inherit(process, init);
	auto_oci_spec struct oci_spec *spec = NULL;
	int r;

	r = oci_spec_default(&spec, err);
	if (r < 0)
		return NULL;
	oci_namespace_drop(spec, "network");
	if (!storage_has_disks(c->storage))
		document_drop_device_rules(spec);
	spec->root->readonly = c->config->read_only;
	r = document_set_names(spec, c, err);
	if (r == 0 && process != init)
		r = document_add_env(spec->process, init->env, err);
	if (r == 0)
		r = document_set_process(spec->process, &full, err);
	if (r == 0 && c->config->init)
		r = document_wrap_args(spec->process, &full, err);
	if (r == 0)
		r = confine_seccomp(spec, &full, err);
	if (r == 0 && process == init)
		r = document_set_container(spec, c, err);
	return r < 0 ? NULL : oci_spec_to_json(spec, err);
}

int document_check_process(const struct coffer_process_config *process, struct coffer_error *err)
{
	auto_oci_spec struct oci_spec *spec = NULL;
	int r = oci_spec_default(&spec, err);

	if (r == 0)
		r = document_set_process(spec->process, process, err);
	if (r == 0)
		r = oci_process_validate(spec->process, "process", err);
	return r < 0 ? r : confine_seccomp(spec, process, err);
}

int document_check_container(const struct coffer_container_config *config, struct coffer_error *err)
{
	auto_oci_spec struct oci_spec *spec = NULL;
	struct oci_resources *res;
	int r = oci_spec_default(&spec, err);

	if (r < 0)
		return r;
	res = oci_resources_get(spec);
	if (!res)
		return err_nomem(err);
	r = confine_resources(res, &config->resources, err);
	return r < 0 ? r : confine_sysctls(spec, config->sysctls, err);
}

char *document_resources(const struct coffer_resources *r, struct coffer_error *err)
{
	auto_oci_resources struct oci_resources *checked = calloc(1, sizeof(*checked));
	char memory[64] = "", pids[64] = "", cpu[96] = "", *text;

	if (!checked)
		err_nomem(err);
	if (!checked || confine_resources(checked, r, err) < 0)
		return NULL;
	if (checked->memory)
		snprintf(memory, sizeof(memory), ",\"memory\":{\"limit\":%lld}",
			 (long long)checked->memory->limit.v);
	if (checked->pids)
		snprintf(pids, sizeof(pids), ",\"pids\":{\"limit\":%lld}",
			 (long long)checked->pids->limit);
	if (checked->cpu)
		snprintf(cpu, sizeof(cpu), ",\"cpu\":{\"quota\":%lld,\"period\":%llu}",
			 (long long)checked->cpu->quota.v,
			 (unsigned long long)checked->cpu->period.v);
	/* A member that everybody may ignore saves us the commas. */
	if (asprintf(&text, "{\"devices\":[]%s%s%s}", memory, pids, cpu) < 0) {
		err_nomem(err);
		return NULL;
	}
	return text;
}
