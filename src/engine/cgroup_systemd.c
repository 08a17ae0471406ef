/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_systemd.c - the driver of control groups that systemd makes
 *
 *	plan    names and paths; only an ordinary user's manager is asked, for
 *	        the group it lives in
 *	start   a transient unit with init in it, with what systemd has to know
 *	        of the limits; the groups' files are written by us afterwards
 *	join    a further process, where an ordinary user may not move it
 *	update  the same of changed limits
 *	stop    the unit is stopped, in case it is still there
 *
 * The unit's word is "system:SLICE:UNIT" or "user:SLICE:UNIT", after the bus.
 *
 * Linked into programs of the host only (the agent has no systemd), which is
 * why cgroup.c refers to the table weakly.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cgroup_internal.h"
#include "engine/cgroup_systemd.h"

#define SYSTEMD_USER   "user:"
#define SYSTEMD_SYSTEM "system:"

static bool systemd_on_user_bus(const struct cgroup *cg)
{
	return strncmp(cg->unit, SYSTEMD_USER, strlen(SYSTEMD_USER)) == 0;
}

static const char *systemd_unit(const struct cgroup *cg)
{
	const char *colon = strrchr(cg->unit, ':');

	return colon ? colon + 1 : cg->unit;
}

static int systemd_plan_path(struct cgroup *cg, const struct systemd_names *names, bool user,
			     struct coffer_error *err)
{
	autofree char *unit = systemd_unit_path(names, err);
	autofree char *manager = NULL, *path = NULL;
	int r = 0;

	if (!unit)
		return -EINVAL;
	if (user) {
		manager = systemd_control_group(true, err);
		if (!manager)
			return err_wrap(err, "linux.cgroupsPath");
	}
	if (asprintf(&path, "%s/%s", manager ? manager : "", unit) < 0)
		return err_nomem(err);
	for (size_t i = 0; r == 0 && i < cg->n; i++) {
		r = cgroup_tree_set_path(&cg->trees[i], path + strspn(path, "/"), err);
		cg->trees[i].made = 1;
	}
	return r;
}

static int systemd_plan(struct cgroup *cg, const struct cgroup_plan_args *args,
			struct coffer_error *err)
{
	struct systemd_names names = { 0 };
	int r;

	r = systemd_names_parse(args->spec->linux_->cgroups_path, args->id, args->rootless, &names,
				err);
	if (r < 0)
		return r;
	if (asprintf(&cg->unit, "%s%s:%s", args->rootless ? SYSTEMD_USER : SYSTEMD_SYSTEM,
		     names.slice, names.unit) < 0)
		return err_nomem(err);
	cg->spec = args->spec;
	return systemd_plan_path(cg, &names, args->rootless, err);
}

/* Return: malloc'd, NULL without memory */
static char *systemd_slice(const struct cgroup *cg)
{
	const char *slice = strchr(cg->unit, ':') + 1;

	return strndup(slice, strcspn(slice, ":"));
}

/* What makes the unit ours, in the slice, with everything switched on that a limit may want. */
static int systemd_props_unit(const struct cgroup *cg, const char *slice, pid_t pid,
			      struct systemd_props *props, struct coffer_error *err)
{
	const char *io = cgroup_unified(cg) && cg->n == 1 ? "IOAccounting" : "BlockIOAccounting";
	const struct {
		const char *name;
		bool value;
	} flags[] = {
		{ "MemoryAccounting", true }, { "CPUAccounting", true },	{ io, true },
		{ "TasksAccounting", true },  { "DefaultDependencies", false },
	};
	const char *unit = systemd_unit(cg);
	char description[32 + SYSTEMD_UNIT_MAX];
	const char *const text[] = { description, NULL }, *const parent[] = { slice, NULL };
	static const char *const mode[] = { "inactive-or-failed", NULL };
	int r;

	snprintf(description, sizeof(description), "coffer container %s", unit);
	r = systemd_props_add_strings(props, "Description", "s", text, err);
	if (r == 0)
		r = systemd_props_add_strings(props, "CollectMode", "s", mode, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(flags); i++)
		r = systemd_props_add_number(props, flags[i].name, "b", flags[i].value, err);
	if (r < 0)
		return r;
	/* A slice cannot hold processes in systemd's eyes; init is put into it afterwards. */
	if (systemd_is_slice(unit))
		return systemd_props_add_strings(props, "Wants", "as", parent, err);
	r = systemd_props_add_strings(props, "Slice", "s", parent, err);
	if (r == 0)
		r = systemd_props_add_number(props, "Delegate", "b", true, err);
	if (r == 0)
		r = systemd_props_add_number(props, "PIDs", "au", (uint64_t)pid, err);
	return r;
}

static int systemd_props_resources(const struct cgroup *cg, const struct oci_resources *res,
				   struct systemd_props *props, struct coffer_error *err)
{
	bool v2 = cgroup_unified(cg) && !cgroup_find(cg, CGROUP_MEMORY);
	int r = systemd_props_limits(res, v2, props, err);

	if (r < 0 || v2)
		return r;
	return systemd_props_devices(res, props, err);
}

static int systemd_start(struct cgroup *cg, pid_t pid, const struct oci_resources *res,
			 struct coffer_error *err)
{
	autoprops struct systemd_props props = { 0 };
	autofree char *slice = systemd_slice(cg);
	int r;

	if (!slice)
		return err_nomem(err);
	r = systemd_props_unit(cg, slice, pid, &props, err);
	if (r == 0)
		r = systemd_props_resources(cg, res, &props, err);
	if (r == 0)
		r = systemd_props_annotations(&cg->spec->annotations, &props, err);
	if (r < 0)
		return r;
	return systemd_start_unit(systemd_on_user_bus(cg), systemd_unit(cg), &props, err);
}

static int systemd_join(struct cgroup *cg, pid_t pid, struct coffer_error *err)
{
	return systemd_attach(systemd_on_user_bus(cg), systemd_unit(cg), pid, err);
}

static int systemd_update(struct cgroup *cg, const struct oci_resources *res,
			  struct coffer_error *err)
{
	autoprops struct systemd_props props = { 0 };
	int r = systemd_props_resources(cg, res, &props, err);

	if (r < 0 || props.n == 0)
		return r;
	return systemd_set_properties(systemd_on_user_bus(cg), systemd_unit(cg), &props, err);
}

static int systemd_stop(struct cgroup *cg, struct coffer_error *err)
{
	return systemd_stop_unit(systemd_on_user_bus(cg), systemd_unit(cg), err);
}

const struct cgroup_ops cgroup_systemd_ops = {
	.name = "systemd",
	.plan = systemd_plan,
	.start = systemd_start,
	.join = systemd_join,
	.update = systemd_update,
	.stop = systemd_stop,
};
