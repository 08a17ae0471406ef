/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/scratch.c - where data lives, and files there that vanish with their last user
 *
 * The run directory is memory on most hosts, so images are made where data
 * lives.  Without a name there is nothing to clean up, whoever dies when.
 */
#include "container/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"

#define SCRATCH_FALLBACK "/var/tmp"

/* Return: what the user wants, or NULL */
static const char *scratch_wanted(void)
{
	const char *env = secure_getenv("COFFER_DATA");

	return env && *env ? env : NULL;
}

/* Return: malloc'd path, NULL without memory */
static char *scratch_folder(void)
{
	const char *xdg = secure_getenv("XDG_DATA_HOME"), *home = secure_getenv("HOME");

	if (scratch_wanted())
		return strdup(scratch_wanted());
	if (geteuid() == 0)
		return strdup("/var/lib/coffer");
	if (xdg && *xdg == '/')
		return path_join(xdg, "coffer");
	if (home && *home == '/')
		return path_join(home, ".local/share/coffer");
	return strdup(SCRATCH_FALLBACK);
}

/* File systems without O_TMPFILE get a name for a moment. */
static int scratch_open_in(const char *folder)
{
	char name[] = ".coffer-XXXXXX";
	autofree char *path = NULL;
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd < 0 ? -errno : fd;
	path = path_join(folder, name);
	if (!path)
		return -ENOMEM;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

int scratch_find_folder(char **folder, struct coffer_error *err)
{
	*folder = scratch_folder();
	if (!*folder)
		return err_nomem(err);
	if (**folder != '/')
		return err_invalid(err, "COFFER_DATA %s: not an absolute path", *folder);
	return 0;
}

int scratch_open(struct coffer_error *err)
{
	autofree char *folder = NULL;
	int fd = scratch_find_folder(&folder, err);

	if (fd < 0)
		return fd;
	/* A home that is missing or cannot be written to is no reason to fail. */
	fd = path_mkdirs(folder, 0700, NULL);
	if (fd == 0)
		fd = scratch_open_in(folder);
	if (fd < 0 && !scratch_wanted())
		fd = scratch_open_in(SCRATCH_FALLBACK);
	return fd < 0 ? err_sysn(err, fd, "make a file in %s", folder) : fd;
}
