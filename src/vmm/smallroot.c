/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/smallroot.c - the root directory that a jailed program sees
 *
 * A tmpfs with the system's program directories bound read-only, so that a
 * program finds its libraries and data, and nothing of the host's own files.
 *
 * Used between fork and exec by vmm/qemu_jail.c and vmm/share_jail.c, which add
 * what their program needs beside it.
 */
#include "vmm/smallroot.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/ns.h"

#define SMALLROOT_TMPFS "mode=0755,size=1g,nr_inodes=256"

/* Without the leading slash; what a host lacks is left out. */
static const char *const smallroot_paths[] = {
	"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32",
	"etc/alternatives", "etc/ld.so.cache",
	"nix/store", "gnu/store",
	"dev/null", "dev/urandom",
};

int smallroot_make_place(const char *rel, bool dir, struct coffer_error *err)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(rel, '/');
	int fd, r = 0;

	if (slash) {
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - rel), rel);
		r = path_mkdirs(parent, 0755, err);
	}
	if (r < 0 || dir)
		return r < 0 ? r : path_mkdirs(rel, 0755, err);
	fd = open(rel, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
	if (fd < 0)
		return err_sys(err, "create %s", rel);
	close(fd);
	return 0;
}

int smallroot_show(const char *rel, struct coffer_error *err)
{
	char abs[PATH_MAX], link[PATH_MAX];
	struct stat st;
	ssize_t n;
	int r;

	snprintf(abs, sizeof(abs), "/%s", rel);
	if (lstat(abs, &st) < 0)
		return errno == ENOENT || errno == EACCES ? 0 : err_sys(err, "stat %s", abs);
	if (S_ISLNK(st.st_mode)) {
		n = readlink(abs, link, sizeof(link) - 1);
		if (n < 0)
			return err_sys(err, "read link %s", abs);
		link[n] = '\0';
		return symlink(link, rel) < 0 ? err_sys(err, "symlink %s", rel) : 0;
	}
	r = smallroot_make_place(rel, S_ISDIR(st.st_mode), err);
	return r < 0 ? r : ns_bind(abs, rel, SMALLROOT_READONLY, err);
}

static bool smallroot_shows(const char *rel)
{
	for (size_t i = 0; i < ARRAY_SIZE(smallroot_paths); i++) {
		size_t n = strlen(smallroot_paths[i]);

		if (strncmp(rel, smallroot_paths[i], n) == 0 && rel[n] == '/')
			return true;
	}
	return false;
}

/* A program of the user's own: PREFIX/bin/qemu has its data in PREFIX/share. */
static int smallroot_show_prefix(const char *program, struct coffer_error *err)
{
	char rel[PATH_MAX], *slash;

	snprintf(rel, sizeof(rel), "%s", program + 1);
	if (smallroot_shows(rel))
		return 0;
	slash = strrchr(rel, '/');
	if (!slash)
		return smallroot_show(rel, err);
	*slash = '\0';
	slash = strrchr(rel, '/');
	if (slash)
		*slash = '\0';
	return smallroot_show(rel, err);
}

int smallroot_show_program(const char *program, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(smallroot_paths); i++)
		r = smallroot_show(smallroot_paths[i], err);
	return r < 0 ? r : smallroot_show_prefix(program, err);
}

int smallroot_begin(const char *dir, struct coffer_error *err)
{
	if (mount("coffer", dir, "tmpfs", MS_NOSUID, SMALLROOT_TMPFS) < 0)
		return err_sys(err, "mount tmpfs on %s", dir);
	return chdir(dir) < 0 ? err_sys(err, "chdir %s", dir) : 0;
}

int smallroot_enter(struct coffer_error *err)
{
	int r = ns_pivot(err);

	if (r == 0 && mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL) < 0)
		r = err_sys(err, "make the root read-only");
	return r;
}
