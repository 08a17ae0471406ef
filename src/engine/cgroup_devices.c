/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_devices.c - linux.resources.devices as a list of rules
 *
 * In the document a later rule wins, for the kinds of access that it names.
 * A rule about all devices makes what came before it void.  Where no rule
 * matches, access is refused.  The devices that every container has, pseudo
 * terminals and the mere making of nodes are allowed in the end, as runc and
 * crun do, so that a document can list devices without breaking its container.
 *
 * Callers: the drivers for v1 (a list in the kernel) and v2 (a program).
 */
#include <stdlib.h>
#include <string.h>

#include "engine/cgroup_internal.h"

#define DEVICE_RULES_MAX 256

static const struct device_rule cgroup_devices_always[] = {
	{ DEVICE_ANY, DEVICE_ANY, DEVICE_MKNOD, 'c', true },
	{ DEVICE_ANY, DEVICE_ANY, DEVICE_MKNOD, 'b', true },
	{ 1, 3, DEVICE_ALL, 'c', true }, /* null */
	{ 1, 5, DEVICE_ALL, 'c', true }, /* zero */
	{ 1, 7, DEVICE_ALL, 'c', true }, /* full */
	{ 1, 8, DEVICE_ALL, 'c', true }, /* random */
	{ 1, 9, DEVICE_ALL, 'c', true }, /* urandom */
	{ 5, 0, DEVICE_ALL, 'c', true }, /* tty */
	{ 5, 1, DEVICE_ALL, 'c', true }, /* console */
	{ 5, 2, DEVICE_ALL, 'c', true }, /* ptmx */
	{ 136, DEVICE_ANY, DEVICE_ALL, 'c', true }, /* pts */
};

int cgroup_parse_access(const char *text, unsigned *access)
{
	*access = 0;
	for (; *text; text++) {
		switch (*text) {
		case 'r':
			*access |= DEVICE_READ;
			break;
		case 'w':
			*access |= DEVICE_WRITE;
			break;
		case 'm':
			*access |= DEVICE_MKNOD;
			break;
		case 'a': /* grants nothing more; see spec/rules.c */
			break;
		default:
			return -EINVAL;
		}
	}
	return 0;
}

static int cgroup_parse_device(const struct oci_device_rule *spec, struct device_rule *out,
			       struct coffer_error *err)
{
	const char *type = spec->type ? spec->type : "a";

	if (strlen(type) != 1 || !strchr("abc", type[0]))
		return err_invalid(err, "unknown type %s", type);
	*out = (struct device_rule){
		.allow = spec->allow,
		.type = type[0],
		.major = spec->major.set ? spec->major.v : DEVICE_ANY,
		.minor = spec->minor.set ? spec->minor.v : DEVICE_ANY,
		.access = DEVICE_ALL,
	};
	if (out->major < DEVICE_ANY || out->major > INT32_MAX || out->minor < DEVICE_ANY ||
	    out->minor > INT32_MAX)
		return err_invalid(err, "number out of range");
	if (spec->access && cgroup_parse_access(spec->access, &out->access) < 0)
		return err_invalid(err, "unknown access %s", spec->access);
	return 0;
}

static bool cgroup_is_about_all(const struct device_rule *rule)
{
	return rule->type == 'a' && rule->major == DEVICE_ANY && rule->minor == DEVICE_ANY &&
	       rule->access == DEVICE_ALL;
}

int cgroup_parse_devices(const struct oci_resources *res, struct device_rules *out,
			 struct coffer_error *err)
{
	struct device_rule rule;
	int r;

	*out = (struct device_rules){ 0 };
	if (res->devices.n > DEVICE_RULES_MAX)
		return err_invalid(err, "more than %d rules", DEVICE_RULES_MAX);
	out->v = calloc(2 * (res->devices.n + ARRAY_SIZE(cgroup_devices_always)), sizeof(rule));
	if (!out->v)
		return err_nomem(err);
	for (size_t i = 0; i < res->devices.n; i++) {
		r = cgroup_parse_device(&res->devices.v[i], &rule, err);
		if (r < 0) {
			cgroup_free_devices(out);
			return err_wrap(err, "[%zu]", i);
		}
		if (cgroup_is_about_all(&rule)) {
			out->n = 0;
			out->allow = rule.allow;
			continue;
		}
		out->v[out->n++] = rule;
		/* No number is both a character and a block device's. */
		if (rule.type == 'a') {
			out->v[out->n - 1].type = 'b';
			out->v[out->n] = rule;
			out->v[out->n++].type = 'c';
		}
	}
	if (out->allow && out->n == 0)
		return 0;
	memcpy(out->v + out->n, cgroup_devices_always, sizeof(cgroup_devices_always));
	out->n += ARRAY_SIZE(cgroup_devices_always);
	return 0;
}

void cgroup_free_devices(struct device_rules *rules)
{
	free(rules->v);
	*rules = (struct device_rules){ 0 };
}
