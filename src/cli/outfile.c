/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/outfile.c - what a command writes: a file that is whole or not there, or stdout
 */
#include "cli/outfile.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static int outfile_make(struct outfile *f, struct coffer_error *err)
{
	mode_t mask = umask(0);

	umask(mask);
	if (asprintf(&f->aside, "%s.XXXXXX", f->path) < 0) {
		f->aside = NULL;
		return err_nomem(err);
	}
	f->fd = mkostemp(f->aside, O_CLOEXEC);
	if (f->fd < 0) {
		int r = err_sys(err, "open %s", f->path);

		free(steal_ptr(f->aside));
		return r;
	}
	return fchmod(f->fd, 0666 & ~mask) < 0 ? err_sys(err, "mode of %s", f->aside) : 0;
}

int outfile_open(struct outfile *f, const char *path, struct coffer_error *err)
{
	struct stat st;

	f->path = path;
	if (!path) {
		if (isatty(STDOUT_FILENO))
			return err_invalid(err, "an archive is not for a terminal: use -o, or "
						"redirect");
		f->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		return f->fd < 0 ? err_sys(err, "standard output") : 0;
	}
	if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		return outfile_make(f, err);
	f->fd = open(path, O_WRONLY | O_CLOEXEC);
	return f->fd < 0 ? err_sys(err, "open %s", path) : 0;
}

int outfile_commit(struct outfile *f, struct coffer_error *err)
{
	int fd = steal_fd(&f->fd);

	/* Some file systems tell only now that there was no room. */
	if (close(fd) < 0)
		return err_sys(err, "write %s", f->path ? f->path : "standard output");
	if (f->aside && rename(f->aside, f->path) < 0)
		return err_sys(err, "rename %s to %s", f->aside, f->path);
	free(steal_ptr(f->aside));
	return 0;
}

void outfile_close(struct outfile *f)
{
	if (f->aside)
		unlink(f->aside);
	free(steal_ptr(f->aside));
	close_fd(&f->fd);
}

int outfile_open_input(const char *path, struct coffer_error *err)
{
	bool given = path && strcmp(path, "-") != 0;
	int fd;

	if (!given && isatty(STDIN_FILENO))
		return err_invalid(err, "an archive does not come from a terminal");
	fd = given ? open(path, O_RDONLY | O_CLOEXEC) : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? err_sys(err, "open %s", given ? path : "standard input") : fd;
}
