/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/account.c - who a process runs as, by the container's own passwd and group files
 *
 * The files belong to the image, so they are opened inside its root, and bounded.
 *
 * Callers: the agent, container/bundle.c; unit tests.
 */
#include "engine/account.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "spec/passwd.h"

/* Regular files only: a fifo would block, a device could be anything. */
static int account_read_file(int rootfd, const char *path, char **text, size_t *len,
			  struct coffer_error *err)
{
	autoclose int fd =
	    path_open_in_root(rootfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, err);
	struct stat st;
	ssize_t n;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)PASSWD_FILE_MAX)
		return err_invalid(err, "container's /%s: %s", path,
				   S_ISREG(st.st_mode) ? "too large" : "not a regular file");
	*text = malloc((size_t)st.st_size + 1);
	if (!*text)
		return err_nomem(err);
	n = io_read_full(fd, *text, (size_t)st.st_size);
	if (n < 0)
		return err_sysn(err, (int)n, "read %s", path);
	*len = (size_t)n;
	return 0;
}

int account_resolve(int rootfd, struct oci_process *process, struct coffer_error *err)
{
	autofree char *passwd = NULL, *group = NULL;
	struct passwd_files files = { 0 };
	int r = account_read_file(rootfd, "etc/passwd", &passwd, &files.passwd_len, err);

	if (r == 0)
		r = account_read_file(rootfd, "etc/group", &group, &files.group_len, err);
	files.passwd = passwd;
	files.group = group;
	return r < 0 ? r : passwd_apply(&files, process, err);
}
