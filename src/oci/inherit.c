/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inherit.c - what goes from our caller to the container's process, and its pid back
 *
 * Descriptors of the caller lie from 3 on: first those of socket activation
 * ($LISTEN_FDS), then those of --preserve-fds.  One that is missing among them
 * stays missing for the program.
 *
 * Callers: creation.c, exec.c.
 */
#include "oci/inherit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define INHERIT_FIRST      3
#define INHERIT_LISTEN_MAX 1024

/* Sockets are for us when the pid says so, or says nothing. */
static unsigned inherit_listeners(void)
{
	const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	long n = fds ? strtol(fds, NULL, 10) : 0;

	if (n <= 0 || n > INHERIT_LISTEN_MAX || (pid && strtol(pid, NULL, 10) != getpid()))
		return 0;
	return (unsigned)n;
}

static int inherit_tell(struct oci_process *process, unsigned n, struct coffer_error *err)
{
	char text[16];
	int r;

	snprintf(text, sizeof(text), "%u", n);
	r = oci_env_set(process, "LISTEN_FDS", text, err);
	return r < 0 ? r : oci_env_set(process, "LISTEN_PID", "1", err);
}

/* A hole gets /dev/null for our own time; execve closes it. */
static int inherit_fill(int fd, int *null, struct coffer_error *err)
{
	if (fcntl(fd, F_GETFD) >= 0)
		return 0;
	if (*null < 0)
		*null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (*null == fd) {
		/* It landed in the hole: stay there, and be copied from there. */
		return 0;
	}
	if (*null < 0 || dup3(*null, fd, O_CLOEXEC) < 0)
		return err_sys(err, "hold descriptor %d", fd);
	return 0;
}

int inherit_prepare(unsigned preserve, struct oci_process *process, unsigned *n,
		    struct coffer_error *err)
{
	unsigned listeners = process ? inherit_listeners() : 0;
	int null = -1, end = INHERIT_FIRST + (int)(listeners + preserve), r = 0;

	if (listeners > 0)
		r = inherit_tell(process, listeners, err);
	for (int fd = INHERIT_FIRST; r == 0 && fd < end; fd++)
		r = inherit_fill(fd, &null, err);
	if (null >= end)
		close(null);
	*n = listeners + preserve;
	return r;
}

static int inherit_put_pid(const char *path, int flags, pid_t pid)
{
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0666);
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", (int)pid);

	return fd < 0 ? -errno : io_write_full(fd, text, (size_t)n);
}

int inherit_write_pid(const char *path, pid_t pid, struct coffer_error *err)
{
	autofree char *aside = NULL;
	struct stat st;
	int r;

	if (asprintf(&aside, "%s.%d.tmp", path, (int)getpid()) < 0) {
		aside = NULL;
		return err_nomem(err);
	}
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		/* A pipe is written to, and /dev/null must not become a file. */
		r = inherit_put_pid(path, 0, pid);
	} else {
		r = inherit_put_pid(aside, O_CREAT | O_TRUNC | O_NOFOLLOW, pid);
		if (r == 0 && rename(aside, path) < 0)
			r = -errno;
		if (r < 0)
			unlink(aside);
	}
	return r < 0 ? err_sysn(err, r, "write pid file %s", path) : 0;
}
