/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/console.c - the terminal's master, for somebody else
 *
 * --console-socket names a unix socket; its listener gets one message: the
 * device's name as text, and the descriptor.
 *
 * Callers: creation.c, exec.c.
 */
#include "oci/console.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "base/io.h"

int console_check(bool terminal, bool detach, const char *path, struct coffer_error *err)
{
	if (terminal && detach && !path)
		return err_invalid(err, "cannot allocate a terminal without staying with it: "
					"use --console-socket");
	if (path && !(terminal && detach))
		return err_invalid(err, "--console-socket is for a terminal of a process that "
					"is not waited for");
	return 0;
}

int console_connect(const char *path, int *sock, struct coffer_error *err)
{
	int fd = io_unix_connect(AT_FDCWD, path, SOCK_STREAM, err);

	if (fd < 0)
		return err_wrap(err, "console socket");
	*sock = fd;
	return 0;
}

int console_send(int sock, int ptmx, struct coffer_error *err)
{
	static const char name[] = "/dev/ptmx";
	int r = io_send_fds(sock, name, sizeof(name) - 1, &ptmx, 1);

	return r < 0 ? err_sysn(err, r, "console socket: send the terminal") : 0;
}
