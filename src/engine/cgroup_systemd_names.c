/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_systemd_names.c - units and slices, from names to paths
 *
 * Callers give "slice:prefix:name" as linux.cgroupsPath.  The unit is the
 * scope "prefix-name.scope" in that slice; a name that ends in ".slice" is
 * taken for a unit of its own.  A slice's name holds its parents: "a-b.slice"
 * is "a-b.slice" in "a.slice", and so is its path.
 *
 * Callers: cgroup_systemd.c.
 */
#include "engine/cgroup_systemd.h"

#include <stdio.h>
#include <string.h>

#define SYSTEMD_SLICE	       ".slice"
#define SYSTEMD_DEFAULT_PREFIX "coffer"
#define SYSTEMD_NAME_CHARACTERS                                                                    \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"

bool systemd_is_slice(const char *unit)
{
	size_t n = strlen(unit), suffix = strlen(SYSTEMD_SLICE);

	return n > suffix && strcmp(unit + n - suffix, SYSTEMD_SLICE) == 0;
}

static int systemd_check_name(const char *unit, struct coffer_error *err)
{
	size_t good = strspn(unit, SYSTEMD_NAME_CHARACTERS);

	if (unit[good] || unit[0] == '.')
		return err_invalid(err, "linux.cgroupsPath: %s is no name of a systemd unit", unit);
	return 0;
}

/* The part before @c, or all; @text moves behind it. Return: its bytes */
static int systemd_cut(const char **text, char c, const char **part)
{
	size_t n = strcspn(*text, (char[]){ c, '\0' });

	*part = *text;
	*text += n + ((*text)[n] == c);
	return (int)n;
}

static int systemd_names_split(const char *path, struct systemd_names *out,
			       struct coffer_error *err)
{
	const char *slice, *prefix, *name = path, *colon = strchr(path, ':');
	int nslice, nprefix, n;

	if (!colon || !strchr(colon + 1, ':'))
		return err_invalid(err,
				   "linux.cgroupsPath: \"slice:prefix:name\" was expected for "
				   "systemd, not %s",
				   path);
	nslice = systemd_cut(&name, ':', &slice);
	nprefix = systemd_cut(&name, ':', &prefix);
	if (!name[0] || strchr(name, ':'))
		return err_invalid(err, "linux.cgroupsPath: %s has no name, or too many", path);
	if (nslice >= SYSTEMD_UNIT_MAX)
		return err_invalid(err, "linux.cgroupsPath: the slice's name is too long");
	if (nslice > 0)
		snprintf(out->slice, sizeof(out->slice), "%.*s", nslice, slice);
	if (systemd_is_slice(name))
		n = snprintf(out->unit, sizeof(out->unit), "%s", name);
	else
		n = snprintf(out->unit, sizeof(out->unit), "%.*s%s%s.scope", nprefix, prefix,
			     nprefix ? "-" : "", name);
	if (n >= SYSTEMD_UNIT_MAX)
		return err_invalid(err, "linux.cgroupsPath: the unit's name is too long");
	return 0;
}

int systemd_names_parse(const char *path, const char *id, bool rootless, struct systemd_names *out,
			struct coffer_error *err)
{
	char fallback[SYSTEMD_UNIT_MAX];
	autofree char *check = NULL;
	int r;

	if (!path && (size_t)snprintf(fallback, sizeof(fallback), ":" SYSTEMD_DEFAULT_PREFIX ":%s",
				      id) >= sizeof(fallback))
		return err_invalid(err, "the container's id is too long for a systemd unit");
	snprintf(out->slice, sizeof(out->slice), rootless ? "user.slice" : "system.slice");
	r = systemd_names_split(path ? path : fallback, out, err);
	if (r == 0)
		r = systemd_check_name(out->unit, err);
	if (r < 0)
		return r;
	check = systemd_unit_path(out, err);
	return check ? 0 : -EINVAL;
}

char *systemd_slice_path(const char *slice, struct coffer_error *err)
{
	size_t stem = strlen(slice) - (systemd_is_slice(slice) ? strlen(SYSTEMD_SLICE) : 0);
	size_t size = (stem + 1) * (strlen(slice) + 1) + 1, n = 0;
	char *path;

	if (slice[stem] == '\0' || slice[0] == '\0' || systemd_check_name(slice, NULL) < 0) {
		err_invalid(err, "linux.cgroupsPath: %s is no slice", slice);
		return NULL;
	}
	path = calloc(1, size);
	if (!path) {
		err_nomem(err);
		return NULL;
	}
	if (stem == 1 && slice[0] == '-')
		return path;
	for (size_t i = 0; i <= stem; i++) {
		if (i < stem && slice[i] != '-')
			continue;
		if (i == 0 || slice[i - 1] == '-') { /* no empty parts */
			free(path);
			err_invalid(err, "linux.cgroupsPath: %s is no slice", slice);
			return NULL;
		}
		n += (size_t)snprintf(path + n, size - n, "%s%.*s" SYSTEMD_SLICE, n ? "/" : "",
				      (int)i, slice);
	}
	return path;
}

char *systemd_unit_path(const struct systemd_names *names, struct coffer_error *err)
{
	bool slice = systemd_is_slice(names->unit);
	autofree char *parent = systemd_slice_path(slice ? names->unit : names->slice, err);
	char *path = NULL;

	if (!parent)
		return NULL;
	if (slice)
		return steal_ptr(parent);
	if (asprintf(&path, "%s%s%s", parent, parent[0] ? "/" : "", names->unit) < 0) {
		err_nomem(err);
		return NULL;
	}
	return path;
}
