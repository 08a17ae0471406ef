/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/scratch.c - files that vanish with their last user
 *
 * The run directory is memory on most hosts, so images are made where data
 * lives.  Without a name there is nothing to clean up, whoever dies when.
 */
#include "container/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/paths.h"

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

int scratch_open(struct coffer_error *err)
{
	autofree char *folder = NULL;
	int fd = paths_find_home(&folder, err);

	if (fd < 0)
		return fd;
	/* A home that is missing or cannot be written to is no reason to fail. */
	fd = path_mkdirs(folder, 0700, NULL);
	if (fd == 0)
		fd = scratch_open_in(folder);
	if (fd < 0 && !paths_home_is_wanted())
		fd = scratch_open_in(PATHS_HOME_FALLBACK);
	return fd < 0 ? err_sysn(err, fd, "make a file in %s", folder) : fd;
}
