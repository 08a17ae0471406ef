/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/procinfo.c - facts about a process that /proc tells
 *
 * Callers: engine/, sandbox/rundir.c, and the runtime's own listings.
 */
#include "base/procinfo.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define PROCINFO_STAT_MAX      4096
#define PROCINFO_START_FIELD   22
#define PROCINFO_AFTER_COMMAND 2 /* fields up to the command's closing bracket */

int procinfo_start_time(pid_t pid, uint64_t *ticks, struct coffer_error *err)
{
	autofree char *text = NULL;
	char path[32], *p, *end;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	r = io_read_file(AT_FDCWD, path, PROCINFO_STAT_MAX, &text, NULL, err);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	/* The command may hold brackets and blanks itself; only the last bracket is proc's. */
	p = strrchr(text, ')');
	for (int field = PROCINFO_AFTER_COMMAND; p && field < PROCINFO_START_FIELD; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return err_internal(err, "%s is not as expected", path);
	*ticks = strtoull(p, &end, 10);
	return end > p ? 0 : err_internal(err, "%s is not as expected", path);
}

int procinfo_open(pid_t pid, uint64_t start_time, struct coffer_error *err)
{
	autoclose int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	uint64_t began;
	int r;

	if (pid <= 0)
		return err_sysn(err, ESRCH, "open process %d", (int)pid);
	if (pidfd < 0)
		return err_sys(err, "open process %d", (int)pid);
	/* Looked at after it is held: from then on the number cannot become another's. */
	r = procinfo_start_time(pid, &began, err);
	if (r == 0 && began != start_time)
		return err_sysn(err, ESRCH, "open process %d", (int)pid);
	return r < 0 ? r : steal_fd(&pidfd);
}

int procinfo_pid_namespace(pid_t init, pid_t **pids, size_t *n, struct coffer_error *err)
{
	autoclosedir DIR *proc = opendir("/proc");
	autofree pid_t *list = NULL;
	struct stat want, is;
	char path[300];
	struct dirent *de;
	pid_t *more;

	*n = 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)init);
	if (!proc || stat(path, &want) < 0)
		return err_sys(err, "open %s", path);
	while ((de = readdir(proc))) {
		pid_t pid = (pid_t)atoi(de->d_name);

		snprintf(path, sizeof(path), "/proc/%s/ns/pid", de->d_name);
		if (pid <= 0 || stat(path, &is) < 0 || is.st_ino != want.st_ino ||
		    is.st_dev != want.st_dev)
			continue;
		more = reallocarray(list, *n + 1, sizeof(*list));
		if (!more)
			return err_nomem(err);
		list = more;
		list[(*n)++] = pid;
	}
	*pids = steal_ptr(list);
	return 0;
}
