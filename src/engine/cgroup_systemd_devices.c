/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_systemd_devices.c - device rules to a unit's properties
 *
 * For hierarchies of version 1, where systemd writes the same two files as we
 * do; with version 2 its program stands beside ours and neither undoes the
 * other.  systemd knows only "nothing but these", so a document that denies
 * after it has allowed is not told; its rules hold until systemd next looks.
 *
 * Callers: cgroup_systemd.c.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "engine/cgroup_systemd.h"

#define SYSTEMD_DEVICES_MAX ((size_t)64 << 10)

/* What every container has, as with the other drivers. */
static const char *const systemd_devices_always[] = {
	"char-*",	 "m",	"block-*",	 "m",	"/dev/char/1:3", "rwm",
	"/dev/char/1:5", "rwm", "/dev/char/1:7", "rwm", "/dev/char/1:8", "rwm",
	"/dev/char/1:9", "rwm", "/dev/char/5:0", "rwm", "/dev/char/5:1", "rwm",
	"/dev/char/5:2", "rwm", "char-pts",	 "rwm",
};

static bool systemd_is_any(const struct oci_opt_i64 *n)
{
	return !n->set || n->v < 0;
}

static bool systemd_denies_all(const struct oci_device_rule *rule)
{
	return !rule->allow && (!rule->type || rule->type[0] == 'a') &&
	       systemd_is_any(&rule->major) && systemd_is_any(&rule->minor) &&
	       (!rule->access || (strchr(rule->access, 'r') && strchr(rule->access, 'w') &&
				  strchr(rule->access, 'm')));
}

/* The driver of a major number, as /proc/devices has it. Return: whether there is one */
static bool systemd_find_driver(const char *devices, char type, int64_t major, char out[64])
{
	const char *at = strstr(devices, type == 'b' ? "Block devices:" : "Character devices:");

	for (at = at ? strchr(at, '\n') : NULL; at && at[1] && at[1] != '\n';
	     at = strchr(at + 1, '\n')) {
		char *end;

		if (strtoll(at + 1, &end, 10) == major && *end == ' ')
			return snprintf(out, 64, "%.*s", (int)strcspn(end + 1, "\n"), end + 1) < 64;
	}
	return false;
}

/* Return: whether systemd has a word for it */
static bool systemd_device_word(const struct oci_device_rule *rule, const char *devices, char *out,
				size_t size)
{
	const char *kind = rule->type && rule->type[0] == 'b' ? "block" : "char";
	char driver[64] = "*";

	if (!rule->type || rule->type[0] == 'a' || rule->type[0] == 'p')
		return false;
	if (!systemd_is_any(&rule->major) && !systemd_is_any(&rule->minor)) {
		snprintf(out, size, "/dev/%s/%" PRId64 ":%" PRId64, kind, rule->major.v,
			 rule->minor.v);
		return true;
	}
	if (!systemd_is_any(&rule->minor))
		return false;
	if (!systemd_is_any(&rule->major) &&
	    !systemd_find_driver(devices, kind[0], rule->major.v, driver))
		return false;
	snprintf(out, size, "%s-%s", kind, driver);
	return true;
}

/* Words and access in turn. Return: 0, -ENOTSUP without a word for one, -ENOMEM */
static int systemd_device_words(const struct oci_resources *res, const char *devices, char **out)
{
	for (size_t i = 1; i < res->devices.n; i++) {
		const struct oci_device_rule *rule = &res->devices.v[i];
		char word[96];

		if (!rule->allow || !systemd_device_word(rule, devices, word, sizeof(word)))
			return -ENOTSUP;
		*out++ = strdup(word);
		*out++ = strdup(rule->access && rule->access[0] ? rule->access : "rwm");
		if (!out[-2] || !out[-1])
			return -ENOMEM;
	}
	for (size_t i = 0; i < ARRAY_SIZE(systemd_devices_always); i++) {
		*out = strdup(systemd_devices_always[i]);
		if (!*out++)
			return -ENOMEM;
	}
	return 0;
}

int systemd_props_devices(const struct oci_resources *res, struct systemd_props *props,
			  struct coffer_error *err)
{
	static const char *const strict[] = { "strict", NULL }, *const none[] = { NULL };
	autoprops struct systemd_props words = { 0 };
	size_t n = res ? res->devices.n : 0;
	autofree char *devices = NULL;
	struct systemd_prop *list;
	int r;

	if (n == 0 || !systemd_denies_all(&res->devices.v[0]))
		return 0;
	r = io_read_file(AT_FDCWD, "/proc/devices", SYSTEMD_DEVICES_MAX, &devices, NULL, err);
	if (r < 0)
		return r;
	list = systemd_props_add(&words, "DeviceAllow", "a(ss)");
	if (list)
		list->strv =
		    calloc(ARRAY_SIZE(systemd_devices_always) + 2 * n, sizeof(*list->strv));
	if (!list || !list->strv)
		return err_nomem(err);
	r = systemd_device_words(res, devices, list->strv);
	if (r < 0)
		return r == -ENOTSUP ? 0 : err_nomem(err);
	r = systemd_props_add_strings(props, "DevicePolicy", "s", strict, err);
	if (r == 0) /* an empty list forgets those of before */
		r = systemd_props_add_strings(props, "DeviceAllow", "a(ss)", none, err);
	if (r == 0)
		r = systemd_props_add_strings(props, "DeviceAllow", "a(ss)",
					      (const char *const *)list->strv, err);
	return r;
}
