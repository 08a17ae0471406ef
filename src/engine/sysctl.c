/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/sysctl.c - linux.sysctl, written inside the container's namespaces
 *
 * The files of /proc/sys show the namespaces of whoever opens them, so the
 * child writes through the /proc it was born with and needs none of its own;
 * that this is a procfs, with nothing mounted over the file, is checked.
 * A key is "net.ipv4.ip_forward" or "net/ipv4/ip_forward"; the first separator
 * tells which, so that "net/ipv4/conf/eth0.1/..." works.
 *
 * Callers: container.c checks, the child's stages write.
 */
#include "engine/sysctl.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"

#define SYSCTL_KEY_MAX 256

/* Keys (or heads of keys, with the dot) and the namespace they belong to. */
static const struct {
	const char *key;
	uint64_t flag;
} sysctl_spaces[] = {
	{ "net.", CLONE_NEWNET },
	{ "fs.mqueue.", CLONE_NEWIPC },
	{ "kernel.msgmax", CLONE_NEWIPC },
	{ "kernel.msgmnb", CLONE_NEWIPC },
	{ "kernel.msgmni", CLONE_NEWIPC },
	{ "kernel.sem", CLONE_NEWIPC },
	{ "kernel.shmall", CLONE_NEWIPC },
	{ "kernel.shmmax", CLONE_NEWIPC },
	{ "kernel.shmmni", CLONE_NEWIPC },
	{ "kernel.shm_rmid_forced", CLONE_NEWIPC },
	{ "kernel.domainname", CLONE_NEWUTS },
};

/* "a.b/c" with the first separator a dot becomes "a/b.c". Return: 0 or -EINVAL */
static int sysctl_path(const char *key, char path[SYSCTL_KEY_MAX])
{
	const char *first = strpbrk(key, "./");
	bool dots = !first || *first == '.';
	size_t n = strlen(key);

	if (n == 0 || n >= SYSCTL_KEY_MAX || key[0] == '.' || key[0] == '/')
		return -EINVAL;
	for (size_t i = 0; i <= n; i++) {
		char c = key[i];

		if (dots && (c == '.' || c == '/'))
			c = c == '.' ? '/' : '.';
		path[i] = c;
	}
	/* No way up and no empty name, also not by the exchange of separators. */
	if (strstr(path, "..") || strstr(path, "//") || strstr(path, "/./") || path[n - 1] == '/')
		return -EINVAL;
	return 0;
}

static uint64_t sysctl_space(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(sysctl_spaces); i++) {
		const char *key = sysctl_spaces[i].key, *p = path;

		while (*key && (*key == *p || (*key == '.' && *p == '/')))
			key++, p++;
		if (!*key && (!*p || key[-1] == '.'))
			return sysctl_spaces[i].flag;
	}
	return 0;
}

int sysctl_check(const struct oci_pairs *keys, const struct ns_plan *ns, bool own_kernel,
		 struct coffer_error *err)
{
	char path[SYSCTL_KEY_MAX];

	for (size_t i = 0; i < keys->n; i++) {
		uint64_t space;

		if (sysctl_path(keys->v[i].key, path) < 0)
			return err_invalid(err, "linux.sysctl: bad key \"%s\"", keys->v[i].key);
		space = sysctl_space(path);
		if (own_kernel || (space && ns_has(ns, space)))
			continue;
		return err_invalid(err, "linux.sysctl: %s is not in a namespace of the container",
				   keys->v[i].key);
	}
	return 0;
}

static int sysctl_write(const char *path, const char *value, struct coffer_error *err)
{
	char file[SYSCTL_KEY_MAX + 8];
	autoclose int fd = -1;
	int r;

	snprintf(file, sizeof(file), "sys/%s", path);
	fd = path_open_proc(file, O_WRONLY, err);
	if (fd < 0)
		return fd;
	r = io_write_full(fd, value, strlen(value));
	return r < 0 ? err_sysn(err, r, "write /proc/%s", file) : 0;
}

int sysctl_apply(const struct oci_pairs *keys, struct coffer_error *err)
{
	char path[SYSCTL_KEY_MAX];
	int r;

	for (size_t i = 0; i < keys->n; i++) {
		if (sysctl_path(keys->v[i].key, path) < 0)
			return err_invalid(err, "bad key \"%s\"", keys->v[i].key);
		r = sysctl_write(path, keys->v[i].value, err);
		if (r < 0)
			return err_wrap(err, "linux.sysctl[\"%s\"]", keys->v[i].key);
	}
	return 0;
}
