/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_v1_devices.c - linux.resources.devices to a v1 group
 *
 * The kernel keeps a default (everything or nothing) and exceptions from it;
 * two of them may not overlap in opposite directions, so a rule that would cut
 * a hole into a wider one is an error here.  Only the difference to what the
 * group has is written: an update never takes away, even for a moment, what
 * stays allowed.  One exception alone must grant all of an access, so each is
 * given what wider ones grant.
 *
 * Callers: cgroup_limits.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "engine/cgroup_internal.h"

static bool cgroup_v1_same_device(const struct device_rule *a, const struct device_rule *b)
{
	return a->type == b->type && a->major == b->major && a->minor == b->minor;
}

static bool cgroup_v1_covers(const struct device_rule *wide, const struct device_rule *rule)
{
	return wide->type == rule->type &&
	       (wide->major == DEVICE_ANY || wide->major == rule->major) &&
	       (wide->minor == DEVICE_ANY || wide->minor == rule->minor);
}

static bool cgroup_v1_overlaps(const struct device_rule *a, const struct device_rule *b)
{
	return a->type == b->type &&
	       (a->major == DEVICE_ANY || b->major == DEVICE_ANY || a->major == b->major) &&
	       (a->minor == DEVICE_ANY || b->minor == DEVICE_ANY || a->minor == b->minor);
}

/* "c 1:*" */
static const char *cgroup_v1_device_text(const struct device_rule *d, char text[64])
{
	char major[24] = "*", minor[24] = "*";

	if (d->major != DEVICE_ANY)
		snprintf(major, sizeof(major), "%" PRId64, d->major);
	if (d->minor != DEVICE_ANY)
		snprintf(minor, sizeof(minor), "%" PRId64, d->minor);
	snprintf(text, 64, "%c %s:%s", d->type, major, minor);
	return text;
}

static struct device_rule *cgroup_v1_find(const struct device_rules *rules,
					  const struct device_rule *d)
{
	for (size_t i = 0; i < rules->n; i++) {
		if (cgroup_v1_same_device(&rules->v[i], d))
			return &rules->v[i];
	}
	return NULL;
}

/* A rule that agrees with the default takes exceptions back. */
static int cgroup_v1_take_back(struct device_rules *made, const struct device_rule *rule,
			       struct coffer_error *err)
{
	char text[64];

	for (size_t i = 0; i < made->n; i++) {
		struct device_rule *x = &made->v[i];

		if (cgroup_v1_covers(rule, x))
			x->access &= ~rule->access;
		else if (cgroup_v1_overlaps(rule, x) && (x->access & rule->access))
			return err_unsupported(err, "cgroup v1 cannot make \"%s\" an exception "
					       "from a wider rule",
					       cgroup_v1_device_text(rule, text));
	}
	return 0;
}

/* Rules to exceptions, in place: there are never more. */
static int cgroup_v1_merge_rules(struct device_rules *rules, struct coffer_error *err)
{
	struct device_rules made = { .v = rules->v, .allow = rules->allow };
	int r;

	for (size_t i = 0; i < rules->n; i++) {
		struct device_rule rule = rules->v[i], *same = cgroup_v1_find(&made, &rule);

		if (rule.allow == rules->allow) {
			r = cgroup_v1_take_back(&made, &rule, err);
			if (r < 0)
				return r;
		} else if (same) {
			same->access |= rule.access;
		} else {
			made.v[made.n++] = rule;
		}
	}
	rules->n = made.n;
	for (size_t i = 0; !rules->allow && i < rules->n; i++) {
		for (size_t k = 0; k < rules->n; k++) {
			if (cgroup_v1_covers(&rules->v[k], &rules->v[i]))
				rules->v[i].access |= rules->v[k].access;
		}
	}
	return 0;
}

/* "c 1:3 rwm" a line. Return: 0, -EBADMSG, -ENOMEM */
static int cgroup_v1_parse_list(const char *text, struct device_rules *out)
{
	size_t lines = 1;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	out->v = calloc(lines, sizeof(*out->v));
	if (!out->v)
		return -ENOMEM;
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		struct device_rule *d = &out->v[out->n];
		char major[16], minor[16], access[8];

		if (sscanf(p, "%c %15[^:]:%15s %7s", &d->type, major, minor, access) != 4 ||
		    cgroup_parse_access(access, &d->access) < 0)
			return -EBADMSG;
		d->major = major[0] == '*' ? DEVICE_ANY : strtol(major, NULL, 10);
		d->minor = minor[0] == '*' ? DEVICE_ANY : strtol(minor, NULL, 10);
		if (d->type == 'a') {
			*out = (struct device_rules){ .v = out->v, .allow = true };
			return 0;
		}
		out->n++;
	}
	return 0;
}

/* For each of @rules what @other does not have of it. */
static int cgroup_v1_write_difference(struct cgroup_tree *t, const char *file,
				      const struct device_rules *rules,
				      const struct device_rules *other, struct coffer_error *err)
{
	char text[64];
	int r = 0;

	for (size_t i = 0; r == 0 && i < rules->n; i++) {
		const struct device_rule *d = &rules->v[i], *o = cgroup_v1_find(other, d);
		unsigned access = d->access & ~(o ? o->access : 0);

		if (access)
			r = cgroup_set(t, file, err, "%s %s%s%s", cgroup_v1_device_text(d, text),
				       access & DEVICE_READ ? "r" : "",
				       access & DEVICE_WRITE ? "w" : "",
				       access & DEVICE_MKNOD ? "m" : "");
	}
	return r;
}

static int cgroup_v1_write_devices(struct cgroup_tree *t, const struct device_rules *want,
				   struct device_rules *have, struct coffer_error *err)
{
	const char *add = want->allow ? "devices.deny" : "devices.allow";
	int r = 0;

	/* Of a group that allows by default the kernel does not tell the exceptions: anew. */
	if (want->allow || have->allow) {
		r = cgroup_set(t, want->allow ? "devices.allow" : "devices.deny", err, "a");
		have->n = 0;
	}
	if (r == 0)
		r = cgroup_v1_write_difference(t, add, want, have, err);
	if (r == 0)
		r = cgroup_v1_write_difference(t, "devices.deny", have, want, err);
	return r;
}

int cgroup_v1_limit_devices(struct cgroup_tree *t, const struct oci_resources *res,
			    struct coffer_error *err)
{
	struct device_rules want = { 0 }, have = { 0 };
	autofree char *list = NULL;
	int fd = cgroup_tree_fd(t);
	int r = cgroup_parse_devices(res, &want, err);

	if (r == 0)
		r = cgroup_v1_merge_rules(&want, err);
	if (r == 0)
		r = fd < 0 ? err_sysn(err, fd, "open %s", t->dir) :
			     io_read_file(fd, "devices.list", CGROUP_FILE_MAX, &list, NULL, err);
	if (r == 0) {
		r = cgroup_v1_parse_list(list, &have);
		if (r < 0)
			err_sysn(err, r, "read devices.list");
	}
	if (r == 0)
		r = cgroup_v1_write_devices(t, &want, &have, err);
	cgroup_free_devices(&want);
	cgroup_free_devices(&have);
	return r;
}
