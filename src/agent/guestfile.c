/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/guestfile.c - files of a container, opened so that nothing in it can trick us
 *
 * First by O_PATH within the root, which opens nothing, then a look at what it
 * is, then the same again through procfs.  So a fifo, a device or a link that
 * is put in a file's place, at whatever moment, is never opened.
 *
 * Callers: rpc_files.c, rpc_copy.c, rpc_copy_stream.c, rpc_archive.c; in jobs.
 */
#include "agent/guestfile.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/path.h"

int guestfile_find(const struct guestpath *gp, int flags, struct stat *st,
		   struct coffer_error *err)
{
	autoclose int fd = path_open_in_root(gp->rootfd, gp->path, O_PATH | flags, 0, err);

	if (fd < 0)
		return fd;
	if (fstat(fd, st) < 0)
		return err_sys(err, "stat %s", gp->path);
	return steal_fd(&fd);
}

int guestfile_reopen(int node, int flags, const char *path, struct coffer_error *err)
{
	char proc[32];
	struct stat st;
	int fd;

	if (fstat(node, &st) < 0)
		return err_sys(err, "stat %s", path);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return err_invalid(err, "%s: neither a regular file nor a directory", path);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", node);
	fd = open(proc, flags | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? err_sys(err, "open %s", path) : fd;
}

int guestfile_parents(const struct guestpath *gp, bool make, struct coffer_error *err)
{
	const char *name;
	int fd = path_parent_in_root(gp->rootfd, gp->path, make, &name, err);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int guestfile_write(const struct guestpath *gp, const struct guestfile_create *how,
		    struct coffer_error *err)
{
	autoclose int node = -1;
	int r = 0;

	/* Making the file makes its directories as well, so those come first. */
	if (how->create || how->parents)
		r = guestfile_parents(gp, how->parents, err);
	if (r < 0)
		return r;
	node = how->create ? path_mkfile_in_root(gp->rootfd, gp->path, how->mode, err)
			   : path_open_in_root(gp->rootfd, gp->path, O_PATH, 0, err);
	if (node < 0)
		return node;
	return guestfile_reopen(node, O_WRONLY | how->flags, gp->path, err);
}
